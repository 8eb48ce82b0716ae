//! What was measured, as it is kept in `results.json`: every single value, so that tables and pictures can be drawn again
//! without measuring again.

use std::path::Path;

use anyhow::Context;
use candidate::clock::{BootClock, Clock};
use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::figures::Figures;
use super::peers::system::System;

/// The file in the folder of results.
const FILE: &str = "results.json";

/// All that was measured, each part by its last run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Results {
    pub(super) peers: Option<PeersRun>,
    pub(super) scale: Option<ScaleRun>,
    #[serde(default)]
    pub(super) plugin: Option<PluginRun>,
}

/// Under which circumstances something was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Setup {
    pub(super) command: String,
    pub(super) day: String,
    pub(super) machine: String,
    pub(super) server: String,
}

/// A run of `bench peers`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PeersRun {
    pub(super) setup: Setup,
    pub(super) rounds: u32,
    /// Systems that were not measured, each with the reason.
    pub(super) skipped: Vec<(System, String)>,
    pub(super) series: Vec<Series>,
    /// Trials that came to no end.
    pub(super) failures: Vec<Failure>,
    /// One handover of each system, that with the median gap.
    pub(super) handovers: Vec<Handover>,
    pub(super) idle: Vec<Idle>,
    /// How long the processes were watched for that.
    pub(super) idle_seconds: f64,
}

/// All values of one quantity for one system; of the server itself when there is no system.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Series {
    pub(super) quantity: Quantity,
    pub(super) system: Option<System>,
    pub(super) values: Vec<f64>,
}

impl Series {
    /// Minimum, median, 99th percentile and maximum.
    pub(super) fn figures(&self) -> Option<Figures> {
        Figures::of(self.values.clone())
    }
}

/// A trial that came to no end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) measure: String,
    pub(super) system: System,
    pub(super) why: String,
}

/// A handover, in milliseconds from the moment when the leader was asked to end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Handover {
    pub(super) system: System,
    pub(super) stopped: f64,
    pub(super) leads: f64,
    /// What a watch showed of the lease in between.
    pub(super) seen: Vec<(f64, String)>,
}

/// What a process cost while nothing happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Idle {
    pub(super) system: System,
    pub(super) role: Role,
    pub(super) requests_per_second: f64,
    pub(super) bytes_per_second: f64,
    pub(super) resident_mib: f64,
    pub(super) cpu_percent: f64,
}

/// What a process is in an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Role {
    Leader,
    Standby,
    Elector,
}

impl Role {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Standby => "standby",
            Self::Elector => "elector",
        }
    }
}

/// A run of `bench scale`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ScaleRun {
    pub(super) setup: Setup,
    pub(super) sizes: Vec<ScaleSize>,
}

/// What one elector did with so many leases.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ScaleSize {
    pub(super) leases: usize,
    pub(super) candidates: usize,
    /// From the start of the elector's process until every lease had its leader.
    pub(super) cold_seconds: f64,
    /// The elector, while all leaders renew.
    pub(super) resident_mib: f64,
    pub(super) cpu_percent: f64,
    /// The writes that it saw meanwhile.
    pub(super) writes_per_second: f64,
    /// Milliseconds from a release to the next leader's accept, all released at once.
    pub(super) releases: Vec<f64>,
    /// Milliseconds from the expiry of a lease to the next leader's accept, all leaders dead at once.
    pub(super) crashes: Vec<f64>,
}

/// A run of `bench plugin`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PluginRun {
    pub(super) setup: Setup,
    /// The plugin as it ships, stripped.
    pub(super) bytes: u64,
    pub(super) sizes: Vec<PluginSize>,
}

/// How long `kubectl leases status` takes with so many leases, in milliseconds from its start to its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PluginSize {
    pub(super) leases: usize,
    /// While all leaders and candidates renew.
    pub(super) renewed: Vec<f64>,
    /// While nobody writes.
    pub(super) at_rest: Vec<f64>,
}

/// What a value says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Quantity {
    StopGap,
    StopTotal,
    BetterGap,
    BetterTotal,
    CrashBeyond,
    CrashTotal,
    ColdTotal,
    DeadFirst,
    DeadSecond,
    UpLeaderless,
    UpTransitions,
    UpSkew,
    DownLeaderless,
    DownTransitions,
    DownSkew,
    Put,
    PutSeen,
}

impl Quantity {
    pub(super) const ALL: [Self; 17] = [
        Self::StopGap,
        Self::StopTotal,
        Self::BetterGap,
        Self::BetterTotal,
        Self::CrashBeyond,
        Self::CrashTotal,
        Self::ColdTotal,
        Self::DeadFirst,
        Self::DeadSecond,
        Self::UpLeaderless,
        Self::UpTransitions,
        Self::UpSkew,
        Self::DownLeaderless,
        Self::DownTransitions,
        Self::DownSkew,
        Self::Put,
        Self::PutSeen,
    ];

    /// What it says, for a heading.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::StopGap => "Graceful stop: old work has stopped → next leads",
            Self::StopTotal => "Graceful stop: SIGTERM to the leader → next leads",
            Self::BetterGap => "Better version arrives: old work has stopped → it leads",
            Self::BetterTotal => "Better version arrives: its process is started → it leads",
            Self::CrashBeyond => "Crash: the lease has expired → next leads",
            Self::CrashTotal => "Crash: SIGKILL to the leader → next leads",
            Self::ColdTotal => "Cold start: first of three processes is started → one leads",
            Self::DeadFirst => "The best candidate is dead, first vacancy: old work has stopped → next leads",
            Self::DeadSecond => {
                "The best candidate is dead, second vacancy: old work has stopped → next leads"
            }
            Self::UpLeaderless => "Rolling upgrade: without a leader",
            Self::UpTransitions => "Rolling upgrade: transitions",
            Self::UpSkew => "Rolling upgrade: a higher version led while a lower one lived",
            Self::DownLeaderless => "Rolling downgrade: without a leader",
            Self::DownTransitions => "Rolling downgrade: transitions",
            Self::DownSkew => "Rolling downgrade: a higher version led while a lower one lived",
            Self::Put => "Conditional PUT of a lease → answer",
            Self::PutSeen => "Conditional PUT of a lease is sent → a watch shows it",
        }
    }

    /// Whether it counts something; all others are times in milliseconds.
    pub(super) const fn is_count(self) -> bool {
        matches!(self, Self::UpTransitions | Self::DownTransitions)
    }
}

impl Results {
    /// What a folder has, nothing when it has none.
    pub(super) fn load(folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join(FILE);
        if !file.exists() {
            return Ok(Self::default());
        }
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_str(&text)
            .with_context(|| format!("{} has another form: measure again", file.display()))
    }

    /// Keeps it in a folder.
    pub(super) fn save(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let file = folder.join(FILE);
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
    }
}

impl PeersRun {
    /// Adds a value.
    pub(super) fn add(&mut self, quantity: Quantity, system: Option<System>, value: f64) {
        let value = (value * 1000.0).round() / 1000.0;
        let same = |series: &&mut Series| series.quantity == quantity && series.system == system;
        match self.series.iter_mut().find(same) {
            Some(series) => series.values.push(value),
            None => self.series.push(Series {
                quantity,
                system,
                values: vec![value],
            }),
        }
    }

    /// The values of one quantity for one system.
    pub(super) fn series(&self, quantity: Quantity, system: Option<System>) -> Option<&Series> {
        self.series
            .iter()
            .find(|series| series.quantity == quantity && series.system == system)
    }
}

impl Setup {
    /// This machine, today.
    pub(super) fn now(server: String) -> anyhow::Result<Self> {
        let micros = BootClock::new().wall().as_micros();
        let day = Timestamp::from_microsecond(micros)?
            .strftime("%Y-%m-%d")
            .to_string();
        let words: Vec<String> = std::env::args().skip(1).map(without_folder).collect();
        Ok(Self {
            command: format!("cargo xtask {}", words.join(" ")),
            day,
            machine: machine()?,
            server,
        })
    }
}

/// A word of the command line; where a file is on this machine says nothing to anybody else.
fn without_folder(word: String) -> String {
    match word.split_once('=') {
        Some((flag, value)) => format!("{flag}={}", without_folder(value.to_owned())),
        None if word.starts_with('/') => word.rsplit('/').next().unwrap_or_default().to_owned(),
        None => word,
    }
}

/// The machine, in the words that matter for a figure.
fn machine() -> anyhow::Result<String> {
    let cores = std::thread::available_parallelism().context("how many cores are there?")?;
    let memory = std::fs::read_to_string("/proc/meminfo").context("cannot read /proc/meminfo")?;
    let kib = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"));
    let kib: f64 = kib.context("/proc/meminfo has no MemTotal")?.parse()?;
    // The kernel keeps some of it for itself.
    Ok(format!(
        "{cores} cores, {:.0} GiB",
        (kib / 1024.0 / 1024.0).ceil()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_without_the_folders_of_a_machine() {
        let shown = |word: &str| without_folder(word.to_owned());
        assert_eq!(shown("/tmp/x/kubeconfig"), "kubeconfig");
        assert_eq!(shown("--kubeconfig=/tmp/x/kubeconfig"), "--kubeconfig=kubeconfig");
        assert_eq!(shown("docs/benchmarks"), "docs/benchmarks");
        assert_eq!(shown("--rounds"), "--rounds");
    }
}
