//! Gathers the rules of ClusterRoles into those whose `aggregationRule` selects them.

use super::resource;
use crate::api::{Intent, replace};
use crate::kinds::RBAC_TABLES;
use crate::plane::Plane;
use crate::store::{Stored, Writer};
use serde_json::Value;
use std::sync::Arc;

const MANAGER: &str = "clusterrole-aggregation-controller";

/// Works on every ClusterRole, when one of them has changed since `seen`. True: something was written.
pub(super) fn round(plane: &Plane, seen: &mut u64) -> bool {
    let [_, table, ..] = RBAC_TABLES.each_ref();
    let newest = |plane: &Plane| {
        plane
            .store
            .read(|state| state.table(table).map_or(0, |table| table.newest()))
    };
    if newest(plane) == *seen {
        return false;
    }
    *seen = newest(plane);
    plane.store.write(|writer| gather_all(plane, writer, table));
    newest(plane) != *seen
}

fn gather_all(plane: &Plane, writer: &mut Writer<'_>, table: &Arc<str>) {
    let within = writer
        .table(table)
        .into_iter()
        .flat_map(|table| table.within(None));
    let roles: Vec<(Arc<Stored>, Value)> = within.map(|role| (Arc::clone(role), role.value())).collect();
    for (stored, role) in &roles {
        let Some(selectors) = role["aggregationRule"]["clusterRoleSelectors"].as_array() else {
            continue;
        };
        let rules = gathered(selectors, stored, &roles);
        if role["rules"].as_array().map_or(&[][..], Vec::as_slice) == rules {
            continue;
        }
        let mut role = role.clone();
        role["rules"] = rules.into();
        if let Some(resource) = resource(plane, table, stored, None)
            && let Err(failure) = replace(plane, writer, &resource, stored, role, Intent::own(MANAGER))
        {
            tracing::warn!(%failure, "the rules of a ClusterRole could not be gathered");
        }
    }
}

/// The rules of all that is selected, in the order of the selectors and then of the names, each once.
fn gathered(selectors: &[Value], into: &Stored, roles: &[(Arc<Stored>, Value)]) -> Vec<Value> {
    let mut rules: Vec<Value> = Vec::new();
    for selector in selectors {
        let selected = roles
            .iter()
            .filter(|(role, _)| role.key != into.key && selects(selector, role));
        let found = selected.flat_map(|(_, role)| role["rules"].as_array().into_iter().flatten());
        for rule in found {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
    }
    rules
}

/// Whether a selector of labels selects a role.
fn selects(selector: &Value, role: &Stored) -> bool {
    let label = |key: &Value| role.labels.get(key.as_str().unwrap_or_default());
    let mut pairs = selector["matchLabels"].as_object().into_iter().flatten();
    let mut expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    pairs.all(|(key, value)| role.labels.get(key).is_some_and(|label| value == label))
        && expressions.all(|expression| {
            let value = label(&expression["key"]);
            let values = expression["values"].as_array().map_or(&[][..], Vec::as_slice);
            let is_among = value.is_some_and(|value| values.iter().any(|one| one == value));
            match expression["operator"].as_str() {
                Some("In") => is_among,
                Some("NotIn") => !is_among,
                Some("Exists") => value.is_some(),
                _ => value.is_none(),
            }
        })
}
