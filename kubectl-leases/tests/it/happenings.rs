//! `watch`: each write of the protocol is told by its name.

use std::time::Duration;

use election_core::wire::{self, Item};
use election_core::{LeaderLease, LeaseSeconds, LeaseWrite, Revision, Wall};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kubectl_leases::happenings::{Happening, Memory};
use serde_json::json;

use crate::fixtures::{blanked, candidate, fresh, held, ordinary};
use crate::stage::Stage;

const KEY: &str = "default/demo";

fn leader(lease: &Lease) -> LeaderLease {
    wire::read_leader(lease).unwrap()
}

fn words(happenings: Vec<Happening>) -> Vec<String> {
    let word = |one: Happening| {
        let who = one.who.unwrap_or_else(|| "-".to_owned());
        format!("{} {who} {}", one.what.as_str(), one.detail)
            .trim_end()
            .to_owned()
    };
    happenings.into_iter().map(word).collect()
}

/// A lease that is written again and again, each time 100 ms after the time before.
struct Story {
    memory: Memory,
    lease: LeaderLease,
    now: Duration,
}

impl Story {
    fn of(lease: &Lease) -> Self {
        let lease = leader(lease);
        let mut memory = Memory::default();
        memory.begin(Item::Leader(lease.clone()));
        Self {
            memory,
            lease,
            now: Duration::ZERO,
        }
    }

    fn write(&mut self, write: impl FnOnce(&LeaderLease) -> LeaseWrite) -> Vec<String> {
        let lease = write(&self.lease).applied_to(&self.lease, Revision::new("9999"));
        self.see(lease)
    }

    fn see(&mut self, lease: LeaderLease) -> Vec<String> {
        self.now += Duration::from_millis(100);
        self.lease = lease.clone();
        words(self.memory.change(self.now, Item::Leader(lease)))
    }
}

const S: LeaseSeconds = LeaseSeconds::LEADER;

fn at(micros: i64) -> Wall {
    Wall::from_micros(micros)
}

#[test]
fn a_handover_is_told_step_by_step() {
    let mut story = Story::of(&fresh(KEY));
    assert_eq!(
        story.write(|lease| lease.offer(&"new".into(), S)),
        ["Offered new"]
    );
    assert_eq!(
        story.write(|lease| lease.accept(&"new".into(), &"1".into(), S, at(5))),
        ["Accepted new 100 ms after the offer; nobody led for 100 ms"]
    );
    assert_eq!(story.write(|lease| lease.renew(S, at(6))), [""; 0]);
    assert_eq!(
        story.write(|lease| lease.nominate(Some(&"old".into()))),
        ["Nominated old to succeed new"]
    );
    assert_eq!(
        story.write(|lease| lease.end_of_term(&"old".into())),
        ["EndOfTerm new old asks for it; 100 ms after the nomination"]
    );
    assert_eq!(
        story.write(|lease| lease.hand_over(&"old".into())),
        ["HandedOver old by new; it led for 400 ms"]
    );
    assert_eq!(
        story.write(|lease| lease.accept(&"old".into(), &"2".into(), S, at(9))),
        ["Accepted old 100 ms after the offer; nobody led for 100 ms"]
    );
    assert_eq!(
        story.write(|lease| lease.nominate(Some(&"x".into()))),
        ["Nominated x to succeed old"]
    );
    assert_eq!(story.write(|lease| lease.nominate(None)), ["Cleared -"]);
    assert_eq!(
        story.write(|lease| lease.release(2, at(10))),
        ["Released old it led for 300 ms"]
    );
    assert_eq!(
        story.write(|lease| lease.offer(&"x".into(), S)),
        ["Offered x nobody led for 100 ms"]
    );
    assert_eq!(
        story.write(|lease| lease.offer(&"y".into(), S)),
        ["Offered y x did not accept for 100 ms"]
    );
    assert_eq!(story.write(|lease| lease.decline(at(12))), ["Declined y"]);
}

#[test]
fn an_expired_lease_is_told_once_and_goes_to_the_next_one() {
    let mut story = Story::of(&held(KEY, "old", 4, json!({})));
    let key = KEY.parse().unwrap();
    let expired = story.memory.expire(Duration::from_millis(50), &key);
    assert_eq!(words(expired.into_iter().collect()), ["Expired old"]);
    assert!(story.memory.expire(Duration::from_millis(60), &key).is_none());
    assert_eq!(
        story.write(|lease| lease.offer(&"new".into(), S)),
        ["Offered new old had held it"]
    );
    assert_eq!(
        story.write(|lease| lease.accept(&"new".into(), &"1".into(), S, at(5))),
        ["Accepted new 100 ms after the offer; nobody led for 150 ms"]
    );
}

#[test]
fn what_strangers_do_is_told() {
    let mut story = Story::of(&held(KEY, "old", 4, json!({})));
    assert_eq!(story.see(leader(&blanked(KEY, 3))), ["Blanked old"]);
    assert_eq!(
        story.see(leader(&ordinary(KEY, "client-go-7", 1))),
        ["Claimed client-go-7 nobody led for 100 ms"]
    );
    let mut again = leader(&fresh(KEY));
    again.uid = election_core::Uid::new("another");
    assert_eq!(
        story.see(again),
        ["Deleted client-go-7 it led for 100 ms", "Created -"]
    );
    let gone = story.memory.delete(story.now, &KEY.parse().unwrap());
    assert_eq!(words(gone), ["Deleted -"]);
}

#[test]
fn candidates_come_go_and_are_refused() {
    let mut memory = Memory::default();
    let mut see = |lease: Lease| words(memory.change(Duration::ZERO, wire::read(&lease).unwrap()));
    let one = |leads: &str, version: &str| candidate("default/alpha", leads, version, version, 3);
    assert_eq!(
        see(one(KEY, "1.29")),
        ["Joined alpha emulation 1.29, binary 1.29"]
    );
    assert_eq!(see(one(KEY, "1.29")), [""; 0]);
    assert_eq!(see(one("", "1.29")), ["Left alpha it offers itself no more"]);
    let refused = see(one(KEY, "latest"));
    assert!(
        refused[0] == "Joined alpha" && refused[1].starts_with("Refused alpha its binary version"),
        "{refused:?}"
    );
    assert_eq!(see(one(KEY, "latest")), [""; 0], "it is told once");
    let gone = memory.delete(Duration::ZERO, &"default/alpha".parse().unwrap());
    assert_eq!(words(gone), ["Left alpha its identity lease is gone"]);
}

#[tokio::test]
async fn changes_are_printed_as_they_happen() {
    let stage = Stage::with(vec![
        held(KEY, "old", 4, json!({})),
        held("default/other", "old", 4, json!({})),
        candidate("default/old", KEY, "1.29", "1.29", 3),
    ])
    .await;
    let leases: Api<Lease> = Api::namespaced(stage.plane.client_as("test"), "default");
    let story = async {
        // The watch has begun when its request has been counted.
        while stage.watches() == 0 {
            tokio::task::yield_now().await;
        }
        let nominate =
            json!({"metadata": {"annotations": {"coordinated-election.io/preferred-holder": "new"}}});
        for name in ["other", "demo"] {
            let patch = Patch::Merge(&nominate);
            leases.patch(name, &PatchParams::default(), &patch).await.unwrap();
        }
    };
    let wanted = |text: &str| text.lines().count() == 2;
    let text = stage.run_during("watch demo", story, wanted).await;
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].contains("Is         old") && lines[0].ends_with("Held"),
        "{text}"
    );
    assert!(
        lines[1].contains("Nominated  new") && lines[1].ends_with("to succeed old"),
        "{text}"
    );
    assert!(lines[1].starts_with("2026-05-01T12:00:00."), "{text}");
}

#[test]
fn what_people_ask_for_is_told() {
    let mut story = Story::of(&held(KEY, "alpha", 0, json!({})));
    let mut asked = |notes: serde_json::Value| story.see(leader(&held(KEY, "alpha", 0, notes)));
    assert_eq!(
        asked(json!({
            "coordinated-election.io/hold": "90s by alice",
            "coordinated-election.io/step-down": "alpha/1",
            "coordinated-election.io/step-down-to": "bravo",
        })),
        ["Asked - hold for 90s, step-down of alpha for bravo"]
    );
    let pin = json!({"coordinated-election.io/pin": "bravo"});
    assert_eq!(asked(pin.clone()), ["Asked - pin bravo"]);
    assert_eq!(asked(pin), [""; 0]);
    assert_eq!(asked(json!({})), ["Asked - nothing any more"]);
}
