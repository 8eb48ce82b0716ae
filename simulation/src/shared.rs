//! What all parts of one simulation share: true time, the server, the checker, the counts and the trace.
//!
//! Every request reaches the server through [`Shared::deliver`], so the checker sees each change at the moment when it
//! happens, whoever makes it and whether or not anybody learns of it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use election_core::{FencingToken, LeaseKey, Revision, wire};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use k8s_openapi::api::coordination::v1::Lease;
use kube::client::Body;
use local_controlplane::{ApiBody, ControlPlane};
use serde_json::Value;
use tower::{BoxError, Service};

use crate::class::{Class, Counts};
use crate::ledger::{Ledger, Pid};
use crate::time::{Storm, Truth, wait};
use crate::trace::Trace;
use crate::writes::Author;

/// What the leaders' work writes into its shared object.
pub(crate) const TOKEN: &str = "token";

/// What happens to the server itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ServerState {
    pub(crate) outage: Option<Outage>,
    /// How long a request waits before it is carried out.
    pub(crate) slow: Duration,
}

/// How a server is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outage {
    Silent,
    Refuses,
}

pub(crate) struct Shared {
    pub(crate) truth: Truth,
    pub(crate) plane: ControlPlane,
    ledger: Mutex<Ledger>,
    counts: Mutex<Counts>,
    trace: Mutex<Trace>,
    server: Mutex<ServerState>,
    requests: AtomicU64,
    /// Requests at one moment.
    storm: Mutex<Storm>,
}

/// Whoever asks more often than this at one moment asks without a pause, and paused time would never go on.
const MOST_AT_ONCE: u32 = 20_000;

/// A request, read once.
pub(crate) struct Call {
    pub(crate) id: u64,
    pub(crate) method: Method,
    pub(crate) uri: http::Uri,
    headers: http::HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) subject: Subject,
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Lease(LeaseKey),
    Leases,
    /// The shared object of the work of this lease.
    Work(LeaseKey),
    Event,
    Other,
}

impl Call {
    pub(crate) const fn is_write(&self) -> bool {
        !matches!(self.method, Method::GET)
    }

    pub(crate) fn is_watch(&self) -> bool {
        !self.is_write() && self.uri.query().is_some_and(|query| query.contains("watch=true"))
    }

    pub(crate) fn writes_lease(&self) -> bool {
        self.is_write() && matches!(self.subject, Subject::Lease(_))
    }

    /// A value of the query.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let mut pairs = self
            .uri
            .query()?
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(key, value)| (key == name).then_some(value))
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.is_watch() {
            true => "WATCH",
            false => self.method.as_str(),
        };
        match &self.subject {
            Subject::Lease(key) | Subject::Work(key) => {
                let what = if matches!(self.subject, Subject::Work(_)) {
                    "work of "
                } else {
                    ""
                };
                write!(f, "{verb} {what}{key}")
            }
            other => write!(f, "{verb} {other:?}"),
        }
    }
}

/// An answer of the server.
pub(crate) enum Answer {
    Whole(Response<Bytes>),
    Watch(Response<ApiBody>),
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(truth: Truth, trace: Trace, plane: ControlPlane) -> Arc<Self> {
        Arc::new(Self {
            truth,
            plane,
            ledger: Mutex::default(),
            counts: Mutex::default(),
            trace: Mutex::new(trace),
            server: Mutex::default(),
            requests: AtomicU64::new(0),
            storm: Mutex::default(),
        })
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    pub(crate) fn trace(&self) -> MutexGuard<'_, Trace> {
        lock(&self.trace)
    }

    pub(crate) fn counts(&self) -> Counts {
        *lock(&self.counts)
    }

    pub(crate) fn server(&self) -> ServerState {
        *lock(&self.server)
    }

    pub(crate) fn set_server(&self, change: impl FnOnce(&mut ServerState)) {
        change(&mut lock(&self.server));
    }

    /// Notes that a fault took effect.
    pub(crate) fn count(&self, class: Class) {
        lock(&self.counts).count(class);
    }

    /// Writes a line of the story.
    pub(crate) fn say(&self, what: fmt::Arguments<'_>) {
        self.trace().say(self.truth.now(), what);
    }

    /// Reads a request of a client.
    pub(crate) async fn read(&self, request: Request<Body>) -> Result<Call, BoxError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let id = self.requests.fetch_add(1, Ordering::Relaxed);
        self.notice_storms();
        let subject = subject(&parts.method, &parts.uri, &body);
        Ok(Call {
            id,
            method: parts.method,
            uri: parts.uri,
            headers: parts.headers,
            body,
            subject,
        })
    }

    fn notice_storms(&self) {
        let count = lock(&self.storm).counts(self.truth.now());
        assert!(
            count < MOST_AT_ONCE,
            "{count} requests at one moment: somebody asks without a pause"
        );
    }

    /// A request leaves its process.
    pub(crate) fn sent(&self, author: &Author, name: &str, pid: Pid, call: &Call) {
        if !call.is_write() {
            return;
        }
        let at = self.truth.now();
        match &call.subject {
            Subject::Lease(_) | Subject::Leases => {
                let (verb, path) = (call.method.as_str(), call.uri.path());
                self.ledger().lease_sent(at, author, verb, path, &call.body);
            }
            Subject::Work(lease) => self.ledger().work_sent(at, lease, pid, call.id),
            Subject::Event | Subject::Other => {}
        }
        self.say(format_args!("{name} sends {call}"));
    }

    /// A request will never land, or its process has an answer that says so.
    pub(crate) fn lost(&self, call: &Call) {
        if matches!(call.subject, Subject::Work(_)) {
            self.ledger().work_over(call.id);
        }
    }

    /// The server carries a request out.
    pub(crate) async fn deliver(&self, author: &Author, name: &str, call: &Call) -> Result<Answer, BoxError> {
        // What people do happens at once: an edit on its way would undo what they do next.
        if !matches!(author, Author::Person) {
            wait(self.server().slow).await;
        }
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = call.uri.clone();
        *request.headers_mut() = call.headers.clone();
        let mut service = self.plane.service();
        // Without a budget of its own, the runtime might let others run between the change and the checker's look at it.
        let answer = tokio::task::unconstrained(service.call(request)).await?;
        if call.is_watch() && answer.status().is_success() {
            return Ok(Answer::Watch(answer));
        }
        let (parts, body) = answer.into_parts();
        let body = tokio::task::unconstrained(body.collect()).await?.to_bytes();
        let answer = Response::from_parts(parts, body);
        if call.is_write() {
            self.landed(author, name, call, &answer);
        }
        Ok(Answer::Whole(answer))
    }

    fn landed(&self, author: &Author, name: &str, call: &Call, answer: &Response<Bytes>) {
        let (at, status) = (self.truth.now(), answer.status());
        let mut ledger = self.ledger();
        if matches!(call.subject, Subject::Work(_)) {
            ledger.work_over(call.id);
        }
        if !status.is_success() {
            drop(ledger);
            return self.say(format_args!("server: {call} of {name} → {}", status.as_u16()));
        }
        match &call.subject {
            Subject::Lease(key) if call.method == Method::DELETE => {
                ledger.lease_gone(key);
                drop(ledger);
                self.say(format_args!("server: {name} deleted {key}"));
            }
            Subject::Lease(_) | Subject::Leases => {
                let Ok(lease) = serde_json::from_slice::<Lease>(answer.body()) else {
                    return ledger.broken("server", at, "the answer to a write is no lease");
                };
                ledger.lease_landed(at, author, &lease);
                let turn = ledger.turn_begins(&lease);
                drop(ledger);
                if turn {
                    self.count(Class::Turns);
                }
                self.say(format_args!("server: {name} wrote {}", Shown(&lease)));
            }
            Subject::Work(key) => {
                let object: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
                let token = object["data"][TOKEN].as_str().unwrap_or_default();
                let token = FencingToken::new(Revision::new(token));
                ledger.acts += 1;
                let book = ledger.leases.entry(key.clone()).or_default();
                let before = book.shared_token.replace(token.clone());
                if before.as_ref().is_some_and(|before| *before > token) {
                    let what =
                        format!("the work of {name} on {key} went back from token {before:?} to {token}");
                    ledger.broken("S2", at, what);
                }
                drop(ledger);
                self.say(format_args!("server: {name} acted on {key} with token {token}"));
            }
            Subject::Event | Subject::Other => {}
        }
    }
}

/// A lease in one line.
struct Shown<'a>(&'a Lease);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meta = &self.0.metadata;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        write!(f, "{} as of {}", text(&meta.name), text(&meta.resource_version))?;
        if let Some(spec) = &self.0.spec {
            let holder = spec.holder_identity.as_deref().unwrap_or("nobody");
            let state = match (&spec.acquire_time, &spec.renew_time) {
                (Some(_), Some(_)) => "held",
                (None, Some(_)) => "renewed",
                _ => "open",
            };
            write!(
                f,
                ": {holder} {state}, term {}",
                spec.lease_transitions.unwrap_or_default()
            )?;
            if let Some(time) = &spec.renew_time {
                write!(f, ", renewed {}", time.0)?;
            }
        }
        for (key, value) in meta.annotations.iter().flatten() {
            // What is always the same, or read by nobody who takes part.
            if ![wire::ELECTED_BY, wire::CAN_LEAD_LEASES, wire::TIMING].contains(&key.as_str()) {
                let key = key.rsplit('/').next().unwrap_or(key);
                write!(f, ", {key} {value}")?;
            }
        }
        Ok(())
    }
}

fn subject(method: &Method, uri: &http::Uri, body: &[u8]) -> Subject {
    let parts: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
    let named = |namespace: &str, name: &str| LeaseKey::new(namespace, name);
    match parts[..] {
        [
            "apis",
            "coordination.k8s.io",
            "v1",
            "namespaces",
            namespace,
            "leases",
            name,
        ] => Subject::Lease(named(namespace, name)),
        [
            "apis",
            "coordination.k8s.io",
            "v1",
            "namespaces",
            namespace,
            "leases",
        ] if method == Method::POST => {
            let object: Value = serde_json::from_slice(body).unwrap_or_default();
            Subject::Lease(named(
                namespace,
                object["metadata"]["name"].as_str().unwrap_or_default(),
            ))
        }
        ["apis", "coordination.k8s.io", ..] => Subject::Leases,
        ["api", "v1", "namespaces", namespace, "configmaps", name] => Subject::Work(named(namespace, name)),
        ["apis", "events.k8s.io", ..] => Subject::Event,
        _ => Subject::Other,
    }
}
