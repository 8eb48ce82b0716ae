//! `top`: what it draws, and the program on a real terminal.

use std::time::Duration;

use kubectl_leases::electors::Electors;
use kubectl_leases::top::screen::draw;
use kubectl_leases::top::{Ask, Model};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;
use tokio::process::Command;

use crate::fixtures::{candidate, every_state, held, sample, survey};
use crate::stage::{Stage, documented};
use crate::tools::{Desk, Door, Pty, Tmux};
use serde_json::json;

fn drawn(model: &Model) -> String {
    let mut terminal = Terminal::new(TestBackend::new(130, 20)).unwrap();
    terminal.draw(|frame| draw(frame, model)).unwrap();
    terminal.backend().to_string()
}

fn model() -> Model {
    let mut model = Model::default();
    model.electors(Electors::Acting {
        identity: "elector-1".to_owned(),
        renewed_seconds_ago: Some(2),
    });
    // Renewed at each third moment, and at last not any more.
    for silent in [0, 4, 8, 0, 4, 8, 12, 16, 20] {
        let mut leases = every_state();
        leases.retain(|lease| lease.metadata.name.as_deref() != Some("held"));
        leases.push(held("default/held", "old", silent, json!({})));
        model.look(survey(&leases));
    }
    model
}

#[test]
fn all_elections_are_on_the_screen() {
    insta::assert_snapshot!(drawn(&model()));
}

#[test]
fn keys_select_explain_and_filter() {
    let mut model = model();
    let all = model.rows().len();
    model.ask(Ask::Up);
    assert_eq!(model.selected(), 0);
    for _ in 0..100 {
        model.ask(Ask::Down);
    }
    assert_eq!(model.selected(), all - 1);
    model.ask(Ask::Open);
    let (text, scrolled) = model.text().unwrap();
    assert!(
        text.starts_with("default/under-deletion is held by old")
            && text.contains("\nDeleted:   at 2026-05-01T11:50:00Z; it is there")
            && scrolled == 0,
        "{text}"
    );
    model.ask(Ask::Down);
    assert_eq!(model.text().unwrap().1, 0, "all of it is on the screen");
    model.resize(130, 12);
    model.ask(Ask::Down);
    assert_eq!(model.text().unwrap().1, 1);
    model.ask(Ask::Last);
    let (text, scrolled) = model.text().unwrap();
    assert_eq!(
        usize::from(scrolled),
        text.lines().count() - 9,
        "the last line is at the bottom"
    );
    model.ask(Ask::PageUp);
    assert_eq!(model.text().unwrap().1, scrolled - 9);
    model.ask(Ask::First);
    assert_eq!(model.text().unwrap().1, 0);
    assert!(drawn(&model).contains("esc back"));
    model.ask(Ask::Close);
    model.ask(Ask::Problems);
    assert!(model.rows().len() < all && model.rows().iter().all(|row| row.status.is_problem()));
    assert!(model.selected() < model.rows().len(), "what is selected is there");
}

#[test]
fn pages_are_as_long_as_the_terminal() {
    let mut model = model();
    model.resize(100, 8);
    let names = |model: &Model| {
        let (shown, first) = model.shown();
        let name = |row: &kubectl_leases::top::Row| row.status.name.clone();
        (
            shown.iter().map(name).collect::<Vec<_>>(),
            model.selected() - first,
        )
    };
    assert_eq!(
        names(&model),
        (
            ["blanked", "ending", "expired", "fresh", "held"]
                .map(String::from)
                .to_vec(),
            0
        )
    );
    model.ask(Ask::PageDown);
    assert_eq!((model.selected(), names(&model).1), (5, 4));
    model.ask(Ask::Last);
    assert_eq!((model.selected(), names(&model).1), (model.rows().len() - 1, 4));
    model.ask(Ask::PageUp);
    assert_eq!(model.selected(), model.rows().len() - 6);
    model.ask(Ask::First);
    assert_eq!(model.selected(), 0);
}

#[test]
fn next_is_who_would_lead_if_the_holder_stopped() {
    let mut leases = every_state();
    leases.retain(|lease| lease.metadata.name.as_deref() == Some("pinned"));
    let leads = "default/pinned";
    leases.extend(["better", "worse"].map(|name| {
        let version = if name == "better" { "1.29" } else { "1.31" };
        candidate(&format!("default/{name}"), leads, version, version, 3)
    }));
    leases.push(candidate("default/new", leads, "1.30", "1.30", 3));
    let mut model = Model::default();
    model.look(survey(&leases));
    assert_eq!(model.next(&model.rows()[0]).as_deref(), Some("better"));
    // Who is asked to step down leads only if nobody else can, which the order of candidates does not show.
    let stepping = json!({"coordinated-election.io/step-down": "better/1 asked by alice"});
    leases.retain(|lease| lease.metadata.name.as_deref() != Some("pinned"));
    leases.push(held(leads, "new", 2, stepping));
    model.look(survey(&leases));
    assert_eq!(model.next(&model.rows()[0]).as_deref(), Some("worse"));
}

#[test]
fn a_silent_server_is_said_and_nothing_is_green() {
    let mut model = model();
    model.silent(Some(Duration::from_secs(7)));
    let mut terminal = Terminal::new(TestBackend::new(130, 20)).unwrap();
    terminal.draw(|frame| draw(frame, &model)).unwrap();
    let shown = terminal.backend();
    assert!(
        shown
            .to_string()
            .contains("STALE: the server has not answered for 7s"),
        "{shown}"
    );
    let green = shown
        .buffer()
        .content()
        .iter()
        .any(|cell| cell.fg == Color::Green);
    assert!(!green, "nothing is known to be well");
}

#[test]
fn what_a_person_has_to_read_is_not_cut() {
    let mut model = model();
    model.resize(80, 20);
    model.say("Error from server (Forbidden): leases is forbidden; This command needs update on leases.coordination.k8s.io".to_owned());
    let mut terminal = Terminal::new(TestBackend::new(80, 20)).unwrap();
    terminal.draw(|frame| draw(frame, &model)).unwrap();
    let shown = terminal.backend().to_string();
    assert!(
        shown.contains("command needs update") && shown.contains("on leases.coordination.k8s.io"),
        "{shown}"
    );
}

#[test]
fn a_lost_connection_is_on_the_screen() {
    let mut model = model();
    model.complain(Some("Unable to connect to the server".to_owned()));
    assert!(drawn(&model).contains("Unable to connect to the server"));
}

#[tokio::test]
async fn without_a_terminal_it_says_what_to_use_instead() {
    let stage = Stage::with(sample()).await;
    let ended = stage.run("top").await;
    assert!(
        ended.code == "1" && ended.stderr.contains("status --watch"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn on_a_real_terminal_it_shows_explains_and_quits_cleanly() {
    let stage = Stage::with(sample()).await;
    let program = env!("CARGO_BIN_EXE_kubectl-leases");
    // As a shell does it: the terminal is that of the program, whatever terminal the tests run on.
    let mut command = Command::new("setsid");
    command
        .args([
            "--ctty",
            "--wait",
            program,
            "top",
            "-A",
            "--kubeconfig",
            stage.kubeconfig(),
        ])
        .env("TERM", "xterm-256color");
    let (mut pty, mut child) = Pty::start(command);
    pty.until("the table", |text| {
        text.contains("sample-controller") && text.contains("bravo")
    })
    .await;
    assert!(
        pty.text().contains("1 election, 0 with problems"),
        "{}",
        pty.text()
    );
    pty.press("e");
    pty.until("the explanation", |text| {
        text.contains("kube-system/sample-controller is held by bravo") && text.contains("esc back")
    })
    .await;
    pty.press("\u{1b}");
    pty.until("the table again", |text| {
        text.contains("q quit") && text.contains("enter explain")
    })
    .await;
    pty.press("d");
    pty.until("a question", |text| {
        text.contains("Ask bravo to step down from kube-system/sample-controller? Next is alpha.")
    })
    .await;
    pty.press("n");
    pty.until("no question", |text| text.contains("d step down"))
        .await;
    pty.press("d");
    pty.until("a question", |text| text.contains("Ask bravo to step down"))
        .await;
    pty.press("y");
    pty.until("what was done", |text| {
        text.contains("sample-controller step-down of bravo requested")
    })
    .await;
    pty.until("the state", |text| text.contains("Held,SteppingDown"))
        .await;
    pty.press("q");
    let ended = tokio::time::timeout(Duration::from_secs(20), child.wait()).await;
    let ended = ended.expect("it ends").unwrap();
    assert!(ended.success(), "{ended:?}");
    while let Some(bytes) = pty.output.recv().await {
        pty.raw.push_str(&String::from_utf8_lossy(&bytes));
    }
    assert!(
        pty.raw.contains("\u{1b}[?1049h") && pty.raw.trim_end().contains("\u{1b}[?1049l"),
        "the screen is given back"
    );
}

/// A screen with the ages and bars of one moment: how long the test has taken until then is not what is tested.
fn at_rest(screen: &str) -> String {
    let mut shown = String::new();
    for line in screen.lines() {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        for at in 0..words.len() {
            let before = if at == 0 { "" } else { words[at - 1].as_str() };
            let next = words.get(at + 1).map(String::as_str).unwrap_or_default();
            let seconds = words[at].trim_end_matches([',', ')']).strip_suffix('s');
            let (is_age, is_number) = (seconds.is_some_and(is_number), is_number(&words[at]));
            let rest = match (before, next) {
                (_, next) if is_age && next.starts_with("ago") => "4s",
                ("in", "unless") | ("after", _) if is_age => "11s",
                (_, "s;") if is_number => "400",
                _ if words[at].starts_with(|bar| ('▁'..='█').contains(&bar)) => "▂▂▃▃▁▁▂▂▃▃",
                _ => continue,
            };
            words[at] = rest.to_owned();
        }
        let line = words.join(" ");
        shown.push_str(line.trim_end());
        shown.push('\n');
    }
    shown
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_digit())
}

#[tokio::test]
async fn in_tmux_it_shows_explains_filters_and_asks() {
    // An offer is unanswered after a second, and how long the screen takes to come is not what is tested.
    let mut leases = [every_state(), sample()].concat();
    leases.retain(|lease| lease.metadata.name.as_deref() != Some("offered"));
    let all = "default/offered";
    for lease in &mut leases {
        if let Some(leads) = lease
            .metadata
            .annotations
            .iter_mut()
            .flatten()
            .find(|(_, leads)| leads.contains(all))
        {
            *leads.1 = leads.1.replace(&format!("{all},"), "");
        }
    }
    let stage = Stage::with(leases).await;
    let desk = Desk::new(&stage).await;
    let Some(tmux) = Tmux::start(&desk, (100, 24), &desk.typed("top -A")).await else {
        return;
    };
    let table = tmux
        .until("the table", |text| {
            text.contains("unattended") && text.contains("elector-1 acts")
        })
        .await;
    documented("top", &at_rest(&table));
    insta::assert_snapshot!("tmux_table", at_rest(&table));

    tmux.press(&["End"]).await;
    tmux.press(&["Enter"]).await;
    let why = tmux
        .until("why", |text| text.contains(" why ") && text.contains("esc back"))
        .await;
    documented("top-why", &at_rest(&why));
    insta::assert_snapshot!("tmux_why", at_rest(&why));
    tmux.press(&["PageDown"]).await;
    let below = tmux
        .until("the end of the text", |text| {
            text.contains("What would change it:")
        })
        .await;
    insta::assert_snapshot!("tmux_why_below", at_rest(&below));

    tmux.press(&["Escape"]).await;
    tmux.until("the table again", |text| text.contains("enter explain"))
        .await;
    tmux.press(&["d"]).await;
    let question = tmux.until("a question", |text| text.contains("[y/N]")).await;
    insta::assert_snapshot!("tmux_question", at_rest(&question));
    tmux.press(&["n"]).await;
    tmux.until("no question", |text| !text.contains("[y/N]")).await;

    tmux.press(&["p"]).await;
    let problems = tmux.until("only problems", |text| !text.contains("pinned")).await;
    insta::assert_snapshot!("tmux_problems", at_rest(&problems));

    tmux.resize(60, 8).await;
    tmux.press(&["End"]).await;
    let small = tmux
        .until("the last line", |text| text.contains("unattended"))
        .await;
    assert!(small.contains("NAMESPACE") && small.contains("quit"), "{small}");

    tmux.press(&["q"]).await;
    tmux.until("the shell", |text| text.starts_with("ended with 0\n"))
        .await;
}

#[tokio::test]
async fn in_tmux_a_refusal_names_the_permission() {
    let stage = Stage::with(sample()).await;
    crate::steer::bind(&stage, "vera", "coordinated-election-viewer").await;
    let desk = Desk::new(&stage).await;
    let typed = desk.typed("top -n kube-system --as vera");
    let Some(tmux) = Tmux::start(&desk, (80, 24), &typed).await else {
        return;
    };
    tmux.until("the table", |text| text.contains("sample-controller"))
        .await;
    tmux.press(&["d"]).await;
    tmux.until("a question", |text| text.contains("[y/N]")).await;
    tmux.press(&["y"]).await;
    let refused = tmux.until("a refusal", |text| text.contains("bind a role")).await;
    insta::assert_snapshot!("tmux_refused", at_rest(&refused));
    tmux.press(&["C-c"]).await;
    tmux.until("the shell", |text| text.contains("ended with 0"))
        .await;
}

#[tokio::test]
async fn in_tmux_a_server_that_hangs_is_shown_and_left() {
    let stage = Stage::with(sample()).await;
    let (desk, door) = (Desk::new(&stage).await, Door::to(&stage).await);
    let typed = desk.typed(&format!("top -A --kubeconfig {}", door.kubeconfig()));
    let Some(tmux) = Tmux::start(&desk, (100, 24), &typed).await else {
        return;
    };
    tmux.until("the table", |text| text.contains("sample-controller"))
        .await;
    door.block();
    let stale = tmux
        .until("that it is stale", |text| text.contains("STALE"))
        .await;
    assert!(stale.contains("the server has not answered for"), "{stale}");
    tmux.press(&["d"]).await;
    tmux.until("a question", |text| text.contains("[y/N]")).await;
    tmux.press(&["y"]).await;
    tmux.until("that it is asked", |text| {
        text.contains("asking for kube-system/sample-controller")
    })
    .await;
    tmux.press(&["q"]).await;
    let left = tmux.until("the shell", |text| text.contains("ended with 0"));
    let left = tokio::time::timeout(Duration::from_secs(5), left).await;
    assert!(left.is_ok(), "it waits for no answer");
}
