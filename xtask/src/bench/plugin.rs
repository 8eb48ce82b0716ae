//! `cargo xtask bench plugin`: how long `kubectl leases status` takes from its start to its end, by hyperfine, and how large the
//! plugin is as it ships. The other figures are shown and never judged; a person waits for these, so they have limits, and the
//! command fails beyond them.

#![expect(clippy::print_stdout, reason = "the output of the benchmark")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use clap::Args;
use serde::Deserialize;
use tokio::process::Command;

use super::figures::Figures;
use super::report;
use super::results::{PluginRun, PluginSize, Results, Setup};
use super::scale::{Crowd, ELECTOR, NAMESPACE};
use crate::plane::{self, Cluster};
use crate::processes::Processes;
use crate::tools;
use crate::workspace::{self, Binaries, Profile};

const HELP: &str = "\
Examples:
  cargo xtask bench plugin
  cargo xtask bench plugin --leases 1000 --runs 20

Writes results.json and tables to the folder of --out, and fails when the median
with up to 10 leases is over 50 ms, with up to 10,000 over 2 s, or the program
over 15 MB. The first run installs hyperfine below the build output.";

/// What `bench plugin` is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct PluginArgs {
    /// Numbers of leases; each has three candidates.
    #[arg(long, value_delimiter = ',', default_values_t = LEASES)]
    leases: Vec<usize>,
    /// How often the command is run.
    #[arg(long, default_value_t = RUNS, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Where results are written.
    #[arg(long, value_name = "DIR", default_value = report::FOLDER)]
    out: PathBuf,
}

impl PluginArgs {
    /// All sizes.
    pub(super) fn whole(out: &Path) -> Self {
        Self {
            leases: LEASES.to_vec(),
            runs: RUNS,
            out: out.to_owned(),
        }
    }
}

const LEASES: [usize; 3] = [10, 1_000, 10_000];
const RUNS: u32 = 50;
/// A program that is downloaded by everybody who looks.
const MOST_BYTES: u64 = 15_000_000;

/// How many milliseconds the median may take with so many leases: with a few, less than a person notices; with the most that are
/// promised, as long as a person waits.
pub(super) fn limit(leases: usize) -> Option<f64> {
    match leases {
        0..=10 => Some(50.0),
        11..=10_000 => Some(2_000.0),
        _ => None,
    }
}

const PLUGIN: &str = "kubectl-leases";
const HYPERFINE: (&str, &str) = ("hyperfine", "1.20.0");

/// Measures, writes what was measured, and judges it.
pub(super) async fn run(args: PluginArgs) -> anyhow::Result<()> {
    let root = workspace::root()?;
    let out = root.join(&args.out);
    let mut results = Results::load(&out)?;
    let hyperfine = tools::installed(&root, HYPERFINE)?;
    let plugin = Binaries::build(&root, &[PLUGIN], Profile::Release)?;
    let plugin = plugin.path(PLUGIN)?;
    let bytes = std::fs::metadata(plugin).context("the plugin has no size")?.len();
    let binaries = Binaries::build(&root, &[plane::LOCAL_PROGRAM, ELECTOR], Profile::Bench)?;
    println!("{PLUGIN}: {:.1} MB, stripped", bytes as f64 / 1e6);
    println!(
        "{:40} {:>9} {:>9} {:>9} {:>9}",
        "status --all-namespaces (MILLISECONDS)", "MIN", "MEDIAN", "P99", "MAX"
    );
    let mut sizes = Vec::new();
    for leases in &args.leases {
        let measured = measure(&args, *leases, &hyperfine, plugin, &binaries);
        let size = tokio::select! {
            size = measured => size?,
            _ = tokio::signal::ctrl_c() => return Err(anyhow!("interrupted: what was started has been stopped")),
        };
        for (figures, when) in figures(&size) {
            let [min, median, p99, max] = figures.row();
            let text = format!("{leases} leases, {when}, {} runs", figures.count());
            println!("{text:40} {min:>9.1} {median:>9.1} {p99:>9.1} {max:>9.1}");
        }
        sizes.push(size);
    }
    let run = PluginRun {
        setup: Setup::now("the local control plane".to_owned())?,
        bytes,
        sizes,
    };
    let beyond = beyond(&run);
    results.plugin = Some(run);
    results.save(&out)?;
    report::write(&results, &root, &out)?;
    ensure!(beyond.is_empty(), "too much: {}", beyond.join("; "));
    Ok(())
}

fn figures(size: &PluginSize) -> Vec<(Figures, &'static str)> {
    let of = |values: &[f64], when| Some((Figures::of(values.to_vec())?, when));
    let both = [of(&size.renewed, "all renewed"), of(&size.at_rest, "at rest")];
    both.into_iter().flatten().collect()
}

/// What is over its limit.
fn beyond(run: &PluginRun) -> Vec<String> {
    let mut beyond = Vec::new();
    if run.bytes > MOST_BYTES {
        beyond.push(format!(
            "the program has {} bytes, at most {MOST_BYTES}",
            run.bytes
        ));
    }
    for size in &run.sizes {
        for (figures, when) in figures(size) {
            let median = figures.percentile(50);
            if let Some(limit) = limit(size.leases).filter(|limit| median > *limit) {
                let leases = size.leases;
                beyond.push(format!(
                    "{leases} leases, {when}: {median:.0} ms, at most {limit:.0} ms"
                ));
            }
        }
    }
    beyond
}

/// Once while each candidate renews and the elector acts, which takes most of a small machine when there are many; and once
/// when nobody writes any more.
async fn measure(
    args: &PluginArgs,
    leases: usize,
    hyperfine: &Path,
    plugin: &Path,
    binaries: &Binaries,
) -> anyhow::Result<PluginSize> {
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let mut processes = Processes::new(folder.path().join("logs"))?;
    let measured = async {
        let access = Cluster::local(binaries)?
            .reach(&mut processes, folder.path())
            .await?;
        let servers = processes.count();
        let elector = [
            format!("--namespace={NAMESPACE}"),
            "--assume-unheld".to_owned(),
            format!("--kubeconfig={}", access.kubeconfig.display()),
        ];
        processes.start(ELECTOR, binaries.path(ELECTOR)?, &elector)?;
        let config = candidate::client::load(Some(&access.kubeconfig), None).await?;
        let mut crowd = Crowd::join(candidate::client::lease_client(config)?, NAMESPACE, leases).await?;
        crowd
            .until("a leader of each lease", |book| book.led() == leases)
            .await?;
        let command = [plugin, &access.kubeconfig].map(|path| path.display().to_string());
        let command = format!(
            "'{}' status --all-namespaces --kubeconfig '{}'",
            command[0], command[1]
        );
        let results = folder.path().join("hyperfine.json");
        let ran = timed(hyperfine, args.runs, &results, &command);
        tokio::select! {
            ran = ran => ran?,
            // The candidates stay alive meanwhile.
            left = crowd.during(Duration::MAX) => left?,
        }
        let renewed = read(&results)?;
        processes.end_down_to(servers).await;
        timed(hyperfine, args.runs, &results, &command).await?;
        Ok(PluginSize {
            leases,
            renewed,
            at_rest: read(&results)?,
        })
    };
    let size: anyhow::Result<PluginSize> = measured.await;
    let size = size.with_context(|| format!("{leases} leases\n{}", processes.tail(ELECTOR)));
    processes.end_down_to(0).await;
    size
}

async fn timed(hyperfine: &Path, runs: u32, results: &Path, command: &str) -> anyhow::Result<()> {
    let output = Command::new(hyperfine)
        .args([
            "--shell=none",
            "--style=none",
            "--warmup=3",
            &format!("--runs={runs}"),
        ])
        .arg("--export-json")
        .arg(results)
        .arg(command)
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("cannot run {}", hyperfine.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "hyperfine: {}: {said}", output.status);
    Ok(())
}

/// What hyperfine writes, in seconds.
#[derive(Deserialize)]
struct Exported {
    results: Vec<Timed>,
}

#[derive(Deserialize)]
struct Timed {
    times: Vec<f64>,
}

fn read(results: &PathBuf) -> anyhow::Result<Vec<f64>> {
    let text = std::fs::read_to_string(results).context("hyperfine has written nothing")?;
    let exported: Exported = serde_json::from_str(&text).context("hyperfine wrote something else")?;
    let times = exported.results.into_iter().flat_map(|timed| timed.times);
    let millis: Vec<f64> = times.map(|seconds| (seconds * 1e6).round() / 1000.0).collect();
    ensure!(!millis.is_empty(), "nothing was measured");
    Ok(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_its_limit_is_named() {
        let run = |bytes, leases, renewed: &[f64], at_rest: &[f64]| PluginRun {
            setup: Setup {
                command: String::new(),
                day: String::new(),
                machine: String::new(),
                server: String::new(),
            },
            bytes,
            sizes: vec![PluginSize {
                leases,
                renewed: renewed.to_vec(),
                at_rest: at_rest.to_vec(),
            }],
        };
        // One slow run is not the median.
        assert_eq!(
            beyond(&run(MOST_BYTES, 10, &[20.0, 30.0, 400.0], &[20.0])),
            [""; 0]
        );
        assert_eq!(
            beyond(&run(MOST_BYTES + 1, 10, &[51.0], &[50.0])),
            [
                "the program has 15000001 bytes, at most 15000000",
                "10 leases, all renewed: 51 ms, at most 50 ms"
            ]
        );
        assert_eq!(
            beyond(&run(1, 10_000, &[1.0], &[2_001.0])),
            ["10000 leases, at rest: 2001 ms, at most 2000 ms"]
        );
        assert_eq!(beyond(&run(1, 20_000, &[9_000.0], &[])), [""; 0]);
    }
}
