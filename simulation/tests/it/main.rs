//! Whole runs: they repeat themselves, every class of trouble takes effect, and no rule is broken.
//!
//! A few seeds only: `cargo xtask simulate` does many, optimised.

use simulation::{Campaign, Class, Plan, Summary, Tracing, run, run_lightly, shrink};

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
fn keeping_the_trace_or_owners_changes_nothing_and_seeds_differ() {
    let plan = Plan::new(3, &[]);
    let kept = run(&plan, Tracing::Keep);
    let hashed = run_lightly(&plan, Tracing::Hash);
    assert_eq!(kept.hash, hashed.hash);
    assert_ne!(kept.hash, run(&Plan::new(4, &[]), Tracing::Hash).hash);
}

#[test]
fn every_class_takes_effect() {
    // A crowd takes its time without optimisation, and is the same code for more candidates. That an elector crashes just when
    // it clears a nomination needs more seeds.
    let seldom = [Class::Crowd, Class::CrashAtClearing];
    for class in Class::all().iter().filter(|class| !seldom.contains(class)) {
        // An offer is withdrawn only from somebody who does not answer, and who starts together is not nominated.
        let classes = match class {
            Class::CrashAtWithdrawal => vec![*class, Class::Pause],
            Class::CrashAtNomination => vec![*class, Class::VersionChange],
            class => vec![*class],
        };
        let took = (1..=60).any(|seed| {
            let outcome = run(&Plan::new(seed, &classes), Tracing::Hash);
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
fn a_plan_that_does_not_fail_is_not_shrunk() {
    let plan = Plan::new(1, &[Class::WatchCut]);
    let shrunk = shrink(&plan);
    assert_eq!((shrunk.outcome.violation, shrunk.plan), (None, plan));
}

#[test]
fn every_thousand_seeds_have_a_crowd_and_now_and_then_a_large_one() {
    let crowds = |from: u64, seeds: u64| -> Vec<u64> {
        let plans = (from..from + seeds).map(|seed| Plan::new(seed, &[]));
        let happenings = plans.flat_map(|plan| plan.happenings);
        let crowds = happenings.filter(|happening| happening.class == Class::Crowd);
        crowds.map(|happening| happening.amount).collect()
    };
    for from in [1, 777, 1_000_001] {
        assert_eq!(crowds(from, 1000).len(), 4, "from {from}");
        let largest = crowds(from, 1250).into_iter().max();
        assert!(largest >= Some(200), "from {from}: {largest:?}");
    }
}

#[test]
fn a_class_that_never_took_effect_is_missed_after_seeds_enough() {
    let begun = |classes: &[Class], seeds: u64| {
        let campaign = Campaign {
            from: 1,
            seeds,
            classes: classes.to_vec(),
            budget: None,
            twice: 0,
        };
        let mut summary = Summary::begin(&campaign);
        summary.seeds = seeds;
        summary.missing().len()
    };
    let all = Class::all().len();
    assert_eq!(begun(&[], 999), 0);
    assert_eq!(begun(&[], 1_000), all);
    assert_eq!(begun(&[Class::Pause, Class::CrashAtCreate], 99), 0);
    assert_eq!(begun(&[Class::Pause, Class::CrashAtCreate], 100), 2);
    assert_eq!(
        begun(&[Class::CrashAtClearing], 1_000),
        0,
        "nothing is cleared of what nothing else befalls"
    );
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
    whole.faults.clear();
    whole.seeds = 1_000;
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
    std::fs::write(&file, "{").unwrap();
    assert!(Summary::resume(&file, &campaign).is_err());
}

#[test]
fn a_seed_that_broke_a_rule_is_gone_on_behind_when_it_does_not_any_more() {
    let campaign = Campaign {
        from: 5,
        seeds: 2,
        classes: vec![Class::WatchCut],
        budget: None,
        twice: 0,
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("summary.json");
    let broken = simulation::Broken {
        seed: 5,
        rule: "S1".to_owned(),
        what: "two act".to_owned(),
        at: 1.0,
    };
    let mut summary = Summary::begin(&campaign);
    summary.seeds = 1;
    summary.violations.push(broken.clone());
    summary.write(&file).unwrap();
    let resumed = Summary::resume(&file, &campaign).unwrap();
    assert_eq!((resumed.violations, resumed.mended), (vec![], vec![broken]));
    assert_eq!(resumed.seeds, 1);
}
