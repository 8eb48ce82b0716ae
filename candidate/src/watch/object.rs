//! Reads Lease objects one by one, so that one that cannot be read hides no other.
//!
//! A typed list fails as a whole. Kubernetes accepts times that the Rust types do not: a lease that someone marked as
//! held until the last day of the year 9999 would blind an elector of the whole cluster.

use election_core::Revision;
use election_core::wire::{self, Item};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

/// What `spec` has of times. Only their presence and their changes mean anything, so a substitute is as good.
const TIMES: [&str; 2] = ["renewTime", "acquireTime"];

/// Reads a Lease; a time out of range becomes the last second that there is.
fn read_lease(mut object: Value) -> Result<Lease, serde_json::Error> {
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

/// What can be read of the text of a Lease.
pub trait FromText: Sized + Send + 'static {
    /// Reads it, with the resource version.
    #[doc(hidden)]
    fn from_text(text: &str) -> Result<(Self, Revision), Unreadable>;
}

/// Why a Lease cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Something in it is not of the type that it should be.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// No server sends this.
    #[error("it has no name, namespace, uid or resource version")]
    Nameless,
}

impl FromText for Lease {
    fn from_text(text: &str) -> Result<(Self, Revision), Unreadable> {
        let lease = lease(text)?;
        let version = lease.metadata.resource_version.as_deref();
        let version = version.filter(|version| !version.is_empty());
        let revision = version.map(Revision::new).ok_or(Unreadable::Nameless)?;
        Ok((lease, revision))
    }
}

/// A lease as the core reads it; of one that an elector may write, also the text, because a write carries everything
/// over. An elector of a large cluster sees thousands in a second and writes next to none, so it makes no objects of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// What it says.
    pub item: Item,
    /// All of it; of a leader lease only.
    pub text: Option<LeaseText>,
}

impl FromText for Seen {
    fn from_text(text: &str) -> Result<(Self, Revision), Unreadable> {
        let item = match wire::read_text(text) {
            Ok(item) => item,
            Err(_) => wire::read(&lease(text)?),
        };
        let item = item.ok_or(Unreadable::Nameless)?;
        let revision = item.revision().clone();
        let text = matches!(item, Item::Leader(_)).then(|| LeaseText(text.into()));
        Ok((Self { item, text }, revision))
    }
}

/// A whole Lease as it came: several times smaller than the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseText(Box<str>);

impl LeaseText {
    /// The text of an object.
    ///
    /// # Errors
    /// When a time of it cannot be written.
    pub fn new(lease: &Lease) -> Result<Self, serde_json::Error> {
        Ok(Self(serde_json::to_string(lease)?.into()))
    }

    /// The object.
    ///
    /// # Errors
    /// When something in it is not of the type that it should be.
    pub fn lease(&self) -> Result<Lease, serde_json::Error> {
        lease(&self.0)
    }
}

fn lease(text: &str) -> Result<Lease, serde_json::Error> {
    match serde_json::from_str(text) {
        Ok(lease) => Ok(lease),
        Err(_) => read_lease(serde_json::from_str(text)?),
    }
}

/// The resource version of an object that cannot be read, and its name for people.
pub(super) fn outline(text: &str) -> (Option<Revision>, String) {
    let object: Value = serde_json::from_str(text).unwrap_or_default();
    let part = |name: &str| object.pointer(name).and_then(Value::as_str).unwrap_or_default();
    let version = part("/metadata/resourceVersion");
    let revision = (!version.is_empty()).then(|| Revision::new(version));
    (
        revision,
        format!("{}/{}", part("/metadata/namespace"), part("/metadata/name")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let (revision, name) = outline(&object.to_string());
        assert_eq!((revision, &*name), (Some(Revision::new("7")), "n/a"));
        assert!(read_lease(object).is_err());
    }

    #[test]
    fn what_an_elector_sees_is_what_the_object_says() {
        let mut object = lease(&json!("2026-01-01T12:00:00.123456Z"));
        object["metadata"]["uid"] = json!("u");
        object["metadata"]["labels"] = json!({"team": "blue"});
        let whole = read_lease(object.clone()).unwrap();
        let (seen, revision) = Seen::from_text(&object.to_string()).unwrap();
        assert_eq!(
            (wire::read(&whole), revision),
            (Some(seen.item), Revision::new("7"))
        );
        assert_eq!(seen.text.map(|text| text.lease().unwrap()), Some(whole));
        object["metadata"]["annotations"] = json!({wire::CAN_LEAD_LEASES: "n/b"});
        let (identity, _) = Seen::from_text(&object.to_string()).unwrap();
        assert!(matches!(identity.item, Item::Identity(_)));
        assert_eq!(identity.text, None, "an elector updates no identity lease");
    }

    #[test]
    fn an_elector_sees_a_lease_held_until_the_end_of_time() {
        let mut object = lease(&json!("9999-12-31T23:59:59.000000Z"));
        object["metadata"]["uid"] = json!("u");
        let (seen, _) = Seen::from_text(&object.to_string()).unwrap();
        let kept = seen.text.unwrap().lease().unwrap();
        assert_eq!(wire::read(&kept), Some(seen.item));
        assert!(renew_time(&kept) > Some(Timestamp::from_second(253_400_000_000).unwrap()));
    }

    #[test]
    fn a_lease_without_an_address_is_none() {
        let object = lease(&json!(null));
        assert!(matches!(
            Seen::from_text(&object.to_string()),
            Err(Unreadable::Nameless)
        ));
        let text = r#"{"metadata": {"name": "a"}}"#;
        assert!(matches!(Lease::from_text(text), Err(Unreadable::Nameless)));
    }
}
