//! A simulated process: all its tasks under one, so that it can be stopped, continued and crashed as a whole.
//!
//! A stopped process is not polled: no timer fires for it, no answer is read, nothing is sent. When it is continued,
//! everything that came meanwhile is there at once, as after SIGCONT. A crash drops all of it where it stands.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};

/// The handle of a process.
#[derive(Clone, Default)]
pub(crate) struct Process(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    stopped: bool,
    crashed: bool,
    ended: bool,
    waker: Option<Waker>,
    /// Tasks that were started and are not polled yet.
    new: Vec<BoxFuture<'static, ()>>,
}

impl Process {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let waker = {
            let mut state = self.state();
            change(&mut state);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Stops it, or continues it.
    pub(crate) fn stop(&self, stopped: bool) {
        self.change(|state| state.stopped = stopped);
    }

    /// Nothing of it runs any more.
    pub(crate) fn crash(&self) {
        self.change(|state| {
            state.crashed = true;
            state.ended = true;
        });
    }

    /// Whether it ended in a crash.
    pub(crate) fn has_crashed(&self) -> bool {
        self.state().crashed
    }

    /// Whether it has crashed, or has come to its end.
    pub(crate) fn has_ended(&self) -> bool {
        self.state().ended
    }

    /// Starts a task of this process.
    pub(crate) fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.change(|state| state.new.push(task));
    }

    /// The future that is the process; `looked` is called whenever it has run.
    pub(crate) fn run<F: FnMut() + Send>(&self, looked: F) -> Running<F> {
        Running {
            process: self.clone(),
            tasks: FuturesUnordered::new(),
            looked,
        }
    }
}

/// See [`Process::run`].
pub(crate) struct Running<F> {
    process: Process,
    tasks: FuturesUnordered<BoxFuture<'static, ()>>,
    looked: F,
}

impl<F: FnMut() + Send + Unpin> Future for Running<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let new = {
                let mut state = self.process.state();
                if state.crashed {
                    drop(state);
                    self.tasks.clear();
                    return Poll::Ready(());
                }
                state.waker = Some(context.waker().clone());
                if state.stopped {
                    return Poll::Pending;
                }
                std::mem::take(&mut state.new)
            };
            self.tasks.extend(new);
            let polled = self.tasks.poll_next_unpin(context);
            (self.looked)();
            let state = self.process.state();
            let more = state.crashed || !state.new.is_empty();
            drop(state);
            match polled {
                Poll::Ready(Some(())) => {}
                _ if more => {}
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => {
                    self.process.state().ended = true;
                    return Poll::Ready(());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc;

    use super::*;
    use crate::time::{spawn, wait};

    /// A process whose first task counts seconds and whose second, started by the first, is told of each.
    fn process() -> (Process, mpsc::UnboundedReceiver<u64>) {
        let (told, hears) = mpsc::unbounded_channel();
        let process = Process::default();
        let inner = process.clone();
        process.spawn(Box::pin(async move {
            let (within, mut heard) = mpsc::unbounded_channel();
            inner.spawn(Box::pin(async move {
                while let Some(second) = heard.recv().await {
                    let _ = told.send(second);
                }
            }));
            for second in 1..=10 {
                wait(Duration::from_secs(1)).await;
                let _ = within.send(second);
            }
        }));
        spawn(process.run(|| {}));
        (process, hears)
    }

    fn all(hears: &mut mpsc::UnboundedReceiver<u64>) -> Vec<u64> {
        std::iter::from_fn(|| hears.try_recv().ok()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_stopped_process_does_nothing_and_goes_on_when_it_is_continued() {
        let (process, mut hears) = process();
        wait(Duration::from_millis(2500)).await;
        assert_eq!(all(&mut hears), [1, 2]);
        process.stop(true);
        wait(Duration::from_secs(3)).await;
        assert!(all(&mut hears).is_empty());
        process.stop(false);
        wait(Duration::from_millis(10)).await;
        assert_eq!(
            all(&mut hears),
            [3],
            "the timer that fired meanwhile is due at once"
        );
        assert!(!process.has_ended());
        wait(Duration::from_secs(10)).await;
        assert_eq!(all(&mut hears), [4, 5, 6, 7, 8, 9, 10]);
        assert!(process.has_ended() && !process.has_crashed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_crash_drops_all_tasks_even_of_a_stopped_process() {
        for stopped in [false, true] {
            let (process, mut hears) = process();
            wait(Duration::from_millis(1500)).await;
            process.stop(stopped);
            process.crash();
            wait(Duration::from_millis(1)).await;
            assert_eq!(all(&mut hears), [1]);
            assert!(hears.is_closed(), "its tasks are dropped");
            assert!(process.has_crashed());
        }
    }
}
