//! The signals by which a process is asked to end.

use std::future::Future;

/// Resolves when this process is asked to end: SIGTERM or SIGINT, or Ctrl-C where there are no signals.
///
/// The handlers are installed by the call, not by the first poll, so no signal is lost in between; they stay for the life
/// of the process.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn termination() -> impl Future<Output = ()> + Send + 'static {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let handlers = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
        async move {
            match handlers {
                [Ok(mut terminate), Ok(mut interrupt)] => {
                    tokio::select! {
                        _ = terminate.recv() => {}
                        _ = interrupt.recv() => {}
                    }
                }
                _ => {
                    tracing::warn!(
                        "signal handlers cannot be installed: the process will end without a release"
                    );
                    std::future::pending::<()>().await;
                }
            }
        }
    }
    #[cfg(not(unix))]
    async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
