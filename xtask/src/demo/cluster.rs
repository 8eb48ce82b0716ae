//! Raises what a scenario plays on, a control plane of its own or any cluster, with an elector; and takes down what was
//! put there.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::DeleteParams;
use kube::{Api, Client};

use super::DemoArgs;
use super::stage::{Expected, Stage};
use crate::kubectl::Kubectl;
use crate::plane::{self, Access, Cluster, Plane};
use crate::processes::Processes;
use crate::screen::Screen;
use crate::shell;
use crate::timeline::Timeline;
use crate::workspace::Binaries;

/// What has to be built.
pub(crate) const PROGRAMS: [&str; 4] = [
    "election-controller",
    "candidate",
    "sample-controller",
    "kubectl-leases",
];

const ELECTOR: &str = "election-controller";
/// Where everything is on a cluster of its own, as in the prototype.
const OWN_NAMESPACE: &str = "kube-system";
/// Where everything is on somebody's cluster, whose controllers are in the other one.
const GUEST_NAMESPACE: &str = "election-demo";
/// What the elector logs when it has read all leases and begins to decide.
const LISTED: &str = "listed";
const DEFINITION: &str = "foos.samplecontroller.k8s.io";

/// What was put on somebody's cluster, and has to go again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Guest {
    definition: bool,
}

/// Raises the cluster and the elector.
pub(crate) async fn raise(
    args: &DemoArgs,
    mut screen: Screen,
    root: &Path,
    binaries: Binaries,
    folder: &Path,
) -> anyhow::Result<Stage> {
    screen.heading("a cluster and its elector");
    let mut processes = Processes::new(folder.join("logs"))?;
    processes.let_servers_outlive(args.keep);
    let cluster = args.cluster.cluster(root, &binaries)?;
    let Access { kubeconfig, client } = match &cluster {
        Cluster::Own(plane) => start_plane(plane, &mut screen, &mut processes, folder).await?,
        Cluster::Other(file) => Access::to(file).await?,
    };
    let usual = match cluster {
        Cluster::Own(_) => OWN_NAMESPACE,
        Cluster::Other(_) => GUEST_NAMESPACE,
    };
    let namespace = args.namespace.clone().unwrap_or_else(|| usual.to_owned());
    let guest = match &cluster {
        Cluster::Own(_) => None,
        Cluster::Other(file) => {
            let moved = move_in(&client, &namespace).await;
            Some(moved.with_context(|| format!("cannot use the cluster of {}", file.display()))?)
        }
    };
    let kubectl = Kubectl::find(!args.no_kubectl, folder, &kubeconfig, root, client.clone()).await?;
    if !kubectl.is_installed() {
        let why = if args.no_kubectl {
            "kubectl is not used"
        } else {
            "kubectl is not installed"
        };
        screen.note(&format!("{why}: what it would do is done by the same requests"));
    }
    let timeline = Timeline::follow(client.clone(), &namespace);
    let mut stage = Stage {
        screen,
        processes,
        binaries,
        client,
        kubectl,
        timeline,
        namespace,
        kubeconfig,
        folder: folder.to_owned(),
        root: root.to_owned(),
        guest,
        lasting: 0,
        observations: Vec::new(),
    };
    if let Err(error) = start_elector(&mut stage).await {
        return Err(match stage.end().await {
            Ok(()) => error,
            Err(left) => left.context(error),
        });
    }
    stage.lasting = stage.processes.count();
    Ok(stage)
}

async fn start_plane(
    plane: &Plane,
    screen: &mut Screen,
    processes: &mut Processes,
    folder: &Path,
) -> anyhow::Result<Access> {
    screen.command("export KUBECONFIG=$PWD/kubeconfig");
    screen.command(plane.typed());
    let since = shell::now();
    let access = plane.start(processes, folder).await?;
    screen.observed(
        "an API server answers: since its process was started",
        Some(since.elapsed()),
    );
    Ok(access)
}

async fn start_elector(stage: &mut Stage) -> anyhow::Result<()> {
    let namespace = stage.namespace.clone();
    let since = stage.start(ELECTOR, ELECTOR, &["--namespace", &namespace, "--assume-unheld"])?;
    let listed = stage.logged(ELECTOR, LISTED, 0);
    let ready = async {
        listed.await;
        shell::now()
    };
    let expected = Expected {
        label: "elector",
        text: "the elector has seen all leases: since its process was started".to_owned(),
        since,
        within: Duration::from_secs(30),
        concerned: &[ELECTOR],
    };
    stage.observe(expected, ready).await.map(drop)
}

/// Makes room on somebody's cluster.
async fn move_in(client: &Client, namespace: &str) -> anyhow::Result<Guest> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let guest = Guest {
        definition: definitions.get_opt(DEFINITION).await?.is_none(),
    };
    plane::make_namespace(client, namespace)
        .await
        .map_err(|error| anyhow!("{error:#}, or name another one with --namespace"))?;
    Ok(guest)
}

/// Takes from somebody's cluster what was put there.
pub(crate) async fn move_out(stage: &Stage, guest: Guest) -> anyhow::Result<()> {
    let delete = DeleteParams::default();
    if guest.definition {
        // Its Foos go with it, and their Deployments with them.
        let definitions: Api<CustomResourceDefinition> = Api::all(stage.client.clone());
        if definitions.get_opt(DEFINITION).await?.is_some() {
            definitions.delete(DEFINITION, &delete).await?;
        }
    }
    plane::remove_namespace(&stage.client, &stage.namespace).await
}

/// What a person does with a cluster that is left running.
pub(crate) fn how_to_go_on(stage: &Stage, since: Instant) -> Vec<String> {
    vec![
        format!(
            "everything is left running, after {:.1} s; the logs are in {}",
            since.elapsed().as_secs_f64(),
            stage.folder.display()
        ),
        format!("  export KUBECONFIG={}", stage.kubeconfig.display()),
        format!("  kubectl get leases --namespace {}", stage.namespace),
        format!("  {}    # ends it all", stage.processes.how_to_end()),
    ]
}
