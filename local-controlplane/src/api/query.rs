//! The query of a request, and the options in it that writes share.

use crate::failure::{Cause, Failure};
use serde_json::{Value, json};

/// How long the name of a manager of fields may be, in bytes.
const MAX_MANAGER: usize = 128;

/// Decoded query parameters, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

/// What to do with fields that a kind does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// The options of a write.
#[derive(Debug, Clone)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    pub(crate) validation: FieldValidation,
    /// In whose name fields are written: as the client says, or what its user agent says of it.
    pub(crate) manager: String,
}

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let decode = |text: &str| percent_decode(&text.replace('+', " "));
        Self(
            pairs
                .map(|pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(key), decode(value))
                })
                .collect(),
        )
    }

    /// A parameter's first value; empty counts as absent.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name == key);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// Whether a parameter is there and does not say no, as upstream's conversion has it.
    pub(crate) fn flag(&self, key: &str) -> bool {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.is_some_and(|(_, value)| !matches!(value.to_ascii_lowercase().as_str(), "false" | "0"))
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<i64>, Failure> {
        let Some(text) = self.get(key) else {
            return Ok(None);
        };
        let number = text
            .parse()
            .map_err(|_| Failure::bad_request(format!("invalid value {text:?} for {key}")))?;
        Ok(Some(number))
    }

    /// The options of a create, update or patch. `kind` is what a refusal calls the options.
    pub(crate) fn write_options(&self, kind: &str, user_agent: &str) -> Result<WriteOptions, Failure> {
        let unsupported = |field: &str, value: Value, supported: &[&str]| {
            let supported: Vec<String> = supported.iter().map(|word| format!("\"{word}\"")).collect();
            Failure::invalid_options(kind, &[Cause::not_supported(field, &value, &supported)])
        };
        let validation = match self.get("fieldValidation") {
            None | Some("Warn") => FieldValidation::Warn,
            Some("Ignore") => FieldValidation::Ignore,
            Some("Strict") => FieldValidation::Strict,
            Some(other) => {
                return Err(unsupported(
                    "fieldValidation",
                    other.into(),
                    &["", "Ignore", "Strict", "Warn"],
                ));
            }
        };
        let dry_run = match self.get("dryRun") {
            None => false,
            Some("All") => true,
            Some(other) => return Err(unsupported("dryRun", json!([other]), &["All"])),
        };
        let manager = match self.get("fieldManager") {
            Some(manager) => {
                check_manager(manager).map_err(|cause| Failure::invalid_options(kind, &[cause]))?
            }
            None => manager_of(user_agent),
        };
        Ok(WriteOptions {
            dry_run,
            validation,
            manager,
        })
    }
}

impl Query {
    /// The options of a patch that is no apply.
    pub(crate) fn patch_options(&self, user_agent: &str) -> Result<WriteOptions, Failure> {
        let options = self.write_options("PatchOptions", user_agent)?;
        if self.get("force").is_some() {
            let cause = Cause::forbidden("force", "may not be specified for non-apply patch");
            return Err(Failure::invalid_options("PatchOptions", &[cause]));
        }
        Ok(options)
    }
}

fn check_manager(manager: &str) -> Result<String, Cause> {
    if manager.len() > MAX_MANAGER {
        let detail = format!("may not be more than {MAX_MANAGER} bytes");
        return Err(Cause::too_long("fieldManager", detail));
    }
    if let Some((place, letter)) = manager.char_indices().find(|(_, letter)| letter.is_control()) {
        let detail = format!(
            "invalid character U+{:04X} (at position {place})",
            u32::from(letter)
        );
        return Err(Cause::invalid("fieldManager", &manager.into(), detail));
    }
    Ok(manager.to_owned())
}

/// Who a client is that does not say so: the name in its user agent.
fn manager_of(user_agent: &str) -> String {
    let name = user_agent.split('/').next().unwrap_or_default();
    let letters = name.char_indices().take_while(|(place, _)| *place < MAX_MANAGER);
    let manager: String = letters
        .map(|(_, letter)| letter)
        .filter(|letter| !letter.is_control())
        .collect();
    if manager.is_empty() {
        "unknown".into()
    } else {
        manager
    }
}

/// Undoes percent-encoding; what is no encoding stays as it is.
pub(crate) fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'%').then(|| after.get(..2)).flatten();
        let code = code.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded_and_may_start_with_an_ampersand() {
        let query = Query::parse(
            "&watch=true&fieldSelector=metadata.name%3Dx&empty=&labelSelector=a+in+(b%2Cc)&odd=%zz",
        );
        assert!(query.flag("watch"));
        assert_eq!(query.get("fieldSelector"), Some("metadata.name=x"));
        assert_eq!(query.get("labelSelector"), Some("a in (b,c)"));
        assert_eq!(query.get("empty"), None);
        assert_eq!(query.get("odd"), Some("%zz"));
    }
}
