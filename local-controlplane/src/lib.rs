//! A small, honest Kubernetes API server in one process, for tests and demonstrations.
//!
//! It serves what leader election, its controllers and everyday `kubectl` use, by the rules of a real server, and
//! refuses the rest with the `Status` that a real server would send. In a test there are no sockets and no clock but
//! tokio's, which may be paused; behind TLS on loopback the same service is there for `kubectl`.
//!
//! ```
//! use k8s_openapi::api::coordination::v1::Lease;
//! use kube::api::{Api, PostParams};
//! use local_controlplane::ControlPlane;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> kube::Result<()> {
//! let plane = ControlPlane::new();
//! let leases: Api<Lease> = Api::namespaced(plane.client_as("example"), "default");
//! let mut lease = Lease::default();
//! lease.metadata.name = Some("sample-controller".into());
//! let created = leases.create(&PostParams::default(), &lease).await?;
//! assert!(created.metadata.resource_version.is_some());
//! assert_eq!(plane.requests().writes_by("example"), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # How it is built
//! A request becomes a target and a verb (`api::target`), a body becomes an object that the kind's schema accepts
//! (`api::incoming`), and one path writes every object of every kind (`api::write`). What differs between kinds is
//! data (`kinds`). Who set which field, and what an apply makes of it, is decided by pure functions (`ownership`). The store
//! (`store`) knows only keys, revisions and history; a watch is a cursor into that history.
//!
//! # Who may do what
//! A service or a client is an administrator's unless it is made for a [`User`], who may do what the stored Roles and
//! bindings say, as with RBAC on a real server: [`ControlPlane::client_of`] in a test, [`ServeOptions::tokens`] on a
//! socket, `Impersonate-User` (`kubectl --as`) on both.
//!
//! # How it is known to be like a real one
//! The suite `conformance` runs against this server and against kube-apiserver with the same result, and random walks of
//! thousands of operations get the same replies and events from both. Sentences may differ; codes, reasons and details
//! do not.
//!
//! # What is not there
//! CEL rules, admission, ways to prove who one is other than a bearer token, OpenAPI v2, webhooks, a scheduler, a kubelet.
//! A definition with CEL rules is refused.

mod access;
mod api;
mod audit;
mod controllers;
mod failure;
mod kinds;
mod ownership;
mod plane;
mod schema;
mod serve;
mod store;
mod world;

pub use access::{TokenFileError, User};
pub use api::{ApiBody, ApiService};
pub use audit::{RequestCounts, RequestKey};
pub use serve::{ServeError, ServeOptions, Server, UpError, UpOptions, up};
pub use store::{CorruptLog, OpenError};
pub use world::simulate_wall;

use api::Access;
use plane::{Closing, Plane};
use std::path::Path;
use std::sync::Arc;

/// A control plane. Clones are cheap and share everything.
#[derive(Debug, Clone)]
pub struct ControlPlane {
    plane: Arc<Plane>,
}

impl Default for ControlPlane {
    fn default() -> Self {
        Self::new()
    }
}

impl ControlPlane {
    /// A control plane that keeps nothing: everything is gone when the last clone is dropped. Two of them that are
    /// asked the same give the same answers, uids included.
    #[must_use]
    pub fn new() -> Self {
        Self {
            plane: Arc::new(Plane::in_memory()),
        }
    }

    /// As [`ControlPlane::new`], but nobody is noted as owner of a field, so objects get no `managedFields`: for simulations,
    /// in which that is a third of the work and nobody asks for it.
    #[must_use]
    pub fn without_owners() -> Self {
        Self {
            plane: Arc::new(Plane::without_owners()),
        }
    }

    /// A control plane that keeps its objects in a folder, and starts with what an earlier one has left there. It must
    /// be used within a tokio runtime.
    ///
    /// # Errors
    /// The folder is in use by another control plane, cannot be written, or is damaged.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        Ok(Self {
            plane: Arc::new(Plane::open(dir)?),
        })
    }

    /// The API as a tower service, for use in this process. Whoever has it may do everything.
    #[must_use]
    pub fn service(&self) -> ApiService {
        self.service_of(User::administrator())
    }

    /// The API as a tower service, in the name of a user. What the user may do is what the Roles and bindings say.
    #[must_use]
    pub fn service_of(&self, user: User) -> ApiService {
        self.way_in("", user)
    }

    fn way_in(&self, client: &str, user: User) -> ApiService {
        let access = Access::InProcess {
            user_agent: client.into(),
            user: Arc::new(user),
        };
        ApiService::new(Arc::clone(&self.plane), access, Closing::new())
    }

    /// A client of this control plane, without sockets in between. It may do everything.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        self.client_as("")
    }

    /// A client that may do everything, and whose requests are counted under a name.
    #[must_use]
    pub fn client_as(&self, name: &str) -> kube::Client {
        kube::Client::new(self.way_in(name, User::administrator()), "default")
    }

    /// A client in the name of a user, whose requests are counted under the user's name.
    #[must_use]
    pub fn client_of(&self, user: User) -> kube::Client {
        let name = user.name.clone();
        kube::Client::new(self.way_in(&name, user), "default")
    }

    /// The controllers that fill in the status of Deployments, collect garbage, empty namespaces and gather the rules of
    /// aggregated ClusterRoles (`view`, `edit` and `admin` are such). They work as long
    /// as this future is polled; whoever wants them spawns it. Without them the control plane is as quiet as a bare API
    /// server.
    pub fn run_controllers(&self) -> impl Future<Output = ()> + Send + use<> {
        controllers::run(Arc::clone(&self.plane))
    }

    /// Serves the API over TLS on loopback, for clients that have the kubeconfig.
    ///
    /// # Errors
    /// The port is in use, or no certificate could be made.
    pub async fn serve(&self, options: ServeOptions) -> Result<Server, ServeError> {
        Server::start(Arc::clone(&self.plane), options).await
    }

    /// Forgets the history of changes up to now: watches and lists from older versions are answered with 410.
    pub fn compact(&self) {
        self.plane.store.compact();
    }

    /// How many requests were made until now, by verb, resource and client.
    #[must_use]
    pub fn requests(&self) -> RequestCounts {
        self.plane.counts.read()
    }
}
