//! What each command prints, as people and programs read it.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::errors::plugin;
use crate::fixtures::{candidate, electors, held, sample};
use crate::stage::Stage;

/// What several commands print, one after the other.
async fn screens(stage: &Stage, commands: &[&str]) -> String {
    let mut shown = Vec::new();
    for command in commands {
        shown.push(stage.screen(command).await);
    }
    shown.join("\n")
}

/// A page of the list has 500.
#[tokio::test]
async fn more_leases_than_two_pages_hold_are_all_there() {
    let name = |number: usize| format!("lease-{number:04}");
    let lease = |number| held(&format!("default/{}", name(number)), "alpha", 4, json!({}));
    let stage = Stage::with((0..1_201).map(lease).collect()).await;
    let screen = stage.run("status --no-headers").await.stdout;
    let shown: Vec<&str> = screen
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let names: Vec<String> = (0..1_201).map(name).collect();
    assert_eq!(shown, names);
}

#[tokio::test]
async fn candidates_in_all_forms() {
    let stage = Stage::with(sample()).await;
    let place = "-n kube-system";
    let forms = [
        "",
        " --problems",
        " -o wide",
        " --no-headers",
        " -o name",
        " -o custom-columns=ID:.identity,RANK:.rank",
    ];
    let commands = forms.map(|form| format!("candidates sample-controller {place}{form}"));
    insta::assert_snapshot!(screens(&stage, &commands.each_ref().map(String::as_str)).await);
    let one = |text: &str| text.split("\n").take(24).collect::<Vec<_>>().join("\n");
    let json = stage.run(&format!("candidates {place} -o json")).await.stdout;
    let list: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 5);
    insta::assert_snapshot!("candidates_json", one(&json));
    let yaml = stage.run(&format!("candidates {place} -o yaml")).await.stdout;
    insta::assert_snapshot!("candidates_yaml", one(&yaml));
}

#[tokio::test]
async fn nothing_is_said_in_words() {
    let stage = Stage::with(vec![electors(2)]).await;
    let commands = [
        "status",
        "status -A",
        "status --all -n nowhere",
        "status --problems",
        "candidates",
        "candidates -A --problems",
        "status -o name",
    ];
    insta::assert_snapshot!(screens(&stage, &commands).await);
}

#[tokio::test]
async fn versions_in_all_forms() {
    let stage = Stage::with(Vec::new()).await;
    let shown = screens(
        &stage,
        &[
            "version",
            "version --client",
            "version -o json",
            "version -o yaml",
        ],
    )
    .await;
    insta::assert_snapshot!(shown.replace(env!("CARGO_PKG_VERSION"), "X.Y.Z"));
}

const KEY: &str = "default/demo";

/// A handover, and what else can happen to a lease.
async fn story(stage: &Stage, pause: Duration) {
    let leases: Api<Lease> = Api::namespaced(stage.plane.client(), "default");
    let patched = async |change: Value| {
        leases
            .patch("demo", &PatchParams::default(), &Patch::Merge(change))
            .await
            .unwrap();
        #[expect(clippy::disallowed_methods, reason = "changes that come one by one")]
        tokio::time::sleep(pause).await;
    };
    let annotate = |key: &str, value: Value| json!({"metadata": {"annotations": {key: value}}});
    while stage.watches() == 0 {
        tokio::task::yield_now().await;
    }
    patched(annotate("coordinated-election.io/preferred-holder", json!("new"))).await;
    patched(annotate("coordination.k8s.io/end-of-term", json!("true"))).await;
    patched(json!({
        "metadata": {"annotations": {
            "coordination.k8s.io/end-of-term": null,
            "coordinated-election.io/preferred-holder": null,
            "coordinated-election.io/incarnation": null,
        }},
        "spec": {"holderIdentity": "new", "renewTime": null, "acquireTime": null},
    }))
    .await;
    patched(json!({
        "metadata": {"annotations": {"coordinated-election.io/incarnation": "1"}},
        "spec": {"renewTime": "2026-05-01T12:00:00.000000Z", "acquireTime": "2026-05-01T12:00:00.000000Z"},
    }))
    .await;
    patched(annotate(
        "coordinated-election.io/hold",
        json!("600s asked by alice"),
    ))
    .await;
    let mut third = candidate("default/third", KEY, "1.31", "1.31", 0);
    (third.metadata.uid, third.metadata.resource_version) = (None, None);
    leases.create(&PostParams::default(), &third).await.unwrap();
    leases.delete("third", &DeleteParams::default()).await.unwrap();
    leases.delete("demo", &DeleteParams::default()).await.unwrap();
}

async fn stage() -> Stage {
    Stage::with(vec![
        held(KEY, "old", 4, json!({})),
        candidate("default/old", KEY, "1.30", "1.30", 3),
        candidate("default/new", KEY, "1.29", "1.29", 3),
    ])
    .await
}

/// When things were seen differs, and how long they took.
fn at_no_time(text: &str) -> String {
    let mut shown = String::new();
    for line in text.lines() {
        let mut words: Vec<&str> = line.split(' ').collect();
        for at in 0..words.len() {
            let bare = words[at].trim_matches(['"', ',', '\'']);
            if bare.starts_with("2026-05-01T12:00:0") || bare.contains(r#""time":"2026-"#) {
                words[at] = "TIME";
            } else if words.get(at + 1).is_some_and(|next| next.starts_with("ms")) {
                words[at] = "7";
            }
        }
        let line = words.join(" ");
        // A stamp that ends with zeros is shorter.
        match line.strip_prefix("TIME ") {
            Some(rest) => shown.push_str(&format!("TIME {}", rest.trim_start())),
            None => shown.push_str(&line),
        }
        shown.push('\n');
    }
    shown
}

#[tokio::test]
async fn what_happens_as_lines_and_for_programs() {
    let ended = |text: &str| text.contains("Deleted");
    for (form, args) in [("lines", ""), ("yaml", " -o yaml")] {
        let stage = stage().await;
        let printed = stage
            .run_during(
                &format!("watch -n default{args}"),
                story(&stage, Duration::ZERO),
                ended,
            )
            .await;
        insta::assert_snapshot!(format!("watch_{form}"), at_no_time(&printed));
    }
    let stage = stage().await;
    let printed = stage
        .run_during(
            "watch demo -n default -o json",
            story(&stage, Duration::ZERO),
            ended,
        )
        .await;
    let what = printed.lines().map(|line| {
        let happening: Value = serde_json::from_str(line).unwrap();
        assert!(
            happening["time"]
                .as_str()
                .unwrap()
                .starts_with("2026-05-01T12:00:0")
        );
        assert_eq!(happening["lease"], KEY);
        happening["what"].as_str().unwrap().to_owned()
    });
    let wanted = [
        "Is",
        "Nominated",
        "EndOfTerm",
        "HandedOver",
        "Accepted",
        "Asked",
        "Joined",
        "Left",
        "Deleted",
    ];
    assert_eq!(what.collect::<Vec<_>>(), wanted);
}

#[tokio::test]
async fn a_watched_status_says_each_change() {
    let stage = stage().await;
    // Longer than changes are gathered for.
    let slowly = story(&stage, Duration::from_millis(400));
    let printed = stage
        .run_during("status -n default --watch", slowly, |text| {
            text.contains("Missing")
        })
        .await;
    let mut states: Vec<String> = printed
        .lines()
        .map(|line| line.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
        // How long the offer stands depends on this machine.
        .map(|line| line.replace(",Unanswered", ""))
        .collect();
    states.dedup();
    insta::assert_snapshot!(states.join("\n"));
}

/// What `--help` prints, at the width of the text itself.
#[tokio::test]
async fn each_command_has_its_help() {
    for command in [
        "",
        "status",
        "candidates",
        "watch",
        "top",
        "completion",
        "version",
        "man",
    ] {
        let args: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let ended = plugin(&args).await;
        assert!(!ended.failed && ended.stderr.is_empty(), "{command}");
        insta::assert_snapshot!(format!("help_{command}"), ended.stdout);
    }
}

#[tokio::test]
async fn man_pages_say_what_help_says() {
    let folder = tempfile::tempdir().unwrap();
    assert!(!plugin(&["man", folder.path().to_str().unwrap()]).await.failed);
    let mut pages: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    insta::assert_snapshot!("man_pages", pages.join("\n"));
    let page = std::fs::read_to_string(folder.path().join("kubectl-leases-candidates.1")).unwrap();
    insta::assert_snapshot!("man_candidates", page);
}
