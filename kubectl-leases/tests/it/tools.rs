//! Programs that people have around the plugin, where they are installed: kubectl and tmux. And a way to the server that can
//! be blocked.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};

use crate::stage::Stage;

/// The plugin, and its other name, in a folder that is a person's `PATH` and home.
pub(crate) struct Desk {
    folder: TempDir,
    kubeconfig: PathBuf,
    kubectl: bool,
}

impl Desk {
    pub(crate) async fn new(stage: &Stage) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["kubectl-leases", "kubectl_complete-leases"] {
            symlink(env!("CARGO_BIN_EXE_kubectl-leases"), folder.path().join(name)).unwrap();
        }
        Self {
            folder,
            kubeconfig: stage.kubeconfig().into(),
            kubectl: is_installed("kubectl", &["version", "--client"]).await,
        }
    }

    /// Whether there is a kubectl; a test that needs it is skipped visibly.
    pub(crate) fn has_kubectl(&self) -> bool {
        if !self.kubectl {
            skipped("kubectl is not installed");
        }
        self.kubectl
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A program with this desk around it.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        for (name, value) in self.environment() {
            command.env(name, value);
        }
        command.kill_on_drop(true);
        command
    }

    pub(crate) fn environment(&self) -> [(&'static str, String); 3] {
        let path = std::env::var("PATH").unwrap_or_default();
        [
            ("PATH", format!("{}:{path}", self.folder.path().display())),
            ("KUBECONFIG", self.kubeconfig.display().to_string()),
            ("HOME", self.folder.path().display().to_string()),
        ]
    }

    /// `kubectl leases …` where there is a kubectl, else the plugin itself.
    pub(crate) fn typed(&self, args: &str) -> String {
        let program = if self.kubectl {
            "kubectl leases"
        } else {
            "kubectl-leases"
        };
        format!("{program} {args}")
    }
}

pub(crate) async fn is_installed(program: &str, args: &[&str]) -> bool {
    let there = Command::new(program).args(args).output().await;
    there.is_ok_and(|output| output.status.success())
}

/// Says so past what the test harness keeps to itself.
pub(crate) fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}

/// A program on a terminal of 100 columns and 24 lines.
pub(crate) struct Pty {
    keys: File,
    pub(crate) output: mpsc::UnboundedReceiver<Vec<u8>>,
    screen: avt::Terminal,
    pub(crate) raw: String,
}

impl Pty {
    pub(crate) fn start(mut command: Command) -> (Self, Child) {
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

    pub(crate) fn text(&self) -> String {
        let lines = self.screen.screen().visible_lines();
        lines
            .map(|line| format!("{}\n", line.text().trim_end()))
            .collect()
    }

    /// Waits until the screen is as wanted.
    pub(crate) async fn until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) {
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

    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }
}

/// A terminal of tmux, with one program in it.
pub(crate) struct Tmux {
    folder: TempDir,
}

impl Tmux {
    /// Starts a program; `None` where tmux is not installed.
    pub(crate) async fn start(desk: &Desk, size: (u16, u16), program: &str) -> Option<Self> {
        if !is_installed("tmux", &["-V"]).await {
            skipped("tmux is not installed");
            return None;
        }
        let tmux = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let (columns, lines) = (size.0.to_string(), size.1.to_string());
        let mut command = tmux.command();
        command.args(["new-session", "-d", "-x", &columns, "-y", &lines]);
        // A shell of tmux may read files that set another PATH.
        let set: String = desk
            .environment()
            .into_iter()
            .map(|(name, value)| format!("{name}='{value}' "))
            .collect();
        // What is on the screen at the end stays to be seen.
        command.arg(format!("env {set}{program}; echo \"ended with $?\"; exec cat"));
        assert!(command.status().await.unwrap().success());
        Some(tmux)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.folder.path().join("socket"));
        command
            .args(["-f", "/dev/null"])
            .env_remove("TMUX")
            .env("LC_ALL", "C.UTF-8");
        command
    }

    pub(crate) async fn press(&self, keys: &[&str]) {
        let status = self.command().arg("send-keys").args(keys).status().await;
        assert!(status.unwrap().success());
    }

    pub(crate) async fn resize(&self, columns: u16, lines: u16) {
        let (columns, lines) = (columns.to_string(), lines.to_string());
        let args = ["resize-window", "-x", &columns, "-y", &lines];
        assert!(self.command().args(args).status().await.unwrap().success());
    }

    pub(crate) async fn screen(&self) -> String {
        let output = self
            .command()
            .args(["capture-pane", "-p"])
            .output()
            .await
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .map(|line| format!("{}\n", line.trim_end()))
            .collect()
    }

    /// What is on the screen as soon as it is as wanted.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        for _ in 0..600 {
            last = self.screen().await;
            if wanted(&last) {
                return last;
            }
            glance().await;
        }
        panic!("{what} should be on the screen:\n{last}");
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let mut command = std::process::Command::new("tmux");
        let socket = self.folder.path().join("socket");
        // Its own server, with all that runs in it.
        let _ = command.arg("-S").arg(socket).arg("kill-server").output();
    }
}

#[expect(clippy::disallowed_methods, reason = "a real program is waited for")]
pub(crate) async fn glance() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// A way to the stage that can be blocked: connections stay, and nothing comes through.
pub(crate) struct Door {
    blocked: watch::Sender<bool>,
    kubeconfig: tempfile::NamedTempFile,
}

impl Door {
    pub(crate) async fn to(stage: &Stage) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (here, there) = (listener.local_addr().unwrap(), stage.addr());
        let (blocked, seen) = watch::channel(false);
        let passing = async move {
            loop {
                let (mut inner, mut blocked) = (listener.accept().await.unwrap().0, seen.clone());
                #[expect(clippy::disallowed_methods, reason = "a connection of this test")]
                tokio::spawn(async move {
                    let is_blocked = *blocked.borrow();
                    if is_blocked {
                        std::future::pending::<()>().await;
                    }
                    let mut outer = TcpStream::connect(there).await.unwrap();
                    let until_blocked = async {
                        let _ = blocked.wait_for(|blocked| *blocked).await;
                    };
                    tokio::select! {
                        _ = copy_bidirectional(&mut inner, &mut outer) => return,
                        () = until_blocked => {}
                    }
                    std::future::pending().await
                });
            }
        };
        #[expect(clippy::disallowed_methods, reason = "the door of this test")]
        tokio::spawn(passing);
        let text = std::fs::read_to_string(stage.kubeconfig()).unwrap();
        let kubeconfig = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&kubeconfig, text.replace(&there.to_string(), &here.to_string())).unwrap();
        Self { blocked, kubeconfig }
    }

    pub(crate) fn kubeconfig(&self) -> &str {
        self.kubeconfig.path().to_str().unwrap()
    }

    pub(crate) fn block(&self) {
        self.blocked.send_replace(true);
    }
}
