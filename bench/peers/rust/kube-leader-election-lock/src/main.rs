//! A candidate of the crate kube-leader-election, with the lifetime and the period of its examples.

#![expect(
    clippy::disallowed_methods,
    reason = "whoever uses this crate looks at the lease from time to time"
)]

use std::time::Duration;

use clap::Parser;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use kube_leader_election::{LeaseLock, LeaseLockParams, LeaseLockResult};
use peer::{Flags, Work};

const TTL: Duration = Duration::from_secs(15);
const PERIOD: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let file = Kubeconfig::read_from(&flags.kubeconfig)?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    let lock = LeaseLock::new(
        Client::try_from(config)?,
        &flags.namespace,
        LeaseLockParams {
            holder_id: flags.identity,
            lease_name: flags.lease,
            lease_ttl: TTL,
        },
    );
    let terminated = peer::terminated()?;
    tokio::pin!(terminated);
    peer::say("started");
    let mut work = Work::default();
    loop {
        // An error is one attempt lost, as in its examples.
        let result = lock.try_acquire_or_renew().await;
        match result {
            Ok(result) => work.set(matches!(result, LeaseLockResult::Acquired(_))),
            Err(error) => eprintln!("error: {error}"),
        }
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = &mut terminated => break,
        }
    }
    if work.is_running() {
        work.set(false);
        lock.step_down().await?;
    }
    Ok(())
}
