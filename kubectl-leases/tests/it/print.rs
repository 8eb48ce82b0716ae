//! The forms of output, as snapshots.

use kubectl_leases::choice::{Choice, Order};
use kubectl_leases::output::{Format, Printer};
use kubectl_leases::table::Shape;

use serde_json::json;

use crate::fixtures::{candidate, cluster, every_state, held, sample, survey};
use crate::stage::Stage;

fn table(format: Option<Format>, shape: Shape) -> String {
    let mut out = Vec::new();
    Printer::new(format, false, shape)
        .print(&mut out, survey(&cluster()).coordinated())
        .unwrap();
    String::from_utf8(out).unwrap()
}

fn one(format: Option<Format>) -> String {
    let mut out = Vec::new();
    let status = survey(&sample())
        .one(&"kube-system/sample-controller".parse().unwrap())
        .unwrap();
    Printer::new(format, true, Shape::default())
        .print(&mut out, vec![status])
        .unwrap();
    String::from_utf8(out).unwrap()
}

const ALL: Shape = Shape {
    namespace: true,
    wide: false,
    headers: true,
    color: false,
};

#[test]
fn table_of_all_namespaces() {
    insta::assert_snapshot!(table(None, ALL));
}

#[test]
fn table_wide() {
    insta::assert_snapshot!(table(Some(Format::Wide), ALL));
}

#[test]
fn table_without_headers_and_namespace() {
    let text = table(None, Shape::default());
    assert!(!text.contains("NAME") && text.starts_with("demo "), "{text}");
}

#[test]
fn names() {
    let text = table(Some(Format::Name), ALL);
    assert_eq!(text.lines().next(), Some("lease.coordination.k8s.io/demo"));
}

#[test]
fn one_lease_in_full() {
    insta::assert_snapshot!(one(None));
}

#[test]
fn one_lease_as_json() {
    insta::assert_snapshot!(one(Some(Format::Json)));
}

#[test]
fn one_lease_as_yaml() {
    insta::assert_snapshot!(one(Some(Format::Yaml)));
}

#[test]
fn lines_of_the_table_stay_within_what_a_terminal_shows() {
    let text = table(
        None,
        Shape {
            headers: true,
            ..Shape::default()
        },
    );
    for line in text.lines() {
        assert!(
            line.chars().count() <= 110,
            "{} columns: {line}",
            line.chars().count()
        );
    }
}

#[test]
fn a_list_is_an_object_with_items() {
    let list: serde_json::Value = serde_json::from_str(&table(Some(Format::Json), ALL)).unwrap();
    assert_eq!(list["kind"], "LeaseStatusList");
    assert_eq!(list["items"].as_array().unwrap().len(), 4);
    assert_eq!(list["items"][0]["observed"]["source"], "ServerDate");
}

#[test]
fn an_offer_without_a_noted_time_says_so() {
    use crate::fixtures::{hand_written, offered};
    let described = |noted: bool| {
        let mut lease = offered("default/demo", "paper", 90);
        if !noted {
            lease.metadata.managed_fields = None;
        }
        let leases = [lease, hand_written("default/paper", "default/demo", "1.29")];
        let status = survey(&leases).one(&"default/demo".parse().unwrap()).unwrap();
        let mut out = Vec::new();
        Printer::new(None, true, Shape::default())
            .print(&mut out, vec![status])
            .unwrap();
        String::from_utf8(out).unwrap()
    };
    assert!(
        described(true).contains("Offered:     90s ago"),
        "{}",
        described(true)
    );
    assert!(described(false).contains("has not noted"), "{}", described(false));
}

#[test]
fn a_state_has_its_colour_and_columns_stay_straight() {
    let plain = table(None, ALL);
    let colored = table(None, Shape { color: true, ..ALL });
    assert!(
        colored.contains("\u{1b}[32mHeld\u{1b}[0m")
            && colored.contains("\u{1b}[31mOffered,Unanswered\u{1b}[0m")
    );
    let mut bare = colored;
    for code in ["\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[0m"] {
        bare = bare.replace(code, "");
    }
    assert_eq!(bare, plain);
}

#[test]
fn a_live_table_is_painted_over_the_one_before() {
    let mut printer = Printer::new(None, false, ALL);
    let mut screen = avt::Terminal::new(120, 20).unwrap();
    for leases in [cluster(), sample()] {
        let mut out = Vec::new();
        let statuses = survey(&leases).coordinated();
        printer.repaint(&mut out, &statuses, Some((120, 20))).unwrap();
        screen.feed(String::from_utf8(out).unwrap().as_str());
    }
    let lines: Vec<String> = screen
        .screen()
        .visible_lines()
        .map(|line| line.text().trim_end().to_owned())
        .collect();
    assert!(
        lines[0].starts_with("NAMESPACE") && lines[1].contains("sample-controller"),
        "{lines:#?}"
    );
    assert!(
        lines[2..].iter().all(String::is_empty),
        "nothing of the longer table is left: {lines:#?}"
    );
}

#[test]
fn a_live_table_has_the_size_of_the_terminal() {
    let size = (60, 8);
    let mut screen = avt::Terminal::new(size.0.into(), size.1.into()).unwrap();
    let mut printer = Printer::new(Some(Format::Wide), false, Shape { color: true, ..ALL });
    for _ in 0..2 {
        let mut out = Vec::new();
        let statuses = survey(&every_state()).coordinated();
        printer.repaint(&mut out, &statuses, Some(size)).unwrap();
        screen.feed(String::from_utf8(out).unwrap().as_str());
    }
    let lines: Vec<String> = screen.screen().visible_lines().map(|line| line.text()).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn every_word_of_a_state_can_be_asked_for() {
    let all = Choice {
        all: true,
        ..Choice::default()
    };
    for status in all.of(&survey(&[every_state(), cluster()].concat())) {
        for word in status.state_words().split(',') {
            let args = [
                "kubectl-leases",
                "status",
                "--state",
                word,
                "--kubeconfig",
                "/nonexistent",
            ];
            let ended = crate::errors::plugin(&args[1..]).await;
            assert!(
                ended.stderr.starts_with("error: kubeconfig"),
                "{word}: {}",
                ended.stderr
            );
        }
    }
}

fn chosen(choice: &Choice) -> Vec<String> {
    let statuses = choice.of(&survey(&every_state()));
    statuses.into_iter().map(|status| status.name).collect()
}

#[test]
fn leases_are_chosen_and_sorted() {
    let problems = Choice {
        problems: true,
        ..Choice::default()
    };
    assert_eq!(
        chosen(&problems),
        [
            "expired",
            "fresh",
            "missing",
            "ordinary",
            "overdue",
            "stuck",
            "unanswered",
            "unattended",
            "under-deletion"
        ]
    );
    let states = Choice {
        states: vec!["ending".to_owned(), "Missing".to_owned()],
        ..Choice::default()
    };
    assert_eq!(chosen(&states), ["ending", "missing", "overdue"]);
    let by_state = Choice {
        order: Order::State,
        ..problems.clone()
    };
    assert_eq!(chosen(&by_state)[0], "fresh");
    let by_renewal = Choice {
        order: Order::Renewed,
        ..Choice::default()
    };
    assert_eq!(chosen(&by_renewal)[..2], ["stuck", "unattended"]);
}

#[test]
fn leases_of_other_programs_are_shown_when_asked_for() {
    let all = Choice {
        all: true,
        ..Choice::default()
    };
    let statuses = all.of(&survey(&cluster()));
    let ordinary = statuses.iter().find(|status| status.name == "ordinary").unwrap();
    assert_eq!(
        (
            ordinary.state_words().as_str(),
            ordinary.renewed_seconds_ago,
            ordinary.is_problem()
        ),
        ("Held,NotCoordinated", Some(5), false)
    );
    assert!(
        !statuses
            .iter()
            .any(|status| status.namespace == "kube-node-lease")
    );
    assert!(
        !Choice::default()
            .of(&survey(&cluster()))
            .iter()
            .any(|status| status.name == "ordinary")
    );
}

#[test]
fn columns_and_templates_of_ones_own() {
    let text = |format: &str| table(Some(format.parse().unwrap()), ALL);
    insta::assert_snapshot!(text(
        "custom-columns=LEASE:.name,LEADER:.holder,WORDS:.conditions[*]"
    ));
    assert_eq!(text("jsonpath={.items[*].holder}"), "old paper bravo");
    // As for the objects of Kubernetes themselves.
    assert_eq!(
        text("jsonpath={.items[*].metadata.name}"),
        text("jsonpath={.items[*].name}")
    );
    assert_eq!(
        text("jsonpath-as-json={.items[0].metadata.namespace}"),
        "[\n  \"default\"\n]\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    };
    let columns = file(
        "columns",
        "LEASE   LEADER   WORDS\n.name   .holder  .conditions[*]\n",
    );
    assert_eq!(
        text(&format!("custom-columns-file={columns}")),
        text("custom-columns=LEASE:.name,LEADER:.holder,WORDS:.conditions[*]")
    );
    let template = file("jsonpath", "{.items[*].holder}");
    assert_eq!(text(&format!("jsonpath-file={template}")), "old paper bravo");
    let template = file("go", "{{(index .items 0).metadata.name}}");
    assert_eq!(text(&format!("go-template-file={template}")), "demo");
}

/// What can be written into a lease by whoever may write leases at all.
const HOSTILE: &str = "evil\u{1b}]0;pwned\u{7}\u{1b}[2J\nkube-system   fine   Held\u{9b}31m\u{202e}";

#[tokio::test]
async fn what_a_lease_says_controls_no_terminal() {
    let asked = json!({"coordinated-election.io/hold": format!("600s asked by {HOSTILE}")});
    let mut leases = vec![
        held("default/demo", HOSTILE, 4, asked),
        held(
            "default/other",
            "alpha",
            4,
            json!({"coordinated-election.io/pin": HOSTILE}),
        ),
        candidate("default/alpha", "default/demo,default/other", "1.29", "1.29", 3),
    ];
    let versions = leases[2].metadata.annotations.as_mut().unwrap();
    versions.insert(
        "coordination.k8s.io/binary-version".to_owned(),
        HOSTILE.to_owned(),
    );
    let stage = Stage::with(leases).await;
    let commands = [
        "status",
        "status -o wide",
        "status demo",
        "status other",
        "status -o custom-columns=H:.holder,N:.name",
        "explain demo",
        "explain other",
        "candidates",
        "doctor",
        "timeline demo",
        "pin demo alpha --dry-run",
    ];
    let mut shown = String::new();
    for command in commands {
        let ended = stage.run(&format!("{command} -n default")).await;
        for text in [&ended.stdout, &ended.stderr] {
            let bad = text.chars().find(|letter| {
                *letter != '\n' && (letter.is_control() || matches!(letter, '\u{200e}'..='\u{202e}'))
            });
            assert_eq!(bad, None, "{command}: {text:?}");
            let forged = text.lines().any(|line| line.starts_with("kube-system   fine"));
            assert!(!forged, "{command} lets a lease begin a line:\n{text}");
        }
        if command == "status" || command == "status -o wide" {
            shown += &ended.stdout;
        }
    }
    insta::assert_snapshot!(shown);
    // What machines read is what was written.
    let json = stage.run("status demo -n default -o jsonpath={.holder}").await;
    assert_eq!(json.stdout, HOSTILE);
}

#[tokio::test]
async fn watch_lets_no_lease_control_the_terminal() {
    let stage = Stage::with(vec![held("default/demo", HOSTILE, 4, json!({}))]).await;
    let line = stage
        .run_during("watch -n default", async {}, |text| text.ends_with('\n'))
        .await;
    assert!(line.contains("evil\\u{1b}]0;pwned\\u{7}"), "{line:?}");
    assert_eq!(line.lines().count(), 1, "{line:?}");
}
