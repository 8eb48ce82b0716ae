//! Random schedules of starts, stops, pauses, crashes and lost answers, over the whole system in one process.
//!
//! The real candidates, the real elector and the local control plane run under paused time. A checker that knows true time
//! and what each process holds looks every few milliseconds: at most one may act (invariant S1), tokens rise (S2), and once
//! the weather is fine again somebody leads (L1).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use candidate::clock::{Clock, SharedClock, TokioClock};
use candidate::{Candidate, Overrun, TermWatch};
use election_controller::Options;
use election_core::{FencingToken, LeaseSeconds, Timing};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::DeleteParams;
use local_controlplane::ControlPlane;

use crate::weather::{Dice, Faults, Gate, GatedClock, Weather, detach, wait};
use crate::world::NOON;

/// The leader lease of the schedules.
const LEASE: &str = "kube-system/demo";

/// A term that some process believes in.
struct Acting {
    process: usize,
    clock: SharedClock,
    watch: TermWatch,
}

/// What the checker sees.
#[derive(Default)]
struct Ledger {
    acting: Vec<Acting>,
    last_token: Option<FencingToken>,
    terms: usize,
    violations: Vec<String>,
    crashed: Vec<usize>,
}

impl Ledger {
    fn begins(&mut self, acting: Acting, token: &FencingToken) {
        if self.crashed.contains(&acting.process) {
            return;
        }
        if self.last_token.as_ref().is_some_and(|last| last >= token) {
            self.violations
                .push(format!("S2: token {token} after {:?}", self.last_token));
        }
        self.last_token = Some(token.clone());
        self.terms += 1;
        self.acting.push(acting);
    }

    fn ends(&mut self, process: usize) {
        self.acting.retain(|acting| acting.process != process);
    }

    /// Invariant: S1, at this very moment.
    fn check(&mut self, at: Duration) -> usize {
        let may_act: Vec<usize> = self
            .acting
            .iter_mut()
            .filter_map(|acting| {
                (acting.clock.now() < acting.watch.current().deadline).then_some(acting.process)
            })
            .collect();
        if may_act.len() > 1 {
            self.violations
                .push(format!("S1: at {at:?} processes {may_act:?} may act"));
        }
        may_act.len()
    }
}

/// One process of the schedule.
struct Process {
    number: usize,
    weather: Weather,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

struct Schedule {
    server: ControlPlane,
    dice: Dice,
    seed: u64,
    ledger: Arc<Mutex<Ledger>>,
    processes: Vec<Process>,
    started: usize,
    truth: TokioClock,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        Self {
            server: ControlPlane::new(),
            dice: Dice::new(seed),
            seed,
            ledger: Arc::default(),
            processes: Vec::new(),
            started: 0,
            truth: TokioClock::new(NOON),
        }
    }
}

impl Schedule {
    /// Starts a process. Names are used again, so a restart with the same identity happens, sometimes while its
    /// predecessor still runs.
    fn start(&mut self) {
        let identity = ["alpha", "bravo", "charlie", "delta"][usize::try_from(self.dice.below(4)).unwrap()];
        self.start_as(identity);
    }

    fn start_as(&mut self, identity: &'static str) {
        self.started += 1;
        let number = self.started;
        let weather = Weather::new(self.seed ^ (number as u64) << 20);
        *weather.faults.lock().unwrap() = self.faults();
        let rate = 90 + self.dice.below(21);
        let clock: SharedClock = Arc::new(GatedClock {
            inner: Arc::new(TokioClock::new(NOON).with_rate(u32::try_from(rate).unwrap(), 100)),
            gate: weather.gate.clone(),
        });
        let version = ["1.28", "1.29", "1.29", "1.30"][usize::try_from(self.dice.below(4)).unwrap()];
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let client = weather.client(self.server.client_as(identity));
        let ledger = self.ledger.clone();
        let gate = weather.gate.clone();
        let seed = self.seed;
        drop(detach(async move {
            let joined = Candidate::builder(client, LEASE.parse().unwrap())
                .identity(identity)
                .binary_version(version.parse().unwrap())
                .timing(Timing::for_lease_duration(LeaseSeconds::new(5).unwrap()))
                .overrun(Overrun::Report)
                .incarnation(format!("{seed}-{number}").as_str())
                .clock(clock.clone())
                .shutdown_on(async {
                    // A dropped sender is a process that is never stopped.
                    if stopped.await.is_err() {
                        std::future::pending::<()>().await;
                    }
                })
                .join()
                .await;
            let mut candidate = joined.expect("the server accepts everybody");
            // Being ousted by another process with the same identity is an ordinary end here.
            while let Ok(Some(leadership)) = candidate.lead().await {
                ledger.lock().unwrap().begins(
                    Acting {
                        process: number,
                        clock: clock.clone(),
                        watch: leadership.watch(),
                    },
                    leadership.token(),
                );
                let work = std::future::pending::<()>();
                leadership
                    .run(async {
                        gate.pass().await;
                        work.await
                    })
                    .await;
                ledger.lock().unwrap().ends(number);
            }
        }));
        self.processes.push(Process {
            number,
            weather,
            stop: Some(stop),
        });
    }

    fn faults(&mut self) -> Faults {
        Faults {
            lost_requests: self.dice.below(6),
            lost_answers: self.dice.below(6),
            delay: Duration::from_millis(1 + self.dice.below(120)),
        }
    }

    /// One random thing happens.
    fn disturb(&mut self) {
        let running = self.processes.len();
        match self.dice.below(10) {
            0..=2 if running < 4 => self.start(),
            3 if running > 1 => {
                let index = self.pick();
                let process = self.processes.remove(index);
                if let Some(stop) = process.stop {
                    let _ = stop.send(());
                }
            }
            4 if running > 1 => {
                let index = self.pick();
                self.crash(index);
            }
            5 | 6 if running > 0 => {
                let index = self.pick();
                let gate = self.processes[index].weather.gate.clone();
                let pause = Duration::from_millis(200 + self.dice.below(12_000));
                gate.set(false);
                drop(detach(async move {
                    wait(pause).await;
                    gate.set(true);
                }));
            }
            7 => {
                let server = self.server.client_as("vandal");
                drop(detach(async move { delete_lease(&server).await }));
            }
            8 if running > 0 => {
                let index = self.pick();
                let faults = self.faults();
                *self.processes[index].weather.faults.lock().unwrap() = faults;
            }
            _ => {}
        }
    }

    fn crash(&mut self, index: usize) {
        let process = self.processes.remove(index);
        process.weather.gate.crash();
        // A process that is gone acts no more, whatever it believed.
        let mut ledger = self.ledger.lock().unwrap();
        ledger.ends(process.number);
        ledger.crashed.push(process.number);
        // Nothing of it may run later either: its gate stays closed, and its end is never signalled.
        std::mem::forget(process.stop);
        std::mem::forget(process.weather);
    }

    fn pick(&mut self) -> usize {
        usize::try_from(self.dice.below(self.processes.len() as u64)).unwrap()
    }

    /// Lets time pass under the eyes of the checker.
    async fn pass(&mut self, duration: Duration) -> bool {
        let mut led = false;
        for _ in 0..duration.as_millis() / 10 {
            wait(Duration::from_millis(10)).await;
            led |= self
                .ledger
                .lock()
                .unwrap()
                .check(self.truth.now().since(TokioClock::ORIGIN))
                == 1;
        }
        led
    }

    async fn run(mut self) -> (usize, Vec<String>) {
        let elector_weather = Weather::new(self.seed);
        elector_weather.faults.lock().unwrap().delay = Duration::from_millis(20);
        elector(
            elector_weather.client(self.server.client_as("elector")),
            elector_weather.gate.clone(),
        );
        for _ in 0..2 {
            self.start();
        }
        for _ in 0..25 {
            let pause = Duration::from_millis(self.dice.below(4_000));
            self.pass(pause).await;
            self.disturb();
        }
        // The weather turns fine.
        for process in &self.processes {
            *process.weather.faults.lock().unwrap() = Faults::default();
        }
        // The others may all have stopped, crashed or been ousted by now.
        self.start_as("echo");
        self.pass(Duration::from_secs(60)).await;
        let led = self.pass(Duration::from_secs(5)).await;
        let mut ledger = self.ledger.lock().unwrap();
        if !led {
            ledger
                .violations
                .push("L1: nobody leads a minute after the weather turned fine".to_owned());
        }
        (ledger.terms, std::mem::take(&mut ledger.violations))
    }
}

/// Starts an elector behind this client; it ends with the test's runtime. Its clock runs five per cent fast, so that with
/// the candidates' slow ones the bound on clock rates is nearly met.
fn elector(client: kube::Client, gate: Gate) {
    let clock = Arc::new(GatedClock {
        inner: Arc::new(TokioClock::new(NOON).with_rate(105, 100)),
        gate,
    });
    let mut options = Options::default();
    options.rules.timing.lease_duration = LeaseSeconds::new(5).expect("positive");
    drop(detach(async move {
        let never = std::future::pending::<()>();
        election_controller::run(client, options, clock, never)
            .await
            .expect("the options are valid");
    }));
}

/// What a person in a hurry does.
async fn delete_lease(server: &kube::Client) {
    let leases: Api<Lease> = Api::namespaced(server.clone(), "kube-system");
    // It may be missing just now.
    let _ = leases.delete("demo", &DeleteParams::default()).await;
}

/// How many schedules a run of the tests tries; `SCHEDULES` and `FIRST_SEED` choose others.
const SCHEDULES: u64 = 100;

#[test]
fn no_two_candidates_ever_act_under_random_schedules() {
    let number = |name: &str, default| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let first = number("FIRST_SEED", 1);
    if std::env::var_os("TRACE").is_some() {
        tracing_subscriber::fmt()
            .without_time()
            .with_target(false)
            .with_max_level(tracing::Level::DEBUG)
            .init();
    }
    let mut terms = 0;
    let schedules = number("SCHEDULES", SCHEDULES);
    for seed in first..first + schedules {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let (led, violations) = runtime.block_on(async { Schedule::new(seed).run().await });
        assert!(
            violations.is_empty(),
            "seed {seed}: {violations:#?}\nreplay: FIRST_SEED={seed} SCHEDULES=1 cargo test -p election-controller schedules"
        );
        terms += led;
    }
    println!("{schedules} schedules from seed {first}: {terms} terms, no two at once");
    // Without elections the check above would say nothing.
    assert!(terms as u64 > schedules * 2, "only {terms} terms began");
}
