//! Whole runs: they repeat themselves, every class of trouble takes effect, and no rule is broken.
//!
//! A few seeds only: `cargo xtask simulate` does many, optimised.

use simulation::{Campaign, Class, Plan, Summary, Tracing, run, shrink};

#[test]
fn the_same_seed_gives_the_same_trace_byte_for_byte() {
    for seed in 1..=8 {
        let plan = Plan::new(seed, &[]);
        let first = run(&plan, Tracing::Keep);
        // On another thread, where every hasher of the standard library and every lot of the runtime is another.
        let second = std::thread::scope(|scope| {
            let other = scope.spawn(|| run(&Plan::new(seed, &[]), Tracing::Keep));
            other.join().expect("it does not panic")
        });
        assert!(!first.trace.is_empty());
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!(first, second, "seed {seed}");
    }
}

#[test]
fn keeping_the_trace_changes_nothing_and_seeds_differ() {
    let plan = Plan::new(3, &[]);
    let kept = run(&plan, Tracing::Keep);
    let hashed = run(&plan, Tracing::Hash);
    assert_eq!(kept.hash, hashed.hash);
    assert_ne!(kept.hash, run(&Plan::new(4, &[]), Tracing::Hash).hash);
}

#[test]
fn every_class_takes_effect_by_itself() {
    // A crowd takes its time without optimisation, and is the same code for more candidates.
    for class in Class::all().iter().filter(|class| **class != Class::Crowd) {
        let took = (1..=30).any(|seed| {
            let outcome = run(&Plan::new(seed, &[*class]), Tracing::Hash);
            assert_eq!(outcome.violation, None, "{class}, seed {seed}");
            outcome.counts.get(*class) > 0
        });
        assert!(took, "{class} never took effect");
    }
}

#[test]
fn a_campaign_is_the_sum_of_its_seeds() {
    let campaign = Campaign {
        from: 100,
        seeds: 20,
        classes: Vec::new(),
        budget: None,
        twice: 5,
    };
    let totals = campaign.run(&|_| {});
    assert_eq!(totals.failure, None);
    assert_eq!((totals.seeds, totals.repeated), (20, 4));
    assert!(totals.terms >= 20 && totals.acts > totals.terms, "{totals:?}");
}

#[test]
fn a_plan_that_does_not_fail_is_not_made_to_fail_by_shrinking() {
    let shrunk = shrink(&Plan::new(1, &[Class::WatchCut]));
    assert_eq!(shrunk.outcome.violation, None);
}

#[test]
fn what_was_interrupted_goes_on_and_comes_to_the_same() {
    let campaign = |from, seeds| Campaign {
        from,
        seeds,
        classes: vec![Class::WatchCut],
        budget: None,
        twice: 0,
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("summary.json");
    let all = campaign(5, 6);
    let mut summary = Summary::begin(&all);
    summary.add(&campaign(5, 4).run(&|_| {}));
    summary.write(&file).unwrap();
    let mut resumed = Summary::resume(&file, &all).unwrap();
    assert_eq!(resumed, summary);
    resumed.add(&campaign(9, 2).run(&|_| {}));
    let mut whole = Summary::begin(&all);
    whole.add(&all.run(&|_| {}));
    for summary in [&mut resumed, &mut whole] {
        // What depends on the machine.
        (summary.seconds, summary.slowest_seed, summary.slowest_seconds) = (0.0, 0, 0.0);
        summary.hours_simulated = (summary.hours_simulated * 1e9).round();
    }
    assert_eq!(resumed, whole);
    assert_eq!(whole.seeds, 6);
    // A run that must see everything fails by these names.
    let missing = whole.missing();
    assert!(
        missing.contains(&"pause") && !missing.contains(&"watch-cut"),
        "{missing:?}"
    );
}

#[test]
fn a_summary_of_something_else_is_not_gone_on_with() {
    let campaign = Campaign {
        from: 5,
        seeds: 1,
        classes: vec![Class::WatchCut],
        budget: None,
        twice: 0,
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("summary.json");
    let refused = |change: fn(&mut Summary), why: &str| {
        let mut summary = Summary::begin(&campaign);
        change(&mut summary);
        summary.write(&file).unwrap();
        let error = Summary::resume(&file, &campaign).unwrap_err();
        assert!(error.contains(why), "{error}");
    };
    refused(|summary| summary.from += 1, "another seed");
    refused(|summary| summary.faults.clear(), "other faults");
    refused(|summary| summary.first_trace.push('0'), "other sources");
    refused(|summary| summary.classes.truncate(3), "other sources");
    refused(
        |summary| {
            summary.violations.push(simulation::Broken {
                seed: 7,
                rule: "S1".to_owned(),
                what: "two act".to_owned(),
                at: 1.0,
            });
        },
        "seed 7 broke S1",
    );
    std::fs::write(&file, "{").unwrap();
    assert!(Summary::resume(&file, &campaign).is_err());
}
