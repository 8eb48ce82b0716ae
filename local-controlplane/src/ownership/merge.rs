//! Merging an applied configuration into an object: what the configuration sets wins, everything else stays.

use super::element::Element;
use super::shape::{Form, Shape};
use crate::schema::ListType;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, VecDeque};

/// The object with the configuration in it.
pub(super) fn merged(live: &Value, config: &Value, shape: Shape<'_>) -> Value {
    merge(Some(live), Some(config), shape).unwrap_or(Value::Null)
}

fn merge(live: Option<&Value>, config: Option<&Value>, shape: Shape<'_>) -> Option<Value> {
    let significant = config.filter(|config| !config.is_null()).or(live).or(config)?;
    match shape.form(significant) {
        Form::Scalar => config.or(live).cloned(),
        Form::Map => {
            let (left, right) = (live.and_then(Value::as_object), config.and_then(Value::as_object));
            let empty = |map: Option<&Map<String, Value>>| map.is_none_or(Map::is_empty);
            if shape.is_atomic_map() || (empty(left) && empty(right)) {
                return config.or(live).cloned();
            }
            Some(Value::Object(merge_maps(left, right, shape)))
        }
        Form::List => {
            let (left, right) = (live.and_then(Value::as_array), config.and_then(Value::as_array));
            let items = |list: Option<&Vec<Value>>| list.cloned().unwrap_or_default();
            let (left, right) = (items(left), items(right));
            if *shape.list() == ListType::Atomic || (left.is_empty() && right.is_empty()) {
                return config.or(live).cloned();
            }
            Some(Value::Array(merge_lists(&left, &right, shape)))
        }
    }
}

fn merge_maps(
    live: Option<&Map<String, Value>>,
    config: Option<&Map<String, Value>>,
    shape: Shape<'_>,
) -> Map<String, Value> {
    let mut out = live.cloned().unwrap_or_default();
    for (name, value) in config.into_iter().flatten() {
        let merged = merge(out.get(name), Some(value), shape.field(name).shape);
        if let Some(merged) = merged {
            out.insert(name.clone(), merged);
        }
    }
    out
}

/// The items of one side by their element, in order. An element that comes twice has no item to merge with.
struct Indexed<'a> {
    order: Vec<Element>,
    found: BTreeMap<Element, Option<&'a Value>>,
}

impl<'a> Indexed<'a> {
    fn of(items: &'a [Value], shape: Shape<'_>) -> Self {
        let mut indexed = Self {
            order: Vec::new(),
            found: BTreeMap::new(),
        };
        for item in items {
            if let Ok(element) = Element::item(shape.list(), shape.items(), item) {
                let only = (!indexed.found.contains_key(&element)).then_some(item);
                indexed.found.insert(element.clone(), only);
                indexed.order.push(element);
            }
        }
        indexed
    }

    fn has(&self, element: &Element) -> bool {
        self.found.contains_key(element)
    }

    fn get(&self, element: &Element) -> Option<&'a Value> {
        self.found.get(element).copied().flatten()
    }
}

/// The configuration decides the order of its items; those that only the object has stay between the neighbours that
/// they had.
fn merge_lists(live: &[Value], config: &[Value], shape: Shape<'_>) -> Vec<Value> {
    let (left, right) = (Indexed::of(live, shape), Indexed::of(config, shape));
    let mut shared: VecDeque<&Element> = right.order.iter().filter(|element| left.has(element)).collect();
    let mut out = Vec::new();
    let mut taken = std::collections::BTreeSet::new();
    let (mut l, mut r) = (0, 0);
    while l < left.order.len() || r < right.order.len() {
        let (own, theirs) = (left.order.get(l), right.order.get(r));
        if let (Some(own), Some(theirs)) = (own, theirs) {
            if own == theirs {
                out.extend(merge(left.get(own), right.get(own), shape.items()));
                taken.insert(own.clone());
                (l, r) = (l + 1, r + 1);
                shared.pop_front();
                continue;
            }
            if right.has(own) && shared.front().is_some_and(|next| *next != own) {
                // Shared, but its turn is another one.
                l += 1;
                continue;
            }
        }
        if let Some(own) = own {
            if !right.has(own) {
                out.push(live[l].clone());
                l += 1;
                continue;
            }
            if taken.contains(own) {
                l += 1;
            }
        }
        if let Some(theirs) = theirs {
            out.extend(merge(left.get(theirs), right.get(theirs), shape.items()));
            taken.insert(theirs.clone());
            r += 1;
            if shared.front().is_some_and(|next| *next == theirs) {
                shared.pop_front();
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Definitions, Schema};
    use serde_json::json;

    fn merged_list(live: Value, config: Value) -> Value {
        let list = json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}});
        let schema = Definitions::default().parse(&list).unwrap();
        merged(&live, &config, Shape::of(&schema, &Schema::default()))
    }

    #[test]
    fn the_configuration_orders_its_items_and_others_keep_their_neighbours() {
        for (live, config, expected) in [
            (json!(["a", "b"]), json!(["b", "c"]), json!(["a", "b", "c"])),
            (json!(["a", "b", "c"]), json!(["c", "a"]), json!(["b", "c", "a"])),
            (
                json!(["x", "a", "y", "b", "z"]),
                json!(["b", "n", "a"]),
                json!(["x", "y", "b", "z", "n", "a"]),
            ),
            (json!([]), json!(["a"]), json!(["a"])),
            (json!(null), json!(["a"]), json!(["a"])),
            (json!(["a"]), json!([]), json!(["a"])),
            (json!(["a"]), json!(null), json!(["a"])),
        ] {
            assert_eq!(
                merged_list(live.clone(), config.clone()),
                expected,
                "{live} with {config}"
            );
        }
    }
}
