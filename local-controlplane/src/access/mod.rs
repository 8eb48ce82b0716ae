//! Who asks, and whether they may: users, the rules of RBAC, and acting as somebody else.
//!
//! Everything follows kube-apiserver with `--authorization-mode=RBAC`. A member of `system:masters` may do everything and
//! is not looked up anywhere; everybody else is judged by the Roles and bindings that are stored, of which a parsed form
//! ([`Policy`]) is kept until one of them changes. What a request is about is read from its URL alone ([`Attributes`]),
//! so that also what nobody serves can be forbidden.
//!
//! What is not here: the kinds Role and RoleBinding themselves (`kinds::rbac`), and the answers to reviews
//! (`api::review`).

mod attributes;
mod defaults;
mod escalation;
mod impersonation;
mod policy;
mod rule;
mod tokens;
mod user;

pub(crate) use attributes::{About, Attributes};
pub(crate) use defaults::create_defaults;
pub(crate) use escalation::check as check_escalation;
pub(crate) use impersonation::impersonated;
pub(crate) use policy::{Policies, Policy};
pub(crate) use rule::Rule;
pub use tokens::TokenFileError;
pub(crate) use tokens::{Tokens, read_token_file};
pub use user::User;

use crate::api::Resource;
use crate::failure::Failure;
use crate::plane::Plane;
use crate::store::State;

/// Refuses what the user may not do.
pub(crate) fn authorize(policy: &Policy, user: &User, attributes: &Attributes) -> Result<(), Failure> {
    let decision = policy.decide(user, attributes);
    match decision.allowed {
        true => Ok(()),
        false => Err(attributes.forbidden(user, &decision.reason)),
    }
}

/// Refuses a write that turned out to create the object that it names, unless the user may create it.
pub(crate) fn may_create(
    plane: &Plane,
    state: &State,
    user: &User,
    resource: &Resource,
) -> Result<(), Failure> {
    if user.is_master() {
        return Ok(());
    }
    let attributes = Attributes {
        verb: "create".into(),
        about: About::Resource {
            group: resource.kind.group.clone(),
            resource: resource.kind.plural.clone(),
            subresource: resource.subresource.clone().unwrap_or_default(),
            namespace: resource.namespace.clone().unwrap_or_default(),
            name: resource.name.clone().unwrap_or_default(),
        },
    };
    authorize(&plane.policies.at(state), user, &attributes)
}
