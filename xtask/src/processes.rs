//! The processes that the demo and the benchmarks start: each in a process group of its own, with a log file, and none left
//! behind, whatever happens to this one short of SIGKILL; servers not even then.
//!
//! Only processes that were started here are ever signalled, and only before they were waited for: until then nobody
//! else can have their number.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, Command};

use crate::{die_with_parent, shell};

/// How long a process may take to end after SIGTERM before it is killed.
const PATIENCE: Duration = Duration::from_secs(5);
/// How soon it is noticed that a process has ended.
const GLANCE: Duration = Duration::from_millis(20);
/// How much of a log is shown when something went wrong.
const TAIL: usize = 30;

/// The processes that run.
#[derive(Debug)]
pub(crate) struct Processes {
    logs: PathBuf,
    running: Vec<Process>,
    servers_outlive: bool,
}

#[derive(Debug)]
struct Process {
    name: String,
    pid: Pid,
    child: Child,
    /// Whether processes that start later may need it.
    serves: bool,
    /// How a server is started again.
    again: Option<(PathBuf, Vec<String>)>,
}

impl Processes {
    /// No process; logs go to a folder.
    pub(crate) fn new(logs: PathBuf) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
        Ok(Self {
            logs,
            running: Vec::new(),
            servers_outlive: false,
        })
    }

    /// Whether servers that are started from now on may be [left](Processes::leave) running: then they are not killed
    /// with this process.
    pub(crate) fn let_servers_outlive(&mut self, yes: bool) {
        self.servers_outlive = yes;
    }

    /// Starts a process. A second one of a name continues the log of the first.
    pub(crate) fn start(&mut self, name: &str, program: &Path, args: &[String]) -> anyhow::Result<()> {
        let mut command = Command::new(program);
        command.args(args);
        self.start_command(name, command)
    }

    /// Starts a process that others need. It is gone with this one, also after SIGKILL.
    pub(crate) fn start_server(&mut self, name: &str, program: &Path, args: &[String]) -> anyhow::Result<()> {
        let mut command = if self.servers_outlive {
            Command::new(program)
        } else {
            Command::from(die_with_parent::command(program))
        };
        command.args(args);
        self.start_command(name, command)?;
        if let Some(server) = self.running.last_mut() {
            server.serves = true;
            server.again = Some((program.to_owned(), args.to_vec()));
        }
        Ok(())
    }

    /// Kills a server, if it still runs, and starts it as before.
    pub(crate) async fn restart_server(&mut self, name: &str) -> anyhow::Result<()> {
        let index = self
            .find(name)
            .with_context(|| format!("process {name} does not run"))?;
        let again = self.running[index].again.clone();
        let (program, args) = again.with_context(|| format!("{name} is no server"))?;
        self.running[index].kill_group();
        self.running[index].child.wait().await?;
        self.running.remove(index);
        self.start_server(name, &program, &args)?;
        // Where it was, so that it still ends after those that need it.
        if let Some(server) = self.running.pop() {
            self.running.insert(index, server);
        }
        Ok(())
    }

    /// Whether a process of a name was started and not yet waited for.
    pub(crate) fn runs(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Starts a process that needs more than arguments.
    pub(crate) fn start_command(&mut self, name: &str, mut command: Command) -> anyhow::Result<()> {
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
            serves: false,
            again: None,
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
        let process = &self.running[index];
        // Waited for, its number may belong to somebody else; then `id` is gone.
        ensure!(process.child.id().is_some(), "process {name} has ended");
        kill_process(process.pid, signal).with_context(|| format!("cannot signal {name}"))
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

    /// Waits for what a process brings about. When one ends meanwhile, or time is up, the error shows its log.
    pub(crate) async fn until<T>(
        &mut self,
        name: &str,
        patience: Duration,
        awaited: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let since = shell::now();
        let mut awaited = std::pin::pin!(awaited);
        loop {
            tokio::select! {
                biased;
                result = &mut awaited => return result,
                () = shell::sleep(GLANCE) => {}
            }
            if let Some((lost, status)) = self.lost() {
                bail!("{lost} has ended by itself ({status})\n{}", self.tail(&lost));
            }
            ensure!(
                since.elapsed() < patience,
                "{name} was not ready within {patience:?}\n{}",
                self.tail(name)
            );
        }
    }

    /// What a person types to end them all. Nothing is lost with a server, and one whose own server is gone may wait for
    /// it for minutes before it ends in order.
    pub(crate) fn how_to_end(&self) -> String {
        let numbers = |servers: bool| -> String {
            let meant = self.running.iter().filter(|process| process.serves == servers);
            meant
                .map(|process| format!(" {}", process.pid.as_raw_pid()))
                .collect()
        };
        match (numbers(false), numbers(true)) {
            (others, servers) if servers.is_empty() => format!("kill{others}"),
            (others, servers) => format!("kill{others}; kill -KILL{servers}"),
        }
    }

    /// The number of a process.
    pub(crate) fn number(&self, name: &str) -> anyhow::Result<u32> {
        let index = self
            .find(name)
            .with_context(|| format!("process {name} does not run"))?;
        Ok(self.running[index].pid.as_raw_pid().unsigned_abs())
    }

    /// What a process has printed so far.
    pub(crate) fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.log_file(name)).unwrap_or_default()
    }

    /// Where that is.
    pub(crate) fn log_file(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    /// Begins a log anew, for a second attempt.
    pub(crate) fn forget_log(&self, name: &str) {
        // What is not there need not be forgotten.
        let _ = std::fs::remove_file(self.log_file(name));
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

    /// Ends all but the first processes. All are asked at once, so that none waits for another; but a server only when
    /// those that started after it, and may need it to end in order, are gone.
    pub(crate) async fn end_down_to(&mut self, rest: usize) {
        for process in self.running.iter().skip(rest).rev() {
            if !process.serves {
                process.terminate();
            }
        }
        while self.running.len() > rest
            && let Some(mut process) = self.running.pop()
        {
            if process.serves {
                process.terminate();
            }
            let _ = process.wait(PATIENCE).await;
        }
    }

    /// Leaves all processes running after this one.
    pub(crate) fn leave(&mut self) {
        self.running.clear();
    }
}

impl Process {
    fn terminate(&self) {
        // As in `signal`.
        if self.child.id().is_some() {
            // An error means that it has ended already.
            let _ = kill_process(self.pid, Signal::TERM);
        }
    }

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
