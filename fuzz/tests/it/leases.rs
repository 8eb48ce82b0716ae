//! Conversions: whatever a Lease says, a write changes what it must and carries over the rest.

use bolero::TypeGenerator;
use election_core::{Item, LeaderLease, LeaseSeconds, LeaseWrite, Wall, wire};
use k8s_openapi::api::coordination::v1::Lease;

use crate::raw::{NAMESPACE, RawLease};

/// Annotations that a write may change.
const OURS: [&str; 4] = [
    wire::ELECTED_BY,
    wire::END_OF_TERM,
    wire::PREFERRED_HOLDER,
    wire::INCARNATION,
];

/// A write of the protocol.
#[derive(Clone, Copy, Debug, TypeGenerator)]
enum Kind {
    Offer,
    Accept,
    Renew,
    Nominate,
    ClearNomination,
    EndOfTerm,
    HandOver,
    Release,
    Decline,
}

impl Kind {
    fn of(self, lease: &LeaderLease, seconds: LeaseSeconds, now: Wall) -> LeaseWrite {
        let me = "alpha".into();
        match self {
            Self::Offer => lease.offer(&me, seconds),
            Self::Accept => lease.accept(&me, &"i".into(), seconds, now),
            Self::Renew => lease.renew(seconds, now),
            Self::Nominate => lease.nominate(Some(&me)),
            Self::ClearNomination => lease.nominate(None),
            Self::EndOfTerm => lease.end_of_term(&me),
            Self::HandOver => lease.hand_over(&me),
            Self::Release => lease.release(lease.record.transitions, now),
            Self::Decline => lease.decline(now),
        }
    }
}

#[test]
fn a_write_changes_what_it_names_and_nothing_else() {
    bolero::check!()
        .with_type::<(RawLease, Kind, u32, i64)>()
        .for_each(|(raw, kind, seconds, now)| {
            let base = raw.lease("demo", "u1", 7);
            let Some(lease) = wire::read_leader(&base) else {
                panic!("a Lease with name, namespace, uid and version is a lease");
            };
            // What a wall clock shows before the year 9999.
            let now = Wall::from_micros(now.rem_euclid(1 << 57));
            let seconds = LeaseSeconds::new(*seconds).unwrap_or(LeaseSeconds::LEADER);
            let write = kind.of(&lease, seconds, now);
            let updated = wire::update(&base, &write);
            // Invariant: S8.
            assert_eq!(updated.metadata.uid, base.metadata.uid);
            assert_eq!(updated.metadata.resource_version, base.metadata.resource_version);
            assert_eq!(without_ours(updated.clone()), without_ours(base));
            let read = wire::read_leader(&updated).expect("it is still a lease");
            assert_eq!(
                read.record,
                write.applied_to(&lease, lease.revision.clone()).record
            );
        });
}

/// What every write has to carry over.
fn without_ours(mut lease: Lease) -> Lease {
    lease.spec = None;
    let annotations = lease.metadata.annotations.get_or_insert_default();
    annotations.retain(|key, _| !OURS.contains(&key.as_str()));
    lease
}

#[test]
fn an_identity_lease_names_leases_of_its_own_namespace_only() {
    bolero::check!().with_type::<RawLease>().for_each(|raw| {
        let lease = raw.lease("alpha", "u1", 7);
        let Some(Item::Identity(identity)) = wire::read(&lease) else {
            return;
        };
        for named in &identity.leads {
            assert_eq!(named.namespace(), NAMESPACE);
            assert_ne!(named.name(), "alpha", "not its own");
        }
        if identity.versions.is_ok() {
            let holder = lease.spec.and_then(|spec| spec.holder_identity);
            assert_eq!(holder.as_deref(), Some("alpha"));
        }
        for refusal in &identity.refused {
            assert!(refusal.to_string().len() < 1000, "{refusal}");
        }
    });
}
