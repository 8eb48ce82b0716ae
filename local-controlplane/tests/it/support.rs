//! Plain requests and plain answers, so that the checks could be made over HTTP just as well.

use std::path::Path;
use std::time::Duration;

use http::{Method, Request};
use http_body_util::BodyExt;
use kube::client::Body;
use local_controlplane::{ApiBody, ApiService, ControlPlane, OpenError};
use serde_json::{Value, json};
use tower::ServiceExt;

pub(crate) const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
pub(crate) const JSON: &str = "application/json";
pub(crate) const MERGE: &str = "application/merge-patch+json";

/// An answer that was read to its end.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn version(&self) -> u64 {
        version(&self.json())
    }

    #[track_caller]
    pub(crate) fn expect(self, code: u16) -> Self {
        assert_eq!(self.code, code, "{}", self.text);
        self
    }
}

/// Opens a data folder that was open a moment ago. A process that another test starts meanwhile has a copy of its lock until
/// it runs its program.
pub(crate) async fn reopen(folder: &Path) -> Result<ControlPlane, OpenError> {
    for _ in 0..1000 {
        match ControlPlane::open(folder) {
            Err(OpenError::Locked(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
            opened => return opened,
        }
    }
    ControlPlane::open(folder)
}

/// The same for a folder that is as it should be.
pub(crate) async fn reopened(folder: &Path) -> ControlPlane {
    reopen(folder).await.unwrap()
}

pub(crate) fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

/// A server under test.
#[derive(Clone)]
pub(crate) struct Server(pub(crate) ApiService);

impl Server {
    pub(crate) fn new() -> Self {
        Self(ControlPlane::new().service())
    }

    pub(crate) fn of(plane: &ControlPlane) -> Self {
        Self(plane.service())
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> http::Response<ApiBody> {
        self.0
            .clone()
            .oneshot(request)
            .await
            .expect("the service never fails")
    }

    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self
            .send(request.body(Body::from(body.into_bytes())).expect("a request"))
            .await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("bodies do not fail").to_bytes();
        let text = String::from_utf8(bytes.to_vec()).expect("answers are text");
        Answer {
            code: parts.status.as_u16(),
            text,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, &[], String::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.request(Method::POST, path, &[("content-type", JSON)], body.to_string())
            .await
    }

    pub(crate) async fn patch(&self, path: &str, media: &str, body: &Value) -> Answer {
        self.request(Method::PATCH, path, &[("content-type", media)], body.to_string())
            .await
    }

    pub(crate) async fn delete(&self, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.request(Method::DELETE, path, &[("content-type", JSON)], body)
            .await
    }

    /// Creates a lease held by `holder`, and returns it.
    pub(crate) async fn lease(&self, name: &str, holder: &str) -> Value {
        self.post(LEASES, &lease(name, holder)).await.expect(201).json()
    }

    /// Opens a watch.
    pub(crate) async fn watch(&self, path_and_query: &str) -> Watch {
        let request = Request::builder()
            .uri(path_and_query)
            .body(Body::empty())
            .expect("a request");
        let response = self.send(request).await;
        assert_eq!(response.status().as_u16(), 200);
        Watch {
            body: response.into_body(),
            rest: String::new(),
        }
    }
}

/// An open watch.
pub(crate) struct Watch {
    body: ApiBody,
    rest: String,
}

impl Watch {
    /// The next event, or nothing at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((line, rest)) = self.rest.split_once('\n') {
                let event = serde_json::from_str(line).expect("an event a line");
                self.rest = rest.to_owned();
                return Some(event);
            }
            let frame = self.body.frame().await?.expect("bodies do not fail");
            self.rest += std::str::from_utf8(frame.data_ref().expect("data")).expect("text");
        }
    }

    /// The next events as `(type, name, version)`.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<(String, String, u64)> {
        let mut events = Vec::new();
        while events.len() < count {
            let event = self.next().await.expect("another event");
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let object = &event["object"];
            events.push((
                text(&event["type"]),
                text(&object["metadata"]["name"]),
                version(object),
            ));
        }
        events
    }
}

pub(crate) fn lease(name: &str, holder: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15},
    })
}

/// An event as `take` returns it.
pub(crate) fn event(kind: &str, name: &str, version: u64) -> (String, String, u64) {
    (kind.to_owned(), name.to_owned(), version)
}
pub(crate) fn definition() -> Value {
    let spec = json!({
        "type": "object", "required": ["deploymentName"],
        "properties": {
            "deploymentName": {"type": "string", "minLength": 1, "pattern": "^[a-z-]+$"},
            "replicas": {"type": "integer", "format": "int32", "minimum": 0, "maximum": 10, "default": 1},
            "mode": {"type": "string", "enum": ["fast", "safe"]},
            "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "maybe": {"type": "string", "nullable": true},
        },
    });
    let status = json!({"type": "object", "properties": {"availableReplicas": {"type": "integer"}}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "foos.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "foos", "kind": "Foo", "shortNames": ["fo"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}, "scale": {
                    "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.availableReplicas",
                }},
                "selectableFields": [{"jsonPath": ".spec.mode"}],
                "additionalPrinterColumns": [
                    {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                ],
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}},
            }],
        },
    })
}
