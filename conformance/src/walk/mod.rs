//! A random walk: the same operations on two servers, whose replies and watches must be the same.
//!
//! What an operation is follows from the seed alone. Versions and uids differ between servers, so operations speak of
//! them by name (`@version`), and replies are compared with all of them numbered in the order in which they come.

mod request;

use std::collections::HashMap;
use std::fmt;

use fastrand::Rng;
use http::Method;
use serde_json::{Value, json};

use crate::answer::{Answer, text};
use crate::checks::custom::{definition, served};
use crate::cluster::{CONFIGS, Cluster, DEFINITIONS, LEASES, NAMESPACES, Target};
use crate::normal::Normal;
use crate::watch::Watch;
use request::{Body, Request, WatchRequest};

const FOOS: &str = "/apis/{group}/v1/namespaces/{ns}/foos";
const COLLECTIONS: [&str; 3] = [LEASES, CONFIGS, FOOS];
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
/// How many operations lie between two looks at the watches.
const STRIDE: usize = 40;
const WATCHES: usize = 4;
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
