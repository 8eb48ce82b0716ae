//! The configurations: each a question, with bounds that make it answerable.

use std::time::Duration;

use election_core::elector::Rules;
use election_core::{LeaseSeconds, Timing};

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
        // Before a back-off of a minute ends: what follows then is a handover, and no leader for its moment.
        horizon: Some(55),
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
    vec![
        start(),
        crash(),
        handover(),
        handover_lost(),
        back_off(),
        deletion(),
        creates(),
        edits(),
        twins(),
        versions(),
        touched(),
        gaps(),
        replaced(),
        late(),
        cut_off(),
        shutdown(),
        outage(),
        frozen(),
        burial(),
        storm(),
    ]
}

/// A seat whose clock is as slow as the protocol tolerates: its deadline comes when the elector's time is just over.
fn slow(plan: SeatPlan) -> SeatPlan {
    SeatPlan {
        rate: Rate::SLOW,
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

fn start() -> Config {
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
        ],
        ..base("start", "everybody starts at once, and one request goes wrong")
    }
}

fn crash() -> Config {
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
        ],
        ..base(
            "crash",
            "a leader with a slow clock crashes, starts again, or loses requests",
        )
    }
}

fn handover() -> Config {
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
        ],
        ..base(
            "handover",
            "somebody better starts; requests get lost, work does not stop or leaves requests behind",
        )
    }
}

fn handover_lost() -> Config {
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

fn back_off() -> Config {
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

fn deletion() -> Config {
    Config {
        seats: equals(),
        faults: vec![
            (Fault::Delete, 2),
            (Fault::Break, 1),
            (Fault::Slow, 1),
            (Fault::Lag, 1),
            (Fault::Abandon, 1),
        ],
        total: 2,
        swaps: Some(1),
        trouble_until: 5,
        recovery: Some(36),
        settles: true,
        sights: vec![
            Sight::LeaseDeleted,
            Sight::ReleasedFresh,
            Sight::Created,
            Sight::CreatedLate,
        ],
        ..base(
            "deletion",
            "somebody deletes the lease under its leader, and requests or watches fail",
        )
    }
}

fn creates() -> Config {
    Config {
        opening: Opening::Idle,
        seats: vec![
            slow(seat("alpha", "1.30")),
            seat("bravo", "1.31"),
            seat("charlie", "1.31"),
        ],
        faults: vec![(Fault::Slow, 1), (Fault::Lag, 1), (Fault::Delete, 1)],
        total: 3,
        swaps: Some(0),
        trouble_until: 1,
        horizon: Some(20),
        sights: vec![Sight::Created, Sight::CreatedLate, Sight::LeaseDeleted],
        ..base(
            "creates",
            "a new lease is created twice, late, and deleted meanwhile",
        )
    }
}

fn edits() -> Config {
    Config {
        seats: equals(),
        faults: vec![
            (Fault::Blank, 1),
            (Fault::EditEndOfTerm, 1),
            (Fault::EditNominee, 1),
            (Fault::EditIncarnation, 1),
            (Fault::Touch, 1),
            (Fault::Crash, 1),
        ],
        total: 2,
        swaps: Some(0),
        trouble_until: 9,
        horizon: Some(75),
        recovery: Some(48),
        settles: true,
        sights: vec![Sight::HandedOver, Sight::Expired, Sight::Withdrawn],
        ..base("edits", "somebody edits the lease by hand")
    }
}

fn twins() -> Config {
    Config {
        seats: vec![
            slow(seat("alpha", "1.30")),
            absent(seat("alpha", "1.30")),
            seat("charlie", "1.30"),
        ],
        faults: vec![
            (Fault::Start, 2),
            (Fault::Break, 1),
            (Fault::Slow, 1),
            (Fault::Lag, 1),
            (Fault::Crash, 1),
        ],
        total: 3,
        swaps: Some(0),
        trouble_until: 5,
        recovery: Some(40),
        settles: true,
        sights: vec![Sight::Ousted, Sight::Finished],
        ..base("twins", "a second process starts with the identity of the leader")
    }
}

fn versions() -> Config {
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

fn touched() -> Config {
    Config {
        seats: vec![
            seat("alpha", "1.30"),
            seat("bravo", "1.30"),
            seat("charlie", "1.30"),
        ],
        faults: vec![(Fault::Crash, 1), (Fault::Touch, 3)],
        total: 4,
        swaps: Some(0),
        trouble_until: 40,
        horizon: Some(60),
        grid: Some(5000),
        recovery: Some(18),
        settles: true,
        sights: vec![Sight::Expired],
        ..base(
            "touched",
            "somebody edits the lease of a dead leader again and again",
        )
    }
}

fn gaps() -> Config {
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

fn replaced() -> Config {
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

fn late() -> Config {
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

fn cut_off() -> Config {
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

fn shutdown() -> Config {
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

fn outage() -> Config {
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

fn frozen() -> Config {
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

fn burial() -> Config {
    let identity = LeaseSeconds::new(10).expect("positive");
    Config {
        seats: equals(),
        timing: Timing::default().with_identity(identity, Duration::from_secs(4)),
        faults: vec![(Fault::Crash, 2)],
        total: 2,
        trouble_until: 4,
        horizon: Some(150),
        burial: Some(125),
        sights: vec![Sight::Collected],
        ..base("burial", "the dead disappear")
    }
}

fn storm() -> Config {
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
        sights: vec![Sight::HandedOver, Sight::Led],
        ..base("storm", "any two things go wrong")
    }
}
