//! (a) The seed's first script: A at 1.29 leads, B at 1.28 takes over, and a Foo becomes a Deployment by B's hand.

use std::time::Duration;

use anyhow::Context;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::DynamicObject;
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, ResourceExt};

use super::stage::{Expected, Stage};
use crate::shell;

pub(crate) const LEASE: &str = "sample-controller";
const A: &str = "sample-controller-a";
const B: &str = "sample-controller-b";

const DEFINITION: &str = "artifacts/crd.yaml";
const FOO: &str = "artifacts/example-foo.yaml";
/// Where the sample controller says which process wrote a Deployment.
const RECONCILED_BY: &str = "samplecontroller.k8s.io/reconciled-by";

pub(crate) async fn play(stage: &mut Stage) -> anyhow::Result<()> {
    define_foo(stage).await?;
    stage.watch_leases()?;
    let a = start(stage, A, "1.29")?;
    let expected = Expected {
        label: "first leader",
        text: format!("{A} (1.29) was offered the lease and leads"),
        since: a,
        within: Duration::from_secs(10),
        concerned: &[A, "election-controller"],
    };
    stage.leads(LEASE, A, expected).await?;
    let b = start(stage, B, "1.28")?;
    let expected = Expected {
        label: "takeover",
        text: format!("{B} (1.28) leads: since its process was started"),
        since: b,
        within: Duration::from_secs(10),
        concerned: &[A, B, "election-controller"],
    };
    stage.leads(LEASE, B, expected).await?;
    stage.show_watched(LEASE, B).await?;
    foo_becomes_a_deployment(stage).await
}

fn start(stage: &mut Stage, identity: &str, version: &str) -> anyhow::Result<std::time::Instant> {
    let lease = format!("{}/{LEASE}", stage.namespace);
    let args = [
        "--lease",
        &lease,
        "--identity",
        identity,
        "--binary-version",
        version,
        "--compatibility-version",
        version,
    ];
    stage.start(identity, "sample-controller", &args)
}

async fn define_foo(stage: &mut Stage) -> anyhow::Result<()> {
    let applied = stage.apply(DEFINITION).await?;
    let foos: Api<DynamicObject> = Api::all_with(stage.client.clone(), &foo());
    let served = async {
        while foos
            .list(&kube::api::ListParams::default().limit(1))
            .await
            .is_err()
        {
            shell::sleep(Duration::from_millis(5)).await;
        }
        shell::now()
    };
    let expected = Expected {
        label: "Foo served",
        text: "the API server serves Foos".to_owned(),
        since: applied,
        within: Duration::from_secs(10),
        concerned: &["local-controlplane"],
    };
    stage.observe(expected, served).await.map(drop)
}

fn foo() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(
        "samplecontroller.k8s.io",
        "v1alpha1",
        "Foo",
    ))
}

async fn foo_becomes_a_deployment(stage: &mut Stage) -> anyhow::Result<()> {
    let (namespace, name) = deployment(stage)?;
    let applied = stage.apply(FOO).await?;
    let deployments: Api<Deployment> = Api::namespaced(stage.client.clone(), &namespace);
    let found = std::cell::RefCell::new(None);
    let appears = async {
        loop {
            if let Ok(Some(deployment)) = deployments.get_opt(&name).await {
                found.replace(Some(deployment));
                return shell::now();
            }
            shell::sleep(Duration::from_millis(5)).await;
        }
    };
    let expected = Expected {
        label: "Deployment",
        text: format!("the Foo has become the Deployment {name}"),
        since: applied,
        within: Duration::from_secs(10),
        concerned: &[A, B, "local-controlplane"],
    };
    stage.observe(expected, appears).await?;
    let deployment = found
        .into_inner()
        .context("an observation without a Deployment")?;
    let by = deployment
        .annotations()
        .get(RECONCILED_BY)
        .cloned()
        .unwrap_or_default();
    let a_worked = stage.processes.log(A).contains(&name);
    let text = format!("it was made by {B}, while {A} runs and keeps its hands off");
    stage.check("by B", &text, &[A, B], by == B && !a_worked)
}

/// Where the Deployment is that the example asks for, and its name.
fn deployment(stage: &Stage) -> anyhow::Result<(String, String)> {
    let text = std::fs::read_to_string(stage.root.join(FOO)).with_context(|| format!("cannot read {FOO}"))?;
    let example: DynamicObject =
        serde_yaml::from_str(&text).with_context(|| format!("{FOO} is no object"))?;
    let name = example
        .data
        .pointer("/spec/deploymentName")
        .and_then(serde_json::Value::as_str);
    let name = name.with_context(|| format!("{FOO} names no Deployment"))?;
    Ok((
        example.namespace().unwrap_or_else(|| "default".to_owned()),
        name.to_owned(),
    ))
}
