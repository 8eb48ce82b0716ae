//! A client that writes only within a term: the fence between a leader's work and an API server.
//!
//! A write is refused once the term's deadline has passed or the fence was closed; one under way at the deadline is
//! cancelled. Reads pass always. The fence also knows whether every write was answered, on which a graceful release
//! waits (invariant S6).
//!
//! Deliberately absent: any promise about a write that was sent before the deadline and is carried out after it. Only a
//! receiver that compares fencing tokens can refuse that one.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use election_core::Mono;
use futures::future::BoxFuture;
use http::{Method, Request, Response, header};
use kube::client::Body;
use tokio::sync::watch;
use tower::{BoxError, Service};

use crate::clock::SharedClock;

/// Why a write of [`crate::Leadership::client`] was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FenceClosed {
    /// The API server has not seen it.
    #[error("this process does not lead any more: the write was not sent")]
    NotSent,
    /// It was cancelled on its way, so it may have been carried out.
    #[error(
        "this process does not lead any more: the write was cancelled, and it is not known whether it happened"
    )]
    Cancelled,
    /// It asked for a stream in both directions, which nothing could end at the deadline.
    #[error(
        "the client of a term does not open exec, attach or portforward, which it could not end at the deadline: use another \
         client for them"
    )]
    Stream,
}

/// How the last write of a term ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Drained {
    /// No write is expected to land any more: each was answered, or was given up long ago, or the deadline has passed.
    pub(crate) clean: bool,
}

/// Decides which writes of a term may pass.
pub(crate) struct Fence {
    clock: SharedClock,
    gate: watch::Sender<Gate>,
    writes: watch::Sender<Writes>,
    /// How far ahead of a renewal its deadline lies.
    reach: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Gate {
    /// The deadline of the term.
    deadline: Mono,
    /// An earlier moment, when the work is killed before the deadline.
    limit: Option<Mono>,
    /// How long before either of them the last write ends, so that a runtime that runs never meets the watchdog.
    margin: Duration,
    /// No write starts.
    closed: bool,
}

impl Gate {
    /// No write starts or goes on from this moment.
    fn end(self) -> Mono {
        let kill_at = self.limit.map_or(self.deadline, |limit| limit.min(self.deadline));
        kill_at.before(self.margin)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Writes {
    in_flight: usize,
    /// Until when a write that was given up is waited for: as long after that as the deadline reaches, however many
    /// renewals come in between. Had the leader died instead, the next one would have waited about as long.
    uncertain_until: Option<Mono>,
}

impl Fence {
    /// Lets writes pass until a margin before the deadline, which lies `reach` after the sending of the last renewal.
    pub(crate) fn open(clock: SharedClock, deadline: Mono, margin: Duration, reach: Duration) -> Arc<Self> {
        let (gate, _) = watch::channel(Gate {
            deadline,
            limit: None,
            margin,
            closed: false,
        });
        let (writes, _) = watch::channel(Writes::default());
        Arc::new(Self {
            clock,
            gate,
            writes,
            reach,
        })
    }

    /// The deadline moves: on with a renewal, or back when somebody lowered the duration on the lease.
    ///
    /// Of a closed fence it only moves back: what is under way has until then, and renewals beneath a request that is
    /// never answered would else keep the lease for nobody.
    pub(crate) fn extend(&self, deadline: Mono) {
        self.gate.send_modify(|gate| {
            if !gate.closed || deadline < gate.deadline {
                gate.deadline = deadline;
            }
        });
    }

    /// The work is killed at this moment, before the deadline, and so are its writes; no renewal changes that. A moment
    /// that is not before the deadline limits nothing: a renewal may still move it.
    pub(crate) fn limit(&self, at: Mono) {
        self.gate.send_modify(|gate| {
            if at < gate.deadline && gate.limit.is_none_or(|limit| at < limit) {
                gate.limit = Some(at);
            }
        });
    }

    /// No further write starts, for good. Those under way may be answered until the deadline: to cancel them would only
    /// make their outcome unknown.
    pub(crate) fn close(&self) {
        self.gate.send_modify(|gate| gate.closed = true);
    }

    /// How many writes are under way.
    pub(crate) fn in_flight(&self) -> usize {
        self.writes.borrow().in_flight
    }

    /// Resolves when no write is under way, or none may go on: one that nobody polls does not end by itself, but goes no
    /// further either. After [`Fence::close`] none comes up again.
    pub(crate) async fn drained(&self) -> Drained {
        let mut writes = self.writes.subscribe();
        tokio::select! {
            biased;
            // The sender lives in `self`.
            _ = writes.wait_for(|writes| writes.in_flight == 0) => {}
            () = self.expired() => {}
        }
        let writes = *writes.borrow();
        let deadline = self.gate.borrow().deadline;
        let until = match writes.in_flight {
            0 => writes.uncertain_until.map(|until| until.min(deadline)),
            _ => Some(deadline),
        };
        Drained {
            clean: until.is_none_or(|until| until <= self.clock.now()),
        }
    }

    fn may_start(&self) -> bool {
        let gate = *self.gate.borrow();
        !gate.closed && self.clock.now() < gate.end()
    }

    fn may_go_on(&self) -> bool {
        self.clock.now() < self.gate.borrow().end()
    }

    /// Resolves when no write may go on, wherever that moves meanwhile.
    async fn expired(&self) {
        let mut gate = self.gate.subscribe();
        loop {
            let end = gate.borrow_and_update().end();
            if end <= self.clock.now() {
                return;
            }
            tokio::select! {
                biased;
                () = self.clock.sleep_until(end) => {}
                _ = gate.changed() => {}
            }
        }
    }

    /// Sends a write, if the term still allows it, and waits for the beginning of its answer.
    async fn write(
        self: Arc<Self>,
        client: kube::Client,
        request: Request<Body>,
    ) -> Result<Response<Body>, BoxError> {
        // Counted before the gate is looked at: whoever closes the gate and then finds no write under way can rely on it.
        let mut write = Write::begin(self.clone());
        if !self.may_start() {
            return Err(FenceClosed::NotSent.into());
        }
        write.sent = true;
        let mut expired = pin!(self.expired());
        let mut answer = pin!(client.send(request));
        let result = poll_fn(|context| {
            // The clock is read each time: after a pause of the process, the timer may not have fired yet.
            if !self.may_go_on() || expired.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(FenceClosed::Cancelled.into()));
            }
            answer.as_mut().poll(context).map_err(BoxError::from)
        })
        .await;
        // A server that fails may still be carrying the request out, behind a proxy or in its store.
        write.answered = matches!(&result, Ok(response) if !response.status().is_server_error());
        result
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fence")
            .field("gate", &*self.gate.borrow())
            .field("in_flight", &self.in_flight())
            .finish()
    }
}

/// A write under way. Dropped before its answer came, it leaves the outcome unknown.
struct Write {
    fence: Arc<Fence>,
    sent: bool,
    answered: bool,
}

impl Write {
    fn begin(fence: Arc<Fence>) -> Self {
        fence.writes.send_modify(|writes| writes.in_flight += 1);
        Self {
            fence,
            sent: false,
            answered: false,
        }
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        let fence = &self.fence;
        let abandoned = (self.sent && !self.answered).then(|| fence.clock.now() + fence.reach);
        self.fence.writes.send_modify(|writes| {
            writes.in_flight -= 1;
            writes.uncertain_until = writes.uncertain_until.max(abandoned);
        });
    }
}

/// The same client behind a fence.
pub(crate) fn fenced(client: kube::Client, fence: Arc<Fence>) -> kube::Client {
    let namespace = client.default_namespace().to_owned();
    let valid_until = *client.valid_until();
    kube::Client::new(Fenced { client, fence }, namespace).with_valid_until(valid_until)
}

struct Fenced {
    client: kube::Client,
    fence: Arc<Fence>,
}

impl Service<Request<Body>> for Fenced {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // The client waits for its own readiness when it sends; here, a waiting write would hold up reads.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let client = self.client.clone();
        // `exec`, `attach` or `portforward`: a GET in name only.
        if request.headers().contains_key(header::UPGRADE) {
            return Box::pin(async { Err(FenceClosed::Stream.into()) });
        }
        if is_read(request.method()) {
            return Box::pin(async move { client.send(request).await.map_err(BoxError::from) });
        }
        Box::pin(self.fence.clone().write(client, request))
    }
}

/// Whether a request changes nothing.
fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[cfg(test)]
mod tests;
