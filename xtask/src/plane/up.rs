//! `cargo xtask control-plane up`: a control plane for whoever wants to try things on one, until Ctrl-C.

#![expect(clippy::print_stdout, reason = "the output of the command")]

use std::future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use local_controlplane::UpOptions;

use super::Access;
use super::assets::Assets;
use super::real::Real;
use crate::processes::Processes;
use crate::{shell, workspace};

const HELP: &str = "\
Examples:
  cargo xtask control-plane up
  cargo xtask control-plane up --port 6443 --kubeconfig /tmp/local.kubeconfig
  cargo xtask control-plane up --data-dir /tmp/local-data
  cargo xtask control-plane up --real --controllers
  cargo xtask control-plane up --real \\
    --api-server-arg=--feature-gates=CoordinatedLeaderElection=true \\
    --api-server-arg=--runtime-config=coordination.k8s.io/v1beta1=true

In another terminal, with the kubeconfig that it names:
  kubectl --kubeconfig /tmp/local.kubeconfig get leases -A --watch
  kubectl --context guest get leases      (a user without rights)";

/// What `control-plane up` is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct UpArgs {
    /// The port on 127.0.0.1; 0 takes any that is free.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Where to write the kubeconfig. [default: a temporary folder, removed at the end]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Users beside the administrator, in the form of kube-apiserver's flag of this name.
    #[arg(long, value_name = "FILE", conflicts_with = "real")]
    token_auth_file: Option<PathBuf>,
    /// Where objects are kept. [default: nowhere, they are gone at the end]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Etcd and kube-apiserver, instead of the small one of this repository.
    #[arg(long)]
    real: bool,
    /// Where their programs are, unless KUBEBUILDER_ASSETS says it. [default: where `control-plane build` puts them]
    #[arg(long, value_name = "DIR", requires = "real")]
    assets: Option<PathBuf>,
    /// Run kube-controller-manager as well. The small one always has its controllers.
    #[arg(long, requires = "real")]
    controllers: bool,
    /// One more argument for kube-apiserver; may be repeated.
    #[arg(
        long = "api-server-arg",
        value_name = "ARG",
        requires = "real",
        allow_hyphen_values = true
    )]
    api_server_args: Vec<String>,
}

pub(super) async fn run(args: UpArgs) -> anyhow::Result<()> {
    if args.real {
        return run_real(args).await;
    }
    let options = UpOptions {
        port: args.port,
        kubeconfig: args.kubeconfig,
        token_auth_file: args.token_auth_file,
        data_dir: args.data_dir,
        quiet: false,
    };
    local_controlplane::up(options)
        .await
        .context("the control plane stopped")
}

async fn run_real(args: UpArgs) -> anyhow::Result<()> {
    let assets = Assets::find(&workspace::root()?, args.assets.as_deref())?;
    let real = Real {
        controllers: args.controllers,
        api_server_args: args.api_server_args,
        port: args.port,
        data_dir: args.data_dir,
        kubeconfig: args.kubeconfig,
        ..Real::new(assets)
    };
    let folder = tempfile::Builder::new().prefix("control-plane-").tempdir();
    let folder = folder.context("cannot make a folder for the control plane")?;
    let mut processes = Processes::new(folder.path().join("logs"))?;
    let ended = tokio::select! {
        ended = serve(&real, &mut processes, folder.path()) => ended,
        signal = shell::interrupted() => signal.map(drop),
    };
    processes.end_down_to(0).await;
    ended
}

/// Returns only when something went wrong.
async fn serve(real: &Real, processes: &mut Processes, folder: &Path) -> anyhow::Result<()> {
    let access = real.start(processes, folder).await?;
    announce(real, &access).await?;
    processes
        .until("the control plane", Duration::MAX, future::pending())
        .await
}

async fn announce(real: &Real, access: &Access) -> anyhow::Result<()> {
    let version = access.client.apiserver_version().await?.git_version;
    let kept = match &real.data_dir {
        Some(folder) => format!("Objects are kept in {}.", folder.display()),
        None => "Objects are gone when it ends.".to_owned(),
    };
    println!(
        "kube-apiserver {version} is ready, from {}. {kept} Ctrl-C ends it.\n\n  export KUBECONFIG={}\n",
        real.assets,
        access.kubeconfig.display()
    );
    Ok(())
}
