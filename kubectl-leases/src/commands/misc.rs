//! Commands about this program itself: completion, version, man pages.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, CommandFactory, ValueEnum};
use serde::Serialize;

use crate::cli::{Cli, Found};
use crate::cluster::Error;
use crate::connection::{Connection, Place};
use crate::output::{ObjectFormat, object};

const COMPLETION_HELP: &str = "\
Examples:
  # Behind `kubectl leases`: kubectl asks a program of this name.
  ln -s \"$(command -v kubectl-leases)\" ~/.local/bin/kubectl_complete-leases

  # Behind `kubectl-leases`, in bash.
  source <(kubectl-leases completion bash)

  # In zsh, in a folder of $fpath.
  kubectl-leases completion zsh > ~/.zfunc/_kubectl-leases

  # In fish.
  cd ~/.config/fish/completions
  kubectl-leases completion fish > kubectl-leases.fish";

/// The shells that there is a script for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KnownShell {
    Bash,
    Zsh,
    Fish,
}

/// Print the script that lets a shell complete this command.
#[derive(Debug, Args)]
#[command(after_help = COMPLETION_HELP)]
pub(crate) struct Completion {
    /// The shell.
    #[arg(value_enum)]
    shell: KnownShell,
}

impl Completion {
    pub(crate) fn run(&self, out: &mut impl Write) -> Result<Found, Error> {
        // Those of clap name no lease: these ask this program, in the way in which kubectl asks it.
        let script = match self.shell {
            KnownShell::Bash => include_str!("../complete/kubectl-leases.bash"),
            KnownShell::Zsh => include_str!("../complete/kubectl-leases.zsh"),
            KnownShell::Fish => include_str!("../complete/kubectl-leases.fish"),
        };
        out.write_all(script.as_bytes())?;
        Ok(Found::Answer)
    }
}

const VERSION_HELP: &str = "\
Examples:
  # Both versions.
  kubectl leases version

  # Without asking the server.
  kubectl leases version --client";

/// Print the version of this plugin and of the server.
#[derive(Debug, Args)]
#[command(after_help = VERSION_HELP)]
pub(crate) struct Version {
    /// Do not ask the server.
    #[arg(long)]
    client: bool,
    /// The form of the output.
    #[arg(short, long, value_enum)]
    output: Option<ObjectFormat>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    client_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_version: Option<String>,
}

impl Version {
    pub(crate) async fn run(&self, out: &mut impl Write) -> Result<Found, Error> {
        let server_version = match self.client {
            true => None,
            false => {
                let session = self.connection.open(&Place::default()).await?;
                Some(session.cluster.version().await?.git_version)
            }
        };
        let versions = Versions {
            client_version: env!("CARGO_PKG_VERSION"),
            server_version,
        };
        match self.output {
            Some(format) => object(out, format, &versions)?,
            None => {
                writeln!(out, "Client Version: {}", versions.client_version)?;
                if let Some(server) = &versions.server_version {
                    writeln!(out, "Server Version: {server}")?;
                }
            }
        }
        Ok(Found::Answer)
    }
}

const MAN_HELP: &str = "\
Examples:
  kubectl-leases man ~/.local/share/man/man1
  man kubectl-leases-explain";

/// Write the man pages of all commands into a folder.
#[derive(Debug, Args)]
#[command(after_help = MAN_HELP)]
pub(crate) struct Man {
    /// The folder.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

impl Man {
    pub(crate) fn run(&self) -> Result<Found, Error> {
        std::fs::create_dir_all(&self.folder)?;
        let mut command = Cli::command()
            .name("kubectl-leases")
            .disable_help_subcommand(true);
        command.build();
        pages(&command, "kubectl-leases", &self.folder)?;
        Ok(Found::Answer)
    }
}

fn pages(command: &clap::Command, name: &str, folder: &std::path::Path) -> io::Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .title(name.to_uppercase())
        .section("1")
        .date("")
        .manual("kubectl leases")
        .render(&mut page)?;
    std::fs::write(folder.join(format!("{name}.1")), page)?;
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    for below in shown {
        let name = format!("{name}-{}", below.get_name());
        pages(below, &name, folder)?;
    }
    Ok(())
}
