//! `top`: what it draws, and the program on a real terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use kubectl_leases::electors::Electors;
use kubectl_leases::top::screen::draw;
use kubectl_leases::top::{Ask, Model};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::fixtures::{every_state, held, sample, survey};
use crate::stage::Stage;
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
        text.starts_with("default/unattended is held by new") && scrolled == 0,
        "{text}"
    );
    model.ask(Ask::Down);
    assert_eq!(model.text().unwrap().1, 1);
    assert!(drawn(&model).contains("esc back"));
    model.ask(Ask::Close);
    model.ask(Ask::Problems);
    assert!(model.rows().len() < all && model.rows().iter().all(|row| row.status.is_problem()));
    assert!(model.selected() < model.rows().len(), "what is selected is there");
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

/// A program on a terminal of 100 columns and 24 lines.
struct Pty {
    keys: File,
    output: mpsc::UnboundedReceiver<Vec<u8>>,
    screen: avt::Terminal,
    raw: String,
}

impl Pty {
    fn start(mut command: Command) -> (Self, Child) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let slave = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = File::options().read(true).write(true).open(slave).unwrap();
        let size = Winsize {
            ws_row: 24,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&slave, size).unwrap();
        let end = || Stdio::from(slave.try_clone().unwrap());
        let ends = command.stdin(end()).stdout(end()).stderr(end());
        let child = ends.kill_on_drop(true).spawn().unwrap();
        let keys = File::from(master);
        let mut reader = keys.try_clone().unwrap();
        let (sender, output) = mpsc::unbounded_channel();
        tokio::task::spawn_blocking(move || {
            let mut bytes = [0; 4096];
            // The end of the program is an error here.
            while let Ok(length @ 1..) = reader.read(&mut bytes) {
                if sender.send(bytes[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        let pty = Self {
            keys,
            output,
            screen: avt::Terminal::new(100, 24).unwrap(),
            raw: String::new(),
        };
        (pty, child)
    }

    fn text(&self) -> String {
        let lines = self.screen.screen().visible_lines();
        lines
            .map(|line| format!("{}\n", line.text().trim_end()))
            .collect()
    }

    /// Waits until the screen is as wanted.
    async fn until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) {
        let shown = tokio::time::timeout(Duration::from_secs(20), async {
            while !wanted(&self.text()) {
                let Some(bytes) = self.output.recv().await else {
                    return false;
                };
                let text = String::from_utf8_lossy(&bytes).into_owned();
                self.screen.feed(text.as_str());
                self.raw.push_str(&text);
            }
            true
        });
        let shown = shown.await;
        assert_eq!(
            shown,
            Ok(true),
            "{what} should be on the screen:\n{}",
            self.text()
        );
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }
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
