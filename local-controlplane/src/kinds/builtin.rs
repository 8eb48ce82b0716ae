//! The built-in kinds, a row each. Schemas come from `k8s-openapi`; what a schema cannot say is in the row.

use super::builtin_columns::*;
use super::columns::Column;
use super::{
    Kind, NameRule, Rules, Scale, api_version, blank, config_map, custom, deployment, event, lease,
    rbac as rbac_kinds, topology,
};
use crate::failure::Cause;
use crate::schema::Definitions;
use k8s_openapi::api::{apps, authentication, authorization, coordination, core, events, rbac};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions;
use k8s_openapi::schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::sync::{Arc, LazyLock};

struct Row {
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
    short: &'static [&'static str],
    categories: &'static [&'static str],
    namespaced: bool,
    schema: &'static str,
    rules: fn() -> Rules,
    columns: fn() -> Vec<Column>,
    blank: fn() -> Value,
}

impl Row {
    const fn new(
        group: &'static str,
        plural: &'static str,
        kind: &'static str,
        schema: &'static str,
    ) -> Self {
        Self {
            group,
            plural,
            kind,
            short: &[],
            categories: &[],
            namespaced: true,
            schema,
            rules: Rules::default,
            columns: name_and_age,
            blank: || json!({"metadata": {}}),
        }
    }

    const fn cluster(mut self) -> Self {
        self.namespaced = false;
        self
    }

    const fn short(mut self, short: &'static [&'static str]) -> Self {
        self.short = short;
        self
    }

    const fn in_all(mut self) -> Self {
        self.categories = &["all"];
        self
    }

    const fn rules(mut self, rules: fn() -> Rules) -> Self {
        self.rules = rules;
        self
    }

    const fn columns(mut self, columns: fn() -> Vec<Column>) -> Self {
        self.columns = columns;
        self
    }

    const fn blank(mut self, blank: fn() -> Value) -> Self {
        self.blank = blank;
        self
    }
}

const APPS: &str = "apps";
const RBAC: &str = "rbac.authorization.k8s.io";
const REVIEWS: &str = "authorization.k8s.io";

/// Every row is version `v1`.
static ROWS: [Row; 20] = [
    Row::new("", "configmaps", "ConfigMap", "io.k8s.api.core.v1.ConfigMap")
        .short(&["cm"])
        .rules(config_map)
        .columns(config_map_columns),
    Row::new("", "events", "Event", "io.k8s.api.core.v1.Event")
        .short(&["ev"])
        .rules(core_event)
        .columns(event_columns)
        .blank(blank::event),
    // These two are only kept: nothing is limited.
    Row::new("", "limitranges", "LimitRange", "io.k8s.api.core.v1.LimitRange")
        .short(&["limits"])
        .blank(|| json!({"metadata": {}, "spec": {"limits": null}})),
    Row::new(
        "",
        "resourcequotas",
        "ResourceQuota",
        "io.k8s.api.core.v1.ResourceQuota",
    )
    .short(&["quota"])
    .blank(|| json!({"metadata": {}, "spec": {}, "status": {}})),
    Row::new("", "namespaces", "Namespace", "io.k8s.api.core.v1.Namespace")
        .cluster()
        .short(&["ns"])
        .rules(namespace)
        .columns(namespace_columns)
        .blank(|| json!({"metadata": {}, "spec": {}, "status": {}})),
    Row::new("", "pods", "Pod", "io.k8s.api.core.v1.Pod")
        .short(&["po"])
        .in_all()
        .rules(pod)
        .columns(pod_columns)
        .blank(|| json!({"metadata": {}, "spec": {"containers": null}, "status": {}})),
    Row::new(
        "",
        "serviceaccounts",
        "ServiceAccount",
        "io.k8s.api.core.v1.ServiceAccount",
    )
    .rules(service_account)
    .short(&["sa"])
    .columns(service_account_columns),
    Row::new("events.k8s.io", "events", "Event", "io.k8s.api.events.v1.Event")
        .short(&["ev"])
        .rules(events_group_event)
        .columns(events_group_columns)
        .blank(blank::events_group_event),
    Row::new(
        "coordination.k8s.io",
        "leases",
        "Lease",
        "io.k8s.api.coordination.v1.Lease",
    )
    .rules(lease_rules)
    .columns(lease_columns)
    .blank(|| json!({"metadata": {}, "spec": {}})),
    Row::new(APPS, "deployments", "Deployment", "io.k8s.api.apps.v1.Deployment")
        .short(&["deploy"])
        .in_all()
        .rules(deployment_rules)
        .columns(deployment_columns)
        .blank(blank::deployment),
    Row::new(RBAC, "roles", "Role", "io.k8s.api.rbac.v1.Role")
        .rules(rbac_kinds::role)
        .columns(name_and_creation)
        .blank(blank::role),
    Row::new(
        RBAC,
        "rolebindings",
        "RoleBinding",
        "io.k8s.api.rbac.v1.RoleBinding",
    )
    .rules(rbac_kinds::role_binding)
    .columns(binding_columns)
    .blank(blank::binding),
    Row::new(
        RBAC,
        "clusterroles",
        "ClusterRole",
        "io.k8s.api.rbac.v1.ClusterRole",
    )
    .cluster()
    .rules(rbac_kinds::cluster_role)
    .columns(name_and_creation)
    .blank(blank::role),
    Row::new(
        RBAC,
        "clusterrolebindings",
        "ClusterRoleBinding",
        "io.k8s.api.rbac.v1.ClusterRoleBinding",
    )
    .cluster()
    .rules(rbac_kinds::cluster_role_binding)
    .columns(binding_columns)
    .blank(blank::binding),
    Row::new(
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
    )
    .cluster()
    .short(&["crd", "crds"])
    .rules(definition_rules)
    .columns(name_and_creation)
    .blank(blank::definition),
    Row::new(
        REVIEWS,
        "localsubjectaccessreviews",
        "LocalSubjectAccessReview",
        "io.k8s.api.authorization.v1.LocalSubjectAccessReview",
    )
    .rules(review),
    Row::new(
        REVIEWS,
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
        "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    )
    .cluster()
    .rules(review),
    Row::new(
        REVIEWS,
        "selfsubjectrulesreviews",
        "SelfSubjectRulesReview",
        "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
    )
    .cluster()
    .rules(review),
    Row::new(
        REVIEWS,
        "subjectaccessreviews",
        "SubjectAccessReview",
        "io.k8s.api.authorization.v1.SubjectAccessReview",
    )
    .cluster()
    .rules(review),
    Row::new(
        "authentication.k8s.io",
        "selfsubjectreviews",
        "SelfSubjectReview",
        "io.k8s.api.authentication.v1.SelfSubjectReview",
    )
    .cluster()
    .rules(review),
];

static DEFINITIONS: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    let mut settings = SchemaSettings::openapi3();
    settings.transforms.clear();
    let mut generator = settings.into_generator();
    generator.subschema_for::<core::v1::ConfigMap>();
    generator.subschema_for::<core::v1::Event>();
    generator.subschema_for::<core::v1::LimitRange>();
    generator.subschema_for::<core::v1::ResourceQuota>();
    generator.subschema_for::<core::v1::Namespace>();
    generator.subschema_for::<core::v1::Pod>();
    generator.subschema_for::<core::v1::ServiceAccount>();
    generator.subschema_for::<events::v1::Event>();
    generator.subschema_for::<coordination::v1::Lease>();
    generator.subschema_for::<apps::v1::Deployment>();
    generator.subschema_for::<rbac::v1::Role>();
    generator.subschema_for::<rbac::v1::RoleBinding>();
    generator.subschema_for::<rbac::v1::ClusterRole>();
    generator.subschema_for::<rbac::v1::ClusterRoleBinding>();
    generator.subschema_for::<apiextensions::v1::CustomResourceDefinition>();
    generator.subschema_for::<authorization::v1::LocalSubjectAccessReview>();
    generator.subschema_for::<authorization::v1::SelfSubjectAccessReview>();
    generator.subschema_for::<authorization::v1::SelfSubjectRulesReview>();
    generator.subschema_for::<authorization::v1::SubjectAccessReview>();
    generator.subschema_for::<authentication::v1::SelfSubjectReview>();
    let mut definitions = generator.take_definitions(true);
    topology::mark(&mut definitions);
    definitions
});

static KINDS: LazyLock<Vec<Arc<Kind>>> = LazyLock::new(|| {
    let mut definitions = Definitions::new(DEFINITIONS.clone());
    ROWS.iter()
        .map(|row| Arc::new(kind(row, &mut definitions)))
        .collect()
});

/// The built-in kinds, made once for the whole process.
pub(crate) fn builtin_kinds() -> &'static [Arc<Kind>] {
    &KINDS
}

/// The named schemas that the built-in kinds' OpenAPI documents refer to.
pub(crate) fn open_api_definitions() -> &'static Map<String, Value> {
    &DEFINITIONS
}

fn kind(row: &Row, definitions: &mut Definitions) -> Kind {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let table_group = if row.plural == "events" { "" } else { row.group };
    Kind {
        group: row.group.into(),
        version: "v1".into(),
        plural: row.plural.into(),
        singular: row.kind.to_lowercase(),
        kind: row.kind.into(),
        list_kind: format!("{}List", row.kind),
        short_names: owned(row.short),
        categories: owned(row.categories),
        namespaced: row.namespaced,
        table: format!("{table_group}/{}", row.plural).into(),
        api_version: api_version(row.group, "v1"),
        served_in: vec![api_version(row.group, "v1")],
        stored_api_version: api_version(table_group, "v1"),
        schema: definitions
            .named(row.schema)
            .expect("k8s-openapi describes its own types"),
        open_api: json!({"$ref": format!("#/components/schemas/{}", row.schema)}),
        blank: (row.blank)(),
        columns: (row.columns)(),
        rules: (row.rules)(),
        custom: false,
    }
}

fn lease_rules() -> Rules {
    Rules {
        create_on_update: true,
        unconditional_update: false,
        prepare: lease::prepare,
        validate: lease::validate,
        ..Rules::default()
    }
}

fn config_map() -> Rules {
    Rules {
        prepare: config_map::prepare,
        validate: config_map::validate,
        ..Rules::default()
    }
}

fn namespace() -> Rules {
    Rules {
        status: true,
        names: NameRule::Label,
        selectable: vec!["status.phase".into()],
        default: default_namespace,
        prepare: prepare_namespace,
        validate: validate_namespace,
        ..Rules::default()
    }
}

/// The phase follows from the deletion.
fn validate_namespace(namespace: &Value, _old: Option<&Value>, causes: &mut Vec<Cause>) {
    let phase = &namespace["status"]["phase"];
    let expected = match namespace["metadata"]["deletionTimestamp"].is_string() {
        true => "Terminating",
        false => "Active",
    };
    if *phase != expected {
        let detail = format!("may only be '{expected}' in this state of `deletionTimestamp`");
        causes.push(Cause::invalid("status.Phase", phase, detail));
    }
}

/// A namespace is labelled with its own name always.
fn default_namespace(namespace: &mut Value) {
    let name = namespace["metadata"]["name"].clone();
    if !namespace["metadata"]["labels"].is_object() {
        namespace["metadata"]["labels"] = json!({});
    }
    namespace["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
}

/// A namespace starts active.
fn prepare_namespace(namespace: &mut Value, old: Option<&Value>) {
    if old.is_none() {
        namespace["spec"] = json!({"finalizers": ["kubernetes"]});
        namespace["status"] = json!({"phase": "Active"});
    }
}

fn service_account() -> Rules {
    Rules {
        shows_deleted: true,
        ..Rules::default()
    }
}

fn pod() -> Rules {
    let selectable = [
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.phase",
    ];
    Rules {
        generation: true,
        shows_deleted: true,
        status: true,
        selectable: selectable.map(str::to_owned).to_vec(),
        default: deployment::default_pod,
        prepare: deployment::prepare_pod,
        validate: deployment::validate_pod,
        ..Rules::default()
    }
}

fn core_event() -> Rules {
    let selectable = [
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ];
    Rules {
        create_on_update: true,
        selectable: selectable.map(str::to_owned).to_vec(),
        default: event::complete_core,
        validate: event::validate_core,
        ..Rules::default()
    }
}

fn events_group_event() -> Rules {
    let selectable = [
        "regarding.kind",
        "regarding.namespace",
        "regarding.name",
        "regarding.uid",
        "regarding.apiVersion",
        "regarding.resourceVersion",
        "regarding.fieldPath",
        "reason",
        "reportingController",
        "type",
    ];
    Rules {
        create_on_update: true,
        selectable: selectable.map(str::to_owned).to_vec(),
        default: event::complete_events_group,
        validate: event::validate_events_group,
        view: Some(event::EVENTS_GROUP),
        ..Rules::default()
    }
}

fn deployment_rules() -> Rules {
    let scale = Scale {
        spec_replicas: "spec.replicas".into(),
        status_replicas: "status.replicas".into(),
        selector: Some("spec.selector".into()),
    };
    Rules {
        generation: true,
        status: true,
        scale: Some(scale),
        default: deployment::default,
        validate: deployment::validate,
        ..Rules::default()
    }
}

fn definition_rules() -> Rules {
    Rules {
        unconditional_update: false,
        generation: true,
        status: true,
        default: custom::default,
        prepare: custom::prepare,
        validate: custom::validate,
        ..Rules::default()
    }
}

fn review() -> Rules {
    Rules {
        review: true,
        ..Rules::default()
    }
}
