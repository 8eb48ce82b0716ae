//! One step of a path into an object: a field, an item of a list by its keys or its value, or an index.
//!
//! It is kept in the form that `fieldsV1` has it in (`f:spec`, `k:{"name":"main"}`, `v:"a"`, `i:0`): sets of paths are
//! mostly read and written, and seldom looked into.

use super::shape::Shape;
use crate::schema::ListType;
use serde_json::{Map, Value};
use std::fmt;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Element(Box<str>);

impl Element {
    /// The field of a map.
    pub(super) fn field(name: &str) -> Self {
        Self(format!("f:{name}").into())
    }

    /// The item of a list that is no atomic one. The error says why it cannot be told apart.
    pub(super) fn item(list: &ListType, items: Shape<'_>, item: &Value) -> Result<Self, String> {
        match list {
            ListType::Atomic => Err("invalid indexing of non-associative list".into()),
            ListType::Set => Self::value(item),
            ListType::Map(keys) => Self::keyed(keys, items, item),
        }
    }

    fn value(item: &Value) -> Result<Self, String> {
        let problem = match item {
            Value::Object(_) => "associative list without keys has an element that's a map type",
            Value::Array(_) => "not supported: associative list with lists as elements",
            Value::Null => "associative list without keys has an element that's an explicit null",
            _ => return Ok(Self(format!("v:{item}").into())),
        };
        Err(problem.into())
    }

    fn keyed(keys: &[String], items: Shape<'_>, item: &Value) -> Result<Self, String> {
        let fields = match item {
            Value::Object(fields) => fields,
            Value::Null => return Err("associative list with keys may not have a null element".into()),
            _ => return Err("associative list with keys may not have non-map elements".into()),
        };
        let mut found = Map::new();
        for key in keys {
            let value = fields.get(key).or_else(|| items.default_of(key));
            if let Some(value) = value {
                found.insert(key.clone(), value.clone());
            }
        }
        if found.is_empty() {
            return Err(format!(
                "associative list with keys has an element that omits all key fields {keys:?} (and doesn't have \
                 default values for any key fields)"
            ));
        }
        Ok(Self(format!("k:{}", Value::Object(found)).into()))
    }

    /// Reads an element as `fieldsV1` spells it, in canonical form.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let canonical = match kind {
            "f" => return Some(Self(text.into())),
            "v" => serde_json::from_str::<Value>(rest).ok()?.to_string(),
            "k" => Value::Object(serde_json::from_str(rest).ok()?).to_string(),
            "i" => rest.parse::<i64>().ok()?.to_string(),
            _ => return None,
        };
        Some(Self(format!("{kind}:{canonical}").into()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of a field.
    pub(super) fn as_field(&self) -> Option<&str> {
        self.0.strip_prefix("f:")
    }

    /// Whether it is an item that is told apart by keys.
    pub(super) fn is_keyed(&self) -> bool {
        self.0.starts_with("k:")
    }
}

/// As messages spell it: `.spec`, `[name="main"]`, `[="a"]`, `[0]`.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, rest) = self.0.split_at(2);
        match kind {
            "f:" => write!(f, ".{rest}"),
            "v:" => write!(f, "[={rest}]"),
            "k:" => {
                let keys: Map<String, Value> = serde_json::from_str(rest).unwrap_or_default();
                let pairs: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
                write!(f, "[{}]", pairs.join(","))
            }
            _ => write!(f, "[{rest}]"),
        }
    }
}
