//! The client library that the other crates use, against the in-process service.

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, ObjectReference};
use kube::api::{
    Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions, WatchEvent, WatchParams,
};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::watcher;
use local_controlplane::ControlPlane;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, timeout};

fn lease(name: &str) -> Lease {
    serde_json::from_value(crate::support::lease(name, "alpha")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn objects_are_created_replaced_patched_and_deleted() {
    let leases: Api<Lease> = Api::namespaced(ControlPlane::new().client(), "default");
    let mut x = leases.create(&PostParams::default(), &lease("x")).await.unwrap();
    x.spec.as_mut().unwrap().holder_identity = Some("bravo".into());
    let replaced = leases.replace("x", &PostParams::default(), &x).await.unwrap();
    let kube::Error::Api(conflict) = leases.replace("x", &PostParams::default(), &x).await.unwrap_err()
    else {
        panic!("a conflict is an answer")
    };
    assert!(conflict.is_conflict());
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"a": "b"}}}));
    let patched = leases.patch("x", &PatchParams::default(), &patch).await.unwrap();
    let stale = Preconditions {
        uid: replaced.metadata.uid.clone(),
        resource_version: replaced.metadata.resource_version,
    };
    let stale = DeleteParams {
        preconditions: Some(stale),
        ..DeleteParams::default()
    };
    assert!(leases.delete("x", &stale).await.is_err());
    let right = Preconditions {
        uid: replaced.metadata.uid,
        resource_version: patched.metadata.resource_version,
    };
    let right = DeleteParams {
        preconditions: Some(right),
        ..DeleteParams::default()
    };
    assert!(leases.delete("x", &right).await.unwrap().is_right());
    assert_eq!(leases.get_opt("x").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_watcher_follows_for_an_hour_of_paused_time() {
    let plane = ControlPlane::new();
    let leases: Api<Lease> = Api::namespaced(plane.client_as("follower"), "default");
    for config in [
        watcher::Config::default(),
        watcher::Config::default().streaming_lists(),
    ] {
        let mut stream = watcher::watcher(leases.clone(), config).boxed();
        let begin = Instant::now();
        loop {
            if let watcher::Event::InitDone = stream.try_next().await.unwrap().unwrap() {
                break;
            }
        }
        let writer: Api<Lease> = Api::namespaced(plane.client_as("writer"), "default");
        let name = format!("x{}", begin.elapsed().subsec_nanos());
        let wait = async {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            let created = writer
                .create(&PostParams::default(), &lease(&name))
                .await
                .unwrap();
            writer.delete(&name, &DeleteParams::default()).await.unwrap();
            created
        };
        let follow = async {
            let mut seen = Vec::new();
            while seen.len() < 2 {
                seen.push(stream.try_next().await.unwrap().unwrap());
            }
            seen
        };
        let (created, seen) = tokio::join!(wait, follow);
        assert!(matches!(&seen[0], watcher::Event::Apply(lease) if *lease == created));
        assert!(
            matches!(&seen[1], watcher::Event::Delete(lease) if lease.metadata.name == created.metadata.name)
        );
    }
    let requests = plane.requests();
    assert_eq!(requests.writes_by("writer"), 4);
    assert_eq!(requests.writes_by("follower"), 0);
    assert!(
        requests.count(|key| key.client == "follower" && key.verb == "watch") > 10,
        "290 s each"
    );
    assert_eq!(requests.count(|key| key.resource != "leases"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_watcher_recovers_from_forgotten_history() {
    let plane = ControlPlane::new();
    let leases: Api<Lease> = Api::namespaced(plane.client(), "default");
    leases.create(&PostParams::default(), &lease("x")).await.unwrap();
    let params = WatchParams::default();
    let version = "1";
    plane.compact();
    let mut stream = leases.watch(&params, version).await.unwrap().boxed();
    let WatchEvent::Error(status) = stream.try_next().await.unwrap().unwrap() else {
        panic!("an error is an event")
    };
    assert_eq!(status.code, 410);
    assert!(stream.try_next().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_recorder_publishes_and_counts_its_events() {
    let plane = ControlPlane::new();
    let reporter = Reporter {
        controller: "example.com/elector".into(),
        instance: Some("elector-0".into()),
    };
    let recorder = Recorder::new(plane.client(), reporter);
    let about = ObjectReference {
        kind: Some("Lease".into()),
        namespace: Some("default".into()),
        name: Some("x".into()),
        api_version: Some("coordination.k8s.io/v1".into()),
        ..ObjectReference::default()
    };
    let event = Event {
        type_: EventType::Normal,
        reason: "Elected".into(),
        note: Some("alpha leads".into()),
        action: "Elect".into(),
        secondary: None,
    };
    for _ in 0..3 {
        recorder.publish(&event, &about).await.unwrap();
    }
    let events: Api<k8s_openapi::api::core::v1::Event> = Api::namespaced(plane.client(), "default");
    let list = events
        .list(&ListParams::default().fields("involvedObject.name=x"))
        .await
        .unwrap();
    let [event] = list.items.as_slice() else {
        panic!("one event: {list:?}")
    };
    assert_eq!(event.message.as_deref(), Some("alpha leads"));
    assert_eq!(event.series.as_ref().and_then(|series| series.count), Some(3));
}

#[tokio::test(start_paused = true)]
async fn metadata_and_cluster_scoped_kinds_work_too() {
    let plane = ControlPlane::new();
    let namespaces: Api<Namespace> = Api::all(plane.client());
    let names: Vec<_> = namespaces
        .list_metadata(&ListParams::default())
        .await
        .unwrap()
        .items;
    assert_eq!(names.len(), 4);
    assert!(
        timeout(Duration::from_secs(1), namespaces.get("default"))
            .await
            .unwrap()
            .is_ok()
    );
}

#[test]
fn two_control_planes_that_are_asked_the_same_answer_the_same() {
    let uids = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let leases: Api<Lease> = Api::namespaced(ControlPlane::new().client(), "default");
            let mut uids = Vec::new();
            for name in ["x", "y"] {
                uids.push(
                    leases
                        .create(&PostParams::default(), &lease(name))
                        .await
                        .unwrap()
                        .metadata
                        .uid,
                );
            }
            uids
        })
    };
    assert_eq!(uids(), uids());
}
