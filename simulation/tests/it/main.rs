//! Whole runs: they repeat themselves, every class of trouble takes effect, and no rule is broken.
//!
//! A few seeds only: `cargo xtask simulate` does many, optimised.

use simulation::{Campaign, Class, Plan, Tracing, run, shrink};

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
    let totals = campaign.run(&|_, _| {});
    assert_eq!(totals.failure, None);
    assert_eq!((totals.seeds, totals.repeated), (20, 4));
    assert!(totals.terms >= 20 && totals.acts > totals.terms, "{totals:?}");
}

#[test]
fn a_plan_that_does_not_fail_is_not_made_to_fail_by_shrinking() {
    let shrunk = shrink(&Plan::new(1, &[Class::WatchCut]));
    assert_eq!(shrunk.outcome.violation, None);
}
