//! The first pass over an object: drops what the schema does not know, and finds values of a wrong type.
//!
//! What a wrong type means differs: for a built-in kind the object cannot be read (400), for a custom resource it is
//! invalid (422). The caller decides; this pass reports.

use super::{Schema, Types, child};
use crate::world;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value};

/// What decoding found.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    /// Paths of fields that the schema does not know. They are gone from the object.
    pub(crate) unknown: Vec<String>,
    pub(crate) wrong: Vec<WrongType>,
    /// A null is a value, of a wrong type where the schema does not allow it. Otherwise it stands for an absent field.
    pub(crate) keeps_nulls: bool,
    /// Whether the object is read into Go's types, in whose maps of strings a null is an empty one.
    pub(crate) is_typed: bool,
}

/// A value that cannot be what its field holds.
#[derive(Debug)]
pub(crate) struct WrongType {
    pub(crate) path: String,
    pub(crate) found: &'static str,
    pub(crate) message: String,
}

/// Prunes `value` to what `schema` knows, in place.
pub(crate) fn decode(schema: &Schema, value: &mut Value, path: &str, found: &mut Decoded) {
    match value {
        Value::Object(map) if matches!(schema.types, Types::Object | Types::Any) => {
            decode_object(schema, map, path, found);
        }
        Value::Array(items) if matches!(schema.types, Types::Array | Types::Any) => {
            if let Some(schema) = &schema.items {
                for (index, item) in items.iter_mut().enumerate() {
                    decode(schema, item, &format!("{path}[{index}]"), found);
                }
            }
        }
        _ => {
            if let Err(message) = decode_scalar(schema, value) {
                found.wrong.push(WrongType {
                    path: path.into(),
                    found: type_name(value),
                    message,
                });
            }
        }
    }
}

fn decode_object(schema: &Schema, map: &mut Map<String, Value>, path: &str, found: &mut Decoded) {
    let known = |key: &str| schema.properties.get(key).or(schema.additional.as_ref());
    let of_embedded = |key: &str| schema.embedded && matches!(key, "apiVersion" | "kind" | "metadata");
    let of_strings = schema
        .additional
        .as_ref()
        .is_some_and(|additional| additional.types == Types::String);
    if found.is_typed && of_strings {
        for value in map.values_mut().filter(|value| value.is_null()) {
            *value = "".into();
        }
    }
    map.retain(|key, value| {
        if value.is_null() && !found.keeps_nulls {
            return known(key).map_or(schema.preserve_unknown, |property| property.nullable);
        }
        if known(key).is_some() || schema.preserve_unknown || of_embedded(key) {
            return true;
        }
        found.unknown.push(child(path, key));
        false
    });
    for (key, value) in map.iter_mut() {
        if let Some(property) = known(key) {
            decode(property, value, &child(path, key), found);
        }
    }
    if schema.typed {
        map.retain(|key, value| !is_left_out(schema, key, value));
    }
}

/// Whether a struct would not show a field: an empty list or map, unless the field is always shown. Empty managed
/// fields are a request to forget them, and stay until it is heard.
fn is_left_out(schema: &Schema, key: &str, value: &Value) -> bool {
    let Some(property) = schema.properties.get(key) else {
        return false;
    };
    let is_empty = match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty() && property.additional.is_some(),
        _ => false,
    };
    let is_always_shown =
        property.default == Some(Value::Null) || schema.required.iter().any(|name| name == key);
    is_empty && !is_always_shown && key != "managedFields"
}

/// Checks a scalar (or a container where a scalar belongs) and brings times into canonical form.
fn decode_scalar(schema: &Schema, value: &mut Value) -> Result<(), String> {
    let expected = match schema.types {
        Types::Any => return Ok(()),
        _ if value.is_null() && schema.nullable => return Ok(()),
        Types::Object => "object",
        Types::Array => "array",
        Types::String if value.is_string() => return Ok(()),
        Types::String => "string",
        Types::Boolean if value.is_boolean() => return Ok(()),
        Types::Boolean => "boolean",
        Types::Number if value.is_number() => return Ok(()),
        Types::Number => "number",
        Types::Integer if value.is_i64() || value.is_u64() => return Ok(()),
        Types::Int32 if value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()) => return Ok(()),
        Types::Integer | Types::Int32 => "integer",
        Types::IntOrString if value.is_string() || value.is_number() => return Ok(()),
        Types::IntOrString => "int-or-string",
        Types::Time => return decode_time(value, world::seconds, |_| true),
        Types::MicroTime => return decode_time(value, world::micros, has_six_digits),
    };
    Err(format!("must be of type {expected}: \"{}\"", type_name(value)))
}

fn decode_time(
    value: &mut Value,
    written: fn(Timestamp) -> String,
    accept: fn(&str) -> bool,
) -> Result<(), String> {
    let text = value
        .as_str()
        .ok_or("cannot unmarshal a time that is no string")?;
    let canonical_letters = text.as_bytes().get(10) == Some(&b'T') && !text.ends_with('z');
    let parsed = text
        .parse::<Timestamp>()
        .ok()
        .filter(|_| canonical_letters && accept(text));
    let time = parsed.ok_or_else(|| format!("parsing time {text:?}: it has not the form of the field"))?;
    *value = written(time).into();
    Ok(())
}

/// Upstream reads a MicroTime with a layout of exactly six fractional digits.
fn has_six_digits(text: &str) -> bool {
    let Some((_, fraction)) = text.split_once('.') else {
        return false;
    };
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    digits == 6
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn decoded(types: Types, value: Value) -> Option<Value> {
        let schema = Schema {
            types,
            ..Schema::default()
        };
        let (mut value, mut found) = (value, Decoded::default());
        decode(&schema, &mut value, "field", &mut found);
        found.wrong.is_empty().then_some(value)
    }

    #[test]
    fn a_micro_time_has_exactly_six_digits_and_comes_back_in_utc() {
        for (given, expected) in [
            ("2026-01-02T03:04:05.123456Z", Some("2026-01-02T03:04:05.123456Z")),
            (
                "2026-01-02T03:04:05.100000+02:00",
                Some("2026-01-02T01:04:05.100000Z"),
            ),
            ("2026-01-02T03:04:05Z", None),
            ("2026-01-02T03:04:05.123Z", None),
            ("2026-01-02T03:04:05.123456789Z", None),
            ("2026-01-02 03:04:05.123456Z", None),
            ("2026-01-02t03:04:05.123456z", None),
            ("", None),
        ] {
            assert_eq!(
                decoded(Types::MicroTime, json!(given)),
                expected.map(Value::from),
                "{given}"
            );
        }
        assert_eq!(decoded(Types::MicroTime, json!(5)), None);
    }

    #[test]
    fn an_int32_is_neither_fractional_nor_too_large_nor_text() {
        for (given, good) in [
            (json!(15), true),
            (json!(1.0), false),
            (json!(1.5), false),
            (json!("15"), false),
            (json!(3_000_000_000_u64), false),
        ] {
            assert_eq!(decoded(Types::Int32, given.clone()).is_some(), good, "{given}");
        }
    }
}
