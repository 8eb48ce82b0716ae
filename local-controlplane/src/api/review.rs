//! Reviews: questions about users and their rights, which are answered and not kept.

use super::incoming::{self, Origin, Parsed};
use super::query::FieldValidation;
use super::target::Resource;
use crate::access::{About, Attributes, Rule, User};
use crate::failure::{Cause, Failure, Subject};
use crate::plane::Plane;
use crate::world;
use serde_json::{Map, Value, json};

/// Answers a review. Also returns what is worth a warning.
pub(crate) fn answer(
    plane: &Plane,
    user: &User,
    resource: &Resource,
    body: Parsed,
    validation: FieldValidation,
) -> Result<(Value, Vec<String>), Failure> {
    let Parsed {
        value: mut review,
        duplicates,
    } = body;
    let warnings = incoming::read(resource, &mut review, &duplicates, validation, Origin::Body)?;
    let answered = match resource.kind.plural.as_str() {
        "selfsubjectreviews" => Ok(who(resource, user)),
        "selfsubjectrulesreviews" => rules(plane, resource, user, &review),
        _ => access(plane, resource, user, review),
    };
    match answered {
        Ok(answered) => Ok((answered, warnings)),
        Err(failure) => Err(failure.with_warnings(warnings)),
    }
}

fn reply(resource: &Resource, metadata: Value) -> Value {
    let kind = &resource.kind;
    json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": metadata})
}

/// Who asks.
fn who(resource: &Resource, user: &User) -> Value {
    let mut info = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        info["uid"] = user.uid.as_str().into();
    }
    if !user.extra.is_empty() {
        info["extra"] = json!(user.extra);
    }
    let mut reply = reply(resource, json!({"creationTimestamp": world::wall_seconds()}));
    reply["status"] = json!({"userInfo": info});
    reply
}

/// Everything that who asks may do in a namespace.
fn rules(plane: &Plane, resource: &Resource, user: &User, review: &Value) -> Result<Value, Failure> {
    let namespace = text(&review["spec"]["namespace"]);
    if namespace.is_empty() {
        return Err(Failure::bad_request("no namespace on request"));
    }
    let policy = plane.store.read(|state| plane.policies.at(state));
    let (rules, unresolved) = policy.rules_for(user, namespace);
    let (of_urls, of_resources): (Vec<&Rule>, Vec<&Rule>) =
        rules.into_iter().partition(|rule| rule.resources.is_empty());
    let shown = |rules: Vec<&Rule>| rules.into_iter().map(Rule::to_json).collect::<Value>();
    let mut reply = reply(resource, json!({}));
    reply["spec"] = json!({});
    reply["status"] = json!({
        "incomplete": false, "resourceRules": shown(of_resources), "nonResourceRules": shown(of_urls),
    });
    if let Some(unresolved) = unresolved {
        reply["status"]["evaluationError"] = unresolved.into();
    }
    Ok(reply)
}

/// Whether somebody may do something: who asks, or whom the review names.
fn access(plane: &Plane, resource: &Resource, user: &User, mut review: Value) -> Result<Value, Failure> {
    let is_self = resource.kind.plural == "selfsubjectaccessreviews";
    let causes = wrong(&review, is_self, resource.namespace.as_deref());
    if !causes.is_empty() {
        // A real server has forgotten the kind when it says this.
        let subject = Subject {
            what: "",
            ..resource.kind.kind_subject("")
        };
        return Err(Failure::invalid(subject, &causes));
    }
    let spec = &review["spec"];
    let named;
    let user = match is_self {
        true => user,
        false => {
            named = subject(spec);
            &named
        }
    };
    let policy = plane.store.read(|state| plane.policies.at(state));
    let decision = policy.decide(user, &attributes(spec));
    let mut status = json!({"allowed": decision.allowed});
    if !decision.reason.is_empty() {
        status["reason"] = decision.reason.into();
    }
    review["status"] = status;
    Ok(review)
}

/// The user that a review names. Groups are only those that it says.
fn subject(spec: &Value) -> User {
    let texts = |list: &Value| {
        let items = list.as_array().into_iter().flatten();
        items.map(|item| text(item).to_owned()).collect()
    };
    let extra = spec["extra"].as_object().into_iter().flatten();
    User {
        name: text(&spec["user"]).to_owned(),
        uid: text(&spec["uid"]).to_owned(),
        groups: texts(&spec["groups"]),
        extra: extra.map(|(key, values)| (key.clone(), texts(values))).collect(),
    }
}

fn attributes(spec: &Value) -> Attributes {
    let of = |attributes: &Value, field: &str| text(&attributes[field]).to_owned();
    let path = &spec["nonResourceAttributes"];
    let resource = &spec["resourceAttributes"];
    if path.is_object() {
        return Attributes {
            verb: of(path, "verb"),
            about: About::Path(of(path, "path")),
        };
    }
    Attributes {
        verb: of(resource, "verb"),
        about: About::Resource {
            group: of(resource, "group"),
            resource: of(resource, "resource"),
            subresource: of(resource, "subresource"),
            namespace: of(resource, "namespace"),
            name: of(resource, "name"),
        },
    }
}

/// What is wrong with a question. `namespace` is that of a local review.
fn wrong(review: &Value, is_self: bool, namespace: Option<&str>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &review["spec"];
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    if resource.is_object() == path.is_object() {
        let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        causes.push(Cause::invalid("spec", path, detail));
    }
    let no_groups = spec["groups"].as_array().is_none_or(Vec::is_empty);
    if !is_self && text(&spec["user"]).is_empty() && no_groups {
        let detail = "at least one of user or group must be specified";
        causes.push(Cause::invalid("spec.user", &"".into(), detail));
    }
    for selector in ["fieldSelector", "labelSelector"] {
        let place = format!("spec.resourceAttributes.{selector}");
        validate_selector(&resource[selector], &place, &mut causes);
    }
    let metadata = review["metadata"].as_object();
    let allowed = |field: &str| field == "managedFields" || (namespace.is_some() && field == "namespace");
    let others: Map<String, Value> = metadata
        .into_iter()
        .flatten()
        .filter(|(field, _)| !allowed(field))
        .map(|(field, value)| (field.clone(), value.clone()))
        .collect();
    if !others.is_empty() {
        causes.push(Cause::invalid("metadata", &others.into(), "must be empty"));
    }
    if let Some(namespace) = namespace {
        if resource.is_object() && text(&resource["namespace"]) != namespace {
            let detail = "must match metadata.namespace";
            let field = "spec.resourceAttributes.namespace";
            causes.push(Cause::invalid(field, &resource["namespace"], detail));
        }
        if path.is_object() {
            let detail = "disallowed on this kind of request";
            causes.push(Cause::invalid("spec.nonResourceAttributes", path, detail));
        }
    }
    causes
}

/// Access is not limited by selectors here, nor by RBAC of a real server; they must still be good ones.
fn validate_selector(selector: &Value, place: &str, causes: &mut Vec<Cause>) {
    if !selector.is_object() {
        return;
    }
    let has_requirements = selector["requirements"]
        .as_array()
        .is_some_and(|list| !list.is_empty());
    match (text(&selector["rawSelector"]).is_empty(), has_requirements) {
        (false, true) => {
            let detail = "may not specified at the same time as requirements";
            causes.push(Cause::invalid(
                format!("{place}.rawSelector"),
                &selector["rawSelector"],
                detail,
            ));
        }
        (true, false) => {
            let detail = format!("when {place} is specified, requirements or rawSelector is required");
            causes.push(Cause::required(format!("{place}.requirements"), &detail));
        }
        _ => {}
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
