//! Nobody gives what they do not have: who writes a Role or a binding must hold the rules in it, or be told explicitly
//! that they may `escalate` or `bind` (`k8s.io/kubernetes/pkg/registry/rbac`).

use super::attributes::{About, Attributes};
use super::policy::{RoleRef, Unresolved};
use super::{Policy, Rule, User};
use crate::api::Resource;
use crate::failure::Failure;
use crate::plane::Plane;
use crate::store::{State, Stored};
use serde_json::Value;
use std::collections::BTreeSet;

const GROUP: &str = "rbac.authorization.k8s.io";

/// Refuses a Role or a binding that gives more than the user has. `old` is what is replaced.
pub(crate) fn check(
    plane: &Plane,
    state: &State,
    user: &User,
    resource: &Resource,
    new: &Value,
    old: Option<&Stored>,
) -> Result<(), Failure> {
    let kind = &resource.kind;
    if kind.group != GROUP || user.is_master() {
        return Ok(());
    }
    let old = old.map(|old| kind.to_wire(old.value()));
    let old = old.as_ref();
    if old.is_some_and(|old| is_same_but_for_collection(new, old)) {
        return Ok(());
    }
    let attempt = Attempt {
        policy: &plane.policies.at(state),
        user,
        resource,
        name: new["metadata"]["name"].as_str().unwrap_or_default(),
    };
    match kind.plural.as_str() {
        "roles" | "clusterroles" => attempt.define(new, old),
        _ => attempt.bind(new),
    }
}

/// The garbage collector changes these of anything, without gaining anything.
fn is_same_but_for_collection(new: &Value, old: &Value) -> bool {
    let without = |object: &Value| {
        let mut object = object.clone();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            for field in ["ownerReferences", "finalizers", "selfLink", "managedFields"] {
                metadata.remove(field);
            }
        }
        object
    };
    without(new) == without(old)
}

/// Somebody writes a Role or a binding.
struct Attempt<'a> {
    policy: &'a Policy,
    user: &'a User,
    resource: &'a Resource,
    name: &'a str,
}

impl Attempt<'_> {
    fn namespace(&self) -> &str {
        self.resource.namespace.as_deref().unwrap_or_default()
    }

    fn define(&self, new: &Value, old: Option<&Value>) -> Result<(), Failure> {
        let name = self.resource.name.as_deref().unwrap_or_default();
        if self.may("escalate", &self.resource.kind.plural, name) {
            return Ok(());
        }
        self.hold(&Rule::all_of(new))?;
        let gathers = |role: &Value| {
            let selectors = &role["aggregationRule"]["clusterRoleSelectors"];
            selectors
                .as_array()
                .is_some_and(|selectors| !selectors.is_empty())
        };
        // What an aggregated role will gather is not known.
        if (gathers(new) || old.is_some_and(gathers)) && self.hold(&everything()).is_err() {
            return Err(self.forbidden("must have cluster-admin privileges to use the aggregationRule"));
        }
        Ok(())
    }

    fn bind(&self, binding: &Value) -> Result<(), Failure> {
        let role = RoleRef::of(binding);
        let plural = format!("{}s", role.kind.to_lowercase());
        let is_role = matches!(role.kind.as_str(), "Role" | "ClusterRole");
        if is_role && self.may("bind", &plural, &role.name) {
            return Ok(());
        }
        if is_role && role.name.is_empty() {
            return Err(Failure::bad_request("Name parameter required."));
        }
        if role.kind == "Role" && self.namespace().is_empty() {
            return Err(Failure::bad_request("Namespace parameter required."));
        }
        let rules = self.policy.rules_of(&role, self.namespace());
        self.hold(rules.map_err(|why| match why {
            // A real server speaks of the kind that is written, not of the one that it has looked for.
            Unresolved::NotFound(role) => Failure::not_found(self.resource.kind.subject(&role.name)),
            Unresolved::Kind(_) => Failure::unclassified(why.to_string()),
        })?)
    }

    fn may(&self, verb: &str, resource: &str, name: &str) -> bool {
        let attributes = Attributes {
            verb: verb.to_owned(),
            about: About::Resource {
                group: GROUP.to_owned(),
                resource: resource.to_owned(),
                subresource: String::new(),
                namespace: self.namespace().to_owned(),
                name: name.to_owned(),
            },
        };
        self.policy.decide(self.user, &attributes).allowed
    }

    /// Refuses rules that the user does not hold.
    fn hold(&self, rules: &[Rule]) -> Result<(), Failure> {
        let (held, unresolved) = self.policy.rules_for(self.user, self.namespace());
        let singles = rules.iter().flat_map(Rule::singles);
        let missing: Vec<Rule> = singles
            .filter(|single| !held.iter().any(|rule| rule.covers(single)))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let lines: BTreeSet<String> = compact(missing).iter().map(Rule::in_words).collect();
        let lines: Vec<String> = lines.into_iter().collect();
        let groups: Vec<String> = self
            .user
            .groups
            .iter()
            .map(|group| format!("{group:?}"))
            .collect();
        let mut why = format!(
            "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
            self.user.name,
            groups.join(" "),
            lines.join("\n")
        );
        if let Some(unresolved) = unresolved {
            why += &format!("; resolution errors: [{unresolved}]");
        }
        Err(self.forbidden(&why))
    }

    fn forbidden(&self, why: &str) -> Failure {
        Failure::forbidden(self.resource.kind.subject(self.name), why)
    }
}

/// What one must hold to gather whatever there will be.
fn everything() -> [Rule; 2] {
    let all = || vec!["*".to_owned()];
    let resources = Rule {
        verbs: all(),
        groups: all(),
        resources: all(),
        ..Rule::default()
    };
    let urls = Rule {
        verbs: all(),
        urls: all(),
        ..Rule::default()
    };
    [resources, urls]
}

/// Rules that differ only in their verb as one.
fn compact(singles: Vec<Rule>) -> Vec<Rule> {
    let mut compacted: Vec<Rule> = Vec::new();
    for single in singles {
        let same = compacted.iter_mut().find(|rule| {
            rule.urls.is_empty()
                && single.urls.is_empty()
                && (&rule.groups, &rule.resources, &rule.names)
                    == (&single.groups, &single.resources, &single.names)
        });
        match same {
            Some(rule) => rule.verbs.extend(single.verbs),
            None => compacted.push(single),
        }
    }
    compacted
}
