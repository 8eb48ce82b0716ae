//! The way from an elector to the API server, on which a test lets one thing go wrong at a time.
//!
//! Here a test says what happens to which request; random troubles are in the crate `simulation`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::client::Body;
use serde_json::json;
use tokio::sync::watch;
use tower::BoxError;

use crate::gate::wait;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is answered by the server.
    Passes,
    /// It does not reach the server, which seems to answer with this code and reason.
    Answered(u16, &'static str),
    /// It does not reach the server, and is never answered.
    Lost,
    /// The server carries it out, and the answer is lost.
    Unanswered,
    /// It reaches the server only after this time.
    Late(Duration),
}

/// How open watches break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// The server ends them.
    Ends,
    /// The connection is dead, and nobody says so.
    Silent,
}

type Rule = Box<dyn FnMut(&Request<Body>) -> Fate + Send>;
type RoadBody = UnsyncBoxBody<Bytes, BoxError>;

/// The way to the server.
#[derive(Clone)]
pub(crate) struct Road {
    rule: Arc<Mutex<Option<Rule>>>,
    breaks: Arc<watch::Sender<Break>>,
}

impl Road {
    pub(crate) fn new() -> Self {
        Self {
            rule: Arc::default(),
            breaks: Arc::new(watch::Sender::new(Break::Ends)),
        }
    }

    /// From now on this decides what becomes of a request.
    pub(crate) fn rule(&self, rule: impl FnMut(&Request<Body>) -> Fate + Send + 'static) {
        *self.rule.lock().unwrap() = Some(Box::new(rule));
    }

    /// From now on everything passes.
    pub(crate) fn clear(&self) {
        *self.rule.lock().unwrap() = None;
    }

    /// Breaks the watches that are open now.
    pub(crate) fn break_watches(&self, how: Break) {
        self.breaks.send_replace(how);
    }

    /// A client that reaches the server on this way only.
    pub(crate) fn client(&self, server: kube::Client) -> kube::Client {
        let road = self.clone();
        let service =
            tower::service_fn(move |request: Request<Body>| road.clone().carry(server.clone(), request));
        kube::Client::new(service, "default")
    }

    async fn carry(
        self,
        server: kube::Client,
        request: Request<Body>,
    ) -> Result<Response<RoadBody>, BoxError> {
        let fate = match &mut *self.rule.lock().unwrap() {
            Some(rule) => rule(&request),
            None => Fate::Passes,
        };
        match fate {
            Fate::Answered(code, reason) => return Ok(refusal(code, reason)),
            Fate::Lost => std::future::pending().await,
            Fate::Late(by) => wait(by).await,
            Fate::Passes | Fate::Unanswered => {}
        }
        let watches = is_watch(&request);
        let answer = server.send(request).await?;
        if fate == Fate::Unanswered {
            std::future::pending::<()>().await;
        }
        let mut breaks = self.breaks.subscribe();
        Ok(answer.map(|body| {
            if !watches {
                return body.map_err(BoxError::from).boxed_unsync();
            }
            let broken = async move {
                let gone = breaks.changed().await.is_err();
                if gone || *breaks.borrow() != Break::Ends {
                    std::future::pending::<()>().await;
                }
            };
            breakable(body, self.breaks.subscribe(), broken)
        }))
    }
}

/// A body that ends when `broken` resolves, and shows nothing more from the first break on.
fn breakable(
    body: Body,
    breaks: watch::Receiver<Break>,
    broken: impl Future<Output = ()> + Send + 'static,
) -> RoadBody {
    let pieces = body.into_data_stream().then(move |piece| {
        let silent = matches!(breaks.has_changed(), Ok(true));
        async move {
            if silent {
                std::future::pending::<()>().await;
            }
            piece.map(Frame::data).map_err(BoxError::from)
        }
    });
    StreamBody::new(pieces.take_until(Box::pin(broken))).boxed_unsync()
}

/// Whether a request begins a watch.
pub(crate) fn is_watch(request: &Request<Body>) -> bool {
    request.method() == Method::GET
        && request
            .uri()
            .query()
            .is_some_and(|query| query.contains("watch=true"))
}

/// Whether a request would change a lease.
pub(crate) fn writes_lease(request: &Request<Body>) -> bool {
    request.method() != Method::GET && request.uri().path().contains("/leases")
}

/// Whether a request publishes an Event.
pub(crate) fn writes_event(request: &Request<Body>) -> bool {
    request.method() != Method::GET && request.uri().path().contains("/events")
}

fn refusal(code: u16, reason: &'static str) -> Response<RoadBody> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("the road says {reason}"), "reason": reason, "code": code,
    });
    let body = Full::new(Bytes::from(status.to_string()));
    let body = body.map_err(|never| match never {}).boxed_unsync();
    Response::builder()
        .status(code)
        .header("content-type", "application/json")
        .body(body)
        .unwrap()
}
