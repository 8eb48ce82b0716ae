//! `-o json` and `-o yaml` of every command that has them, whole: programs read them, and people who write such programs.

use serde_json::json;

use crate::fixtures::{candidate, electors, hand_written, held, noted, sample};
use crate::stage::Stage;

const KEY: &str = "default/demo";

/// What differs from run to run is said to: a time that goes on by fractions of a second, and what a server makes up.
fn steady(text: &str) -> String {
    let steady = |line: &str| {
        let known = line
            .split_once(": ")
            .filter(|(field, value)| match field.trim_matches([' ', '"']) {
                "uid" => true,
                "time" => value.contains("T12:00:00."),
                _ => false,
            });
        let comma = if line.ends_with(',') { "," } else { "" };
        known.map_or_else(|| line.to_owned(), |(field, _)| format!("{field}: VARIES{comma}"))
    };
    text.lines().map(|line| steady(line) + "\n").collect()
}

async fn screens(stage: &Stage, commands: &[&str]) -> String {
    let mut shown = Vec::new();
    for command in commands {
        shown.push(steady(&stage.screen(command).await));
    }
    shown.join("\n")
}

async fn stage() -> Stage {
    let asked = json!({"coordinated-election.io/hold": "7200s asked by alice at 2026-05-01T11:50:00Z"});
    Stage::with(vec![
        electors(2),
        noted(held(KEY, "old", 4, asked), "coordinated-election.io/hold", 600),
        candidate("default/new", KEY, "1.30", "1.30", 3),
        candidate("default/old", KEY, "1.29", "1.29", 3),
        hand_written("default/paper", KEY, "1.28"),
    ])
    .await
}

#[tokio::test]
async fn leases() {
    let stage = stage().await;
    let commands = [
        "status -o json",
        "status -o yaml",
        "status demo -o json",
        "status -n nowhere -o yaml",
    ];
    insta::assert_snapshot!(screens(&stage, &commands).await);
}

#[tokio::test]
async fn candidates() {
    let stage = Stage::with(sample()).await;
    let commands = [
        "candidates -n kube-system -o json",
        "candidates sample-controller -n kube-system --problems -o yaml",
        "candidates -o json",
    ];
    insta::assert_snapshot!(screens(&stage, &commands).await);
}

#[tokio::test]
async fn explanations() {
    let stage = stage().await;
    insta::assert_snapshot!(screens(&stage, &["explain demo -o json", "explain demo -o yaml"]).await);
}

#[tokio::test]
async fn timelines() {
    let stage = stage().await;
    insta::assert_snapshot!(screens(&stage, &["timeline demo -o json", "timeline demo -o yaml"]).await);
}

#[tokio::test]
async fn leases_that_are_steered() {
    let stage = stage().await;
    let commands = [
        "step-down demo --yes -o json",
        "hold demo --for 1h --yes -o yaml",
        "release-hold demo --yes -o json",
        "pin demo new --dry-run=server -o yaml",
        "unpin demo --yes -o json",
        "forget paper --yes -o yaml",
    ];
    let mut shown = Vec::new();
    for command in commands {
        // What is said before is no part of the object.
        shown.push(format!(
            "$ kubectl leases {command}\n{}",
            steady(&stage.run(command).await.stdout)
        ));
    }
    insta::assert_snapshot!(shown.join("\n"));
}
