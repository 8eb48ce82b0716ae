//! The work of a term against the in-process control plane, under paused time; the elector is played by hand.

use std::sync::Arc;
use std::time::Duration;

use candidate::clock::TokioClock;
use candidate::{Candidate, Leadership, Overrun};
use election_core::{LeaseCreate, LeaseKey, LeaseSeconds, LeaseState, Wall, wire};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use local_controlplane::ControlPlane;
use sample_controller::foo::{self, Foo, FooSpec};
use sample_controller::reconcile::{ERR_RESOURCE_EXISTS, FENCING_TOKEN, RECONCILED_BY};
use sample_controller::work;
use serde_json::json;

const GRACE: Duration = Duration::from_millis(500);

/// Waits until what was asked for is there, looking every simulated 50 ms.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..1_000 {
        if let Some(found) = look().await {
            return found;
        }
        pause(Duration::from_millis(50)).await;
    }
    panic!("{what}: not within 50 simulated seconds");
}

async fn pause(duration: Duration) {
    #[expect(clippy::disallowed_methods, reason = "simulated time")]
    tokio::time::sleep(duration).await;
}

fn api<K>(server: &ControlPlane) -> Api<K>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
    K::DynamicType: Default,
{
    Api::namespaced(server.client_as("test"), "default")
}

fn leases(server: &ControlPlane) -> Api<Lease> {
    Api::namespaced(server.client_as("elector"), "kube-system")
}

async fn define_foo(server: &ControlPlane) {
    let definitions: Api<CustomResourceDefinition> = Api::all(server.client_as("test"));
    definitions
        .create(&PostParams::default(), &foo::definition())
        .await
        .unwrap();
}

async fn create_foo(server: &ControlPlane, replicas: i32) -> Foo {
    let foo = Foo::new(
        "example-foo",
        FooSpec {
            deployment_name: "web".to_owned(),
            replicas: Some(replicas),
        },
    );
    until("the kind Foo", async || {
        api(server).create(&PostParams::default(), &foo).await.ok()
    })
    .await
}

async fn deployment(server: &ControlPlane) -> Option<Deployment> {
    api(server).get_opt("web").await.unwrap()
}

/// The elector, by hand: makes the lease and offers it.
async fn offer(server: &ControlPlane, to: &str) {
    until("identity lease", async || {
        leases(server).get_opt(to).await.unwrap()
    })
    .await;
    let key: LeaseKey = "kube-system/sample-controller".parse().unwrap();
    let create = LeaseCreate {
        key,
        duration: LeaseSeconds::LEADER,
    };
    let base = leases(server)
        .create(&PostParams::default(), &wire::create(&create))
        .await
        .unwrap();
    let offer = wire::read_leader(&base)
        .unwrap()
        .offer(&to.into(), LeaseSeconds::LEADER);
    leases(server)
        .replace(
            "sample-controller",
            &PostParams::default(),
            &wire::update(&base, &offer),
        )
        .await
        .unwrap();
}

/// A candidate that leads.
async fn leading(server: &ControlPlane, identity: &str) -> (Candidate, Leadership) {
    let mut candidate = Candidate::builder(
        server.client_as("candidate"),
        "kube-system/sample-controller".parse().unwrap(),
    )
    .identity(identity)
    .incarnation("1")
    .binary_version("1.29".parse().unwrap())
    .overrun(Overrun::Report)
    .work_client(server.client_as("work"))
    .clock(Arc::new(TokioClock::new(Wall::from_micros(
        1_790_000_000_000_000,
    ))))
    .join()
    .await
    .unwrap();
    let (leadership, ()) = tokio::join!(candidate.lead(), offer(server, identity));
    (candidate, leadership.unwrap().expect("it was offered the lease"))
}

/// Tells a story while `bravo` leads and works.
async fn while_bravo_works(story: impl AsyncFnOnce(&ControlPlane)) {
    let server = ControlPlane::new();
    let (_candidate, leadership) = leading(&server, "bravo").await;
    tokio::select! {
        () = work::term(leadership, GRACE) => panic!("the term should go on"),
        () = server.run_controllers() => panic!("the controllers should go on"),
        () = story(&server) => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_foo_gets_a_deployment_by_the_hand_of_the_leader_and_the_status_follows() {
    while_bravo_works(async |server| {
        define_foo(server).await;
        let foo = create_foo(server, 2).await;
        let made = until("a Deployment", async || deployment(server).await).await;
        assert_eq!(made.spec.replicas, Some(2));
        assert_eq!(made.owner_references()[0].uid, foo.uid().unwrap());
        assert_eq!(made.annotations()[RECONCILED_BY], "bravo");
        assert!(made.annotations().contains_key(FENCING_TOKEN));
        until("available replicas in the status", async || {
            let foo: Foo = api(server).get("example-foo").await.unwrap();
            foo.status.filter(|status| status.available_replicas == 2)
        })
        .await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn drift_is_repaired() {
    while_bravo_works(async |server| {
        define_foo(server).await;
        create_foo(server, 2).await;
        let made = until("a Deployment", async || deployment(server).await).await;
        let scaled = Patch::Merge(json!({"spec": {"replicas": 7}}));
        api::<Deployment>(server)
            .patch("web", &PatchParams::default(), &scaled)
            .await
            .unwrap();
        until("the replicas", async || {
            deployment(server)
                .await
                .filter(|web| web.spec.replicas == Some(2))
        })
        .await;

        api::<Deployment>(server)
            .delete("web", &DeleteParams::default())
            .await
            .unwrap();
        let again = until("a new Deployment", async || {
            deployment(server)
                .await
                .filter(|web| web.metadata.deletion_timestamp.is_none() && web.uid() != made.uid())
        });
        assert_eq!(again.await.spec.replicas, Some(2));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_deployment_of_somebody_else_is_refused_with_an_event_until_it_is_gone() {
    while_bravo_works(async |server| {
        define_foo(server).await;
        let foreign: Deployment = serde_json::from_value(json!({
            "metadata": {"name": "web"},
            "spec": {
                "replicas": 5,
                "selector": {"matchLabels": {"app": "other"}},
                "template": {
                    "metadata": {"labels": {"app": "other"}},
                    "spec": {"containers": [{"name": "other", "image": "other"}]},
                },
            },
        }))
        .unwrap();
        api(server)
            .create(&PostParams::default(), &foreign)
            .await
            .unwrap();
        create_foo(server, 2).await;
        let event = until("an Event", async || {
            let events = api::<Event>(server).list(&Default::default()).await.unwrap();
            events
                .into_iter()
                .find(|event| event.reason.as_deref() == Some(ERR_RESOURCE_EXISTS))
        })
        .await;
        assert_eq!(event.type_.as_deref(), Some("Warning"));
        assert_eq!(event.involved_object.name.as_deref(), Some("example-foo"));
        assert_eq!(
            event.message.as_deref(),
            Some("Deployment \"web\" already exists and is not managed by Foo")
        );
        let left_alone = deployment(server).await.unwrap();
        assert_eq!(
            (left_alone.spec.replicas, left_alone.owner_references().len()),
            (Some(5), 0)
        );

        api::<Deployment>(server)
            .delete("web", &DeleteParams::default())
            .await
            .unwrap();
        until("its own Deployment", async || {
            deployment(server)
                .await
                .filter(|web| !web.owner_references().is_empty())
        })
        .await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_definition_that_is_applied_late_is_found() {
    while_bravo_works(async |server| {
        pause(Duration::from_secs(20)).await;
        define_foo(server).await;
        create_foo(server, 1).await;
        until("a Deployment", async || deployment(server).await).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_given_back_when_the_work_has_stopped_and_nobody_works_then() {
    let server = ControlPlane::new();
    define_foo(&server).await;
    let (candidate, leadership) = leading(&server, "bravo").await;
    tokio::join!(work::term(leadership, GRACE), async {
        create_foo(&server, 2).await;
        until("a Deployment", async || deployment(&server).await).await;
        candidate.begin_shutdown();
    });
    candidate.shutdown().await.unwrap();
    let lease = leases(&server).get("sample-controller").await.unwrap();
    assert_eq!(wire::read_leader(&lease).unwrap().state(), LeaseState::Released);

    api::<Deployment>(&server)
        .delete("web", &DeleteParams::default())
        .await
        .unwrap();
    pause(Duration::from_secs(60)).await;
    assert_eq!(
        deployment(&server).await,
        None,
        "somebody works who does not lead"
    );
}
