//! The write table of docs/protocol.md once more, naively: what each write of a candidate may start from, and what it
//! leaves, field by field.

use super::rig::Rig;
use crate::lease::{LeaseState, LeaseWrite, Record, WriteKind};
use crate::time::LeaseSeconds;

/// Checks a write against the lease that it was decided from.
///
/// Invariant: S8, it names that version. The rest are the rows of the table.
pub(super) fn check(rig: &Rig, write: &LeaseWrite) {
    let told = rig.told.as_ref().and_then(|seen| seen.object.as_ref());
    let base = told.expect("S8: a write is decided from an existing lease");
    assert_eq!(
        (&write.uid, &write.base),
        (&base.uid, &base.revision),
        "S8: {write:?}"
    );
    let (from, to) = (&base.record, &write.record);
    from_state(rig, write.kind, base.state(), from);
    match write.kind {
        WriteKind::Accept => {
            assert_eq!(to.holder.as_ref(), Some(&rig.settings.identity));
            assert_eq!(to.incarnation.as_ref(), Some(&rig.settings.incarnation));
            assert_eq!(to.acquire_time, to.renew_time);
            assert_eq!(to.transitions, from.transitions + 1, "S7");
            assert_eq!(to.preferred_holder, from.preferred_holder);
            assert!(!to.end_of_term);
            shortest(rig, from, to);
        }
        // The record of client-go's `tryAcquireOrRenew`.
        WriteKind::Claim => assert_eq!(
            *to,
            Record {
                holder: Some(rig.settings.identity.clone()),
                renew_time: to.renew_time,
                acquire_time: to.renew_time,
                duration: Some(rig.settings.timing.lease_duration()),
                transitions: from.transitions + 1,
                ..Record::default()
            },
            "S7, and nothing of the last holder"
        ),
        // The record of client-go's `release`.
        WriteKind::Release if rig.direct => assert_eq!(
            *to,
            Record {
                renew_time: to.renew_time,
                acquire_time: to.renew_time,
                duration: LeaseSeconds::new(1),
                transitions: to.transitions,
                elected: from.elected,
                ..Record::default()
            }
        ),
        WriteKind::Renew => {
            let expected = Record {
                renew_time: to.renew_time,
                duration: to.duration,
                ..from.clone()
            };
            assert_eq!(*to, expected);
            shortest(rig, from, to);
        }
        WriteKind::EndOfTerm => assert_eq!(
            *to,
            Record {
                end_of_term: true,
                ..from.clone()
            }
        ),
        WriteKind::HandOver => assert_eq!(
            *to,
            Record {
                holder: from.preferred_holder.clone(),
                ..blank(from)
            }
        ),
        WriteKind::Release => {
            let transitions = if from.holder.is_some() {
                from.transitions
            } else {
                to.transitions
            };
            assert_eq!(
                *to,
                Record {
                    renew_time: to.renew_time,
                    transitions,
                    ..blank(from)
                }
            );
        }
        WriteKind::Decline => assert_eq!(
            *to,
            Record {
                renew_time: to.renew_time,
                ..blank(from)
            }
        ),
        WriteKind::Offer | WriteKind::Nominate => panic!("S4: only the elector writes {}", write.kind),
    }
    if write.kind != WriteKind::EndOfTerm && write.kind != WriteKind::HandOver {
        assert!(to.renew_time.is_some(), "each attempt has a stamp");
        assert_ne!(to.renew_time, from.renew_time, "a stamp of its own");
        let absurd = rig.clocks().wall.as_micros() + 86_400_000_000;
        if from.renew_time.is_some_and(|stamp| stamp.as_micros() < absurd) {
            assert!(to.renew_time > from.renew_time, "later than the one on the lease");
        }
        assert!(
            rig.stamps.iter().all(|stamp| Some(*stamp) != to.renew_time),
            "a stamp of its own"
        );
    }
}

fn from_state(rig: &Rig, kind: WriteKind, state: LeaseState, from: &Record) {
    let me = Some(&rig.settings.identity);
    let working = rig.work.is_some();
    let own = from.holder.as_ref() == me
        && (rig.direct || from.incarnation.as_ref() == Some(&rig.settings.incarnation))
        && state == LeaseState::Held;
    let able = rig.healthy && rig.wanted && !rig.leaving;
    let successor = from.preferred_holder.as_ref().filter(|to| Some(*to) != me);
    match kind {
        WriteKind::Accept => {
            assert!(
                state == LeaseState::Offered && from.holder.as_ref() == me,
                "S3, S4: {from:?}"
            );
            assert!(able, "only who can lead accepts");
            assert!(!working, "S6: no acceptance while old work runs");
        }
        WriteKind::Claim => {
            assert!(
                rig.direct && !from.elected,
                "S4: an elected lease is never claimed"
            );
            assert!(able, "only who can lead claims");
            assert!(!working, "S6: no claim while old work runs");
        }
        WriteKind::Renew => {
            assert!(
                own && !from.end_of_term,
                "only an own record without end-of-term: {from:?}"
            );
            let work = rig.work.as_ref().expect("only a leader renews");
            assert!(
                rig.now < work.deadline,
                "S1: nothing is renewed after the deadline"
            );
        }
        WriteKind::EndOfTerm => {
            assert!(
                state == LeaseState::Held && from.preferred_holder.as_ref() == me,
                "{from:?}"
            );
            assert!(from.holder.as_ref() != me && able);
        }
        WriteKind::HandOver => {
            assert!(!working, "S6: never under running work");
            assert!(own && successor.is_some(), "{from:?}");
        }
        WriteKind::Release => {
            assert!(!working, "S6: never under running work");
            assert!(
                (own && successor.is_none()) || state == LeaseState::Fresh,
                "{from:?}"
            );
        }
        WriteKind::Decline => {
            assert!(
                state == LeaseState::Offered && from.holder.as_ref() == me,
                "{from:?}"
            );
            assert!(!able, "who can lead does not decline");
        }
        WriteKind::Offer | WriteKind::Nominate => {}
    }
}

/// What every write that ends a holder's time leaves.
fn blank(from: &Record) -> Record {
    Record {
        duration: from.duration,
        transitions: from.transitions,
        elected: from.elected,
        ..Record::default()
    }
}

fn shortest(rig: &Rig, from: &Record, to: &Record) {
    let own = rig.settings.timing.lease_duration();
    assert_eq!(
        to.duration,
        Some(from.duration.map_or(own, |recorded| recorded.min(own)))
    );
}
