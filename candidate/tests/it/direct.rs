//! Direct mode against the in-process control plane, under paused time; a process of client-go is played by hand.

use std::sync::Arc;
use std::time::Duration;

use candidate::clock::{SharedClock, TokioClock};
use candidate::{Builder, Candidate, EndReason, Error, JoinError, Leadership, Overrun};
use election_core::{LeaseKey, Wall, wire};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use local_controlplane::ControlPlane;

const NAME: &str = "demo";
const NOON: i64 = 1_790_000_000_000_000;
/// What a write and the events that it causes take, with room to spare.
const MOMENT: Duration = Duration::from_millis(50);

struct World {
    plane: ControlPlane,
    clock: SharedClock,
}

impl World {
    fn new() -> Self {
        Self {
            plane: ControlPlane::new(),
            clock: Arc::new(TokioClock::new(Wall::from_micros(NOON))),
        }
    }

    fn builder(&self, identity: &str, incarnation: &str) -> Builder {
        Candidate::builder(self.plane.client_as(identity), LeaseKey::new("kube-system", NAME))
            .direct()
            .identity(identity)
            .incarnation(incarnation)
            .overrun(Overrun::Report)
            .clock(self.clock.clone())
    }

    async fn candidate(&self, identity: &str) -> Candidate {
        self.builder(identity, &format!("{identity}-1"))
            .join()
            .await
            .unwrap()
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.plane.client_as("test"), "kube-system")
    }

    async fn spec(&self) -> LeaseSpec {
        self.leases().get(NAME).await.unwrap().spec.unwrap()
    }

    /// What client-go's resource lock does: it changes the five fields, from whatever version it has read.
    async fn client_go(&self, holder: &str, seconds: i32, transitions: i32) {
        let now = MicroTime(Timestamp::from_microsecond(self.clock.wall().as_micros()).unwrap());
        let spec = LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(seconds),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        };
        let known = self.leases().get_opt(NAME).await.unwrap();
        let params = PostParams::default();
        match known {
            Some(known) => {
                let lease = Lease {
                    spec: Some(spec),
                    ..known
                };
                self.leases().replace(NAME, &params, &lease).await.unwrap();
            }
            // It creates with a holder.
            None => {
                let lease = Lease {
                    metadata: ObjectMeta {
                        name: Some(NAME.to_owned()),
                        ..ObjectMeta::default()
                    },
                    spec: Some(spec),
                };
                self.leases().create(&params, &lease).await.unwrap();
            }
        }
    }

    /// Waits until this candidate leads; when that was, since `from`.
    async fn leads(&self, candidate: &mut Candidate, from: election_core::Mono) -> (Leadership, Duration) {
        let patience = Duration::from_secs(60);
        let leadership = tokio::time::timeout(patience, candidate.lead()).await;
        let leadership = leadership.expect("within a minute").unwrap().expect("it leads");
        (leadership, self.clock.now().since(from))
    }
}

async fn pass(duration: Duration) {
    #[expect(clippy::disallowed_methods, reason = "simulated time")]
    tokio::time::sleep(duration).await;
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_goes_to_a_standby_within_milliseconds_both_ways() {
    let world = World::new();
    world.client_go("go", 15, 0).await;
    let mut alpha = world.candidate("alpha").await;
    let waits = tokio::time::timeout(Duration::from_secs(10), alpha.lead()).await;
    assert!(waits.is_err(), "client-go leads");

    // client-go's ReleaseOnCancel.
    world.client_go("", 1, 0).await;
    let (leadership, took) = world.leads(&mut alpha, world.clock.now()).await;
    assert!(took <= MOMENT, "{took:?}");
    let spec = world.spec().await;
    assert_eq!(spec.holder_identity.as_deref(), Some("alpha"));
    assert_eq!(
        (spec.lease_duration_seconds, spec.lease_transitions),
        (Some(15), Some(1))
    );
    assert_eq!(spec.acquire_time, spec.renew_time);

    // Ours as client-go reads it: the same five fields, and a holder that is empty.
    drop(leadership);
    alpha.shutdown().await.unwrap();
    let lease = world.leases().get(NAME).await.unwrap();
    let spec = lease.spec.unwrap();
    assert_eq!(spec.holder_identity.unwrap_or_default(), "");
    assert_eq!(
        (spec.lease_duration_seconds, spec.lease_transitions),
        (Some(1), Some(1))
    );
    assert!(spec.renew_time.is_some() && spec.acquire_time == spec.renew_time);
    assert_eq!(
        lease.metadata.annotations, None,
        "nothing that client-go does not know"
    );
}

/// Expiry counts by this process's clock from when it saw the last renewal, whatever the stamp says.
#[tokio::test(start_paused = true)]
async fn a_holder_that_is_silent_expires_and_one_that_renews_does_not() {
    let world = World::new();
    let mut alpha = world.candidate("alpha").await;
    world.client_go("go", 15, 0).await;
    let renewals = async {
        for _ in 0..20 {
            pass(Duration::from_secs(2)).await;
            world.client_go("go", 15, 0).await;
        }
        world.clock.now()
    };
    let (alpha, last) = tokio::join!(
        async {
            let leadership = alpha.lead().await.unwrap().expect("it leads");
            (leadership, world.clock.now())
        },
        renewals
    );
    let took = alpha.1.since(last);
    assert!(
        took >= Duration::from_secs(15) && took <= Duration::from_secs(15) + MOMENT,
        "{took:?}"
    );
    assert_eq!(alpha.0.term(), 1);
}

/// Invariant: S8. It exists without a holder before anybody claims it, and the one who creates it may be another.
#[tokio::test(start_paused = true)]
async fn a_missing_lease_is_created_without_a_holder() {
    let world = World::new();
    let began = world.clock.now();
    let mut alpha = world.candidate("alpha").await;
    let mut bravo = world.candidate("bravo").await;
    let first = tokio::select! {
        leadership = alpha.lead() => leadership,
        leadership = bravo.lead() => leadership,
        () = async {
            pass(Duration::from_secs(1)).await;
            let lease = world.leases().get(NAME).await.unwrap();
            assert_eq!(lease.metadata.annotations, None, "no elector grants it");
            let spec = lease.spec.unwrap();
            assert_eq!((spec.holder_identity, spec.renew_time), (None, None));
            std::future::pending().await
        } => unreachable!("pends"),
    };
    assert!(first.unwrap().is_some());
    let took = world.clock.now().since(began);
    assert!(
        took >= Duration::from_secs(15) && took <= Duration::from_secs(15) + MOMENT,
        "{took:?}"
    );
    let made = world.plane.requests();
    assert_eq!(
        made.count(|key| key.verb == "create"),
        1,
        "bravo saw that it exists"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_assumed_unheld_is_taken_at_once() {
    let world = World::new();
    let began = world.clock.now();
    let builder = world.builder("alpha", "alpha-1").direct_assuming_unheld();
    let mut alpha = builder.join().await.unwrap();
    let (_leadership, took) = world.leads(&mut alpha, began).await;
    assert!(took <= MOMENT, "{took:?}");
}

/// Invariant: S1. Two processes with one identity, one after the other and both at once.
#[tokio::test(start_paused = true)]
async fn a_process_that_has_started_again_waits_for_the_term_of_the_first() {
    let world = World::new();
    world.client_go("", 1, 0).await;
    let mut first = world.candidate("alpha").await;
    let (leadership, _) = world.leads(&mut first, world.clock.now()).await;
    let second = world.builder("alpha", "alpha-2").join().await;
    let mut second = second.unwrap();
    let waits = tokio::time::timeout(Duration::from_secs(60), second.lead()).await;
    assert!(waits.is_err(), "the first one leads");
    assert_eq!(leadership.end_reason(), None);
    let before = leadership.token().clone();
    drop(leadership);
    let (leadership, took) = world.leads(&mut second, world.clock.now()).await;
    assert!(took <= MOMENT, "{took:?}");
    assert!(*leadership.token() > before, "S2");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_stops_before_a_standby_may_lead() {
    let world = World::new();
    world.client_go("", 1, 0).await;
    let mut alpha = world.candidate("alpha").await;
    let (leadership, _) = world.leads(&mut alpha, world.clock.now()).await;
    let mut bravo = world.candidate("bravo").await;
    pass(Duration::from_secs(30)).await;
    // Somebody takes the lease away as no protocol does: the term ends, and bravo is not misled either.
    let ended = async {
        let reason = leadership.ended().await;
        drop(leadership);
        (reason, world.clock.now())
    };
    let ((reason, ended), taken, ()) = tokio::join!(
        ended,
        async {
            let leadership = bravo.lead().await.unwrap().expect("it leads");
            (leadership, world.clock.now())
        },
        async { world.client_go("go", 15, 7).await }
    );
    assert_eq!(
        reason,
        EndReason::NotOwnRecord {
            holder: Some("go".into())
        }
    );
    assert!(
        taken.1.since(ended) >= Duration::from_secs(14),
        "go never renewed"
    );
    assert_eq!(taken.0.term(), 8);
}

/// A standby polls nothing: one reconnect of its watch in half an hour or more, and no read while the holder renews.
#[tokio::test(start_paused = true)]
async fn an_idle_hour_costs_a_standby_next_to_nothing() {
    let world = World::new();
    world.client_go("", 1, 0).await;
    let mut alpha = world.candidate("alpha").await;
    let (leadership, _) = world.leads(&mut alpha, world.clock.now()).await;
    let mut bravo = world.candidate("bravo").await;
    pass(Duration::from_secs(1)).await;
    let before = world.plane.requests();
    let idle = tokio::time::timeout(Duration::from_secs(3600), bravo.lead()).await;
    assert!(idle.is_err(), "bravo stands by");
    assert_eq!(leadership.end_reason(), None);
    let sent = world.plane.requests().since(&before);
    println!(
        "an hour: leader {} requests, standby {}",
        sent.by("alpha"),
        sent.by("bravo")
    );
    assert!(sent.by("bravo") <= 2, "{}", sent.by("bravo"));
    assert!((890..=910).contains(&sent.by("alpha")), "{}", sent.by("alpha"));
}

#[tokio::test(start_paused = true)]
async fn a_lease_of_a_coordinated_election_is_refused() {
    let check = async |prepare: Lease, words: &str| {
        let world = World::new();
        let params = PostParams::default();
        world.leases().create(&params, &prepare).await.unwrap();
        let error: JoinError = world.builder("alpha", "alpha-1").join().await.expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
        let writes = world.plane.requests();
        assert_eq!(writes.count(|key| key.client == "alpha" && key.verb != "list"), 0);
    };
    let lease = |name: &str, note: (&str, &str)| Lease {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            annotations: Some([(note.0.to_owned(), note.1.to_owned())].into()),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(name.to_owned()),
            ..LeaseSpec::default()
        }),
    };
    let elected = (wire::ELECTED_BY, wire::ELECTED_BY_VALUE);
    check(lease(NAME, elected), "an elector has granted it").await;
    let stands = (wire::CAN_LEAD_LEASES, "kube-system/demo");
    check(lease("bravo", stands), "bravo stands for it").await;
    let identity = (wire::CAN_LEAD_LEASES, "kube-system/other");
    check(lease(NAME, identity), "identity lease of a candidate").await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_an_elector_takes_over_later_ends_the_candidate_with_an_error() {
    let world = World::new();
    world.client_go("go", 15, 0).await;
    let mut alpha = world.candidate("alpha").await;
    let mut lease = world.leases().get(NAME).await.unwrap();
    let notes = lease.metadata.annotations.get_or_insert_default();
    notes.insert(wire::ELECTED_BY.to_owned(), wire::ELECTED_BY_VALUE.to_owned());
    let params = PostParams::default();
    world.leases().replace(NAME, &params, &lease).await.unwrap();
    let error = alpha.lead().await.expect_err("it must not be taken");
    assert!(matches!(error, Error::Coordinated { .. }), "{error}");
    assert!(error.to_string().contains("kube-system/demo"), "{error}");
}

/// Who leads a lease that somebody deletes says on the next one that nobody acts, so nobody has to wait.
#[tokio::test(start_paused = true)]
async fn after_the_lease_is_deleted_there_is_a_leader_again_at_once() {
    let world = World::new();
    world.client_go("", 1, 0).await;
    let mut alpha = world.candidate("alpha").await;
    let (leadership, _) = world.leads(&mut alpha, world.clock.now()).await;
    let mut bravo = world.candidate("bravo").await;
    let stops = async {
        assert_eq!(leadership.ended().await, EndReason::LeaseDeleted);
        drop(leadership);
    };
    let deleted = async {
        pass(Duration::from_secs(5)).await;
        world
            .leases()
            .delete(NAME, &DeleteParams::default())
            .await
            .unwrap();
        world.clock.now()
    };
    let ((), (_leadership, leads), deleted) = tokio::join!(
        stops,
        async {
            let leadership = bravo.lead().await.unwrap().expect("it leads");
            (leadership, world.clock.now())
        },
        deleted
    );
    assert!(leads.since(deleted) <= MOMENT, "{:?}", leads.since(deleted));
}

#[tokio::test(start_paused = true)]
async fn the_electors_lease_may_be_taken_directly_and_no_lease_of_a_node() {
    let world = World::new();
    let of = |namespace: &str, name: &str| {
        Candidate::builder(world.plane.client_as("alpha"), LeaseKey::new(namespace, name))
            .direct()
            .identity("alpha")
            .clock(world.clock.clone())
    };
    let (namespace, name) = wire::ELECTORS_LEASE;
    of(namespace, name).join().await.unwrap();
    let error = of("kube-node-lease", "node-1")
        .join()
        .await
        .expect_err("a node's");
    assert!(matches!(error, JoinError::NeverALeaderLease(_)), "{error}");
    let error = of("kube-system", "demo")
        .identity("")
        .join()
        .await
        .expect_err("nobody");
    assert!(matches!(error, JoinError::NoIdentity), "{error}");
}
