//! The rules of ConfigMaps (`k8s.io/kubernetes/pkg/apis/core/validation`).

use crate::failure::Cause;
use serde_json::Value;

const MAX_KEY: usize = 253;
const MAX_SIZE: usize = 1 << 20;

/// Empty data is no data.
pub(super) fn prepare(map: &mut Value, _old: Option<&Value>) {
    if let Some(fields) = map.as_object_mut() {
        fields.retain(|_, value| value.as_object().is_none_or(|value| !value.is_empty()));
    }
}

/// Keys are file names that come once, and what is immutable stays as it is.
pub(super) fn validate(map: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let keys = |field: &str| map[field].as_object().into_iter().flatten();
    let mut size = 0;
    for field in ["data", "binaryData"] {
        for (key, value) in keys(field) {
            size += value.as_str().map_or(0, str::len);
            let path = format!("{field}[{key}]");
            if !is_file_name(key) {
                let detail = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
                causes.push(Cause::invalid(path, &key.as_str().into(), detail));
            } else if field == "data" && keys("binaryData").any(|(other, _)| other == key) {
                let detail = "duplicate of key present in binaryData";
                causes.push(Cause::invalid(path, &key.as_str().into(), detail));
            }
        }
    }
    if size > MAX_SIZE {
        causes.push(Cause::too_long(
            "",
            format!("may not be more than {MAX_SIZE} bytes"),
        ));
    }
    let Some(old) = old.filter(|old| old["immutable"] == true) else {
        return;
    };
    if map["immutable"] != true {
        let detail = "field is immutable when `immutable` is set";
        causes.push(Cause::forbidden("immutable", detail));
    }
    for field in ["data", "binaryData"] {
        if map[field] != old[field] {
            let detail = "field is immutable when `immutable` is set";
            causes.push(Cause::forbidden(field, detail));
        }
    }
}

fn is_file_name(key: &str) -> bool {
    let inner = key
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    inner && !key.is_empty() && key.len() <= MAX_KEY && key != "." && !key.starts_with("..")
}
