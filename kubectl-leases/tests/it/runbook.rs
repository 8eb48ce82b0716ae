//! The states in docs/operating.md: each word of the column STATE has its meaning there, and a screen of a lease that is in it,
//! beside what `explain` or `doctor` says of that lease.

use std::collections::BTreeSet;

use futures::future::join_all;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::SignedDuration;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use kubectl_leases::choice::words;
use local_controlplane::simulate_wall;
use serde_json::{Value, json};

use crate::fixtures::{
    blanked, candidate, deleting, electors, fresh, held, noted, offered, ordinary, released,
};
use crate::stage::{self, Stage, documented};

const KEY: &str = "default/demo";

/// What stands below the row of a lease.
#[derive(Clone, Copy)]
enum Look {
    /// Why, and what happens next.
    Explain,
    /// What is wrong, and what to do.
    Doctor,
}

/// A lease that is in a state, beside alpha (1.29), which is better than bravo (1.30).
fn scenes() -> Vec<(&'static str, Vec<Lease>, Look)> {
    let nominated = json!({"coordinated-election.io/preferred-holder": "alpha"});
    let ending = json!({
        "coordinated-election.io/preferred-holder": "alpha",
        "coordination.k8s.io/end-of-term": "true",
    });
    let among = |lease: Lease| {
        vec![
            electors(2),
            candidate("default/alpha", KEY, "1.29", "1.29", 12),
            candidate("default/bravo", KEY, "1.30", "1.30", 20),
            lease,
        ]
    };
    let stuck = vec![
        electors(2),
        candidate("default/alpha", KEY, "1.29", "1.29", 400),
        candidate("default/bravo", KEY, "latest", "1.30", 20),
        released(KEY, 60),
    ];
    let expired = lasting(held(KEY, "bravo", 100, json!({})));
    let held_by_alpha = held(KEY, "alpha", 4, json!({}));
    let held = |holder, renewed, more| among(held(KEY, holder, renewed, more));
    vec![
        ("Held", held("alpha", 4, json!({})), Look::Explain),
        ("Nominated", held("bravo", 4, nominated), Look::Explain),
        ("Ending", held("bravo", 4, ending), Look::Explain),
        ("Expired", among(expired), Look::Explain),
        (
            "OrdinaryHolder",
            among(lasting(ordinary(KEY, "client-go-7", 4))),
            Look::Doctor,
        ),
        // Offered in a moment, so that a slow machine has a while before nobody has accepted it in time.
        ("Offered", among(offered(KEY, "alpha", -1)), Look::Explain),
        ("Unanswered", among(offered(KEY, "alpha", 9)), Look::Doctor),
        ("Released", among(released(KEY, 1)), Look::Explain),
        ("Blanked", among(lasting(blanked(KEY, 1))), Look::Explain),
        ("Stuck", stuck, Look::Doctor),
        ("OnHold", among(asked("bravo", "hold", "7200s")), Look::Explain),
        ("Pinned", among(asked("bravo", "pin", "bravo")), Look::Explain),
        (
            "SteppingDown",
            among(asked("alpha", "step-down", "alpha/1")),
            Look::Explain,
        ),
        ("Deleting", among(deleting(held_by_alpha, 600)), Look::Doctor),
    ]
}

/// The same with a duration of which whole seconds are said: tenths depend on how fast this machine is.
fn lasting(mut lease: Lease) -> Lease {
    lease.spec.as_mut().unwrap().lease_duration_seconds = Some(90);
    lease
}

/// A lease of whose election somebody asked something ten minutes ago.
fn asked(holder: &str, what: &str, value: &str) -> Lease {
    let annotation = format!("coordinated-election.io/{what}");
    let value = format!("{value} asked by alice at 2026-05-01T11:50:00Z: database migration");
    let notes: Value = [(annotation.clone(), Value::String(value))].into_iter().collect();
    noted(held(KEY, holder, 4, notes), &annotation, 600)
}

/// The row of the lease, and what matters of what is said about it.
async fn screen(stage: &Stage, look: Look) -> String {
    let row = stage.screen("status").await;
    let more = match look {
        Look::Explain => explained(&stage.screen("explain demo").await),
        Look::Doctor => {
            let found = stage.screen("doctor demo --quiet").await;
            let (findings, _) = found.split_once("\n\n").expect("a summary comes last");
            format!("{findings}\n…\n")
        }
    };
    format!("{row}\n{more}")
}

/// Of what `explain` prints: what somebody asked for, the reason, and what happens next.
fn explained(screen: &str) -> String {
    let mut shown = String::new();
    let mut keeps = true;
    for line in screen.lines() {
        let kept = match line {
            line if line.starts_with(['$', 'A']) => true,
            line if line.starts_with("Because:") || line.starts_with("What happens next:") => true,
            // A line that goes on.
            line if line.starts_with(' ') => keeps,
            _ => false,
        };
        match (keeps, kept) {
            (_, true) => shown += &format!("{line}\n"),
            (true, false) => shown += "…\n",
            (false, false) => {}
        }
        keeps = kept;
    }
    shown
}

#[tokio::test]
async fn a_lease_in_each_state_is_shown_beside_what_happens_next_or_what_to_do() {
    let mut screens = Vec::new();
    let mut looking = Vec::new();
    for (word, leases, look) in scenes() {
        let stage = Stage::with(leases).await;
        match look {
            Look::Explain => screens.push((word, screen(&stage, look).await)),
            // It looks for seconds, so these look at the same time.
            Look::Doctor => looking.push(async move { (word, screen(&stage, look).await) }),
        }
    }
    screens.extend(join_all(looking).await);
    for (word, screen) in screens {
        assert!(shows(&screen, word), "the lease should be {word}:\n{screen}");
        documented(word, &screen);
    }
}

/// The elector has yet to see what was created just now.
#[tokio::test]
async fn a_lease_that_nobody_held_yet_is_shown_before_it_is_offered() {
    for (word, there) in [("Missing", false), ("Fresh", true)] {
        let stage = Stage::with(vec![electors(2)]).await;
        simulate_wall(stage::now() - SignedDuration::from_secs(1));
        let mut leases = vec![candidate("default/alpha", KEY, "1.29", "1.29", 1)];
        leases.extend(there.then(|| fresh(KEY)));
        for mut lease in leases {
            (lease.metadata.uid, lease.metadata.resource_version) = (None, None);
            let api: Api<Lease> = Api::namespaced(stage.plane.client_as("test"), "default");
            api.create(&PostParams::default(), &lease).await.unwrap();
        }
        simulate_wall(stage::now());
        documented(word, &screen(&stage, Look::Explain).await);
    }
}

#[tokio::test]
async fn a_lease_of_a_program_that_takes_no_part_is_shown_with_all() {
    let stage = Stage::with(vec![ordinary(KEY, "client-go-7", 4)]).await;
    let none = stage.screen("status").await;
    documented(
        "NotCoordinated",
        &format!("{none}\n{}", stage.screen("status --all").await),
    );
}

#[tokio::test]
async fn a_lease_that_is_deleted_has_a_last_line() {
    let stage = Stage::with(vec![released(KEY, 300)]).await;
    let story = async {
        while stage.watches() == 0 {
            tokio::task::yield_now().await;
        }
        let leases: Api<Lease> = Api::namespaced(stage.plane.client(), "default");
        leases.delete("demo", &DeleteParams::default()).await.unwrap();
    };
    let shown = stage.run_during("status --watch", story, |text| text.contains("Deleted"));
    documented(
        "Deleted",
        &format!("$ kubectl leases status --watch\n{}", shown.await),
    );
}

/// Whether the row of a lease has a word in its state.
fn shows(screen: &str, word: &str) -> bool {
    screen
        .lines()
        .flat_map(str::split_whitespace)
        .any(|cell| cell.split(',').any(|one| one == word))
}

/// What stands below a heading, up to the next one.
fn section<'a>(document: &'a str, anchor: &str) -> Option<&'a str> {
    let heading = |line: &str| {
        let title = line.trim_start_matches('#').trim();
        line.starts_with("##") && title.to_lowercase().replace(' ', "-") == anchor
    };
    let mut lines = document.split_inclusive('\n');
    let begin: usize = lines
        .by_ref()
        .take_while(|line| !heading(line))
        .map(str::len)
        .sum();
    let below = document.get(begin..).filter(|below| !below.is_empty())?;
    let end = below[1..].find("\n##").map_or(below.len(), |end| end + 1);
    Some(&below[..end])
}

#[test]
fn every_word_of_a_state_has_its_meaning_and_its_screen() {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operating.md");
    let document = std::fs::read_to_string(document).unwrap();
    let links = document.lines().filter_map(|line| {
        let (state, rest) = line.strip_prefix("| [`")?.split_once("`](#")?;
        Some((state.rsplit(',').next()?, rest.split_once(')')?.0))
    });
    let links: Vec<(&str, &str)> = links.collect();
    let words: BTreeSet<&str> = words().chain(["Deleted"]).collect();
    let explained: BTreeSet<&str> = links.iter().map(|(word, _)| *word).collect();
    assert_eq!(
        explained, words,
        "the table of states in docs/operating.md has a row for each word that `status` prints, and for no other"
    );
    for (word, anchor) in links {
        let section = section(&document, anchor)
            .unwrap_or_else(|| panic!("docs/operating.md has no heading #{anchor}, for {word}"));
        let (_, screen) = section
            .split_once("```console\n")
            .unwrap_or_else(|| panic!("docs/operating.md has no screen below #{anchor}, for {word}"));
        assert!(
            shows(screen, word),
            "docs/operating.md, #{anchor}: the screen shows no lease that is {word}"
        );
    }
}
