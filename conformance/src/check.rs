//! What a check is, and the list of all.

use futures::future::BoxFuture;

use crate::cluster::Cluster;

/// What a check cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The controllers of Deployments, garbage and namespaces.
    Controllers,
    /// `kubectl`, and a kubeconfig for it.
    Kubectl,
    /// A socket to write to.
    Socket,
    /// A client that may do nothing.
    Guest,
}

/// One check.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// The subject that it belongs to.
    pub group: &'static str,
    /// What must be true.
    pub name: &'static str,
    /// What it cannot do without.
    pub needs: Option<Need>,
    pub(crate) run: fn(Cluster) -> BoxFuture<'static, ()>,
}

impl Check {
    /// The behaviour in words.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}: {}", self.group, self.name.replace('_', " "))
    }
}

/// Every check, in the order of its subject.
#[must_use]
pub fn all() -> Vec<Check> {
    crate::checks::GROUPS.concat()
}

/// Lists the checks of a file; `needs` holds for all of them.
macro_rules! checks {
    ($group:literal, needs $need:expr; $($name:ident),+ $(,)?) => {
        pub(crate) const CHECKS: &[$crate::check::Check] = &[$($crate::check::Check {
            group: $group,
            name: stringify!($name),
            needs: $need,
            run: |cluster| Box::pin($name(cluster)),
        }),+];
    };
    ($group:literal; $($name:ident),+ $(,)?) => {
        $crate::check::checks!($group, needs None; $($name),+);
    };
}
pub(crate) use checks;
