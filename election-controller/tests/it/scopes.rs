//! Which namespaces an elector elects in, and which options it refuses.

use std::time::Duration;

use election_controller::{Error, Options};
use election_core::LeaseKey;
use k8s_openapi::api::coordination::v1::Lease;

use crate::road::{Fate, Road};
use crate::world::{World, candidate_for, holder_of, options, pass};

const DEMO: &str = "demo";

fn in_namespace(namespace: &str) -> Lease {
    let mut lease = candidate_for("alpha", "1.30", &format!("{namespace}/{DEMO}"));
    lease.metadata.namespace = Some(namespace.to_owned());
    lease
}

fn only(namespaces: &[&str]) -> Options {
    Options {
        namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(),
        ..options()
    }
}

async fn holder_in(world: &World, namespace: &str) -> Option<String> {
    let lease = world.leases_in(namespace).get_opt(DEMO).await.unwrap();
    lease.as_ref().and_then(holder_of)
}

#[tokio::test(start_paused = true)]
async fn only_the_namespaces_that_are_named_are_watched() {
    let world = World::new();
    let everywhere = ["default", "kube-public", "kube-system"];
    for namespace in everywhere {
        world.create(in_namespace(namespace)).await;
    }
    // Named twice is named once.
    let _elector = world.elector(only(&["default", "kube-public", "default"]));
    pass(Duration::from_secs(30)).await;
    for (namespace, elected) in everywhere.into_iter().zip([true, true, false]) {
        let holder = holder_in(&world, namespace).await;
        assert_eq!(holder.is_some(), elected, "{namespace}: {holder:?}");
    }
    let requests = world.plane.requests();
    let of = |verb: &str| requests.count(|key| key.client == "elector-a" && key.verb == verb);
    assert_eq!(
        (of("list"), of("watch")),
        (2, 2),
        "one watch for each: {requests:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_choice_all_namespaces_are_elected_in_by_one_watch() {
    let world = World::new();
    for namespace in ["default", "kube-system"] {
        world.create(in_namespace(namespace)).await;
    }
    let _elector = world.elector(options());
    pass(Duration::from_secs(30)).await;
    for namespace in ["default", "kube-system"] {
        assert!(holder_in(&world, namespace).await.is_some(), "{namespace}");
    }
    let requests = world.plane.requests();
    let watches = requests.count(|key| key.client == "elector-a" && key.verb == "watch");
    assert_eq!(watches, 1, "{requests:?}");
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_may_not_be_read_disturbs_no_other() {
    let world = World::new();
    let road = Road::new();
    road.rule(
        |request| match request.uri().path().contains("/namespaces/kube-public/") {
            true => Fate::Answered(403, "Forbidden"),
            false => Fate::Passes,
        },
    );
    for namespace in ["default", "kube-public"] {
        world.create(in_namespace(namespace)).await;
    }
    let client = road.client(world.plane.client_as("elector-a"));
    let _elector = world.elector_with(client, only(&["kube-public", "default"]));
    pass(Duration::from_secs(20)).await;
    assert!(holder_in(&world, "default").await.is_some());
    assert_eq!(holder_in(&world, "kube-public").await, None);
    road.clear();
    pass(Duration::from_secs(20)).await;
    assert!(holder_in(&world, "kube-public").await.is_some());
}

#[test]
fn options_that_cannot_work_are_refused_with_the_name_of_the_knob() {
    let refused = |change: fn(&mut Options)| {
        let mut options = Options::default();
        change(&mut options);
        options.validated().expect_err("refused")
    };
    let error = refused(|options| options.namespaces = vec!["Team A".to_owned()]);
    assert!(
        matches!(&error, Error::Namespace { name } if name == "Team A"),
        "{error}"
    );
    let error = refused(|options| options.concurrency = 0);
    assert!(matches!(error, Error::Concurrency), "{error}");
    let error = refused(|options| options.request_deadline = Duration::ZERO);
    assert!(matches!(error, Error::Deadline), "{error}");
    let error = refused(|options| options.silence = Duration::ZERO);
    assert!(matches!(error, Error::Deadline), "{error}");
    let error = refused(|options| options.rules.timing.back_off = Duration::from_secs(7200));
    assert!(error.to_string().contains("back-off"), "{error}");
    assert!(Options::default().validated().is_ok());
    assert!(
        only(&["team-a", "1"]).validated().is_ok(),
        "{}",
        LeaseKey::new("1", DEMO)
    );
}
