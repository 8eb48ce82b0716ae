//! What a request is about, as access is decided by it.
//!
//! A real server reads this from the URL before it knows whether such a resource exists (`k8s.io/apiserver`,
//! `endpoints/request`), and so does this one.

use super::User;
use crate::api::{Query, percent_decode};
use crate::failure::{Failure, Subject};
use http::Method;

/// A verb, and what it is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) verb: String,
    pub(crate) about: About,
}

/// What a verb is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum About {
    /// A path that is not one of a resource.
    Path(String),
    /// A resource; what does not apply is empty.
    Resource {
        group: String,
        resource: String,
        subresource: String,
        namespace: String,
        name: String,
    },
}

impl Attributes {
    /// What a request is about.
    pub(crate) fn of_request(method: &Method, path: &str, query: &str) -> Self {
        let path = percent_decode(path);
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match parts.as_slice() {
            ["api", _version, rest @ ..] if !rest.is_empty() => Self::within("", rest, method, query),
            ["apis", group, _version, rest @ ..] if !rest.is_empty() => {
                Self::within(group, rest, method, query)
            }
            _ => Self {
                verb: method.as_str().to_ascii_lowercase(),
                about: About::Path(path),
            },
        }
    }

    fn within(group: &str, parts: &[&str], method: &Method, query: &str) -> Self {
        let (mut verb, parts) = match parts {
            ["watch", rest @ ..] if !rest.is_empty() => ("watch", rest),
            parts => (verb(method), parts),
        };
        let (namespace, parts) = match parts {
            ["namespaces", namespace, "status" | "finalize", ..] | ["namespaces", namespace] => {
                (*namespace, parts)
            }
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            parts => ("", parts),
        };
        let part = |index: usize| parts.get(index).copied().unwrap_or_default();
        let mut name = part(1).to_owned();
        if name.is_empty() && verb == "get" {
            let query = Query::parse(query);
            verb = if query.flag("watch") { "watch" } else { "list" };
            name = query
                .get("fieldSelector")
                .and_then(selected_name)
                .unwrap_or_default();
        } else if name.is_empty() && verb == "delete" {
            verb = "deletecollection";
        }
        Self {
            verb: verb.to_owned(),
            about: About::Resource {
                group: group.to_owned(),
                resource: part(0).to_owned(),
                subresource: part(2).to_owned(),
                namespace: namespace.to_owned(),
                name,
            },
        }
    }

    /// The namespace whose bindings count; empty for none.
    pub(super) fn namespace(&self) -> &str {
        match &self.about {
            About::Path(_) => "",
            About::Resource { namespace, .. } => namespace,
        }
    }

    /// The answer to somebody who may not.
    pub(crate) fn forbidden(&self, user: &User, reason: &str) -> Failure {
        let (user, verb) = (&user.name, &self.verb);
        let reason = match reason {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        match &self.about {
            About::Path(path) => {
                let why = harmless(&format!("User {user:?} cannot {verb} path {path:?}"));
                let nothing = Subject {
                    group: "",
                    what: "",
                    name: "",
                };
                Failure::forbidden(nothing, format!("{why}{reason}"))
            }
            About::Resource {
                group,
                resource,
                subresource,
                namespace,
                name,
            } => {
                let full = combined(resource, subresource);
                let place = match namespace.as_str() {
                    "" => "at the cluster scope".to_owned(),
                    namespace => format!("in the namespace {namespace:?}"),
                };
                let why =
                    format!("User {user:?} cannot {verb} resource {full:?} in API group {group:?} {place}");
                let subject = Subject {
                    group,
                    what: resource,
                    name,
                };
                Failure::forbidden(subject, format!("{}{reason}", harmless(&why)))
            }
        }
    }
}

/// `deployments/scale`, or the resource alone.
pub(super) fn combined(resource: &str, subresource: &str) -> String {
    match subresource {
        "" => resource.to_owned(),
        subresource => format!("{resource}/{subresource}"),
    }
}

fn verb(method: &Method) -> &'static str {
    match method.as_str() {
        "POST" => "create",
        "GET" | "HEAD" => "get",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "",
    }
}

/// The name that a field selector limits a list to.
fn selected_name(selector: &str) -> Option<String> {
    let value = selector.split(',').find_map(|term| {
        let (path, value) = term.split_once('=')?;
        (path == "metadata.name").then(|| value.strip_prefix('=').unwrap_or(value))
    })?;
    let is_name = !matches!(value, "." | "..") && !value.contains(['/', '%']);
    is_name.then(|| value.to_owned())
}

/// Without what a browser could take for HTML.
fn harmless(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &Method, uri: &str) -> String {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let Attributes { verb, about } = Attributes::of_request(method, path, query);
        match about {
            About::Path(path) => format!("{verb} path {path}"),
            About::Resource {
                group,
                resource,
                subresource,
                namespace,
                name,
            } => format!(
                "{verb} {group}/{} {namespace}/{name}",
                combined(&resource, &subresource)
            ),
        }
    }

    #[test]
    fn a_request_is_about_what_its_url_says() {
        let leases = "/apis/g/v1/namespaces/n/leases";
        for (method, uri, about) in [
            ("GET", "/healthz", "get path /healthz"),
            ("GET", "/api/v1", "get path /api/v1"),
            ("GET", "/apis/g/v1/", "get path /apis/g/v1/"),
            ("POST", "/x", "post path /x"),
            ("GET", leases, "list g/leases n/"),
            ("GET", &format!("{leases}?watch=1"), "watch g/leases n/"),
            ("GET", &format!("{leases}?watch=0"), "list g/leases n/"),
            ("GET", &format!("{leases}/x?watch=1"), "get g/leases n/x"),
            (
                "GET",
                "/apis/g/v1/watch/namespaces/n/leases/x",
                "watch g/leases n/x",
            ),
            ("GET", "/apis/g/v1/watch/leases", "watch g/leases /"),
            (
                "GET",
                &format!("{leases}?fieldSelector=metadata.name%3Dx"),
                "list g/leases n/x",
            ),
            (
                "GET",
                &format!("{leases}?fieldSelector=a%3Db,metadata.name%3D%3Dx"),
                "list g/leases n/x",
            ),
            (
                "GET",
                &format!("{leases}?fieldSelector=metadata.name%21%3Dx"),
                "list g/leases n/",
            ),
            (
                "GET",
                &format!("{leases}?watch=1&fieldSelector=metadata.name%3Da/b"),
                "watch g/leases n/",
            ),
            (
                "DELETE",
                &format!("{leases}?fieldSelector=metadata.name%3Dx"),
                "deletecollection g/leases n/",
            ),
            ("DELETE", &format!("{leases}/x"), "delete g/leases n/x"),
            ("PUT", &format!("{leases}/x/status"), "update g/leases/status n/x"),
            ("PATCH", &format!("{leases}/x/a/b"), "patch g/leases/a n/x"),
            ("POST", leases, "create g/leases n/"),
            ("HEAD", &format!("{leases}/x"), "get g/leases n/x"),
            ("OPTIONS", leases, " g/leases n/"),
            ("GET", "/api/v1/namespaces", "list /namespaces /"),
            ("GET", "/api/v1/namespaces/n", "get /namespaces n/n"),
            (
                "PUT",
                "/api/v1/namespaces/n/finalize",
                "update /namespaces/finalize n/n",
            ),
            ("GET", "/api//v1/pods", "get /v1 /pods"),
        ] {
            let method = method.parse().expect("a method");
            assert_eq!(of(&method, uri), about, "{method} {uri}");
        }
    }
}
