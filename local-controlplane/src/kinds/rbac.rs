//! The rules of Roles, ClusterRoles and their bindings (`k8s.io/kubernetes/pkg/apis/rbac`).
//!
//! What they allow is decided in `access`.

use super::metadata::{check_label_value, check_name, check_qualified};
use super::{NameRule, Rules};
use crate::failure::Cause;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};

const GROUP: &str = "rbac.authorization.k8s.io";

/// Where Roles, ClusterRoles, RoleBindings and ClusterRoleBindings are kept, in this order.
pub(crate) static RBAC_TABLES: LazyLock<[Arc<str>; 4]> = LazyLock::new(|| {
    ["roles", "clusterroles", "rolebindings", "clusterrolebindings"]
        .map(|plural| Arc::from(format!("{GROUP}/{plural}")))
});

fn rules() -> Rules {
    Rules {
        create_on_update: true,
        names: NameRule::PathSegment,
        ..Rules::default()
    }
}

pub(super) fn role() -> Rules {
    Rules {
        prepare: prepare_role,
        validate: |role, _, causes| validate_rules(role, true, causes),
        ..rules()
    }
}

pub(super) fn cluster_role() -> Rules {
    Rules {
        prepare: prepare_role,
        validate: |role, _, causes| {
            validate_rules(role, false, causes);
            validate_aggregation(role, causes);
        },
        ..rules()
    }
}

pub(super) fn role_binding() -> Rules {
    Rules {
        prepare: prepare_binding,
        validate: |binding, old, causes| validate_binding(binding, old, true, causes),
        ..rules()
    }
}

pub(super) fn cluster_role_binding() -> Rules {
    Rules {
        prepare: prepare_binding,
        validate: |binding, old, causes| validate_binding(binding, old, false, causes),
        ..rules()
    }
}

/// No rules are always shown as null, and empty lists in a rule are no lists.
fn prepare_role(role: &mut Value, _old: Option<&Value>) {
    let rules = role["rules"].take();
    role["rules"] = match rules {
        Value::Array(rules) if !rules.is_empty() => {
            let mut rules = rules;
            rules
                .iter_mut()
                .for_each(|rule| drop_empty_lists(rule, &["verbs"]));
            rules.into()
        }
        _ => Value::Null,
    };
    if role["aggregationRule"].is_null() {
        remove(role, "aggregationRule");
    } else {
        drop_empty_lists(&mut role["aggregationRule"], &[]);
    }
}

fn remove(object: &mut Value, field: &str) {
    if let Some(fields) = object.as_object_mut() {
        fields.remove(field);
    }
}

/// `kept` are fields that are shown also when they are empty.
fn drop_empty_lists(object: &mut Value, kept: &[&str]) {
    if let Some(fields) = object.as_object_mut() {
        let is_empty = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        fields.retain(|field, value| kept.contains(&field.as_str()) || !is_empty(value));
    }
}

/// Whoever names no API group means the one in which users and roles are.
fn prepare_binding(binding: &mut Value, _old: Option<&Value>) {
    if !binding["roleRef"].is_object() {
        binding["roleRef"] = json!({});
    }
    let role = &mut binding["roleRef"];
    for field in ["kind", "name"] {
        if role[field].is_null() {
            role[field] = "".into();
        }
    }
    if text(&role["apiGroup"]).is_empty() {
        role["apiGroup"] = GROUP.into();
    }
    for subject in binding["subjects"].as_array_mut().into_iter().flatten() {
        let is_user = matches!(text(&subject["kind"]), "User" | "Group");
        if is_user && text(&subject["apiGroup"]).is_empty() {
            subject["apiGroup"] = GROUP.into();
        }
        for field in ["apiGroup", "namespace"] {
            if text(&subject[field]).is_empty() {
                remove(subject, field);
            }
        }
        for field in ["kind", "name"] {
            if subject[field].is_null() {
                subject[field] = "".into();
            }
        }
    }
    if binding["subjects"].as_array().is_none_or(Vec::is_empty) {
        remove(binding, "subjects");
    }
}

fn validate_rules(role: &Value, namespaced: bool, causes: &mut Vec<Cause>) {
    // What upstream declares instead of coding it is said last.
    let mut declared = Vec::new();
    let rules = role["rules"].as_array().into_iter().flatten();
    for (index, rule) in rules.enumerate() {
        let path = |field: &str| format!("rules[{index}].{field}");
        let is_empty = |field: &str| rule[field].as_array().is_none_or(Vec::is_empty);
        if is_empty("verbs") {
            declared.push(Cause::required(path("verbs"), ""));
        }
        if !is_empty("nonResourceURLs") {
            let mut refuse = |detail| {
                causes.push(Cause::invalid(
                    path("nonResourceURLs"),
                    &rule["nonResourceURLs"],
                    detail,
                ))
            };
            if namespaced {
                refuse("namespaced rules cannot apply to non-resource URLs");
            }
            if !["apiGroups", "resources", "resourceNames"]
                .into_iter()
                .all(is_empty)
            {
                refuse("rules cannot apply to both regular resources and non-resource URLs");
            }
            continue;
        }
        if is_empty("apiGroups") {
            let detail = "resource rules must supply at least one api group";
            causes.push(Cause::required(path("apiGroups"), detail));
        }
        if is_empty("resources") {
            let detail = "resource rules must supply at least one resource";
            causes.push(Cause::required(path("resources"), detail));
        }
    }
    causes.append(&mut declared);
}

/// What is gathered into a ClusterRole is said by selectors of labels.
fn validate_aggregation(role: &Value, causes: &mut Vec<Cause>) {
    let aggregation = &role["aggregationRule"];
    if !aggregation.is_object() {
        return;
    }
    let selectors = aggregation["clusterRoleSelectors"].as_array();
    let selectors = selectors.map_or(&[][..], Vec::as_slice);
    let path = "aggregationRule.clusterRoleSelectors";
    if selectors.is_empty() {
        let detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        causes.push(Cause::required(path, detail));
    }
    for (index, selector) in selectors.iter().enumerate() {
        validate_selector(selector, &format!("{path}[{index}]"), causes);
    }
}

fn validate_selector(selector: &Value, path: &str, causes: &mut Vec<Cause>) {
    let before = causes.len();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        for why in check_qualified(key) {
            causes.push(Cause::invalid(
                format!("{path}.matchLabels"),
                &key.as_str().into(),
                why,
            ));
        }
        for why in check_label_value(text(value)) {
            causes.push(Cause::invalid(format!("{path}.matchLabels"), value, why));
        }
    }
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    for (index, expression) in expressions.enumerate() {
        let at = |field: &str| format!("{path}.matchExpressions[{index}].{field}");
        let has_values = expression["values"]
            .as_array()
            .is_some_and(|values| !values.is_empty());
        match (text(&expression["operator"]), has_values) {
            ("In" | "NotIn", true) | ("Exists" | "DoesNotExist", false) => {}
            ("In" | "NotIn", false) => {
                let detail = "must be specified when `operator` is 'In' or 'NotIn'";
                causes.push(Cause::required(at("values"), detail));
            }
            ("Exists" | "DoesNotExist", true) => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                causes.push(Cause::forbidden(at("values"), detail));
            }
            _ => {
                let detail = "not a valid selector operator";
                causes.push(Cause::invalid(at("operator"), &expression["operator"], detail));
            }
        }
        for why in check_qualified(text(&expression["key"])) {
            causes.push(Cause::invalid(at("key"), &expression["key"], why));
        }
    }
    if causes.len() > before {
        causes.push(Cause::invalid(path, selector, "invalid label selector."));
    }
}

fn validate_binding(binding: &Value, old: Option<&Value>, namespaced: bool, causes: &mut Vec<Cause>) {
    // What upstream declares instead of coding it is said last.
    let mut declared = Vec::new();
    let role = &binding["roleRef"];
    let kinds: &[&str] = if namespaced {
        &["Role", "ClusterRole"]
    } else {
        &["ClusterRole"]
    };
    supported("roleRef.apiGroup", &role["apiGroup"], &[GROUP], causes);
    supported("roleRef.kind", &role["kind"], kinds, causes);
    if text(&role["name"]).is_empty() {
        declared.push(Cause::required("roleRef.name", ""));
    }
    for why in check_name(NameRule::PathSegment, text(&role["name"])) {
        causes.push(Cause::invalid("roleRef.name", &role["name"], why));
    }
    if old.is_some_and(|old| old["roleRef"] != *role) {
        // Shown as upstream's own type has it, not as objects do.
        let shown = json!({"APIGroup": role["apiGroup"], "Kind": role["kind"], "Name": role["name"]});
        declared.push(Cause::invalid("roleRef", &shown, "field is immutable"));
    }
    let subjects = binding["subjects"].as_array().into_iter().flatten();
    for (index, subject) in subjects.enumerate() {
        let path = format!("subjects[{index}]");
        if text(&subject["name"]).is_empty() {
            declared.push(Cause::required(format!("{path}.name"), ""));
        }
        validate_subject(subject, &path, namespaced, causes);
    }
    causes.append(&mut declared);
}

fn validate_subject(subject: &Value, path: &str, namespaced: bool, causes: &mut Vec<Cause>) {
    let at = |field: &str| format!("{path}.{field}");
    let name = text(&subject["name"]);
    match text(&subject["kind"]) {
        "ServiceAccount" => {
            if !name.is_empty() {
                for why in check_name(NameRule::Subdomain, name) {
                    causes.push(Cause::invalid(at("name"), &subject["name"], why));
                }
            }
            supported(&at("apiGroup"), &subject["apiGroup"], &[""], causes);
            if !namespaced && text(&subject["namespace"]).is_empty() {
                causes.push(Cause::required(at("namespace"), ""));
            }
        }
        "User" | "Group" => supported(&at("apiGroup"), &subject["apiGroup"], &[GROUP], causes),
        _ => supported(
            &at("kind"),
            &subject["kind"],
            &["ServiceAccount", "User", "Group"],
            causes,
        ),
    }
}

fn supported(path: &str, value: &Value, words: &[&str], causes: &mut Vec<Cause>) {
    if !words.contains(&text(value)) {
        let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
        causes.push(Cause::not_supported(path, &text(value).into(), &words));
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
