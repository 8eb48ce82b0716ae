//! Says of every Deployment that it runs as it should. There is no kubelet here: the status is a wish granted at once,
//! so that `availableReplicas` means "the Deployment is there and this many were asked for".

use super::{MANAGER, resource};
use crate::api::{Intent, replace};
use crate::plane::Plane;
use crate::store::Stored;
use crate::world;
use serde_json::{Value, json};
use std::sync::Arc;

/// How far the controller has read.
#[derive(Debug, Default)]
pub(super) struct Deployments {
    cursor: Option<u64>,
}

impl Deployments {
    /// Brings the status of every changed Deployment up to date. True: something was written.
    pub(super) fn round(&mut self, plane: &Plane) -> bool {
        let table: Arc<str> = "apps/deployments".into();
        let news = self
            .cursor
            .and_then(|cursor| plane.store.events(&table, cursor, usize::MAX));
        let changed: Vec<Arc<Stored>> = match news {
            Some((events, seen)) => {
                self.cursor = Some(seen);
                events.iter().map(|event| Arc::clone(&event.object)).collect()
            }
            None => plane.store.read(|state| {
                self.cursor = Some(state.revision());
                state
                    .table(&table)
                    .into_iter()
                    .flat_map(|table| table.within(None))
                    .cloned()
                    .collect()
            }),
        };
        let mut wrote = false;
        for seen in changed {
            wrote |= update_status(plane, &table, &seen);
        }
        wrote
    }
}

fn update_status(plane: &Plane, table: &Arc<str>, seen: &Stored) -> bool {
    let Some(resource) = resource(plane, table, seen, Some("status")) else {
        return false;
    };
    plane.store.write(|writer| {
        let Some(stored) = writer.get(table, &seen.key).cloned() else {
            return false;
        };
        let mut deployment = stored.value();
        let status = status(&deployment);
        if deployment["status"] == status {
            return false;
        }
        deployment["status"] = status;
        match replace(
            plane,
            writer,
            &resource,
            &stored,
            deployment,
            Intent::own(MANAGER),
        ) {
            Ok(_) => true,
            Err(failure) => {
                tracing::warn!(%failure, "the status of a Deployment was refused");
                false
            }
        }
    })
}

fn status(deployment: &Value) -> Value {
    let replicas = &deployment["spec"]["replicas"];
    let mut status = json!({
        "observedGeneration": deployment["metadata"]["generation"],
        "conditions": [
            condition(deployment, "Available", "MinimumReplicasAvailable", "Deployment has minimum availability."),
            condition(deployment, "Progressing", "NewReplicaSetAvailable", "Deployment has successfully progressed."),
        ],
    });
    if replicas.as_i64().is_some_and(|replicas| replicas > 0) {
        for counter in [
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
        ] {
            status[counter] = replicas.clone();
        }
    }
    status
}

/// A condition that is true; it keeps its times as long as it stays so.
fn condition(deployment: &Value, kind: &str, reason: &str, message: &str) -> Value {
    let present = deployment["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    if let Some(present) = present
        .into_iter()
        .find(|present| present["type"] == kind && present["status"] == "True")
    {
        return present.clone();
    }
    let now = world::wall_seconds();
    json!({
        "type": kind, "status": "True", "reason": reason, "message": message,
        "lastUpdateTime": now, "lastTransitionTime": now,
    })
}
