//! What `kubectl describe lease` tells of decisions: each grant and each refusal, who and why, and nothing for ever.

use std::time::Duration;

use k8s_openapi::api::events::v1::Event;

use crate::road::{Fate, Road, writes_event, writes_lease};
use crate::world::{DEMO, NAMESPACE, World, options, pass, process};

const MOMENT: Duration = Duration::from_millis(50);

impl World {
    async fn events_with(&self, reason: &str) -> Vec<Event> {
        let mut events = self.events().await;
        events.retain(|event| event.reason.as_deref() == Some(reason));
        events
    }
}

fn times(event: &Event) -> i32 {
    event.series.as_ref().map_or(1, |series| series.count)
}

#[tokio::test(start_paused = true)]
async fn an_offer_is_an_event_on_the_leader_lease_that_says_who_and_why() {
    let world = World::new();
    let _elector = world.warm_elector().await;
    world.create(process("alpha", "1.30")).await;
    world.create(process("bravo", "1.29")).await;
    world.until_holder(DEMO, "bravo").await;
    pass(MOMENT).await;
    let events = world.events_with("Offered").await;
    let [event] = &events[..] else {
        panic!("one Event: {events:?}")
    };
    let lease = world.get(DEMO).await.unwrap();
    let regarding = event.regarding.as_ref().unwrap();
    assert_eq!(regarding.kind.as_deref(), Some("Lease"));
    assert_eq!(regarding.name.as_deref(), Some(DEMO));
    assert_eq!(
        regarding.uid, lease.metadata.uid,
        "kubectl describe looks for the uid"
    );
    assert_eq!(event.metadata.namespace.as_deref(), Some(NAMESPACE));
    let related = event.related.as_ref().unwrap();
    assert_eq!(related.name.as_deref(), Some("bravo"));
    assert_eq!(event.type_.as_deref(), Some("Normal"));
    assert_eq!(event.action.as_deref(), Some("Vacant"));
    assert_eq!(event.reporting_instance.as_deref(), Some("elector-a"));
    assert_eq!(
        event.note.as_deref(),
        Some(
            "Offered to bravo: the lease is Fresh, and bravo is the best of 2 electable candidates (emulation 1.29, \
             binary 1.29)"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn each_grant_is_told_and_the_same_one_again_is_counted() {
    let world = World::new();
    let _elector = world.warm_elector().await;
    world.create(process("alpha", "1.29")).await;
    world.create(process("bravo", "1.30")).await;
    // Neither accepts: the offer goes round.
    pass(Duration::from_secs(20)).await;
    let events = world.events_with("Offered").await;
    let grants: i32 = events.iter().map(times).sum();
    assert_eq!(
        grants as u64 + 1,
        world.lease_writes(),
        "each write but the create is a grant: {events:?}"
    );
    assert!(grants >= 6, "{events:?}");
    assert!(
        events.len() <= 4,
        "the same grant again is no new Event: {events:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_nomination_and_its_end_are_told() {
    let world = World::new();
    let lease = crate::world::held_by("alpha", Some("incarnation-of-alpha"));
    world.create(lease).await;
    world.create(process("alpha", "1.30")).await;
    world.create(process("bravo", "1.29")).await;
    let _elector = world.elector(options());
    pass(MOMENT).await;
    world.delete("bravo").await;
    pass(MOMENT).await;
    let notes = world.notes_about(DEMO).await;
    assert!(
        notes
            .iter()
            .any(|note| note.starts_with("Nominated: Nominated bravo: ") && note.contains("holder alpha")),
        "{notes:?}"
    );
    assert!(
        notes
            .iter()
            .any(|note| note.starts_with("NominationCleared: Nomination cleared: bravo ")),
        "{notes:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_candidate_is_told_on_the_leader_lease_that_it_cannot_lead() {
    let world = World::new();
    let _elector = world.warm_elector().await;
    world.create(process("early", "none")).await;
    world.create(process("alpha", "1.29")).await;
    world.until_holder(DEMO, "alpha").await;
    world.create(process("late", "none")).await;
    pass(Duration::from_secs(120)).await;
    let events = world.events_with("CandidateRefused").await;
    let lease = world.get(DEMO).await.unwrap();
    for name in ["early", "late"] {
        let about: Vec<_> = events
            .iter()
            .filter(|event| event.related.as_ref().unwrap().name.as_deref() == Some(name))
            .collect();
        let [event] = &about[..] else {
            panic!("one Event about {name}: {events:?}")
        };
        assert_eq!(times(event), 1, "it is not told again and again");
        assert_eq!(event.regarding.as_ref().unwrap().uid, lease.metadata.uid);
        assert!(
            event
                .note
                .as_ref()
                .unwrap()
                .starts_with(&format!("Candidate {name} is refused: ")),
            "{event:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_the_server_refuses_is_told_once_in_a_while() {
    let world = World::new();
    let road = Road::new();
    let options = options();
    let client = road.client(world.plane.client_as(&options.instance));
    let _elector = world.elector_with(client, options);
    pass(Duration::from_secs(20)).await;
    road.rule(|request| match writes_lease(request) {
        true => Fate::Answered(403, "Forbidden"),
        false => Fate::Passes,
    });
    world.create(process("alpha", "1.30")).await;
    pass(Duration::from_secs(20 * 60)).await;
    let events = world.events_with("ElectionFailed").await;
    let [event] = &events[..] else {
        panic!("one Event: {events:?}")
    };
    assert_eq!(times(event), 1, "{event:?}");
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    let note = event.note.as_deref().unwrap();
    assert!(note.contains("may not create this lease"), "{note}");
    assert!(note.contains("the road says Forbidden (403)"), "{note}");
    pass(Duration::from_secs(15 * 60)).await;
    let again: i32 = world.events_with("ElectionFailed").await.iter().map(times).sum();
    assert_eq!(again, 2, "the server forgets Events, so it is told again");
}

#[tokio::test(start_paused = true)]
async fn events_that_cannot_be_published_delay_no_election() {
    for fate in [Fate::Answered(403, "Forbidden"), Fate::Lost] {
        let world = World::new();
        let road = Road::new();
        road.rule(move |request| if writes_event(request) { fate } else { Fate::Passes });
        let mut options = options();
        options.assume_unheld = true;
        let client = road.client(world.plane.client_as(&options.instance));
        let _elector = world.elector_with(client, options);
        for number in 0..300 {
            world.create(process(&format!("bad-{number}"), "none")).await;
        }
        world.create(process("alpha", "1.29")).await;
        let took = world.until_holder(DEMO, "alpha").await;
        assert!(took <= Duration::from_millis(600), "{fate:?}: {took:?}");
        assert!(world.events().await.is_empty());
    }
}
