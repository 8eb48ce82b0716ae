//! Through here time, tasks, chance and signals enter this crate: clock reads, sleeping, spawning, secrets.
//!
//! Nothing else is in here.

#![expect(
    clippy::disallowed_methods,
    reason = "the file that reads clocks, sleeps, starts tasks and draws secrets"
)]

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};

/// This moment.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits without blocking other tasks.
pub(crate) async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Waits and blocks: only for a destructor, where nothing can be awaited.
pub(crate) fn block(duration: Duration) {
    std::thread::sleep(duration);
}

/// Starts a task that lives as long as the runtime.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}

/// A word that nobody can guess.
pub(crate) fn secret() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// Resolves with the name of the signal that asks this process to end.
pub(crate) async fn interrupted() -> anyhow::Result<&'static str> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(tokio::select! {
        _ = interrupt.recv() => "interrupted",
        _ = terminate.recv() => "terminated",
        _ = hangup.recv() => "hung up",
    })
}
