//! A control plane with electors, and hands to write leases with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use candidate::clock::{SharedClock, TokioClock};
use candidate::{Candidate, Overrun};
use election_controller::{Options, run};
use election_core::{LeaseKey, Wall, wire};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client};
use local_controlplane::ControlPlane;
use tokio::task::JoinHandle;

/// The namespace of the stories.
pub(crate) const NAMESPACE: &str = "default";
/// The leader lease of the stories.
pub(crate) const DEMO: &str = "demo";
/// What an hour in the middle of a story is written as.
pub(crate) const NOON: Wall = Wall::from_micros(1_767_265_200_000_000);

pub(crate) struct World {
    pub(crate) plane: ControlPlane,
    pub(crate) clock: SharedClock,
    stamp: i64,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            plane: ControlPlane::new(),
            clock: Arc::new(TokioClock::new(NOON)),
            stamp: 0,
        }
    }

    pub(crate) fn client(&self) -> Client {
        self.plane.client()
    }

    /// Starts an elector that runs until the handle is aborted.
    pub(crate) fn elector(&self, options: Options) -> JoinHandle<()> {
        let client = self.plane.client_as(&options.instance);
        self.elector_with(client, options)
    }

    /// Starts an elector that has this way to the server.
    pub(crate) fn elector_with(&self, client: Client, options: Options) -> JoinHandle<()> {
        let clock = self.clock.clone();
        start(async move {
            run(client, options, clock, std::future::pending())
                .await
                .expect("valid options")
        })
    }

    /// Starts an elector, and lets the time pass in which a leader from before could act.
    pub(crate) async fn warm_elector(&self) -> JoinHandle<()> {
        let elector = self.elector(options());
        pass(Duration::from_secs(20)).await;
        elector
    }

    /// Starts a candidate that leads whenever it can.
    pub(crate) fn candidate(&self, identity: &'static str, version: &str) -> JoinHandle<()> {
        let builder = Candidate::builder(self.plane.client_as(identity), LeaseKey::new(NAMESPACE, DEMO))
            .identity(identity)
            .binary_version(version.parse().expect("a version"))
            .overrun(Overrun::Report)
            .clock(self.clock.clone())
            .shutdown_on(std::future::pending());
        start(async move {
            let mut candidate = builder.join().await.expect("the server accepts everybody");
            while let Ok(Some(leadership)) = candidate.lead().await {
                leadership.run(std::future::pending::<()>()).await;
            }
        })
    }

    /// How many requests the first elector has made that may have changed a lease.
    pub(crate) fn lease_writes(&self) -> u64 {
        self.plane.requests().count(|key| {
            key.client == "elector-a"
                && key.resource == "leases"
                && !matches!(key.verb.as_str(), "get" | "list" | "watch")
        })
    }

    pub(crate) fn leases(&self) -> Api<Lease> {
        self.leases_in(NAMESPACE)
    }

    pub(crate) fn leases_in(&self, namespace: &str) -> Api<Lease> {
        Api::namespaced(self.client(), namespace)
    }

    pub(crate) async fn create(&self, lease: Lease) -> Lease {
        let namespace = lease.metadata.namespace.clone().expect("a namespace");
        self.leases_in(&namespace)
            .create(&PostParams::default(), &lease)
            .await
            .expect("created")
    }

    pub(crate) async fn get(&self, name: &str) -> Option<Lease> {
        self.leases().get_opt(name).await.expect("readable")
    }

    pub(crate) async fn delete(&self, name: &str) {
        self.leases()
            .delete(name, &DeleteParams::default())
            .await
            .expect("deleted");
    }

    /// Changes a lease by hand.
    pub(crate) async fn edit(&self, name: &str, change: impl FnOnce(&mut Lease)) -> Lease {
        let mut lease = self.get(name).await.expect("a lease to edit");
        change(&mut lease);
        self.leases()
            .replace(name, &PostParams::default(), &lease)
            .await
            .expect("replaced")
    }

    /// A holder accepts, or renews: whatever it takes to show life.
    pub(crate) async fn renew(&mut self, name: &str, holder: &str, incarnation: Option<&str>) -> Lease {
        let stamp = self.stamp();
        self.edit(name, |lease| {
            let spec = lease.spec.get_or_insert_default();
            if spec.acquire_time.is_none() || spec.holder_identity.as_deref() != Some(holder) {
                spec.acquire_time = Some(stamp.clone());
                spec.lease_transitions = Some(spec.lease_transitions.unwrap_or_default() + 1);
            }
            spec.holder_identity = Some(holder.to_owned());
            spec.renew_time = Some(stamp);
            let notes = lease.metadata.annotations.get_or_insert_default();
            if let Some(incarnation) = incarnation {
                notes.insert(wire::INCARNATION.to_owned(), incarnation.to_owned());
            }
        })
        .await
    }

    pub(crate) fn stamp(&mut self) -> MicroTime {
        self.stamp += 1;
        MicroTime(Timestamp::from_microsecond(NOON.as_micros() + self.stamp).expect("in range"))
    }

    pub(crate) async fn events(&self) -> Vec<Event> {
        let events: Api<Event> = Api::all(self.client());
        events.list(&ListParams::default()).await.expect("listed").items
    }

    /// The notes of all Events about a lease, each with its reason.
    pub(crate) async fn notes_about(&self, name: &str) -> Vec<String> {
        let events = self.events().await.into_iter();
        let about = events.filter(|event| {
            let regarding = event.regarding.as_ref();
            regarding.is_some_and(|lease| lease.name.as_deref() == Some(name))
        });
        about
            .map(|event| {
                let reason = event.reason.unwrap_or_default();
                format!("{reason}: {}", event.note.unwrap_or_default())
            })
            .collect()
    }

    /// Who the lease names as holder, if it exists.
    pub(crate) async fn holder(&self, name: &str) -> Option<String> {
        holder_of(&self.get(name).await?)
    }

    /// Waits until the lease names this holder; how long that took.
    pub(crate) async fn until_holder(&self, name: &str, holder: &str) -> Duration {
        let began = self.clock.now();
        for _ in 0..60_000 {
            let now = self.get(name).await.and_then(|lease| holder_of(&lease));
            if now.as_deref() == Some(holder) {
                return self.clock.now().since(began);
            }
            pass(Duration::from_millis(10)).await;
        }
        panic!("{name} never named {holder}: {:?}", self.get(name).await);
    }
}

/// An identity lease as a person would write it.
pub(crate) fn hand_written(name: &str, version: &str) -> Lease {
    candidate_for(name, version, &format!("{NAMESPACE}/{DEMO}"))
}

pub(crate) fn candidate_for(name: &str, version: &str, leads: &str) -> Lease {
    let notes = [
        (wire::CAN_LEAD_LEASES, leads),
        (wire::BINARY_VERSION, version),
        (wire::COMPATIBILITY_VERSION, version),
    ];
    Lease {
        metadata: ObjectMeta {
            namespace: Some(NAMESPACE.to_owned()),
            name: Some(name.to_owned()),
            annotations: Some(annotations(&notes)),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(name.to_owned()),
            ..LeaseSpec::default()
        }),
    }
}

/// An identity lease as a process writes it.
pub(crate) fn process(name: &str, version: &str) -> Lease {
    let mut lease = hand_written(name, version);
    let notes = lease.metadata.annotations.get_or_insert_default();
    notes.insert(wire::INCARNATION.to_owned(), format!("incarnation-of-{name}"));
    lease
}

/// A leader lease that somebody holds.
pub(crate) fn held_by(holder: &str, incarnation: Option<&str>) -> Lease {
    let stamp = MicroTime(Timestamp::from_microsecond(NOON.as_micros()).expect("in range"));
    let notes: Vec<_> = incarnation
        .map(|value| (wire::INCARNATION, value))
        .into_iter()
        .collect();
    Lease {
        metadata: ObjectMeta {
            namespace: Some(NAMESPACE.to_owned()),
            name: Some(DEMO.to_owned()),
            annotations: Some(annotations(&notes)),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            acquire_time: Some(stamp.clone()),
            renew_time: Some(stamp),
            lease_duration_seconds: Some(15),
            lease_transitions: Some(1),
            ..LeaseSpec::default()
        }),
    }
}

/// A leader lease that its holder gave back.
pub(crate) fn released() -> Lease {
    let mut lease = held_by("gone", None);
    let spec = lease.spec.get_or_insert_default();
    spec.holder_identity = None;
    spec.acquire_time = None;
    lease
}

/// The same lease by another name.
pub(crate) fn named(name: &str, mut lease: Lease) -> Lease {
    lease.metadata.name = Some(name.to_owned());
    lease
}

pub(crate) fn holder_of(lease: &Lease) -> Option<String> {
    lease
        .spec
        .as_ref()?
        .holder_identity
        .clone()
        .filter(|holder| !holder.is_empty())
}

pub(crate) fn renew_time_of(lease: &Lease) -> Option<MicroTime> {
    lease.spec.as_ref()?.renew_time.clone()
}

pub(crate) fn annotation(lease: &Lease, key: &str) -> Option<String> {
    lease.metadata.annotations.as_ref()?.get(key).cloned()
}

pub(crate) fn options() -> Options {
    Options {
        instance: "elector-a".to_owned(),
        ..Options::default()
    }
}

/// Lets paused time pass.
pub(crate) async fn pass(duration: Duration) {
    #[expect(
        clippy::disallowed_methods,
        reason = "time passes in a test because the test says so"
    )]
    tokio::time::sleep(duration).await;
}

fn start(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    #[expect(clippy::disallowed_methods, reason = "a test starts what it observes")]
    tokio::spawn(task)
}

fn annotations(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}
