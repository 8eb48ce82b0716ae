//! Strategic merge patch for the built-in kinds: a merge patch that knows by which key the items of a list are merged.
//!
//! The keys are a small table by field name. Upstream tags each Go field; among the kinds served here a field name
//! means the same list everywhere, with `ports` the one exception that its two owners tell apart.

use crate::failure::Failure;
use serde_json::{Map, Value};

/// Lists that are merged item by item, and the key of an item. Lists that are not named are replaced as a whole.
const MERGED: [(&str, &str); 15] = [
    ("containers", "name"),
    ("initContainers", "name"),
    ("ephemeralContainers", "name"),
    ("volumes", "name"),
    ("volumeMounts", "mountPath"),
    ("volumeDevices", "devicePath"),
    ("env", "name"),
    ("ports", "containerPort"),
    ("imagePullSecrets", "name"),
    ("secrets", "name"),
    ("hostAliases", "ip"),
    ("conditions", "type"),
    ("ownerReferences", "uid"),
    ("topologySpreadConstraints", "topologyKey"),
    ("resourceClaims", "name"),
];
/// Lists of plain values that are merged as sets.
const SETS: [&str; 1] = ["finalizers"];
const DIRECTIVE: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

/// Merges `patch` into `object`.
pub(crate) fn merge(object: &mut Value, patch: &Value) -> Result<(), Failure> {
    let (Some(fields), Some(patch)) = (object.as_object_mut(), patch.as_object()) else {
        return Err(Failure::bad_request("a strategic merge patch must be an object"));
    };
    merge_map(fields, patch)
}

fn merge_map(fields: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<(), Failure> {
    match patch.get(DIRECTIVE).and_then(Value::as_str) {
        None | Some("merge") => {}
        Some("replace") => {
            *fields = patch.clone();
            fields.remove(DIRECTIVE);
            return Ok(());
        }
        Some("delete") => {
            fields.clear();
            return Ok(());
        }
        Some(other) => return Err(Failure::unclassified(format!("unknown patch type: {other}"))),
    }
    if let Some(retained) = patch.get(RETAIN).and_then(Value::as_array) {
        fields.retain(|key, _| retained.iter().any(|retained| retained == key));
    }
    let before = fields.clone();
    for (key, value) in patch {
        if key == DIRECTIVE || key == RETAIN || key.starts_with(ORDER) {
            continue;
        }
        if let Some(list) = key.strip_prefix(DELETE_FROM) {
            delete_from(fields.get_mut(list), value);
            continue;
        }
        merge_field(fields, key, value)?;
    }
    for (key, order) in patch {
        if let (Some(list), Some(order)) = (key.strip_prefix(ORDER), order.as_array()) {
            check_order(list, patch, order)?;
            let server = before.get(list).and_then(Value::as_array);
            put_in_order(
                list,
                fields.get_mut(list),
                order,
                server.map_or(&[], Vec::as_slice),
            );
        }
    }
    Ok(())
}

fn merge_field(fields: &mut Map<String, Value>, key: &str, value: &Value) -> Result<(), Failure> {
    match value {
        Value::Null => {
            fields.remove(key);
        }
        Value::Object(patch) => {
            let field = fields.entry(key).or_insert_with(|| Value::Object(Map::new()));
            if !field.is_object() {
                *field = Value::Object(Map::new());
            }
            if let Some(field) = field.as_object_mut() {
                merge_map(field, patch)?;
            }
        }
        Value::Array(patch) => {
            let list = fields.entry(key).or_insert_with(|| Value::Array(Vec::new()));
            let merged = merge_list(key, list.as_array().map_or(&[][..], Vec::as_slice), patch)?;
            *list = Value::Array(merged);
        }
        scalar => {
            fields.insert(key.to_owned(), scalar.clone());
        }
    }
    Ok(())
}

fn merge_key(list: &str) -> Option<&'static str> {
    MERGED.iter().find(|(name, _)| *name == list).map(|(_, key)| *key)
}

fn merge_list(name: &str, list: &[Value], patch: &[Value]) -> Result<Vec<Value>, Failure> {
    if patch.iter().any(|item| item[DIRECTIVE] == "replace") {
        return Ok(patch
            .iter()
            .filter(|item| item[DIRECTIVE] != "replace")
            .cloned()
            .collect());
    }
    let mut merged = list.to_vec();
    if SETS.contains(&name) {
        merged.extend(patch.iter().filter(|item| !list.contains(item)).cloned());
        return Ok(ordered(name, merged, patch, list));
    }
    let Some(key) = merge_key(name) else {
        return Ok(patch.to_vec());
    };
    for item in patch {
        // With nothing to merge into, upstream takes the patch as it is.
        if item[key].is_null() && !list.is_empty() {
            return Err(Failure::bad_request(format!(
                "map: {item} does not contain declared merge key: {key}"
            )));
        }
        let found = merged.iter().position(|present| present[key] == item[key]);
        match (found, item[DIRECTIVE] == "delete") {
            (Some(index), true) => drop(merged.remove(index)),
            (Some(index), false) => merge(&mut merged[index], item)?,
            (None, true) => {}
            (None, false) => merged.push(item.clone()),
        }
    }
    Ok(ordered(name, merged, patch, list))
}

fn delete_from(list: Option<&mut Value>, deleted: &Value) {
    if let (Some(list), Some(deleted)) = (list.and_then(Value::as_array_mut), deleted.as_array()) {
        list.retain(|item| !deleted.contains(item));
    }
}

/// Merges two orders: what the patch names is in the patch's order, what only the server has in the server's. Where the
/// server's order says nothing of two of them, the patch's one comes first.
fn ordered(name: &str, items: Vec<Value>, patch: &[Value], server: &[Value]) -> Vec<Value> {
    let key = merge_key(name);
    let same = |a: &Value, b: &Value| key.map_or_else(|| a == b, |key| a[key] == b[key]);
    let place = |list: &[Value], item: &Value| list.iter().position(|other| same(other, item));
    let (mut ours, mut theirs): (Vec<Value>, Vec<Value>) =
        items.into_iter().partition(|item| place(patch, item).is_some());
    ours.sort_by_key(|item| place(patch, item));
    theirs.sort_by_key(|item| place(server, item));
    let mut merged = Vec::with_capacity(ours.len() + theirs.len());
    let (mut ours, mut theirs) = (ours.into_iter().peekable(), theirs.into_iter().peekable());
    while let (Some(our), Some(their)) = (ours.peek(), theirs.peek()) {
        let before = matches!((place(server, their), place(server, our)), (Some(a), Some(b)) if a < b);
        merged.extend(if before { theirs.next() } else { ours.next() });
    }
    merged.extend(ours);
    merged.extend(theirs);
    merged
}

/// Puts a list in the order that a patch demands.
fn put_in_order(name: &str, list: Option<&mut Value>, order: &[Value], server: &[Value]) {
    if let Some(list) = list.and_then(Value::as_array_mut) {
        *list = ordered(name, std::mem::take(list), order, server);
    }
}

/// Whether what the patch has of a list comes in the order that it demands.
fn check_order(key: &str, patch: &Map<String, Value>, order: &[Value]) -> Result<(), Failure> {
    let merge_key = merge_key(key);
    let same = |a: &Value, b: &Value| merge_key.map_or_else(|| a == b, |key| a[key] == b[key]);
    let mut rest = order.iter();
    let items = patch.get(key).and_then(Value::as_array);
    for item in items
        .into_iter()
        .flatten()
        .filter(|item| item[DIRECTIVE].is_null())
    {
        if !rest.any(|wanted| same(wanted, item)) {
            return Err(Failure::unclassified(format!(
                "the order in the patch list of {key} does not match its $setElementOrder"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn merged(mut object: Value, patch: Value) -> Value {
        merge(&mut object, &patch).unwrap();
        object
    }

    #[test]
    fn containers_are_merged_by_name() {
        let object =
            json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}], "args": ["x"]});
        let patch =
            json!({"containers": [{"name": "b", "image": "2"}, {"name": "c", "image": "1"}], "args": ["y"]});
        let expected = json!({
            "containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}, {"name": "c", "image": "1"}],
            "args": ["y"],
        });
        assert_eq!(merged(object, patch), expected);
    }

    #[test]
    fn directives_delete_replace_retain_and_order() {
        let object =
            || json!({"containers": [{"name": "a"}, {"name": "b"}], "strategy": {"type": "R", "x": 1}});
        let delete = json!({"containers": [{"name": "a", "$patch": "delete"}]});
        assert_eq!(merged(object(), delete)["containers"], json!([{"name": "b"}]));
        let replace = json!({"containers": [{"$patch": "replace"}, {"name": "z"}]});
        assert_eq!(merged(object(), replace)["containers"], json!([{"name": "z"}]));
        let retain = json!({"strategy": {"$retainKeys": ["type"], "type": "S"}});
        assert_eq!(merged(object(), retain)["strategy"], json!({"type": "S"}));
        let order = json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]});
        assert_eq!(
            merged(object(), order)["containers"],
            json!([{"name": "b"}, {"name": "a"}])
        );
        assert!(merge(&mut object(), &json!({"containers": [{"image": "nameless"}]})).is_err());
    }
}
