//! Names that travel through the protocol, each its own type so that none can stand in for another.
//!
//! All are cheap to clone. None of them validates more than the protocol needs: an API server has already refused
//! what is not a valid object name.

use alloc::string::String;
use alloc::sync::Arc;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;

macro_rules! text_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps a text as it stands on the wire.
            #[must_use]
            pub fn new(text: &str) -> Self {
                Self(Arc::from(text))
            }

            /// The text as it stands on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(Arc::from(text))
            }
        }
    };
}

text_newtype! {
    /// Who a candidate is: the name of its identity lease, and what it writes as `spec.holderIdentity`.
    Identity
}
text_newtype! {
    /// A fresh value for each start of a process, so that two processes with one identity can be told apart.
    Incarnation
}
text_newtype! {
    /// The `metadata.uid` of a lease: a lease that was deleted and created again has another one.
    Uid
}

/// The name of a lease: `namespace/name`.
#[derive(Clone)]
pub struct LeaseKey {
    /// Namespace and name with a NUL between them, which neither has in it: ordered like the pair of both.
    text: Arc<str>,
    /// Where the name begins.
    name: u32,
    /// Two keys of different digests are different, which is known without a look at their texts.
    digest: u32,
}

impl LeaseKey {
    /// A key from its two parts.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        let mut text = String::with_capacity(namespace.len() + 1 + name.len());
        text.push_str(namespace);
        text.push('\0');
        text.push_str(name);
        Self {
            digest: digest(text.as_bytes()),
            text: Arc::from(text),
            name: u32::try_from(namespace.len() + 1).expect("a namespace is shorter than 4 GiB"),
        }
    }

    /// The namespace of the lease.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.text[..self.name as usize - 1]
    }

    /// The name of the lease within its namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.text[self.name as usize..]
    }

    /// A total order without any meaning, in which to find one of many costs few looks at texts. A text that was chosen to
    /// collide with others makes it no slower than the order of texts.
    pub(crate) fn cmp_digest(&self, other: &Self) -> Ordering {
        self.digest.cmp(&other.digest).then_with(|| self.cmp(other))
    }
}

/// FNV-1a.
fn digest(bytes: &[u8]) -> u32 {
    let step = |digest: u32, byte: &u8| (digest ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    bytes.iter().fold(0x811c_9dc5, step)
}

impl PartialEq for LeaseKey {
    fn eq(&self, other: &Self) -> bool {
        (self.digest, self.name) == (other.digest, other.name) && self.text == other.text
    }
}

impl Eq for LeaseKey {}

impl Ord for LeaseKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text).then(self.name.cmp(&other.name))
    }
}

impl PartialOrd for LeaseKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for LeaseKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for LeaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace(), self.name())
    }
}

impl fmt::Debug for LeaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LeaseKey {
    type Err = ParseLeaseKeyError;

    /// Reads `namespace/name`: exactly one slash, with a text on each side of it, as in the prototype.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((namespace, name)) if is_name_part(namespace) && is_name_part(name) => {
                Ok(Self::new(namespace, name))
            }
            _ => Err(ParseLeaseKeyError { text: shorten(text) }),
        }
    }
}

/// A text that names no lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseLeaseKeyError {
    text: String,
}

impl fmt::Display for ParseLeaseKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} names no lease: write NAMESPACE/NAME, for example kube-system/sample-controller",
            self.text
        )
    }
}

impl core::error::Error for ParseLeaseKeyError {}

/// A `metadata.resourceVersion`, ordered: the longer one is newer, then the lexically larger one.
///
/// KEP-5504 made this order part of the API; older servers behave the same.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Revision(Arc<str>);

impl Revision {
    /// Wraps a resource version as it stands on the wire.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// The text as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Ord for Revision {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0.len(), &*self.0).cmp(&(other.0.len(), &*other.0))
    }
}

impl PartialOrd for Revision {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Revision {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// What a leader shows to whatever it changes, so that a receiver can refuse a leader of the past.
///
/// Constant within a term and rising over terms (invariant S2), even when the leader lease is deleted in between: it is
/// the resource version at which the acceptance of the term was first known.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken(Revision);

impl FencingToken {
    /// The token of a term whose acceptance was first seen at this revision.
    #[must_use]
    pub fn new(revision: Revision) -> Self {
        Self(revision)
    }

    /// The token as text; a receiver compares by length, then lexically.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The longest part of an unreadable text that an error repeats.
const SHOWN_CHARS: usize = 64;

/// Cuts a text that came from outside before it goes into an error.
pub(crate) fn shorten(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).collect()
}

fn is_name_part(part: &str) -> bool {
    !part.is_empty() && !part.contains(|c: char| c == '/' || c == ',' || c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_lease_key_has_exactly_one_slash() {
        assert_eq!(
            "kube-system/a".parse::<LeaseKey>().unwrap().to_string(),
            "kube-system/a"
        );
        for bad in ["", "/", "a", "a/", "/b", "a/b/c", "a b/c", "a/b,c"] {
            assert!(bad.parse::<LeaseKey>().is_err(), "{bad:?} should be refused");
        }
    }

    #[test]
    fn a_longer_revision_is_newer() {
        assert!(Revision::new("9") < Revision::new("10"));
        assert!(Revision::new("10") < Revision::new("11"));
        assert!(Revision::new("") < Revision::new("1"));
    }

    #[test]
    fn lease_keys_are_ordered_by_namespace_then_by_name() {
        let mut keys = [
            ("a-b", "a"),
            ("a", "z"),
            ("a", ""),
            ("ab", "c"),
            ("a", "c"),
            ("a.b", "a"),
            ("b", "a"),
        ];
        let mut by_key = keys;
        keys.sort_unstable();
        by_key.sort_unstable_by_key(|(namespace, name)| LeaseKey::new(namespace, name));
        assert_eq!(by_key, keys);
        let key = LeaseKey::new("kube-system", "a");
        assert_eq!((key.namespace(), key.name()), ("kube-system", "a"));
    }

    #[test]
    fn keys_of_one_digest_are_still_two() {
        let mut seen = alloc::collections::BTreeMap::new();
        let name = |number: u32| LeaseKey::new("n", &alloc::format!("lease-{number}"));
        let pair =
            (0..1_000_000).find_map(|number| Some((seen.insert(name(number).digest, number)?, number)));
        let (a, b) = pair.expect("a collision among a million");
        assert_ne!(name(a), name(b));
        assert_eq!(name(a).cmp_digest(&name(b)), name(a).cmp(&name(b)));
        assert_eq!(name(a).cmp_digest(&name(a)), Ordering::Equal);
    }
}
