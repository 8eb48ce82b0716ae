//! Configurations: what happens where nothing is edited: starts, crashes, handovers, ends.

use std::time::Duration;

use election_core::{LeaseSeconds, Timing};

use super::{absent, base, equals, seat, slow, unreadable, upgrade};
use crate::clock::Rate;
use crate::config::{Config, Fault, Opening, SeatPlan};
use crate::seen::Sight;

pub(super) fn start() -> Config {
    Config {
        opening: Opening::Cold,
        seats: vec![
            slow(seat("alpha", "1.30")),
            seat("bravo", "1.29"),
            seat("charlie", "1.31"),
        ],
        faults: vec![(Fault::Break, 1), (Fault::Slow, 1), (Fault::Duplicate, 1)],
        total: 1,
        swaps: Some(2),
        trouble_until: 17,
        horizon: Some(45),
        recovery: Some(25),
        settles: true,
        sights: vec![
            Sight::Created,
            Sight::Offered,
            Sight::Accepted,
            Sight::Led,
            Sight::Quiet,
            Sight::Conflict,
            Sight::Raced,
        ],
        ..base("start", "everybody starts at once, and one request goes wrong")
    }
}

pub(super) fn crash() -> Config {
    Config {
        seats: equals(),
        faults: vec![
            (Fault::Crash, 1),
            (Fault::Start, 1),
            (Fault::Break, 1),
            (Fault::Slow, 1),
        ],
        total: 2,
        swaps: Some(1),
        trouble_until: 18,
        recovery: Some(36),
        settles: true,
        sights: vec![
            Sight::Expired,
            Sight::Led,
            Sight::AdoptedLate,
            Sight::LandedLate,
            Sight::Conflict,
            Sight::Raced,
        ],
        ..base(
            "crash",
            "a leader with a slow clock crashes, starts again, or loses requests",
        )
    }
}

pub(super) fn handover() -> Config {
    Config {
        seats: upgrade(),
        faults: vec![
            (Fault::Start, 1),
            (Fault::Break, 1),
            (Fault::Slow, 1),
            (Fault::Abandon, 1),
            (Fault::Stubborn, 1),
        ],
        total: 2,
        swaps: Some(1),
        trouble_until: 5,
        recovery: Some(36),
        settles: true,
        sights: vec![
            Sight::Nominated,
            Sight::EndOfTerm,
            Sight::HandedOver,
            Sight::AdoptedLate,
            Sight::Killed,
            Sight::Raced,
        ],
        ..base(
            "handover",
            "somebody better starts; requests get lost, work does not stop or leaves requests behind",
        )
    }
}

pub(super) fn handover_lost() -> Config {
    Config {
        seats: upgrade(),
        faults: vec![
            (Fault::Start, 1),
            (Fault::Crash, 1),
            (Fault::Stuck, 1),
            (Fault::Shutdown, 1),
        ],
        total: 2,
        swaps: Some(2),
        trouble_until: 5,
        horizon: Some(50),
        recovery: Some(36),
        settles: true,
        sights: vec![Sight::Withdrawn, Sight::Declined, Sight::OfferWithdrawn],
        ..base(
            "nominee",
            "somebody better starts, and dies, leaves or is stuck in the middle of the handover",
        )
    }
}

pub(super) fn back_off() -> Config {
    Config {
        seats: upgrade(),
        electors: vec![Rate::TRUE],
        faults: vec![(Fault::Start, 2), (Fault::Crash, 2)],
        total: 4,
        swaps: Some(0),
        trouble_until: 30,
        horizon: Some(60),
        sights: vec![Sight::BackedOff],
        ..base(
            "back-off",
            "somebody better starts and crashes as a leader, twice",
        )
    }
}

pub(super) fn refused() -> Config {
    Config {
        seats: vec![
            slow(seat("alpha", "1.30")),
            absent(seat("bravo", "1.29")),
            unreadable(seat("charlie", "1.28")),
        ],
        faults: vec![
            (Fault::Crash, 1),
            (Fault::Start, 1),
            (Fault::Shutdown, 1),
            (Fault::Break, 1),
        ],
        total: 2,
        swaps: Some(1),
        trouble_until: 8,
        recovery: Some(36),
        settles: true,
        sights: vec![Sight::Refused, Sight::Expired, Sight::HandedOver, Sight::Led],
        ..base("refused", "nobody can read what the best of them is")
    }
}

pub(super) fn shutdown() -> Config {
    Config {
        seats: vec![
            slow(seat("alpha", "1.30")),
            seat("bravo", "1.31"),
            seat("charlie", "1.30"),
        ],
        faults: vec![
            (Fault::Shutdown, 2),
            (Fault::Break, 1),
            (Fault::Slow, 1),
            (Fault::Stubborn, 1),
            (Fault::Abandon, 1),
        ],
        total: 2,
        swaps: Some(1),
        trouble_until: 5,
        recovery: Some(36),
        settles: true,
        sights: vec![Sight::Finished, Sight::HandedOver],
        ..base(
            "shutdown",
            "processes are told to end, and requests or work do not obey",
        )
    }
}

pub(super) fn versions() -> Config {
    let changing = |plan: SeatPlan, other_version| SeatPlan {
        other_version,
        ..plan
    };
    Config {
        seats: vec![
            changing(seat("alpha", "1.30"), "1.31"),
            changing(absent(seat("bravo", "1.30")), "1.29"),
            seat("charlie", "1.30"),
        ],
        faults: vec![
            (Fault::StartOther, 2),
            (Fault::Start, 1),
            (Fault::Crash, 2),
            (Fault::Shutdown, 1),
        ],
        total: 3,
        swaps: Some(0),
        trouble_until: 9,
        recovery: Some(20),
        settles: true,
        sights: vec![Sight::HandedOver, Sight::Expired, Sight::Nominated],
        ..base("versions", "processes end and start again with another version")
    }
}

/// Knobs with which the dead are known to be dead while a model can still wait for it.
fn brief() -> Timing {
    let identity = LeaseSeconds::new(10).expect("positive");
    Timing::default().with_identity(identity, Duration::from_secs(4))
}

pub(super) fn fading() -> Config {
    Config {
        seats: upgrade(),
        timing: brief(),
        faults: vec![(Fault::Start, 1), (Fault::Crash, 2)],
        total: 3,
        swaps: Some(0),
        trouble_until: 4,
        horizon: Some(60),
        recovery: Some(40),
        settles: true,
        sights: vec![Sight::Nominated, Sight::Withdrawn],
        ..base(
            "fading",
            "somebody better starts and dies, and is known to be dead after a while",
        )
    }
}

pub(super) fn burial() -> Config {
    Config {
        seats: equals(),
        timing: brief(),
        faults: vec![(Fault::Crash, 2)],
        total: 2,
        trouble_until: 4,
        horizon: Some(150),
        burial: Some(125),
        sights: vec![Sight::Collected],
        ..base("burial", "the dead disappear")
    }
}
