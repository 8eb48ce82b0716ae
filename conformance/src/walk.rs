//! A random walk: the same operations on two servers, whose replies and watches must be the same.
//!
//! What an operation is follows from the seed alone. Versions and uids differ between servers, so operations speak of
//! them by name (`@version`), and replies are compared with all of them numbered in the order in which they come.

use std::collections::HashMap;
use std::fmt;

use fastrand::Rng;
use http::Method;
use serde_json::{Value, json};

use crate::answer::{Answer, text};
use crate::checks::custom::{definition, served};
use crate::cluster::{
    CONFIGS, Cluster, DEFINITIONS, JSON, JSON_PATCH, LEASES, MERGE, NAMESPACES, STRATEGIC, Target,
};
use crate::normal::Normal;
use crate::watch::Watch;

const FOOS: &str = "/apis/{group}/v1/namespaces/{ns}/foos";
const COLLECTIONS: [&str; 3] = [LEASES, CONFIGS, FOOS];
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
/// How many operations lie between two looks at the watches.
const STRIDE: usize = 40;
const WATCHES: usize = 4;
/// The last one is not allowed.
const MODES: [&str; 3] = ["fast", "safe", "slow"];
/// How far back an operation goes: a real server forgets versions after some minutes.
const RECENT: usize = 20;

/// Where two servers did not do the same.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Of the walk.
    pub seed: u64,
    /// Which operation it was, counted from zero.
    pub operation: usize,
    /// What was asked.
    pub request: String,
    /// What the first server said.
    pub left: String,
    /// What the second one said.
    pub right: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}, operation {}: {}",
            self.seed, self.operation, self.request
        )?;
        writeln!(f, "  first:  {}", self.left)?;
        write!(f, "  second: {}", self.right)
    }
}

/// Walks `operations` steps on both servers. Each walk has a namespace and a definition of its own.
///
/// # Errors
/// The first difference.
///
/// # Panics
/// When a server cannot be asked.
pub async fn walk(
    left: &Target,
    right: &Target,
    seed: u64,
    operations: usize,
) -> Result<(), Box<Difference>> {
    let mut walk = Walk {
        seed,
        rng: Rng::with_seed(seed),
        operation: 0,
        sides: [Side::new(left.clone()).await, Side::new(right.clone()).await],
    };
    for operation in 0..operations {
        walk.operation = operation;
        let request = Request::draw(&mut walk.rng);
        let [left, right] = &mut walk.sides;
        let (left, right) = tokio::join!(left.ask(&request), right.ask(&request));
        walk.compare(&request.to_string(), &left, &right)?;
        if operation % STRIDE == STRIDE - 1 {
            walk.look_at_watches().await?;
        }
    }
    for side in &walk.sides {
        side.leave().await;
    }
    Ok(())
}

struct Walk {
    seed: u64,
    rng: Rng,
    operation: usize,
    sides: [Side; 2],
}

impl Walk {
    fn compare(&self, request: &str, left: &str, right: &str) -> Result<(), Box<Difference>> {
        if left == right {
            return Ok(());
        }
        Err(Box::new(Difference {
            seed: self.seed,
            operation: self.operation,
            request: request.to_owned(),
            left: left.to_owned(),
            right: right.to_owned(),
        }))
    }

    /// Both sides create a mark in each collection and read every watch up to it; then a watch is opened anew.
    async fn look_at_watches(&mut self) -> Result<(), Box<Difference>> {
        let mark = format!("mark-{}", self.operation);
        let next = WatchRequest::draw(&mut self.rng);
        let [left, right] = &mut self.sides;
        let (seen_left, seen_right) = tokio::join!(left.look(&mark, &next), right.look(&mark, &next));
        for ((query, left), (_, right)) in seen_left.into_iter().zip(seen_right) {
            self.compare(&format!("GET {query}"), &left, &right)?;
        }
        Ok(())
    }
}

/// An operation, as both servers are asked to do it.
#[derive(Clone, Debug)]
struct Request {
    method: Method,
    path: String,
    media: &'static str,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
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
    fn draw(rng: &mut Rng) -> Self {
        let collection = COLLECTIONS[rng.usize(..COLLECTIONS.len())];
        let name = NAMES[rng.usize(..NAMES.len())];
        let item = format!("{collection}/{name}");
        let dry = if rng.u8(..10) == 0 { "?dryRun=All" } else { "" };
        let (method, path, media, body) = match rng.u8(..100) {
            0..20 => {
                let body = Body::Given(object(rng, collection, name));
                (Method::POST, format!("{collection}{dry}"), JSON, body)
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
                format!("{item}{dry}"),
                JSON,
                put_body(rng, collection, name),
            ),
            55..70 => {
                let patch = Body::Given(
                    json!({"metadata": metadata(rng), data(collection): content(rng, collection)}),
                );
                (Method::PATCH, format!("{item}{dry}"), MERGE, patch)
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
struct WatchRequest {
    place: usize,
    collection: &'static str,
    query: String,
}

impl WatchRequest {
    fn draw(rng: &mut Rng) -> Self {
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

/// One of the two servers, and what is known of it.
struct Side {
    cluster: Cluster,
    normal: Normal,
    /// Objects as they were last seen, by their path.
    seen: HashMap<String, Value>,
    /// Versions of objects before the last, by their path.
    old: HashMap<String, String>,
    recent: Vec<String>,
    watches: Vec<Option<(&'static str, String, Watch)>>,
}

impl Side {
    async fn new(target: Target) -> Self {
        let cluster = Cluster::new(target).unrecorded();
        let namespace = json!({"metadata": {"name": "{ns}"}});
        cluster.post(NAMESPACES, &namespace).await.expect(201);
        cluster.post(DEFINITIONS, &definition()).await.expect(201);
        served(&cluster).await;
        Self {
            cluster,
            normal: Normal::default(),
            seen: HashMap::new(),
            old: HashMap::new(),
            recent: Vec::new(),
            watches: (0..WATCHES).map(|_| None).collect(),
        }
    }

    async fn leave(&self) {
        for path in [
            format!("{DEFINITIONS}/foos.{{group}}"),
            format!("{NAMESPACES}/{{ns}}"),
        ] {
            self.cluster.delete(&path, &Value::Null).await;
        }
    }

    /// The names of what differs, replaced by what they stand for here.
    fn resolve(&self, item: &str, given: &str) -> String {
        let metadata = self.seen.get(item).map(|object| &object["metadata"]);
        let of = |field: &str| metadata.map_or_else(String::new, |metadata| text(&metadata[field]));
        let old = self.old.get(item).map_or("1", String::as_str);
        let recent = self.recent.first().map_or("0", String::as_str);
        given
            .replace("@version", &of("resourceVersion"))
            .replace("@old", old)
            .replace("@uid", &of("uid"))
            .replace("@other", "00000000-0000-0000-0000-000000000000")
            .replace("@recent", recent)
    }

    async fn ask(&mut self, request: &Request) -> String {
        let whole = request.path.split(['?']).next().unwrap_or_default();
        let item = match &request.body {
            Body::Given(body) if request.method == Method::POST => {
                format!("{whole}/{}", text(&body["metadata"]["name"]))
            }
            _ => whole.trim_end_matches("/status").to_owned(),
        };
        let body = match &request.body {
            Body::None => String::new(),
            Body::Given(body) => body.to_string(),
            Body::Changed(change) => {
                let mut object = self.seen.get(&item).cloned().unwrap_or_else(|| json!({}));
                merge(&mut object, change);
                object.to_string()
            }
        };
        let (path, body) = (self.resolve(&item, &request.path), self.resolve(&item, &body));
        let headers = [("content-type", request.media)];
        let answer = self
            .cluster
            .request(request.method.clone(), &path, &headers, body)
            .await;
        self.learn(&item, &answer, path.contains("dryRun"));
        self.comparable(&answer)
    }

    /// Keeps what the answer shows of an object.
    fn learn(&mut self, item: &str, answer: &Answer, dry: bool) {
        let Ok(object) = serde_json::from_str::<Value>(&answer.text) else {
            return;
        };
        let is_object = matches!(answer.code, 200 | 201) && object["metadata"]["name"].is_string();
        if dry || !is_object {
            return;
        }
        let version = text(&object["metadata"]["resourceVersion"]);
        self.recent.push(version);
        if self.recent.len() > RECENT {
            self.recent.remove(0);
        }
        if let Some(before) = self.seen.insert(item.to_owned(), object) {
            self.old
                .insert(item.to_owned(), text(&before["metadata"]["resourceVersion"]));
        }
    }

    fn comparable(&mut self, answer: &Answer) -> String {
        let warnings: Vec<_> = answer.headers.get_all("warning").iter().collect();
        let body = match serde_json::from_str(&answer.text) {
            Ok(mut reply) => {
                self.normal.reply(&mut reply);
                reply.to_string()
            }
            Err(_) => answer.text.clone(),
        };
        format!("{} {warnings:?} {body}", answer.code)
    }

    /// What the watches have shown until a mark that is set now. Then `next` is opened in its place.
    async fn look(&mut self, mark: &str, next: &WatchRequest) -> Vec<(String, String)> {
        for collection in COLLECTIONS {
            let mut object = json!({"metadata": {"name": mark, "labels": {"team": "red"}}});
            if collection == FOOS {
                object["apiVersion"] = "{group}/v1".into();
                object["kind"] = "Foo".into();
                object["spec"] = json!({"deploymentName": "mark"});
            }
            self.cluster.post(collection, &object).await.expect(201);
        }
        let mut seen = Vec::new();
        for (collection, query, watch) in self.watches.iter_mut().flatten() {
            let mut told = String::new();
            loop {
                let mut event = watch.event().await;
                let is_mark = event["object"]["metadata"]["name"] == mark;
                if let Some(object) = event.get_mut("object") {
                    self.normal.reply(object);
                }
                told += &format!("{event}\n");
                if is_mark {
                    break;
                }
            }
            seen.push((format!("{collection}?{query}"), told));
        }
        for collection in COLLECTIONS {
            let path = format!("{collection}/{mark}");
            self.cluster.delete(&path, &Value::Null).await.expect(200);
        }
        let query = self.resolve("", &next.query);
        let watch = self.cluster.watch(&format!("{}?{query}", next.collection)).await;
        self.watches[next.place] = Some((next.collection, next.query.clone(), watch));
        seen
    }
}

/// A merge patch (RFC 7386).
fn merge(object: &mut Value, patch: &Value) {
    let Some(changes) = patch.as_object() else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    for (field, change) in changes {
        match (change, object.as_object_mut()) {
            (Value::Null, Some(fields)) => drop(fields.remove(field)),
            _ => merge(&mut object[field], change),
        }
    }
}
