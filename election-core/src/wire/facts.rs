//! What the protocol reads of a Lease, borrowed from the object, or from the text in which it came.
//!
//! An elector of a large cluster reads thousands of renewals in a second and uses a few fields of each. What those
//! fields mean is not here.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::{
    BINARY_VERSION, CAN_LEAD_LEASES, COMPATIBILITY_VERSION, ELECTED_BY, END_OF_TERM, HOLD, INCARNATION, PIN,
    PREFERRED_HOLDER, STEP_DOWN, STEP_DOWN_TO, STRATEGY,
};
use crate::names::{LeaseKey, Revision, Uid};
use crate::time::{LeaseSeconds, Wall};

/// What is read of a Lease.
#[derive(Default, Deserialize)]
pub(super) struct Facts<'a> {
    #[serde(borrow, default)]
    metadata: Metadata<'a>,
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub(super) spec: Spec<'a>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    namespace: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    uid: Option<Text<'a>>,
    #[serde(borrow)]
    resource_version: Option<Text<'a>>,
    creation_timestamp: Option<Time>,
    #[serde(borrow)]
    owner_references: Option<Vec<Owner<'a>>>,
    #[serde(borrow, default, deserialize_with = "or_default")]
    annotations: Notes<'a>,
}

#[derive(Deserialize)]
struct Owner<'a> {
    #[serde(borrow)]
    kind: Text<'a>,
}

/// What is read of `spec`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec<'a> {
    #[serde(borrow)]
    holder_identity: Option<Text<'a>>,
    lease_duration_seconds: Option<i32>,
    lease_transitions: Option<i32>,
    acquire_time: Option<MicroTime>,
    renew_time: Option<MicroTime>,
}

/// The annotations that the protocol reads.
const NOTES: [&str; 12] = [
    CAN_LEAD_LEASES,
    BINARY_VERSION,
    COMPATIBILITY_VERSION,
    ELECTED_BY,
    END_OF_TERM,
    PREFERRED_HOLDER,
    STRATEGY,
    INCARNATION,
    HOLD,
    PIN,
    STEP_DOWN,
    STEP_DOWN_TO,
];

/// The values of [`NOTES`].
#[derive(Default)]
struct Notes<'a>([Option<Text<'a>>; NOTES.len()]);

/// A text that is copied only if it has escapes in it. (serde borrows a `Cow` only where it is not inside an `Option`.)
struct Text<'a>(Cow<'a, str>);

impl Facts<'_> {
    /// The value of an annotation of [`NOTES`].
    pub(super) fn note(&self, key: &str) -> Option<&str> {
        let at = NOTES.iter().position(|note| *note == key)?;
        text(&self.metadata.annotations.0[at])
    }

    /// Which lease at which revision; `None` when one of them is missing, which no server sends.
    pub(super) fn address(&self) -> Option<(LeaseKey, Uid, Revision)> {
        let meta = &self.metadata;
        Some((
            LeaseKey::new(text(&meta.namespace)?, text(&meta.name)?),
            Uid::new(text(&meta.uid)?),
            Revision::new(text(&meta.resource_version)?),
        ))
    }

    pub(super) fn created(&self) -> Option<Wall> {
        let time = self.metadata.creation_timestamp.as_ref()?;
        Some(Wall::from_micros(time.0.as_microsecond()))
    }

    /// Whether an object of this kind owns it.
    pub(super) fn owned_by(&self, kind: &str) -> bool {
        let mut owners = self.metadata.owner_references.iter().flatten();
        owners.any(|owner| owner.kind.0 == kind)
    }
}

impl Spec<'_> {
    /// Who holds it; an empty text is nobody.
    pub(super) fn holder(&self) -> Option<&str> {
        text(&self.holder_identity).filter(|text| !text.is_empty())
    }

    pub(super) fn duration(&self) -> Option<LeaseSeconds> {
        self.lease_duration_seconds
            .and_then(|seconds| u32::try_from(seconds).ok())
            .and_then(LeaseSeconds::new)
    }

    pub(super) fn transitions(&self) -> u32 {
        let count = self.lease_transitions;
        count
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or_default()
    }

    pub(super) fn acquire_time(&self) -> Option<Wall> {
        self.acquire_time.as_ref().map(wall)
    }

    pub(super) fn renew_time(&self) -> Option<Wall> {
        self.renew_time.as_ref().map(wall)
    }
}

impl<'a> From<&'a Lease> for Facts<'a> {
    fn from(lease: &'a Lease) -> Self {
        let (meta, spec) = (&lease.metadata, lease.spec.as_ref());
        let known = |key: &&str| borrowed(meta.annotations.as_ref()?.get(*key));
        let owners = meta.owner_references.as_ref().map(|owners| {
            let kinds = owners.iter().map(|owner| Text(Cow::Borrowed(&*owner.kind)));
            kinds.map(|kind| Owner { kind }).collect()
        });
        Self {
            metadata: Metadata {
                namespace: borrowed(meta.namespace.as_ref()),
                name: borrowed(meta.name.as_ref()),
                uid: borrowed(meta.uid.as_ref()),
                resource_version: borrowed(meta.resource_version.as_ref()),
                creation_timestamp: meta.creation_timestamp.clone(),
                owner_references: owners,
                annotations: Notes(NOTES.each_ref().map(known)),
            },
            spec: spec.map_or_else(Spec::default, |spec| Spec {
                holder_identity: borrowed(spec.holder_identity.as_ref()),
                lease_duration_seconds: spec.lease_duration_seconds,
                lease_transitions: spec.lease_transitions,
                acquire_time: spec.acquire_time.clone(),
                renew_time: spec.renew_time.clone(),
            }),
        }
    }
}

fn borrowed(text: Option<&String>) -> Option<Text<'_>> {
    text.map(|text| Text(Cow::Borrowed(text)))
}

fn text<'a>(text: &'a Option<Text<'_>>) -> Option<&'a str> {
    text.as_ref().map(|text| &*text.0)
}

fn wall(time: &MicroTime) -> Wall {
    Wall::from_micros(time.0.as_microsecond())
}

/// A null is as good as nothing, as for every field of Kubernetes.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.into())))
            }
        }

        from.deserialize_str(Reader)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Notes<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Notes<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("annotations")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut notes = Notes::default();
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    match NOTES.iter().position(|note| *note == key.0) {
                        Some(at) => notes.0[at] = map.next_value()?,
                        None => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(notes)
            }
        }

        from.deserialize_map(Reader)
    }
}
