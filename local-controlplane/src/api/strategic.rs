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
        Some(other) => return Err(Failure::bad_request(format!("unknown patch type found: {other}"))),
    }
    if let Some(retained) = patch.get(RETAIN).and_then(Value::as_array) {
        fields.retain(|key, _| retained.iter().any(|retained| retained == key));
    }
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
            put_in_order(list, fields.get_mut(list), order);
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
    if SETS.contains(&name) {
        // What the patch names comes first, as upstream has it.
        let others = list.iter().filter(|item| !patch.contains(item));
        return Ok(patch.iter().chain(others).cloned().collect());
    }
    let Some(key) = merge_key(name) else {
        return Ok(patch.to_vec());
    };
    let mut merged = list.to_vec();
    for item in patch {
        if item[key].is_null() {
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
    Ok(merged)
}

fn delete_from(list: Option<&mut Value>, deleted: &Value) {
    if let (Some(list), Some(deleted)) = (list.and_then(Value::as_array_mut), deleted.as_array()) {
        list.retain(|item| !deleted.contains(item));
    }
}

/// Items that the patch orders come first, in its order; the others keep theirs.
fn put_in_order(name: &str, list: Option<&mut Value>, order: &[Value]) {
    let Some(list) = list.and_then(Value::as_array_mut) else {
        return;
    };
    let same = |item: &Value, wanted: &Value| match merge_key(name) {
        Some(key) => item[key] == wanted[key],
        None => item == wanted,
    };
    list.sort_by_key(|item| {
        order
            .iter()
            .position(|wanted| same(item, wanted))
            .unwrap_or(usize::MAX)
    });
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
