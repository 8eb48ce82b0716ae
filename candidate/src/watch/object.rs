//! Reads Lease objects one by one, so that one that cannot be read hides no other.
//!
//! A typed list fails as a whole. Kubernetes accepts times that the Rust types do not: a lease that someone marked as
//! held until the last day of the year 9999 would blind an elector of the whole cluster.

use election_core::Revision;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

/// What `spec` has of times. Only their presence and their changes mean anything, so a substitute is as good.
const TIMES: [&str; 2] = ["renewTime", "acquireTime"];

/// Reads a Lease; a time out of range becomes the last second that there is.
pub(super) fn read_lease(mut object: Value) -> Result<Lease, serde_json::Error> {
    let first = match serde_json::from_value(object.clone()) {
        Ok(lease) => return Ok(lease),
        Err(error) => error,
    };
    let mut replaced = false;
    for time in TIMES {
        if let Some(value) = object.pointer_mut("/spec").and_then(|spec| spec.get_mut(time))
            && serde_json::from_value::<Option<MicroTime>>(value.clone()).is_err()
        {
            *value = serde_json::to_value(MicroTime(last_second()))?;
            replaced = true;
        }
    }
    if replaced {
        serde_json::from_value(object)
    } else {
        Err(first)
    }
}

/// The last time that can be told in microseconds and back, as a write of the lease does: the fraction of `Timestamp::MAX`
/// cannot.
fn last_second() -> Timestamp {
    Timestamp::from_second(Timestamp::MAX.as_second()).unwrap_or(Timestamp::MAX)
}

/// The resource version of an object, read without the rest.
pub(super) fn revision(object: &Value) -> Option<Revision> {
    let version = object.pointer("/metadata/resourceVersion")?.as_str()?;
    (!version.is_empty()).then(|| Revision::new(version))
}

/// The name of an object for people, read without the rest.
pub(super) fn key(object: &Value) -> String {
    let part = |name: &str| object.pointer(name).and_then(Value::as_str).unwrap_or_default();
    format!("{}/{}", part("/metadata/namespace"), part("/metadata/name"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use election_core::wire;
    use serde_json::json;

    fn lease(renew_time: &Value) -> Value {
        json!({
            "metadata": {"name": "a", "namespace": "n", "resourceVersion": "7"},
            "spec": {"holderIdentity": "alpha", "renewTime": renew_time},
        })
    }

    fn renew_time(lease: &Lease) -> Option<Timestamp> {
        Some(lease.spec.as_ref()?.renew_time.as_ref()?.0)
    }

    #[test]
    fn a_lease_held_until_the_end_of_time_is_still_read() {
        let object = lease(&json!("9999-12-31T23:59:59.000000Z"));
        assert!(
            serde_json::from_value::<Lease>(object.clone()).is_err(),
            "it would not need this file"
        );
        let read = read_lease(object).unwrap();
        assert!(renew_time(&read) > Some(Timestamp::from_second(253_400_000_000).unwrap()));
        assert_eq!(read.spec.unwrap().holder_identity.as_deref(), Some("alpha"));
    }

    /// So what a server answers to it is read by the typed client.
    #[test]
    fn a_write_on_such_a_lease_names_times_that_can_be_read() {
        let mut object = lease(&json!("9999-12-31T23:59:59.000000Z"));
        object["metadata"]["uid"] = json!("u");
        let base = read_lease(object).unwrap();
        let write = wire::read_leader(&base).unwrap().end_of_term(&"bravo".into());
        let sent = serde_json::to_value(wire::update(&base, &write)).unwrap();
        let answer: Lease = serde_json::from_value(sent).unwrap();
        assert_eq!(wire::read_leader(&answer).unwrap().record, write.record);
    }

    #[test]
    fn an_ordinary_time_is_not_touched() {
        let read = read_lease(lease(&json!("2026-01-01T12:00:00.123456Z"))).unwrap();
        assert_eq!(
            renew_time(&read),
            Some("2026-01-01T12:00:00.123456Z".parse().unwrap())
        );
        assert_eq!(renew_time(&read_lease(lease(&json!(null))).unwrap()), None);
    }

    #[test]
    fn what_is_no_lease_is_refused_but_still_has_a_revision_and_a_name() {
        let object = json!({"metadata": {"name": "a", "namespace": "n", "resourceVersion": "7"}, "spec": 3});
        assert_eq!(revision(&object), Some(Revision::new("7")));
        assert_eq!(key(&object), "n/a");
        assert!(read_lease(object).is_err());
    }
}
