//! `timeline`: from Events and the lease to who led when.

use k8s_openapi::api::events::v1::Event;
use kubectl_leases::svg::draw;
use kubectl_leases::timeline::Timeline;
use serde_json::json;

use crate::fixtures::{held, moment};
use crate::stage::Stage;

const KEY: &str = "default/demo";

fn event(minute: u32, reason: &str, who: &str, note: &str) -> Event {
    let related = (!who.is_empty()).then(|| json!({"kind": "Lease", "name": who}));
    serde_json::from_value(json!({
        "metadata": {"name": format!("demo.{minute}"), "namespace": "default"},
        "eventTime": format!("2026-05-01T11:{minute:02}:00.000000Z"),
        "reason": reason, "action": "Vacant", "type": "Normal", "note": note, "related": related,
        "reportingController": "leader-election-controller", "reportingInstance": "elector-1",
        "regarding": {"kind": "Lease", "name": "demo", "namespace": "default"},
    }))
    .unwrap()
}

fn story() -> Vec<Event> {
    vec![
        event(
            0,
            "Offered",
            "new",
            "Offered to new: the lease is Fresh, and new is the best of 1",
        ),
        event(
            20,
            "Nominated",
            "old",
            "Nominated old: old is strictly better than the holder new",
        ),
        event(
            40,
            "Offered",
            "new",
            "Offered to new: old held the lease and was silent for 15 s",
        ),
        event(43, "Nominated", "x", "Nominated x: x is strictly better"),
        event(
            44,
            "NominationCleared",
            "",
            "Nomination cleared: x is no candidate any more",
        ),
    ]
}

#[test]
fn turns_follow_offers_and_nominations_that_took_place() {
    let lease = election_core::wire::read_leader(&held(KEY, "new", 4, json!({}))).unwrap();
    let timeline = Timeline::new(KEY, &story(), Some(&lease), moment().now);
    let turns: Vec<_> = timeline
        .turns
        .iter()
        .map(|turn| (turn.holder.as_str(), turn.now))
        .collect();
    assert_eq!(turns, [("new", false), ("old", false), ("new", true)]);
    assert_eq!(timeline.entries.last().unwrap().what, "Accepted");
    insta::assert_snapshot!(draw(&timeline));
}

#[test]
fn nothing_known_is_drawn_as_such() {
    let empty = Timeline::new("a/<b>", &[], None, None);
    assert!(empty.turns.is_empty());
    let svg = draw(&empty);
    assert!(
        svg.contains("Nothing is known.") && svg.contains("a/&lt;b&gt;"),
        "{svg}"
    );
}

#[tokio::test]
async fn a_timeline_on_the_screen() {
    let stage = Stage::with(vec![held(KEY, "new", 4, json!({}))]).await;
    for event in story() {
        let request = http::Request::post("/apis/events.k8s.io/v1/namespaces/default/events")
            .body(serde_json::to_vec(&event).unwrap())
            .unwrap();
        stage
            .plane
            .client()
            .request::<serde_json::Value>(request)
            .await
            .unwrap();
    }
    insta::assert_snapshot!(stage.screen("timeline demo").await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("leaders.svg");
    let ended = stage
        .run(&format!("timeline demo --svg {}", file.display()))
        .await;
    assert_eq!((ended.code.as_str(), ended.stdout.as_str()), ("0", ""));
    assert!(std::fs::read_to_string(file).unwrap().contains("who led when"));
    assert_eq!(stage.run("timeline nope").await.code, "1");
}
