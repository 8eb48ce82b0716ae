//! Raises what a scenario plays on, a local control plane or any cluster, with an elector; and takes down what was put
//! there.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};

use super::DemoArgs;
use super::stage::{Expected, Stage};
use crate::kubectl::Kubectl;
use crate::plane;
use crate::processes::Processes;
use crate::screen::Screen;
use crate::shell;
use crate::timeline::Timeline;
use crate::workspace::Binaries;

/// What has to be built.
pub(crate) const PROGRAMS: [&str; 5] = [
    plane::PROGRAM,
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
    let (kubeconfig, client) = match &args.kubeconfig {
        Some(file) => (file.clone(), plane::client_of(file).await?),
        None => start_plane(&mut screen, &mut processes, &binaries, folder).await?,
    };
    let namespace = args
        .namespace
        .clone()
        .unwrap_or_else(|| default_namespace(args).to_owned());
    let guest = match &args.kubeconfig {
        Some(file) => {
            let moved = move_in(&client, &namespace).await;
            Some(moved.with_context(|| format!("cannot use the cluster of {}", file.display()))?)
        }
        None => None,
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

const fn default_namespace(args: &DemoArgs) -> &'static str {
    if args.kubeconfig.is_some() {
        GUEST_NAMESPACE
    } else {
        OWN_NAMESPACE
    }
}

async fn start_plane(
    screen: &mut Screen,
    processes: &mut Processes,
    binaries: &Binaries,
    folder: &Path,
) -> anyhow::Result<(PathBuf, Client)> {
    screen.command("export KUBECONFIG=$PWD/kubeconfig");
    screen.command("local-controlplane --kubeconfig $KUBECONFIG &");
    let since = shell::now();
    let started = plane::start(processes, binaries, folder).await?;
    screen.observed(
        "an API server answers: since its process was started",
        Some(since.elapsed()),
    );
    Ok(started)
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
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let guest = Guest {
        definition: definitions.get_opt(DEFINITION).await?.is_none(),
    };
    let there = namespaces.get_opt(namespace).await?;
    if let Some(there) = there {
        let state = match there.metadata.deletion_timestamp {
            Some(_) => "is being deleted: wait until it is gone",
            // Its leases may be somebody's.
            None => "exists, and the demo makes one of its own that it removes afterwards: delete it",
        };
        bail!("namespace {namespace} {state}, or name another one with --namespace");
    }
    let mut wanted = Namespace::default();
    wanted.metadata.name = Some(namespace.to_owned());
    namespaces.create(&PostParams::default(), &wanted).await?;
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
    let namespaces: Api<Namespace> = Api::all(stage.client.clone());
    namespaces.delete(&stage.namespace, &delete).await?;
    Ok(())
}

/// What a person does with a cluster that is left running.
pub(crate) fn how_to_go_on(stage: &Stage, since: Instant) -> Vec<String> {
    let numbers = stage.processes.numbers().join(" ");
    vec![
        format!(
            "everything is left running, after {:.1} s; the logs are in {}",
            since.elapsed().as_secs_f64(),
            stage.folder.display()
        ),
        format!("  export KUBECONFIG={}", stage.kubeconfig.display()),
        format!("  kubectl get leases --namespace {}", stage.namespace),
        format!("  kill {numbers}    # ends it all"),
    ]
}
