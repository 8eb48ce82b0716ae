//! Users. There are no objects for them: a user is what a token, or a header of somebody who may, says.

use std::collections::BTreeMap;

pub(super) const MASTERS: &str = "system:masters";
pub(super) const AUTHENTICATED: &str = "system:authenticated";
pub(super) const UNAUTHENTICATED: &str = "system:unauthenticated";
pub(super) const ANONYMOUS: &str = "system:anonymous";
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";
const SERVICE_ACCOUNTS: &str = "system:serviceaccounts";

/// Somebody who asks a control plane for something: a name, and the groups that rights are given to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) groups: Vec<String>,
    pub(crate) extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A user who has proved to be who they are, and so is in the group `system:authenticated`. The name of a service
    /// account, `system:serviceaccount:NAMESPACE:NAME`, also gives the groups of service accounts.
    ///
    /// What such a user may do follows from the RoleBindings and ClusterRoleBindings; at first it is little more than to
    /// ask what there is.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        let groups =
            service_account(&name).map_or_else(Vec::new, |(namespace, _)| groups_of_accounts(namespace));
        Self::bare(name).among(groups).among([AUTHENTICATED.to_owned()])
    }

    /// Somebody who may do everything, whatever is bound: a member of `system:masters`.
    #[must_use]
    pub fn administrator() -> Self {
        Self::new("admin").in_groups([MASTERS])
    }

    /// The same user, also in these groups.
    #[must_use]
    pub fn in_groups<G: Into<String>>(mut self, groups: impl IntoIterator<Item = G>) -> Self {
        let last = self.groups.pop();
        self.among(groups.into_iter().map(Into::into)).among(last)
    }

    /// The same user with a uid, which only reviews show.
    #[must_use]
    pub fn with_uid(mut self, uid: impl Into<String>) -> Self {
        self.uid = uid.into();
        self
    }

    /// Whoever proves nothing.
    pub(crate) fn anonymous() -> Self {
        Self::bare(ANONYMOUS.into()).among([UNAUTHENTICATED.to_owned()])
    }

    pub(super) fn bare(name: String) -> Self {
        Self {
            name,
            uid: String::new(),
            groups: Vec::new(),
            extra: BTreeMap::new(),
        }
    }

    /// In these groups as well, each once.
    pub(super) fn among(mut self, groups: impl IntoIterator<Item = String>) -> Self {
        for group in groups {
            if !self.groups.contains(&group) {
                self.groups.push(group);
            }
        }
        self
    }

    /// Whether everything is allowed.
    pub(crate) fn is_master(&self) -> bool {
        self.is_in(MASTERS)
    }

    pub(super) fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|of| of == group)
    }
}

/// Namespace and name of the service account that a user is.
pub(super) fn service_account(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix(SERVICE_ACCOUNT)?.split_once(':')?;
    let well_formed = crate::kinds::is_label(namespace) && crate::kinds::is_subdomain(name);
    well_formed.then_some((namespace, name))
}

/// The groups of every service account in a namespace.
pub(super) fn groups_of_accounts(namespace: &str) -> Vec<String> {
    vec![SERVICE_ACCOUNTS.into(), format!("{SERVICE_ACCOUNTS}:{namespace}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_who_has_proved_it_is_in_one_group_and_accounts_are_in_two_more() {
        for (name, groups) in [
            ("jane", &["system:authenticated"][..]),
            ("system:serviceaccount:bad", &["system:authenticated"]),
            ("system:serviceaccount:BAD:x", &["system:authenticated"]),
            (
                "system:serviceaccount:a:b",
                &[
                    "system:serviceaccounts",
                    "system:serviceaccounts:a",
                    "system:authenticated",
                ],
            ),
        ] {
            assert_eq!(User::new(name).groups, groups, "{name}");
        }
        let jane = User::new("jane").in_groups(["devs", "system:authenticated", "devs"]);
        assert_eq!(jane.groups, ["devs", "system:authenticated"]);
    }
}
