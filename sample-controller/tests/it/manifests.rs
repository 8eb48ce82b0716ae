//! The files in `artifacts/` are what they say.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use sample_controller::foo::{self, Foo};

const DEFINITION: &str = include_str!("../../../artifacts/crd.yaml");
const EXAMPLE: &str = include_str!("../../../artifacts/example-foo.yaml");

#[test]
fn the_definition_is_the_one_of_the_rust_type() {
    let made = serde_yaml::to_string(&foo::definition()).unwrap();
    let written: CustomResourceDefinition = serde_yaml::from_str(DEFINITION).unwrap();
    assert!(
        written == foo::definition(),
        "artifacts/crd.yaml should say:\n{made}"
    );
}

#[test]
fn the_example_is_a_foo() {
    let example: Foo = serde_yaml::from_str(EXAMPLE).unwrap();
    assert_eq!(example.spec.deployment_name, "example-foo");
    assert_eq!(example.spec.replicas, Some(1));
}

#[test]
fn the_definition_has_a_schema_a_status_and_an_approval() {
    let definition = foo::definition();
    assert_eq!(
        definition.metadata.name.as_deref(),
        Some("foos.samplecontroller.k8s.io")
    );
    let approved = definition.metadata.annotations.unwrap();
    assert_eq!(
        approved["api-approved.kubernetes.io"],
        "unapproved, demonstration only"
    );
    let version = &definition.spec.versions[0];
    assert!(version.subresources.as_ref().unwrap().status.is_some());
    assert!(version.schema.as_ref().unwrap().open_api_v3_schema.is_some());
    assert_eq!(version.additional_printer_columns.as_ref().unwrap().len(), 4);
}

#[test]
fn every_manifest_names_what_it_is() {
    let read = |text: &str| -> Vec<kube::core::DynamicObject> { serde_yaml::from_multiple(text).unwrap() };
    let kinds = |text: &str| {
        read(text)
            .iter()
            .map(|item| item.types.clone().unwrap().kind)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        kinds(include_str!("../../../artifacts/hand-written-candidates.yaml")),
        ["Lease"; 3]
    );
    let rules = include_str!("../../../artifacts/rbac.yaml");
    assert_eq!(
        kinds(rules)
            .iter()
            .filter(|kind| kind.ends_with("Binding"))
            .count(),
        4
    );
    for item in read(rules).iter().filter(|item| item.data.get("rules").is_some()) {
        let text = item.data["rules"].to_string();
        assert!(
            !text.contains('*'),
            "{:?} grants more than is used: {text}",
            item.metadata.name
        );
    }
}

#[test]
fn the_hand_written_candidates_can_be_elected() {
    use k8s_openapi::api::coordination::v1::Lease;
    let text = include_str!("../../../artifacts/hand-written-candidates.yaml");
    for mut lease in serde_yaml::from_multiple::<Lease>(text).unwrap() {
        (lease.metadata.uid, lease.metadata.resource_version) = (Some("1".to_owned()), Some("1".to_owned()));
        let candidate = election_core::wire::read_identity(&lease).unwrap();
        assert!(
            candidate.versions.is_ok() && candidate.refused.is_empty(),
            "{candidate:?}"
        );
        assert_eq!(
            candidate.leads,
            ["kube-system/amazing-controller".parse().unwrap()]
        );
    }
}
