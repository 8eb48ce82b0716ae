//! Versions of candidates, parsed once at the edge.
//!
//! `1.29`, `v1.29.3` and `1.30.0-alpha.1` are versions. Build metadata does not order versions, as in the Go library
//! that Kubernetes uses. What cannot be read is an error here: the prototype took it for 0.0.0 and let it win.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;

use crate::names::shorten;

/// A version in the order of semantic versioning; it prints as it was written.
#[derive(Clone)]
pub struct Version {
    parsed: semver::Version,
    text: Arc<str>,
}

impl Version {
    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Version {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |why: String| ParseVersionError {
            text: shorten(text),
            why,
        };
        if text.is_empty() {
            return Err(refuse("it is empty".into()));
        }
        if text.len() > MAX_LEN {
            return Err(refuse(format!("it is longer than {MAX_LEN} bytes")));
        }
        let bare = text.strip_prefix('v').unwrap_or(text);
        let core_end = bare.find(['-', '+']).unwrap_or(bare.len());
        let (core, rest) = bare.split_at(core_end);
        let parsed = if core.matches('.').count() == 1 {
            semver::Version::parse(&format!("{core}.0{rest}"))
        } else {
            semver::Version::parse(bare)
        };
        match parsed {
            Ok(parsed) => Ok(Self {
                parsed,
                text: Arc::from(text),
            }),
            Err(error) => Err(refuse(format!("{error}"))),
        }
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parsed.cmp_precedence(&other.parsed)
    }
}

/// As [`Ord`] has it: equal versions have equal hashes, however they are spelt.
impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let semver::Version {
            major,
            minor,
            patch,
            pre,
            build: _,
        } = &self.parsed;
        (major, minor, patch, pre).hash(state);
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A text that is no version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseVersionError {
    text: String,
    why: String,
}

impl fmt::Display for ParseVersionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a version ({}): write it like 1.29, v1.29.3 or 1.30.0-alpha.1",
            self.text, self.why
        )
    }
}

impl core::error::Error for ParseVersionError {}

/// No real version is longer; an annotation may be 256 KiB.
const MAX_LEN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn versions_order_by_precedence() {
        let rising = [
            "0.9",
            "1.28.7",
            "1.29.0-alpha.1",
            "1.29.0-rc.0",
            "1.29",
            "1.29.3",
            "1.30-beta.0",
            "1.30",
            "2.0",
        ];
        for pair in rising.windows(2) {
            assert!(
                version(pair[0]) < version(pair[1]),
                "{} should be lower than {}",
                pair[0],
                pair[1]
            );
        }
    }

    #[test]
    fn spelling_and_build_metadata_do_not_order_versions() {
        for (left, right) in [
            ("1.29", "v1.29.0"),
            ("1.29.3+gke.1", "1.29.3+eks.7"),
            ("1.29-alpha.1", "1.29.0-alpha.1"),
        ] {
            assert_eq!(version(left), version(right));
        }
    }

    #[test]
    fn what_is_no_version_is_refused() {
        let long = "1.".repeat(200);
        for bad in [
            "", "v", "1", "latest", "1.29.3.4", "01.2.3", "1.-2", " 1.29", "1.29 ", "1..2", "vv1.2", "１.2",
            &long,
        ] {
            assert!(bad.parse::<Version>().is_err(), "{bad:?} should be refused");
        }
    }
}
