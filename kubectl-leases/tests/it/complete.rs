//! Completion, in kubectl's form and as scripts; version and man pages.

use tokio::process::Child;

use crate::fixtures::sample;
use crate::stage::Stage;
use crate::tools::{Desk, Pty, is_installed, skipped};

fn names(lines: &[String]) -> Vec<&str> {
    lines
        .iter()
        .map(|line| line.split('\t').next().unwrap())
        .collect()
}

#[tokio::test]
async fn kubectl_is_told_commands_flags_values_and_leases() {
    let stage = Stage::with(sample()).await;
    let commands = stage.complete(&["ex"]).await;
    assert_eq!(names(&commands), ["explain", ":4"]);
    assert!(commands[0].contains('\t'), "with a description: {commands:?}");
    let flags = stage.complete(&["status", "--prob"]).await;
    assert_eq!(names(&flags), ["--problems", ":4"]);
    let values = stage.complete(&["status", "--sort-by", ""]).await;
    assert!(names(&values).contains(&"state"), "{values:?}");
    let leases = stage.complete(&["explain", "-n", "kube-system", "sam"]).await;
    assert_eq!(leases, ["sample-controller\tHeld by bravo", ":4"]);
    let none = stage
        .complete(&["explain", "-n", "kube-system", "sample-controller", ""])
        .await;
    assert_eq!(none, [":4"], "one lease is enough");
    let file = stage.complete(&["timeline", "x", "--svg"]).await;
    assert_eq!(file.last().map(String::as_str), Some(":4"));
}

#[tokio::test]
async fn flags_are_completed_from_the_kubeconfig_and_the_cluster() {
    let stage = Stage::with(sample()).await;
    let offered = async |words: &[&str]| {
        let words = [&["status"], words].concat();
        let lines = stage.complete(&words).await;
        names(&lines).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(offered(&["--context", ""]).await, ["c", ":4"]);
    assert_eq!(
        offered(&["--context=c"]).await,
        ["c", ":4"],
        "kubectl wants the value alone"
    );
    assert_eq!(offered(&["--cluster", ""]).await, ["c", ":4"]);
    assert_eq!(offered(&["--user", ""]).await, ["u", ":4"]);
    assert_eq!(offered(&["-n", "kube-s"]).await, ["kube-system", ":4"]);
    assert_eq!(offered(&["--namespace=kube-s"]).await, ["kube-system", ":4"]);
    assert_eq!(
        offered(&["-o", "custom-"]).await,
        ["custom-columns=", "custom-columns-file=", ":4"]
    );
    assert_eq!(
        offered(&["-o", "jsonpath-file=x"]).await,
        [":0"],
        "a file is for the shell"
    );
    assert_eq!(
        offered(&["--state", "Un"]).await,
        ["Unanswered", "Unattended", ":4"]
    );
    assert_eq!(offered(&["--kubeconfig", ""]).await, [":0"]);
    assert_eq!(
        stage.complete(&["watch", "-o", "j"]).await.len(),
        2,
        "json, and the directive"
    );
    let to = stage
        .complete(&[
            "step-down",
            "-n",
            "kube-system",
            "sample-controller",
            "--to",
            "al",
        ])
        .await;
    assert_eq!(names(&to), ["alpha", ":4"]);
}

/// A shell at a terminal, with a prompt that a test can wait for.
struct Shell {
    pty: Pty,
    /// Keeps it alive.
    _child: Child,
}

impl Shell {
    async fn start(desk: &Desk, program: &[&str], setup: &str) -> Self {
        let mut command = desk.command("setsid");
        command
            .args(["--ctty", "--wait"])
            .args(program)
            .env("TERM", "xterm");
        command.env("LC_ALL", "C.UTF-8").env_remove("INPUTRC");
        let (pty, child) = Pty::start(command);
        let mut shell = Self { pty, _child: child };
        shell.pty.press(&format!("{setup}; echo rea''dy\r"));
        shell
            .pty
            .until("a shell that is set up", |text| text.contains("\nready\n"))
            .await;
        shell
    }

    /// What the words of a line have become when somebody has pressed Tab at its end.
    async fn tab(&mut self, line: &str) -> String {
        // To the beginning of the line: then the shell itself says what the words are.
        self.pty.press(&format!("{line}\t\u{1}printf '[%s]' \r\r"));
        let done = |text: &str| text.lines().filter(|shown| shown.starts_with('[')).count() > 0;
        self.pty.until(line, done).await;
        let text = self.pty.text();
        let mut shown = text.lines().filter(|line| line.starts_with('['));
        let words = shown.next().unwrap_or_default();
        let words = words[..=words.rfind(']').unwrap()].replace("][", " ");
        self.pty.press("clear\r");
        self.pty
            .until("an empty screen", |text| !text.contains('['))
            .await;
        words.trim_matches(['[', ']']).to_owned()
    }
}

/// What is typed, and what it has become.
const TYPED: [(&str, &str); 13] = [
    ("exp", "explain"),
    (
        "explain -n kube-system sam",
        "explain -n kube-system sample-controller",
    ),
    ("watch -n kube-system --conte", "watch -n kube-system --context"),
    ("status --context=oth", "status --context=other"),
    ("status --context arn:aws:eu", "status --context arn:aws:eu/blue"),
    ("status --context=arn:aws:eu", "status --context=arn:aws:eu/blue"),
    ("status --cluster oth", "status --cluster other"),
    ("status --user oth", "status --user other"),
    ("status -n kube-sy", "status -n kube-system"),
    ("status -o custom-columns-f", "status -o custom-columns-file="),
    ("status --state Unan", "status --state Unanswered"),
    (
        "step-down -n kube-system sample-controller --to al",
        "step-down -n kube-system sample-controller --to alpha",
    ),
    ("timeline x --svg only-fi", "timeline x --svg only-file"),
];

/// A desk whose kubeconfig has more than one of everything, and a folder with a file.
async fn desk() -> (Stage, Desk) {
    let stage = Stage::with(sample()).await;
    let desk = Desk::new(&stage).await;
    let addr = stage.addr();
    let kubeconfig = format!(
        "{{apiVersion: v1, kind: Config, current-context: c,
          clusters: [{{name: c, cluster: {{server: 'http://{addr}'}}}}, {{name: other, cluster: {{server: 'http://{addr}'}}}}],
          users: [{{name: u, user: {{}}}}, {{name: other, user: {{}}}}],
          contexts: [{{name: c, context: {{cluster: c, user: u}}}}, {{name: other, context: {{cluster: c, user: u}}}},
                     {{name: 'arn:aws:eu/blue', context: {{cluster: c, user: u}}}}]}}"
    );
    std::fs::write(stage.kubeconfig(), kubeconfig).unwrap();
    std::fs::write(desk.folder().join("only-file"), "").unwrap();
    (stage, desk)
}

const BASH: &str = "cd; PS1='$ '; bind 'set bell-style none'; bind 'set completion-query-items 0'";

#[tokio::test]
async fn a_real_bash_completes_commands_flags_leases_and_files() {
    let (_stage, desk) = desk().await;
    let setup = format!("{BASH}; source <(kubectl-leases completion bash)");
    let mut bash = Shell::start(&desk, &["bash", "--norc", "--noprofile", "-i"], &setup).await;
    for (typed, completed) in TYPED {
        let words = bash.tab(&format!("kubectl-leases {typed}")).await;
        assert_eq!(words, format!("kubectl-leases {completed}"));
    }
    let words = bash.tab("kubectl-leases status only-fi").await;
    assert_eq!(words, "kubectl-leases status only-fi", "a file is no lease");
    // Twice Tab shows what there is.
    bash.pty.press("kubectl-leases explain -n kube-system \t\t");
    bash.pty.press("\u{15}");
    bash.pty.press("kubectl-leases status --sort-by \t\t");
    bash.pty
        .until("the values", |text| {
            text.contains("age") && text.contains("renewed") && text.contains("state")
        })
        .await;
}

/// Those of kubectl need bash-completion.
#[tokio::test]
async fn a_real_bash_completes_behind_kubectl() {
    let (_stage, desk) = desk().await;
    let library = std::env::var("BASH_COMPLETION")
        .unwrap_or_else(|_| "/usr/share/bash-completion/bash_completion".to_owned());
    if !desk.has_kubectl() {
        return;
    }
    if !std::path::Path::new(&library).exists() {
        return skipped("bash-completion is not installed");
    }
    let setup = format!("{BASH}; source {library}; source <(kubectl completion bash)");
    let mut bash = Shell::start(&desk, &["bash", "--norc", "--noprofile", "-i"], &setup).await;
    for (typed, completed) in TYPED {
        let words = bash.tab(&format!("kubectl leases {typed}")).await;
        assert_eq!(words, format!("kubectl leases {completed}"));
    }
}

#[tokio::test]
async fn a_real_zsh_completes() {
    let (_stage, desk) = desk().await;
    if !is_installed("zsh", &["--version"]).await {
        return skipped("zsh is not installed");
    }
    let setup = "cd; PS1='$ '; bindkey -e; unsetopt beep; setopt no_always_last_prompt; autoload -Uz compinit; compinit -u; \
                 source <(kubectl-leases completion zsh)";
    let mut zsh = Shell::start(&desk, &["zsh", "-f", "-i"], setup).await;
    for (typed, completed) in TYPED {
        let words = zsh.tab(&format!("kubectl-leases {typed}")).await;
        assert_eq!(words, format!("kubectl-leases {completed}"));
    }
}

#[tokio::test]
async fn a_real_fish_completes() {
    let (_stage, desk) = desk().await;
    if !is_installed("fish", &["--version"]).await {
        return skipped("fish is not installed");
    }
    // Its own command says what it would offer.
    let script =
        "kubectl-leases completion fish | source; cd; for line in $argv; echo (complete -C $line); end";
    let typed = TYPED.map(|(typed, _)| format!("kubectl-leases {typed}"));
    let mut fish = desk.command("fish");
    let output = fish
        .args(["--no-config", "-c", script])
        .args(typed)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.lines().count(), TYPED.len(), "{said}");
    for (line, (typed, completed)) in said.lines().zip(TYPED) {
        let word = completed.rsplit(' ').next().unwrap();
        assert_eq!(line.split(['\t', ' ']).next(), Some(word), "{typed}: {line}");
    }
}

#[tokio::test]
async fn the_scripts_are_those_that_are_read_here() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = crate::errors::plugin(&["completion", shell]).await;
        insta::assert_snapshot!(format!("completion_{shell}"), ended.stdout);
    }
}

#[tokio::test]
async fn both_versions_are_printed() {
    let stage = Stage::with(Vec::new()).await;
    let ended = stage.run("version").await;
    let client = format!("Client Version: {}\n", env!("CARGO_PKG_VERSION"));
    assert!(
        ended.stdout.starts_with(&client) && ended.stdout.contains("Server Version: v1."),
        "{}",
        ended.stdout
    );
    assert_eq!(
        crate::errors::plugin(&["version", "--client"]).await.stdout,
        client
    );
}

#[tokio::test]
async fn each_command_has_a_man_page() {
    let folder = tempfile::tempdir().unwrap();
    let ended = crate::errors::plugin(&["man", folder.path().to_str().unwrap()]).await;
    assert!(!ended.failed, "{}", ended.stderr);
    let mut pages: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    assert!(
        pages.contains(&"kubectl-leases.1".to_owned())
            && pages.contains(&"kubectl-leases-explain.1".to_owned())
    );
    let page = std::fs::read_to_string(folder.path().join("kubectl-leases-explain.1")).unwrap();
    assert!(page.contains(".TH") && page.contains("what\\-if"), "{page}");
}
