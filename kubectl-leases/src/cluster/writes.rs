//! The requests that change something: a lease's annotations, an identity lease that goes, and the Event that tells of it.
//!
//! Each names the uid and the resource version that it was decided from, so it changes what was seen or nothing.

use election_core::LeaseKey;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, ResourceExt};

use super::{Cluster, Error};

/// Who reports, in the words of `kubectl get events`.
pub(crate) const CONTROLLER: &str = "kubectl-leases";

/// What became of a conditional request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome<T> {
    /// It was done.
    Done(T),
    /// The object is not as it was read any more.
    Changed,
}

impl Cluster {
    /// Replaces a Lease that is still what it was when it was read. A rehearsal is carried out by the server and not kept.
    /// `aim` is what it is for: each has a field manager of its own, so that the server notes when it was asked for, and
    /// something else that is asked later does not change that.
    pub(crate) async fn replace(
        &self,
        lease: &Lease,
        aim: &str,
        rehearsal: bool,
    ) -> Result<Outcome<Lease>, Error> {
        let api: Api<Lease> = Api::namespaced(self.client.clone(), &lease.namespace().unwrap_or_default());
        let params = PostParams {
            dry_run: rehearsal,
            field_manager: Some(format!("{CONTROLLER}-{}", aim.to_lowercase())),
        };
        let name = lease.name_any();
        let answer = self.in_time(api.replace(&name, &params, lease)).await;
        outcome(answer, "update on leases.coordination.k8s.io")
    }

    /// Deletes a Lease that is still what it was when it was read.
    pub(crate) async fn delete(&self, lease: &Lease, rehearsal: bool) -> Result<Outcome<()>, Error> {
        let api: Api<Lease> = Api::namespaced(self.client.clone(), &lease.namespace().unwrap_or_default());
        let params = DeleteParams {
            dry_run: rehearsal,
            preconditions: Some(Preconditions {
                uid: lease.uid(),
                resource_version: lease.resource_version(),
            }),
            ..DeleteParams::default()
        };
        let answer = self.in_time(api.delete(&lease.name_any(), &params)).await;
        outcome(answer.map(|_| ()), "delete on leases.coordination.k8s.io")
    }

    /// Who asks, as the server knows it; `None` when it does not say.
    pub(crate) async fn who(&self) -> Option<String> {
        let api: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let review = SelfSubjectReview::default();
        let answer = self
            .in_time(api.create(&PostParams::default(), &review))
            .await
            .ok()?;
        answer.status?.user_info?.username
    }

    /// Publishes an Event about a Lease.
    ///
    /// # Errors
    /// [`Error`]; the Event is a courtesy, and what it tells of has been done.
    pub(crate) async fn tell(
        &self,
        lease: &Lease,
        reason: &str,
        action: &str,
        note: String,
    ) -> Result<(), Error> {
        let reporter = Reporter {
            controller: CONTROLLER.to_owned(),
            instance: None,
        };
        let recorder = Recorder::new(self.client.clone(), reporter);
        let event = Event {
            type_: EventType::Normal,
            reason: reason.to_owned(),
            note: Some(note.chars().take(NOTE_LIMIT).collect()),
            action: action.to_owned(),
            secondary: None,
        };
        let key = LeaseKey::new(&lease.namespace().unwrap_or_default(), &lease.name_any());
        let regarding = ObjectReference {
            api_version: Some("coordination.k8s.io/v1".to_owned()),
            kind: Some("Lease".to_owned()),
            namespace: Some(key.namespace().to_owned()),
            name: Some(key.name().to_owned()),
            uid: lease.uid(),
            ..ObjectReference::default()
        };
        let told = self.in_time(recorder.publish(&event, &regarding)).await;
        told.map_err(|error| error.needing("create and patch on events.events.k8s.io"))
    }
}

/// An API server refuses a longer note.
const NOTE_LIMIT: usize = 1000;

fn outcome<T>(answer: Result<T, Error>, needs: &'static str) -> Result<Outcome<T>, Error> {
    match answer {
        Ok(done) => Ok(Outcome::Done(done)),
        // Somebody else was faster, or it is gone, which the next read shows.
        Err(Error::Refused { reason, .. }) if reason == "Conflict" || reason == "NotFound" => {
            Ok(Outcome::Changed)
        }
        Err(error) => Err(error.needing(needs)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::Client;
    use kube::client::Body;
    use serde_json::{Value, json};
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};

    /// What one request to change a lease says.
    async fn asked<F: Future<Output = ()>>(ask: impl FnOnce(Cluster, Lease) -> F) -> (String, Value) {
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"namespace": "n", "name": "demo", "uid": "u-1", "resourceVersion": "7"},
        });
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (seen.clone(), lease.to_string());
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let (log, answer) = (log.clone(), answer.clone());
            async move {
                let line = format!("{} {}", request.method(), request.uri());
                let body = request.into_body().collect_bytes().await.unwrap();
                log.lock()
                    .unwrap()
                    .push((line, serde_json::from_slice(&body).unwrap()));
                Ok::<_, Infallible>(http::Response::new(Body::from(answer.into_bytes())))
            }
        });
        let cluster = Cluster::with_client(Client::new(service, "n"), None);
        ask(cluster, serde_json::from_value(lease).unwrap()).await;
        let mut seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 1);
        seen.remove(0)
    }

    /// Invariant: S8.
    #[tokio::test]
    async fn each_change_names_what_it_was_decided_from() {
        let replace = |cluster: Cluster, lease: Lease| async move {
            let done = cluster.replace(&lease, "Hold", false).await.unwrap();
            assert!(matches!(done, Outcome::Done(_)));
        };
        let (line, body) = asked(replace).await;
        let path = "/apis/coordination.k8s.io/v1/namespaces/n/leases/demo?&fieldManager=kubectl-leases-hold";
        assert_eq!(line, format!("PUT {path}"));
        let named = |body: &Value| (body["uid"].clone(), body["resourceVersion"].clone());
        assert_eq!(named(&body["metadata"]), (json!("u-1"), json!("7")));
        let delete = |cluster: Cluster, lease: Lease| async move {
            cluster.delete(&lease, false).await.unwrap();
        };
        let (line, body) = asked(delete).await;
        assert!(line.starts_with("DELETE "), "{line}");
        assert_eq!(named(&body["preconditions"]), (json!("u-1"), json!("7")));
    }
}
