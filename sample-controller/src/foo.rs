//! The resource `foos.samplecontroller.k8s.io`, as in the sample controller of Kubernetes.
//!
//! `artifacts/crd.yaml` is made from these types; a test holds the two together.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResource, CustomResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is wanted: a Deployment of this name with so many replicas.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "samplecontroller.k8s.io",
    version = "v1alpha1",
    kind = "Foo",
    plural = "foos",
    namespaced,
    status = "FooStatus",
    derive = "PartialEq",
    doc = "A Foo gets a Deployment, which it owns.",
    // Groups under k8s.io belong to the Kubernetes project (KEP-2337); an API server refuses a definition that does not say
    // how it stands to that.
    annotation("api-approved.kubernetes.io", "unapproved, demonstration only"),
    printcolumn = r#"{"name":"Deployment","type":"string","jsonPath":".spec.deploymentName"}"#,
    printcolumn = r#"{"name":"Replicas","type":"integer","jsonPath":".spec.replicas"}"#,
    printcolumn = r#"{"name":"Available","type":"integer","jsonPath":".status.availableReplicas"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct FooSpec {
    /// The name of the Deployment, in the namespace of the Foo.
    #[schemars(length(min = 1, max = 253))]
    pub deployment_name: String,
    /// How many replicas it gets; when absent, nobody changes what the Deployment says.
    #[schemars(range(min = 1, max = 10))]
    pub replicas: Option<i32>,
}

/// What is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FooStatus {
    /// How many replicas of the Deployment are available.
    #[serde(default)]
    pub available_replicas: i32,
}

/// The definition that an API server needs.
#[must_use]
pub fn definition() -> CustomResourceDefinition {
    Foo::crd()
}

/// How many replicas of a Deployment are available.
#[must_use]
pub fn available(deployment: &Deployment) -> i32 {
    deployment
        .status
        .as_ref()
        .and_then(|status| status.available_replicas)
        .unwrap_or(0)
}
