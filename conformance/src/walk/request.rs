//! What is asked: drawn from the seed, the same for both servers.

use std::fmt;

use fastrand::Rng;
use http::Method;
use serde_json::{Value, json};

use super::{COLLECTIONS, FOOS, NAMES, WATCHES};
use crate::cluster::{APPLY, CONFIGS, JSON, JSON_PATCH, LEASES, MERGE, STRATEGIC};

/// Who writes, besides those who do not say it.
const MANAGERS: [&str; 3] = ["alpha", "bravo", "charlie"];
/// The last one is not allowed.
const MODES: [&str; 3] = ["fast", "safe", "slow"];

/// An operation, as both servers are asked to do it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) media: &'static str,
    pub(super) body: Body,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    None,
    /// As it is, with names for what differs.
    Given(Value),
    /// The object as it was last seen, changed by a merge patch.
    Changed(Value),
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {:?}", self.method, self.path, self.media, self.body)
    }
}

impl Request {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let collection = COLLECTIONS[rng.usize(..COLLECTIONS.len())];
        let name = NAMES[rng.usize(..NAMES.len())];
        let item = format!("{collection}/{name}");
        let options = options(rng);
        let (method, path, media, body) = match rng.u8(..120) {
            0..20 => {
                let body = Body::Given(object(rng, collection, name));
                (Method::POST, format!("{collection}?{options}"), JSON, body)
            }
            20..30 => (Method::GET, item, JSON, Body::None),
            30..38 => (
                Method::GET,
                format!("{collection}?{}", list_query(rng)),
                JSON,
                Body::None,
            ),
            38..55 => (
                Method::PUT,
                format!("{item}?{options}"),
                JSON,
                put_body(rng, collection, name),
            ),
            55..70 => {
                let patch = Body::Given(
                    json!({"metadata": metadata(rng), data(collection): content(rng, collection)}),
                );
                (Method::PATCH, format!("{item}?{options}"), MERGE, patch)
            }
            70..75 => {
                let patch = Body::Given(json!({"metadata": metadata(rng)}));
                (Method::PATCH, item, STRATEGIC, patch)
            }
            75..80 => (Method::PATCH, item, JSON_PATCH, Body::Given(json_patch(rng))),
            80..85 if collection == FOOS => {
                let status = json!({"status": {"availableReplicas": rng.u8(..4)}, "spec": {"replicas": 9}});
                (
                    Method::PATCH,
                    format!("{item}/status"),
                    MERGE,
                    Body::Given(status),
                )
            }
            80..97 => (Method::DELETE, item, JSON, deletion(rng)),
            100.. => {
                let force = if rng.bool() { "force=true" } else { "" };
                let status = if rng.u8(..8) == 0 { "/status" } else { "" };
                let config = Body::Given(config(rng, collection, name));
                let path = format!("{item}{status}?{options}&{force}");
                (Method::PATCH, path, APPLY, config)
            }
            _ => {
                let path = format!("{collection}?fieldSelector=metadata.name%3D{name}");
                (Method::DELETE, path, JSON, Body::None)
            }
        };
        Self {
            method,
            path,
            media,
            body,
        }
    }
}

/// How a write is made: seldom for show only, often by somebody who says who it is.
fn options(rng: &mut Rng) -> String {
    let dry = if rng.u8(..10) == 0 { "dryRun=All" } else { "" };
    match rng.u8(..6) {
        manager @ 0..3 => format!("{dry}&fieldManager={}", MANAGERS[usize::from(manager)]),
        _ => dry.to_owned(),
    }
}

/// What somebody wants of an object.
fn config(rng: &mut Rng, collection: &str, name: &str) -> Value {
    let mut config = object(rng, collection, name);
    let (version, kind) = match collection {
        LEASES => ("coordination.k8s.io/v1", "Lease"),
        CONFIGS => ("v1", "ConfigMap"),
        _ => ("{group}/v1", "Foo"),
    };
    config["apiVersion"] = version.into();
    config["kind"] = kind.into();
    // What is null in the metadata of an apply is stored as such by a real server, and gone after the next write.
    if let Some(metadata) = config["metadata"].as_object_mut() {
        metadata
            .retain(|_, value| !value.is_null() && value["team"].is_null() == value.get("team").is_none());
    }
    if collection == FOOS && rng.u8(..4) == 0 {
        config["status"] = json!({"availableReplicas": rng.u8(..4)});
    }
    config
}

/// The field that a collection's objects have their content in.
fn data(collection: &str) -> &'static str {
    if collection == CONFIGS { "data" } else { "spec" }
}

fn object(rng: &mut Rng, collection: &str, name: &str) -> Value {
    let mut object = json!({"metadata": metadata(rng), data(collection): content(rng, collection)});
    object["metadata"]["name"] = name.into();
    if collection == FOOS {
        object["apiVersion"] = "{group}/v1".into();
        object["kind"] = "Foo".into();
    }
    object
}

fn content(rng: &mut Rng, collection: &str) -> Value {
    match collection {
        LEASES => match rng.u8(..8) {
            0 => json!({"leaseDurationSeconds": i32::from(rng.i8(-2..20))}),
            1 => json!({"holderIdentity": null, "leaseTransitions": rng.u8(..3)}),
            2 => json!({"renewTime": "2026-01-02T03:04:05.1Z", "acquireTime": null}),
            3 => json!({"bogus": 1}),
            4 => json!({"leaseTransitions": "five"}),
            _ => json!({"holderIdentity": NAMES[rng.usize(..4)], "leaseDurationSeconds": rng.u8(1..20)}),
        },
        CONFIGS => match rng.u8(..6) {
            0 => json!({"k": null}),
            1 => json!({"not a key": "x"}),
            2 => json!({"k": 5}),
            _ => json!({NAMES[rng.usize(..4)]: rng.u8(..5).to_string()}),
        },
        _ => match rng.u8(..8) {
            0 => json!({"replicas": rng.u8(8..13)}),
            1 => json!({"deploymentName": "d", "bogus": 1, "free": {"any": rng.u8(..3)}}),
            2 => json!({"deploymentName": "UPPER"}),
            3 => json!({"deploymentName": "d", "tags": ["x", NAMES[rng.usize(..4)], "a"]}),
            4 => json!({"deploymentName": "d", "mode": MODES[rng.usize(..3)]}),
            _ => json!({"deploymentName": NAMES[rng.usize(..4)], "replicas": rng.u8(..5), "maybe": null}),
        },
    }
}

fn metadata(rng: &mut Rng) -> Value {
    match rng.u8(..14) {
        0 => json!({"labels": {"team": "red"}}),
        1 => json!({"labels": {"team": "blue", "x/y": "z"}}),
        2 => json!({"labels": {"team": null}}),
        3 => json!({"labels": null}),
        4 => json!({"annotations": {"note": rng.u8(..5).to_string()}}),
        5 => json!({"finalizers": ["example.com/keep"]}),
        6 | 7 => json!({"finalizers": null}),
        8 => json!({"resourceVersion": "@version"}),
        9 => json!({"resourceVersion": "@old"}),
        10 => json!({"labels": {"team": "not good"}}),
        _ => json!({}),
    }
}

fn put_body(rng: &mut Rng, collection: &str, name: &str) -> Body {
    let content = content(rng, collection);
    let metadata = metadata(rng);
    match rng.u8(..6) {
        0 => Body::Given(object(rng, collection, name)),
        1 => {
            let mut body = object(rng, collection, name);
            body["metadata"]["resourceVersion"] = "@old".into();
            Body::Given(body)
        }
        2 => Body::Changed(json!({"metadata": {"uid": "@other"}, data(collection): content})),
        3 => Body::Changed(json!({})),
        _ => Body::Changed(json!({"metadata": metadata, data(collection): content})),
    }
}

fn json_patch(rng: &mut Rng) -> Value {
    match rng.u8(..5) {
        0 => json!([{"op": "add", "path": "/metadata/labels", "value": {"team": "red"}}]),
        1 => json!([{"op": "remove", "path": "/metadata/labels/team"}]),
        2 => json!([{"op": "test", "path": "/metadata/resourceVersion", "value": "@version"},
                    {"op": "add", "path": "/metadata/annotations", "value": {"n": "1"}}]),
        3 => json!([{"op": "replace", "path": "/metadata/labels/team", "value": "blue"}]),
        _ => json!([{"op": "test", "path": "/metadata/name", "value": "other"}]),
    }
}

fn deletion(rng: &mut Rng) -> Body {
    match rng.u8(..8) {
        0 => Body::Given(json!({"preconditions": {"uid": "@other"}})),
        1 => Body::Given(json!({"preconditions": {"uid": "@uid"}})),
        2 => Body::Given(json!({"preconditions": {"resourceVersion": "@old"}})),
        3 => Body::Given(json!({"preconditions": {"resourceVersion": "@version"}})),
        4 => Body::Given(json!({"dryRun": ["All"]})),
        5 => Body::Given(json!({"propagationPolicy": "Background"})),
        _ => Body::None,
    }
}

fn list_query(rng: &mut Rng) -> String {
    match rng.u8(..8) {
        0 => "labelSelector=team%3Dred".to_owned(),
        1 => "labelSelector=team!%3Dred".to_owned(),
        2 => "labelSelector=team+in+(red,blue)".to_owned(),
        3 => format!("fieldSelector=metadata.name!%3D{}", NAMES[rng.usize(..4)]),
        4 => "limit=2".to_owned(),
        5 => "resourceVersionMatch=Exact&resourceVersion=@recent".to_owned(),
        6 => "limit=1&labelSelector=team".to_owned(),
        _ => String::new(),
    }
}

/// A watch that both servers open.
#[derive(Clone, Debug)]
pub(super) struct WatchRequest {
    pub(super) place: usize,
    pub(super) collection: &'static str,
    pub(super) query: String,
}

impl WatchRequest {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let collection = COLLECTIONS[rng.usize(..COLLECTIONS.len())];
        // Not from version 0: what is old enough for that is up to the server.
        let query = match rng.u8(..5) {
            0 => "watch=true".to_owned(),
            1 => "watch=true&resourceVersion=@recent".to_owned(),
            2 => "watch=true&resourceVersion=@recent&labelSelector=team%3Dred".to_owned(),
            3 => "watch=true&labelSelector=team!%3Dblue".to_owned(),
            _ => "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan".to_owned(),
        };
        Self {
            place: rng.usize(..WATCHES),
            collection,
            query,
        }
    }
}
