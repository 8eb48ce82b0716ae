//! Configurations: what is late, lost or cut off, and who stands still.

use super::{base, equals, seat, slow, upgrade};
use crate::clock::Rate;
use crate::config::{Config, Fault};
use crate::seen::Sight;

pub(super) fn gaps() -> Config {
    Config {
        seats: equals(),
        faults: vec![
            (Fault::Gap, 2),
            (Fault::Lag, 1),
            (Fault::Delete, 1),
            (Fault::Crash, 1),
        ],
        total: 2,
        swaps: Some(0),
        trouble_until: 5,
        recovery: Some(40),
        settles: true,
        sights: vec![Sight::Relisted, Sight::Quiet, Sight::LeaseDeleted],
        ..base(
            "gaps",
            "watches break and lag, and what happens meanwhile is not seen",
        )
    }
}

pub(super) fn replaced() -> Config {
    Config {
        seats: equals(),
        faults: vec![
            (Fault::ReplaceElector, 2),
            (Fault::Delete, 1),
            (Fault::Lag, 1),
            (Fault::CutOff, 1),
        ],
        total: 3,
        swaps: Some(0),
        trouble_until: 5,
        horizon: Some(50),
        recovery: Some(40),
        settles: true,
        sights: vec![Sight::Relisted, Sight::Quiet, Sight::Expired],
        ..base(
            "replaced",
            "electors start anew, which know nothing of what was before",
        )
    }
}

pub(super) fn anew() -> Config {
    Config {
        seats: vec![slow(seat("alpha", "1.30")), seat("bravo", "1.30")],
        electors: vec![Rate::TRUE],
        faults: vec![(Fault::ReplaceElector, 1), (Fault::Delete, 1), (Fault::Lag, 1)],
        total: 3,
        swaps: Some(0),
        trouble_until: 5,
        horizon: Some(50),
        recovery: Some(40),
        settles: true,
        sights: vec![Sight::Relisted, Sight::Quiet, Sight::Created],
        ..base(
            "anew",
            "the only elector starts anew and finds no lease, under a leader that has not seen the deletion",
        )
    }
}

pub(super) fn takeover() -> Config {
    Config {
        seats: upgrade(),
        electors: vec![Rate::TRUE],
        faults: vec![
            (Fault::Start, 1),
            (Fault::ReplaceElector, 2),
            (Fault::Crash, 1),
            (Fault::Break, 1),
        ],
        total: 4,
        swaps: Some(0),
        trouble_until: 3,
        horizon: Some(50),
        recovery: Some(40),
        settles: true,
        sights: vec![
            Sight::Nominated,
            Sight::EndOfTerm,
            Sight::HandedOver,
            Sight::Relisted,
        ],
        ..base(
            "takeover",
            "the only elector starts anew in the middle of a handover, and whoever takes part crashes or loses requests",
        )
    }
}

pub(super) fn divided() -> Config {
    Config {
        electors: vec![Rate::TRUE, Rate::TRUE],
        total: 3,
        sights: vec![
            Sight::Nominated,
            Sight::EndOfTerm,
            Sight::HandedOver,
            Sight::Relisted,
            Sight::Raced,
        ],
        name: "divided",
        about: "electors start anew in the middle of a handover, beside others that remember what was before",
        ..takeover()
    }
}

pub(super) fn late() -> Config {
    Config {
        seats: vec![
            seat("alpha", "1.30"),
            seat("bravo", "1.30"),
            seat("charlie", "1.30"),
        ],
        electors: vec![Rate::FAST, Rate::TRUE],
        faults: vec![
            (Fault::Slow, 1),
            (Fault::Break, 1),
            (Fault::Duplicate, 1),
            (Fault::CutOff, 1),
        ],
        total: 2,
        swaps: Some(0),
        trouble_until: 18,
        horizon: Some(40),
        sights: vec![
            Sight::LandedLate,
            Sight::AdoptedLate,
            Sight::Expired,
            Sight::LostContact,
        ],
        ..base(
            "late",
            "requests and answers of a slow leader are lost, late and doubled",
        )
    }
}

pub(super) fn cut_off() -> Config {
    Config {
        seats: vec![
            seat("alpha", "1.30"),
            seat("bravo", "1.30"),
            seat("charlie", "1.30"),
        ],
        electors: vec![Rate::FAST],
        faults: vec![(Fault::CutOff, 2)],
        total: 2,
        swaps: Some(0),
        trouble_until: 8,
        grid: Some(1000),
        horizon: Some(30),
        sights: vec![Sight::LostContact, Sight::Expired],
        ..base(
            "cut-off",
            "candidates are cut off and reach the server again, under an elector with a fast clock",
        )
    }
}

pub(super) fn isolated() -> Config {
    Config {
        seats: vec![seat("alpha", "1.30"), seat("bravo", "1.30")],
        electors: vec![Rate::FAST],
        faults: vec![(Fault::CutOff, 2)],
        total: 2,
        swaps: Some(0),
        trouble_until: 8,
        horizon: Some(30),
        sights: vec![Sight::LostContact, Sight::Expired],
        ..base(
            "isolated",
            "a leader is cut off twice, under an elector with a fast clock, with one other candidate",
        )
    }
}

pub(super) fn outage() -> Config {
    Config {
        seats: vec![
            seat("alpha", "1.30"),
            seat("bravo", "1.30"),
            seat("charlie", "1.30"),
        ],
        faults: vec![(Fault::Outage, 1)],
        total: 1,
        swaps: Some(0),
        trouble_until: 20,
        horizon: Some(40),
        grid: Some(500),
        recovery: Some(12),
        settles: true,
        sights: vec![Sight::Renewed],
        ..base("outage", "the server is away for as long as the knobs promise")
    }
}

pub(super) fn frozen() -> Config {
    Config {
        seats: equals(),
        electors: vec![Rate::TRUE, Rate::TRUE],
        faults: vec![(Fault::Freeze, 1), (Fault::Gap, 1), (Fault::Slow, 1)],
        total: 2,
        swaps: Some(0),
        trouble_until: 9,
        horizon: Some(45),
        sights: vec![Sight::Killed, Sight::Expired, Sight::LastMoment],
        ..base("frozen", "processes stand still and run again")
    }
}

pub(super) fn storm() -> Config {
    Config {
        seats: upgrade(),
        faults: Fault::ALL
            .iter()
            .filter(|fault| **fault != Fault::Outage)
            .map(|fault| (*fault, 2))
            .collect(),
        total: 2,
        swaps: Some(1),
        trouble_until: 4,
        horizon: Some(40),
        limit: Some(1_000_000),
        sights: vec![Sight::HandedOver, Sight::Led],
        ..base("storm", "any two things go wrong")
    }
}
