//! The server as a check sees it: plain requests, plain answers, and names of its own.
//!
//! A check writes `{ns}` for its namespace, `{other}` for a second one and `{group}` for the API group of its own
//! definitions. They are put in on the way out and taken out on the way back, so that what one server said can be
//! compared with what another one did.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Method, Request};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::check::Need;
use crate::kubectl;
use crate::watch::Watch;

pub(crate) const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases";
pub(crate) const CONFIGS: &str = "/api/v1/namespaces/{ns}/configmaps";
pub(crate) const NAMESPACES: &str = "/api/v1/namespaces";
pub(crate) const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
pub(crate) const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/roles";
pub(crate) const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/rolebindings";
pub(crate) const CLUSTER_ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
pub(crate) const CLUSTER_BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
pub(crate) const JSON: &str = "application/json";
pub(crate) const MERGE: &str = "application/merge-patch+json";
pub(crate) const APPLY: &str = "application/apply-patch+yaml";
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";
pub(crate) const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// How long something may take to become true.
const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(20);

/// The server that is checked.
#[derive(Clone)]
pub struct Target {
    /// Asks it, with every right.
    pub client: Client,
    /// Asks it as the user `guest`, to whom nothing is allowed.
    pub guest: Option<Client>,
    /// For `kubectl`, and for what writes to the socket.
    pub kubeconfig: Option<PathBuf>,
    /// Whether the controllers of Deployments, garbage and namespaces run.
    pub controllers: bool,
    /// Whether what it answers is what is expected from now on: only for a real one.
    pub record: bool,
}

impl Target {
    /// Why a check that needs this cannot be made.
    pub(crate) fn lacks(&self, need: Need) -> Option<&'static str> {
        match (need, &self.kubeconfig) {
            (Need::Controllers, _) if !self.controllers => Some("no controllers run on this server"),
            (Need::Kubectl | Need::Socket, None) => Some("the server has no socket"),
            (Need::Kubectl, Some(kubeconfig)) => kubectl::lacks(kubeconfig, self.record),
            (Need::Guest, _) if self.guest.is_none() => Some("there is no user without rights"),
            (Need::Controllers | Need::Socket | Need::Guest, _) => None,
        }
    }
}

/// What was asked and what was answered, in the check's own names.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Method, path and query; or the watch that an event came from.
    pub request: String,
    /// The body that was sent.
    pub sent: String,
    /// The code of the answer; zero for an event.
    pub code: u16,
    /// The warnings of the answer.
    pub warnings: Vec<String>,
    /// The body that came back.
    pub got: String,
}

impl Exchange {
    pub(crate) fn event(watch: &str, line: &str) -> Self {
        Self {
            request: format!("EVENT OF {watch}"),
            sent: String::new(),
            code: 0,
            warnings: Vec::new(),
            got: line.to_owned(),
        }
    }
}

/// The server as one check sees it. Clones are the same cluster.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) target: Target,
    names: [(&'static str, String); 3],
    /// Headers of every request, and how requests with them are told apart.
    asking_as: Vec<(&'static str, String)>,
    exchanges: Option<Arc<Mutex<Vec<Exchange>>>>,
}

impl Cluster {
    /// The names are fresh: nothing of them is there yet.
    pub(crate) fn new(target: Target) -> Self {
        let fresh = format!("cf{}", &uuid::Uuid::new_v4().simple().to_string()[..10]);
        Self {
            target,
            // The longer ones first: each contains the last.
            names: [
                ("{group}", format!("{fresh}.example.com")),
                ("{other}", format!("{fresh}-other")),
                ("{ns}", fresh),
            ],
            asking_as: Vec::new(),
            exchanges: Some(Arc::default()),
        }
    }

    /// The same cluster, asked by whom nothing is allowed.
    pub(crate) fn as_guest(&self) -> Self {
        let mut asking = self.clone();
        if let Some(guest) = &self.target.guest {
            asking.target.client = guest.clone();
        }
        asking
    }

    /// The same cluster, asked in the name of a user.
    pub(crate) fn asking_as(&self, user: &str) -> Self {
        self.asking_with(&[("impersonate-user", user)])
    }

    /// The same cluster, asked with more headers.
    pub(crate) fn asking_with(&self, headers: &[(&'static str, &str)]) -> Self {
        let mut asking = self.clone();
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned()));
        asking.asking_as.extend(headers);
        asking
    }

    /// The same cluster, whose exchanges are not kept: for requests in no certain order.
    pub(crate) fn unrecorded(&self) -> Self {
        Self {
            exchanges: None,
            ..self.clone()
        }
    }

    /// What was said until now.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.exchanges.as_ref().map_or_else(Vec::new, |kept| {
            kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
        })
    }

    pub(crate) fn record(&self, exchange: Exchange) {
        if let Some(kept) = &self.exchanges {
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
        }
    }

    /// The real names instead of the placeholders.
    pub(crate) fn names(&self, text: &str) -> String {
        let put = |text: String, (placeholder, name): &(&str, String)| text.replace(placeholder, name);
        self.names.iter().fold(text.to_owned(), put)
    }

    /// The placeholders instead of the real names.
    pub(crate) fn placeholders(&self, text: &str) -> String {
        let put = |text: String, (placeholder, name): &(&str, String)| text.replace(name, placeholder);
        self.names.iter().fold(text.to_owned(), put)
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> http::Response<Body> {
        let called = format!("{} {}", request.method(), request.uri());
        match self.target.client.send(request).await {
            Ok(response) => response,
            Err(error) => panic!("{called}: {error}"),
        }
    }

    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let mut request = Request::builder().method(&method).uri(self.names(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        for (name, value) in &self.asking_as {
            request = request.header(*name, self.names(value));
        }
        let sent = self.names(&body).into_bytes();
        let request = match request.body(Body::from(sent)) {
            Ok(request) => request,
            Err(error) => panic!("{method} {path} cannot be asked: {error}"),
        };
        let (parts, answer) = self.send(request).await.into_parts();
        let bytes = match answer.collect().await {
            Ok(answer) => answer.to_bytes(),
            Err(error) => panic!("{method} {path}: the answer broke off: {error}"),
        };
        let got = self.placeholders(&String::from_utf8_lossy(&bytes));
        let warnings = parts.headers.get_all("warning").iter();
        self.record(Exchange {
            request: format!("{method} {path}{}", self.said_as()),
            sent: body,
            code: parts.status.as_u16(),
            warnings: warnings
                .map(|warning| self.placeholders(&String::from_utf8_lossy(warning.as_bytes())))
                .collect(),
            got: got.clone(),
        });
        Answer {
            code: parts.status.as_u16(),
            headers: parts.headers,
            text: got,
        }
    }

    /// In whose name a request is made, for the record.
    fn said_as(&self) -> String {
        let headers = self.asking_as.iter();
        headers.map(|(name, value)| format!(" {name}={value}")).collect()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, &[], String::new()).await
    }

    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.request(Method::GET, path, &[("accept", accept)], String::new())
            .await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.request(Method::POST, path, &[("content-type", JSON)], body.to_string())
            .await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.request(Method::PUT, path, &[("content-type", JSON)], body.to_string())
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

    /// Makes the second namespace.
    pub(crate) async fn make_other(&self) {
        self.post(NAMESPACES, &json!({"metadata": {"name": "{other}"}}))
            .await
            .expect(201);
    }

    /// Opens a watch.
    pub(crate) async fn watch(&self, path_and_query: &str) -> Watch {
        self.watch_as(path_and_query, JSON).await
    }

    /// Opens a watch of objects in the form that `accept` says.
    pub(crate) async fn watch_as(&self, path_and_query: &str, accept: &str) -> Watch {
        let mut request = Request::builder()
            .uri(self.names(path_and_query))
            .header("accept", accept);
        for (name, value) in &self.asking_as {
            request = request.header(*name, self.names(value));
        }
        let request = match request.body(Body::empty()) {
            Ok(request) => request,
            Err(error) => panic!("{path_and_query} cannot be asked: {error}"),
        };
        let response = self.send(request).await;
        assert_eq!(response.status().as_u16(), 200, "{path_and_query}");
        Watch::new(response.into_body(), path_and_query.to_owned(), self.clone())
    }
}

/// A lease to be created.
pub(crate) fn lease(name: &str, holder: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15},
    })
}

/// Asks again and again until it is so.
pub(crate) async fn eventually<F: Future<Output = bool> + Send>(
    what: &str,
    mut so: impl FnMut() -> F + Send,
) {
    let begin = tokio::time::Instant::now();
    while !so().await {
        assert!(begin.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
