//! Through here time and tasks enter this crate: clock reads, sleeping, spawning.
//!
//! Nothing else is in here.

#![expect(
    clippy::disallowed_methods,
    reason = "the file that reads clocks, sleeps and starts tasks"
)]

use std::future::Future;
use std::time::{Duration, Instant};

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
