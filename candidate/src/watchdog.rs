//! Ends the process when its work has not stopped at the moment when it had to.
//!
//! A future can be dropped only by a runtime that runs. Work that blocks its thread would go on acting beyond the
//! deadline, so a thread of its own waits for that moment on `CLOCK_BOOTTIME` and aborts the process.

use election_core::Mono;

/// What happens to work that still runs at its deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overrun {
    /// The process aborts, so that no two leaders act.
    #[default]
    Abort,
    /// An error is logged. Invariant S1 is then the caller's: something else must stop the work, as the keeper of
    /// `candidate run` does.
    Report,
}

#[cfg(target_os = "linux")]
mod thread {
    #![expect(clippy::disallowed_methods, reason = "the one thread of this crate")]

    use std::os::fd::OwnedFd;
    use std::sync::Arc;

    use election_core::Mono;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };

    /// A thread that aborts the process at the moment it is armed for.
    #[derive(Debug)]
    pub(crate) struct Watchdog {
        timer: Arc<OwnedFd>,
    }

    impl Watchdog {
        /// Starts the thread; it ends with the process.
        pub(crate) fn start(name: String) -> std::io::Result<Self> {
            let timer = Arc::new(timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC)?);
            let waits = timer.clone();
            std::thread::spawn(move || {
                let mut expirations = [0; 8];
                loop {
                    match rustix::io::read(&*waits, &mut expirations) {
                        Ok(_) => {
                            tracing::error!(
                                lease = name,
                                "the work has not stopped at its deadline: aborting"
                            );
                            std::process::abort();
                        }
                        Err(rustix::io::Errno::INTR) => {}
                        Err(error) => {
                            tracing::error!(lease = name, %error, "the watchdog cannot wait: aborting");
                            std::process::abort();
                        }
                    }
                }
            });
            Ok(Self { timer })
        }

        /// Moves the moment; `None` disarms.
        pub(crate) fn arm(&self, at: Option<Mono>) {
            let nanos = at.map_or(0, |at| at.as_nanos().max(1));
            let value = Timespec {
                tv_sec: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
                tv_nsec: (nanos % 1_000_000_000).try_into().unwrap_or_default(),
            };
            let zero = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            let spec = Itimerspec {
                it_interval: zero,
                it_value: value,
            };
            if let Err(error) = timerfd_settime(&*self.timer, TimerfdTimerFlags::ABSTIME, &spec) {
                tracing::error!(%error, "the watchdog cannot be armed: aborting, because nothing else would stop the work");
                std::process::abort();
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod thread {
    use election_core::Mono;

    /// Without `CLOCK_BOOTTIME` timers the runtime alone stops the work.
    #[derive(Debug)]
    pub(crate) struct Watchdog;

    impl Watchdog {
        pub(crate) fn start(_name: String) -> std::io::Result<Self> {
            Ok(Self)
        }

        pub(crate) fn arm(&self, _at: Option<Mono>) {}
    }
}

/// The watchdog of one candidate, if it has one.
#[derive(Debug, Default)]
pub(crate) struct Guardian {
    watchdog: Option<thread::Watchdog>,
}

impl Guardian {
    pub(crate) fn new(overrun: Overrun, lease: String) -> std::io::Result<Self> {
        Ok(match overrun {
            Overrun::Abort => Self {
                watchdog: Some(thread::Watchdog::start(lease)?),
            },
            Overrun::Report => Self { watchdog: None },
        })
    }

    pub(crate) fn arm(&self, at: Mono) {
        if let Some(watchdog) = &self.watchdog {
            watchdog.arm(Some(at));
        }
    }

    pub(crate) fn disarm(&self) {
        if let Some(watchdog) = &self.watchdog {
            watchdog.arm(None);
        }
    }
}
