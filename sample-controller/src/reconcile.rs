//! What is to be done for one Foo.
//!
//! [`decide`] compares the Foo with its Deployment and does nothing; [`reconcile`] reads, decides and writes. A Deployment
//! whose name the Foo gave up stays as it is, owned by the Foo, as in the sample controller of Kubernetes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use candidate::client::{Failure, classify};
use election_core::{FencingToken, Revision};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::api::{Api, PostParams};
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Client, Resource, ResourceExt};

use crate::foo::{Foo, FooStatus, available};

/// Which process wrote a Deployment last.
pub const RECONCILED_BY: &str = "samplecontroller.k8s.io/reconciled-by";
/// In which term it was written: a leader of the past refuses to write over a newer token.
pub const FENCING_TOKEN: &str = "coordinated-election.io/fencing-token";
/// The reason of the Event about a Deployment that belongs to somebody else.
pub const ERR_RESOURCE_EXISTS: &str = "ErrResourceExists";

/// In whose name a Deployment is written.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// The identity of this process.
    pub identity: String,
    /// The token of its term.
    pub token: FencingToken,
}

/// What is to be done with the Deployment of a Foo.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// It is not there.
    Create(Box<Deployment>),
    /// It differs; the object carries the resource version that it was compared at.
    Update(Box<Deployment>),
    /// It is as it should be, or is about to go.
    Keep,
    /// It belongs to somebody else.
    Foreign,
    /// A later leader wrote it: this process does not lead any more.
    Superseded,
}

/// Compares a Foo with the Deployment of its name.
#[must_use]
pub fn decide(foo: &Foo, current: Option<&Deployment>, stamp: &Stamp) -> Step {
    let Some(current) = current else {
        return Step::Create(Box::new(wanted(foo, stamp)));
    };
    if !owns(foo, current) {
        return Step::Foreign;
    }
    if token(current).is_some_and(|newest| newest > stamp.token) {
        return Step::Superseded;
    }
    let replicas = replicas(current);
    if current.metadata.deletion_timestamp.is_some()
        || foo.spec.replicas.is_none_or(|wanted| Some(wanted) == replicas)
    {
        return Step::Keep;
    }
    let mut update = current.clone();
    update.spec.replicas = foo.spec.replicas;
    update.annotations_mut().extend(annotations(stamp));
    Step::Update(Box::new(update))
}

/// The status of a Foo, when it has to change.
#[must_use]
pub fn status(foo: &Foo, deployment: &Deployment) -> Option<FooStatus> {
    let status = FooStatus {
        available_replicas: available(deployment),
    };
    (foo.status.as_ref() != Some(&status)).then_some(status)
}

fn owns(foo: &Foo, deployment: &Deployment) -> bool {
    let controller = deployment
        .owner_references()
        .iter()
        .find(|owner| owner.controller == Some(true));
    controller.is_some_and(|owner| Some(&owner.uid) == foo.metadata.uid.as_ref())
}

fn token(deployment: &Deployment) -> Option<FencingToken> {
    deployment
        .annotations()
        .get(FENCING_TOKEN)
        .map(|text| FencingToken::new(Revision::new(text)))
}

fn annotations(stamp: &Stamp) -> BTreeMap<String, String> {
    BTreeMap::from([
        (RECONCILED_BY.to_owned(), stamp.identity.clone()),
        (FENCING_TOKEN.to_owned(), stamp.token.to_string()),
    ])
}

fn wanted(foo: &Foo, stamp: &Stamp) -> Deployment {
    let labels = BTreeMap::from([
        ("app".to_owned(), "nginx".to_owned()),
        ("controller".to_owned(), foo.name_any()),
    ]);
    let container = Container {
        name: "nginx".to_owned(),
        image: Some("nginx:latest".to_owned()),
        ..Container::default()
    };
    Deployment {
        metadata: ObjectMeta {
            name: Some(foo.spec.deployment_name.clone()),
            namespace: foo.namespace(),
            owner_references: foo.controller_owner_ref(&()).map(|owner| vec![owner]),
            annotations: Some(annotations(stamp)),
            ..ObjectMeta::default()
        },
        spec: DeploymentSpec {
            replicas: foo.spec.replicas,
            selector: LabelSelector {
                match_labels: Some(labels.clone()),
                ..LabelSelector::default()
            },
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    ..ObjectMeta::default()
                }),
                spec: Some(PodSpec {
                    containers: vec![container],
                    ..PodSpec::default()
                }),
            },
            ..DeploymentSpec::default()
        },
        ..Deployment::default()
    }
}

/// What [`reconcile`] works with, for one term.
pub struct Context {
    /// The client of the term: it refuses to write once the term is over.
    pub client: Client,
    /// In whose name is written.
    pub stamp: Stamp,
    /// Publishes Events about Foos.
    pub recorder: Recorder,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("stamp", &self.stamp)
            .finish_non_exhaustive()
    }
}

/// Why a Foo could not be reconciled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request failed.
    #[error("cannot {doing}: {}", classify(.cause))]
    Request {
        /// What it was for.
        doing: &'static str,
        /// What went wrong.
        cause: kube::Error,
    },
    /// The Deployment belongs to somebody else.
    #[error(
        "Deployment {0} exists and is not managed by this Foo: delete it, or give the Foo another deploymentName"
    )]
    Foreign(String),
    /// A later leader wrote the Deployment.
    #[error("Deployment {0} was written in a later term than this one: nothing was changed")]
    Superseded(String),
}

impl Error {
    /// When to look again. Nothing here needs to be quick: whatever is changed by others comes as an event.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Request { cause, .. } => match classify(cause) {
                Failure::Conflict | Failure::AlreadyExists | Failure::NotFound => {
                    Some(Duration::from_secs(1))
                }
                Failure::Unknown(_) => Some(Duration::from_secs(5)),
                Failure::Refused(_) => Some(Duration::from_secs(30)),
            },
            // The event of its deletion triggers the Foos that name it.
            Self::Foreign(_) => None,
            Self::Superseded(_) => None,
        }
    }
}

/// Makes the Deployment of a Foo what the Foo says, and the status of the Foo what the Deployment says.
///
/// # Errors
/// [`Error`]; what was not done is done at the next call.
pub async fn reconcile(foo: Arc<Foo>, context: Arc<Context>) -> Result<Action, Error> {
    let namespace = foo.namespace().unwrap_or_default();
    let name = foo.spec.deployment_name.as_str();
    if foo.metadata.deletion_timestamp.is_some() {
        // The cluster removes what the Foo owns.
        return Ok(Action::await_change());
    }
    let deployments: Api<Deployment> = Api::namespaced(context.client.clone(), &namespace);
    let current = deployments
        .get_opt(name)
        .await
        .map_err(failed("read the Deployment"))?;
    let written = match decide(&foo, current.as_ref(), &context.stamp) {
        Step::Create(wanted) => {
            let created = deployments.create(&PostParams::default(), &wanted).await;
            Some(("created", created.map_err(failed("create the Deployment"))?))
        }
        Step::Update(wanted) => {
            let updated = deployments.replace(name, &PostParams::default(), &wanted).await;
            Some(("updated", updated.map_err(failed("update the Deployment"))?))
        }
        Step::Keep => None,
        Step::Foreign => {
            warn_about_foreign(&foo, &context).await;
            return Err(Error::Foreign(format!("{namespace}/{name}")));
        }
        Step::Superseded => return Err(Error::Superseded(format!("{namespace}/{name}"))),
    };
    if let Some((action, deployment)) = &written {
        tracing::info!(
            identity = %context.stamp.identity, token = %context.stamp.token, foo = %format_args!("{namespace}/{}", foo.name_any()),
            deployment = %format_args!("{namespace}/{name}"), replicas = replicas(deployment), action, "worked"
        );
    }
    if let Some(deployment) = written.map(|(_, deployment)| deployment).or(current) {
        write_status(&foo, &deployment, &context).await?;
    }
    Ok(Action::await_change())
}

/// When a Foo that failed is looked at again, and what is logged about it.
#[must_use]
pub fn retry(foo: &Foo, error: &Error) -> Action {
    let foo = format!("{}/{}", foo.namespace().unwrap_or_default(), foo.name_any());
    match error {
        // Somebody else wrote meanwhile: an everyday thing.
        Error::Request { cause, .. } if classify(cause) == Failure::Conflict => {
            tracing::debug!(foo, %error, "again")
        }
        _ => tracing::warn!(foo, %error, "not reconciled"),
    }
    error
        .retry_after()
        .map_or_else(Action::await_change, Action::requeue)
}

async fn write_status(foo: &Foo, deployment: &Deployment, context: &Context) -> Result<(), Error> {
    let Some(status) = status(foo, deployment) else {
        return Ok(());
    };
    let foos: Api<Foo> = Api::namespaced(context.client.clone(), &foo.namespace().unwrap_or_default());
    let mut update = foo.clone();
    update.status = Some(status);
    // The resource version of the Foo that was read makes this write conditional.
    let written = foos
        .replace_status(&foo.name_any(), &PostParams::default(), &update)
        .await;
    written.map(drop).map_err(failed("write the status of the Foo"))
}

async fn warn_about_foreign(foo: &Foo, context: &Context) {
    let event = Event {
        type_: EventType::Warning,
        reason: ERR_RESOURCE_EXISTS.to_owned(),
        note: Some(format!(
            "Deployment {:?} already exists and is not managed by Foo",
            foo.spec.deployment_name
        )),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    if let Err(error) = context.recorder.publish(&event, &foo.object_ref(&())).await {
        tracing::warn!(foo = foo.name_any(), error = %classify(&error), "an Event could not be published");
    }
}

fn replicas(deployment: &Deployment) -> Option<i32> {
    deployment.spec.replicas
}

fn failed(doing: &'static str) -> impl FnOnce(kube::Error) -> Error {
    move |cause| Error::Request { doing, cause }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foo::FooSpec;

    fn stamp(token: &str) -> Stamp {
        Stamp {
            identity: "bravo".to_owned(),
            token: FencingToken::new(Revision::new(token)),
        }
    }

    fn foo(replicas: Option<i32>) -> Foo {
        let mut foo = Foo::new(
            "foo",
            FooSpec {
                deployment_name: "web".to_owned(),
                replicas,
            },
        );
        foo.metadata.namespace = Some("default".to_owned());
        foo.metadata.uid = Some("foo-uid".to_owned());
        foo
    }

    fn deployment(replicas: i32, token: &str) -> Deployment {
        wanted(&foo(Some(replicas)), &stamp(token))
    }

    #[test]
    fn a_missing_deployment_is_created_and_owned() {
        let Step::Create(created) = decide(&foo(Some(2)), None, &stamp("7")) else {
            panic!("it should be created")
        };
        let owner = &created.owner_references()[0];
        assert_eq!(
            (owner.kind.as_str(), owner.uid.as_str(), owner.controller),
            ("Foo", "foo-uid", Some(true))
        );
        assert_eq!(replicas(&created), Some(2));
        assert_eq!(created.annotations()[RECONCILED_BY], "bravo");
        assert_eq!(created.annotations()[FENCING_TOKEN], "7");
        let container = &created.spec.template.spec.unwrap().containers[0];
        assert_eq!(container.image.as_deref(), Some("nginx:latest"));
    }

    #[test]
    fn drift_of_the_replicas_is_repaired_in_the_name_of_this_term() {
        let drifted = deployment(5, "7");
        let Step::Update(update) = decide(&foo(Some(2)), Some(&drifted), &stamp("9")) else {
            panic!("not repaired")
        };
        assert_eq!(replicas(&update), Some(2));
        assert_eq!(update.annotations()[FENCING_TOKEN], "9");
        assert_eq!(decide(&foo(Some(5)), Some(&drifted), &stamp("9")), Step::Keep);
        assert_eq!(
            decide(&foo(None), Some(&drifted), &stamp("9")),
            Step::Keep,
            "nobody said how many"
        );
    }

    #[test]
    fn a_deployment_of_somebody_else_is_refused() {
        let mut foreign = deployment(5, "7");
        foreign.metadata.owner_references = None;
        assert_eq!(decide(&foo(Some(2)), Some(&foreign), &stamp("9")), Step::Foreign);
        let mut other = foo(Some(5));
        other.metadata.uid = Some("another-uid".to_owned());
        assert_eq!(
            decide(&other, Some(&deployment(5, "7")), &stamp("9")),
            Step::Foreign
        );
    }

    #[test]
    fn a_leader_of_the_past_does_not_write_over_a_later_one() {
        assert_eq!(
            decide(&foo(Some(2)), Some(&deployment(5, "10")), &stamp("9")),
            Step::Superseded
        );
    }

    #[test]
    fn a_deployment_that_is_being_deleted_is_left_alone() {
        let mut leaving = deployment(5, "7");
        leaving.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
            k8s_openapi::jiff::Timestamp::UNIX_EPOCH,
        ));
        assert_eq!(decide(&foo(Some(2)), Some(&leaving), &stamp("9")), Step::Keep);
    }

    #[test]
    fn the_status_is_written_only_when_it_differs() {
        let mut deployment = deployment(2, "7");
        let mut foo = foo(Some(2));
        assert_eq!(
            status(&foo, &deployment),
            Some(FooStatus {
                available_replicas: 0
            })
        );
        foo.status = Some(FooStatus {
            available_replicas: 0,
        });
        assert_eq!(status(&foo, &deployment), None);
        deployment.status.get_or_insert_default().available_replicas = Some(2);
        assert_eq!(
            status(&foo, &deployment),
            Some(FooStatus {
                available_replicas: 2
            })
        );
    }
}
