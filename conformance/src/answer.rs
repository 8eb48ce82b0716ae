//! An answer that was read to its end, and what checks ask of it.

use http::HeaderMap;
use serde_json::Value;

/// An answer, with the names of this run put back to what the check calls them.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        match serde_json::from_str(&self.text) {
            Ok(value) => value,
            Err(error) => panic!("no JSON ({error}): {self:?}"),
        }
    }

    /// `(code, reason)` of a refusal, or `(code, "")`.
    pub(crate) fn refusal(&self) -> (u16, String) {
        (self.code, text(&self.json()["reason"]))
    }

    /// The fields of `details.causes`, sorted, each once: a real server repeats some.
    pub(crate) fn cause_fields(&self) -> Vec<String> {
        self.causes("field")
    }

    /// The reasons of `details.causes`, sorted, each once.
    pub(crate) fn cause_reasons(&self) -> Vec<String> {
        self.causes("reason")
    }

    fn causes(&self, what: &str) -> Vec<String> {
        let json = self.json();
        let causes = json["details"]["causes"].as_array().into_iter().flatten();
        // Where a rule could not be looked at because another one is broken, a real server adds a cause without a field.
        let mut found: Vec<String> = causes
            .filter(|cause| cause["field"] != "<nil>")
            .map(|cause| text(&cause[what]))
            .collect();
        found.sort();
        found.dedup();
        found
    }

    /// A header's text, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    pub(crate) fn version(&self) -> u64 {
        version(&self.json())
    }

    #[track_caller]
    pub(crate) fn expect(self, code: u16) -> Self {
        assert_eq!(self.code, code, "{}", self.text);
        self
    }

    #[track_caller]
    pub(crate) fn expect_refusal(self, code: u16, reason: &str) -> Self {
        assert_eq!(self.refusal(), (code, reason.to_owned()), "{}", self.text);
        self
    }

    /// That it is a refusal as invalid, for these fields.
    #[track_caller]
    pub(crate) fn expect_invalid(self, fields: &[&str]) -> Self {
        assert_eq!(self.code, 422, "{}", self.text);
        assert_eq!(self.cause_fields(), fields, "{}", self.text);
        self
    }
}

/// The resource version of an object, or zero.
pub(crate) fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

/// What a string says; nothing for what is none.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The names of the items of a list, in its order.
pub(crate) fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().into_iter().flatten();
    items.map(|item| text(&item["metadata"]["name"])).collect()
}
