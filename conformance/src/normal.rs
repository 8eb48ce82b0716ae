//! What differs between two servers, or two runs, though they do the same: put aside.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

/// Fields whose times are the server's own.
const TIMES: [&str; 5] = [
    "creationTimestamp",
    "deletionTimestamp",
    "lastTransitionTime",
    "lastUpdateTime",
    "time",
];

/// Numbers uids and versions in the order in which they are first seen, and hides times.
#[derive(Debug, Default)]
pub(crate) struct Normal {
    seen: HashMap<String, usize>,
}

impl Normal {
    fn number(&mut self, what: &str, value: &str) -> Value {
        let next = self.seen.keys().filter(|key| key.starts_with(what)).count() + 1;
        let number = *self.seen.entry(format!("{what} {value}")).or_insert(next);
        format!("<{what} {number}>").into()
    }

    /// Changes a reply so that the same reply of another server is equal.
    pub(crate) fn reply(&mut self, reply: &mut Value) {
        let kind = reply["kind"].as_str().unwrap_or_default().to_owned();
        if kind == "Status" && reply["status"] == "Failure" {
            drop_sentences(reply);
        }
        if kind == "Table" {
            let columns = reply.get_mut("columnDefinitions").and_then(Value::as_array_mut);
            for column in columns.into_iter().flatten().filter_map(Value::as_object_mut) {
                column.remove("description");
            }
        }
        // Others may write while a list is made: its own version says nothing.
        if (kind.ends_with("List") || kind == "Table")
            && let Some(metadata) = reply.get_mut("metadata").and_then(Value::as_object_mut)
        {
            metadata.remove("resourceVersion");
            metadata.remove("continue");
        }
        self.value("", reply);
    }

    fn value(&mut self, field: &str, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                if fields.contains_key("generateName") && fields.contains_key("name") {
                    fields.insert("name".into(), "<generated>".into());
                }
                fields
                    .iter_mut()
                    .for_each(|(field, value)| self.value(field, value));
            }
            Value::Array(items) => {
                items.iter_mut().for_each(|item| self.value(field, item));
                // A real server has them in the order of their times, which are of the second.
                if field == "managedFields" {
                    items.sort_by_key(Value::to_string);
                }
            }
            Value::String(text) => match field {
                "uid" if text.len() == 36 => *value = self.number("uid", text),
                "resourceVersion" => *value = self.number("version", text),
                "cells" if AGE.is_match(text) => *value = "<age>".into(),
                _ if TIMES.contains(&field) => *value = "<time>".into(),
                _ => {}
            },
            _ => {}
        }
    }
}

/// Sentences change between releases; codes, reasons, fields and details do not.
fn drop_sentences(status: &mut Value) {
    if let Some(fields) = status.as_object_mut() {
        fields.remove("message");
    }
    let causes = status
        .pointer_mut("/details/causes")
        .and_then(Value::as_array_mut);
    if let Some(causes) = causes {
        for cause in causes.iter_mut().filter_map(Value::as_object_mut) {
            cause.remove("message");
        }
        // A real server says some of them more than once.
        let mut once: Vec<Value> = Vec::new();
        for cause in causes.drain(..) {
            if !once.contains(&cause) {
                once.push(cause);
            }
        }
        // Whose fields those are comes in no order on a real server.
        if once.iter().all(|cause| cause["reason"] == "FieldManagerConflict") {
            once.sort_by_key(Value::to_string);
        }
        *causes = once;
    }
}

static AGE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(\d+[smhd])+$"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|error| panic!("{error}"))
}

/// What `kubectl` prints, without uids, versions, ages and times of its own.
pub(crate) fn printed(text: &str) -> String {
    static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        let uid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
        vec![
            (pattern(uid), "<uid>"),
            (pattern(r#"(resourceVersion"?: ")\d+"#), "${1}<version>"),
            (pattern(r"(Resource Version:\s+)\d+"), "${1}<version>"),
            (
                pattern(r#"((?:creation|deletion)Timestamp"?: ")[^"]+"#),
                "${1}<time>",
            ),
            (pattern(r#"(?m)^(\s+time: ")[^"]+"#), "${1}<time>"),
            (pattern(r"((?:Creation|Deletion) Timestamp:\s+)\S+"), "${1}<time>"),
            (pattern(r"(?m)^((?:CreationTimestamp):\s+).*$"), "${1}<time>"),
            (pattern(r"(?m)(\s)(?:\d+[smhd])+( ago)?$"), "${1}<age>"),
            (pattern(r"(?m)(\s)(?:\d+[smhd])+ {2,}"), "${1}<age>   "),
            (pattern(r"(?m) +$"), ""),
            // The names of temporary files.
            (pattern(r"(?m)^(diff -u|---|\+\+\+) .*$"), "${1}"),
        ]
    });
    RULES.iter().fold(text.to_owned(), |text, (rule, with)| {
        let put = |found: &Captures<'_>| {
            let mut put = String::new();
            found.expand(with, &mut put);
            put
        };
        rule.replace_all(&text, put).into_owned()
    })
}
