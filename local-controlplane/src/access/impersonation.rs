//! Acting as somebody else: the `Impersonate-*` headers, and who may send them.
//!
//! There are two ways to be allowed to. The old one is the verb `impersonate` on the user, on each group, and so on, and
//! allows everything that the other one may. The constrained ones, on by default since Kubernetes 1.36, allow some
//! requests in the name of some users: `impersonate:user-info` on the user and `impersonate-on:user-info:list` on what
//! is listed (KEP-5284). A refusal is that of the first way that applies.
//!
//! What is not here: a service account may not act as the node that it runs on; there are no nodes.

use super::attributes::{About, Attributes};
use super::user::{
    ANONYMOUS, AUTHENTICATED, MASTERS, UNAUTHENTICATED, User, groups_of_accounts, service_account,
};
use super::{Policy, authorize};
use crate::api::percent_decode;
use crate::failure::Failure;
use http::HeaderMap;
use std::collections::BTreeMap;

const USER: &str = "impersonate-user";
const UID: &str = "impersonate-uid";
const GROUP: &str = "impersonate-group";
const EXTRA: &str = "impersonate-extra-";

const AUTHENTICATION: &str = "authentication.k8s.io";
const NODE: &str = "system:node:";
const NODES: &str = "system:nodes";
/// From so many on, the constrained ways ask first whether all are allowed.
const MANY: usize = 4;

/// Whom the headers of a request ask to act as, or nobody.
fn wanted(headers: &HeaderMap) -> Result<Option<User>, Failure> {
    let all = |name: &str| {
        let values = headers.get_all(name).into_iter();
        values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let mut user = User::bare(all(USER).next().unwrap_or_default());
    user.uid = all(UID).next().unwrap_or_default();
    user.groups = all(GROUP).collect();
    let extra_keys = headers
        .keys()
        .filter_map(|name| name.as_str().strip_prefix(EXTRA));
    for key in extra_keys {
        let values = all(&format!("{EXTRA}{key}"));
        user.extra.entry(percent_decode(key)).or_default().extend(values);
    }
    if !user.name.is_empty() {
        return Ok(Some(user));
    }
    if user == User::bare(String::new()) {
        return Ok(None);
    }
    let message = format!("requested {user:?} without impersonating a user name");
    Err(Failure::bad_request(message))
}

/// The user in whose name a request is made, if not in that of `requestor`, who must be allowed to make it so.
pub(crate) fn impersonated(
    policy: impl FnOnce() -> std::sync::Arc<Policy>,
    requestor: &User,
    headers: &HeaderMap,
    attributes: impl FnOnce() -> Attributes,
) -> Result<Option<User>, Failure> {
    let is_asked = headers
        .keys()
        .any(|name| name.as_str().starts_with("impersonate-"));
    let Some(wanted) = is_asked.then(|| wanted(headers)).transpose()?.flatten() else {
        return Ok(None);
    };
    let attempt = Attempt {
        policy: &policy(),
        requestor,
        wanted: &wanted,
    };
    let attributes = attributes();
    let mut refusal = None;
    for way in Way::ALL.into_iter().filter(|way| way.applies_to(&wanted)) {
        match attempt.by(way, &attributes) {
            Ok(user) => return Ok(Some(user)),
            Err(why) => refusal = refusal.or(Some(why)),
        }
    }
    Err(refusal.expect("the old way applies to everybody"))
}

/// A way to be allowed to act as somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Node,
    ServiceAccount,
    UserInfo,
    Old,
}

impl Way {
    /// In the order in which they are tried.
    const ALL: [Self; 4] = [Self::Node, Self::ServiceAccount, Self::UserInfo, Self::Old];

    fn applies_to(self, wanted: &User) -> bool {
        let only_a_name = wanted.uid.is_empty() && wanted.groups.is_empty() && wanted.extra.is_empty();
        let (node, account) = (node(&wanted.name), service_account(&wanted.name));
        match self {
            Self::Node => only_a_name && node.is_some(),
            Self::ServiceAccount => only_a_name && account.is_some(),
            Self::UserInfo => node.is_none() && account.is_none(),
            Self::Old => true,
        }
    }

    /// How verbs name it; nothing for the old way.
    fn mode(self) -> Option<&'static str> {
        match self {
            Self::Node => Some("arbitrary-node"),
            Self::ServiceAccount => Some("serviceaccount"),
            Self::UserInfo => Some("user-info"),
            Self::Old => None,
        }
    }
}

fn node(user: &str) -> Option<&str> {
    user.strip_prefix(NODE)
        .filter(|name| crate::kinds::is_subdomain(name))
}

/// Somebody wants to act as somebody else.
struct Attempt<'a> {
    policy: &'a Policy,
    requestor: &'a User,
    wanted: &'a User,
}

impl Attempt<'_> {
    fn by(&self, way: Way, attributes: &Attributes) -> Result<User, Failure> {
        if let Some(mode) = way.mode() {
            let on = Attributes {
                verb: format!("impersonate-on:{mode}:{}", attributes.verb),
                about: attributes.about.clone(),
            };
            authorize(self.policy, self.requestor, &on)?;
        }
        let verb = way
            .mode()
            .map_or_else(|| "impersonate".into(), |mode| format!("impersonate:{mode}"));
        let check = Check {
            attempt: self,
            verb,
            constrained: way != Way::Old,
        };
        check.name()?;
        if !self.wanted.uid.is_empty() {
            check.may(AUTHENTICATION, "uids", "", &self.wanted.uid)?;
        }
        check.groups()?;
        check.extra()?;
        Ok(self.user(way))
    }

    /// Whom the wanted one is then taken for.
    fn user(&self, way: Way) -> User {
        let mut user = self.wanted.clone();
        if user.groups.is_empty() {
            match (service_account(&user.name), way) {
                (Some((namespace, _)), _) => user.groups = groups_of_accounts(namespace),
                (None, Way::Node) => user.groups = vec![NODES.to_owned()],
                _ => {}
            }
        }
        if user.name == ANONYMOUS {
            user.among([UNAUTHENTICATED.to_owned()])
        } else if user.is_in(UNAUTHENTICATED) {
            user
        } else {
            user.among([AUTHENTICATED.to_owned()])
        }
    }
}

/// The questions of one way.
struct Check<'a> {
    attempt: &'a Attempt<'a>,
    verb: String,
    constrained: bool,
}

impl Check<'_> {
    fn attributes(&self, group: &str, resource: &str, subresource: &str, name: &str) -> Attributes {
        Attributes {
            verb: self.verb.clone(),
            about: About::Resource {
                group: group.to_owned(),
                resource: resource.to_owned(),
                subresource: subresource.to_owned(),
                namespace: String::new(),
                name: name.to_owned(),
            },
        }
    }

    fn may(&self, group: &str, resource: &str, subresource: &str, name: &str) -> Result<(), Failure> {
        let attributes = self.attributes(group, resource, subresource, name);
        authorize(self.attempt.policy, self.attempt.requestor, &attributes)
    }

    fn refuse(&self, attributes: &Attributes, why: &str) -> Failure {
        attributes.forbidden(self.attempt.requestor, why)
    }

    /// The API group of users and groups.
    fn group_of_users(&self) -> &'static str {
        if self.constrained { AUTHENTICATION } else { "" }
    }

    fn name(&self) -> Result<(), Failure> {
        let name = &self.attempt.wanted.name;
        let mut attributes = self.attributes(self.group_of_users(), "users", "", name);
        if let About::Resource {
            resource,
            namespace,
            name: named,
            ..
        } = &mut attributes.about
        {
            if let Some(node) = node(name).filter(|_| self.constrained) {
                (*resource, *named) = ("nodes".to_owned(), node.to_owned());
            }
            if let Some((within, account)) = service_account(name) {
                *resource = "serviceaccounts".to_owned();
                (*namespace, *named) = (within.to_owned(), account.to_owned());
            }
        }
        authorize(self.attempt.policy, self.attempt.requestor, &attributes)
    }

    fn groups(&self) -> Result<(), Failure> {
        let groups = &self.attempt.wanted.groups;
        let of = self.group_of_users();
        if self.constrained {
            let refused = [
                ("", "impersonating the empty string group is not allowed"),
                (MASTERS, "impersonating the system:masters group is not allowed"),
            ];
            for (group, why) in refused {
                if groups.iter().any(|wanted| wanted == group) {
                    return Err(self.refuse(&self.attributes(of, "groups", "", group), why));
                }
            }
            if groups.len() >= MANY && self.may(of, "groups", "", "*").is_ok() {
                return Ok(());
            }
        }
        groups
            .iter()
            .try_for_each(|group| self.may(of, "groups", "", group))
    }

    fn extra(&self) -> Result<(), Failure> {
        let extra = &self.attempt.wanted.extra;
        if self.constrained {
            if let Some(why) = unusable(extra) {
                return Err(self.refuse(&self.attributes(AUTHENTICATION, "userextras", "", ""), &why));
            }
            let values: usize = extra.values().map(Vec::len).sum();
            if extra.len().max(values) >= MANY && self.may(AUTHENTICATION, "userextras", "*", "*").is_ok() {
                return Ok(());
            }
        }
        let pairs = extra
            .iter()
            .flat_map(|(key, values)| values.iter().map(move |value| (key, value)));
        pairs
            .into_iter()
            .try_for_each(|(key, value)| self.may(AUTHENTICATION, "userextras", key, value))
    }
}

/// What the constrained ways do not take as extra.
fn unusable(extra: &BTreeMap<String, Vec<String>>) -> Option<String> {
    extra.iter().find_map(|(key, values)| match key.split_once('/') {
        _ if key.is_empty() => Some("impersonating the empty string key in extra is not allowed".to_owned()),
        Some((domain, path)) if crate::kinds::is_subdomain(domain) && !path.is_empty() => {
            let has_empty = values.iter().any(String::is_empty);
            has_empty.then(|| "impersonating the empty string value in extra is not allowed".to_owned())
        }
        _ => Some(format!(
            "impersonating an invalid key in extra is not allowed: {key:?}"
        )),
    })
}
