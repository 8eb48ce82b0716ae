//! Whether a configuration can be applied at all: it may only have fields that the schema knows, of the right type.
//!
//! This is stricter than reading an object, where unknown fields are dropped: who applies a field owns it, and nobody
//! can own what is not there.

use super::element::Element;
use super::shape::{Form, Shape};
use crate::schema::{ListType, Types};
use serde_json::Value;
use std::collections::BTreeSet;

/// What is wrong, in one sentence or one line each.
pub(super) fn problems(config: &Value, shape: Shape<'_>) -> Result<(), String> {
    let mut found = Vec::new();
    check(config, shape, "", &mut found);
    match found.as_slice() {
        [] => Ok(()),
        [one] => Err(one.clone()),
        many => Err(format!("errors:\n  {}", many.join("\n  "))),
    }
}

fn check(value: &Value, shape: Shape<'_>, path: &str, found: &mut Vec<String>) {
    if value.is_null() {
        return;
    }
    if let Some(expected) = mismatch(value, shape) {
        found.push(format!(
            "{path}: expected {expected}, got {}",
            go_type(value, expected)
        ));
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let field = shape.field(name);
                if !field.is_known {
                    found.push(format!("{path}.{name}: field not declared in schema"));
                    return;
                }
                check(value, field.shape, &format!("{path}.{name}"), found);
            }
        }
        Value::Array(items) => check_items(items, shape, path, found),
        _ => {}
    }
}

fn check_items(items: &[Value], shape: Shape<'_>, path: &str, found: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        if *shape.list() == ListType::Atomic {
            check(item, shape.items(), &format!("{path}[{index}]"), found);
            continue;
        }
        match Element::item(shape.list(), shape.items(), item) {
            Err(why) => {
                found.push(format!("{path}: element {index}: {why}"));
                return;
            }
            Ok(element) => {
                if !seen.insert(element.clone()) {
                    found.push(format!("{path}: duplicate entries for key {element}"));
                }
                check(item, shape.items(), &format!("{path}{element}"), found);
            }
        }
    }
}

/// What the schema expects, when the value is something else.
fn mismatch(value: &Value, shape: Shape<'_>) -> Option<&'static str> {
    if shape.is_text() {
        return (!value.is_string()).then_some("string");
    }
    let form = shape.form(value);
    let (is_right, expected) = match shape.schema()?.types {
        Types::Any => return None,
        Types::Object => (form == Form::Map, "map"),
        Types::Array => (form == Form::List, "list"),
        Types::String | Types::Time | Types::MicroTime => (value.is_string(), "string"),
        Types::Boolean => (value.is_boolean(), "boolean"),
        Types::Number | Types::Integer | Types::Int32 => (value.is_number(), "numeric (int or float)"),
        Types::IntOrString => (form == Form::Scalar, "any scalar"),
    };
    (!is_right).then_some(expected)
}

/// How a message names a value that does not fit: upstream says the type of one that should be a number, and shows
/// others.
fn go_type(value: &Value, expected: &str) -> String {
    let name = match value {
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
        Value::Null => "<nil>",
    };
    match expected {
        "numeric (int or float)" => name.into(),
        "string" => format!("&value.valueUnstructured{{Value:{value}}}"),
        _ => format!("&{{{}}}", go_value(value)),
    }
}

fn go_value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_value).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| format!("{name}:{}", go_value(value)));
            format!("map[{}]", fields.collect::<Vec<_>>().join(" "))
        }
        scalar => scalar.to_string(),
    }
}
