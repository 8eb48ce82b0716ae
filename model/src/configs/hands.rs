//! Configurations: what people and second processes do to leases.

use super::{absent, base, equals, seat, slow};
use crate::config::{Config, Fault, Opening};
use crate::seen::Sight;

pub(super) fn deletion() -> Config {
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

pub(super) fn creates() -> Config {
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
        sights: vec![Sight::Created, Sight::LeaseDeleted],
        ..base(
            "creates",
            "a new lease is created twice, late, and deleted meanwhile",
        )
    }
}

pub(super) fn edits() -> Config {
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

pub(super) fn twins() -> Config {
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

pub(super) fn touched() -> Config {
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

pub(super) fn steered() -> Config {
    Config {
        seats: vec![
            seat("alpha", "1.30"),
            seat("bravo", "1.30"),
            seat("charlie", "1.31"),
        ],
        faults: vec![(Fault::Steer, 2), (Fault::Crash, 1), (Fault::Break, 1)],
        total: 3,
        swaps: Some(0),
        trouble_until: 5,
        recovery: Some(40),
        settles: true,
        sights: vec![
            Sight::Asked,
            Sight::OnHold,
            Sight::HandedOver,
            Sight::EndOfTerm,
            Sight::SteppedDownTo,
            Sight::UnreadableHold,
            Sight::UnreadableStepDown,
        ],
        ..base(
            "steered",
            "people hold, pin and ask leaders to step down, also wrongly, while processes crash and requests break off",
        )
    }
}

pub(super) fn step_down() -> Config {
    Config {
        seats: vec![
            seat("alpha", "1.29"),
            seat("bravo", "1.30"),
            seat("charlie", "1.31"),
        ],
        faults: vec![(Fault::Steer, 2), (Fault::Crash, 1), (Fault::Start, 1)],
        total: 3,
        swaps: Some(0),
        trouble_until: 5,
        recovery: Some(40),
        settles: true,
        sights: vec![Sight::Asked, Sight::SteppedDownTo, Sight::UnreadableStepDown],
        ..base(
            "step-down",
            "somebody asks something of an election, and a process crashes and starts again, which ends a step-down",
        )
    }
}
