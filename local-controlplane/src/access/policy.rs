//! Who may do what: the stored Roles and bindings in a form that can be asked
//! (`k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac`).

use super::Rule;
use super::attributes::Attributes;
use super::user::User;
use crate::kinds::RBAC_TABLES;
use crate::store::{Key, State};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The policy of a control plane, parsed once for each change of it.
#[derive(Debug, Default)]
pub(crate) struct Policies(Mutex<Option<(Versions, Arc<Policy>)>>);

/// The newest versions of the tables that a policy was made from.
type Versions = [u64; 4];

impl Policies {
    /// The policy at this state.
    pub(crate) fn at(&self, state: &State) -> Arc<Policy> {
        let tables = RBAC_TABLES.each_ref();
        let versions = tables.map(|table| state.table(table).map_or(0, |table| table.newest()));
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((of, policy)) if *of == versions => Arc::clone(policy),
            _ => {
                let policy = Arc::new(Policy::read(state));
                *kept = Some((versions, Arc::clone(&policy)));
                policy
            }
        }
    }
}

/// All Roles and bindings at one moment.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    /// Those of the whole cluster have no namespace.
    roles: BTreeMap<Key, Vec<Rule>>,
    /// By namespace; those of the whole cluster have none.
    bindings: BTreeMap<String, Vec<Binding>>,
}

/// To whom a binding gives which role.
#[derive(Debug)]
struct Binding {
    kind: &'static str,
    key: Key,
    role: RoleRef,
    subjects: Vec<Subject>,
}

/// The role that a binding names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleRef {
    pub(crate) kind: String,
    pub(crate) name: String,
}

#[derive(Debug)]
struct Subject {
    kind: String,
    name: String,
    namespace: String,
}

/// Why a role has no rules to give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unresolved {
    NotFound(RoleRef),
    /// No such kind of role.
    Kind(String),
}

impl std::fmt::Display for Unresolved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotFound(RoleRef { kind, name }) => {
                let resource = kind.to_lowercase();
                write!(f, "{resource}.rbac.authorization.k8s.io {name:?} not found")
            }
            Self::Kind(kind) => write!(f, "unsupported role reference kind: {kind:?}"),
        }
    }
}

/// Whether something is allowed, and why or why not, as far as there is more to say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) allowed: bool,
    pub(crate) reason: String,
}

impl Policy {
    fn read(state: &State) -> Self {
        let mut policy = Self::default();
        let [roles, cluster_roles, bindings, cluster_bindings] = RBAC_TABLES.each_ref();
        for table in [roles, cluster_roles] {
            for role in state
                .table(table)
                .into_iter()
                .flat_map(|table| table.within(None))
            {
                policy.roles.insert(role.key.clone(), Rule::all_of(&role.value()));
            }
        }
        for (table, kind) in [
            (bindings, "RoleBinding"),
            (cluster_bindings, "ClusterRoleBinding"),
        ] {
            for binding in state
                .table(table)
                .into_iter()
                .flat_map(|table| table.within(None))
            {
                let within = policy.bindings.entry(binding.key.namespace.clone()).or_default();
                within.push(Binding::of(kind, binding.key.clone(), &binding.value()));
            }
        }
        policy
    }

    /// Whether a user may do something.
    pub(crate) fn decide(&self, user: &User, attributes: &Attributes) -> Decision {
        if user.is_master() {
            return Decision {
                allowed: true,
                reason: String::new(),
            };
        }
        let mut unresolved = Vec::new();
        for (binding, subject, rules) in self.applicable(user, attributes.namespace()) {
            match rules {
                Ok(rules) if rules.iter().any(|rule| rule.allows(attributes)) => {
                    return Decision {
                        allowed: true,
                        reason: format!("RBAC: allowed by {}", binding.describe(subject)),
                    };
                }
                Ok(_) => {}
                Err(why) => unresolved.push(why.to_string()),
            }
        }
        let reason = aggregate(unresolved).map_or_else(String::new, |why| format!("rbac: RBAC: {why}"));
        Decision {
            allowed: false,
            reason,
        }
    }

    /// The rules that a user has in a namespace, those of the whole cluster first; and what could not be resolved.
    pub(crate) fn rules_for(&self, user: &User, namespace: &str) -> (Vec<&Rule>, Option<String>) {
        let mut all = Vec::new();
        let mut unresolved = Vec::new();
        for (_, _, rules) in self.applicable(user, namespace) {
            match rules {
                Ok(rules) => all.extend(rules),
                Err(why) => unresolved.push(why.to_string()),
            }
        }
        (all, aggregate(unresolved))
    }

    /// The rules of the role that a binding in this namespace names.
    pub(crate) fn rules_of(&self, role: &RoleRef, namespace: &str) -> Result<&[Rule], Unresolved> {
        let key = match role.kind.as_str() {
            "Role" => Key::new(namespace, &role.name),
            "ClusterRole" => Key::new("", &role.name),
            other => return Err(Unresolved::Kind(other.to_owned())),
        };
        let rules = self.roles.get(&key);
        rules
            .map(Vec::as_slice)
            .ok_or_else(|| Unresolved::NotFound(role.clone()))
    }

    /// The bindings that name the user, each with the first subject that does and what its role allows.
    fn applicable<'a, 'u>(
        &'a self,
        user: &'u User,
        namespace: &str,
    ) -> impl Iterator<Item = (&'a Binding, &'a Subject, Result<&'a [Rule], Unresolved>)> + use<'a, 'u> {
        let everywhere = self.bindings.get("").into_iter().flatten();
        let here = (!namespace.is_empty())
            .then(|| self.bindings.get(namespace))
            .flatten();
        everywhere
            .chain(here.into_iter().flatten())
            .filter_map(move |binding| {
                let within = binding.key.namespace.as_str();
                let subject = binding.subjects.iter().find(|subject| subject.is(user, within))?;
                Some((binding, subject, self.rules_of(&binding.role, within)))
            })
    }
}

impl Binding {
    fn of(kind: &'static str, key: Key, binding: &Value) -> Self {
        let subjects = binding["subjects"].as_array().into_iter().flatten();
        Self {
            kind,
            key,
            role: RoleRef::of(binding),
            subjects: subjects.map(Subject::of).collect(),
        }
    }

    /// The binding as reasons name it.
    fn describe(&self, subject: &Subject) -> String {
        let Key { namespace, name } = &self.key;
        let name = match namespace.as_str() {
            "" => name.clone(),
            namespace => format!("{name}/{namespace}"),
        };
        let (role, to) = (&self.role, subject.describe(namespace));
        format!("{} {name:?} of {} {:?} to {to}", self.kind, role.kind, role.name)
    }
}

impl RoleRef {
    pub(crate) fn of(binding: &Value) -> Self {
        let role = &binding["roleRef"];
        Self {
            kind: text(&role["kind"]),
            name: text(&role["name"]),
        }
    }
}

impl Subject {
    fn of(subject: &Value) -> Self {
        Self {
            kind: text(&subject["kind"]),
            name: text(&subject["name"]),
            namespace: text(&subject["namespace"]),
        }
    }

    /// Whether this names the user. A service account without a namespace is one of the binding's.
    fn is(&self, user: &User, namespace: &str) -> bool {
        match self.kind.as_str() {
            "User" => user.name == self.name,
            "Group" => user.is_in(&self.name),
            "ServiceAccount" => {
                let namespace = self.namespace_or(namespace);
                let account = user.name.strip_prefix("system:serviceaccount:");
                !namespace.is_empty()
                    && account.and_then(|account| account.split_once(':')) == Some((namespace, &self.name))
            }
            _ => false,
        }
    }

    fn namespace_or<'a>(&'a self, namespace: &'a str) -> &'a str {
        if self.namespace.is_empty() {
            namespace
        } else {
            &self.namespace
        }
    }

    fn describe(&self, namespace: &str) -> String {
        match self.kind.as_str() {
            "ServiceAccount" => format!(
                "ServiceAccount {:?}",
                format!("{}/{}", self.name, self.namespace_or(namespace))
            ),
            kind => format!("{kind} {:?}", self.name),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Several reasons as one, each once.
fn aggregate(reasons: Vec<String>) -> Option<String> {
    let mut once: Vec<String> = Vec::new();
    for reason in reasons {
        if !once.contains(&reason) {
            once.push(reason);
        }
    }
    match once.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(format!("[{}]", many.join(", "))),
    }
}
