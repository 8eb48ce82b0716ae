//! The API server of the model: one leader lease, the identity leases, one revision counter, and the conditions of a real
//! one. That includes what it does with a request that names no uid or no resource version, so that a mistake there shows
//! as it would in a cluster.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use election_core::candidate::{IdentityWrite, Seen, Settings};
use election_core::{
    Controls, IdentityLease, Item, LeaderLease, LeaseCreate, LeaseKey, LeaseWrite, Record, Refusal, Revision,
    Uid, Versions,
};

use crate::clock::WALL;

/// What the server has.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    key: LeaseKey,
    revision: u64,
    uids: u64,
    /// The identity leases whose versions cannot be read.
    unreadable: Vec<LeaseKey>,
    pub(crate) lease: Option<LeaderLease>,
    pub(crate) identities: BTreeMap<LeaseKey, IdentityLease>,
}

/// A change, as a watch shows it.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Change {
    pub(crate) item: Item,
    pub(crate) deleted: bool,
}

/// A request to the server.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Ask {
    Put(LeaseWrite),
    Post(LeaseCreate),
    Get,
    WriteIdentity(Arc<Settings>, IdentityWrite),
    GetIdentity(LeaseKey),
    DeleteIdentity {
        key: LeaseKey,
        uid: Uid,
        revision: Revision,
    },
}

impl Ask {
    /// Whether only one of two writes to the leader lease can land.
    pub(crate) fn competes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Put(this), Self::Put(other)) => this.uid == other.uid && this.base == other.base,
            (Self::Post(_), Self::Post(_)) => true,
            _ => false,
        }
    }
}

/// Its answer.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Reply {
    Lease(Seen<LeaderLease>),
    Identity(Seen<IdentityLease>),
    Conflict,
}

/// The counter is hashed like the revisions that the state remembers: what is listed next is as of it, and it may be as new as
/// the newest of them or newer.
impl Hash for Server {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            key: _,
            revision,
            uids,
            unreadable: _,
            lease,
            identities,
        } = self;
        (revision.to_string(), uids, lease, identities).hash(state);
    }
}

impl Server {
    pub(crate) fn new(key: LeaseKey, unreadable: Vec<LeaseKey>) -> Self {
        Self {
            key,
            revision: 100,
            uids: 0,
            unreadable,
            lease: None,
            identities: BTreeMap::new(),
        }
    }

    /// Whether a request that was given up by its sender could still change anything.
    pub(crate) fn could_change(&self, ask: &Ask) -> bool {
        match ask {
            Ask::Get | Ask::GetIdentity(_) => false,
            Ask::Put(write) => self.takes(write),
            // It lands whenever the lease is missing.
            Ask::Post(_) => true,
            Ask::WriteIdentity(who, write) => match write {
                IdentityWrite::Create { .. } => true,
                IdentityWrite::Update { uid, base, .. } | IdentityWrite::Delete { uid, base } => {
                    self.is_identity(&who.identity_key(), uid, base)
                }
            },
            Ask::DeleteIdentity { key, uid, revision } => self.is_identity(key, uid, revision),
        }
    }

    /// Carries a request out, or refuses it.
    pub(crate) fn serve(&mut self, ask: &Ask) -> (Reply, Option<Change>) {
        match ask {
            Ask::Get => (Reply::Lease(self.read()), None),
            Ask::GetIdentity(key) => (Reply::Identity(self.read_identity(key)), None),
            Ask::Put(write) => self.put(write),
            Ask::Post(create) => self.post(create),
            Ask::WriteIdentity(who, write) => self.write_identity(who, write),
            Ask::DeleteIdentity { key, uid, revision } => {
                if !self.is_identity(key, uid, revision) {
                    return (Reply::Conflict, None);
                }
                let change = self.delete_identity(key);
                (Reply::Identity(self.read_identity(key)), change)
            }
        }
    }

    // --- The leader lease -------------------------------------------------------------------------------------------

    /// What a consistent read shows.
    pub(crate) fn read(&self) -> Seen<LeaderLease> {
        let as_of = self.lease.as_ref().map(|lease| lease.revision.clone());
        Seen {
            as_of: as_of.unwrap_or_else(|| self.now()),
            object: self.lease.clone(),
        }
    }

    /// What the watch shows of the leader lease as of now.
    pub(crate) fn list(&self) -> Seen<LeaderLease> {
        Seen {
            as_of: self.now(),
            object: self.lease.clone(),
        }
    }

    /// Every Lease that there is.
    pub(crate) fn items(&self) -> Vec<Item> {
        let identities = self.identities.values().cloned().map(Item::Identity);
        self.lease
            .iter()
            .cloned()
            .map(Item::Leader)
            .chain(identities)
            .collect()
    }

    /// As a real server: a missing precondition is no precondition.
    fn takes(&self, write: &LeaseWrite) -> bool {
        match &self.lease {
            None => write.uid.as_str().is_empty(),
            Some(lease) => {
                let uid = write.uid.as_str().is_empty() || lease.uid == write.uid;
                uid && (write.base.as_str().is_empty() || lease.revision == write.base)
            }
        }
    }

    fn put(&mut self, write: &LeaseWrite) -> (Reply, Option<Change>) {
        if !self.takes(write) {
            return (Reply::Conflict, None);
        }
        if self
            .lease
            .as_ref()
            .is_some_and(|lease| lease.record == write.record)
        {
            return (Reply::Lease(self.read()), None);
        }
        let change = match self.lease.clone() {
            None => self.create(write.record.clone()),
            Some(lease) => {
                let revision = self.next();
                self.store(write.applied_to(&lease, revision))
            }
        };
        (Reply::Lease(self.read()), Some(change))
    }

    fn post(&mut self, create: &LeaseCreate) -> (Reply, Option<Change>) {
        if self.lease.is_some() {
            return (Reply::Conflict, None);
        }
        let change = self.create(create.record());
        (Reply::Lease(self.read()), Some(change))
    }

    fn create(&mut self, record: Record) -> Change {
        let lease = LeaderLease {
            key: self.key.clone(),
            uid: self.uid(),
            revision: self.next(),
            record,
            strategy: None,
            controls: None,
        };
        self.store(lease)
    }

    fn store(&mut self, lease: LeaderLease) -> Change {
        self.lease = Some(lease.clone());
        Change {
            item: Item::Leader(lease),
            deleted: false,
        }
    }

    /// Somebody edits the leader lease by hand; `None` when there is nothing to change.
    pub(crate) fn edit(&mut self, edit: impl FnOnce(&mut Record)) -> Option<Change> {
        let mut lease = self.lease.clone()?;
        edit(&mut lease.record);
        if self
            .lease
            .as_ref()
            .is_some_and(|before| before.record == lease.record)
        {
            return None;
        }
        lease.revision = self.next();
        Some(self.store(lease))
    }

    /// Somebody asks something of the election; `None` when that was asked for before.
    pub(crate) fn steer(&mut self, wish: impl FnOnce(&Record, &mut Controls)) -> Option<Change> {
        let mut lease = self.lease.clone()?;
        let mut controls = lease
            .controls
            .take()
            .map(|controls| *controls)
            .unwrap_or_default();
        wish(&lease.record, &mut controls);
        lease.controls = (!controls.is_empty()).then(|| Box::new(controls));
        if self
            .lease
            .as_ref()
            .is_some_and(|before| before.controls == lease.controls)
        {
            return None;
        }
        lease.revision = self.next();
        Some(self.store(lease))
    }

    /// Somebody deletes the leader lease.
    pub(crate) fn delete(&mut self) -> Option<Change> {
        let mut lease = self.lease.take()?;
        lease.revision = self.next();
        Some(Change {
            item: Item::Leader(lease),
            deleted: true,
        })
    }

    // --- Identity leases --------------------------------------------------------------------------------------------

    fn is_identity(&self, key: &LeaseKey, uid: &Uid, revision: &Revision) -> bool {
        self.identities
            .get(key)
            .is_some_and(|lease| lease.uid == *uid && lease.revision == *revision)
    }

    /// What a consistent read shows.
    pub(crate) fn read_identity(&self, key: &LeaseKey) -> Seen<IdentityLease> {
        let object = self.identities.get(key).cloned();
        let as_of = object.as_ref().map(|lease| lease.revision.clone());
        Seen {
            as_of: as_of.unwrap_or_else(|| self.now()),
            object,
        }
    }

    fn write_identity(&mut self, who: &Settings, write: &IdentityWrite) -> (Reply, Option<Change>) {
        let key = who.identity_key();
        let change = match write {
            IdentityWrite::Create {
                offers,
                renew_time,
                duration,
            } => {
                if self.identities.contains_key(&key) {
                    return (Reply::Conflict, None);
                }
                let lease = IdentityLease {
                    key: key.clone(),
                    uid: self.uid(),
                    revision: self.next(),
                    incarnation: Some(who.incarnation.clone()),
                    renew_time: Some(*renew_time),
                    duration: *duration,
                    leads: self.leads(*offers),
                    refused: Vec::new(),
                    versions: self.versions(who),
                    created: Some(WALL),
                    owned_by_pod: false,
                };
                Some(self.store_identity(lease))
            }
            IdentityWrite::Update {
                uid,
                base,
                offers,
                renew_time,
                duration,
            } => {
                if !self.is_identity(&key, uid, base) {
                    return (Reply::Conflict, None);
                }
                let versions = self.versions(who);
                self.edit_identity(&key, |lease, leads| {
                    lease.incarnation = Some(who.incarnation.clone());
                    lease.versions = versions;
                    lease.renew_time = Some(*renew_time);
                    lease.duration = *duration;
                    lease.leads = if *offers { vec![leads] } else { Vec::new() };
                })
            }
            IdentityWrite::Delete { uid, base } => {
                if !self.is_identity(&key, uid, base) {
                    return (Reply::Conflict, None);
                }
                self.delete_identity(&key)
            }
        };
        (Reply::Identity(self.read_identity(&key)), change)
    }

    fn leads(&self, offers: bool) -> Vec<LeaseKey> {
        offers.then(|| self.key.clone()).into_iter().collect()
    }

    /// What its identity lease says of a process.
    fn versions(&self, who: &Settings) -> Result<Versions, Refusal> {
        if self.unreadable.contains(&who.identity_key()) {
            return Err(Refusal::VersionMissing { which: "binary" });
        }
        Ok(who.versions.clone())
    }

    /// Somebody changes an identity lease.
    pub(crate) fn edit_identity(
        &mut self,
        key: &LeaseKey,
        edit: impl FnOnce(&mut IdentityLease, LeaseKey),
    ) -> Option<Change> {
        let mut lease = self.identities.get(key)?.clone();
        edit(&mut lease, self.key.clone());
        lease.revision = self.next();
        Some(self.store_identity(lease))
    }

    /// Somebody deletes an identity lease.
    pub(crate) fn delete_identity(&mut self, key: &LeaseKey) -> Option<Change> {
        let mut lease = self.identities.remove(key)?;
        lease.revision = self.next();
        Some(Change {
            item: Item::Identity(lease),
            deleted: true,
        })
    }

    fn store_identity(&mut self, lease: IdentityLease) -> Change {
        self.identities.insert(lease.key.clone(), lease.clone());
        Change {
            item: Item::Identity(lease),
            deleted: false,
        }
    }

    // --- Names ------------------------------------------------------------------------------------------------------

    fn now(&self) -> Revision {
        Revision::new(&self.revision.to_string())
    }

    fn next(&mut self) -> Revision {
        self.revision += 1;
        self.now()
    }

    fn uid(&mut self) -> Uid {
        self.uids += 1;
        Uid::new(&format!("uid-{}", self.uids))
    }
}
