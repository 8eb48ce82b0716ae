//! The three broken clusters once more, with a history: the elector and the candidates that ship play it in paused time, and
//! then the plugin is asked. `broken.rs` has the same with leases that stand still, for the screens in the documents.

use std::sync::Arc;
use std::time::Duration;

use candidate::clock::{SharedClock, TokioClock};
use candidate::{Candidate, Overrun};
use election_controller::{LeaderElection, Options};
use election_core::{LeaderLease, LeaseState, Wall, wire};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinHandle};

use crate::stage::{Stage, now};

const NAMESPACE: &str = "kube-system";
const NAME: &str = "sample-controller";

/// A cluster whose time the test passes.
struct Play {
    stage: Stage,
    clock: SharedClock,
}

/// A candidate that leads whenever it may.
struct Party {
    stop: oneshot::Sender<()>,
    election: AbortHandle,
    work: JoinHandle<()>,
}

impl Play {
    async fn begin() -> Self {
        let stage = Stage::with(Vec::new()).await;
        let clock = TokioClock::new(Wall::from_micros(now().as_microsecond()));
        Self {
            stage,
            clock: Arc::new(clock),
        }
    }

    fn leases(&self, who: &str) -> Api<Lease> {
        Api::namespaced(self.stage.plane.client_as(who), NAMESPACE)
    }

    fn elector(&self) -> AbortHandle {
        let options = Options {
            instance: "elector-1".to_owned(),
            assume_unheld: true,
            leader_election: Some(LeaderElection {
                identity: Some("elector-1".into()),
                ..LeaderElection::default()
            }),
            ..Options::default()
        };
        let client = self.stage.plane.client_as("elector");
        let elector = election_controller::run(client, options, self.clock.clone(), std::future::pending());
        #[expect(clippy::disallowed_methods, reason = "a process of this story")]
        tokio::spawn(elector).abort_handle()
    }

    async fn join(&self, identity: &str, version: &str) -> Party {
        let (stop, stopped) = oneshot::channel::<()>();
        let (started, election) = oneshot::channel();
        let key = format!("{NAMESPACE}/{NAME}").parse().unwrap();
        let candidate = Candidate::builder(self.stage.plane.client_as(identity), key)
            .identity(identity)
            .binary_version(version.parse().unwrap())
            .overrun(Overrun::Report)
            .clock(self.clock.clone())
            .shutdown_on(async { _ = stopped.await })
            .spawner(|task| {
                #[expect(clippy::disallowed_methods, reason = "a process of this story")]
                let _ = started.send(tokio::spawn(task).abort_handle());
            });
        let mut candidate = candidate.join().await.unwrap();
        let working = async move {
            while let Ok(Some(leadership)) = candidate.lead().await {
                leadership.run(std::future::pending::<()>()).await;
            }
        };
        #[expect(clippy::disallowed_methods, reason = "a process of this story")]
        let work = tokio::spawn(working);
        Party {
            stop,
            election: election.await.unwrap(),
            work,
        }
    }

    async fn pass(&self, seconds: u64) {
        let end = self.clock.now() + Duration::from_secs(seconds);
        self.clock.sleep_until(end).await;
    }

    /// Time passes until the lease is as wanted.
    async fn until(&self, wanted: impl Fn(&LeaderLease) -> bool) {
        for _ in 0..600 {
            let lease = self.leases("test").get_opt(NAME).await.unwrap();
            if lease
                .as_ref()
                .and_then(wire::read_leader)
                .is_some_and(|lease| wanted(&lease))
            {
                return;
            }
            self.pass(1).await;
        }
        panic!("within ten minutes it has not come to that");
    }

    async fn until_led_by(&self, who: &str) {
        self.until(|lease| lease.state() == LeaseState::Held && lease.record.names(&who.into()))
            .await;
    }

    /// What a person sees now: the words on the screens, whatever their lines.
    async fn screens(&self, commands: &[&str]) -> String {
        tokio::time::resume();
        let now = Timestamp::from_microsecond(self.clock.wall().as_micros()).unwrap();
        self.stage.tell_time(now);
        let mut screens = String::new();
        for command in commands {
            screens += &self.stage.screen(command).await;
        }
        let words: Vec<&str> = screens.split_whitespace().collect();
        words.join(" ")
    }
}

impl Party {
    /// Its work ends, it gives the lease back, and leaves.
    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.work.await.unwrap();
    }

    /// It is gone from one moment to the next.
    fn crash(self) {
        self.election.abort();
        self.work.abort();
    }
}

const LOOK: [&str; 3] = [
    "status -n kube-system",
    "explain -n kube-system sample-controller",
    "doctor -n kube-system --quiet --look 10ms",
];

fn check(screens: &str, causes: &[&str]) {
    for cause in causes {
        assert!(
            screens.contains(cause),
            "{cause:?} should be on the screen:\n{screens}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_elector_is_gone_it_is_on_the_screen() {
    let play = Play::begin().await;
    let elector = play.elector();
    let alpha = play.join("alpha", "1.29").await;
    let _bravo = play.join("bravo", "1.30").await;
    play.until_led_by("alpha").await;
    elector.abort();
    alpha.stop().await;
    play.pass(60).await;
    let screens = play.screens(&LOOK).await;
    check(
        &screens,
        &[
            "Released,Unattended",
            "Elector: NONE ACTS: ",
            "PROBLEM elector: NONE ACTS: ",
            "1 lease waits for it",
            "start an elector",
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn when_the_best_candidate_is_dead_it_is_on_the_screen() {
    let play = Play::begin().await;
    play.elector();
    let _bravo = play.join("bravo", "1.30").await;
    let charlie = play.join("charlie", "1.28").await;
    let _alpha = play.join("alpha", "1.29").await;
    play.until_led_by("charlie").await;
    charlie.crash();
    play.until_led_by("alpha").await;
    play.pass(400).await;
    let screens = play.screens(&LOOK).await;
    check(
        &screens,
        &[
            "sample-controller Held alpha 1.29/1.29",
            "ALIVE IT WOULD LEAD",
            "WARNING kube-system/sample-controller: charlie (emulation 1.28, binary 1.28) would lead, instead of alpha",
            "0 problems, 1 warning,",
        ],
    );
    let history = play
        .stage
        .run("timeline -n kube-system sample-controller -o json")
        .await;
    let history: serde_json::Value = serde_json::from_str(&history.stdout).unwrap();
    let turns = history["turns"].as_array().unwrap().iter();
    let turns: Vec<_> = turns
        .map(|turn| (turn["holder"].as_str().unwrap(), turn["now"] == true))
        .collect();
    assert_eq!(
        turns[turns.len() - 2..],
        [("charlie", false), ("alpha", true)],
        "{history:#}"
    );
}

/// Something that is no candidate goes on with the lease of one that has ended.
#[tokio::test(start_paused = true)]
async fn when_the_leader_is_stuck_it_is_on_the_screen() {
    let play = Play::begin().await;
    play.elector();
    let bravo = play.join("bravo", "1.30").await;
    play.until_led_by("bravo").await;
    bravo.crash();
    let renewing = async {
        loop {
            let renewed = Timestamp::from_microsecond(play.clock.wall().as_micros()).unwrap();
            let renewal = Patch::Merge(json!({"spec": {"renewTime": format!("{renewed:.6}")}}));
            let params = PatchParams::default();
            for name in [NAME, "bravo"] {
                play.leases("bravo").patch(name, &params, &renewal).await.unwrap();
            }
            play.pass(2).await;
        }
    };
    let story = async {
        let _alpha = play.join("alpha", "1.29").await;
        play.until(|lease| lease.record.end_of_term).await;
        play.pass(60).await;
        play.screens(&LOOK).await
    };
    let screens = tokio::select! {
        screens = story => screens,
        () = renewing => unreachable!("it renews without end"),
    };
    check(
        &screens,
        &[
            "Held,Ending,Overdue",
            "IT IS STUCK",
            "PROBLEM kube-system/sample-controller: bravo is alive and stuck",
            "restart bravo",
            "1 problem, 0 warnings,",
        ],
    );
}
