//! The configurations: each a question, with bounds that make it answerable.

mod course;
mod hands;
mod road;

use election_core::Timing;
use election_core::elector::Rules;

use crate::clock::Rate;
use crate::config::{Config, Opening, SeatPlan};

const fn seat(identity: &'static str, version: &'static str) -> SeatPlan {
    SeatPlan {
        identity,
        version,
        other_version: version,
        rate: Rate::TRUE,
        readable: true,
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
        // Before a back-off of a minute ends: what follows then is a handover, and no leader for its moment.
        horizon: Some(55),
        grid: None,
        timing: Timing::default(),
        rules: Rules::default(),
        recovery: None,
        settles: false,
        burial: None,
        limit: None,
        sights: Vec::new(),
    }
}

/// All of them, in the order in which they are explored.
#[must_use]
pub fn configs() -> Vec<Config> {
    vec![
        course::start(),
        course::crash(),
        course::handover(),
        course::handover_lost(),
        course::back_off(),
        course::refused(),
        hands::deletion(),
        hands::creates(),
        hands::edits(),
        hands::twins(),
        course::versions(),
        hands::touched(),
        hands::steered(),
        hands::step_down(),
        road::gaps(),
        road::replaced(),
        road::anew(),
        road::takeover(),
        road::divided(),
        road::late(),
        road::cut_off(),
        road::isolated(),
        course::shutdown(),
        road::outage(),
        road::frozen(),
        course::fading(),
        course::burial(),
        road::storm(),
    ]
}

/// A seat whose clock is as slow as the protocol tolerates: its deadline comes when the elector's time is just over.
fn slow(plan: SeatPlan) -> SeatPlan {
    SeatPlan {
        rate: Rate::SLOW,
        ..plan
    }
}

/// A seat whose processes write versions that nobody can read.
fn unreadable(plan: SeatPlan) -> SeatPlan {
    SeatPlan {
        readable: false,
        ..plan
    }
}

/// A seat where nothing runs yet.
fn absent(plan: SeatPlan) -> SeatPlan {
    SeatPlan { runs: false, ..plan }
}

fn equals() -> Vec<SeatPlan> {
    vec![
        slow(seat("alpha", "1.30")),
        seat("bravo", "1.30"),
        seat("charlie", "1.30"),
    ]
}

/// A leader, somebody better who is not there yet, and somebody equal.
fn upgrade() -> Vec<SeatPlan> {
    vec![
        slow(seat("alpha", "1.30")),
        absent(seat("bravo", "1.29")),
        seat("charlie", "1.30"),
    ]
}
