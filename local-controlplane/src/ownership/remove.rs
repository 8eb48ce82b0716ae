//! Taking a set of fields out of an object.

use super::element::Element;
use super::field_set::FieldSet;
use super::shape::Shape;
use crate::schema::ListType;
use serde_json::{Map, Value};

/// The object without the fields of `set`. What has nothing left becomes null.
pub(super) fn without(value: &Value, set: &FieldSet, shape: Shape<'_>) -> Value {
    match value {
        Value::Object(fields) if !shape.is_atomic_map() => {
            let mut left = Map::new();
            for (name, value) in fields {
                let node = set.get(&Element::field(name));
                match node {
                    None => drop(left.insert(name.clone(), value.clone())),
                    Some(node) if node.member => {}
                    Some(node) => {
                        let inner = without(value, &node.below, shape.field(name).shape);
                        left.insert(name.clone(), inner);
                    }
                }
            }
            or_null(left.is_empty(), Value::Object(left))
        }
        Value::Array(items) if *shape.list() != ListType::Atomic => {
            let mut left = Vec::new();
            for item in items {
                let element = Element::item(shape.list(), shape.items(), item).ok();
                match element.and_then(|element| set.get(&element)) {
                    None => left.push(item.clone()),
                    Some(node) if node.member => {}
                    Some(node) => left.push(without(item, &node.below, shape.items())),
                }
            }
            or_null(left.is_empty(), Value::Array(left))
        }
        Value::Object(_) | Value::Array(_) => Value::Null,
        scalar => scalar.clone(),
    }
}

fn or_null(is_empty: bool, value: Value) -> Value {
    if is_empty { Value::Null } else { value }
}
