//! What all parts of one control plane share.

use crate::access::{Policies, create_defaults};
use crate::audit::Counts;
use crate::kinds::{self, Registry, initial_namespaces, namespaces_table};
use crate::ownership::{self, Author};
use crate::store::{Key, OpenError, Store, Writer};
use crate::world::{self, Identities};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// In whose name the control plane writes what is its own.
pub(crate) const API_SERVER: &str = "kube-apiserver";

/// The shared parts of a control plane.
#[derive(Debug)]
pub(crate) struct Plane {
    pub(crate) store: Store,
    pub(crate) identities: Identities,
    pub(crate) counts: Counts,
    pub(crate) policies: Policies,
    /// Whether writes note who owns which field.
    pub(crate) tracks_owners: bool,
    registry: Mutex<Arc<Registry>>,
}

impl Plane {
    /// A control plane that keeps nothing.
    pub(crate) fn in_memory() -> Self {
        let identities = Identities::repeatable();
        let store = Store::in_memory(|writer| create_initial_objects(writer, &identities));
        Self::new(store, identities)
    }

    /// One that keeps nothing, and does not track owners.
    pub(crate) fn without_owners() -> Self {
        Self {
            tracks_owners: false,
            ..Self::in_memory()
        }
    }

    /// A control plane that keeps its objects in a folder.
    pub(crate) fn open(folder: &Path) -> Result<Self, OpenError> {
        let identities = Identities::random();
        let store = Store::open(folder, |writer| create_initial_objects(writer, &identities))?;
        Ok(Self::new(store, identities))
    }

    fn new(store: Store, identities: Identities) -> Self {
        let mut registry = Registry::builtin();
        store.read(|state| {
            let definitions = state
                .table(&definitions_table())
                .into_iter()
                .flat_map(|table| table.within(None));
            for definition in definitions {
                registry.insert(kinds::kinds_of(&definition.value()));
            }
        });
        Self {
            store,
            identities,
            counts: Counts::default(),
            policies: Policies::default(),
            tracks_owners: true,
            registry: Mutex::new(Arc::new(registry)),
        }
    }

    /// The kinds that are served just now.
    pub(crate) fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes which kinds are served.
    pub(crate) fn change_registry(&self, change: impl FnOnce(&mut Registry)) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut registry));
    }
}

/// Where CustomResourceDefinitions are kept.
pub(crate) fn definitions_table() -> Arc<str> {
    Arc::from("apiextensions.k8s.io/customresourcedefinitions")
}

/// Ends open watches. Each way into a control plane has its own: a server that stops does not end in-process watches.
#[derive(Debug, Clone)]
pub(crate) struct Closing(watch::Sender<bool>);

impl Closing {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    pub(crate) fn close(&self) {
        self.0.send_replace(true);
    }

    /// Waits until it is closed.
    pub(crate) async fn closed(&self) {
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|closed| *closed).await;
    }
}

fn create_initial_objects(writer: &mut Writer<'_>, identities: &Identities) {
    let table = namespaces_table();
    for name in initial_namespaces() {
        let key = Key::new("", name);
        if writer.get(&table, &key).is_none() {
            writer.put(&table, key, namespace(name, identities));
        }
    }
    create_defaults(writer, identities);
}

fn namespace(name: &str, identities: &Identities) -> Value {
    let now = world::wall_seconds();
    let mut namespace = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {
            "name": name, "uid": identities.uid(), "creationTimestamp": now,
            "labels": {"kubernetes.io/metadata.name": name},
        },
    });
    let kind = kinds::builtin_kinds()
        .iter()
        .find(|kind| kind.table == namespaces_table());
    let kind = kind.expect("namespaces are built in");
    let author = Author {
        manager: API_SERVER,
        now: &now,
    };
    ownership::follow(&kind.ground(None), None, &mut namespace, &author);
    namespace["spec"] = json!({"finalizers": ["kubernetes"]});
    namespace["status"] = json!({"phase": "Active"});
    namespace
}
