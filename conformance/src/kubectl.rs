//! `kubectl` on the server: what a person types, and sees.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::answer::text;
use crate::cluster::Cluster;
use crate::golden;
use crate::normal::printed;

/// Why the screens cannot be compared: what `kubectl` says changes from version to version.
pub(crate) fn lacks(kubeconfig: &Path, record: bool) -> Option<&'static str> {
    let asked = std::process::Command::new("kubectl")
        .env("KUBECONFIG", kubeconfig)
        .args(["version", "--output=json"])
        .output();
    let Ok(asked) = asked else {
        return Some("kubectl is not installed");
    };
    let version: Value = serde_json::from_slice(&asked.stdout).unwrap_or_default();
    let part = |name: &str| text(&version["clientVersion"][name]);
    let version = format!("{}.{}\n", part("major"), part("minor"));
    if record {
        golden::record("kubectl-version", &version);
    }
    let is_same = golden::recorded("kubectl-version").is_ok_and(|recorded| recorded == version);
    (!is_same).then_some("kubectl is not of the version in goldens/kubectl-version.txt")
}

/// A terminal, and everything that was on it.
pub(crate) struct Terminal {
    cluster: Cluster,
    dir: TempDir,
    screen: String,
}

impl Terminal {
    pub(crate) fn new(cluster: &Cluster) -> Self {
        let dir = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        Self {
            cluster: cluster.clone(),
            dir,
            screen: String::new(),
        }
    }

    /// Writes a file beside the terminal.
    pub(crate) fn file(&self, name: &str, text: &str) {
        let written = std::fs::write(self.dir.path().join(name), self.cluster.names(text));
        written.unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        if let Some(kubeconfig) = &self.cluster.target.kubeconfig {
            let absolute = std::path::absolute(kubeconfig);
            command.env("KUBECONFIG", absolute.as_ref().unwrap_or(kubeconfig));
        }
        command
            .current_dir(self.dir.path())
            .args(["--cache-dir", "cache", "--namespace", &self.cluster.names("{ns}")])
            .args(arguments.iter().map(|argument| self.cluster.names(argument)))
            .env("HOME", self.dir.path())
            .env("KUBE_EDITOR", "sh editor.sh")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a command, shows it, and returns what it printed.
    pub(crate) async fn run(&mut self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().await;
        let output = output.unwrap_or_else(|error| panic!("kubectl does not start: {error}"));
        let shown = |bytes: &[u8]| {
            let text = self.cluster.placeholders(&String::from_utf8_lossy(bytes));
            printed(&text.replace(&*self.dir.path().to_string_lossy(), "."))
        };
        let (stdout, stderr) = (shown(&output.stdout), shown(&output.stderr));
        let typed: Vec<String> = arguments.iter().map(|argument| quoted(argument)).collect();
        self.screen += &format!("$ kubectl {}\n{stdout}{stderr}", typed.join(" "));
        if !self.screen.ends_with('\n') {
            self.screen += "\n";
        }
        if !output.status.success() {
            self.screen += &format!("[{}]\n", output.status.code().unwrap_or(-1));
        }
        stdout
    }

    /// Runs a command that goes on, until it has printed so many lines. Between them, `then` does something.
    pub(crate) async fn follow(&mut self, arguments: &[&str], first: usize, then: &[&str], more: usize) {
        let child = self.command(arguments).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("kubectl does not start: {error}"));
        let Some(stdout) = child.stdout.take() else { return };
        let mut lines = BufReader::new(stdout).lines();
        let mut seen = String::new();
        for number in 0..first + more {
            if number == first {
                self.run(then).await;
            }
            if let Ok(Some(line)) = lines.next_line().await {
                seen += &printed(&format!("{}\n", self.cluster.placeholders(&line)));
            }
        }
        self.screen += &format!("$ kubectl {} &\n{seen}", arguments.join(" "));
    }

    /// The screen must be what it was on a real server.
    #[track_caller]
    pub(crate) fn expect_screen(self, name: &str) {
        self.cluster
            .expect_golden(&format!("kubectl-{name}"), &self.screen);
    }
}

fn quoted(argument: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=:,@".contains(letter);
    match argument.chars().all(is_plain) {
        true => argument.to_owned(),
        false => format!("'{argument}'"),
    }
}
