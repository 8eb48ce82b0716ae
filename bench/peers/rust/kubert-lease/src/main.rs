//! A claimant of kubert's lease, with kubert's defaults.

use clap::Parser;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use kubert::lease::{ClaimParams, LeaseManager};
use peer::{Flags, Work};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let file = Kubeconfig::read_from(&flags.kubeconfig)?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    let leases: Api<Lease> = Api::namespaced(Client::try_from(config)?, &flags.namespace);
    create(&leases, &flags.lease).await?;
    let manager = LeaseManager::init(leases, &flags.lease)
        .await?
        .with_field_manager(flags.identity.clone());
    let terminated = peer::terminated()?;
    tokio::pin!(terminated);
    peer::say("started");
    let (mut claims, task) = manager.spawn(&flags.identity, ClaimParams::default()).await?;
    let mut work = Work::default();
    loop {
        let claim = claims.borrow_and_update().clone();
        work.set(claim.is_current_for(&flags.identity));
        tokio::select! {
            // What is held is held until it expires, when it could not be renewed.
            () = claim.expire(), if work.is_running() => work.set(false),
            changed = claims.changed() => changed?,
            () = &mut terminated => break,
        }
    }
    work.set(false);
    // Without a receiver the lease is vacated, as at the shutdown of a kubert runtime.
    drop(claims);
    task.await??;
    Ok(())
}

/// kubert wants the lease to be there; whoever installs a program that uses it creates it.
async fn create(leases: &Api<Lease>, name: &str) -> anyhow::Result<()> {
    let mut lease = Lease::default();
    lease.metadata.name = Some(name.to_owned());
    lease.spec = Some(LeaseSpec::default());
    match leases.create(&PostParams::default(), &lease).await {
        Err(kube::Error::Api(error)) if error.code == 409 => Ok(()),
        created => Ok(created.map(drop)?),
    }
}
