//! How the lists and maps of the built-in kinds are merged: what upstream says by markers in its types, which
//! `k8s-openapi` does not carry. What is not named here is owned as a whole, if a list, or field by field, if a map.

use serde_json::{Map, Value, json};

const CORE: &str = "io.k8s.api.core.v1.";
const APPS: &str = "io.k8s.api.apps.v1.";
const RBAC: &str = "io.k8s.api.rbac.v1.";
const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const DEFINITION: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition";

/// Lists whose items are told apart by some of their fields: the type, the list, the fields.
const KEYED: [(&str, &str, &str, &[&str]); 35] = [
    (APPS, "DeploymentStatus", "conditions", &["type"]),
    (CORE, "Container", "env", &["name"]),
    (CORE, "Container", "ports", &["containerPort", "protocol"]),
    (CORE, "Container", "volumeDevices", &["devicePath"]),
    (CORE, "Container", "volumeMounts", &["mountPath"]),
    (CORE, "ContainerStatus", "allocatedResourcesStatus", &["name"]),
    (CORE, "ContainerStatus", "volumeMounts", &["mountPath"]),
    (CORE, "EphemeralContainer", "env", &["name"]),
    (
        CORE,
        "EphemeralContainer",
        "ports",
        &["containerPort", "protocol"],
    ),
    (CORE, "EphemeralContainer", "volumeDevices", &["devicePath"]),
    (CORE, "EphemeralContainer", "volumeMounts", &["mountPath"]),
    (CORE, "NamespaceStatus", "conditions", &["type"]),
    (CORE, "NodeAllocatableResourceClaimStatus", "mapping", &["name"]),
    (CORE, "NodeAllocatableResourceClaimStatus", "overhead", &["name"]),
    (CORE, "PodSpec", "containers", &["name"]),
    (CORE, "PodSpec", "ephemeralContainers", &["name"]),
    (CORE, "PodSpec", "evictionResponders", &["name"]),
    (CORE, "PodSpec", "hostAliases", &["ip"]),
    (CORE, "PodSpec", "imagePullSecrets", &["name"]),
    (CORE, "PodSpec", "initContainers", &["name"]),
    (CORE, "PodSpec", "resourceClaims", &["name"]),
    (CORE, "PodSpec", "schedulingGates", &["name"]),
    (
        CORE,
        "PodSpec",
        "topologySpreadConstraints",
        &["topologyKey", "whenUnsatisfiable"],
    ),
    (CORE, "PodSpec", "volumes", &["name"]),
    (CORE, "PodStatus", "conditions", &["type"]),
    (
        CORE,
        "PodStatus",
        "nodeAllocatableResourceClaimStatuses",
        &["resourceClaimName"],
    ),
    (CORE, "PodStatus", "podIPs", &["ip"]),
    (CORE, "PodStatus", "resourceClaimStatuses", &["name"]),
    (CORE, "PodStatus", "volumeHealth", &["name"]),
    (CORE, "PodVolumeHealth", "healthConditions", &["status", "reason"]),
    (CORE, "ResourceRequirements", "claims", &["name"]),
    (CORE, "ResourceStatus", "resources", &["resourceID"]),
    (CORE, "ServiceAccount", "secrets", &["name"]),
    (META, "ObjectMeta", "ownerReferences", &["uid"]),
    (DEFINITION, "Status", "conditions", &["type"]),
];

/// Lists of values that are told apart by themselves.
const SETS: [(&str, &str, &str); 4] = [
    (CORE, "ContainerRestartRuleOnExitCodes", "values"),
    (CORE, "NodeAllocatableResourceClaimStatus", "containers"),
    (CORE, "VolumeMount", "bindMountOptions"),
    (META, "ObjectMeta", "finalizers"),
];

/// Types that are owned as a whole.
const WHOLE: [(&str, &str); 15] = [
    (CORE, "ConfigMapKeySelector"),
    (CORE, "EvictionResponder"),
    (CORE, "FileKeySelector"),
    (CORE, "LocalObjectReference"),
    (CORE, "NodeSelector"),
    (CORE, "NodeSelectorTerm"),
    (CORE, "ObjectFieldSelector"),
    (CORE, "ObjectReference"),
    (CORE, "ResourceFieldSelector"),
    (CORE, "SecretKeySelector"),
    (CORE, "TypedLocalObjectReference"),
    (RBAC, "RoleRef"),
    (RBAC, "Subject"),
    (META, "LabelSelector"),
    (META, "OwnerReference"),
];

/// What a field is when nobody has set it. A null is shown, because upstream holds the field by value; others are keys
/// of items, which are empty rather than absent.
const DEFAULTS: [(&str, &str, &str, Option<&str>); 13] = [
    (APPS, "DeploymentCondition", "lastTransitionTime", None),
    (APPS, "DeploymentCondition", "lastUpdateTime", None),
    (CORE, "Container", "name", Some("")),
    (CORE, "ContainerPort", "protocol", Some("TCP")),
    (CORE, "EnvVar", "name", Some("")),
    (CORE, "NamespaceCondition", "lastTransitionTime", None),
    (CORE, "PodCondition", "lastProbeTime", None),
    (CORE, "PodCondition", "lastTransitionTime", None),
    (CORE, "Volume", "name", Some("")),
    (META, "OwnerReference", "uid", Some("")),
    (RBAC, "ClusterRole", "rules", None),
    (RBAC, "Role", "rules", None),
    (DEFINITION, "Condition", "lastTransitionTime", None),
];

/// Writes the markers into the schemas of the built-in kinds.
pub(super) fn mark(definitions: &mut Map<String, Value>) {
    let mut set = |package: &str, name: &str, pointer: &str, marker: &str, value: Value| {
        let schema = definitions.get_mut(&format!("{package}{name}"));
        if let Some(place) = schema.and_then(|schema| schema.pointer_mut(pointer)) {
            place[marker] = value;
        }
    };
    let (list_type, list_keys, map_type) = (
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-map-type",
    );
    for (package, name, list, keys) in KEYED {
        let pointer = format!("/properties/{list}");
        set(package, name, &pointer, list_type, "map".into());
        set(package, name, &pointer, list_keys, json!(keys));
    }
    for (package, name, list) in SETS {
        set(
            package,
            name,
            &format!("/properties/{list}"),
            list_type,
            "set".into(),
        );
    }
    for (package, name) in WHOLE {
        set(package, name, "", map_type, "atomic".into());
    }
    set(
        CORE,
        "PodSpec",
        "/properties/nodeSelector",
        map_type,
        "atomic".into(),
    );
    for (package, name, field, value) in DEFAULTS {
        let value = value.map_or(Value::Null, Value::from);
        set(package, name, &format!("/properties/{field}"), "default", value);
    }
}
