//! Watches a scripted API server under paused time; each test is one story.

mod server;

use election_core::Wall;
use futures::channel::mpsc;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

use super::*;
use crate::clock::{Clock, TokioClock};
use server::{End, Reply, World, error_event, event, object, world};

/// Lets everything that is under way happen: a millisecond in which the watch tells nothing.
async fn quiet(world: &World, watch: &mut LeaseWatch) {
    tokio::select! {
        event = watch.next() => panic!("nothing should be told: {event:?}"),
        () = world.clock.sleep_until(world.clock.now() + Duration::from_millis(1)) => {}
    }
}

/// An event as one line, for comparing.
fn told(event: &WatchEvent) -> String {
    let key = |meta: &ObjectMeta| {
        format!(
            "{}@{}",
            meta.name.as_deref().unwrap_or_default(),
            meta.resource_version.as_deref().unwrap_or_default()
        )
    };
    match event {
        WatchEvent::Listed { leases, revision } => {
            let keys: Vec<_> = leases.iter().map(|lease| key(&lease.metadata)).collect();
            format!("listed [{}] at {revision}", keys.join(" "))
        }
        WatchEvent::Applied(lease) => format!("applied {}", key(&lease.metadata)),
        WatchEvent::Deleted(lease) => format!("deleted {}", key(&lease.metadata)),
        WatchEvent::Bookmark(revision) => format!("bookmark {revision}"),
        WatchEvent::Lost(why) => format!("lost: {why}"),
        WatchEvent::Resumed => "resumed".to_owned(),
    }
}

async fn take(watch: &mut LeaseWatch, count: usize) -> Vec<String> {
    let mut events = Vec::new();
    for _ in 0..count {
        events.push(told(&watch.next().await.expect("a watch never ends")));
    }
    events
}

fn page(revision: &'static str) -> Reply {
    Reply::Page(vec![object("a", "5")], revision, None)
}

#[tokio::test(start_paused = true)]
async fn a_list_is_followed_by_what_happens_after_it() {
    let world = world([
        page("9"),
        Reply::Watch(
            vec![
                event("ADDED", "b", "10"),
                event("MODIFIED", "a", "11"),
                event("BOOKMARK", "", "15"),
                event("DELETED", "b", "16"),
            ],
            End::Silent,
        ),
    ]);
    let mut watch = world.watch();
    assert_eq!(
        take(&mut watch, 5).await,
        [
            "listed [a@5] at 9",
            "applied b@10",
            "applied a@11",
            "bookmark 15",
            "deleted b@16"
        ]
    );
    assert_eq!(world.asked(), ["list", "watch 9"]);
    quiet(&world, &mut watch).await;
}

#[tokio::test(start_paused = true)]
async fn the_list_is_consistent_and_the_watch_long_and_with_bookmarks() {
    let world = world([
        page("9"),
        Reply::Watch(vec![event("BOOKMARK", "", "10")], End::Silent),
    ]);
    let settings = WatchSettings::new(world.clock.clone(), 7);
    let key = LeaseKey::new("n", "a");
    let mut watch = leases(world.client.clone(), WatchScope::one(&key), settings);
    take(&mut watch, 2).await;
    let seen = world.server.seen.lock().unwrap();
    let [(_, list), (_, watch)] = &seen[..] else {
        panic!("two requests: {seen:?}")
    };
    let path = "/apis/coordination.k8s.io/v1/namespaces/n/leases?";
    assert!(list.starts_with(path) && watch.starts_with(path));
    assert!(
        list.contains("fieldSelector=metadata.name%3Da") && list.contains("limit=500"),
        "{list}"
    );
    assert!(
        !list.contains("resourceVersion"),
        "a list at a revision may be an old one: {list}"
    );
    assert!(
        watch.contains("fieldSelector=metadata.name%3Da&allowWatchBookmarks=true"),
        "{watch}"
    );
    let timeout = watch
        .split("timeoutSeconds=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    let timeout: u64 = timeout.parse().unwrap();
    assert!((1800..3600).contains(&timeout), "{timeout}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_is_resumed_at_once_and_without_a_word() {
    let world = world([
        page("9"),
        Reply::Watch(
            vec![event("MODIFIED", "a", "10"), event("BOOKMARK", "", "20")],
            End::Clean,
        ),
        Reply::Watch(vec![event("DELETED", "a", "21")], End::Cut),
        Reply::Watch(vec![event("ADDED", "a", "22")], End::Silent),
    ]);
    let mut watch = world.watch();
    let events = take(&mut watch, 5).await;
    assert_eq!(
        events[1..],
        ["applied a@10", "bookmark 20", "deleted a@21", "applied a@22"]
    );
    assert_eq!(world.asked(), ["list", "watch 9", "watch 20", "watch 21"]);
    assert_eq!(world.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_is_delivered_twice_is_told_once() {
    let world = world([
        page("9"),
        Reply::Watch(
            vec![event("MODIFIED", "a", "10"), event("MODIFIED", "a", "10")],
            End::Clean,
        ),
        Reply::Watch(
            vec![
                event("MODIFIED", "a", "9"),
                event("MODIFIED", "a", "10"),
                event("MODIFIED", "a", "11"),
            ],
            End::Clean,
        ),
        Reply::Watch(vec![], End::Silent),
    ]);
    let mut watch = world.watch();
    assert_eq!(
        take(&mut watch, 3).await,
        ["listed [a@5] at 9", "applied a@10", "applied a@11"]
    );
    quiet(&world, &mut watch).await;
    assert_eq!(
        world.asked().last().unwrap(),
        "watch 11",
        "a replay does not take the revision back"
    );
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_is_too_old_leads_to_a_list() {
    for expired in [
        Reply::Watch(vec![error_event(410)], End::Silent),
        Reply::Status(410, "too old"),
    ] {
        let world = world([page("9"), expired, page("30"), Reply::Watch(vec![], End::Silent)]);
        let mut watch = world.watch();
        assert_eq!(
            take(&mut watch, 3).await,
            [
                "listed [a@5] at 9",
                "lost: the watch's revision has expired: listing again",
                "listed [a@5] at 30"
            ]
        );
        assert_eq!(world.elapsed(), Duration::ZERO, "the first time at once");
        quiet(&world, &mut watch).await;
        assert_eq!(world.asked(), ["list", "watch 9", "list", "watch 30"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_every_revision_is_too_old_is_not_asked_without_pause() {
    let replies = (0..20).flat_map(|_| [page("9"), Reply::Status(410, "too old")]);
    let world = world(replies);
    let mut watch = world.watch();
    take(&mut watch, 30).await;
    assert!(world.elapsed() > Duration::from_secs(5), "{:?}", world.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_failing_server_is_asked_ever_more_slowly_and_reported_once() {
    let failing = (0..10).map(|_| Reply::Status(500, "etcd is gone"));
    let world = world(
        [
            page("9"),
            Reply::Watch(vec![event("BOOKMARK", "", "10")], End::Clean),
        ]
        .into_iter()
        .chain(failing)
        .chain([Reply::Watch(vec![event("ADDED", "b", "11")], End::Silent)]),
    );
    let mut watch = world.watch();
    assert_eq!(
        take(&mut watch, 5).await[2..],
        ["lost: etcd is gone (500)", "resumed", "applied b@11"]
    );
    let seen = world.server.seen.lock().unwrap();
    let gaps: Vec<_> = seen[2..].windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!((25..=51).contains(&gaps[0].as_millis()), "{gaps:?}");
    assert!(
        gaps.iter().all(|gap| *gap <= Duration::from_millis(2001)),
        "{gaps:?}"
    );
    assert!(gaps.last().unwrap() >= &Duration::from_secs(1), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_the_server_always_ends_at_once_is_a_failure() {
    let ending = (0..20).map(|_| Reply::Watch(vec![], End::Clean));
    let world = world([page("9")].into_iter().chain(ending));
    let mut watch = world.watch();
    take(&mut watch, 20).await;
    assert!(world.elapsed() > Duration::from_secs(5), "{:?}", world.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up_at_the_deadline() {
    let world = world([
        Reply::Silent,
        page("9"),
        Reply::Silent,
        Reply::Watch(vec![], End::Silent),
    ]);
    let mut watch = world.watch();
    let none = "lost: no answer from the API server within 2.4s";
    assert_eq!(take(&mut watch, 1).await, [none]);
    assert_eq!(world.elapsed(), Duration::from_millis(2400));
    assert_eq!(take(&mut watch, 3).await, ["listed [a@5] at 9", none, "resumed"]);
    assert_eq!(world.asked(), ["list", "list", "watch 9", "watch 9"]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_silently_dead_is_given_up_when_the_consumer_asks() {
    let (feed, fed) = mpsc::unbounded();
    let world = world([
        page("9"),
        Reply::Fed(fed),
        page("40"),
        Reply::Watch(vec![], End::Silent),
    ]);
    let mut watch = world.watch();
    take(&mut watch, 1).await;
    quiet(&world, &mut watch).await;
    feed.unbounded_send(event("MODIFIED", "a", "10")).unwrap();
    assert_eq!(take(&mut watch, 1).await, ["applied a@10"]);
    quiet(&world, &mut watch).await;
    watch.relist();
    assert_eq!(take(&mut watch, 1).await, ["listed [a@5] at 40"]);
    assert!(feed.is_closed(), "the old connection is dropped");
    assert_eq!(world.asked()[..3], ["list", "watch 9", "list"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_for_a_list_does_not_wait_for_a_back_off() {
    let failing = (0..8).map(|_| Reply::Status(503, "down"));
    let world = world(failing.chain([page("9")]));
    let mut watch = world.watch();
    take(&mut watch, 1).await;
    quiet(&world, &mut watch).await;
    let asked = world.asked().len();
    watch.relist();
    assert_eq!(
        take(&mut watch, 1).await,
        ["lost: down (503)"],
        "the answer to the call"
    );
    assert_eq!(world.asked().len(), asked + 1);
    assert_eq!(world.elapsed(), Duration::from_millis(1));
}

#[tokio::test(start_paused = true)]
async fn a_list_in_pages_is_one_list() {
    let world = world([
        Reply::Page(vec![object("a", "5")], "9", Some("next")),
        Reply::Page(vec![object("b", "6")], "9", Some("last")),
        Reply::Page(vec![object("c", "7")], "9", Some("")),
        Reply::Watch(vec![], End::Silent),
    ]);
    assert_eq!(take(&mut world.watch(), 1).await, ["listed [a@5 b@6 c@7] at 9"]);
    assert_eq!(world.asked(), ["list", "list next", "list last"]);
}

#[tokio::test(start_paused = true)]
async fn a_list_whose_continuation_has_expired_begins_anew() {
    let world = world([
        Reply::Page(vec![object("a", "5")], "9", Some("next")),
        Reply::Status(410, "too old"),
        page("30"),
    ]);
    let events = take(&mut world.watch(), 2).await;
    assert_eq!(events[1], "listed [a@5] at 30");
    assert_eq!(world.asked(), ["list", "list next", "list"]);
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_is_named() {
    let world = world([
        Reply::Status(403, "no"),
        page("9"),
        Reply::Status(403, "no"),
        Reply::Status(401, "who?"),
    ]);
    let events = take(&mut world.watch(), 4).await;
    assert_eq!(
        events[0],
        "lost: the permission to list leases.coordination.k8s.io in namespace n is missing: no (403)"
    );
    assert_eq!(
        events[2],
        "lost: the permission to watch leases.coordination.k8s.io in namespace n is missing: no (403)"
    );
    assert!(
        events[3].contains("check the token or client certificate"),
        "{}",
        events[3]
    );
}

#[tokio::test(start_paused = true)]
async fn one_lease_that_cannot_be_read_hides_no_other() {
    let mut broken = object("a", "5");
    broken["spec"] = json!("?");
    let world = world([
        Reply::Page(vec![broken.clone(), object("b", "6")], "9", None),
        Reply::Watch(
            vec![
                json!({"type": "MODIFIED", "object": broken}),
                event("ADDED", "c", "10"),
            ],
            End::Silent,
        ),
    ]);
    assert_eq!(
        take(&mut world.watch(), 2).await,
        ["listed [b@6] at 9", "applied c@10"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_read_says_as_of_when_a_lease_is_missing() {
    let world = world([
        Reply::Page(vec![], "12", None),
        page("13"),
        Reply::Status(403, "no"),
        Reply::Silent,
    ]);
    let clock: SharedClock = world.clock.clone();
    let (key, within) = (LeaseKey::new("n", "a"), Duration::from_secs(1));
    let read = || read(&world.client, &key, &clock, within);
    assert_eq!(read().await.unwrap(), (None, Revision::new("12")));
    let (lease, revision) = read().await.unwrap();
    assert_eq!(
        (lease.unwrap().metadata.name.as_deref(), revision),
        (Some("a"), Revision::new("13"))
    );
    assert!(matches!(read().await, Err(ReadError::Api(_))));
    assert!(matches!(read().await, Err(ReadError::Deadline { .. })));
    assert_eq!(world.elapsed(), within);
}

/// Against a control plane that was written independently of this watch.
#[tokio::test(start_paused = true)]
async fn a_control_plane_is_watched_from_its_list_on() {
    let plane = local_controlplane::ControlPlane::new();
    let clock = Arc::new(TokioClock::new(Wall::from_micros(0)));
    let (key, within) = (LeaseKey::new("default", "a"), Duration::from_secs(1));
    let shared: SharedClock = clock.clone();
    let (missing, before) = read(&plane.client(), &key, &shared, within).await.unwrap();
    assert_eq!(missing, None);

    let mut watch: LeaseWatch = leases(
        plane.client(),
        WatchScope::one(&key),
        WatchSettings::new(clock, 1),
    );
    let WatchEvent::Listed { leases, revision } = watch.next().await.unwrap() else {
        panic!("a list comes first")
    };
    assert!(leases.is_empty() && revision >= before);

    let api: kube::Api<Lease> = kube::Api::namespaced(plane.client(), "default");
    for name in ["other", "a"] {
        let mut lease = Lease::default();
        lease.metadata.name = Some(name.to_owned());
        api.create(&kube::api::PostParams::default(), &lease)
            .await
            .unwrap();
    }
    api.delete("a", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    let mut changes = Vec::new();
    while changes.len() < 2 {
        match watch.next().await.unwrap() {
            WatchEvent::Applied(lease) => changes.push(("applied", lease.metadata)),
            WatchEvent::Deleted(lease) => changes.push(("deleted", lease.metadata)),
            WatchEvent::Bookmark(_) => {}
            other => panic!("nothing else happened: {other:?}"),
        }
    }
    let [("applied", created), ("deleted", deleted)] = &changes[..] else {
        panic!("created, then deleted: {changes:?}")
    };
    assert_eq!(created.name.as_deref(), Some("a"));
    let version = |meta: &ObjectMeta| Revision::new(meta.resource_version.as_deref().unwrap());
    assert!(
        version(created) < version(deleted),
        "the deletion has a revision of its own"
    );
    let (missing, after) = read(&plane.client(), &key, &shared, within).await.unwrap();
    assert_eq!(missing, None);
    assert!(after >= version(deleted));
}
