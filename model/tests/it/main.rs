//! The model on short explorations, and the model seen to object.

use model::{Config, Fault, Limits, Rate, check, configs, replay};

/// So many generated states, by one thread.
fn first(states: usize) -> Limits {
    Limits {
        states: Some(states),
        depth: None,
        time: None,
        threads: 1,
        breadth_first: false,
    }
}

fn named(name: &str) -> Config {
    let mut all = configs().into_iter();
    all.find(|config| config.name == name).expect("a configuration")
}

#[test]
fn every_configuration_holds_in_its_first_states() {
    for config in configs() {
        let report = check(config, first(4000));
        let violation = report.violation.map(|violation| violation.trace);
        assert_eq!(violation, None, "{}", report.name);
        assert!(
            report.unique > 1000,
            "{}: only {} states",
            report.name,
            report.unique
        );
    }
}

/// A leader that stands still, so that its work acts until the deadline, and an elector whose clock runs a quarter faster than true time.
fn frozen(rate: Rate) -> Config {
    let mut config = named("cut-off");
    config.electors = vec![Rate::FAST];
    config.seats[0].rate = rate;
    config.faults = vec![(Fault::Freeze, 1)];
    config.total = 1;
    config.sights = Vec::new();
    config
}

/// Invariant: S1 and S3 at the bound of the clock rates, and seen to fail beyond it.
#[test]
fn clocks_within_the_bound_are_safe_and_clocks_beyond_it_are_not() {
    let within = check(frozen(Rate::TRUE), first(usize::MAX));
    assert!(within.violation.is_none(), "{:?}", within.violation);
    assert!(within.unique > 1000, "only {} states", within.unique);
    let beyond = check(frozen(Rate(99, 100)), first(usize::MAX));
    let violation = beyond.violation.expect("the bound is exact");
    assert!(
        ["S1", "S3"]
            .iter()
            .any(|name| violation.property.starts_with(name)),
        "{}",
        violation.property
    );
}

#[test]
fn a_counterexample_is_told_and_can_be_replayed() {
    let beyond = frozen(Rate::SLOW);
    let violation = check(beyond.clone(), first(usize::MAX))
        .violation
        .expect("clocks beyond the bound");
    let told = &violation.trace;
    for word in [
        "alpha/0.1 stands still",
        "elector 0 sends offer",
        "may act: alpha/0.1",
    ] {
        assert!(told.contains(word), "{word} is missing:\n{told}");
    }
    let again = replay(beyond.clone(), &violation.path).expect("a possible path");
    assert!(again.contains(violation.property), "{again}");
    assert!(replay(beyond, "0.999").is_err());
}
