//! The cluster that a command works on: a control plane of its own, local or real, or any other cluster.
//!
//! What each kind consists of is in a file of its own, and so is what `cargo xtask control-plane` does with them.

mod assets;
mod build;
mod credentials;
mod local;
mod real;
mod up;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use crate::processes::Processes;
use crate::shell;
use crate::workspace::Binaries;
use assets::Assets;
use local::Local;
pub(crate) use local::PROGRAM as LOCAL_PROGRAM;
use real::Real;

/// How often it is asked whether a server answers.
const GLANCE: Duration = Duration::from_millis(5);
/// A server that is only half there may keep a request waiting.
const ANSWER: Duration = Duration::from_secs(2);

/// What `control-plane` can do.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ControlPlane {
    /// Run it until Ctrl-C; says how kubectl reaches it.
    Up(up::UpArgs),
    /// Compile the programs of a real one.
    Build(build::BuildArgs),
}

/// Does what `control-plane` was asked for.
pub(crate) async fn run(command: ControlPlane) -> anyhow::Result<()> {
    match command {
        ControlPlane::Up(args) => up::run(args).await,
        ControlPlane::Build(args) => build::run(&args).await,
    }
}

/// Which cluster a command works on.
#[derive(Clone, Debug, Args)]
pub(crate) struct ClusterArgs {
    /// The control plane to start.
    #[arg(long, value_enum, value_name = "KIND", default_value_t = Kind::Local)]
    control_plane: Kind,
    /// Where etcd and kube-apiserver are, for a real one, unless KUBEBUILDER_ASSETS says it.
    /// [default: where `cargo xtask control-plane build` puts them]
    #[arg(long, value_name = "DIR")]
    assets: Option<PathBuf>,
    /// Any other cluster, instead of one that is started.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["control_plane", "assets"])]
    kubeconfig: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The small one of this repository.
    Local,
    /// Etcd and kube-apiserver.
    Real,
}

impl ClusterArgs {
    /// Whether it is the small control plane of this repository.
    pub(crate) fn is_local(&self) -> bool {
        self.kubeconfig.is_none() && self.control_plane == Kind::Local
    }

    /// Whether it is started here.
    pub(crate) fn is_own(&self) -> bool {
        self.kubeconfig.is_none()
    }

    /// The processes of one that is started here: whoever keeps the objects first, whoever answers requests last.
    pub(crate) const fn servers(&self) -> &'static [&'static str] {
        match self.control_plane {
            Kind::Local => &[local::PROGRAM],
            Kind::Real => &[assets::ETCD, assets::API_SERVER],
        }
    }

    /// What has to be built for it.
    pub(crate) fn packages(&self) -> &'static [&'static str] {
        match self.control_plane {
            Kind::Local if self.kubeconfig.is_none() => &[local::PROGRAM],
            Kind::Local | Kind::Real => &[],
        }
    }

    /// The cluster that is meant.
    pub(crate) fn cluster(&self, root: &Path, binaries: &Binaries) -> anyhow::Result<Cluster> {
        ensure!(
            self.assets.is_none() || self.control_plane == Kind::Real,
            "--assets is about a real control plane: add --control-plane real"
        );
        Ok(match (&self.kubeconfig, self.control_plane) {
            (Some(kubeconfig), _) => Cluster::Other(kubeconfig.clone()),
            (None, Kind::Local) => Cluster::local(binaries)?,
            (None, Kind::Real) => Cluster::real(root, self.assets.as_deref())?,
        })
    }
}

/// Which cluster it is.
#[derive(Clone, Debug)]
pub(crate) enum Cluster {
    /// One that is started and ended here.
    Own(Plane),
    /// One that was there before, by its kubeconfig.
    Other(PathBuf),
}

impl Cluster {
    /// The small control plane of this repository.
    pub(crate) fn local(binaries: &Binaries) -> anyhow::Result<Self> {
        Ok(Self::Own(Plane::Local(Local {
            program: binaries.path(local::PROGRAM)?.to_owned(),
        })))
    }

    /// A real control plane, from the programs that are found.
    pub(crate) fn real(root: &Path, assets: Option<&Path>) -> anyhow::Result<Self> {
        Ok(Self::Own(Plane::Real(Real::new(Assets::find(root, assets)?))))
    }

    /// What it is, and how it is reached.
    pub(crate) const fn title(&self) -> &'static str {
        match self {
            Self::Own(Plane::Local(_)) => "local control plane over TLS on loopback",
            Self::Own(Plane::Real(_)) => "etcd and kube-apiserver over TLS on loopback",
            Self::Other(_) => "the cluster of --kubeconfig",
        }
    }

    /// Starts it where it does not run yet. Whatever is written is in the folder.
    pub(crate) async fn reach(&self, processes: &mut Processes, folder: &Path) -> anyhow::Result<Access> {
        match self {
            Self::Own(plane) => plane.start(processes, folder).await,
            Self::Other(kubeconfig) => Access::to(kubeconfig).await,
        }
    }
}

/// A control plane that can be started.
#[derive(Clone, Debug)]
pub(crate) enum Plane {
    Local(Local),
    Real(Real),
}

/// How a cluster is reached, with every right.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) kubeconfig: PathBuf,
    pub(crate) client: Client,
}

impl Plane {
    /// How a person starts it, with the variable `KUBECONFIG` set.
    pub(crate) const fn typed(&self) -> &'static str {
        match self {
            Self::Local(_) => "local-controlplane --kubeconfig $KUBECONFIG &",
            Self::Real(_) => "cargo xtask control-plane up --real --kubeconfig $KUBECONFIG &",
        }
    }

    /// The same with controllers of Deployments, garbage and namespaces. The local one has them anyway.
    pub(crate) fn with_controllers(self) -> Self {
        match self {
            Self::Local(local) => Self::Local(local),
            Self::Real(real) => Self::Real(Real {
                controllers: true,
                ..real
            }),
        }
    }

    /// Starts it and waits until it answers. Whatever it writes is in the folder.
    pub(crate) async fn start(&self, processes: &mut Processes, folder: &Path) -> anyhow::Result<Access> {
        match self {
            Self::Local(local) => local.start(processes, folder).await,
            Self::Real(real) => real.start(processes, folder).await,
        }
    }
}

impl Access {
    /// To the cluster that a kubeconfig file names.
    pub(crate) async fn to(kubeconfig: &Path) -> anyhow::Result<Self> {
        let file = Kubeconfig::read_from(kubeconfig)
            .with_context(|| format!("cannot use {}", kubeconfig.display()))?;
        let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        // What the server answers is what is to be seen.
        config.default_retry = false;
        Ok(Self {
            kubeconfig: kubeconfig.to_owned(),
            client: Client::try_from(config)?,
        })
    }

    /// Waits until the API server says that it is ready. A process that died meanwhile is an error.
    async fn when_ready(
        kubeconfig: &Path,
        processes: &mut Processes,
        server: &str,
        patience: Duration,
    ) -> anyhow::Result<Self> {
        let ready = async {
            loop {
                // The local one writes the file itself, as soon as it listens.
                if kubeconfig.is_file()
                    && let Ok(access) = Self::to(kubeconfig).await
                    && access.is_ready().await
                {
                    return Ok(access);
                }
                shell::sleep(GLANCE).await;
            }
        };
        processes.until(server, patience, ready).await
    }

    async fn is_ready(&self) -> bool {
        let Ok(request) = http::Request::get("/readyz").body(Vec::new()) else {
            return false;
        };
        let answer = tokio::time::timeout(ANSWER, self.client.request_text(request)).await;
        matches!(answer, Ok(Ok(_)))
    }
}

/// Makes a namespace on somebody's cluster, to be removed afterwards: one that was there before may have somebody's leases.
pub(crate) async fn make_namespace(client: &Client, name: &str) -> anyhow::Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    if let Some(there) = namespaces.get_opt(name).await? {
        let state = match there.metadata.deletion_timestamp {
            Some(_) => "is being deleted: wait until it is gone",
            None => "exists, and one that is made for this would be removed afterwards: delete it",
        };
        bail!("namespace {name} {state}");
    }
    let mut wanted = Namespace::default();
    wanted.metadata.name = Some(name.to_owned());
    namespaces.create(&PostParams::default(), &wanted).await?;
    Ok(())
}

/// Removes it, with everything in it.
pub(crate) async fn remove_namespace(client: &Client, name: &str) -> anyhow::Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.delete(name, &DeleteParams::default()).await?;
    Ok(())
}
