//! One rule of a Role: what it allows, what it covers, and how it is written in messages
//! (`k8s.io/kubernetes/pkg/apis/rbac/v1`, `k8s.io/component-helpers/auth/rbac/validation`).

use super::attributes::{About, Attributes, combined};
use serde_json::{Map, Value};

const ALL: &str = "*";

/// A rule. Rules only allow; what no rule allows is forbidden.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) verbs: Vec<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) resources: Vec<String>,
    /// Nothing stands for all names.
    pub(crate) names: Vec<String>,
    pub(crate) urls: Vec<String>,
}

impl Rule {
    /// The rules of a stored Role or ClusterRole.
    pub(crate) fn all_of(role: &Value) -> Vec<Self> {
        let rules = role["rules"].as_array().into_iter().flatten();
        rules.map(Self::of).collect()
    }

    fn of(rule: &Value) -> Self {
        let texts = |field: &str| {
            let items = rule[field].as_array().into_iter().flatten();
            items
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect()
        };
        Self {
            verbs: texts("verbs"),
            groups: texts("apiGroups"),
            resources: texts("resources"),
            names: texts("resourceNames"),
            urls: texts("nonResourceURLs"),
        }
    }

    /// The same rule as an object has it. What is empty is left out.
    pub(crate) fn to_json(&self) -> Value {
        let parts = self.parts().into_iter().filter(|(_, values)| !values.is_empty());
        let mut rule: Map<String, Value> = parts
            .map(|(name, values)| (name.field.to_owned(), values.to_vec().into()))
            .collect();
        rule.insert("verbs".into(), self.verbs.clone().into());
        rule.into()
    }

    fn parts(&self) -> [(Part, &[String]); 5] {
        let part = |field, title| Part { field, title };
        [
            (part("apiGroups", "APIGroups"), &self.groups),
            (part("resources", "Resources"), &self.resources),
            (part("nonResourceURLs", "NonResourceURLs"), &self.urls),
            (part("resourceNames", "ResourceNames"), &self.names),
            (part("verbs", "Verbs"), &self.verbs),
        ]
    }

    /// The rule in one line of a message.
    pub(super) fn in_words(&self) -> String {
        let parts = self.parts().into_iter().filter(|(_, values)| !values.is_empty());
        let parts: Vec<String> = parts
            .map(|(part, values)| {
                let values: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
                format!("{}:[{}]", part.title, values.join(" "))
            })
            .collect();
        format!("{{{}}}", parts.join(", "))
    }

    /// Whether this rule allows it.
    pub(super) fn allows(&self, attributes: &Attributes) -> bool {
        any_or(&self.verbs, &attributes.verb)
            && match &attributes.about {
                About::Path(path) => self.urls.iter().any(|url| url_covers(url, path)),
                About::Resource {
                    group,
                    resource,
                    subresource,
                    name,
                    ..
                } => {
                    any_or(&self.groups, group)
                        && self.has_resource(&combined(resource, subresource), subresource)
                        && (self.names.is_empty() || self.names.contains(name))
                }
            }
    }

    /// Whether a resource is among the rule's own, by its full name, or a subresource by `*/status`.
    fn has_resource(&self, resource: &str, subresource: &str) -> bool {
        self.resources.iter().any(|of| {
            let any_such = || !subresource.is_empty() && of.strip_prefix("*/") == Some(subresource);
            of == ALL || of == resource || any_such()
        })
    }

    /// Whether this rule allows everything that a rule of one verb, one resource and one name does.
    pub(super) fn covers(&self, single: &Self) -> bool {
        let names =
            self.names.is_empty() || (!single.names.is_empty() && has_all(&self.names, &single.names));
        (self.verbs.iter().any(|verb| verb == ALL) || has_all(&self.verbs, &single.verbs))
            && (self.groups.iter().any(|group| group == ALL) || has_all(&self.groups, &single.groups))
            && single.resources.iter().all(|resource| {
                let subresource = resource
                    .split_once('/')
                    .map_or("", |(_, subresource)| subresource);
                self.has_resource(resource, subresource)
            })
            && names
            && single
                .urls
                .iter()
                .all(|path| self.urls.iter().any(|url| url_covers(url, path)))
    }

    /// Rules of one verb and one resource, name or URL that together are this one.
    pub(super) fn singles(&self) -> Vec<Self> {
        let one = |text: &String| vec![text.clone()];
        let mut singles = Vec::new();
        for (group, resource) in self
            .groups
            .iter()
            .flat_map(|group| self.resources.iter().map(move |of| (group, of)))
        {
            for verb in &self.verbs {
                let single = Self {
                    verbs: one(verb),
                    groups: one(group),
                    resources: one(resource),
                    ..Self::default()
                };
                if self.names.is_empty() {
                    singles.push(single);
                } else {
                    singles.extend(self.names.iter().map(|name| Self {
                        names: one(name),
                        ..single.clone()
                    }));
                }
            }
        }
        for (url, verb) in self
            .urls
            .iter()
            .flat_map(|url| self.verbs.iter().map(move |verb| (url, verb)))
        {
            singles.push(Self {
                verbs: one(verb),
                urls: one(url),
                ..Self::default()
            });
        }
        singles
    }
}

/// How objects and messages name a part of a rule.
struct Part {
    field: &'static str,
    title: &'static str,
}

fn any_or(of: &[String], wanted: &str) -> bool {
    of.iter().any(|one| one == ALL || one == wanted)
}

fn has_all(of: &[String], wanted: &[String]) -> bool {
    wanted.iter().all(|one| of.contains(one))
}

/// `/logs/*` stands for everything below, `*` for everything.
fn url_covers(url: &str, path: &str) -> bool {
    url == path || (url.ends_with('*') && path.starts_with(url.trim_end_matches('*')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(rule: Value) -> Rule {
        Rule::of(&rule)
    }

    fn resource(verb: &str, resource: &str, name: &str) -> Attributes {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        Attributes {
            verb: verb.into(),
            about: About::Resource {
                group: "g".into(),
                resource: resource.into(),
                subresource: subresource.into(),
                namespace: "n".into(),
                name: name.into(),
            },
        }
    }

    #[test]
    fn a_rule_allows_its_verbs_on_its_resources_by_name() {
        let with = |verbs: &str, groups: &str, resources: &str, names: Value| {
            rule(
                json!({"verbs": [verbs], "apiGroups": [groups], "resources": [resources], "resourceNames": names}),
            )
        };
        for (verbs, groups, resources, names, asked, allowed) in [
            ("get", "g", "foos", json!([]), ("get", "foos", "x"), true),
            ("get", "g", "foos", json!([]), ("list", "foos", ""), false),
            ("*", "*", "*", json!([]), ("any", "foos/status", "x"), true),
            ("get", "", "foos", json!([]), ("get", "foos", "x"), false),
            ("get", "g", "foos", json!([]), ("get", "foos/status", "x"), false),
            (
                "get",
                "g",
                "foos/status",
                json!([]),
                ("get", "foos/status", "x"),
                true,
            ),
            ("get", "g", "foos/status", json!([]), ("get", "foos", "x"), false),
            (
                "get",
                "g",
                "*/status",
                json!([]),
                ("get", "foos/status", "x"),
                true,
            ),
            (
                "get",
                "g",
                "*/status",
                json!([]),
                ("get", "foos/scale", "x"),
                false,
            ),
            ("get", "g", "*/*", json!([]), ("get", "foos/scale", "x"), false),
            ("get", "g", "foos/*", json!([]), ("get", "foos/scale", "x"), false),
            ("get", "g", "foos", json!(["x"]), ("get", "foos", "x"), true),
            ("get", "g", "foos", json!(["x"]), ("get", "foos", "y"), false),
            ("list", "g", "foos", json!(["x"]), ("list", "foos", ""), false),
        ] {
            let (verb, what, name) = asked;
            assert_eq!(
                with(verbs, groups, resources, names.clone()).allows(&resource(verb, what, name)),
                allowed,
                "{verbs} {groups} {resources} {names} {asked:?}"
            );
        }
    }

    #[test]
    fn a_url_may_end_in_a_star() {
        for (url, path, covered) in [
            ("/logs", "/logs", true),
            ("/logs", "/logs/x", false),
            ("/logs/*", "/logs/x/y", true),
            ("/logs/*", "/logs", false),
            ("*", "/anything", true),
        ] {
            assert_eq!(url_covers(url, path), covered, "{url} {path}");
        }
    }

    #[test]
    fn what_is_granted_must_be_covered_in_each_of_its_parts() {
        let foos = |verbs: Value, names: Value| {
            rule(json!({"verbs": verbs, "apiGroups": ["g"], "resources": ["foos"], "resourceNames": names}))
        };
        let both = foos(json!(["get", "list"]), json!(["x", "y"]));
        assert_eq!(both.singles().len(), 4);
        let covered = |by: &Rule| both.singles().iter().filter(|single| by.covers(single)).count();
        for (by, count) in [
            (foos(json!(["*"]), json!([])), 4),
            (foos(json!(["get"]), json!([])), 2),
            (foos(json!(["get"]), json!(["x"])), 1),
            (foos(json!(["watch"]), json!([])), 0),
        ] {
            assert_eq!(covered(&by), count, "{by:?}");
        }
        let unnamed = foos(json!(["get"]), json!([]));
        assert!(!foos(json!(["get"]), json!(["x"])).covers(&unnamed.singles()[0]));
        let urls = rule(json!({"verbs": ["get"], "nonResourceURLs": ["/logs/*"]}));
        let one = rule(json!({"verbs": ["get"], "nonResourceURLs": ["/logs/x"]}));
        assert!(urls.covers(&one.singles()[0]) && !one.covers(&urls.singles()[0]));
    }
}
