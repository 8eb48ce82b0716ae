//! `cargo xtask plugin`: every command of the plugin through the real kubectl, beside an elector and candidates that are
//! processes.
//!
//! What the commands print in each situation is tested in the plugin's own crate; here it is seen that kubectl finds it, hands
//! its flags on, and that it reads and writes what this server answers and accepts.

#![expect(clippy::print_stdout, reason = "the output of the checks")]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use clap::Args;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::plane::{self, Access, Cluster, ClusterArgs};
use crate::processes::Processes;
use crate::shell;
use crate::workspace::{self, Binaries, Profile};

const HELP: &str = "\
Examples:
  cargo xtask plugin
  cargo xtask plugin --control-plane real

Needs kubectl; without it nothing is checked, and that is said. On another
cluster, the namespace election-plugin is made and removed.";

/// What `plugin` is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct PluginArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
}

const PROGRAMS: [&str; 3] = ["kubectl-leases", ELECTOR, "xtask"];
const ELECTOR: &str = "election-controller";
const OWN_NAMESPACE: &str = "default";
const GUEST_NAMESPACE: &str = "election-plugin";
const LEASE: &str = "plugin";
/// Its candidates, the best first.
const CANDIDATES: [(&str, &str); 2] = [("alpha", "1.29"), ("bravo", "1.30")];
/// A step that takes longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(60);
const GLANCE: Duration = Duration::from_millis(200);

/// A command behind `kubectl leases`, the exit codes that it may have, and a word of what it prints.
type Check = (&'static str, &'static [i32], &'static str);

/// What only reads.
const READ: [Check; 15] = [
    ("status", &[0], "Held"),
    ("status -A --all -o wide", &[0], "STRATEGY"),
    ("status plugin", &[0], "Candidates:"),
    ("status -o json", &[0], "\"kind\": \"LeaseStatusList\""),
    (
        "status -o custom-columns=LEASE:.name,LEADER:.holder",
        &[0],
        "plugin   alpha",
    ),
    ("status nope", &[1], "Error from server (NotFound)"),
    ("status --request-timeout 10s", &[0], "Held"),
    (
        "status --server https://127.0.0.1:1",
        &[1],
        "Unable to connect to the server",
    ),
    ("explain plugin", &[0], "What would change it:"),
    ("explain plugin --what-if charlie=1.28", &[0], "charlie"),
    ("candidates plugin", &[0], "holds the lease"),
    ("doctor", &[0, 2], "passed."),
    ("timeline plugin", &[0], "Who led"),
    ("top", &[1], "the output is no terminal"),
    ("version", &[0], "Server Version: v1."),
];

/// What writes; each leaves the lease as a person would expect before the next.
const WRITE: [Check; 9] = [
    ("pin plugin bravo --dry-run=server", &[0], "(server dry run)"),
    ("hold plugin --for 10m --yes", &[0], "put on hold"),
    ("status --state OnHold", &[0], "Held,OnHold"),
    ("release-hold plugin --yes", &[0], "plugin"),
    ("step-down plugin", &[1], "add --yes"),
    (
        "step-down plugin --wait --yes --reason rehearsal",
        &[0],
        "bravo leads",
    ),
    ("pin plugin alpha --yes", &[0], "pinned to alpha"),
    ("unpin plugin --yes", &[0], "plugin"),
    ("forget nobody --yes", &[1], "nobody"),
];

/// Starts what is needed, and checks.
pub(crate) async fn run(args: PluginArgs) -> anyhow::Result<()> {
    let version = Command::new("kubectl")
        .args(["version", "--client"])
        .output()
        .await;
    if !version.is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: kubectl is not installed, so nothing was run behind it");
        return Ok(());
    }
    let root = workspace::root()?;
    let packages = [args.cluster.packages(), &PROGRAMS].concat();
    let binaries = Binaries::build(&root, &packages, Profile::Dev)?;
    let cluster = args.cluster.cluster(&root, &binaries)?;
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let mut processes = Processes::new(folder.path().join("logs"))?;
    let mut guest = None;
    let checked = async {
        let access = cluster.reach(&mut processes, folder.path()).await?;
        let mut namespace = OWN_NAMESPACE;
        if let Cluster::Other(_) = cluster {
            namespace = GUEST_NAMESPACE;
            plane::make_namespace(&access.client, namespace).await?;
            guest = Some(access.client.clone());
        }
        println!("{}", cluster.title());
        let desk = Desk::new(folder.path(), &root, &binaries, &access, namespace)?;
        desk.cast(&binaries, &mut processes)?;
        check(&desk, guest.is_none())
            .await
            .map_err(|error| anyhow!("{error:#}\n{}", processes.tail(ELECTOR)))
    };
    let result = tokio::select! {
        result = checked => result,
        signal = shell::interrupted() => signal.and_then(|name| bail!("{name}: what was started has been stopped")),
    };
    processes.end_down_to(0).await;
    if let Some(client) = guest {
        plane::remove_namespace(&client, GUEST_NAMESPACE).await?;
    }
    println!("{} commands did what they should", result?);
    Ok(())
}

async fn check(desk: &Desk, own: bool) -> anyhow::Result<usize> {
    desk.until_held_by("alpha").await?;
    let mut done = 0;
    for (args, codes, word) in READ.iter().chain(&WRITE) {
        desk.must(args, codes, word).await?;
        done += 1;
    }
    desk.watches().await?;
    let offered = desk.kubectl("__complete leases explain plu").await?;
    ensure!(
        offered.said.starts_with("plugin\t"),
        "kubectl completes no lease: {}",
        offered.said
    );
    done += 2;
    // Roles are for a cluster of one's own.
    if own {
        done += desk.rights().await?;
    }
    Ok(done)
}

/// A person's desk: kubectl, and the plugin where kubectl finds it.
struct Desk {
    path: String,
    kubeconfig: PathBuf,
    home: PathBuf,
    root: PathBuf,
    namespace: &'static str,
}

struct Ended {
    code: Option<i32>,
    said: String,
}

impl Desk {
    fn new(
        folder: &Path,
        root: &Path,
        binaries: &Binaries,
        access: &Access,
        namespace: &'static str,
    ) -> anyhow::Result<Self> {
        let home = folder.join("desk");
        std::fs::create_dir_all(&home)?;
        for name in ["kubectl-leases", "kubectl_complete-leases"] {
            symlink(binaries.path("kubectl-leases")?, home.join(name))?;
        }
        Ok(Self {
            path: format!("{}:{}", home.display(), std::env::var("PATH").unwrap_or_default()),
            kubeconfig: access.kubeconfig.clone(),
            home,
            root: root.to_owned(),
            namespace,
        })
    }

    /// The elector, and the candidates of the lease.
    fn cast(&self, binaries: &Binaries, processes: &mut Processes) -> anyhow::Result<()> {
        let kubeconfig = format!("--kubeconfig={}", self.kubeconfig.display());
        let namespace = format!("--namespace={}", self.namespace);
        let elector = [
            namespace.clone(),
            "--assume-unheld".to_owned(),
            kubeconfig.clone(),
        ];
        processes.start(ELECTOR, binaries.path(ELECTOR)?, &elector)?;
        for (identity, version) in CANDIDATES {
            let args = [
                "bench-candidate".to_owned(),
                kubeconfig.clone(),
                namespace.clone(),
                format!("--lease={LEASE}"),
                format!("--identity={identity}"),
                format!("--binary-version={version}"),
                format!("--emulation-version={version}"),
            ];
            processes.start(identity, binaries.path("xtask")?, &args)?;
        }
        Ok(())
    }

    fn command(&self) -> Command {
        let mut command = Command::new("kubectl");
        command
            .current_dir(&self.root)
            .env("PATH", &self.path)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.home)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn kubectl(&self, args: &str) -> anyhow::Result<Ended> {
        let mut command = self.command();
        command.args(args.split(' '));
        let output = tokio::time::timeout(PATIENCE, command.output());
        let output = output
            .await
            .with_context(|| format!("kubectl {args} did not end within {PATIENCE:?}"))?;
        let output = output.context("cannot run kubectl")?;
        let text = [output.stdout, output.stderr].concat();
        Ok(Ended {
            code: output.status.code(),
            said: String::from_utf8_lossy(&text).into_owned(),
        })
    }

    /// Runs a command in the namespace of the lease, unless it says which.
    async fn must(&self, args: &str, codes: &[i32], word: &str) -> anyhow::Result<()> {
        let place = match args.split(' ').any(|word| word == "-A") || ["version", "top"].contains(&args) {
            true => String::new(),
            false => format!(" -n {}", self.namespace),
        };
        let Ended { code, said } = self.kubectl(&format!("leases {args}{place}")).await?;
        ensure!(
            code.is_some_and(|code| codes.contains(&code)) && said.contains(word),
            "kubectl leases {args}: exit code {code:?}, should be one of {codes:?} with {word:?}\n{said}"
        );
        println!("  ✓ kubectl leases {args}");
        Ok(())
    }

    async fn until_held_by(&self, holder: &str) -> anyhow::Result<()> {
        let since = shell::now();
        loop {
            let asked = format!(
                "leases status {LEASE} -n {} -o jsonpath={{.state}}:{{.holder}}",
                self.namespace
            );
            let Ended { said, .. } = self.kubectl(&asked).await?;
            if said == format!("Held:{holder}") {
                return Ok(());
            }
            ensure!(since.elapsed() < PATIENCE, "{holder} does not lead: {said}");
            shell::sleep(GLANCE).await;
        }
    }

    /// `watch` goes on without end: its first line is how it is.
    async fn watches(&self) -> anyhow::Result<()> {
        let mut command = self.command();
        command.args(["leases", "watch", LEASE, "-n", self.namespace]);
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run kubectl")?;
        let mut lines = BufReader::new(child.stdout.take().context("kubectl has no output")?).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
        let line = line
            .context("kubectl leases watch says nothing")??
            .unwrap_or_default();
        child.kill().await?;
        ensure!(
            line.contains(LEASE) && line.contains(" Is "),
            "kubectl leases watch: {line}"
        );
        println!("  ✓ kubectl leases watch {LEASE}");
        Ok(())
    }

    /// Who is somebody else, with the roles of artifacts/rbac-people.yaml.
    async fn rights(&self) -> anyhow::Result<usize> {
        self.must(
            "status --as vera --as-group dev",
            &[1],
            "User \"vera\" cannot list",
        )
        .await?;
        let namespace = self.namespace;
        for args in [
            "apply -f artifacts/rbac-people.yaml".to_owned(),
            format!(
                "create rolebinding vera --clusterrole=coordinated-election-viewer --user=vera -n {namespace}"
            ),
            format!(
                "create rolebinding ops --clusterrole=coordinated-election-operator --group=ops -n {namespace}"
            ),
        ] {
            let Ended { code, said } = self.kubectl(&args).await?;
            ensure!(code == Some(0), "kubectl {args}: {said}");
        }
        let checks: [Check; 5] = [
            ("status --as vera", &[0], "Held"),
            ("timeline plugin --as vera", &[0], "Who led"),
            (
                "hold plugin --for 1m --yes --as vera",
                &[1],
                "needs update on leases",
            ),
            (
                "hold plugin --for 1m --yes --as otto --as-group ops",
                &[0],
                "put on hold",
            ),
            (
                "release-hold plugin --yes --as otto --as-group ops",
                &[0],
                "plugin",
            ),
        ];
        // A server takes a moment to see a new role.
        let since = shell::now();
        while let Err(error) = self.must(checks[0].0, checks[0].1, checks[0].2).await {
            ensure!(since.elapsed() < PATIENCE, error);
            shell::sleep(GLANCE).await;
        }
        for (args, codes, word) in &checks[1..] {
            self.must(args, codes, word).await?;
        }
        Ok(checks.len() + 1)
    }
}
