//! One run: the server, the processes on their machines, and the plan that is carried out on them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use candidate::{Health, Timing};
use election_core::{ElectorTiming, Identity, Incarnation, LeaseKey, LeaseSeconds};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Api;
use kube::api::PostParams;
use tokio::sync::{mpsc, oneshot, watch};

use crate::actors::{self, Place, Program, Style};
use crate::class::Class;
use crate::dice::Dice;
use crate::happen::Deed;
use crate::host::Process;
use crate::ledger::{Grant, Pid};
use crate::people;
use crate::plan::{Plan, version_of};
use crate::road::{Conditions, Road, Traveller, Weather};
use crate::shared::{Shared, TOKEN};
use crate::time::{MachineClock, Storm, spawn};
use crate::writes::Author;

/// The names of those who are there from the start, and after them numbers.
const NAMES: [&str; 6] = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot"];

/// Work that still runs this long after its deadline was not stopped; timers have a millisecond.
const SLACK: Duration = Duration::from_millis(5);

/// A process that runs more often than this at one moment waits for nothing.
const MOST_TURNS: u32 = 100_000;

/// A machine with a program on it that can be started again.
pub(crate) struct Actor {
    pub(crate) role: Role,
    pub(crate) clock: Arc<MachineClock>,
    pub(crate) weather: Arc<Weather>,
    pub(crate) current: Option<Started>,
    /// It was asked to leave, or is dead for good.
    pub(crate) gone: bool,
    pub(crate) name: String,
    starts: u64,
}

#[derive(Clone)]
pub(crate) enum Role {
    Elector,
    Candidate(Box<Program>),
}

/// A process that was started.
pub(crate) struct Started {
    pub(crate) pid: Pid,
    pub(crate) process: Process,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) health: Arc<watch::Sender<Option<Health>>>,
}

impl Actor {
    pub(crate) fn program(&self) -> Option<&Program> {
        match &self.role {
            Role::Elector => None,
            Role::Candidate(program) => Some(program),
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.current
            .as_ref()
            .is_some_and(|started| !started.process.has_ended())
    }
}

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) shared: Arc<Shared>,
    pub(crate) actors: Vec<Actor>,
    pub(crate) leases: Vec<LeaseKey>,
    /// What is to be done, in the order of time and of its being planned.
    pub(crate) deeds: BTreeMap<(Duration, u64), Deed>,
    pub(crate) dice: Dice,
    pub(crate) base: Conditions,
    /// Whether electors that start take turns.
    pub(crate) turns: bool,
    planned: u64,
    pids: Pid,
    ended: mpsc::UnboundedSender<(usize, Pid)>,
    endings: mpsc::UnboundedReceiver<(usize, Pid)>,
}

impl World {
    pub(crate) async fn new(plan: Plan, shared: Arc<Shared>) -> Self {
        let (ended, endings) = mpsc::unbounded_channel();
        let mut dice = Dice::new(plan.seed, 1);
        let latency = dice.pick(&[0, 0, 1000, 3000]);
        let mut world = Self {
            shared,
            actors: Vec::new(),
            leases: Vec::new(),
            deeds: BTreeMap::new(),
            base: Conditions {
                latency,
                ..Conditions::default()
            },
            dice,
            turns: false,
            planned: 0,
            pids: 0,
            ended,
            endings,
            plan,
        };
        world.actor("elector".to_owned(), Role::Elector);
        let lease = LeaseKey::new("kube-system", "demo");
        world.election(lease.clone(), Grant::Elected).await;
        for index in 0..world.plan.candidates.len() {
            let name = NAMES[index % NAMES.len()].to_owned();
            let program = world.program(&lease, &name, index);
            world.actor(name, Role::Candidate(Box::new(program)));
        }
        for happening in world.plan.happenings.clone() {
            world.plan_at(Duration::from_millis(happening.at), Deed::Happens(happening));
        }
        world
    }

    /// Makes room for an election: the object that its leaders share, and what the checker needs to know.
    pub(crate) async fn election(&mut self, lease: LeaseKey, grant: Grant) {
        let client = people::client(self.shared.clone());
        if lease.namespace() != "kube-system" {
            let namespaces: Api<Namespace> = Api::all(client.clone());
            let mut namespace = Namespace::default();
            namespace.metadata.name = Some(lease.namespace().to_owned());
            let created = namespaces.create(&PostParams::default(), &namespace).await;
            debug_assert!(created.is_ok(), "{created:?}");
        }
        let objects: Api<ConfigMap> = Api::namespaced(client, lease.namespace());
        let mut object = ConfigMap {
            data: Some(BTreeMap::from([(TOKEN.to_owned(), "0".to_owned())])),
            ..ConfigMap::default()
        };
        object.metadata.name = Some(lease.name().to_owned());
        let created = objects.create(&PostParams::default(), &object).await;
        debug_assert!(created.is_ok(), "{created:?}");
        self.shared
            .ledger()
            .leases
            .entry(lease.clone())
            .or_default()
            .grant = grant;
        self.leases.push(lease);
    }

    /// Who gives a lease to its holders.
    pub(crate) fn grant(&self, lease: &LeaseKey) -> Grant {
        let ledger = self.shared.ledger();
        ledger.leases.get(lease).map_or(Grant::Elected, |book| book.grant)
    }

    pub(crate) fn lease_seconds(&self) -> LeaseSeconds {
        LeaseSeconds::new(self.plan.lease).unwrap_or(LeaseSeconds::LEADER)
    }

    /// The knobs of the electors.
    pub(crate) fn elector_timing(&self) -> ElectorTiming {
        let unit = self.lease_seconds().duration();
        ElectorTiming {
            lease_duration: self.lease_seconds(),
            accept_window: unit / 15,
            accept_window_max: unit / 2,
            settle_window: unit / 30,
            back_off: unit,
            back_off_max: unit * 2,
        }
    }

    /// The program of a candidate, with the version of the plan.
    pub(crate) fn program(&self, lease: &LeaseKey, identity: &str, index: usize) -> Program {
        let at = |of: usize| index % of.max(1);
        let version = self.plan.candidates.get(at(self.plan.candidates.len())).copied();
        let finishes = self
            .plan
            .finishes
            .get(at(self.plan.finishes.len()))
            .copied()
            .flatten();
        let lease_duration = self.lease_seconds();
        let identity_duration = LeaseSeconds::new(self.plan.identity).unwrap_or(LeaseSeconds::IDENTITY);
        Program {
            lease: lease.clone(),
            grant: self.grant(lease),
            identity: Identity::from(identity),
            version: version_of(version.unwrap_or_default())
                .parse()
                .expect("the versions are written well"),
            timing: Timing::for_lease_duration(lease_duration)
                .with_identity(identity_duration, identity_duration.duration() / 2),
            granted: lease_duration,
            style: finishes.map_or(Style::Dropped, |millis| {
                Style::Finishes(Duration::from_millis(millis))
            }),
            acts_every: lease_duration.duration() / 2,
        }
    }

    /// Adds a machine; its program is not started yet.
    pub(crate) fn actor(&mut self, name: String, role: Role) -> usize {
        let index = self.actors.len();
        let boot = Dice::new(self.plan.seed, 1000 + index as u64).within(1, 864_000);
        self.actors.push(Actor {
            role,
            clock: Arc::new(MachineClock::new(self.shared.truth, boot * 1_000_000_000)),
            weather: Weather::new(self.base.clone()),
            current: None,
            gone: false,
            name,
            starts: 0,
        });
        index
    }

    /// Starts the program of a machine.
    pub(crate) fn start(&mut self, index: usize) {
        self.pids += 1;
        let (pid, seed) = (self.pids, self.plan.seed);
        let actor = &mut self.actors[index];
        actor.starts += 1;
        let name: Arc<str> = format!("{}#{}", actor.name, actor.starts).into();
        let incarnation = format!("{seed}-{index}-{}", actor.starts);
        let author = match &actor.role {
            Role::Elector => Author::Elector,
            Role::Candidate(program) => Author::Candidate {
                identity: program.identity.clone(),
                incarnation: Incarnation::from(incarnation.clone()),
            },
        };
        let process = Process::default();
        let who = Traveller {
            name: name.clone(),
            pid,
            author,
            process: process.clone(),
        };
        let dice = Dice::new(seed, u64::from(pid) << 20);
        let place = Place {
            road: Road::new(self.shared.clone(), who, actor.weather.clone(), dice),
            shared: self.shared.clone(),
            clock: actor.clock.clone(),
            process: process.clone(),
            pid,
            name: name.clone(),
        };
        let (stop, stopped) = oneshot::channel();
        let health = Arc::new(watch::Sender::new(None));
        self.shared.say(format_args!("{name} starts"));
        let lease = actor.program().map(|program| program.lease.clone());
        let task = match actor.role.clone() {
            Role::Elector => {
                drop(stopped);
                let timing = self.elector_timing();
                let turns = self
                    .turns
                    .then(|| Timing::for_lease_duration(timing.lease_duration));
                futures::FutureExt::boxed(actors::elector(
                    place,
                    timing,
                    turns,
                    (incarnation, seed ^ u64::from(pid)),
                ))
            }
            Role::Candidate(program) => {
                let health = health.clone();
                futures::FutureExt::boxed(actors::candidate(place, *program, incarnation, stopped, health))
            }
        };
        process.spawn(task);
        self.run(index, pid, lease, process.clone());
        self.actors[index].current = Some(Started {
            pid,
            process,
            stop: Some(stop),
            health,
        });
    }

    /// Lets a process run under the eyes of the checker.
    fn run(&self, index: usize, pid: Pid, lease: Option<LeaseKey>, process: Process) {
        let (shared, ended) = (self.shared.clone(), self.ended.clone());
        let (looks, looked) = (shared.clone(), process.clone());
        let of = lease.clone();
        let mut storm = Storm::default();
        let running = process.run(move || {
            let count = storm.counts(looks.truth.now());
            assert!(
                count < MOST_TURNS,
                "{count} turns of process {pid} at one moment: it goes round without a pause"
            );
            if let Some(lease) = &of
                && !looked.has_ended()
            {
                let (at, mut ledger) = (looks.truth.now(), looks.ledger());
                ledger.check(at, lease);
                ledger.stopped_in_time(at, lease, pid, SLACK);
            }
        });
        spawn(async move {
            running.await;
            if let Some(lease) = &lease {
                shared.ledger().ends(lease, pid);
            }
            // The world may have ended before.
            let _ = ended.send((index, pid));
        });
    }

    pub(crate) fn plan_at(&mut self, at: Duration, deed: Deed) {
        self.planned += 1;
        self.deeds.insert((at, self.planned), deed);
    }

    pub(crate) fn plan_in(&mut self, span: Duration, deed: Deed) {
        self.plan_at(self.shared.truth.now() + span, deed);
    }

    /// Lets time pass until `end`, and does what is due. Ends early when a rule was broken.
    pub(crate) async fn pass(&mut self, end: Duration) {
        loop {
            if self.shared.ledger().violation.is_some() {
                return;
            }
            let due = self
                .deeds
                .first_key_value()
                .map(|(key, _)| *key)
                .filter(|(at, _)| *at <= end);
            let until = due.map_or(end, |(at, _)| at);
            tokio::select! {
                biased;
                ending = self.endings.recv() => {
                    if let Some((index, pid)) = ending {
                        self.has_ended(index, pid);
                    }
                    continue;
                }
                () = self.shared.truth.reach(until) => {}
            }
            match due.and_then(|key| self.deeds.remove(&key)) {
                Some(deed) => self.carry_out(deed).await,
                None => return,
            }
        }
    }

    /// A process has come to its end. One that crashed by itself is started again, as by a kubelet.
    fn has_ended(&mut self, index: usize, pid: Pid) {
        let pause = Duration::from_millis(self.dice.below(u64::from(self.plan.lease) * 500));
        let actor = &self.actors[index];
        let crashed = actor
            .current
            .as_ref()
            .is_some_and(|started| started.pid == pid && started.process.has_crashed());
        if crashed && !actor.gone {
            self.plan_in(pause, Deed::Starts(index));
        }
    }

    /// Crashes the process of a machine.
    pub(crate) fn crash(&mut self, index: usize) -> bool {
        let actor = &mut self.actors[index];
        let lease = actor.program().map(|program| program.lease.clone());
        let Some(started) = actor
            .current
            .take()
            .filter(|started| !started.process.has_ended())
        else {
            return false;
        };
        started.process.crash();
        if let Some(lease) = &lease {
            self.shared.ledger().ends(lease, started.pid);
        }
        self.shared
            .say(format_args!("{} crashes", self.actors[index].name));
        true
    }

    /// What one condition of a machine's road is from now on.
    pub(crate) fn road(&self, index: usize, change: impl FnOnce(&mut Conditions)) {
        self.actors[index].weather.change(change);
    }

    /// The number of a candidate, by a number of the plan.
    pub(crate) fn candidate(&self, target: u64) -> Option<usize> {
        let candidates: Vec<usize> = (0..self.actors.len())
            .filter(|index| self.actors[*index].program().is_some())
            .collect();
        let count = candidates.len() as u64;
        candidates
            .get(usize::try_from(target.checked_rem(count)?).ok()?)
            .copied()
    }

    /// A new candidate for a lease, started at once.
    pub(crate) fn join(&mut self, lease: &LeaseKey, name: String) -> usize {
        let program = self.program(lease, &name, self.actors.len());
        let index = self.actor(name, Role::Candidate(Box::new(program)));
        self.start(index);
        index
    }

    /// A name that nobody has yet.
    pub(crate) fn next_name(&self) -> String {
        let count = self
            .actors
            .iter()
            .filter(|actor| actor.program().is_some())
            .count();
        NAMES
            .get(count)
            .map_or_else(|| format!("candidate-{count}"), |name| (*name).to_owned())
    }

    pub(crate) fn count(&self, class: Class) {
        self.shared.count(class);
    }
}
