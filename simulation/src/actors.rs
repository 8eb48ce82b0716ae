//! What the simulated processes run: the real elector, the real candidate, and the work of a leader.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use candidate::clock::{Clock, SharedClock};
use candidate::{Candidate, Health, Identity, Leadership, LeaseKey, Overrun, TermWatch, Timing, Version};
use election_controller::{LeaderElection, Options, Spawner};
use election_core::{ElectorTiming, FencingToken, LeaseSeconds, Revision};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;
use tokio::sync::{oneshot, watch};

use crate::host::Process;
use crate::ledger::{Grant, Pid, Term};
use crate::road::Road;
use crate::shared::{Shared, TOKEN};
use crate::time::MachineClock;

/// How the work of a program ends with its term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// It leaves that to the library, which drops it.
    Dropped,
    /// It listens, goes on acting for a while, and returns. What has not returned at the deadline is killed.
    Finishes(Duration),
}

/// What a candidate's program is.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) lease: LeaseKey,
    /// Whether it takes the lease by itself.
    pub(crate) grant: Grant,
    pub(crate) identity: Identity,
    pub(crate) version: Version,
    pub(crate) timing: Timing,
    /// What the electors write as duration; a term has the shorter of both.
    pub(crate) granted: LeaseSeconds,
    pub(crate) style: Style,
    /// How often the work acts.
    pub(crate) acts_every: Duration,
}

/// Where a process runs.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) shared: Arc<Shared>,
    pub(crate) road: Arc<Road>,
    pub(crate) clock: Arc<MachineClock>,
    pub(crate) process: Process,
    pub(crate) pid: Pid,
    pub(crate) name: Arc<str>,
}

/// A candidate, from its start to its end.
pub(crate) async fn candidate(
    place: Place,
    program: Program,
    incarnation: String,
    stop: oneshot::Receiver<()>,
    health: Arc<watch::Sender<Option<Health>>>,
) {
    let clock: SharedClock = place.clock.clone();
    let tasks = place.process.clone();
    let builder = Candidate::builder(place.road.client(), program.lease.clone());
    let builder = match program.grant {
        Grant::Elected => builder,
        Grant::Direct => builder.direct(),
    };
    let joined = builder
        .identity(program.identity.clone())
        .binary_version(program.version.clone())
        .timing(program.timing)
        // The watchdog is a thread on the clock of the real machine; `until_done` stands in for it.
        .overrun(Overrun::Report)
        .incarnation(incarnation)
        .clock(clock)
        .work_client(place.road.client())
        .spawner(move |task| tasks.spawn(task))
        .shutdown_on(async {
            // A dropped sender is a process that is never asked to end.
            if stop.await.is_err() {
                std::future::pending::<()>().await;
            }
        })
        .join()
        .await;
    let mut candidate = match joined {
        Ok(candidate) => candidate,
        Err(error) => {
            return place
                .shared
                .say(format_args!("{} cannot join: {error}", place.name));
        }
    };
    health.send_replace(Some(candidate.health()));
    let ended = loop {
        match candidate.lead().await {
            Ok(Some(leadership)) => lead(&place, &program, leadership).await,
            Ok(None) => break "has left".to_owned(),
            Err(error) => break format!("ends: {error}"),
        }
    };
    place.shared.say(format_args!("{} {ended}", place.name));
}

async fn lead(place: &Place, program: &Program, leadership: Leadership) {
    let Place {
        shared,
        clock,
        pid,
        name,
        ..
    } = place;
    let timing = program
        .timing
        .term(program.timing.lease_duration().min(program.granted));
    let margin = timing.stop_grace / 4;
    let token = leadership.token().clone();
    let lease = &program.lease;
    shared.say(format_args!("{name} leads {lease} with token {token}"));
    // The library shows its deadline by this margin early.
    let mut watch = leadership.watch();
    let known = Box::new(move || {
        let now = watch.current();
        now.kill_at.unwrap_or(now.deadline) + margin
    });
    let term = Term::new(
        (*pid, name.clone()),
        clock.clone(),
        known,
        timing.deadline,
        token.clone(),
    );
    shared.ledger().begins(shared.truth.now(), lease, term);
    let work = work(place.clone(), program.clone(), leadership.client(), token);
    match program.style {
        Style::Dropped => {
            leadership.run(work).await;
        }
        Style::Finishes(takes) => until_done(place, lease, leadership, work, (takes, margin)).await,
    }
    shared.ledger().ends(lease, *pid);
    shared.say(format_args!("{name} leads {lease} no more"));
}

/// Work that stops by itself when its term ends, and is killed together with its process when it is late.
async fn until_done(
    place: &Place,
    lease: &LeaseKey,
    leadership: Leadership,
    work: impl Future<Output = ()>,
    (takes, margin): (Duration, Duration),
) {
    let (ended, watch) = (leadership.ended(), leadership.watch());
    let clock = &place.clock;
    let finishing = async {
        let working = async {
            ended.await;
            clock.sleep_until(clock.now() + takes).await;
        };
        tokio::select! {
            biased;
            () = working => {}
            () = work => {}
        }
    };
    tokio::select! {
        biased;
        () = overdue(clock, watch, margin) => {
            place.shared.say(format_args!("{} aborts: its work on {lease} has not stopped", place.name));
            // A process whose watchdog aborts it does nothing more, not even this.
            place.process.crash();
            std::future::pending::<()>().await;
        }
        () = finishing => drop(leadership),
    }
}

/// Resolves when work that still runs must be killed.
async fn overdue(clock: &MachineClock, mut watch: TermWatch, margin: Duration) {
    loop {
        let now = watch.current();
        let kill_at = now.kill_at.unwrap_or(now.deadline) + margin;
        if clock.now() >= kill_at {
            return;
        }
        tokio::select! {
            biased;
            () = clock.sleep_until(kill_at) => {}
            () = watch.changed() => {}
        }
    }
}

/// What a leader does: writes its token into an object that all leaders share, which takes no lower one.
async fn work(place: Place, program: Program, client: kube::Client, token: FencingToken) {
    let (lease, clock) = (&program.lease, &place.clock);
    let objects: Api<ConfigMap> = Api::namespaced(client, lease.namespace());
    let mut known: Option<ConfigMap> = None;
    loop {
        let patience = clock.sleep_until(clock.now() + program.timing.request_deadline() * 2);
        let acting = act(&objects, lease, &token, &mut known);
        tokio::select! {
            biased;
            refused = acting => if refused {
                return place.shared.say(format_args!("{} is told of a later leader of {lease}", place.name));
            },
            () = patience => known = None,
        }
        clock.sleep_until(clock.now() + program.acts_every).await;
    }
}

/// One act; true when a later leader has acted before.
async fn act(
    objects: &Api<ConfigMap>,
    lease: &LeaseKey,
    token: &FencingToken,
    known: &mut Option<ConfigMap>,
) -> bool {
    if known.is_none() {
        *known = objects.get(lease.name()).await.ok();
    }
    let Some(mut object) = known.take() else {
        return false;
    };
    let data = object.data.get_or_insert_with(BTreeMap::new);
    let seen = data.insert(TOKEN.to_owned(), token.as_str().to_owned());
    if seen.is_some_and(|seen| FencingToken::new(Revision::new(&seen)) > *token) {
        return true;
    }
    let acts = data
        .get("acts")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0_u64);
    data.insert("acts".to_owned(), (acts + 1).to_string());
    *known = objects
        .replace(lease.name(), &PostParams::default(), &object)
        .await
        .ok();
    false
}

/// An elector, until its process ends. With a timing, it acts only in its turn.
pub(crate) async fn elector(
    place: Place,
    timing: ElectorTiming,
    turns: Option<Timing>,
    (incarnation, seed): (String, u64),
) {
    let mut options = Options {
        instance: place.name.to_string(),
        seed,
        ..Options::default()
    };
    options.rules.timing = timing;
    options.request_deadline = timing.lease_duration.duration() * 4 / 25;
    let tasks = place.process.clone();
    options.leader_election = turns.map(|timing| LeaderElection {
        identity: Some(Identity::new(&place.name)),
        timing,
        incarnation: Some(incarnation.into()),
        spawner: Some(Spawner::new(move |task| tasks.spawn(task))),
        ..LeaderElection::default()
    });
    let (client, clock) = (place.road.client(), place.clock.clone());
    let ended = election_controller::run(client, options, clock, std::future::pending()).await;
    place.shared.say(format_args!("{} ends: {ended:?}", place.name));
}
