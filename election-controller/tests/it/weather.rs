//! What happens between a simulated process and the API server: delay, loss, and a process that is stopped for a while.
//!
//! Everything a process learns or does passes its gate. A closed gate is a stopped process (SIGSTOP): no timer fires, no
//! request leaves, no answer arrives. A gate that never opens again is a crash.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use candidate::clock::{Clock, SharedClock};
use election_core::{Mono, Wall};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use kube::client::Body;
use tokio::sync::watch;

/// A small generator of numbers: the same seed, the same schedule.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(1))
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// Whether something with this chance, in percent, happens.
    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// A process that can be stopped and continued.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    open: Arc<watch::Sender<bool>>,
    crashed: Arc<AtomicBool>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self {
            open: Arc::new(watch::Sender::new(true)),
            crashed: Arc::default(),
        }
    }

    /// Stops the process, or continues it; one that has crashed stays as it is.
    pub(crate) fn set(&self, open: bool) {
        if !self.crashed.load(Ordering::Relaxed) {
            self.open.send_replace(open);
        }
    }

    /// Stops the process for good.
    pub(crate) fn crash(&self) {
        self.set(false);
        self.crashed.store(true, Ordering::Relaxed);
    }

    pub(crate) async fn pass(&self) {
        // The sender lives as long as the gate does.
        let _ = self.open.subscribe().wait_for(|open| *open).await;
    }
}

/// What goes wrong on the way, in percent of the requests.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) lost_requests: u64,
    pub(crate) lost_answers: u64,
    /// The longest delay of a request, and of its answer.
    pub(crate) delay: Duration,
}

/// The way between one process and the API server.
#[derive(Clone)]
pub(crate) struct Weather {
    pub(crate) gate: Gate,
    pub(crate) faults: Arc<Mutex<Faults>>,
    dice: Arc<Mutex<Dice>>,
}

impl Weather {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            gate: Gate::new(),
            faults: Arc::default(),
            dice: Arc::new(Mutex::new(Dice::new(seed))),
        }
    }

    fn draw(&self, chance: fn(&Faults) -> u64) -> bool {
        let chance = chance(&self.faults.lock().unwrap());
        self.dice.lock().unwrap().percent(chance)
    }

    async fn delay(&self) {
        let longest = self.faults.lock().unwrap().delay;
        if !longest.is_zero() {
            let micros = u64::try_from(longest.as_micros()).unwrap();
            let delay = Duration::from_micros(self.dice.lock().unwrap().below(micros));
            wait(delay).await;
        }
        self.gate.pass().await;
    }

    /// A client that reaches the server only through this weather.
    pub(crate) fn client(&self, server: kube::Client) -> kube::Client {
        let weather = self.clone();
        let service =
            tower::service_fn(move |request: Request<Body>| weather.clone().call(server.clone(), request));
        kube::Client::new(service, "default")
    }

    async fn call(
        self,
        server: kube::Client,
        request: Request<Body>,
    ) -> Result<Response<SlowBody>, tower::BoxError> {
        self.delay().await;
        let watches = request.method() == Method::GET
            && request.uri().query().is_some_and(|q| q.contains("watch=true"));
        if !watches && self.draw(|faults| faults.lost_requests) {
            std::future::pending::<()>().await;
        }
        let lost = !watches && self.draw(|faults| faults.lost_answers);
        // The server works on, whether or not the process still waits.
        let answer = detach(async move { server.send(request).await }).await?;
        if lost {
            std::future::pending::<()>().await;
        }
        self.delay().await;
        Ok(answer.map(|body| self.slow_body(body)))
    }

    /// A body whose every piece passes the gate, so that a stopped process sees no events.
    fn slow_body(self, body: Body) -> SlowBody {
        let frames = body.into_data_stream().then(move |piece| {
            let gate = self.gate.clone();
            async move {
                gate.pass().await;
                piece.map(http_body::Frame::data).map_err(tower::BoxError::from)
            }
        });
        SlowBody::new(StreamBody::new(frames))
    }
}

/// The body of an answer on its way through the weather.
type SlowBody = http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, tower::BoxError>;

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
    #[expect(clippy::disallowed_methods, reason = "the simulation is where time passes")]
    tokio::time::sleep(duration).await;
}

/// Runs something that goes on when nobody waits for it any more.
pub(crate) fn detach<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> BoxFuture<'static, T> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the server of the simulation is a task of its own"
    )]
    let task = tokio::spawn(future);
    async move { task.await.expect("the task neither panics nor is aborted") }.boxed()
}
