//! From a URL to what it names.

use super::query::percent_decode;
use crate::failure::Failure;
use crate::kinds::{Kind, Registry};
use http::Method;
use std::sync::Arc;

/// What a path names.
#[derive(Debug)]
pub(crate) enum Target {
    /// `/healthz`, `/livez`, `/readyz` and the checks below them.
    Health,
    Version,
    /// `/`: the paths that there are.
    Root,
    /// `/api` and `/apis`: all groups.
    Groups {
        core: bool,
    },
    /// `/apis/<group>`.
    Group(String),
    /// `/api/v1`, `/apis/<group>/<version>`.
    GroupVersion(String, String),
    OpenApi,
    /// The document of one group and version.
    OpenApiOf(String, String),
    Resource(Resource),
    /// A name that no object can have.
    NoName(String),
    /// A known group and version without such a resource.
    NoSuchResource,
    Nothing,
}

/// A collection or an object of a kind.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) kind: Arc<Kind>,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
    /// The path began with the old `watch/` prefix.
    pub(crate) watch_prefix: bool,
}

/// What is to be done with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }
}

impl Target {
    pub(crate) fn parse(path: &str, registry: &Registry) -> Self {
        // As upstream does it: an escaped slash separates like any other.
        let path = &percent_decode(path);
        let is_api = path.starts_with("/api/v1/") || path.starts_with("/apis/");
        if path.contains("//") {
            return if is_api {
                Self::NoSuchResource
            } else {
                Self::Nothing
            };
        }
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match parts.as_slice() {
            [] => Self::Root,
            ["healthz" | "livez" | "readyz"] => Self::Health,
            ["healthz" | "livez" | "readyz", "ping" | "etcd" | "log"] => Self::Health,
            ["version"] => Self::Version,
            ["api"] => Self::Groups { core: true },
            ["apis"] => Self::Groups { core: false },
            ["apis", group] if registry.groups().contains_key(group) => Self::Group((*group).into()),
            ["openapi", "v3"] => Self::OpenApi,
            ["openapi", "v3", "api", "v1"] => Self::OpenApiOf(String::new(), "v1".into()),
            ["openapi", "v3", "apis", group, version] if !registry.of(group, version).is_empty() => {
                Self::OpenApiOf((*group).into(), (*version).into())
            }
            ["api", "v1", rest @ ..] => Self::within("", "v1", rest, registry),
            ["api", _, ..] => Self::NoSuchResource,
            ["apis", group, version, rest @ ..] if !registry.of(group, version).is_empty() => {
                Self::within(group, version, rest, registry)
            }
            ["apis", group, _, ..] if registry.is_builtin(group) => Self::NoSuchResource,
            _ => Self::Nothing,
        }
    }

    fn within(group: &str, version: &str, rest: &[&str], registry: &Registry) -> Self {
        let (watch_prefix, rest) = match rest {
            ["watch", rest @ ..] if !rest.is_empty() => (true, rest),
            rest => (false, rest),
        };
        let (namespace, rest) = match rest {
            [] => return Self::GroupVersion(group.into(), version.into()),
            ["namespaces", _, "status" | "finalize"] => (None, rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some((*namespace).to_owned()), rest),
            rest => (None, rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (plural, None, None),
            [plural, name] => (plural, Some(*name), None),
            [plural, name, subresource] => (plural, Some(*name), Some(*subresource)),
            _ => return Self::NoSuchResource,
        };
        let Some(kind) = registry.find(group, version, plural) else {
            return Self::NoSuchResource;
        };
        // Objects of a namespaced kind are named within a namespace, others never.
        if kind.namespaced != namespace.is_some() && (namespace.is_some() || name.is_some()) {
            return Self::NoSuchResource;
        }
        // Reviews are asked where they belong, and have no names.
        if kind.rules.review && (kind.namespaced != namespace.is_some() || name.is_some()) {
            return Self::NoSuchResource;
        }
        let served = match subresource {
            None => true,
            Some("status") => kind.rules.status,
            Some("scale") => kind.rules.scale.is_some(),
            Some("finalize") => kind.plural == "namespaces" && kind.group.is_empty(),
            Some(_) => false,
        };
        if !served {
            return Self::NoSuchResource;
        }
        if let Some(name) = name.filter(|name| matches!(*name, "." | "..")) {
            return Self::NoName(name.to_owned());
        }
        Self::Resource(Resource {
            kind: Arc::clone(kind),
            namespace,
            name: name.map(str::to_owned),
            subresource: subresource.map(str::to_owned),
            watch_prefix,
        })
    }
}

impl Resource {
    /// What a method does here.
    pub(crate) fn verb(&self, method: &Method, watch: bool) -> Result<Verb, Failure> {
        let refused = || Failure::method_not_allowed();
        let everywhere = self.kind.namespaced && self.namespace.is_none();
        let verb = match (method.as_str(), &self.name) {
            ("GET", None) if watch || self.watch_prefix => Verb::Watch,
            ("GET", None) => Verb::List,
            ("GET", Some(_)) if self.watch_prefix => Verb::Watch,
            ("GET", Some(_)) => Verb::Get,
            ("POST", None) if !everywhere => Verb::Create,
            ("DELETE", None) if !everywhere => Verb::DeleteCollection,
            ("PUT", Some(_)) => Verb::Update,
            ("PATCH", Some(_)) => Verb::Patch,
            ("DELETE", Some(_)) if self.subresource.is_none() => Verb::Delete,
            _ => return Err(refused()),
        };
        let finalize_by_other = self.subresource.as_deref() == Some("finalize") && verb != Verb::Update;
        let review_otherwise = self.kind.rules.review && verb != Verb::Create;
        if finalize_by_other || review_otherwise {
            Err(refused())
        } else {
            Ok(verb)
        }
    }
}
