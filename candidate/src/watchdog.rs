//! Ends the process when its work has not stopped at the moment when it had to.
//!
//! A future can be dropped only by a runtime that runs. Work that blocks its thread would go on acting beyond the
//! deadline, so a thread of its own waits for that moment on `CLOCK_BOOTTIME` and aborts the process.

use std::sync::Arc;

use election_core::Mono;

use crate::clock::SharedClock;

/// What happens to work that still runs at its deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overrun {
    /// The process aborts, so that no two leaders act. On other systems than Linux nothing does that: there only the
    /// runtime stops the work.
    #[default]
    Abort,
    /// An error is logged as soon as the work has stopped. Invariant S1 is then the caller's: something else must stop
    /// the work in time, as the keeper of `candidate run` does.
    Report,
}

#[cfg(target_os = "linux")]
mod thread {
    use std::os::fd::OwnedFd;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use election_core::Mono;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };

    use crate::clock::{BootClock, Clock, SharedClock};

    /// How long the last words may take. Whoever writes the log may be the very work that is stuck, or stuck like it.
    const LAST_WORDS: Duration = Duration::from_millis(20);

    /// A thread that aborts the process at the moment it is armed for.
    #[derive(Debug)]
    pub(crate) struct Watchdog {
        clock: SharedClock,
        timer: Arc<OwnedFd>,
        over: Arc<AtomicBool>,
    }

    impl Watchdog {
        /// Starts the thread; it ends with this value.
        pub(crate) fn start(name: String, clock: SharedClock) -> std::io::Result<Self> {
            let timer = Arc::new(timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC)?);
            let over = Arc::new(AtomicBool::new(false));
            let (waits, ends) = (timer.clone(), over.clone());
            std::thread::Builder::new()
                .name("watchdog".to_owned())
                .spawn(move || watch(&name, &waits, &ends))?;
            Ok(Self { clock, timer, over })
        }

        /// Moves the moment.
        pub(crate) fn arm(&self, at: Mono) {
            // The machine's clock is read first, so that a pause between the two makes the moment early and never late. A
            // clock of tests shows another time than the machine's.
            let boot = BootClock::new().now();
            let at = boot + at.since(self.clock.now());
            self.set(at.as_nanos().max(1));
        }

        pub(crate) fn disarm(&self) {
            self.set(0);
        }

        fn set(&self, nanos: u64) {
            let zero = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            let spec = Itimerspec {
                it_interval: zero,
                it_value: Timespec {
                    tv_sec: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
                    tv_nsec: (nanos % 1_000_000_000).try_into().unwrap_or_default(),
                },
            };
            if let Err(error) = timerfd_settime(&*self.timer, TimerfdTimerFlags::ABSTIME, &spec) {
                abort(format!(
                    "the watchdog cannot be armed: aborting, because nothing else would stop the work: {error}"
                ));
            }
        }
    }

    impl Drop for Watchdog {
        fn drop(&mut self) {
            self.over.store(true, Ordering::SeqCst);
            self.set(1);
        }
    }

    fn watch(name: &str, timer: &OwnedFd, over: &AtomicBool) {
        let mut expirations = [0; 8];
        loop {
            let read = rustix::io::read(timer, &mut expirations);
            if over.load(Ordering::SeqCst) {
                return;
            }
            match read {
                Ok(_) => abort(format!(
                    "the work for lease {name} has not stopped at its deadline: aborting"
                )),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => abort(format!(
                    "the watchdog of lease {name} cannot wait: aborting: {error}"
                )),
            }
        }
    }

    /// Invariant: S1. Ends the process, whether or not its log can be written.
    fn abort(why: String) -> ! {
        let (said, heard) = mpsc::channel();
        let speaker = std::thread::Builder::new().spawn(move || {
            tracing::error!("{why}");
            let _ = said.send(());
        });
        if speaker.is_ok() {
            // In time or not.
            let _ = heard.recv_timeout(LAST_WORDS);
        }
        std::process::abort()
    }
}

#[cfg(not(target_os = "linux"))]
mod thread {
    use election_core::Mono;

    use crate::clock::SharedClock;

    /// Without `CLOCK_BOOTTIME` timers the runtime alone stops the work.
    #[derive(Debug)]
    pub(crate) struct Watchdog;

    impl Watchdog {
        pub(crate) fn start(_name: String, _clock: SharedClock) -> std::io::Result<Self> {
            Ok(Self)
        }

        pub(crate) fn arm(&self, _at: Mono) {}

        pub(crate) fn disarm(&self) {}
    }
}

/// The watchdog of one candidate, if it has one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guardian {
    watchdog: Option<Arc<thread::Watchdog>>,
}

impl Guardian {
    pub(crate) fn new(overrun: Overrun, lease: String, clock: &SharedClock) -> std::io::Result<Self> {
        Ok(match overrun {
            Overrun::Abort => Self {
                watchdog: Some(Arc::new(thread::Watchdog::start(lease, clock.clone())?)),
            },
            Overrun::Report => Self { watchdog: None },
        })
    }

    /// Guards a term until the last clone of what this returns is dropped: the election task has one, and so has the
    /// work. If that task is gone, its runtime with it, the work may still run, or may have stopped in time.
    pub(crate) fn guard(&self, at: Mono) -> Arc<Armed> {
        let armed = Armed(self.clone());
        armed.until(at);
        Arc::new(armed)
    }
}

/// A watchdog that waits.
#[derive(Debug)]
pub(crate) struct Armed(Guardian);

impl Armed {
    /// Moves the moment.
    pub(crate) fn until(&self, at: Mono) {
        if let Some(watchdog) = &self.0.watchdog {
            watchdog.arm(at);
        }
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        if let Some(watchdog) = &self.0.watchdog {
            watchdog.disarm();
        }
    }
}
