//! The handle of a program under a keeper: what the election client calls. The work is done by the guard, in its own
//! thread.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, getpid, kill_process_group, set_child_subreaper};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

use super::guard::{self, Wake};
use super::{Exit, ProgramSpec, RunError, keeper};

/// A program that runs under a keeper, until its deadline at the latest.
///
/// Dropping it kills the work; only [`Supervised::stop`] and [`Supervised::exited`] tell when the work has stopped.
#[derive(Debug)]
pub struct Supervised {
    shared: Arc<Shared>,
    group: i32,
    exit: watch::Receiver<Option<Exit>>,
}

/// What the handle wants; the guard looks at it whenever it is woken.
#[derive(Debug)]
pub(super) struct Shared {
    wanted: Mutex<Wanted>,
    wake: Wake,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// Nanoseconds of `CLOCK_BOOTTIME`.
    pub(super) deadline: u64,
    /// The program was told to stop, and is killed then.
    pub(super) kill_at: Option<u64>,
    /// Nobody waits for the program any more.
    pub(super) abandoned: bool,
    /// The program's process group, for as long as its id is not a stranger's.
    pub(super) group: Option<Pid>,
}

impl Shared {
    pub(super) fn wanted(&self) -> Wanted {
        *self.lock()
    }

    /// Changes what is wanted, and wakes the guard.
    pub(super) fn want(&self, change: impl FnOnce(&mut Wanted)) {
        change(&mut self.lock());
        self.wake.wake();
    }

    pub(super) fn wake(&self) -> &Wake {
        &self.wake
    }

    fn lock(&self) -> MutexGuard<'_, Wanted> {
        // Every change is a single assignment: there is no half of one to be afraid of.
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Supervised {
    /// Starts the keeper, and under it the program, which is killed at `deadline` (nanoseconds of `CLOCK_BOOTTIME`).
    ///
    /// Returns when the program runs, or with the reason why it does not; then nothing of it is left. Makes this
    /// process the reaper of its orphaned descendants.
    pub async fn start(spec: &ProgramSpec, deadline: u64) -> Result<Self, RunError> {
        Self::start_with(Path::new(keeper::THIS_BINARY), spec, deadline).await
    }

    /// As [`Supervised::start`], but with `binary` as the keeper: for processes whose own `main` does not call
    /// [`hidden_subcommand`](super::hidden_subcommand), tests above all.
    pub async fn start_with(binary: &Path, spec: &ProgramSpec, deadline: u64) -> Result<Self, RunError> {
        let keeper_error = |source| RunError::Keeper {
            program: spec.program.clone(),
            source,
        };
        // If SIGCHLD was inherited as ignored, the kernel would throw the program's exit status away.
        drop(signal(SignalKind::child()).map_err(keeper_error)?);
        set_child_subreaper(Some(getpid())).map_err(|errno| keeper_error(errno.into()))?;

        let wanted = Wanted {
            deadline,
            kill_at: None,
            abandoned: false,
            group: None,
        };
        let wake = Wake::new().map_err(keeper_error)?;
        let shared = Arc::new(Shared {
            wanted: Mutex::new(wanted),
            wake,
        });
        let (started, has_started) = oneshot::channel();
        let (ended, exit) = watch::channel(None);
        // Made before the first await: if this future is dropped there, so is the program.
        let mut supervised = Self {
            shared: Arc::clone(&shared),
            group: 0,
            exit,
        };
        let (binary, spec_of_guard) = (binary.to_owned(), spec.clone());
        // A thread, because the deadline must hold when the runtime is busy, and because the death signal of a child
        // comes with the end of the thread that made it.
        thread::Builder::new()
            .name("keeper-guard".to_owned())
            .spawn(move || guard::main(&binary, spec_of_guard, &shared, started, &ended))
            .map_err(keeper_error)?;
        let lost = || RunError::KeeperLost {
            program: spec.program.clone(),
        };
        supervised.group = has_started.await.unwrap_or_else(|_| Err(lost()))?.as_raw_pid();
        Ok(supervised)
    }

    /// Moves the deadline: a renewal. Never waits; a keeper that is stopped hears the newest one when it goes on.
    pub fn extend(&mut self, deadline: u64) {
        self.shared.want(|wanted| wanted.deadline = deadline);
    }

    /// Passes a signal on to the program's process group; nothing happens if it has ended.
    pub fn signal(&self, signal: Signal) {
        let wanted = self.shared.lock();
        if let Some(group) = wanted.group {
            // The group may be empty, which is how signals to ended programs end.
            let _ = kill_process_group(group, signal);
        }
    }

    /// Sends SIGTERM to the process group; what is left of the work at `kill_at`, or at the deadline, is killed.
    ///
    /// [`Supervised::extend`] still moves the deadline. Called again, it only moves `kill_at`.
    pub fn terminate(&mut self, kill_at: u64) {
        let told = self.shared.wanted().kill_at.is_some();
        // First: a program that obeys at once would be seen to have ended by itself, and take its children with it.
        self.shared.want(|wanted| wanted.kill_at = Some(kill_at));
        if !told {
            self.signal(Signal::TERM);
        }
    }

    /// [`Supervised::terminate`], then [`Supervised::exited`].
    pub async fn stop(mut self, kill_at: u64) -> Exit {
        self.terminate(kill_at);
        self.exited().await
    }

    /// How the program ended, as soon as all of its work has stopped. May be cancelled and called again.
    ///
    /// A program that ends by itself takes its children with it: they are killed then, except under
    /// [`Supervised::terminate`], which gives them until `kill_at`.
    pub async fn exited(&mut self) -> Exit {
        match self.exit.wait_for(Option::is_some).await.map(|exit| *exit) {
            Ok(Some(exit)) => exit,
            Ok(None) | Err(_) => guard::without_proof("the guard of the program has failed"),
        }
    }

    /// The program's process group.
    pub fn group(&self) -> i32 {
        self.group
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.shared.want(|wanted| wanted.abandoned = true);
    }
}
