//! A Kubernetes control plane on this machine: TLS on loopback, a kubeconfig, and nothing to install.

use clap::Parser;
use local_controlplane::{UpOptions, up};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

const HELP: &str = "\
Examples:
  # In one terminal.
  local-controlplane --kubeconfig /tmp/local.kubeconfig

  # In another.
  kubectl --kubeconfig /tmp/local.kubeconfig get leases -A

  # As somebody who may do nothing, until a role is bound.
  kubectl --kubeconfig /tmp/local.kubeconfig --context guest get leases

  # What is written is there again next time.
  local-controlplane --port 6443 --data-dir /tmp/local-controlplane

It serves leases, CRDs and their objects, deployments, namespaces, pods,
configmaps and events; it runs nothing. RUST_LOG sets what is logged.

Exit code: 0 after Ctrl-C or SIGTERM, 1 on errors, 2 for wrong flags.";

/// Run a small Kubernetes API server on loopback until Ctrl-C.
#[derive(Debug, Parser)]
#[command(version, after_help = HELP)]
struct Arguments {
    /// Port on 127.0.0.1; 0 takes any that is free.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Where to write the kubeconfig [default: a temporary folder, removed at the end].
    #[arg(long, value_name = "PATH")]
    kubeconfig: Option<PathBuf>,
    /// Users beside the administrator: CSV of token, name, uid and "groups", as kube-apiserver has it.
    #[arg(long, value_name = "PATH")]
    token_auth_file: Option<PathBuf>,
    /// Folder in which objects are kept [default: they are gone at the end].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print nothing but errors.
    #[arg(long)]
    quiet: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // It would panic when nobody reads stderr any more.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let Arguments {
        port,
        kubeconfig,
        token_auth_file,
        data_dir,
        quiet,
    } = arguments;
    let options = UpOptions {
        port,
        kubeconfig,
        token_auth_file,
        data_dir,
        quiet,
    };
    match up(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The whole chain in one line, and no backtrace: these are mistakes of use, not of the program.
            let _ = writeln!(
                std::io::stderr(),
                "local-controlplane: {:#}",
                anyhow::Error::from(error)
            );
            ExitCode::FAILURE
        }
    }
}
