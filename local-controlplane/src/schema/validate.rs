//! The third pass: does an object keep what its schema demands?

use super::{Combination, ListType, Schema, child};
use crate::failure::Cause;
use serde_json::{Map, Value};

/// Adds a cause for everything in `value` that breaks `schema`.
pub(crate) fn validate(schema: &Schema, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    match value {
        Value::Null if schema.nullable => return,
        Value::Object(map) => validate_object(schema, map, path, causes),
        Value::Array(items) => validate_list(schema, items, path, causes),
        Value::String(text) => validate_text(schema, text, value, path, causes),
        Value::Number(_) => validate_number(schema, value, path, causes),
        Value::Null | Value::Bool(_) => {}
    }
    if !schema.allowed.is_empty() && !schema.allowed.contains(value) {
        let supported: Vec<String> = schema.allowed.iter().map(Value::to_string).collect();
        causes.push(Cause::not_supported(path, value, &supported));
    }
    for (how, branches) in &schema.combined {
        validate_combination(*how, branches, value, path, causes);
    }
}

fn validate_object(schema: &Schema, map: &Map<String, Value>, path: &str, causes: &mut Vec<Cause>) {
    for (name, value) in map {
        if let Some(property) = schema.properties.get(name).or(schema.additional.as_ref()) {
            validate(property, value, &child(path, name), causes);
        }
    }
    for name in schema.required.iter().filter(|name| !map.contains_key(*name)) {
        causes.push(Cause::required(child(path, name), ""));
    }
    let count = map.len() as u64;
    if let Some(limit) = schema.limits.min_properties.filter(|limit| count < *limit) {
        causes.push(Cause::invalid(
            path,
            &count.into(),
            format!("{path} in body should have at least {limit} properties"),
        ));
    }
    if let Some(limit) = schema.limits.max_properties.filter(|limit| count > *limit) {
        causes.push(Cause::too_many(path, count, limit));
    }
}

fn validate_list(schema: &Schema, items: &[Value], path: &str, causes: &mut Vec<Cause>) {
    if let Some(schema) = &schema.items {
        for (index, item) in items.iter().enumerate() {
            validate(schema, item, &format!("{path}[{index}]"), causes);
        }
    }
    let count = items.len() as u64;
    if let Some(limit) = schema.limits.min_items.filter(|limit| count < *limit) {
        causes.push(Cause::invalid(
            path,
            &count.into(),
            format!("{path} in body should have at least {limit} items"),
        ));
    }
    if let Some(limit) = schema.limits.max_items.filter(|limit| count > *limit) {
        causes.push(Cause::too_many(path, count, limit));
    }
    if !schema.typed {
        validate_distinct(schema, items, path, causes);
    }
}

fn validate_distinct(schema: &Schema, items: &[Value], path: &str, causes: &mut Vec<Cause>) {
    let identity = |item: &Value| -> Option<Value> {
        match &schema.list {
            ListType::Atomic => None,
            ListType::Set => Some(item.clone()),
            ListType::Map(keys) => {
                let parts = keys
                    .iter()
                    .filter_map(|key| Some((key.clone(), item.get(key)?.clone())));
                Some(Value::Object(parts.collect()))
            }
        }
    };
    let identities: Vec<_> = items.iter().map(identity).collect();
    for (index, this) in identities.iter().enumerate() {
        if let Some(this) = this.as_ref().filter(|_| identities[..index].contains(this)) {
            causes.push(Cause::duplicate(format!("{path}[{index}]"), this));
        }
    }
}

fn validate_text(schema: &Schema, text: &str, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let limits = &schema.limits;
    let length = text.chars().count() as u64;
    if let Some(limit) = limits.min_length.filter(|limit| length < *limit) {
        causes.push(Cause::invalid(
            path,
            value,
            format!("{path} in body should be at least {limit} chars long"),
        ));
    }
    if let Some(limit) = limits.max_length.filter(|limit| length > *limit) {
        causes.push(Cause::too_long(
            path,
            format!("may not be more than {limit} bytes"),
        ));
    }
    if let Some(pattern) = limits.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
        causes.push(Cause::invalid(
            path,
            value,
            format!("{path} in body should match '{pattern}'"),
        ));
    }
    if let Some(format) = limits
        .format
        .as_deref()
        .filter(|format| !has_format(text, format))
    {
        let detail = format!("{path} in body must be of type {format}: {value}");
        causes.push(Cause::wrong_type(path, text, detail));
    }
}

/// Formats that are checked; upstream knows more, and ignores those it does not know.
fn has_format(text: &str, format: &str) -> bool {
    match format {
        "date-time" => text.parse::<k8s_openapi::jiff::Timestamp>().is_ok(),
        "date" => text.parse::<k8s_openapi::jiff::civil::Date>().is_ok(),
        "uuid" => uuid::Uuid::parse_str(text).is_ok(),
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        _ => true,
    }
}

fn validate_number(schema: &Schema, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(number) = value.as_f64() else { return };
    let limits = &schema.limits;
    if let Some(step) = limits
        .multiple_of
        .filter(|step| *step != 0.0 && (number / step).fract() != 0.0)
    {
        causes.push(Cause::invalid(
            path,
            value,
            format!("{path} in body should be a multiple of {step}"),
        ));
    }
    let below = |(bound, exclusive): &(f64, bool)| number < *bound || (*exclusive && number == *bound);
    if let Some((bound, exclusive)) = limits.minimum.filter(below) {
        let than = if exclusive {
            "greater than"
        } else {
            "greater than or equal to"
        };
        causes.push(Cause::invalid(
            path,
            value,
            format!("{path} in body should be {than} {bound}"),
        ));
    }
    let above = |(bound, exclusive): &(f64, bool)| number > *bound || (*exclusive && number == *bound);
    if let Some((bound, exclusive)) = limits.maximum.filter(above) {
        let than = if exclusive {
            "less than"
        } else {
            "less than or equal to"
        };
        causes.push(Cause::invalid(
            path,
            value,
            format!("{path} in body should be {than} {bound}"),
        ));
    }
}

fn validate_combination(
    how: Combination,
    branches: &[std::sync::Arc<Schema>],
    value: &Value,
    path: &str,
    causes: &mut Vec<Cause>,
) {
    let failures = |schema: &Schema| {
        let mut inner = Vec::new();
        validate(schema, value, path, &mut inner);
        inner
    };
    let fitting = branches
        .iter()
        .filter(|schema| failures(schema).is_empty())
        .count();
    let (keyword, good) = match how {
        Combination::All => {
            causes.extend(branches.iter().flat_map(|schema| failures(schema)));
            return;
        }
        Combination::Any => ("must validate at least one schema (anyOf)", fitting > 0),
        Combination::One => ("must validate one and only one schema (oneOf)", fitting == 1),
        Combination::Not => ("must not validate the schema (not)", fitting == 0),
    };
    if !good {
        causes.push(Cause::invalid(path, value, format!("\"{path}\" {keyword}")));
    }
}
