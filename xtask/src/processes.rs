//! The processes that the demo and the benchmarks start: each in a process group of its own, with a log file, and none left
//! behind, whatever happens to this one short of SIGKILL.
//!
//! Only processes that were started here are ever signalled, and only before they were waited for: until then nobody
//! else can have their number.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, Command};

use crate::shell;

/// How long a process may take to end after SIGTERM before it is killed.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much of a log is shown when something went wrong.
const TAIL: usize = 30;

/// The processes that run.
#[derive(Debug)]
pub(crate) struct Processes {
    logs: PathBuf,
    running: Vec<Process>,
}

#[derive(Debug)]
struct Process {
    name: String,
    pid: Pid,
    child: Child,
}

impl Processes {
    /// No process; logs go to a folder.
    pub(crate) fn new(logs: PathBuf) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
        Ok(Self {
            logs,
            running: Vec::new(),
        })
    }

    /// Starts a process. A second one of a name continues the log of the first.
    pub(crate) fn start(&mut self, name: &str, program: &Path, args: &[String]) -> anyhow::Result<()> {
        let mut command = Command::new(program);
        command.args(args);
        let log = self.open_log(name)?;
        command.stdout(log.try_clone()?).stderr(log);
        self.spawn(name, command).map(drop)
    }

    /// Starts a process whose output is read here; its log has what it says on stderr.
    pub(crate) fn start_piped(
        &mut self,
        name: &str,
        program: &Path,
        args: &[String],
    ) -> anyhow::Result<&mut Child> {
        let mut command = Command::new(program);
        command
            .args(args)
            .stdout(Stdio::piped())
            .stderr(self.open_log(name)?);
        self.spawn(name, command)
    }

    fn spawn(&mut self, name: &str, mut command: Command) -> anyhow::Result<&mut Child> {
        if self.find(name).is_some() {
            bail!("process {name} runs already");
        }
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let pid = pid.with_context(|| format!("{name} has no process number"))?;
        self.running.push(Process {
            name: name.to_owned(),
            pid,
            child,
        });
        let started = self.running.last_mut().context("a process was just started")?;
        Ok(&mut started.child)
    }

    fn open_log(&self, name: &str) -> anyhow::Result<File> {
        let file = self.log_file(name);
        let open = OpenOptions::new().create(true).append(true).open(&file);
        open.with_context(|| format!("cannot write {}", file.display()))
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.running.iter().position(|process| process.name == name)
    }

    fn take(&mut self, name: &str) -> anyhow::Result<Process> {
        let index = self
            .find(name)
            .with_context(|| format!("process {name} does not run"))?;
        Ok(self.running.remove(index))
    }

    /// Asks a process to end. It counts as running until it was waited for by [`Processes::ended`].
    pub(crate) fn terminate(&self, name: &str) -> anyhow::Result<()> {
        self.signal(name, Signal::TERM)
    }

    /// Kills a process, and nothing that it started.
    pub(crate) fn kill(&self, name: &str) -> anyhow::Result<()> {
        self.signal(name, Signal::KILL)
    }

    fn signal(&self, name: &str, signal: Signal) -> anyhow::Result<()> {
        let index = self
            .find(name)
            .with_context(|| format!("process {name} does not run"))?;
        kill_process(self.running[index].pid, signal).with_context(|| format!("cannot signal {name}"))
    }

    /// Waits until a process that was asked to has ended; kills it when it does not.
    pub(crate) async fn ended(&mut self, name: &str) -> anyhow::Result<ExitStatus> {
        let mut process = self.take(name)?;
        let result = process.wait(PATIENCE).await;
        result.with_context(|| {
            format!(
                "{name} did not end within {PATIENCE:?} after SIGTERM\n{}",
                self.tail(name)
            )
        })
    }

    /// The first process that has ended although nobody asked it to.
    pub(crate) fn lost(&mut self) -> Option<(String, ExitStatus)> {
        self.running.iter_mut().find_map(|process| {
            let status = process.child.try_wait().ok().flatten()?;
            Some((process.name.clone(), status))
        })
    }

    /// The number of a process.
    pub(crate) fn number(&self, name: &str) -> anyhow::Result<u32> {
        let index = self
            .find(name)
            .with_context(|| format!("process {name} does not run"))?;
        Ok(self.running[index].pid.as_raw_pid().unsigned_abs())
    }

    /// The number of each process, for people who have to end them.
    pub(crate) fn numbers(&self) -> Vec<String> {
        self.running
            .iter()
            .map(|process| process.pid.as_raw_pid().to_string())
            .collect()
    }

    /// What a process has printed so far.
    pub(crate) fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.log_file(name)).unwrap_or_default()
    }

    /// Where that is.
    pub(crate) fn log_file(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    /// The end of a log, for an error.
    pub(crate) fn tail(&self, name: &str) -> String {
        let log = self.log(name);
        let lines: Vec<&str> = log.lines().collect();
        let skipped = lines.len().saturating_sub(TAIL);
        format!(
            "--- log of {name}, the last {} lines:\n{}",
            lines.len() - skipped,
            lines[skipped..].join("\n")
        )
    }

    /// How many processes run.
    pub(crate) fn count(&self) -> usize {
        self.running.len()
    }

    /// Ends all but the first processes: all are asked at once, so that none waits for another.
    pub(crate) async fn end_down_to(&mut self, rest: usize) {
        for process in self.running.iter().skip(rest).rev() {
            // An error means that it has ended already.
            let _ = kill_process(process.pid, Signal::TERM);
        }
        while self.running.len() > rest
            && let Some(mut process) = self.running.pop()
        {
            let _ = process.wait(PATIENCE).await;
        }
    }

    /// Leaves all processes running after this one.
    pub(crate) fn leave(&mut self) {
        self.running.clear();
    }
}

impl Process {
    async fn wait(&mut self, patience: Duration) -> anyhow::Result<ExitStatus> {
        tokio::select! {
            status = self.child.wait() => return Ok(status?),
            () = shell::sleep(patience) => {}
        }
        self.kill_group();
        self.child.wait().await?;
        bail!("it was killed")
    }

    fn kill_group(&self) {
        // Waited for, its number may belong to somebody else; then `id` is gone.
        if self.child.id().is_some() {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }
}

impl Drop for Processes {
    /// After an error in the wrong place or a panic.
    fn drop(&mut self) {
        for process in self.running.iter_mut().rev() {
            process.kill_group();
            for _ in 0..100 {
                if !matches!(process.child.try_wait(), Ok(None)) {
                    break;
                }
                shell::block(Duration::from_millis(5));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::test_kill_process;

    fn shell_script(script: &str) -> (PathBuf, Vec<String>) {
        (PathBuf::from("sh"), vec!["-c".to_owned(), script.to_owned()])
    }

    #[tokio::test]
    async fn a_process_is_stopped_and_its_log_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut processes = Processes::new(folder.path().join("logs")).unwrap();
        let (program, args) = shell_script("echo ready; exec sleep 60");
        processes.start("alpha", &program, &args).unwrap();
        assert!(
            processes.start("alpha", &program, &args).is_err(),
            "a name is used once"
        );
        while !processes.log("alpha").contains("ready") {
            shell::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(processes.lost().map(|(name, _)| name), None);
        processes.terminate("alpha").unwrap();
        let status = processes.ended("alpha").await.unwrap();
        assert!(!status.success());
        assert!(processes.tail("alpha").contains("ready"));
        assert!(processes.terminate("alpha").is_err());
    }

    #[tokio::test]
    async fn nothing_is_left_when_the_owner_goes() {
        let folder = tempfile::tempdir().unwrap();
        let mut processes = Processes::new(folder.path().to_path_buf()).unwrap();
        let (program, args) = shell_script("sleep 60");
        processes.start("alpha", &program, &args).unwrap();
        let pid = processes.running[0].pid;
        drop(processes);
        assert!(test_kill_process(pid).is_err());
    }

    #[tokio::test]
    async fn a_process_that_ends_by_itself_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let mut processes = Processes::new(folder.path().to_path_buf()).unwrap();
        let (program, args) = shell_script("exit 3");
        processes.start("alpha", &program, &args).unwrap();
        let (name, status) = loop {
            match processes.lost() {
                Some(lost) => break lost,
                None => shell::sleep(Duration::from_millis(5)).await,
            }
        };
        assert_eq!((name.as_str(), status.code()), ("alpha", Some(3)));
    }
}
