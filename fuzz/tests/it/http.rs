//! The local control plane: whatever is asked, it answers in the form of a real server, and goes on.

use std::time::Duration;

use bolero::TypeGenerator;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use local_controlplane::{ApiBody, ApiService, ControlPlane};
use serde_json::{Value, json};
use tower::ServiceExt;

const METHODS: [Method; 7] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::HEAD,
    Method::OPTIONS,
];
const PATHS: [&str; 16] = [
    "/apis/coordination.k8s.io/v1/namespaces/default/leases",
    "/apis/coordination.k8s.io/v1/namespaces/default/leases/x",
    "/apis/coordination.k8s.io/v1/leases",
    "/api/v1/namespaces/default/configmaps",
    "/api/v1/namespaces/default/configmaps/x",
    "/api/v1/namespaces/default/pods/x",
    "/api/v1/namespaces/default/events",
    "/api/v1/namespaces/x",
    "/api/v1/namespaces",
    "/apis/apps/v1/namespaces/default/deployments",
    "/apis/apps/v1/namespaces/default/deployments/x",
    "/apis/apps/v1/namespaces/default/deployments/x/scale",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/foos.x.io/status",
    "/apis/events.k8s.io/v1/namespaces/default/events/x",
    "/openapi/v3/apis/apps/v1",
];
const QUERIES: [&str; 18] = [
    "watch=true&timeoutSeconds=1",
    "dryRun=All",
    "fieldManager=alpha",
    "force=true",
    "fieldValidation=Strict",
    "fieldValidation=Warn",
    "limit=1",
    "limit=-1",
    "resourceVersion=1",
    "resourceVersion=99999999999999999999",
    "resourceVersionMatch=Exact",
    "labelSelector=a%20in%20(b,c)",
    "labelSelector=%21",
    "fieldSelector=metadata.name%3Dx",
    "continue=bm9uc2Vuc2U",
    "propagationPolicy=Foreground",
    "sendInitialEvents=true",
    "gracePeriodSeconds=-1",
];
const MEDIA: [&str; 8] = [
    "application/json",
    "application/yaml",
    "application/merge-patch+json",
    "application/json-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
    "application/vnd.kubernetes.protobuf",
    "text/plain",
];
const KEYS: [&str; 20] = [
    "metadata",
    "spec",
    "status",
    "name",
    "namespace",
    "labels",
    "annotations",
    "finalizers",
    "resourceVersion",
    "uid",
    "managedFields",
    "ownerReferences",
    "holderIdentity",
    "leaseDurationSeconds",
    "replicas",
    "template",
    "containers",
    "data",
    "versions",
    "$patch",
];
/// What a segment of a path may become: encodings of nothing and of what no name has, ways up, and verbs in odd places.
const SEGMENTS: [&str; 20] = [
    "",
    ".",
    "..",
    "%2e%2e",
    "%",
    "%2",
    "%zz",
    "%00",
    "%ff%fe",
    "%2F",
    "%3F",
    "%C3%A9",
    "%20",
    "x:y",
    "*",
    "x",
    "status",
    "scale",
    "watch",
    "namespaces",
];
/// Longer than any name, and twice as long as fits into a request.
const LONGEST: usize = 130_000;
/// How long any answer may take, in the time of the runtime, which does not pass while something can be done.
const PATIENCE: Duration = Duration::from_secs(60);

/// A JSON value.
#[derive(Clone, Debug, TypeGenerator)]
enum Json {
    Null,
    Bool(bool),
    Number(i64),
    Text(u8),
    List(Vec<Leaf>),
    Map(Vec<(u8, Leaf)>),
}

#[derive(Clone, Debug, TypeGenerator)]
enum Leaf {
    Null,
    Number(i32),
    Text(u8),
    Map(Vec<(u8, u8)>),
}

#[derive(Clone, Debug, TypeGenerator)]
enum Content {
    Bytes(Vec<u8>),
    /// Like an object, with whatever in it.
    Object(Vec<(u8, Json)>),
    /// Like a JSON patch.
    Operations(Vec<(u8, u8, u8, Leaf)>),
}

/// What becomes of a path, at one of its segments.
#[derive(Clone, Debug, TypeGenerator)]
enum Bend {
    Drop(u8),
    Double(u8),
    Replace(u8, u8),
    Insert(u8, u8),
    /// The segment has these bytes.
    Bytes(u8, Vec<u8>),
    Lengthen(u8, u16),
}

#[derive(Clone, Debug, TypeGenerator)]
struct Op {
    method: u8,
    path: u8,
    bends: Vec<Bend>,
    query: Vec<u8>,
    media: u8,
    content: Content,
}

fn pick<T>(all: &[T], index: u8) -> &T {
    &all[usize::from(index) % all.len()]
}

fn word(index: u8) -> Value {
    let words = ["x", "y", "", "Not A Name", "a/b", "1", "example.com/keep", "é"];
    (*pick(&words, index)).into()
}

impl Leaf {
    fn value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Number(number) => (*number).into(),
            Self::Text(index) => word(*index),
            Self::Map(entries) => {
                let entry = |(key, value): &(u8, u8)| ((*pick(&KEYS, *key)).to_owned(), word(*value));
                Value::Object(entries.iter().map(entry).collect())
            }
        }
    }
}

impl Json {
    fn value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(yes) => (*yes).into(),
            Self::Number(number) => (*number).into(),
            Self::Text(index) => word(*index),
            Self::List(items) => items.iter().map(Leaf::value).collect(),
            Self::Map(entries) => {
                let entry = |(key, leaf): &(u8, Leaf)| ((*pick(&KEYS, *key)).to_owned(), leaf.value());
                Value::Object(entries.iter().map(entry).collect())
            }
        }
    }
}

impl Content {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Object(fields) => {
                let mut object = json!({"metadata": {"name": "x"}});
                for (key, value) in fields {
                    object[*pick(&KEYS, *key)] = value.value();
                }
                object.to_string().into_bytes()
            }
            Self::Operations(operations) => {
                let ops = ["add", "remove", "replace", "move", "copy", "test"];
                let operation = |(op, first, second, leaf): &(u8, u8, u8, Leaf)| {
                    json!({
                        "op": pick(&ops, *op), "path": format!("/{}/{}", pick(&KEYS, *first), pick(&KEYS, *second)),
                        "from": "/metadata", "value": leaf.value(),
                    })
                };
                let list: Vec<Value> = operations.iter().map(operation).collect();
                Value::from(list).to_string().into_bytes()
            }
        }
    }
}

impl Bend {
    fn apply(&self, segments: &mut Vec<String>) {
        let (Self::Drop(at)
        | Self::Double(at)
        | Self::Replace(at, _)
        | Self::Insert(at, _)
        | Self::Bytes(at, _)
        | Self::Lengthen(at, _)) = *self;
        if segments.is_empty() {
            return;
        }
        let at = usize::from(at) % segments.len();
        match self {
            Self::Drop(_) => drop(segments.remove(at)),
            Self::Double(_) => segments.insert(at, segments[at].clone()),
            Self::Replace(_, with) => segments[at] = (*pick(&SEGMENTS, *with)).to_owned(),
            Self::Insert(_, what) => segments.insert(at, (*pick(&SEGMENTS, *what)).to_owned()),
            Self::Bytes(_, bytes) => segments[at] = bytes.iter().map(|byte| format!("%{byte:02X}")).collect(),
            Self::Lengthen(_, by) => {
                segments[at] += &"x".repeat(usize::from(*by) * LONGEST / usize::from(u16::MAX))
            }
        }
    }
}

impl Op {
    fn path(&self) -> String {
        let path = pick(&PATHS, self.path);
        let mut segments: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
        // Half of the paths stay what they are.
        for bend in self.bends.iter().take(usize::from(self.path / 128) * 3) {
            bend.apply(&mut segments);
        }
        format!("/{}", segments.join("/"))
    }
}

async fn ask(service: &ApiService, op: &Op) {
    let query: Vec<&str> = op
        .query
        .iter()
        .take(4)
        .map(|index| *pick(&QUERIES, *index))
        .collect();
    let method = pick(&METHODS, op.method);
    let uri = format!("{}?{}", op.path(), query.join("&"));
    let request = Request::builder()
        .method(method)
        .uri(&uri)
        .header("content-type", *pick(&MEDIA, op.media))
        .body(Body::from(op.content.bytes()));
    // What is too long for a request never reaches a server.
    let Ok(request) = request else { return };
    let answer = tokio::time::timeout(PATIENCE, service.clone().oneshot(request)).await;
    let answer = answer
        .unwrap_or_else(|_| panic!("{method} {uri}: no answer"))
        .expect("the service never fails");
    check(method, &uri, answer).await;
}

async fn check(method: &Method, uri: &str, answer: Response<ApiBody>) {
    let (parts, body) = answer.into_parts();
    let is_json = parts
        .headers
        .get("content-type")
        .is_some_and(|media| media == "application/json");
    // One that watches from here on says nothing more.
    if watches(uri) && parts.status.is_success() {
        return;
    }
    let bytes = tokio::time::timeout(PATIENCE, body.collect()).await;
    let bytes = bytes
        .unwrap_or_else(|_| panic!("{method} {uri}: the answer does not end"))
        .expect("bodies do not fail")
        .to_bytes();
    if !is_json || *method == Method::HEAD {
        assert!(
            !parts.status.is_server_error(),
            "{method} {uri}: {}",
            parts.status
        );
        return;
    }
    let said: Value =
        serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{method} {uri}: {error}"));
    if parts.status.is_client_error() || parts.status.is_server_error() {
        assert_eq!(said["kind"], "Status", "{method} {uri}: {said}");
        assert_eq!(said["code"], parts.status.as_u16(), "{method} {uri}: {said}");
    }
    if parts.status.is_server_error() {
        assert!(is_of_a_real_server(method, uri, &said), "{method} {uri}: {said}");
    }
}

/// Whether a watch is asked for: by a word of the query, or in the old form by a segment of the path.
fn watches(uri: &str) -> bool {
    uri.contains("watch=true") || uri.contains("/watch/")
}

/// Whether a real server, too, answers so to a request that is at fault itself: with a time out to who asks for a version that
/// does not exist yet, and with a 500 without a reason where its code did not expect to fail, as in patches and in the
/// version that a watch begins at. Its own failures have a reason.
fn is_of_a_real_server(method: &Method, uri: &str, said: &Value) -> bool {
    let is_unexpected = *method == Method::PATCH || watches(uri);
    match said["code"].as_u64() {
        Some(500) => said.get("reason").is_none_or(|reason| reason == "") && is_unexpected,
        Some(504) => said["reason"] == "Timeout",
        _ => false,
    }
}

#[test]
fn whatever_is_asked_is_answered() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    bolero::check!().with_type::<Vec<Op>>().for_each(|ops| {
        runtime.block_on(async {
            let service = ControlPlane::new().service();
            for op in ops.iter().take(12) {
                ask(&service, op).await;
            }
            let request = Request::get("/api/v1/namespaces/kube-system").body(Body::empty());
            let answer = service.oneshot(request.expect("a request")).await;
            assert!(
                answer.expect("the service never fails").status().is_success(),
                "it goes on"
            );
        });
    });
}
