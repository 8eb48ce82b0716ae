//! Kubernetes objects to records and back: the only place that knows what an annotation is called.
//!
//! Reading never fails as a whole: what cannot be read becomes a [`Refusal`], or an absent value, that people can see.
//! Writing starts from the object that was read and changes only what the protocol names, so labels, owners,
//! finalizers and foreign annotations stay as they are.

mod facts;

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use k8s_openapi::jiff::Timestamp;

use crate::control::{Controls, first_word};
use crate::identity::{IdentityLease, Refusal};
pub use crate::item::{ELECTORS_LEASE, Item, NODE_LEASE_NAMESPACE, may_be_leader_lease};
use crate::lease::{LeaderLease, LeaseCreate, LeaseWrite, Record};
use crate::names::{Identity, Incarnation, LeaseKey, shorten};
use crate::strategy::Versions;
use crate::time::{LeaseSeconds, Wall};
use crate::timing::{ParseTimingError, Timing};
use crate::version::Version;
use facts::Facts;

/// Identity lease: the leader leases that the candidate offers itself for (prototype of KEP-4355).
pub const CAN_LEAD_LEASES: &str = "coordination.k8s.io/can-lead-leases";
/// Identity lease: what the program is (prototype of KEP-4355).
pub const BINARY_VERSION: &str = "coordination.k8s.io/binary-version";
/// Identity lease: what it behaves as, the emulation version (prototype of KEP-4355).
pub const COMPATIBILITY_VERSION: &str = "coordination.k8s.io/compatibility-version";
/// Leader lease: which elector granted it (prototype of KEP-4355).
pub const ELECTED_BY: &str = "coordination.k8s.io/elected-by";
/// Leader lease: the holder must stop, release, and not renew (prototype of KEP-4355).
pub const END_OF_TERM: &str = "coordination.k8s.io/end-of-term";
/// Leader lease: the nominated successor.
pub const PREFERRED_HOLDER: &str = "coordinated-election.io/preferred-holder";
/// Leader lease: the strategy that it asks for.
pub const STRATEGY: &str = "coordinated-election.io/strategy";
/// Leader lease: no preemption ([`crate::Hold`]).
pub const HOLD: &str = "coordinated-election.io/hold";
/// Leader lease: the identity that leads whenever it can.
pub const PIN: &str = "coordinated-election.io/pin";
/// Leader lease: the process that should not lead while anybody else can ([`crate::StepDown`]).
pub const STEP_DOWN: &str = "coordinated-election.io/step-down";
/// Leader lease: the identity that comes first while the step-down stands.
pub const STEP_DOWN_TO: &str = "coordinated-election.io/step-down-to";
/// Both: a fresh value for each start of a process.
pub const INCARNATION: &str = "coordinated-election.io/incarnation";

/// Identity lease: the knobs that the process runs with, for people; no election reads it.
pub const TIMING: &str = "coordinated-election.io/timing";

/// The value of [`ELECTED_BY`].
pub const ELECTED_BY_VALUE: &str = "leader-election-controller";

/// Reads a Lease. `None` when it has no name, namespace, uid or resource version, which no server sends.
#[must_use]
pub fn read(lease: &Lease) -> Option<Item> {
    item(&Facts::from(lease))
}

/// Reads the text of a Lease, which is several times cheaper than to make an object of it first.
///
/// # Errors
/// When something that the protocol reads is not of the type that it should be.
pub fn read_text(text: &str) -> Result<Option<Item>, serde_json::Error> {
    serde_json::from_str(text).map(|facts| item(&facts))
}

/// Reads a Lease as a leader lease, whatever its annotations say.
#[must_use]
pub fn read_leader(lease: &Lease) -> Option<LeaderLease> {
    leader(&Facts::from(lease))
}

/// Reads a Lease as an identity lease; without an offer it names no leader lease.
#[must_use]
pub fn read_identity(lease: &Lease) -> Option<IdentityLease> {
    identity_of(&Facts::from(lease))
}

/// The knobs that a candidate has noted on its identity lease; `None` when it has not.
///
/// # Errors
/// When what stands there cannot be read.
#[must_use]
pub fn read_timing(lease: &Lease) -> Option<Result<Timing, ParseTimingError>> {
    let notes = lease.metadata.annotations.as_ref()?;
    Some(notes.get(TIMING)?.parse())
}

fn item(facts: &Facts<'_>) -> Option<Item> {
    match facts.note(CAN_LEAD_LEASES) {
        Some(_) => identity_of(facts).map(Item::Identity),
        None => leader(facts).map(Item::Leader),
    }
}

fn leader(facts: &Facts<'_>) -> Option<LeaderLease> {
    let (key, uid, revision) = facts.address()?;
    let note = |name: &str| facts.note(name).filter(|text| !text.is_empty());
    let spec = &facts.spec;
    Some(LeaderLease {
        key,
        uid,
        revision,
        record: Record {
            holder: spec.holder().map(Identity::new),
            renew_time: spec.renew_time(),
            acquire_time: spec.acquire_time(),
            duration: spec.duration(),
            transitions: spec.transitions(),
            incarnation: note(INCARNATION).map(Incarnation::new),
            end_of_term: note(END_OF_TERM) == Some("true"),
            preferred_holder: note(PREFERRED_HOLDER).map(Identity::new),
            elected: note(ELECTED_BY) == Some(ELECTED_BY_VALUE),
        },
        strategy: note(STRATEGY).map(|text| text.parse().map_err(|_| shorten(text))),
        controls: controls(facts),
    })
}

fn controls(facts: &Facts<'_>) -> Option<Box<Controls>> {
    let note = |name: &str| facts.note(name).filter(|text| !first_word(text).is_empty());
    let identity = |text: &str| Identity::new(first_word(text));
    let controls = Controls {
        hold: note(HOLD).map(str::parse),
        pin: note(PIN).map(identity),
        step_down: note(STEP_DOWN).map(str::parse),
        step_down_to: note(STEP_DOWN_TO).map(identity),
    };
    (!controls.is_empty()).then(|| Box::new(controls))
}

fn identity_of(facts: &Facts<'_>) -> Option<IdentityLease> {
    let (key, uid, revision) = facts.address()?;
    let mut leads = Vec::new();
    let mut refused = Vec::new();
    for item in facts.note(CAN_LEAD_LEASES).unwrap_or_default().split(',') {
        match read_offer(&key, item.trim()) {
            Some(Ok(named)) if !leads.contains(&named) => leads.push(named),
            Some(Err(refusal)) => refused.push(refusal),
            _ => {}
        }
    }
    leads.shrink_to_fit();
    let holder = facts.spec.holder();
    let versions = if holder == Some(key.name()) {
        read_versions(facts)
    } else {
        let holder = holder.map(Identity::new);
        Err(Refusal::NameIsNotHolder { holder })
    };
    Some(IdentityLease {
        uid,
        revision,
        incarnation: facts
            .note(INCARNATION)
            .filter(|text| !text.is_empty())
            .map(Incarnation::new),
        renew_time: facts.spec.renew_time(),
        duration: facts.spec.duration().unwrap_or(LeaseSeconds::IDENTITY),
        leads,
        refused,
        versions,
        created: facts.created(),
        owned_by_pod: facts.owned_by("Pod"),
        key,
    })
}

/// The object that a conditional update leaves: `base` with the record of the write, and nothing else changed.
#[must_use]
pub fn update(base: &Lease, write: &LeaseWrite) -> Lease {
    let mut lease = base.clone();
    lease.metadata.uid = Some(write.uid.as_str().to_owned());
    lease.metadata.resource_version = Some(write.base.as_str().to_owned());
    write_record(&mut lease, &write.record);
    lease
}

/// The object of an elector's create: without a holder, and without a time.
#[must_use]
pub fn create(create: &LeaseCreate) -> Lease {
    created(create, &create.record())
}

/// The object of a create in direct mode: that of an elector, without its mark.
#[must_use]
pub fn create_directly(create: &LeaseCreate) -> Lease {
    let record = Record {
        elected: false,
        ..create.record()
    };
    created(create, &record)
}

fn created(create: &LeaseCreate, record: &Record) -> Lease {
    let mut lease = Lease {
        metadata: ObjectMeta {
            namespace: Some(create.key.namespace().to_owned()),
            name: Some(create.key.name().to_owned()),
            ..ObjectMeta::default()
        },
        spec: None,
    };
    write_record(&mut lease, record);
    lease
}

fn write_record(lease: &mut Lease, record: &Record) {
    let spec = lease.spec.get_or_insert_default();
    spec.holder_identity = record.holder.as_ref().map(ToString::to_string);
    spec.renew_time = record.renew_time.map(micro_time);
    spec.acquire_time = record.acquire_time.map(micro_time);
    spec.lease_duration_seconds = record.duration.map(int32);
    spec.lease_transitions = Some(i32::try_from(record.transitions).unwrap_or(i32::MAX));
    let notes = lease.metadata.annotations.get_or_insert_default();
    annotate(
        notes,
        INCARNATION,
        record.incarnation.as_ref().map(Incarnation::as_str),
    );
    annotate(notes, END_OF_TERM, record.end_of_term.then_some("true"));
    annotate(
        notes,
        PREFERRED_HOLDER,
        record.preferred_holder.as_ref().map(Identity::as_str),
    );
    if record.elected {
        annotate(notes, ELECTED_BY, Some(ELECTED_BY_VALUE));
    }
}

/// What a candidate writes on its identity lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityRecord {
    /// The name of the identity lease.
    pub key: LeaseKey,
    /// Which process writes.
    pub incarnation: Incarnation,
    /// The leader lease that it offers itself for; `None` while it cannot lead.
    pub leads: Option<LeaseKey>,
    /// Its versions.
    pub versions: Versions,
    /// The stamp of this renewal.
    pub renew_time: Wall,
    /// How long it counts as alive afterwards.
    pub duration: LeaseSeconds,
    /// The knobs that it runs with.
    pub timing: Timing,
}

/// The object of an identity lease: `base` when it exists, with uid and resource version as preconditions, or a new one.
#[must_use]
pub fn identity(base: Option<&Lease>, record: &IdentityRecord, owner: Option<&OwnerReference>) -> Lease {
    let mut lease = base.cloned().unwrap_or_default();
    let meta = &mut lease.metadata;
    meta.namespace = Some(record.key.namespace().to_owned());
    meta.name = Some(record.key.name().to_owned());
    if let Some(owner) = owner {
        meta.owner_references = Some(Vec::from([owner.clone()]));
    }
    let leads = record.leads.as_ref().map(ToString::to_string).unwrap_or_default();
    let notes = meta.annotations.get_or_insert_default();
    annotate(notes, CAN_LEAD_LEASES, Some(&leads));
    annotate(notes, BINARY_VERSION, Some(record.versions.binary.as_str()));
    annotate(
        notes,
        COMPATIBILITY_VERSION,
        Some(record.versions.emulation.as_str()),
    );
    annotate(notes, INCARNATION, Some(record.incarnation.as_str()));
    annotate(notes, TIMING, Some(&record.timing.to_string()));
    let spec = lease.spec.get_or_insert_default();
    spec.holder_identity = Some(record.key.name().to_owned());
    spec.lease_duration_seconds = Some(int32(record.duration));
    spec.renew_time = Some(micro_time(record.renew_time));
    lease
}

fn read_offer(own: &LeaseKey, item: &str) -> Option<Result<LeaseKey, Refusal>> {
    if item.is_empty() {
        return None;
    }
    Some(match item.parse::<LeaseKey>() {
        Err(error) => Err(Refusal::LeaseUnreadable {
            why: error.to_string(),
        }),
        Ok(lease) if lease.namespace() != own.namespace() => Err(Refusal::OtherNamespace { lease }),
        Ok(lease) if lease == *own || !may_be_leader_lease(&lease) => {
            Err(Refusal::NeverALeaderLease { lease })
        }
        Ok(lease) => Ok(lease),
    })
}

fn read_versions(facts: &Facts<'_>) -> Result<Versions, Refusal> {
    let read = |which, key| -> Result<Version, Refusal> {
        let text = facts.note(key).ok_or(Refusal::VersionMissing { which })?;
        text.parse::<Version>()
            .map_err(|error| Refusal::VersionUnreadable {
                which,
                why: error.to_string(),
            })
    };
    Ok(Versions {
        binary: read("binary", BINARY_VERSION)?,
        emulation: read("emulation", COMPATIBILITY_VERSION)?,
    })
}

fn annotate(notes: &mut BTreeMap<String, String>, key: &str, value: Option<&str>) {
    match value {
        Some(value) => notes.insert(key.to_owned(), value.to_owned()),
        None => notes.remove(key),
    };
}

fn micro_time(wall: Wall) -> MicroTime {
    MicroTime(Timestamp::from_microsecond(wall.as_micros()).unwrap_or_default())
}

fn int32(seconds: LeaseSeconds) -> i32 {
    i32::try_from(seconds.get()).unwrap_or(i32::MAX)
}
