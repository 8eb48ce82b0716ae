//! The few controllers without which a control plane would not feel like one. They are as small as they can be, and
//! run only when somebody runs them: a test without them stays quiet, as a bare API server does.
//!
//! One loop, woken by any change, works until nothing is left to do. The controllers write through the same path as
//! clients do.

mod cluster_roles;
mod deployments;
mod garbage;
mod namespaces;

use crate::api::Resource;
use crate::plane::Plane;
use crate::store::Stored;
use std::sync::Arc;

/// In whose name they write, as everywhere.
const MANAGER: &str = "kube-controller-manager";

/// Runs all controllers until the control plane is gone.
pub(crate) async fn run(plane: Arc<Plane>) {
    let mut deployments = deployments::Deployments::default();
    let mut roles_seen = 0;
    let mut changes = plane.store.subscribe_all();
    loop {
        changes.borrow_and_update();
        loop {
            let busy = [
                deployments.round(&plane),
                garbage::round(&plane),
                namespaces::round(&plane),
                cluster_roles::round(&plane, &mut roles_seen),
            ];
            if !busy.contains(&true) {
                break;
            }
            // With a data folder a change is seen when it is durable; without one there is nothing to wait for.
            tokio::task::yield_now().await;
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// The resource of a stored object, as a client would name it.
fn resource(plane: &Plane, table: &Arc<str>, object: &Stored, subresource: Option<&str>) -> Option<Resource> {
    let kind = Arc::clone(plane.registry().of_table(table)?);
    Some(Resource {
        namespace: kind.namespaced.then(|| object.key.namespace.clone()),
        name: Some(object.key.name.clone()),
        subresource: subresource.map(str::to_owned),
        watch_prefix: false,
        kind,
    })
}
