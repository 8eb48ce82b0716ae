//! The configurations: each a question, with bounds that make it answerable.

use election_core::Timing;
use election_core::elector::Rules;

use crate::clock::Rate;
use crate::config::{Config, Fault, Opening, SeatPlan};
use crate::seen::Sight;

const fn seat(identity: &'static str, version: &'static str) -> SeatPlan {
    SeatPlan {
        identity,
        version,
        other_version: version,
        rate: Rate::TRUE,
        runs: true,
    }
}

fn base(name: &'static str, about: &'static str) -> Config {
    Config {
        name,
        about,
        seats: vec![
            seat("alpha", "1.30"),
            seat("bravo", "1.30"),
            seat("charlie", "1.30"),
        ],
        electors: vec![Rate::TRUE, Rate::TRUE],
        opening: Opening::Led,
        faults: Vec::new(),
        total: 0,
        swaps: Some(0),
        trouble_until: 20,
        horizon: Some(60),
        grid: None,
        timing: Timing::default(),
        rules: Rules::default(),
        recovery: None,
        settles: false,
        burial: None,
        sights: Vec::new(),
    }
}

/// All of them, in the order in which they are explored.
#[must_use]
pub fn configs() -> Vec<Config> {
    vec![Config {
        seats: vec![
            SeatPlan {
                rate: Rate::SLOW,
                ..seat("alpha", "1.30")
            },
            seat("bravo", "1.30"),
            seat("charlie", "1.30"),
        ],
        faults: vec![(Fault::Crash, 1)],
        total: 1,
        recovery: Some(36),
        settles: true,
        sights: vec![Sight::Expired, Sight::Led],
        ..base("crash", "a leader with a slow clock crashes")
    }]
}
