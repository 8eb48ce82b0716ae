//! The leader lease: its record, its five states, and every write that the protocol knows.
//!
//! Each write is one row of the protocol's table (docs/protocol.md): it names what it was decided from (uid and
//! revision) and the whole record that it leaves. Whoever carries it out changes nothing else of the object.
//!
//! Invariant: S8, no write here can be made without a base, and a create has no holder.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use crate::control::Controls;
use crate::names::{Identity, Incarnation, LeaseKey, Revision, Uid};
use crate::strategy::Strategy;
use crate::time::{LeaseSeconds, Wall};

/// What a leader lease says about leadership.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Record {
    /// Who holds the lease or is offered it; an empty text on the wire is absent here.
    pub holder: Option<Identity>,
    /// The stamp of the last renewal; identifies the attempt, orders nothing.
    pub renew_time: Option<Wall>,
    /// The stamp of the acceptance, constant within a term.
    pub acquire_time: Option<Wall>,
    /// How long the record is good for after a renewal.
    pub duration: Option<LeaseSeconds>,
    /// Counted grants, for people.
    pub transitions: u32,
    /// Which process of that identity accepted; absent for ordinary clients.
    pub incarnation: Option<Incarnation>,
    /// The holder must stop, release, and not renew.
    pub end_of_term: bool,
    /// The nominated successor.
    pub preferred_holder: Option<Identity>,
    /// Whether an elector of this project has granted this lease.
    pub elected: bool,
}

/// A leader lease as it was read at one revision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeaderLease {
    /// Its name.
    pub key: LeaseKey,
    /// Which life of that name this is.
    pub uid: Uid,
    /// The revision at which it was read.
    pub revision: Revision,
    /// What it says about leadership.
    pub record: Record,
    /// The strategy that its annotation asks for, or the text that names none.
    pub strategy: Option<Result<Strategy, String>>,
    /// What people ask of its election; `None` when nothing.
    pub controls: Option<Box<Controls>>,
}

/// The state of a leader lease, read from the lease alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeaseState {
    /// Nobody ever held it: the elector offers it, after the quiet time.
    Fresh,
    /// Its holder gave it back: the elector offers it at once.
    Released,
    /// Its holder was removed by somebody else, and may still act: offered only after the quiet time.
    Blanked,
    /// Offered to the named candidate, which leads only after its own acceptance.
    Offered,
    /// Held until its holder releases it or nobody renews it.
    Held,
}

impl LeaseState {
    /// The name of the state.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "Fresh",
            Self::Released => "Released",
            Self::Blanked => "Blanked",
            Self::Offered => "Offered",
            Self::Held => "Held",
        }
    }
}

impl fmt::Display for LeaseState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Record {
    /// The state that this record is in.
    ///
    /// A release of this project has neither incarnation nor acquire time, one of client-go has a duration of 1 s. A
    /// client-go holder whose late release hits the lease of a later leader leaves that leader's incarnation behind:
    /// that one is Blanked, because the later leader may still act.
    #[must_use]
    pub fn state(&self) -> LeaseState {
        match (&self.holder, self.renew_time) {
            (None, None) => LeaseState::Fresh,
            (Some(_), None) => LeaseState::Offered,
            (Some(_), Some(_)) => LeaseState::Held,
            (None, Some(_)) => {
                let client_go = self.duration.is_some_and(|duration| duration.get() == 1);
                if self.incarnation.is_none() && (self.acquire_time.is_none() || client_go) {
                    LeaseState::Released
                } else {
                    LeaseState::Blanked
                }
            }
        }
    }

    /// Whether this identity is the one named as holder.
    #[must_use]
    pub fn names(&self, identity: &Identity) -> bool {
        self.holder.as_ref() == Some(identity)
    }
}

/// A conditional update of a leader lease: PUT with the uid and resource version that it was decided from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeaseWrite {
    /// Which row of the protocol's table this is.
    pub kind: WriteKind,
    /// The lease.
    pub key: LeaseKey,
    /// The uid that it was decided from.
    pub uid: Uid,
    /// The revision that it was decided from.
    pub base: Revision,
    /// What the lease says afterwards.
    pub record: Record,
}

/// A create of a missing lease: POST, never with a holder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeaseCreate {
    /// The lease.
    pub key: LeaseKey,
    /// The lease duration of whoever creates it.
    pub duration: LeaseSeconds,
}

impl LeaseCreate {
    /// What the created lease says: nothing of a holder (invariant S8).
    #[must_use]
    pub fn record(&self) -> Record {
        Record {
            duration: Some(self.duration),
            elected: true,
            ..Record::default()
        }
    }
}

/// The kinds of conditional update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WriteKind {
    /// The elector grants the lease to a candidate, which may accept.
    Offer,
    /// The candidate takes the offer: its term begins.
    Accept,
    /// A candidate in direct mode takes a lease that nobody offered: its term begins.
    Claim,
    /// The holder stays.
    Renew,
    /// The elector names, or clears, the successor.
    Nominate,
    /// The nominee asks the holder to give way.
    EndOfTerm,
    /// The holder, its work stopped, offers the lease to its nominated successor.
    HandOver,
    /// The holder, its work stopped, gives the lease back.
    Release,
    /// A candidate that cannot lead now gives its offer back.
    Decline,
}

impl WriteKind {
    /// The name of the write, as it stands in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Accept => "accept",
            Self::Claim => "claim",
            Self::Renew => "renew",
            Self::Nominate => "nominate",
            Self::EndOfTerm => "end of term",
            Self::HandOver => "hand over",
            Self::Release => "release",
            Self::Decline => "decline",
        }
    }
}

impl fmt::Display for WriteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl LeaderLease {
    /// The state of this lease.
    #[must_use]
    pub fn state(&self) -> LeaseState {
        self.record.state()
    }

    /// Elector: grants the lease to `to`.
    #[must_use]
    pub fn offer(&self, to: &Identity, duration: LeaseSeconds) -> LeaseWrite {
        self.write(
            WriteKind::Offer,
            Record {
                holder: Some(to.clone()),
                duration: Some(duration),
                transitions: self.record.transitions,
                elected: true,
                ..Record::default()
            },
        )
    }

    /// Candidate: takes an offer. `now` stamps the attempt and becomes the acquire time of the term.
    #[must_use]
    pub fn accept(
        &self,
        me: &Identity,
        incarnation: &Incarnation,
        own: LeaseSeconds,
        now: Wall,
    ) -> LeaseWrite {
        self.write(
            WriteKind::Accept,
            Record {
                holder: Some(me.clone()),
                renew_time: Some(now),
                acquire_time: Some(now),
                duration: Some(self.shorter(own)),
                transitions: self.next_transition(),
                incarnation: Some(incarnation.clone()),
                end_of_term: false,
                preferred_holder: self.record.preferred_holder.clone(),
                elected: self.record.elected,
            },
        )
    }

    /// The count of the next grant. `leaseTransitions` is an `int32`, so there is a last one: a candidate that wrote a higher
    /// count would not know its own record again.
    fn next_transition(&self) -> u32 {
        self.record
            .transitions
            .saturating_add(1)
            .min(i32::MAX.unsigned_abs())
    }

    /// Candidate in direct mode: takes a lease that nobody may hold any more, with the record that client-go writes. `now`
    /// stamps the attempt and becomes the acquire time of the term.
    #[must_use]
    pub fn claim(&self, me: &Identity, own: LeaseSeconds, now: Wall) -> LeaseWrite {
        self.write(
            WriteKind::Claim,
            Record {
                holder: Some(me.clone()),
                renew_time: Some(now),
                acquire_time: Some(now),
                duration: Some(own),
                transitions: self.next_transition(),
                elected: self.record.elected,
                ..Record::default()
            },
        )
    }

    /// Holder: stays. `now` stamps the attempt.
    #[must_use]
    pub fn renew(&self, own: LeaseSeconds, now: Wall) -> LeaseWrite {
        self.write(
            WriteKind::Renew,
            Record {
                renew_time: Some(now),
                duration: Some(self.shorter(own)),
                end_of_term: false,
                ..self.record.clone()
            },
        )
    }

    /// Elector: names the successor, or clears it.
    #[must_use]
    pub fn nominate(&self, successor: Option<&Identity>) -> LeaseWrite {
        self.write(
            WriteKind::Nominate,
            Record {
                preferred_holder: successor.cloned(),
                ..self.record.clone()
            },
        )
    }

    /// Nominee: asks the holder to give way, which proves that it sees this lease and may write it.
    #[must_use]
    pub fn end_of_term(&self, me: &Identity) -> LeaseWrite {
        self.write(
            WriteKind::EndOfTerm,
            Record {
                end_of_term: true,
                preferred_holder: Some(me.clone()),
                ..self.record.clone()
            },
        )
    }

    /// Holder whose work has stopped: offers the lease to the nominated successor in the same write that gives it back.
    #[must_use]
    pub fn hand_over(&self, successor: &Identity) -> LeaseWrite {
        self.write(
            WriteKind::HandOver,
            Record {
                holder: Some(successor.clone()),
                ..self.vacated()
            },
        )
    }

    /// Holder whose work has stopped: gives the lease back. `transitions` are those of its own term, which a lease that
    /// was deleted and created again has forgotten.
    #[must_use]
    pub fn release(&self, transitions: u32, now: Wall) -> LeaseWrite {
        self.write(
            WriteKind::Release,
            Record {
                renew_time: Some(now),
                transitions,
                ..self.vacated()
            },
        )
    }

    /// Holder in direct mode whose work has stopped: gives the lease back with the record of client-go's
    /// `ReleaseOnCancel`, which both sides read as released. `transitions` as in [`LeaderLease::release`].
    #[must_use]
    pub fn release_directly(&self, transitions: u32, now: Wall) -> LeaseWrite {
        self.write(
            WriteKind::Release,
            Record {
                renew_time: Some(now),
                acquire_time: Some(now),
                duration: LeaseSeconds::new(1),
                transitions,
                ..self.vacated()
            },
        )
    }

    /// Candidate that cannot lead now: gives its offer back.
    #[must_use]
    pub fn decline(&self, now: Wall) -> LeaseWrite {
        self.write(
            WriteKind::Decline,
            Record {
                renew_time: Some(now),
                ..self.vacated()
            },
        )
    }

    fn vacated(&self) -> Record {
        Record {
            duration: self.record.duration,
            transitions: self.record.transitions,
            elected: self.record.elected,
            ..Record::default()
        }
    }

    fn shorter(&self, own: LeaseSeconds) -> LeaseSeconds {
        self.record.duration.map_or(own, |recorded| recorded.min(own))
    }

    fn write(&self, kind: WriteKind, record: Record) -> LeaseWrite {
        LeaseWrite {
            kind,
            key: self.key.clone(),
            uid: self.uid.clone(),
            base: self.revision.clone(),
            record,
        }
    }
}

impl LeaseWrite {
    /// The lease as this write leaves it, at the revision that the server gave it.
    #[must_use]
    pub fn applied_to(&self, lease: &LeaderLease, revision: Revision) -> LeaderLease {
        LeaderLease {
            record: self.record.clone(),
            revision,
            ..lease.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECONDS: LeaseSeconds = LeaseSeconds::LEADER;

    fn at(micros: i64) -> Option<Wall> {
        Some(Wall::from_micros(micros))
    }

    fn held() -> LeaderLease {
        LeaderLease {
            key: LeaseKey::new("kube-system", "demo"),
            uid: Uid::new("u1"),
            revision: Revision::new("7"),
            record: Record {
                holder: Some("alpha".into()),
                renew_time: at(20),
                acquire_time: at(10),
                duration: Some(SECONDS),
                transitions: 3,
                incarnation: Some("i-alpha".into()),
                end_of_term: false,
                preferred_holder: Some("bravo".into()),
                elected: true,
            },
            strategy: None,
            controls: None,
        }
    }

    #[test]
    fn the_state_is_read_from_the_record_alone() {
        let check = |change: fn(&mut Record), expected: LeaseState| {
            let mut record = held().record;
            change(&mut record);
            assert_eq!(record.state(), expected, "{record:?}");
        };
        check(|_| (), LeaseState::Held);
        check(|r| r.renew_time = None, LeaseState::Offered);
        check(|r| (r.holder, r.renew_time) = (None, None), LeaseState::Fresh);
        check(
            |r| (r.holder, r.incarnation, r.acquire_time) = (None, None, None),
            LeaseState::Released,
        );
        check(
            |r| (r.holder, r.incarnation, r.duration) = (None, None, LeaseSeconds::new(1)),
            LeaseState::Released,
        );
        check(
            |r| (r.holder, r.duration) = (None, LeaseSeconds::new(1)),
            LeaseState::Blanked,
        );
        check(|r| (r.holder, r.incarnation) = (None, None), LeaseState::Blanked);
        check(|r| (r.holder, r.acquire_time) = (None, None), LeaseState::Blanked);
        check(|r| r.holder = None, LeaseState::Blanked);
    }

    /// The table of docs/protocol.md, row by row.
    #[test]
    fn each_write_leaves_the_record_of_its_row() {
        let mut lease = held();
        lease.record.end_of_term = true;
        let before = lease.record.clone();
        let short = LeaseSeconds::new(5).expect("positive");
        let check = |write: LeaseWrite, kind: WriteKind, expected: Record| {
            assert_eq!(
                (write.kind, &write.uid, &write.base),
                (kind, &lease.uid, &lease.revision)
            );
            assert_eq!(write.record, expected, "{kind}");
        };
        let vacated = Record {
            duration: Some(SECONDS),
            transitions: 3,
            elected: true,
            ..Record::default()
        };
        check(
            lease.offer(&"bravo".into(), short),
            WriteKind::Offer,
            Record {
                holder: Some("bravo".into()),
                duration: Some(short),
                ..vacated.clone()
            },
        );
        check(
            lease.accept(&"bravo".into(), &"i-bravo".into(), short, Wall::from_micros(30)),
            WriteKind::Accept,
            Record {
                holder: Some("bravo".into()),
                renew_time: at(30),
                acquire_time: at(30),
                duration: Some(short),
                transitions: 4,
                incarnation: Some("i-bravo".into()),
                end_of_term: false,
                ..before.clone()
            },
        );
        check(
            lease.claim(&"bravo".into(), short, Wall::from_micros(30)),
            WriteKind::Claim,
            Record {
                holder: Some("bravo".into()),
                renew_time: at(30),
                acquire_time: at(30),
                duration: Some(short),
                transitions: 4,
                ..vacated.clone()
            },
        );
        check(
            lease.release_directly(3, Wall::from_micros(30)),
            WriteKind::Release,
            Record {
                renew_time: at(30),
                acquire_time: at(30),
                duration: LeaseSeconds::new(1),
                ..vacated.clone()
            },
        );
        check(
            lease.renew(LeaseSeconds::IDENTITY, Wall::from_micros(30)),
            WriteKind::Renew,
            Record {
                renew_time: at(30),
                end_of_term: false,
                ..before.clone()
            },
        );
        check(
            lease.nominate(Some(&"charlie".into())),
            WriteKind::Nominate,
            Record {
                preferred_holder: Some("charlie".into()),
                ..before.clone()
            },
        );
        check(
            lease.nominate(None),
            WriteKind::Nominate,
            Record {
                preferred_holder: None,
                ..before.clone()
            },
        );
        check(
            lease.end_of_term(&"charlie".into()),
            WriteKind::EndOfTerm,
            Record {
                end_of_term: true,
                preferred_holder: Some("charlie".into()),
                ..before.clone()
            },
        );
        check(
            lease.hand_over(&"bravo".into()),
            WriteKind::HandOver,
            Record {
                holder: Some("bravo".into()),
                ..vacated.clone()
            },
        );
        check(
            lease.release(3, Wall::from_micros(30)),
            WriteKind::Release,
            Record {
                renew_time: at(30),
                ..vacated.clone()
            },
        );
        check(
            lease.decline(Wall::from_micros(30)),
            WriteKind::Decline,
            Record {
                renew_time: at(30),
                ..vacated
            },
        );
    }
}
