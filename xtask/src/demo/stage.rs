//! Where a scenario plays: the cluster, the elector, the processes of the candidates, and what is seen of them.
//!
//! What happens in a scenario is in the file of that scenario.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use kube::Client;
use tokio::process::Command;

use super::cluster::{self, Guest};
use crate::kubectl::Kubectl;
use crate::processes::Processes;
use crate::screen::Screen;
use crate::shell;
use crate::timeline::{Sighting, Timeline};
use crate::workspace::Binaries;

/// How often progress is shown, and how soon a process that died is noticed.
const GLANCE: Duration = Duration::from_millis(100);
/// What kubectl does in the background.
const WATCH: &str = "kubectl";
/// How long kubectl may take to show what the API server knows.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a log is read by whom waits for something in it.
const LOG_GLANCE: Duration = Duration::from_millis(2);

/// Everything that scenarios share.
pub(crate) struct Stage {
    pub(crate) screen: Screen,
    pub(crate) processes: Processes,
    pub(crate) binaries: Binaries,
    pub(crate) client: Client,
    pub(crate) kubectl: Kubectl,
    pub(crate) timeline: Timeline,
    /// The namespace of all leases.
    pub(crate) namespace: String,
    pub(crate) kubeconfig: PathBuf,
    /// Holds the logs and whatever else is written.
    pub(crate) folder: PathBuf,
    /// The root of the repository.
    pub(crate) root: PathBuf,
    /// What was put on somebody's cluster; `None` on one of its own.
    pub(crate) guest: Option<Guest>,
    /// How many processes outlast a scenario.
    pub(crate) lasting: usize,
    /// What came true in the scenario that runs.
    pub(crate) observations: Vec<Observation>,
}

/// Something that came true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Observation {
    /// What, in a word or two.
    pub(crate) label: &'static str,
    /// After which time; `None` when it was only looked at.
    pub(crate) took: Option<Duration>,
}

/// What should come true.
#[derive(Clone, Debug)]
pub(crate) struct Expected<'a> {
    /// What, in a word or two, for the summary.
    pub(crate) label: &'static str,
    /// What, in a sentence.
    pub(crate) text: String,
    /// Since when time is measured.
    pub(crate) since: Instant,
    /// How long it is waited for.
    pub(crate) within: Duration,
    /// The processes whose logs tell why not.
    pub(crate) concerned: &'a [&'a str],
}

impl Stage {
    /// Starts a process in the background, as a person would. Its kubeconfig is in a person's environment.
    pub(crate) fn start(&mut self, name: &str, program: &str, args: &[&str]) -> anyhow::Result<Instant> {
        let mut shown = vec![program.to_owned()];
        shown.extend(args.iter().map(|arg| quote(arg)));
        self.screen.command(&format!("{} &", shown.join(" ")));
        let path = self.binaries.path(program)?;
        let mut given: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        // `candidate` has subcommands: the flag belongs behind the first one.
        let place = usize::from(program == "candidate");
        given.insert(place, format!("--kubeconfig={}", self.kubeconfig.display()));
        let since = shell::now();
        self.processes.start(name, path, &given)?;
        Ok(since)
    }

    /// Asks a process to end, as a person would by its job.
    pub(crate) fn terminate(&mut self, name: &str) -> anyhow::Result<Instant> {
        self.screen.command(&format!("kill %?{name}"));
        let since = shell::now();
        self.processes.terminate(name)?;
        Ok(since)
    }

    /// Applies a file.
    pub(crate) async fn apply(&mut self, file: &str) -> anyhow::Result<Instant> {
        self.screen.command(&format!("kubectl apply -f {file}"));
        let since = shell::now();
        let kubectl = self.kubectl.clone();
        let said = self.patient("kubectl apply", since, kubectl.apply(file)).await?;
        self.screen.output(&said);
        Ok(since)
    }

    /// Shows a lease.
    pub(crate) async fn get_lease(&mut self, name: &str) -> anyhow::Result<()> {
        self.screen.command(&format!(
            "kubectl get lease --namespace {} {name}",
            self.namespace
        ));
        let (kubectl, namespace) = (self.kubectl.clone(), self.namespace.clone());
        let said = self
            .patient("kubectl get", shell::now(), kubectl.get_lease(&namespace, name))
            .await?;
        self.screen.output(&said);
        Ok(())
    }

    /// Deletes a lease.
    pub(crate) async fn delete_lease(&mut self, name: &str) -> anyhow::Result<()> {
        self.screen.command(&format!(
            "kubectl delete lease --namespace {} {name}",
            self.namespace
        ));
        let (kubectl, namespace) = (self.kubectl.clone(), self.namespace.clone());
        let said = self
            .patient(
                "kubectl delete",
                shell::now(),
                kubectl.delete_lease(&namespace, name),
            )
            .await?;
        self.screen.output(&said);
        Ok(())
    }

    /// Waits until something comes true, and says how long it took.
    pub(crate) async fn observe(
        &mut self,
        expected: Expected<'_>,
        happens: impl Future<Output = Instant>,
    ) -> anyhow::Result<Instant> {
        let Expected {
            label,
            text,
            since,
            within,
            concerned,
        } = expected;
        let awaited = async {
            tokio::select! {
                at = happens => Ok(at),
                () = shell::sleep(within.saturating_sub(since.elapsed())) => {
                    bail!("it did not come true within {:.1} s", within.as_secs_f64())
                }
            }
        };
        match self.patient(&text, since, awaited).await {
            Ok(at) => {
                let took = at.saturating_duration_since(since);
                self.came_true(label, &text, Some(took));
                Ok(at)
            }
            Err(error) => Err(self.failure(&text, &error, concerned)),
        }
    }

    /// Says of something that is already known that it is so.
    pub(crate) fn check(
        &mut self,
        label: &'static str,
        text: &str,
        concerned: &[&str],
        holds: bool,
    ) -> anyhow::Result<()> {
        if holds {
            self.came_true(label, text, None);
            return Ok(());
        }
        Err(self.failure(text, &anyhow::anyhow!("it is not so"), concerned))
    }

    fn came_true(&mut self, label: &'static str, text: &str, took: Option<Duration>) {
        self.screen.observed(text, took);
        self.observations.push(Observation { label, took });
    }

    /// Follows the leases as a person would, in the background; not without kubectl.
    pub(crate) fn watch_leases(&mut self) -> anyhow::Result<()> {
        if let Some(flags) = self.kubectl.flags() {
            let typed = ["get", "lease", "--namespace", &self.namespace, "--watch"];
            self.screen.command(&format!("kubectl {} &", typed.join(" ")));
            let args: Vec<_> = typed.into_iter().map(str::to_owned).chain(flags).collect();
            self.processes.start(WATCH, Path::new("kubectl"), &args)?;
        }
        Ok(())
    }

    /// Shows what kubectl has printed about the leases, once it has shown a holder.
    pub(crate) async fn show_watched(&mut self, lease: &str, holder: &str) -> anyhow::Result<()> {
        if !self.kubectl.is_installed() {
            return self.get_lease(lease).await;
        }
        let file = self.processes.log_file(WATCH);
        let shown = async {
            loop {
                let log = std::fs::read_to_string(&file).unwrap_or_default();
                let is_it = |line: &str| line.split_whitespace().take(2).eq([lease, holder]);
                if log.ends_with('\n') && log.lines().any(is_it) {
                    return Ok(log);
                }
                shell::sleep(LOG_GLANCE).await;
            }
        };
        let since = shell::now();
        let within = async {
            tokio::select! {
                log = shown => log,
                () = shell::sleep(PATIENCE) => bail!("it was not shown within {PATIENCE:?}"),
            }
        };
        let text = format!("kubectl shows {holder} as the holder as well");
        match self.patient(&text, since, within).await {
            Ok(log) => {
                self.screen.output(&log);
                self.check("watched", &text, &[WATCH], true)
            }
            Err(error) => Err(self.failure(&text, &error, &[WATCH])),
        }
    }

    /// Asks the plugin who leads.
    pub(crate) async fn status(&mut self) -> anyhow::Result<()> {
        self.screen
            .command(&format!("kubectl leases status --namespace {}", self.namespace));
        let mut command = Command::new(self.binaries.path("kubectl-leases")?);
        command
            .args(["status", "--namespace", &self.namespace])
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .kill_on_drop(true);
        let asked = async {
            let output = command.output().await.context("cannot run kubectl-leases")?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            ensure!(
                output.status.success(),
                "kubectl-leases ({}): {said}",
                output.status
            );
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let said = self.patient("kubectl leases status", shell::now(), asked).await?;
        self.screen.output(&said);
        Ok(())
    }

    /// Waits until a candidate leads.
    pub(crate) async fn leads(
        &mut self,
        lease: &str,
        holder: &str,
        expected: Expected<'_>,
    ) -> anyhow::Result<Sighting> {
        let timeline = self.timeline.clone();
        // What was there before the moment that time is measured from does not count.
        let since = expected.since;
        let found = std::cell::RefCell::new(None);
        let happens = async {
            let sighting = timeline
                .first(0, |seen| seen.at >= since && seen.shows_leader(lease, holder))
                .await;
            let at = sighting.at;
            found.replace(Some(sighting));
            at
        };
        self.observe(expected, happens).await?;
        found.into_inner().context("an observation without a sighting")
    }

    /// Waits for a text in the log of a process, after so many bytes of it; returns the rest of that line.
    pub(crate) fn logged(
        &self,
        process: &str,
        text: &str,
        after: usize,
    ) -> impl Future<Output = String> + use<> {
        let (file, text) = (self.processes.log_file(process), text.to_owned());
        async move {
            loop {
                let log = std::fs::read_to_string(&file).unwrap_or_default();
                let found = log
                    .get(after..)
                    .and_then(|log| log.split_once(&text))
                    .map(|(_, rest)| rest);
                // A line without its end may still be written.
                if let Some((line, _)) = found.and_then(|rest| rest.split_once('\n')) {
                    return line.to_owned();
                }
                shell::sleep(LOG_GLANCE).await;
            }
        }
    }

    /// The path of a file of this repository, or of a copy that suits the namespace.
    pub(crate) fn artifact(&self, file: &str) -> anyhow::Result<String> {
        const WRITTEN_FOR: &str = "kube-system";
        if self.namespace == WRITTEN_FOR {
            return Ok(file.to_owned());
        }
        let text =
            std::fs::read_to_string(self.root.join(file)).with_context(|| format!("cannot read {file}"))?;
        let copy = self.folder.join(file.replace('/', "-"));
        std::fs::write(&copy, text.replace(WRITTEN_FOR, &self.namespace))?;
        Ok(copy.display().to_string())
    }

    /// Ends the processes of a scenario.
    pub(crate) async fn clear(&mut self) {
        self.processes.end_down_to(self.lasting).await;
    }

    /// Takes everything down.
    pub(crate) async fn end(&mut self) -> anyhow::Result<()> {
        self.clear().await;
        let result = match self.guest {
            Some(guest) => cluster::move_out(self, guest)
                .await
                .context("what was put on the cluster is still there"),
            None => Ok(()),
        };
        self.processes.end_down_to(0).await;
        result
    }

    /// Waits with progress on the screen. A process that died meanwhile is an error.
    pub(crate) async fn patient<T>(
        &mut self,
        text: &str,
        since: Instant,
        awaited: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let mut awaited = std::pin::pin!(awaited);
        loop {
            tokio::select! {
                biased;
                result = &mut awaited => return result,
                () = shell::sleep(GLANCE) => {}
            }
            if let Some((name, status)) = self.processes.lost() {
                bail!(
                    "{name} has ended by itself ({status})\n{}",
                    self.processes.tail(&name)
                );
            }
            self.screen.waiting(text, since.elapsed());
        }
    }

    /// What people get to see when something did not come true.
    fn failure(&mut self, text: &str, error: &anyhow::Error, concerned: &[&str]) -> anyhow::Error {
        self.screen.failed(text);
        let mut why = format!("{text}: {error:#}\n--- the last that was seen of the leases:\n");
        let mut names: Vec<_> = self.timeline.since(0).into_iter().map(|seen| seen.name).collect();
        names.sort();
        names.dedup();
        for name in names {
            if let Some(seen) = self.timeline.last(&name) {
                why += &match (&seen.item, seen.leader()) {
                    (None, _) => format!("{name}: deleted\n"),
                    (_, Some(lease)) => format!("{name}: {}, {:?}\n", lease.record.state(), lease.record),
                    (Some(item), None) => format!("{name}: {item:?}\n"),
                };
            }
        }
        for process in concerned {
            why += &self.processes.tail(process);
            why.push('\n');
        }
        anyhow::anyhow!(why)
    }
}

/// An argument as it is typed in a shell.
fn quote(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,%".contains(c);
    if arg.chars().all(plain) && !arg.is_empty() {
        arg.to_owned()
    } else {
        format!("'{arg}'")
    }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn arguments_are_quoted_where_a_shell_would_read_more_into_them() {
        assert_eq!(quote("--lease-duration=2s"), "--lease-duration=2s");
        assert_eq!(quote("echo $TOKEN; exec sleep 1"), "'echo $TOKEN; exec sleep 1'");
    }
}
