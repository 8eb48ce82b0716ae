//! The API server of a test: one leader lease, the identity leases, one revision counter, and honest conditions.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use crate::candidate::{IdentityWrite, Seen, Settings};
use crate::identity::IdentityLease;
use crate::lease::{LeaderLease, LeaseWrite, Record};
use crate::names::{Identity, Incarnation, LeaseKey, Revision, Uid};
use crate::time::LeaseSeconds;

/// The server refused: 409 or 404.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused;

#[derive(Debug)]
pub(super) struct Server {
    revision: u64,
    uids: u64,
    /// Each state that the leader lease was in, absence included; the last one holds.
    history: Vec<Seen<LeaderLease>>,
    identities: BTreeMap<Identity, Seen<IdentityLease>>,
}

pub(super) fn lease_key() -> LeaseKey {
    LeaseKey::new("kube-system", "demo")
}

impl Server {
    pub(super) fn new() -> Self {
        Self {
            revision: 100,
            uids: 0,
            history: Vec::from([Seen {
                as_of: Revision::new("100"),
                object: None,
            }]),
            identities: BTreeMap::new(),
        }
    }

    fn next(&mut self) -> Revision {
        self.revision += 1;
        Revision::from(&*format!("{}", self.revision))
    }

    // --- The leader lease -------------------------------------------------------------------------------------------

    pub(super) fn lease(&self) -> Option<&LeaderLease> {
        self.seen().object.as_ref()
    }

    pub(super) fn record(&self) -> &Record {
        &self.lease().expect("the leader lease exists").record
    }

    /// What a watch shows: the last state, as of when it came about.
    pub(super) fn seen(&self) -> &Seen<LeaderLease> {
        self.history.last().expect("there is always a state")
    }

    /// What a consistent read shows: the last state, as of now.
    pub(super) fn read(&self) -> Seen<LeaderLease> {
        let as_of = Revision::from(&*format!("{}", self.revision));
        Seen {
            as_of,
            object: self.lease().cloned(),
        }
    }

    /// A state of the past; `back` 0 is the last one.
    pub(super) fn past(&self, back: usize) -> Seen<LeaderLease> {
        let last = self.history.len() - 1;
        self.history[last.saturating_sub(back)].clone()
    }

    /// A conditional update.
    pub(super) fn put(&mut self, write: &LeaseWrite) -> Result<Seen<LeaderLease>, Refused> {
        match self.lease() {
            Some(lease) if lease.uid == write.uid && lease.revision == write.base => {
                self.edit(|record| *record = write.record.clone());
                Ok(self.seen().clone())
            }
            _ => Err(Refused),
        }
    }

    /// Somebody creates the lease with this record; the elector's has no holder.
    pub(super) fn create(&mut self, record: Record) {
        assert_eq!(self.lease(), None, "a create needs an absent lease");
        self.uids += 1;
        let revision = self.next();
        self.history.push(Seen {
            as_of: revision.clone(),
            object: Some(LeaderLease {
                key: lease_key(),
                uid: Uid::from(&*format!("uid-{}", self.uids)),
                revision,
                record,
                strategy: None,
                controls: None,
            }),
        });
    }

    /// A create of a candidate in direct mode.
    pub(super) fn post(&mut self, duration: LeaseSeconds) -> Result<Seen<LeaderLease>, Refused> {
        if self.lease().is_some() {
            return Err(Refused);
        }
        self.create(Record {
            duration: Some(duration),
            ..Record::default()
        });
        Ok(self.seen().clone())
    }

    pub(super) fn delete(&mut self) {
        let as_of = self.next();
        self.history.push(Seen { as_of, object: None });
    }

    /// Somebody else changes the lease, or only touches it.
    pub(super) fn edit(&mut self, change: impl FnOnce(&mut Record)) {
        let mut lease = self
            .lease()
            .expect("only an existing lease can be edited")
            .clone();
        change(&mut lease.record);
        lease.revision = self.next();
        self.history.push(Seen {
            as_of: lease.revision.clone(),
            object: Some(lease),
        });
    }

    // --- Identity leases --------------------------------------------------------------------------------------------

    pub(super) fn identity(&self, identity: &Identity) -> Seen<IdentityLease> {
        let absent = Seen {
            as_of: Revision::new("100"),
            object: None,
        };
        self.identities.get(identity).cloned().unwrap_or(absent)
    }

    /// What a consistent read shows.
    pub(super) fn read_identity(&self, identity: &Identity) -> Seen<IdentityLease> {
        let as_of = Revision::from(&*format!("{}", self.revision));
        Seen {
            as_of,
            ..self.identity(identity)
        }
    }

    pub(super) fn write_identity(
        &mut self,
        who: &Settings,
        write: &IdentityWrite,
    ) -> Result<Seen<IdentityLease>, Refused> {
        let found = self.identity(&who.identity).object;
        let object = match (write, found) {
            (
                IdentityWrite::Create {
                    offers,
                    renew_time,
                    duration,
                },
                None,
            ) => {
                self.uids += 1;
                Some(IdentityLease {
                    key: who.identity_key(),
                    uid: Uid::from(&*format!("uid-{}", self.uids)),
                    revision: Revision::new(""),
                    incarnation: Some(who.incarnation.clone()),
                    renew_time: Some(*renew_time),
                    duration: *duration,
                    leads: offers.then(lease_key).into_iter().collect(),
                    refused: Vec::new(),
                    versions: Ok(who.versions.clone()),
                    created: None,
                    owned_by_pod: false,
                })
            }
            (
                IdentityWrite::Update {
                    uid,
                    base,
                    offers,
                    renew_time,
                    ..
                },
                Some(lease),
            ) if lease.uid == *uid && lease.revision == *base => Some(IdentityLease {
                incarnation: Some(who.incarnation.clone()),
                renew_time: Some(*renew_time),
                leads: offers.then(lease_key).into_iter().collect(),
                ..lease
            }),
            (IdentityWrite::Delete { uid, base }, Some(lease))
                if lease.uid == *uid && lease.revision == *base =>
            {
                None
            }
            _ => return Err(Refused),
        };
        Ok(self.set_identity(&who.identity, object))
    }

    /// Somebody else changes the identity lease, if it exists.
    pub(super) fn edit_identity(&mut self, identity: &Identity, change: impl FnOnce(&mut IdentityLease)) {
        if let Some(mut lease) = self.identity(identity).object {
            change(&mut lease);
            self.set_identity(identity, Some(lease));
        }
    }

    /// Another process takes the identity over.
    pub(super) fn oust(&mut self, identity: &Identity, by: &str) {
        self.edit_identity(identity, |lease| lease.incarnation = Some(Incarnation::new(by)));
    }

    pub(super) fn delete_identity(&mut self, identity: &Identity) {
        if self.identity(identity).object.is_some() {
            self.set_identity(identity, None);
        }
    }

    fn set_identity(&mut self, identity: &Identity, object: Option<IdentityLease>) -> Seen<IdentityLease> {
        let as_of = self.next();
        let object = object.map(|lease| IdentityLease {
            revision: as_of.clone(),
            ..lease
        });
        let seen = Seen { as_of, object };
        self.identities.insert(identity.clone(), seen.clone());
        seen
    }
}
