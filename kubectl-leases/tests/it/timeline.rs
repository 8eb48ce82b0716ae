//! `timeline`: from Events and the lease to who led when.

use k8s_openapi::api::events::v1::Event;
use kubectl_leases::svg::draw;
use kubectl_leases::timeline::Timeline;
use serde_json::{Value, json};

use crate::fixtures::{fresh, held, moment};
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

/// Who led from which minute to which, when these were the Events and nobody holds the lease now.
fn led(events: &[Event]) -> Vec<(String, String, String)> {
    let lease = election_core::wire::read_leader(&fresh(KEY)).unwrap();
    let timeline = Timeline::new(KEY, events, Some(&lease), moment().now);
    let json = serde_json::to_value(&timeline).unwrap();
    let turns = json["turns"].as_array().unwrap().iter();
    let text = |turn: &Value, field: &str| turn[field].as_str().unwrap().to_owned();
    let time = |turn: &Value, field: &str| {
        text(turn, field)["2026-05-01T".len()..]
            .trim_end_matches(":00Z")
            .to_owned()
    };
    turns
        .map(|turn| {
            let begin = if turn["beganBefore"] == true {
                "before "
            } else {
                ""
            };
            (
                text(turn, "holder"),
                format!("{begin}{}", time(turn, "from")),
                time(turn, "to"),
            )
        })
        .collect()
}

fn check(events: &[Event], expected: &[(&str, &str, &str)]) {
    let owned = |(holder, from, to): &(&str, &str, &str)| ((*holder).into(), (*from).into(), (*to).into());
    let expected: Vec<(String, String, String)> = expected.iter().map(owned).collect();
    assert_eq!(led(events), expected);
}

#[test]
fn who_did_not_take_an_offer_has_not_led() {
    let not_taken = "Offered to bravo: dead did not accept in time, so the offer goes to bravo";
    let gone = "Offered to bravo: dead has the offer but is no candidate any more, so it goes to bravo";
    let vacant = |who: &str| {
        format!("Offered to {who}: the lease is Released, and {who} is the best of 2 electable candidates")
    };
    let replaced = "Nominated x: x (emulation 1.28, binary 1.28) is strictly better than the holder bravo";
    for reason in [not_taken, gone] {
        check(
            &[
                event(0, "Offered", "dead", &vacant("dead")),
                event(1, "Offered", "bravo", reason),
                event(9, "Nominated", "x", replaced),
            ],
            &[("bravo", "11:01", "12:00")],
        );
    }
}

#[test]
fn a_turn_ends_when_its_holder_was_last_seen() {
    let expired =
        "Offered to bravo: alpha held the lease and was silent for 1200 s; bravo is the best candidate";
    let not_taken = "Offered to charlie: bravo did not accept in time, so the offer goes to charlie";
    let gone =
        "Offered to delta: charlie held the lease and was silent for 60 s; delta is the best candidate";
    check(
        &[
            event(
                0,
                "Offered",
                "alpha",
                "Offered to alpha: the lease is Fresh, and alpha is the best",
            ),
            event(30, "Offered", "bravo", expired),
            event(31, "Offered", "charlie", not_taken),
            event(50, "Offered", "delta", gone),
        ],
        &[("alpha", "11:00", "11:10"), ("charlie", "11:31", "11:49")],
    );
}

#[test]
fn who_led_before_anything_is_known_is_said_so() {
    let better = "Nominated bravo: bravo is strictly better than the holder alpha";
    let expired =
        "Offered to alpha: bravo held the lease and was silent for 60 s; alpha is the best candidate";
    check(
        &[
            event(10, "Nominated", "bravo", better),
            event(30, "Offered", "alpha", expired),
        ],
        &[("alpha", "before 11:10", "11:10"), ("bravo", "11:10", "11:29")],
    );
}

#[test]
fn nothing_known_is_drawn_as_such() {
    let empty = Timeline::new("a/<b>\u{1b}", &[], None, None);
    assert!(empty.turns.is_empty());
    let svg = draw(&empty);
    assert!(
        svg.contains("Nothing is known.") && svg.contains("a/&lt;b&gt;\\u{1b}:"),
        "{svg}"
    );
}

#[test]
fn what_a_lease_says_is_no_part_of_the_drawing_itself() {
    let hostile = "evil\u{1b}]0;pwned\u{7}</text><script>\u{202e}&\"";
    let lease = election_core::wire::read_leader(&held(KEY, hostile, 4, json!({}))).unwrap();
    let events = [event(
        0,
        "Offered",
        hostile,
        "Offered to evil: the lease is Fresh",
    )];
    let svg = draw(&Timeline::new(KEY, &events, Some(&lease), moment().now));
    let bad = svg
        .chars()
        .find(|letter| *letter != '\n' && (letter.is_control() || *letter == '\u{202e}'));
    assert_eq!(bad, None, "{svg}");
    let shown = "evil\\u{1b}]0;pwned\\u{7}&lt;/text&gt;&lt;script&gt;\\u{202e}&amp;&quot;";
    assert_eq!(
        svg.matches(shown).count(),
        2,
        "beside the row, and as its title: {svg}"
    );
    assert_eq!(svg.matches("evil").count(), 2, "{svg}");
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
    insta::assert_snapshot!("as_yaml", stage.screen("timeline demo -o yaml").await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("leaders.svg");
    let ended = stage
        .run(&format!("timeline demo --svg {}", file.display()))
        .await;
    assert_eq!((ended.code.as_str(), ended.stdout.as_str()), ("0", ""));
    assert!(std::fs::read_to_string(file).unwrap().contains("who led when"));
    assert_eq!(stage.run("timeline nope").await.code, "1");
}
