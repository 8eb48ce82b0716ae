//! What the peers written in Rust have in common: what they are told, and what they say.
//!
//! How they elect is in their own files.

use std::future::Future;
use std::path::PathBuf;

use clap::Parser;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

/// What the benchmark tells a peer.
#[derive(Clone, Debug, Parser)]
pub struct Flags {
    /// The kubeconfig file.
    #[arg(long)]
    pub kubeconfig: PathBuf,
    /// The namespace of the lease.
    #[arg(long)]
    pub namespace: String,
    /// The name of the lease.
    #[arg(long)]
    pub lease: String,
    /// Who this is.
    #[arg(long)]
    pub identity: String,
}

/// Stands for what a leader does: it says when that begins and when it has stopped.
#[derive(Debug, Default)]
pub struct Work {
    running: bool,
}

impl Work {
    /// Begins or ends the work, when that changes something.
    pub fn set(&mut self, leading: bool) {
        if leading != self.running {
            self.running = leading;
            say(if leading { "leads" } else { "stopped" });
        }
    }

    /// Whether it goes on.
    pub fn is_running(&self) -> bool {
        self.running
    }
}

/// Prints one event, stamped with the clock that all processes of a machine share.
pub fn say(event: &str) {
    let now = clock_gettime(ClockId::Boottime);
    let boottime = now.tv_sec * 1_000_000_000 + now.tv_nsec;
    println!("{}", json!({"event": event, "boottime_ns": boottime}));
}

/// Completes at SIGTERM, which counts from this call on.
///
/// # Errors
/// When the signal cannot be listened to.
pub fn terminated() -> anyhow::Result<impl Future<Output = ()>> {
    let mut signal = signal(SignalKind::terminate())?;
    Ok(async move {
        signal.recv().await;
    })
}
