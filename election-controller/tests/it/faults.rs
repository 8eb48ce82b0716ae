//! What an elector does when its server refuses, fails, is gone or is silent: it goes on, and elects afterwards.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use candidate::clock::TokioClock;
use election_controller::run;
use election_core::wire;
use http::Method;
use tokio::sync::watch;

use crate::gate::{Gate, GatedClock, detach};
use crate::road::{Break, Fate, Road, is_watch, writes_event, writes_lease};
use crate::world::{DEMO, NOON, World, candidate_for, held_by, named, options, pass, process, released};

const MOMENT: Duration = Duration::from_millis(50);

/// An elector that has listed, on a way that can be disturbed.
async fn on_a_road(world: &World) -> Road {
    let road = Road::new();
    let options = options();
    let client = road.client(world.plane.client_as(&options.instance));
    drop(world.elector_with(client, options));
    pass(Duration::from_secs(20)).await;
    road
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_refused_or_fails_is_tried_again_until_it_is_done() {
    for (code, reason) in [
        (403, "Forbidden"),
        (422, "Invalid"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (503, "ServiceUnavailable"),
    ] {
        let world = World::new();
        let road = on_a_road(&world).await;
        road.rule(move |request| match writes_lease(request) {
            true => Fate::Answered(code, reason),
            false => Fate::Passes,
        });
        world.create(process("alpha", "1.30")).await;
        pass(Duration::from_secs(60)).await;
        assert_eq!(world.get(DEMO).await, None);
        road.clear();
        let took = world.until_holder(DEMO, "alpha").await;
        assert!(
            took <= Duration::from_secs(17),
            "{code}: the longest pause is 16 s: {took:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_is_not_asked_without_pause() {
    let world = World::new();
    let road = on_a_road(&world).await;
    let (count, counted) = watch::channel(0);
    road.rule(move |request| {
        if !writes_lease(request) {
            return Fate::Passes;
        }
        count.send_modify(|count| *count += 1);
        Fate::Answered(500, "InternalError")
    });
    world.create(process("alpha", "1.30")).await;
    pass(Duration::from_secs(170)).await;
    let attempts = *counted.borrow();
    assert!(
        (10..20).contains(&attempts),
        "{attempts} attempts in three minutes; pauses double from 1 s to 16 s"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_noticed_at_the_deadline_and_nothing_is_done_twice() {
    let world = World::new();
    let road = on_a_road(&world).await;
    let mut first = true;
    road.rule(
        move |request| match request.method() == Method::PUT && std::mem::take(&mut first) {
            true => Fate::Unanswered,
            false => Fate::Passes,
        },
    );
    world.create(process("alpha", "1.29")).await;
    world.create(process("bravo", "1.30")).await;
    world.until_holder(DEMO, "alpha").await;
    let offered = world.get(DEMO).await.unwrap();
    pass(Duration::from_millis(950)).await;
    assert_eq!(
        world.get(DEMO).await,
        Some(offered),
        "the watch has shown the offer, so it is not made again"
    );
    // Nothing more is asked for the lease before the open request has ended: 2.4 s after it was sent.
    let took = world.until_holder(DEMO, "bravo").await;
    assert!(took <= Duration::from_millis(2500), "{took:?}");
}

/// Invariant: S8.
#[tokio::test(start_paused = true)]
async fn a_write_that_arrives_late_changes_nothing_that_was_not_seen() {
    let mut world = World::new();
    let road = on_a_road(&world).await;
    world.create(process("alpha", "1.30")).await;
    let mut dead = process("dead", "1.30");
    dead.spec.get_or_insert_default().lease_duration_seconds = Some(1);
    world.create(dead).await;
    world.create(named("other", released())).await;
    pass(Duration::from_secs(5)).await;
    road.rule(|request| match writes_lease(request) {
        true => Fate::Late(Duration::from_secs(2)),
        false => Fate::Passes,
    });
    // An offer is on its way when somebody else claims the lease.
    world
        .create(candidate_for("bravo", "1.30", "default/other"))
        .await;
    pass(Duration::from_secs(1)).await;
    let claimed = world.renew("other", "kcm-1", None).await;
    pass(Duration::from_secs(3)).await;
    assert_eq!(world.get("other").await, Some(claimed));
    // So is the deletion of a candidate when that shows life.
    pass(Duration::from_millis(1500)).await;
    let alive = world.renew("dead", "dead", None).await;
    pass(Duration::from_secs(5)).await;
    assert_eq!(world.get("dead").await, Some(alive));
    pass(Duration::from_secs(20)).await;
    assert_eq!(world.get("dead").await, None, "it is collected in the end");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_written_delays_no_other() {
    let world = World::new();
    let road = on_a_road(&world).await;
    road.rule(
        |request| match request.method() == Method::POST && writes_lease(request) {
            true => Fate::Lost,
            false => Fate::Passes,
        },
    );
    world.create(process("alpha", "1.30")).await;
    pass(Duration::from_secs(1)).await;
    world.create(named("other", released())).await;
    world
        .create(candidate_for("bravo", "1.30", "default/other"))
        .await;
    assert!(world.until_holder("other", "bravo").await <= MOMENT);
}

#[tokio::test(start_paused = true)]
async fn no_more_requests_are_open_at_once_than_allowed() {
    let world = World::new();
    let road = Road::new();
    let (count, counted) = watch::channel(0);
    road.rule(move |request| {
        if !writes_lease(request) {
            return Fate::Passes;
        }
        count.send_modify(|count| *count += 1);
        Fate::Lost
    });
    for number in 0..5 {
        let lease = format!("lease-{number}");
        world.create(named(&lease, released())).await;
        let name = format!("candidate-{number}");
        world
            .create(candidate_for(&name, "1.30", &format!("default/{lease}")))
            .await;
    }
    let mut options = options();
    options.concurrency = 2;
    let told = options.open_requests.clone();
    let client = road.client(world.plane.client_as(&options.instance));
    let _elector = world.elector_with(client, options);
    for (after_ms, open) in [(100, 2), (2_400, 4), (2_400, 6)] {
        pass(Duration::from_millis(after_ms)).await;
        assert_eq!(*counted.borrow(), open);
        assert_eq!(told.load(Ordering::Relaxed), 2);
    }
    road.clear();
    pass(Duration::from_secs(60)).await;
    assert_eq!(
        told.load(Ordering::Relaxed),
        0,
        "nothing is open when all is done"
    );
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_asked_and_publishes_its_last_events() {
    for (fate, told) in [(Fate::Late(Duration::from_millis(100)), 1), (Fate::Lost, 0)] {
        let world = World::new();
        world.create(released()).await;
        world.create(process("alpha", "1.30")).await;
        let road = Road::new();
        road.rule(move |request| match writes_event(request) {
            true => fate,
            false => Fate::Passes,
        });
        let client = road.client(world.client());
        let shutdown = async {
            world.until_holder(DEMO, "alpha").await;
        };
        let began = world.clock.now();
        run(client, options(), world.clock.clone(), shutdown)
            .await
            .expect("valid options");
        assert_eq!(world.events().await.len(), told, "{fate:?}");
        let took = world.clock.now().since(began);
        assert!(took <= Duration::from_millis(600), "{fate:?}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_gone_for_long_is_found_again() {
    let world = World::new();
    let road = Road::new();
    road.rule(|_| Fate::Answered(503, "ServiceUnavailable"));
    let options = options();
    let client = road.client(world.plane.client_as(&options.instance));
    let _elector = world.elector_with(client, options);
    // At the start, and again later: an elector that waits does nothing else, however long that takes.
    for name in ["alpha", "bravo"] {
        pass(Duration::from_secs(600)).await;
        world.create(process(name, "1.30")).await;
        road.clear();
        world.until_holder(DEMO, name).await;
        world.delete(name).await;
        road.rule(|_| Fate::Answered(503, "ServiceUnavailable"));
        road.break_watches(Break::Ends);
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_goes_on_where_it_was() {
    let world = World::new();
    let road = on_a_road(&world).await;
    let before = world.plane.requests();
    road.break_watches(Break::Ends);
    pass(MOMENT).await;
    world.create(process("alpha", "1.30")).await;
    let took = world.until_holder(DEMO, "alpha").await;
    assert!(took <= Duration::from_secs(1), "{took:?}");
    let new = world.plane.requests().since(&before);
    assert_eq!(new.count(|key| key.verb == "list"), 0, "{new:?}");
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_is_forgotten_means_a_new_list() {
    let world = World::new();
    let road = on_a_road(&world).await;
    let before = world.plane.requests();
    road.rule(|request| match is_watch(request) {
        true => Fate::Answered(500, "InternalError"),
        false => Fate::Passes,
    });
    road.break_watches(Break::Ends);
    pass(Duration::from_secs(1)).await;
    world.create(process("alpha", "1.30")).await;
    world.plane.compact();
    road.clear();
    let took = world.until_holder(DEMO, "alpha").await;
    let new = world.plane.requests().since(&before);
    assert_eq!(
        new.count(|key| key.client == "elector-a" && key.verb == "list"),
        1,
        "{new:?}"
    );
    // The gap may have had a leader: it is waited for like one from before the start.
    assert!(took > Duration::from_secs(14), "S1: {took:?}");
    assert!(took < Duration::from_secs(19), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_silent_is_given_up() {
    let world = World::new();
    let road = on_a_road(&world).await;
    road.break_watches(Break::Silent);
    pass(MOMENT).await;
    world.create(process("alpha", "1.30")).await;
    // 150 s without a bookmark, then a list, after which a leader that nobody saw has one duration.
    let took = world.until_holder(DEMO, "alpha").await;
    assert!(took <= Duration::from_secs(150 + 16), "{took:?}");
    assert!(
        took >= Duration::from_secs(100),
        "the watch was not silent: {took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn two_electors_do_no_harm() {
    let mut world = World::new();
    let _first = world.elector(options());
    let mut second = options();
    second.instance = "elector-b".to_owned();
    let _second = world.elector(second);
    pass(Duration::from_secs(20)).await;
    for name in ["alpha", "bravo"] {
        world.create(process(name, "1.30")).await;
    }
    let mut grants = 0;
    world.until_holder(DEMO, "alpha").await;
    for round in 0..20 {
        let held = world.renew(DEMO, "alpha", Some("incarnation-of-alpha")).await;
        grants += 1;
        assert_eq!(held.spec.as_ref().unwrap().lease_transitions, Some(round + 1));
        pass(Duration::from_secs(1)).await;
        assert_eq!(
            world.get(DEMO).await,
            Some(held),
            "neither touches a leader that is as good as any"
        );
        let stamp = world.stamp();
        world
            .edit(DEMO, |lease| {
                let spec = lease.spec.get_or_insert_default();
                spec.holder_identity = None;
                spec.acquire_time = None;
                spec.renew_time = Some(stamp);
                let notes = lease.metadata.annotations.get_or_insert_default();
                notes.remove(wire::INCARNATION);
            })
            .await;
        let took = world.until_holder(DEMO, "alpha").await;
        assert!(
            took <= Duration::from_secs(2),
            "a conflict is no failure: {took:?}"
        );
    }
    let requests = world.plane.requests();
    let offers = |elector: &str| requests.count(|key| key.client == elector && key.verb == "update");
    assert!(
        offers("elector-a") + offers("elector-b") > grants,
        "they never got into each other's way: {requests:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_stands_by_writes_nothing_and_takes_over_at_once() {
    let world = World::new();
    let (acting, receiver) = watch::channel(false);
    let mut options = options();
    options.acting = Some(receiver);
    let _elector = world.elector(options);
    let lease = held_by("alpha", Some("incarnation-of-alpha"));
    world.create(lease).await;
    world.create(process("bravo", "1.30")).await;
    pass(Duration::from_secs(30)).await;
    assert_eq!(world.lease_writes(), 0);
    acting.send_replace(true);
    let took = world.until_holder(DEMO, "bravo").await;
    assert!(
        took <= MOMENT,
        "it has seen for itself that the term is over: {took:?}"
    );
    acting.send_replace(false);
    let writes = world.lease_writes();
    pass(Duration::from_secs(30)).await;
    assert_eq!(world.lease_writes(), writes);
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_know_whether_it_may_act_does_not() {
    let world = World::new();
    let (acting, receiver) = watch::channel(true);
    let mut options = options();
    options.acting = Some(receiver);
    let _elector = world.elector(options);
    pass(Duration::from_secs(20)).await;
    drop(acting);
    pass(MOMENT).await;
    world.create(process("alpha", "1.30")).await;
    pass(Duration::from_secs(60)).await;
    assert_eq!(world.lease_writes(), 0);
}

/// Rule 10: a process that was stopped has a watch full of news, and every timer is due.
#[tokio::test(start_paused = true)]
async fn one_that_was_stopped_reads_the_news_before_it_judges() {
    let mut world = World::new();
    let lease = held_by("alpha", Some("incarnation-of-alpha"));
    world.create(lease).await;
    world.create(process("alpha", "1.30")).await;
    world.create(process("bravo", "1.30")).await;
    let gate = Gate::new();
    let clock = Arc::new(GatedClock {
        inner: Arc::new(TokioClock::new(NOON)),
        gate: gate.clone(),
    });
    let (client, options) = (gate.client(world.plane.client_as("elector-a")), options());
    detach(async move {
        let never = std::future::pending::<()>();
        run(client, options, clock, never).await.expect("valid options");
    });
    pass(Duration::from_secs(1)).await;
    gate.set(false);
    for _ in 0..10 {
        pass(Duration::from_secs(4)).await;
        world.renew(DEMO, "alpha", Some("incarnation-of-alpha")).await;
    }
    let before = world.plane.requests();
    gate.set(true);
    pass(Duration::from_secs(5)).await;
    assert_eq!(world.lease_writes(), 0, "alpha lives");
    let new = world.plane.requests().since(&before);
    assert_eq!(
        new.count(|key| key.client == "elector-a" && key.verb == "list"),
        1,
        "{new:?}"
    );
    // It judges again afterwards.
    assert!(world.until_holder(DEMO, "bravo").await <= Duration::from_secs(16));
}
