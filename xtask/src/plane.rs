//! The local control plane as a process of its own, for the demo and the benchmarks.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::processes::Processes;
use crate::shell;
use crate::workspace::Binaries;

/// The program, and its process.
pub(crate) const PROGRAM: &str = "local-controlplane";

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts it and waits until it answers; returns its kubeconfig file, and a client.
pub(crate) async fn start(
    processes: &mut Processes,
    binaries: &Binaries,
    folder: &Path,
) -> anyhow::Result<(PathBuf, Client)> {
    let kubeconfig = folder.join("kubeconfig");
    let since = shell::now();
    let args = [format!("--kubeconfig={}", kubeconfig.display())];
    processes.start(PROGRAM, binaries.path(PROGRAM)?, &args)?;
    loop {
        if kubeconfig.is_file()
            && let Ok(client) = client_of(&kubeconfig).await
            && client.apiserver_version().await.is_ok()
        {
            return Ok((kubeconfig, client));
        }
        if let Some((_, status)) = processes.lost() {
            bail!(
                "the local control plane has ended ({status})\n{}",
                processes.tail(PROGRAM)
            );
        }
        ensure!(
            since.elapsed() < PATIENCE,
            "no API server within {PATIENCE:?}\n{}",
            processes.tail(PROGRAM)
        );
        shell::sleep(Duration::from_millis(2)).await;
    }
}

/// A client of the cluster that a kubeconfig file names.
pub(crate) async fn client_of(kubeconfig: &Path) -> anyhow::Result<Client> {
    let file =
        Kubeconfig::read_from(kubeconfig).with_context(|| format!("cannot use {}", kubeconfig.display()))?;
    let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    // What the server answers is what is to be seen.
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}
