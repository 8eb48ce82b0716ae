//! How fast the server itself is: what no election over it can be faster than.

use anyhow::Context;
use election_core::{Identity, LeaseSeconds, wire};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{DeleteParams, PostParams};

use super::measure::millis;
use super::stand::{NAMESPACE, Stand};
use crate::bench::candidate::boottime;
use crate::bench::results::{PeersRun, Quantity};

const LEASE: &str = "bench-floor";
/// How often a lease is written.
const WRITES: usize = 300;

/// Writes a lease, each time from the version before, and waits until the watch shows it.
pub(super) async fn measure(stand: &Stand, run: &mut PeersRun) -> anyhow::Result<()> {
    let leases: Api<Lease> = Api::namespaced(stand.client.clone(), NAMESPACE);
    let mut lease = Lease::default();
    lease.metadata.name = Some(LEASE.to_owned());
    let mut lease = leases.create(&PostParams::default(), &lease).await?;
    for number in 0..WRITES {
        let read = wire::read_leader(&lease).context("a lease that was just written")?;
        let to = Identity::new(&format!("candidate-{number}"));
        let next = wire::update(&lease, &read.offer(&to, LeaseSeconds::LEADER));
        let mark = stand.leases.mark();
        let sent = boottime();
        lease = leases.replace(LEASE, &PostParams::default(), &next).await?;
        run.add(Quantity::Put, None, millis(sent, boottime()));
        let version = lease.metadata.resource_version.clone();
        let seen = stand.leases.first(mark, |sighting| {
            sighting
                .leader()
                .is_some_and(|lease| Some(lease.revision.as_str()) == version.as_deref())
        });
        let seen = stand.boottime(seen.await.at);
        run.add(Quantity::PutSeen, None, millis(sent, seen));
    }
    leases.delete(LEASE, &DeleteParams::default()).await?;
    Ok(())
}
