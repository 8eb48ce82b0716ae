//! A stage for replicas of an elector: every process has a gate, every write of a lease is counted and told, and one of them can
//! be the moment at which something happens to an elector.
//!
//! What a story expects is with the story.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use candidate::clock::{Clock, SharedClock};
use candidate::{Candidate, Leadership, Overrun};
use election_controller::{LeaderElection, Options, run};
use election_core::{LeaseKey, Mono, Wall};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use k8s_openapi::api::coordination::v1::Lease;
use kube::client::Body;
use tokio::sync::{oneshot, watch};
use tower::BoxError;

use crate::gate::{Gate, detach, wait};
use crate::road::writes_lease;
use crate::world::{DEMO, NAMESPACE, World};

/// Nothing of these stories takes longer.
const PATIENCE: Duration = Duration::from_secs(180);

/// How long a write is on its way that is late. Somebody else's turn has come by then.
const LATE: Duration = Duration::from_secs(20);

/// Whether something happens when a write is about to be sent, when it was sent and takes [`LATE`] to arrive, or when the
/// server has carried it out and nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Before,
    OnTheWay,
    After,
}

/// A write of a lease that the server has answered.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) by: String,
    pub(crate) lease: String,
    pub(crate) at: Mono,
    pub(crate) status: u16,
    /// What was to be written, if it was a lease.
    pub(crate) wrote: Option<Lease>,
}

/// Which writes are numbered: by whom, and of what path.
pub(crate) type Numbered = fn(&str, &str) -> bool;

/// One term of one candidate, as its work saw it.
#[derive(Clone, Debug)]
pub(crate) struct Term {
    pub(crate) leader: &'static str,
    pub(crate) began: Mono,
    /// Somebody else's work was running when this one began.
    pub(crate) beside_another: bool,
    running: bool,
}

type Happening = Box<dyn FnOnce() + Send>;

/// What happened, and what shall happen at which write.
#[derive(Default)]
struct Chronicle {
    begun: usize,
    written: Vec<Written>,
    strike: Option<(usize, When, Happening)>,
}

/// The control plane with replicas and candidates around it.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) world: Arc<World>,
    numbered: Numbered,
    chronicle: Arc<Mutex<Chronicle>>,
    terms: Arc<watch::Sender<Vec<Term>>>,
}

impl Stage {
    /// All writes are numbered.
    pub(crate) fn new() -> Self {
        Self::numbering(|_, _| true)
    }

    pub(crate) fn numbering(numbered: Numbered) -> Self {
        Self {
            world: Arc::new(World::new()),
            numbered,
            chronicle: Arc::default(),
            terms: Arc::default(),
        }
    }

    pub(crate) fn now(&self) -> Mono {
        self.world.clock.now()
    }

    /// At the write of this number, from 1, of those that are numbered.
    pub(crate) fn at_write(&self, number: usize, when: When, happens: impl FnOnce() + Send + 'static) {
        self.chronicle.lock().unwrap().strike = Some((number, when, Box::new(happens)));
    }

    /// Whether what was to happen has happened.
    pub(crate) fn has_struck(&self) -> bool {
        self.chronicle.lock().unwrap().strike.is_none()
    }

    /// How many numbered writes there were.
    pub(crate) fn begun(&self) -> usize {
        self.chronicle.lock().unwrap().begun
    }

    /// The answered writes.
    pub(crate) fn written(&self) -> Vec<Written> {
        self.chronicle.lock().unwrap().written.clone()
    }

    pub(crate) fn terms(&self) -> Vec<Term> {
        self.terms.borrow().clone()
    }

    /// Waits until somebody of this name leads; when that was.
    pub(crate) async fn until_leads(&self, leader: &str) -> Mono {
        let mut terms = self.terms.subscribe();
        let leads = |terms: &Vec<Term>| {
            let last = terms.last();
            last.is_some_and(|term| term.leader == leader && term.running)
        };
        tokio::select! {
            biased;
            found = terms.wait_for(leads) => found.unwrap().last().unwrap().began,
            () = wait(PATIENCE) => panic!("{leader} never led: {:#?}", self.terms()),
        }
    }

    /// Waits until the electors' own lease names this replica; when that was.
    pub(crate) async fn until_acts(&self, replica: &str) -> Mono {
        let leases = self.world.leases_in("kube-system");
        let step = Duration::from_millis(10);
        for _ in 0..PATIENCE.as_millis() / step.as_millis() {
            let lease = leases.get_opt(ELECTORS).await.unwrap();
            let spec = lease.and_then(|lease| lease.spec);
            if spec.is_some_and(|spec| spec.holder_identity.as_deref() == Some(replica)) {
                return self.now();
            }
            wait(step).await;
        }
        panic!("it was never the turn of {replica}");
    }

    /// A candidate for the lease of the stories, which leads whenever it can.
    pub(crate) fn candidate(&self, identity: &'static str, version: &str) -> Process {
        let process = Process::new(&self.world.clock);
        let server = self.world.plane.client_as(identity);
        let builder = Candidate::builder(
            self.way(identity, &process, server),
            LeaseKey::new(NAMESPACE, DEMO),
        )
        .identity(identity)
        .incarnation(format!("incarnation-of-{identity}"))
        .binary_version(version.parse().unwrap())
        .overrun(Overrun::Report)
        .clock(process.clock())
        .shutdown_on(std::future::pending());
        let stage = self.clone();
        detach(async move {
            let mut candidate = builder.join().await.unwrap();
            while let Ok(Some(leadership)) = candidate.lead().await {
                stage.work(identity, leadership).await;
            }
        });
        process
    }

    async fn work(&self, leader: &'static str, leadership: Leadership) {
        let began = self.now();
        let mut index = 0;
        self.terms.send_modify(|terms| {
            index = terms.len();
            let beside_another = terms.iter().any(|term| term.running);
            terms.push(Term {
                leader,
                began,
                beside_another,
                running: true,
            });
        });
        let end = End(Arc::clone(&self.terms), index);
        leadership
            .run(async move {
                let _end = end;
                std::future::pending::<()>().await;
            })
            .await;
    }

    /// A replica of the elector. Of several one acts.
    pub(crate) fn replica(&self, identity: &str) -> Process {
        let election = LeaderElection {
            identity: Some(identity.into()),
            ..LeaderElection::default()
        };
        self.elector(identity, Some(election))
    }

    /// An elector that takes it for granted that it acts.
    pub(crate) fn lone_elector(&self, identity: &str) -> Process {
        self.elector(identity, None)
    }

    fn elector(&self, identity: &str, leader_election: Option<LeaderElection>) -> Process {
        let mut process = Process::new(&self.world.clock);
        let (leave, left) = oneshot::channel::<()>();
        process.leave = Some(leave);
        let options = Options {
            instance: identity.to_owned(),
            leader_election,
            ..Options::default()
        };
        let client = self.way(identity, &process, self.world.plane.client_as(identity));
        let clock = process.clock();
        detach(async move {
            let asked = async {
                // Nobody can ask it any more: it runs until the end of the story.
                if left.await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            run(client, options, clock, asked).await.unwrap();
        });
        process
    }

    /// The way of a process to the server: through its gate, and past those who count.
    fn way(&self, by: &str, process: &Process, server: kube::Client) -> kube::Client {
        let (stage, by, gate) = (self.clone(), by.to_owned(), process.gate.clone());
        let counted = tower::service_fn(move |request: Request<Body>| {
            stage
                .clone()
                .carry(by.clone(), gate.clone(), server.clone(), request)
        });
        let road = process.road.client(kube::Client::new(counted, "default"));
        process.gate.client(road)
    }

    async fn carry(
        self,
        by: String,
        gate: Gate,
        server: kube::Client,
        request: Request<Body>,
    ) -> Result<Response<Body>, BoxError> {
        if !writes_lease(&request) {
            return Ok(server.send(request).await?);
        }
        let number = (self.numbered)(&by, request.uri().path()).then(|| {
            let mut chronicle = self.chronicle.lock().unwrap();
            chronicle.begun += 1;
            chronicle.begun
        });
        self.strike(number, When::Before);
        gate.pass().await;
        if self.strike(number, When::OnTheWay) {
            detach(async move {
                wait(LATE).await;
                // Nobody waits for the answer any more.
                let _ = self.deliver(by, server, request).await;
            });
            return std::future::pending().await;
        }
        let answer = self.deliver(by, server, request).await?;
        self.strike(number, When::After);
        Ok(answer)
    }

    async fn deliver(
        &self,
        by: String,
        server: kube::Client,
        request: Request<Body>,
    ) -> Result<Response<Body>, BoxError> {
        let (head, body) = request.into_parts();
        let body = body.collect_bytes().await?;
        let lease = format!("{} {}", head.method, head.uri.path());
        let wrote = serde_json::from_slice(&body).ok();
        let answer = server.send(Request::from_parts(head, Body::from(body))).await?;
        self.chronicle.lock().unwrap().written.push(Written {
            by,
            lease,
            at: self.now(),
            status: answer.status().as_u16(),
            wrote,
        });
        Ok(answer)
    }

    /// Lets happen what is to happen then, if anything is.
    fn strike(&self, number: Option<usize>, when: When) -> bool {
        let happens = {
            let strike = &mut self.chronicle.lock().unwrap().strike;
            strike.take_if(|(at, then, _)| Some(*at) == number && *then == when)
        };
        let strikes = happens.is_some();
        if let Some((_, _, happens)) = happens {
            happens();
        }
        strikes
    }
}

/// The electors' own lease, in `kube-system`.
pub(crate) const ELECTORS: &str = "coordinated-election-controller";

/// Its drop is the end of the work.
struct End(Arc<watch::Sender<Vec<Term>>>, usize);

impl Drop for End {
    fn drop(&mut self) {
        self.0.send_modify(|terms| terms[self.1].running = false);
    }
}

/// A process that can be stopped, with its clock or without, and be asked to end.
pub(crate) struct Process {
    gate: Gate,
    /// Its way to the server, and nothing else of it.
    road: Gate,
    slept: Arc<Mutex<Duration>>,
    inner: SharedClock,
    leave: Option<oneshot::Sender<()>>,
}

impl Process {
    fn new(inner: &SharedClock) -> Self {
        Self {
            gate: Gate::new(),
            road: Gate::new(),
            slept: Arc::default(),
            inner: Arc::clone(inner),
            leave: None,
        }
    }

    fn clock(&self) -> SharedClock {
        Arc::new(SleepyClock {
            inner: Arc::clone(&self.inner),
            gate: self.gate.clone(),
            slept: Arc::clone(&self.slept),
        })
    }

    /// It is gone: nothing that it has begun goes on, and nobody hears of it again.
    pub(crate) fn crash(&self) {
        self.gate.set(false);
    }

    /// From now on it lives on, and nothing reaches the server or comes from there.
    pub(crate) fn cut_off(&self) {
        self.road.set(false);
    }

    /// Stops it for a while, together with its clock: it does not know that it slept, and believes what it believed.
    pub(crate) fn sleep(&self, duration: Duration) {
        let (gate, slept) = (self.gate.clone(), Arc::clone(&self.slept));
        gate.set(false);
        detach(async move {
            wait(duration).await;
            *slept.lock().unwrap() += duration;
            gate.set(true);
        });
    }

    /// Asks it to end, as SIGTERM does.
    pub(crate) fn leave(&mut self) {
        if let Some(leave) = self.leave.take() {
            let _ = leave.send(());
        }
    }
}

/// A clock that stands still while its process sleeps, which no clock of a process should do.
#[derive(Debug)]
struct SleepyClock {
    inner: SharedClock,
    gate: Gate,
    slept: Arc<Mutex<Duration>>,
}

impl Clock for SleepyClock {
    fn now(&self) -> Mono {
        self.inner.now().before(*self.slept.lock().unwrap())
    }

    fn wall(&self) -> Wall {
        self.inner.wall()
    }

    fn sleep_until(&self, at: Mono) -> BoxFuture<'static, ()> {
        let (inner, gate, slept) = (
            Arc::clone(&self.inner),
            self.gate.clone(),
            Arc::clone(&self.slept),
        );
        async move {
            loop {
                let due = at + *slept.lock().unwrap();
                inner.sleep_until(due).await;
                gate.pass().await;
                if at + *slept.lock().unwrap() == due {
                    return;
                }
            }
        }
        .boxed()
    }
}
