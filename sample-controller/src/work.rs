//! The work of one term: a controller that runs with the client of that term and stops with it.
//!
//! What is to be done for a Foo is in `reconcile.rs`; when the work may run is decided in the crate `candidate`.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use candidate::Leadership;
use candidate::client::{Failure, classify};
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use kube::runtime::controller::{self, Controller};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::utils::Backoff;
use kube::runtime::watcher;
use kube::{Api, ResourceExt};

use crate::foo::Foo;
use crate::reconcile::{self, Context, Stamp, reconcile};

/// Works until the term ends, then gives the lease back, and not before the work has stopped.
///
/// A reconciliation that is under way gets `stop_grace` to finish; after that it is dropped. The fence of the client is
/// the second line: it refuses whatever would be written after the deadline. That a term begins, and why it ends, is logged
/// by the crate `candidate`.
pub async fn term(leadership: Leadership, stop_grace: Duration) {
    let stamp = Stamp {
        identity: leadership.identity().to_string(),
        token: leadership.token().clone(),
    };
    let ended = leadership.ended().shared();
    {
        let stop = ended.clone().map(drop);
        let mut work = pin!(work(leadership.client(), stamp.clone(), stop));
        let overdue = async {
            ended.clone().await;
            // An error is the only outcome of a wait for what never comes.
            let _ = tokio::time::timeout(stop_grace, std::future::pending::<()>()).await;
        };
        tokio::select! {
            () = &mut work => {}
            () = overdue => tracing::warn!(identity = stamp.identity, "the work has not stopped in time: it is dropped"),
        }
    }
    leadership.release();
}

/// Reconciles Foos until `stop`, and finishes what is under way then.
async fn work(client: kube::Client, stamp: Stamp, stop: impl Future<Output = ()> + Send + Sync + 'static) {
    let reporter = Reporter {
        controller: "sample-controller".into(),
        instance: Some(stamp.identity.clone()),
    };
    let recorder = Recorder::new(client.clone(), reporter);
    let foos: Api<Foo> = Api::all(client.clone());
    let deployments: Api<Deployment> = Api::all(client.clone());
    let context = Arc::new(Context {
        client,
        stamp,
        recorder,
    });
    let controller = Controller::new(foos, watcher::Config::default());
    let known = controller.store();
    let mut complaint = None;
    controller
        // By name, not by owner: a Foo also has to hear that somebody else's Deployment of that name is gone.
        .watches(deployments, watcher::Config::default(), move |deployment| {
            named_by(&known, &deployment)
        })
        .trigger_backoff(Pause::default())
        .graceful_shutdown_on(stop)
        .run(reconcile, |foo, error, _| reconcile::retry(&foo, error), context)
        .for_each(|outcome| {
            match outcome {
                Err(controller::Error::QueueError(error)) => complain_once(&mut complaint, &error),
                // Logged where it is decided when to retry, or nothing to be said about.
                Err(_) => {}
                Ok(_) => complaint = None,
            }
            std::future::ready(())
        })
        .await;
}

fn named_by(foos: &Store<Foo>, deployment: &Deployment) -> Vec<ObjectRef<Foo>> {
    let named = foos.state().into_iter().filter(|foo| {
        foo.namespace() == deployment.namespace() && foo.spec.deployment_name == deployment.name_any()
    });
    named.map(|foo| ObjectRef::from_obj(&*foo)).collect()
}

/// Says what keeps the controller from seeing its objects: once, not at each try.
fn complain_once(last: &mut Option<String>, error: &watcher::Error) {
    let complaint = explain(error);
    if last.as_ref() != Some(&complaint) {
        tracing::warn!("{complaint}");
        *last = Some(complaint);
    }
}

fn explain(error: &watcher::Error) -> String {
    let cause = match error {
        watcher::Error::InitialListFailed(cause)
        | watcher::Error::WatchStartFailed(cause)
        | watcher::Error::WatchFailed(cause) => cause,
        watcher::Error::WatchError(_) | watcher::Error::NoResourceVersion => {
            return format!("cannot watch: {error}; trying again");
        }
    };
    match classify(cause) {
        Failure::NotFound => {
            "the API server knows no Foos: kubectl apply -f artifacts/crd.yaml; trying again".to_owned()
        }
        Failure::Refused(why) => {
            format!("cannot watch Foos and Deployments: {why}; see artifacts/rbac.yaml; trying again")
        }
        failure => format!("cannot watch Foos and Deployments: {failure}; trying again"),
    }
}

/// The pause before a watch that failed is tried again. kube's own grows to 30 s; this one stays short enough for a
/// definition that is applied late to be found soon.
#[derive(Default)]
struct Pause {
    doublings: u32,
}

impl Iterator for Pause {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = FIRST_PAUSE * 2u32.pow(self.doublings);
        self.doublings = (self.doublings + 1).min(4);
        Some(pause)
    }
}

impl Backoff for Pause {
    fn reset(&mut self) {
        self.doublings = 0;
    }
}

/// Doubled four times at most: 4 s.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
