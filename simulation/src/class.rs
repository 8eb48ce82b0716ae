//! What can go wrong, or merely happen, in a simulated cluster: one class for each kind, and how often it did.

use std::fmt;

use clap::ValueEnum;

/// A kind of trouble. Each is counted when it takes effect, not when it is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Class {
    /// Requests and answers take long.
    Latency,
    /// A request never reaches the server; the client waits, or sees a broken connection.
    LostRequest,
    /// The server carries a request out, and the answer is lost.
    LostAnswer,
    /// Writes are answered with 409, some of them although they were carried out.
    Conflicts,
    /// Answers 429 with Retry-After.
    TooManyRequests,
    /// Answers 500: not carried out, carried out, or carried out later.
    InternalError,
    /// Answers 503.
    Unavailable,
    /// Open watches end.
    WatchCut,
    /// Watches tell late.
    WatchLag,
    /// The revision to go on from is forgotten: 410 Gone.
    Gone,
    /// Watches tell an event twice.
    DuplicateEvent,
    /// Watches send bookmarks and hold back everything else.
    BookmarkOnly,
    /// The API server is away for all.
    Outage,
    /// One process cannot reach the API server, nor it the process.
    Partition,
    /// The server takes long before it carries a request out.
    SlowServer,
    /// A process is stopped for a while; its clock goes on.
    Pause,
    /// A process crashes and starts again: same identity, new incarnation.
    CrashRestart,
    /// The wall clock of a machine is wrong.
    WallOffset,
    /// The clock of a machine runs up to ten per cent fast or slow.
    ClockRate,
    /// The wall clock of a machine stands still.
    FrozenWall,
    /// The wall clock of a machine jumps.
    SteppedWall,
    /// Somebody deletes a leader lease.
    DeletedLeader,
    /// Somebody deletes an identity lease.
    DeletedIdentity,
    /// Somebody edits what is written on a lease.
    Corrupted,
    /// More than a hundred candidates, now and then up to three hundred.
    Crowd,
    /// A candidate crashes at a write, before or after it lands.
    CandidateCrash,
    /// The elector crashes when it creates a lease, before or after that lands.
    CrashAtCreate,
    /// The elector crashes when it offers a lease.
    CrashAtOffer,
    /// The elector crashes when it withdraws an offer.
    CrashAtWithdrawal,
    /// The elector crashes when it nominates a successor.
    CrashAtNomination,
    /// The elector crashes when it clears a nomination.
    CrashAtClearing,
    /// The elector crashes when it collects a dead candidate.
    CrashAtCollection,
    /// Elections in several namespaces.
    Namespaces,
    /// A program is replaced by another version of it, or says that it is one.
    VersionChange,
    /// The work of a process is stuck, and says so.
    StuckWork,
    /// One more elector, which acts as well or stands by.
    TwoElectors,
    /// A second process with the identity of another.
    TwoProcesses,
    /// A candidate joins late.
    Joins,
    /// A candidate leaves in order.
    Leaves,
    /// The electors take turns: one acts, the others stand by until it is silent.
    Turns,
    /// An election without an elector: candidates in direct mode take a lease by themselves.
    Direct,
    /// Somebody asks something of an election: a hold, a pin, a step-down.
    Steered,
}

impl Class {
    /// All of them.
    #[must_use]
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// Whether it only happens to what other classes bring about: of an election that nothing else befalls, no elector has anything
    /// to withdraw, to improve or to clear.
    #[must_use]
    pub const fn needs_others(self) -> bool {
        matches!(
            self,
            Self::CrashAtWithdrawal | Self::CrashAtNomination | Self::CrashAtClearing
        )
    }

    const COUNT: usize = Self::Steered as usize + 1;
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_possible_value() {
            Some(value) => f.write_str(value.get_name()),
            None => fmt::Debug::fmt(self, f),
        }
    }
}

/// A number for each class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerClass<T>([T; Class::COUNT]);

impl<T: Copy + Default> Default for PerClass<T> {
    fn default() -> Self {
        Self([T::default(); Class::COUNT])
    }
}

impl<T: Copy> PerClass<T> {
    /// The number of a class.
    #[must_use]
    pub const fn get(&self, class: Class) -> T {
        self.0[class as usize]
    }

    pub(crate) const fn set(&mut self, class: Class, value: T) {
        self.0[class as usize] = value;
    }
}

/// How often each class took effect.
pub type Counts = PerClass<u64>;

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, more) in self.0.iter_mut().zip(other.0) {
            *mine += more;
        }
    }

    pub(crate) const fn count(&mut self, class: Class) {
        self.0[class as usize] += 1;
    }
}
