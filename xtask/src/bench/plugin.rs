//! `cargo xtask bench plugin`: how long `kubectl leases status` takes from its start to its end, by hyperfine, and how large the
//! plugin is as it ships.

#![expect(clippy::print_stdout, reason = "the output of the benchmark")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use clap::Args;
use serde::Deserialize;
use serde_json::json;
use tokio::process::Command;

use super::figures::Figures;
use super::scale::{Crowd, ELECTOR, NAMESPACE};
use crate::plane::{self, Cluster};
use crate::processes::Processes;
use crate::tools;
use crate::workspace::{self, Binaries, Profile};

const HELP: &str = "\
Examples:
  cargo xtask bench plugin
  cargo xtask bench plugin --leases 1000 --runs 20

The first run installs hyperfine below the build output.";

/// What `bench plugin` is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct PluginArgs {
    /// Numbers of leases; each has three candidates.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 1_000, 10_000])]
    leases: Vec<usize>,
    /// How often the command is run.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Only one line of JSON.
    #[arg(long)]
    json: bool,
}

const PLUGIN: &str = "kubectl-leases";
const HYPERFINE: (&str, &str) = ("hyperfine", "1.20.0");

/// Measures, and shows what was measured.
pub(super) async fn run(args: PluginArgs) -> anyhow::Result<()> {
    let root = workspace::root()?;
    let hyperfine = tools::installed(&root, HYPERFINE)?;
    let plugin = Binaries::build(&root, &[PLUGIN], Profile::Release)?;
    let plugin = plugin.path(PLUGIN)?;
    let bytes = std::fs::metadata(plugin).context("the plugin has no size")?.len();
    let binaries = Binaries::build(&root, &[plane::LOCAL_PROGRAM, ELECTOR], Profile::Bench)?;
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    if !args.json {
        println!("{PLUGIN}: {mebibytes:.1} MiB, stripped");
        println!(
            "{:40} {:>9} {:>9} {:>9} {:>9}",
            "status --all-namespaces (MILLISECONDS)", "MIN", "MEDIAN", "P99", "MAX"
        );
    }
    let mut sizes = Vec::new();
    for leases in &args.leases {
        let measured = measure(&args, *leases, &hyperfine, plugin, &binaries);
        let (led, at_rest) = tokio::select! {
            figures = measured => figures?,
            _ = tokio::signal::ctrl_c() => return Err(anyhow!("interrupted: what was started has been stopped")),
        };
        if !args.json {
            for (figures, when) in [(&led, "all renewed"), (&at_rest, "at rest")] {
                let [min, median, p99, max] = figures.row();
                let text = format!("{leases} leases, {when}, {} runs", figures.count());
                println!("{text:40} {min:>9.1} {median:>9.1} {p99:>9.1} {max:>9.1}");
            }
        }
        sizes.push(json!({"leases": leases, "status": led.json(), "statusAtRest": at_rest.json()}));
    }
    println!("{}", json!({"bench": "plugin", "bytes": bytes, "sizes": sizes}));
    Ok(())
}

/// Once while each candidate renews and the elector acts, which takes most of a small machine when there are many; and once
/// when nobody writes any more.
async fn measure(
    args: &PluginArgs,
    leases: usize,
    hyperfine: &Path,
    plugin: &Path,
    binaries: &Binaries,
) -> anyhow::Result<(Figures, Figures)> {
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
        let led = read(&results)?;
        processes.end_down_to(servers).await;
        timed(hyperfine, args.runs, &results, &command).await?;
        Ok((led, read(&results)?))
    };
    let figures: anyhow::Result<(Figures, Figures)> = measured.await;
    let figures = figures.with_context(|| format!("{leases} leases\n{}", processes.tail(ELECTOR)));
    processes.end_down_to(0).await;
    figures
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

fn read(results: &PathBuf) -> anyhow::Result<Figures> {
    let text = std::fs::read_to_string(results).context("hyperfine has written nothing")?;
    let exported: Exported = serde_json::from_str(&text).context("hyperfine wrote something else")?;
    let times = exported.results.into_iter().flat_map(|timed| timed.times);
    Figures::of(times.map(|seconds| seconds * 1000.0).collect()).context("nothing was measured")
}
