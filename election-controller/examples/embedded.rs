//! A program that does its own work and is an elector as well, in one process.
//!
//! ```console
//! $ cargo run -p election-controller --example embedded
//! ```
//!
//! It elects in all namespaces of the cluster of `$KUBECONFIG`, or of the one that it runs in, and needs the permissions of
//! `artifacts/rbac.yaml`. Any number of replicas may run: one of them elects, the others observe and take over. The work here
//! counts seconds; SIGTERM or SIGINT ends both, the elector after it has given its turn back.
//!
//! An elector whose host may be busy for more than a second needs a thread of its own: it relists what it may have missed.

#![expect(clippy::print_stdout, reason = "a program, and its output")]

use std::sync::Arc;
use std::time::Duration;

use candidate::clock::BootClock;
use election_controller::{LeaderElection, Options, run};
use futures::FutureExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Both hear of the same signal.
    let ending = candidate::termination().shared();
    let client = candidate::client::lease_client(candidate::client::load(None, None).await?)?;
    let options = Options {
        instance: "embedded".to_owned(),
        leader_election: Some(LeaderElection::default()),
        ..Options::default()
    };
    let elector = run(client, options, Arc::new(BootClock::new()), ending.clone());
    let (elected, ()) = tokio::join!(elector, work(ending));
    elected?;
    println!("the turn is given back");
    Ok(())
}

/// What the program is there for.
async fn work(ending: impl Future<Output = ()>) {
    let mut ending = std::pin::pin!(ending);
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    for second in 0_u64.. {
        tokio::select! {
            () = &mut ending => break,
            _ = seconds.tick() => println!("worked for {second} s"),
        }
    }
    println!("the work has stopped");
}
