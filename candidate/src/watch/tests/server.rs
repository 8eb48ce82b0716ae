//! The scripted API server: one reply for each request, in order, and a note of what was asked when.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use election_core::Wall;
use futures::channel::mpsc;
use futures::stream::{self, BoxStream, StreamExt};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use kube::client::Body;
use serde_json::{Value, json};

use crate::clock::{Clock, TokioClock};
use crate::watch::{LeaseWatch, WatchScope, WatchSettings, leases};

/// What the server does with the next request.
pub(super) enum Reply {
    /// A page of a list: its items, its revision, and the token of the next page.
    Page(Vec<Value>, &'static str, Option<&'static str>),
    /// A watch that tells these and then does what the end says.
    Watch(Vec<Value>, End),
    /// A watch that the test feeds.
    Fed(mpsc::UnboundedReceiver<Value>),
    Status(u16, &'static str),
    /// No answer at all.
    Silent,
}

pub(super) enum End {
    Clean,
    Cut,
    Silent,
}

/// What a body consists of.
type Bytes = <Body as http_body::Body>::Data;
type Chunk = Result<Frame<Bytes>, std::io::Error>;
type Answer = Response<StreamBody<BoxStream<'static, Chunk>>>;

#[derive(Default)]
pub(super) struct Server {
    pub(super) replies: Mutex<VecDeque<Reply>>,
    pub(super) seen: Mutex<Vec<(Duration, String)>>,
}

pub(super) struct World {
    pub(super) server: Arc<Server>,
    pub(super) clock: Arc<TokioClock>,
    pub(super) client: kube::Client,
}

pub(super) fn world(replies: impl IntoIterator<Item = Reply>) -> World {
    let clock = Arc::new(TokioClock::new(Wall::from_micros(0)));
    let server = Arc::new(Server {
        replies: Mutex::new(replies.into_iter().collect()),
        ..Server::default()
    });
    let service = {
        let (server, clock) = (server.clone(), clock.clone());
        tower::service_fn(move |request: Request<Body>| {
            let at = clock.now().since(TokioClock::ORIGIN);
            server.seen.lock().unwrap().push((at, request.uri().to_string()));
            let reply = server.replies.lock().unwrap().pop_front();
            async move { answer(reply.unwrap_or(Reply::Silent)).await }
        })
    };
    World {
        client: kube::Client::new(service, "default"),
        server,
        clock,
    }
}

async fn answer(reply: Reply) -> Result<Answer, std::convert::Infallible> {
    let whole = |body: Value| stream::iter([line(&body)]).boxed();
    let (code, body) = match reply {
        Reply::Silent => std::future::pending().await,
        Reply::Status(code, message) => {
            let status = json!({"kind": "Status", "status": "Failure", "message": message, "code": code});
            (code, whole(status))
        }
        Reply::Page(items, revision, next) => {
            let meta = json!({"resourceVersion": revision, "continue": next});
            (
                200,
                whole(json!({"kind": "LeaseList", "metadata": meta, "items": items})),
            )
        }
        Reply::Watch(events, end) => {
            let end = match end {
                End::Clean => stream::empty().boxed(),
                End::Cut => stream::iter([Err(std::io::ErrorKind::ConnectionReset.into())]).boxed(),
                End::Silent => stream::pending().boxed(),
            };
            let told: Vec<_> = events.iter().map(line).collect();
            (200, stream::iter(told).chain(end).boxed())
        }
        Reply::Fed(events) => (200, events.map(|event| line(&event)).boxed()),
    };
    Ok(Response::builder()
        .status(code)
        .body(StreamBody::new(body))
        .unwrap())
}

fn line(event: &Value) -> Chunk {
    Ok(Frame::data(format!("{event}\n").into_bytes().into()))
}

pub(super) fn object(name: &str, revision: &str) -> Value {
    json!({"metadata": {"namespace": "n", "name": name, "resourceVersion": revision}, "spec": {}})
}

pub(super) fn event(kind: &str, name: &str, revision: &str) -> Value {
    let mut object = object(name, revision);
    if kind == "BOOKMARK" {
        object = json!({"kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "metadata": {"resourceVersion": revision}});
    }
    json!({"type": kind, "object": object})
}

pub(super) fn error_event(code: u16) -> Value {
    json!({"type": "ERROR", "object": {"kind": "Status", "status": "Failure", "message": "too old", "code": code}})
}

impl World {
    pub(super) fn watch(&self) -> LeaseWatch {
        let settings = WatchSettings::new(self.clock.clone(), 1);
        leases(self.client.clone(), WatchScope::namespace("n"), settings)
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.clock.now().since(TokioClock::ORIGIN)
    }

    /// What was asked, as `list` or `watch` with what matters of the query.
    pub(super) fn asked(&self) -> Vec<String> {
        let seen = self.server.seen.lock().unwrap();
        seen.iter().map(|(_, uri)| summary(uri)).collect()
    }
}

fn summary(uri: &str) -> String {
    let query = uri.split_once('?').map_or("", |(_, query)| query);
    let find = |name: &str| {
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    };
    match (find("watch"), find("continue")) {
        (Some(_), _) => format!("watch {}", find("resourceVersion").unwrap_or_default()),
        (None, Some(token)) => format!("list {token}"),
        (None, None) => "list".to_owned(),
    }
}
