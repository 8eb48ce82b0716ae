//! A process that is stopped for a while, and the time that passes.
//!
//! Everything that a process learns or does passes its gate. A closed gate is SIGSTOP: no timer fires, no request leaves, no
//! answer arrives. Whole clusters with everything that can go wrong are in the crate `simulation`.

use std::sync::Arc;
use std::time::Duration;

use candidate::clock::{Clock, SharedClock};
use election_core::{Mono, Wall};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use kube::client::Body;
use tokio::sync::watch;
use tower::BoxError;

/// The gate of a process.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Arc<watch::Sender<bool>>);

type GatedBody = UnsyncBoxBody<bytes::Bytes, BoxError>;

impl Gate {
    /// An open one.
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(true)))
    }

    /// Stops the process, or continues it.
    pub(crate) fn set(&self, open: bool) {
        self.0.send_replace(open);
    }

    /// Waits until it is open.
    pub(crate) async fn pass(&self) {
        // The sender lives as long as the gate does.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }

    /// A client that reaches the server only through this gate.
    pub(crate) fn client(&self, server: kube::Client) -> kube::Client {
        let gate = self.clone();
        let service =
            tower::service_fn(move |request: Request<Body>| gate.clone().call(server.clone(), request));
        kube::Client::new(service, "default")
    }

    async fn call(
        self,
        server: kube::Client,
        request: Request<Body>,
    ) -> Result<Response<GatedBody>, BoxError> {
        self.pass().await;
        let answer = server.send(request).await?;
        self.pass().await;
        Ok(answer.map(|body| {
            let frames = body.into_data_stream().then(move |piece| {
                let gate = self.clone();
                async move {
                    gate.pass().await;
                    piece.map(Frame::data).map_err(BoxError::from)
                }
            });
            StreamBody::new(frames).boxed_unsync()
        }))
    }
}

/// A clock whose timers do not fire while its process is stopped.
#[derive(Debug)]
pub(crate) struct GatedClock {
    pub(crate) inner: SharedClock,
    pub(crate) gate: Gate,
}

impl Clock for GatedClock {
    fn now(&self) -> Mono {
        self.inner.now()
    }

    fn wall(&self) -> Wall {
        self.inner.wall()
    }

    fn sleep_until(&self, at: Mono) -> BoxFuture<'static, ()> {
        let (sleep, gate) = (self.inner.sleep_until(at), self.gate.clone());
        async move {
            sleep.await;
            gate.pass().await;
        }
        .boxed()
    }
}

/// Waits in simulated time.
pub(crate) async fn wait(duration: Duration) {
    #[expect(clippy::disallowed_methods, reason = "the tests are where time passes")]
    tokio::time::sleep(duration).await;
}

/// Runs something that goes on when nobody waits for it any more.
pub(crate) fn detach(task: impl Future<Output = ()> + Send + 'static) {
    #[expect(clippy::disallowed_methods, reason = "a test starts what it observes")]
    drop(tokio::spawn(task));
}
