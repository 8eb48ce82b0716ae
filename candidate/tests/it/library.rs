//! The library against the in-process control plane, under paused time; the elector is played by hand.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use candidate::clock::{Clock, TokioClock};
use candidate::{Builder, Candidate, EndReason, Error, JoinError, Overrun};
use election_core::wire;
use election_core::{LeaderLease, LeaseKey, LeaseSeconds, LeaseState, Mono, Timing, Wall};
use futures::FutureExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use local_controlplane::ControlPlane;

const KEY: &str = "kube-system/demo";

fn key() -> LeaseKey {
    KEY.parse().unwrap()
}

fn leases(server: &ControlPlane) -> Api<Lease> {
    Api::namespaced(server.client_as("test"), "kube-system")
}

fn builder(server: &ControlPlane, identity: &str) -> Builder {
    Candidate::builder(server.client_as(identity), key())
        .identity(identity)
        .incarnation(format!("{identity}-1").as_str())
        .binary_version("1.30".parse().unwrap())
        .overrun(Overrun::Report)
        .clock(Arc::new(TokioClock::new(Wall::from_micros(
            1_790_000_000_000_000,
        ))))
}

/// Waits until the object that was asked for is there, looking every simulated 5 ms.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..20_000 {
        if let Some(found) = look().await {
            return found;
        }
        #[expect(clippy::disallowed_methods, reason = "simulated time")]
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what}: not within 100 simulated seconds");
}

async fn read(server: &ControlPlane) -> Option<(Lease, LeaderLease)> {
    let lease = leases(server).get_opt("demo").await.unwrap()?;
    let record = wire::read_leader(&lease)?;
    Some((lease, record))
}

async fn until_state(server: &ControlPlane, state: LeaseState) -> (Lease, LeaderLease) {
    until(state.as_str(), async || {
        read(server).await.filter(|(_, lease)| lease.state() == state)
    })
    .await
}

/// The elector, by hand: creates the lease if need be, and offers it.
async fn offer(server: &ControlPlane, to: &str) {
    until("identity lease", async || {
        leases(server).get_opt(to).await.unwrap()
    })
    .await;
    if read(server).await.is_none() {
        let create = election_core::LeaseCreate {
            key: key(),
            duration: LeaseSeconds::LEADER,
        };
        leases(server)
            .create(&PostParams::default(), &wire::create(&create))
            .await
            .unwrap();
    }
    let (base, lease) = read(server).await.unwrap();
    let write = lease.offer(&to.into(), LeaseSeconds::LEADER);
    leases(server)
        .replace("demo", &PostParams::default(), &wire::update(&base, &write))
        .await
        .unwrap();
}

async fn change(server: &ControlPlane, write: impl Fn(&LeaderLease) -> election_core::LeaseWrite) {
    let (base, lease) = read(server).await.unwrap();
    leases(server)
        .replace(
            "demo",
            &PostParams::default(),
            &wire::update(&base, &write(&lease)),
        )
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_candidate_accepts_an_offer_renews_and_gives_the_lease_back() {
    let server = ControlPlane::new();
    let mut alpha = builder(&server, "alpha").join().await.unwrap();
    let (leadership, ()) = tokio::join!(alpha.lead(), offer(&server, "alpha"));
    let leadership = leadership.unwrap().expect("alpha was offered the lease");
    let (object, lease) = until_state(&server, LeaseState::Held).await;
    assert_eq!(
        leadership.token().as_str(),
        object.metadata.resource_version.as_deref().unwrap()
    );
    assert_eq!((leadership.term(), lease.record.transitions), (1, 1));

    let deadline = leadership.deadline();
    until("a renewal", async || {
        (leadership.deadline() > deadline).then_some(())
    })
    .await;

    drop(leadership);
    let (_, lease) = until_state(&server, LeaseState::Released).await;
    assert_eq!(lease.record.holder, None);
    alpha.shutdown().await.unwrap();
    assert_eq!(
        leases(&server).get_opt("alpha").await.unwrap(),
        None,
        "the identity lease stays behind"
    );
}

#[tokio::test(start_paused = true)]
async fn the_nominee_asks_and_the_holder_hands_over_in_one_write() {
    let server = ControlPlane::new();
    let mut alpha = builder(&server, "alpha").join().await.unwrap();
    let mut bravo = builder(&server, "bravo").join().await.unwrap();
    let (first, ()) = tokio::join!(alpha.lead(), offer(&server, "alpha"));
    let first = first.unwrap().expect("alpha leads");
    until("identity lease", async || {
        leases(&server).get_opt("bravo").await.unwrap()
    })
    .await;
    let (second, ()) = tokio::join!(bravo.lead(), async {
        change(&server, |lease| lease.nominate(Some(&"bravo".into()))).await;
        let reason = first.ended().await;
        assert_eq!(
            reason,
            EndReason::EndOfTerm {
                successor: Some("bravo".into())
            }
        );
        let (_, lease) = read(&server).await.unwrap();
        assert_eq!(
            lease.state(),
            LeaseState::Held,
            "S6: the lease was given back under running work"
        );
        let before = first.token().clone();
        drop(first);
        before_is_lower(&server, before).await;
    });
    assert_eq!(second.unwrap().expect("bravo leads").term(), 2);
}

/// Invariant: S2, as far as a hand over shows it: the lease is offered to bravo at a later revision than alpha's token.
async fn before_is_lower(server: &ControlPlane, token: election_core::FencingToken) {
    let (_, lease) = until("hand over", async || {
        read(server)
            .await
            .filter(|(_, lease)| lease.record.names(&"bravo".into()))
    })
    .await;
    assert!(election_core::FencingToken::new(lease.revision) > token);
}

#[tokio::test(start_paused = true)]
async fn after_the_lease_is_deleted_its_leader_releases_the_fresh_one() {
    let server = ControlPlane::new();
    let mut alpha = builder(&server, "alpha").join().await.unwrap();
    let (leadership, ()) = tokio::join!(alpha.lead(), offer(&server, "alpha"));
    let leadership = leadership.unwrap().expect("alpha leads");
    leases(&server)
        .delete("demo", &DeleteParams::default())
        .await
        .unwrap();
    assert_eq!(leadership.ended().await, EndReason::LeaseDeleted);
    let create = election_core::LeaseCreate {
        key: key(),
        duration: LeaseSeconds::LEADER,
    };
    leases(&server)
        .create(&PostParams::default(), &wire::create(&create))
        .await
        .unwrap();
    drop(leadership);
    let (_, lease) = until_state(&server, LeaseState::Released).await;
    assert_eq!(
        lease.record.transitions, 1,
        "the release carries the transitions of the term"
    );
}

#[tokio::test(start_paused = true)]
async fn the_client_of_a_term_refuses_to_write_after_it() {
    let server = ControlPlane::new();
    let mut alpha = builder(&server, "alpha").join().await.unwrap();
    let (leadership, ()) = tokio::join!(alpha.lead(), offer(&server, "alpha"));
    let leadership = leadership.unwrap().expect("alpha leads");
    let api: Api<Lease> = Api::namespaced(leadership.client(), "kube-system");
    let other = Lease {
        metadata: kube::core::ObjectMeta {
            name: Some("work".into()),
            ..Default::default()
        },
        spec: None,
    };
    api.create(&PostParams::default(), &other)
        .await
        .expect("a leader may write");
    drop(leadership);
    let error = api
        .delete("work", &DeleteParams::default())
        .await
        .expect_err("the term is over");
    assert!(error.to_string().contains("does not lead any more"), "{error}");
    api.get("work").await.expect("reads always pass");
}

#[tokio::test(start_paused = true)]
async fn a_second_process_with_the_same_identity_ousts_the_first() {
    let server = ControlPlane::new();
    let mut first = builder(&server, "alpha").join().await.unwrap();
    let (leadership, ()) = tokio::join!(first.lead(), offer(&server, "alpha"));
    let leadership = leadership.unwrap().expect("alpha leads");
    let _second = builder(&server, "alpha")
        .incarnation("alpha-2")
        .join()
        .await
        .unwrap();
    assert_eq!(
        leadership.ended().await,
        EndReason::Ousted { by: "alpha-2".into() }
    );
    drop(leadership);
    let error = first.lead().await.expect_err("the first process has ended");
    assert!(
        matches!(&error, Error::Ousted { other, .. } if other == "alpha-2"),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.contains("alpha-1") && text.contains("alpha-2") && text.contains("identity of its own"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stuck_work_loop_gives_the_lease_back_and_declines_until_it_is_healthy() {
    let server = ControlPlane::new();
    let mut alpha = builder(&server, "alpha").join().await.unwrap();
    let health = alpha.health();
    let (leadership, ()) = tokio::join!(alpha.lead(), offer(&server, "alpha"));
    let leadership = leadership.unwrap().expect("alpha leads");
    health.set(false);
    assert_eq!(leadership.ended().await, EndReason::Unhealthy);
    drop(leadership);
    until_state(&server, LeaseState::Released).await;
    let offers = async || {
        let lease = leases(&server).get("alpha").await.unwrap();
        Some(!wire::read_identity(&lease).unwrap().leads.is_empty())
    };
    until("withdrawn", async || offers().await.filter(|offers| !offers)).await;
    offer(&server, "alpha").await;
    until_state(&server, LeaseState::Released).await;
    health.set(true);
    let (again, ()) = tokio::join!(alpha.lead(), async {
        until("offered again", async || offers().await.filter(|offers| *offers)).await;
        offer(&server, "alpha").await;
    });
    assert_eq!(again.unwrap().expect("alpha leads again").term(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_no_identity_lease_is_not_overwritten() {
    let server = ControlPlane::new();
    let foreign: Lease = serde_json::from_value(serde_json::json!({
        "metadata": {"name": "alpha"}, "spec": {"holderIdentity": "somebody"}
    }))
    .unwrap();
    leases(&server)
        .create(&PostParams::default(), &foreign)
        .await
        .unwrap();
    let mut alpha = builder(&server, "alpha").join().await.unwrap();
    let error = alpha
        .lead()
        .await
        .expect_err("the lease belongs to somebody else");
    assert!(
        error.to_string().contains("kube-system/alpha") && error.to_string().contains("somebody"),
        "{error}"
    );
    let kept = leases(&server).get("alpha").await.unwrap();
    assert_eq!(kept.spec.unwrap().holder_identity.as_deref(), Some("somebody"));
}

#[tokio::test(start_paused = true)]
async fn contradictions_are_refused_before_anything_is_written() {
    let server = ControlPlane::new();
    let check = async |builder: Builder, word: &str| {
        let error: JoinError = builder.join().await.expect_err(word);
        assert!(error.to_string().contains(word), "{error}");
    };
    let alpha = || builder(&server, "alpha");
    check(Candidate::builder(server.client(), key()), "no binary version").await;
    check(
        alpha().emulation_version("1.31".parse().unwrap()),
        "newer than binary version",
    )
    .await;
    check(alpha().identity("demo"), "choose another identity").await;
    check(alpha().identity("Not A Name"), "lower-case").await;
    check(
        alpha().timing(Timing::default().with_renew_deadline(Duration::from_secs(14))),
        "contradicting timing",
    )
    .await;
    let nodes = Candidate::builder(server.client(), LeaseKey::new("kube-node-lease", "node-1"));
    check(
        nodes.identity("a").binary_version("1.30".parse().unwrap()),
        "never a leader lease",
    )
    .await;
    assert_eq!(leases(&server).list(&Default::default()).await.unwrap().items, []);
}

/// A standby watches: over a simulated hour beside a lease that is renewed it sends at most 0.02 requests a second, and the
/// leader at most 0.28.
#[tokio::test(start_paused = true)]
async fn an_idle_hour_costs_a_standby_and_a_leader_little() {
    let server = ControlPlane::new();
    let mut alpha = builder(&server, "alpha").join().await.unwrap();
    let mut bravo = builder(&server, "bravo").join().await.unwrap();
    let (leadership, ()) = tokio::join!(alpha.lead(), offer(&server, "alpha"));
    let leadership = leadership.unwrap().expect("alpha leads");
    let hour = Duration::from_secs(3600);
    let before = server.requests();
    let idle = tokio::time::timeout(hour, bravo.lead()).await;
    assert!(idle.is_err(), "bravo stands by");
    assert_eq!(leadership.end_reason(), None, "alpha leads all the time");
    let sent = server.requests().since(&before);
    let rate = |client: &str| sent.by(client) as f64 / hour.as_secs_f64();
    println!(
        "requests per second: leader {:.4}, standby {:.4}",
        rate("alpha"),
        rate("bravo")
    );
    assert!(
        rate("bravo") > 0.0 && rate("bravo") <= 0.02,
        "standby: {} requests/s",
        rate("bravo")
    );
    assert!(
        rate("alpha") > 0.2 && rate("alpha") <= 0.28,
        "leader: {} requests/s",
        rate("alpha")
    );
}

/// A clock that jumps without waking anybody, as one does while the process is stopped or its machine sleeps: timers of
/// before fire late.
#[derive(Debug)]
struct Jumping {
    clock: TokioClock,
    ahead: AtomicU64,
}

impl Clock for Jumping {
    fn now(&self) -> Mono {
        self.clock.now() + Duration::from_secs(self.ahead.load(Ordering::Relaxed))
    }

    fn wall(&self) -> Wall {
        self.clock.wall()
    }

    fn sleep_until(&self, at: Mono) -> futures::future::BoxFuture<'static, ()> {
        self.clock.sleep_until(at)
    }
}

/// Invariant: S1.
#[tokio::test(start_paused = true)]
async fn work_that_wakes_after_a_pause_of_the_process_does_not_act_again() {
    let server = ControlPlane::new();
    let clock = Arc::new(Jumping {
        clock: TokioClock::new(Wall::from_micros(1_790_000_000_000_000)),
        ahead: AtomicU64::new(0),
    });
    let mut alpha = builder(&server, "alpha")
        .clock(clock.clone())
        .join()
        .await
        .unwrap();
    let (leadership, ()) = tokio::join!(alpha.lead(), offer(&server, "alpha"));
    let leadership = leadership.unwrap().expect("alpha leads");
    let deadline = leadership.deadline();
    let last_act = Arc::new(Mutex::new(None));
    let (acts, time) = (last_act.clone(), clock.clone());
    let work = async move {
        loop {
            *acts.lock().unwrap() = Some(time.now());
            time.ahead.store(60, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    };
    let done: Option<()> = leadership.run(work).await;
    assert_eq!(done, None);
    let last_act = last_act.lock().unwrap().expect("the work ran");
    assert!(
        last_act < deadline,
        "the work acted at {last_act:?}, its deadline was {deadline:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn work_that_panics_gives_the_lease_back() {
    let server = ControlPlane::new();
    let mut alpha = builder(&server, "alpha").join().await.unwrap();
    let (leadership, ()) = tokio::join!(alpha.lead(), offer(&server, "alpha"));
    let leadership = leadership.unwrap().expect("alpha leads");
    let work = leadership.run(async { panic!("as a test wants it") });
    let caught = std::panic::AssertUnwindSafe(work).catch_unwind().await;
    assert!(caught.is_err(), "the panic is the caller's to see");
    until_state(&server, LeaseState::Released).await;
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_never_answered_does_not_keep_the_lease_for_ever() {
    let server = ControlPlane::new();
    let under_way = Arc::new(AtomicU64::new(0));
    let counted = under_way.clone();
    let silent = tower::service_fn(move |_: http::Request<kube::client::Body>| {
        counted.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<Result<http::Response<kube::client::Body>, std::convert::Infallible>>()
    });
    let mut alpha = builder(&server, "alpha")
        .work_client(kube::Client::new(silent, "kube-system"))
        .join()
        .await
        .unwrap();
    let (leadership, ()) = tokio::join!(alpha.lead(), offer(&server, "alpha"));
    let leadership = leadership.unwrap().expect("alpha leads");
    let api: Api<Lease> = Api::namespaced(leadership.client(), "kube-system");
    let write = async move { api.delete("work", &DeleteParams::default()).await };
    let (result, ()) = tokio::join!(write, async {
        until("a write under way", async || {
            (under_way.load(Ordering::Relaxed) > 0).then_some(())
        })
        .await;
        drop(leadership);
        until_state(&server, LeaseState::Released).await;
    });
    let error = result.expect_err("nobody answers").to_string();
    assert!(error.contains("does not lead any more"), "{error}");
    alpha.shutdown().await.unwrap();
}

/// As a webhook makes it that puts a time beyond the year 9999 on a lease, or a proxy that answers in its own words.
#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_read_costs_neither_the_term_nor_a_flood_of_requests() {
    let server = ControlPlane::new();
    let inner = server.client_as("alpha");
    let garbling = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let (is_put, inner) = (request.method() == http::Method::PUT, inner.clone());
        async move {
            let answer = inner.send(request).await?;
            Ok::<_, kube::Error>(if is_put {
                http::Response::new(kube::client::Body::from(b"what?".to_vec()))
            } else {
                answer
            })
        }
    });
    let mut alpha = Candidate::builder(kube::Client::new(garbling, "kube-system"), key())
        .identity("alpha")
        .binary_version("1.30".parse().unwrap())
        .overrun(Overrun::Report)
        .clock(Arc::new(TokioClock::new(Wall::from_micros(
            1_790_000_000_000_000,
        ))))
        .join()
        .await
        .unwrap();
    let (leadership, ()) = tokio::join!(alpha.lead(), offer(&server, "alpha"));
    let leadership = leadership.unwrap().expect("alpha leads");
    let (_, lease) = read(&server).await.unwrap();
    let minute = leadership.deadline() + Duration::from_secs(60);
    until("a minute of renewals", async || {
        assert_eq!(leadership.end_reason(), None);
        (leadership.deadline() > minute).then_some(())
    })
    .await;
    let (_, later) = read(&server).await.unwrap();
    assert_eq!(
        later.record.acquire_time, lease.record.acquire_time,
        "still the same term"
    );
    let written = |lease: &LeaderLease| lease.revision.as_str().parse::<u64>().unwrap();
    let writes = written(&later) - written(&lease);
    assert!(writes < 30, "{writes} writes in a minute");
    drop(leadership);
    until_state(&server, LeaseState::Released).await;
}

/// So that a program can hand each of them to a task.
#[test]
fn what_is_awaited_can_be_sent_between_threads() {
    fn check<T: Send>(_: fn(Builder) -> T) {}
    check(Builder::join);
    fn handles<T: Send + Sync + 'static>() {}
    handles::<Candidate>();
    handles::<candidate::Leadership>();
    handles::<candidate::Health>();
    fn futures(candidate: &mut Candidate, leadership: candidate::Leadership) -> impl Send {
        (candidate.lead(), leadership.ended(), leadership.run(async {}))
    }
    let _ = futures;
}
