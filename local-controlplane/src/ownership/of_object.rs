//! All the fields that an object sets.

use super::element::Element;
use super::field_set::{FieldSet, Node};
use super::shape::{Form, Shape};
use crate::schema::ListType;
use serde_json::Value;
use std::collections::BTreeSet;

/// The set of an object's fields.
pub(super) fn fields_of(object: &Value, shape: Shape<'_>) -> FieldSet {
    node(object, shape).below
}

fn node(value: &Value, shape: Shape<'_>) -> Node {
    match (shape.form(value), value) {
        (Form::Scalar, _) => Node::leaf(),
        (Form::Map, _) if shape.is_atomic_map() => Node::leaf(),
        (Form::List, _) if *shape.list() == ListType::Atomic => Node::leaf(),
        (_, Value::Object(fields)) => {
            let mut own = Node::default();
            for (name, value) in fields {
                let field = shape.field(name);
                let mut inner = node(value, field.shape);
                let is_empty = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
                inner.member |= is_empty || !field.is_named;
                own.below.add(Element::field(name), inner);
            }
            own
        }
        (_, Value::Array(items)) => items_node(items, shape),
        _ => Node::default(),
    }
}

/// Of duplicates there is only that they are there.
fn items_node(items: &[Value], shape: Shape<'_>) -> Node {
    let element = |item: &Value| Element::item(shape.list(), shape.items(), item).ok();
    let (mut seen, mut twice) = (BTreeSet::new(), BTreeSet::new());
    for element in items.iter().filter_map(element) {
        if !seen.insert(element.clone()) {
            twice.insert(element);
        }
    }
    let mut own = Node::default();
    for item in items {
        let Some(element) = element(item) else { continue };
        let mut inner = match twice.contains(&element) {
            true => Node::default(),
            false => node(item, shape.items()),
        };
        inner.member = true;
        own.below.add(element, inner);
    }
    own
}
