//! What people do to leases by hand: they delete them, and edit what is written on them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use election_core::{LeaseKey, wire};
use http::{Request, Response};
use http_body_util::Full;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use kube::client::Body;
use tower::BoxError;

use crate::class::Class;
use crate::shared::{Answer, Shared};
use crate::time::spawn;
use crate::writes::Author;

/// A client without a road: what it asks for happens at once.
pub(crate) fn client(shared: Arc<Shared>) -> kube::Client {
    let service = tower::service_fn(move |request: Request<Body>| {
        let shared = shared.clone();
        async move {
            let call = shared.read(request).await?;
            match shared.deliver(&Author::Person, "somebody", &call).await? {
                Answer::Whole(answer) => Ok::<Response<Full<Bytes>>, BoxError>(answer.map(Full::new)),
                Answer::Watch(_) => Err("people do not watch".into()),
            }
        }
    });
    kube::Client::new(service, "default")
}

/// Somebody deletes a lease, if it is there.
pub(crate) fn delete(shared: Arc<Shared>, class: Class, key: LeaseKey) {
    spawn(async move {
        let leases: Api<Lease> = Api::namespaced(client(shared.clone()), key.namespace());
        if leases.delete(key.name(), &DeleteParams::default()).await.is_ok() {
            shared.count(class);
        }
    });
}

/// Somebody edits a lease, if it is there and nobody else does just now.
pub(crate) fn edit(
    shared: Arc<Shared>,
    class: Class,
    key: LeaseKey,
    change: impl FnOnce(&mut Lease) + Send + 'static,
) {
    spawn(async move {
        let leases: Api<Lease> = Api::namespaced(client(shared.clone()), key.namespace());
        let Ok(mut lease) = leases.get(key.name()).await else {
            return;
        };
        let before = lease.clone();
        change(&mut lease);
        let replaced = leases.replace(key.name(), &PostParams::default(), &lease).await;
        if replaced.is_ok() && lease != before {
            shared.count(class);
        }
    });
}

/// One of the things that can be wrong on a leader lease.
pub(crate) fn corrupt_leader(lease: &mut Lease, how: u64, somebody: &str) {
    let notes = notes(lease);
    let mut note = |key: &str, value: Option<&str>| match value {
        Some(value) => drop(notes.insert(key.to_owned(), value.to_owned())),
        None => drop(notes.remove(key)),
    };
    match how % 9 {
        0 => note(wire::END_OF_TERM, Some("true")),
        1 => note(wire::PREFERRED_HOLDER, Some(somebody)),
        2 => note(wire::PREFERRED_HOLDER, Some("nobody-that-exists")),
        3 => note(wire::STRATEGY, Some("NewestEmulationVersion")),
        4 => note(wire::STRATEGY, Some("TheNicestOne")),
        5 => note(wire::INCARNATION, None),
        6 => note(wire::INCARNATION, Some("somebody-else")),
        7 => note(wire::ELECTED_BY, None),
        _ => {
            if let Some(spec) = &mut lease.spec {
                spec.holder_identity = None;
            }
        }
    }
}

/// One of the things that people ask of an election, or ask wrongly.
pub(crate) fn steer(lease: &mut Lease, how: u64, somebody: &str) {
    let leader = wire::read_leader(lease).map(|lease| lease.record);
    let holder = leader.as_ref().and_then(|record| record.holder.as_ref());
    let process = leader.as_ref().and_then(|record| record.incarnation.as_ref());
    let step_down = match (holder, process) {
        (Some(holder), Some(process)) => format!("{holder}/{process} by somebody"),
        _ => format!("{somebody}/none"),
    };
    let notes = notes(lease);
    let mut note = |key: &str, value: &str| drop(notes.insert(key.to_owned(), value.to_owned()));
    match how % 11 {
        0 => note(wire::HOLD, "true by somebody"),
        1 => note(wire::HOLD, "3s"),
        2 => note(wire::HOLD, "soon"),
        3 | 4 => note(wire::PIN, somebody),
        5 => note(wire::PIN, "nobody-that-exists"),
        6 => note(wire::STEP_DOWN, &step_down),
        7 => {
            note(wire::STEP_DOWN, &step_down);
            note(wire::STEP_DOWN_TO, somebody);
        }
        8 => note(wire::STEP_DOWN, &format!("{somebody}/of-long-ago")),
        9 => note(wire::STEP_DOWN, somebody),
        _ => {
            for key in [wire::HOLD, wire::PIN, wire::STEP_DOWN, wire::STEP_DOWN_TO] {
                notes.remove(key);
            }
        }
    }
}

/// Nobody is held any more, however often somebody else writes the lease meanwhile.
pub(crate) fn release(shared: Arc<Shared>, key: LeaseKey) {
    spawn(async move {
        let leases: Api<Lease> = Api::namespaced(client(shared.clone()), key.namespace());
        while let Ok(mut lease) = leases.get(key.name()).await
            && notes(&mut lease).remove(wire::HOLD).is_some()
        {
            if leases
                .replace(key.name(), &PostParams::default(), &lease)
                .await
                .is_ok()
            {
                shared.count(Class::Steered);
            }
        }
    });
}

/// One of the things that can be wrong on an identity lease.
pub(crate) fn corrupt_identity(lease: &mut Lease, how: u64) {
    let notes = notes(lease);
    let mut note = |key: &str, value: Option<&str>| match value {
        Some(value) => drop(notes.insert(key.to_owned(), value.to_owned())),
        None => drop(notes.remove(key)),
    };
    match how % 8 {
        0 => note(wire::BINARY_VERSION, None),
        1 => note(wire::COMPATIBILITY_VERSION, Some("the newest")),
        2 => note(wire::COMPATIBILITY_VERSION, Some("1.0")),
        3 => note(wire::CAN_LEAD_LEASES, Some("")),
        4 => note(wire::CAN_LEAD_LEASES, None),
        5 => note(wire::CAN_LEAD_LEASES, Some("elsewhere/demo, ,/x,nonsense")),
        6 => note(wire::INCARNATION, Some("somebody-else")),
        _ => note(wire::INCARNATION, None),
    }
}

/// It says that it is another version.
pub(crate) fn reversion(lease: &mut Lease, version: &str) {
    let notes = notes(lease);
    for key in [wire::BINARY_VERSION, wire::COMPATIBILITY_VERSION] {
        notes.insert(key.to_owned(), version.to_owned());
    }
}

fn notes(lease: &mut Lease) -> &mut BTreeMap<String, String> {
    lease.metadata.annotations.get_or_insert_default()
}
