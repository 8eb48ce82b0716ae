//! What a configuration is: who takes part, what may go wrong how often, and for how long time runs.
//!
//! The configurations themselves are in `configs`.

use std::fmt;

use election_core::Timing;
use election_core::elector::Rules;

use crate::clock::{Rate, seconds};
use crate::seen::Sight;

/// A bounded piece of the state space.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is explored.
    pub about: &'static str,
    /// The candidates' processes.
    pub seats: Vec<SeatPlan>,
    /// The clocks of the electors; all of them act.
    pub electors: Vec<Rate>,
    /// Where exploration begins.
    pub opening: Opening,
    /// What may go wrong, and how often.
    pub faults: Vec<(Fault, u8)>,
    /// How many of them in all.
    pub total: u8,
    /// How often something that is ready may overtake what is ready before it; `None` when order is free.
    pub swaps: Option<u8>,
    /// After this true time, in seconds, nothing more goes wrong.
    pub trouble_until: u64,
    /// True time ends here, in seconds; `None` when the states of ever after are those of before.
    pub horizon: Option<u64>,
    /// Besides the moments that somebody waits for, time stops at each multiple of this many milliseconds.
    pub grid: Option<u64>,
    /// The knobs of the candidates.
    pub timing: Timing,
    /// What the electors go by.
    pub rules: Rules,
    /// How long after the last trouble somebody leads, in seconds (L1); `None` when nobody may be able to.
    pub recovery: Option<u64>,
    /// Whether the best live candidate leads by then (L2), and the electors have become silent (L3).
    pub settles: bool,
    /// How long after the last trouble the identity leases of the dead are gone, in seconds (L4).
    pub burial: Option<u64>,
    /// After so many generated states exploration ends, because nobody could wait for all of them; `None` when every state is
    /// visited.
    pub limit: Option<usize>,
    /// What must have been seen, or the exploration would prove nothing.
    pub sights: Vec<Sight>,
}

/// A process of a candidate.
#[derive(Clone, Copy, Debug)]
pub struct SeatPlan {
    /// Its identity. Two seats may have the same one.
    pub identity: &'static str,
    /// Its binary and emulation version.
    pub version: &'static str,
    /// The version that a later start may bring.
    pub other_version: &'static str,
    /// How fast its clock runs.
    pub rate: Rate,
    /// Whether its versions can be read as they stand in its identity lease.
    pub readable: bool,
    /// Whether it runs from the beginning.
    pub runs: bool,
}

/// Where exploration begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Nothing exists, and everybody starts at once.
    Cold,
    /// The electors have run for longer than any quiet time, and the first candidates start.
    Idle,
    /// The first seat leads and all is quiet; those that do not run yet have not started.
    Led,
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Something that goes wrong, or that somebody does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Fault {
            $($(#[$doc])* $name),*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

faults! {
    /// A connection breaks: the sender knows at once that its request failed, and the request may still land, at any time.
    Break,
    /// A request or an answer is late, or never arrives.
    Slow,
    /// A layer below sends a request twice; the sender gets the second answer.
    Duplicate,
    /// A watch lags behind without anybody knowing.
    Lag,
    /// A watch breaks; it is resumed, or listed again and has not seen what happened.
    Gap,
    /// A candidate's process dies.
    Crash,
    /// A process starts: again, with the same identity, or for the first time.
    Start,
    /// A process starts with its other version.
    StartOther,
    /// An elector dies and another one starts in its place.
    ReplaceElector,
    /// A process does not run for a while; its work, which the keeper watches, does.
    Freeze,
    /// A candidate's process is cut off from the server, for a while or for good.
    CutOff,
    /// Somebody deletes the leader lease.
    Delete,
    /// Somebody deletes an identity lease.
    DeleteIdentity,
    /// Somebody removes the holder.
    Blank,
    /// Somebody sets or removes end-of-term.
    EditEndOfTerm,
    /// Somebody writes a nomination, or removes it.
    EditNominee,
    /// Somebody removes the incarnation.
    EditIncarnation,
    /// Somebody touches the lease without changing who leads: it is no life.
    Touch,
    /// Somebody asks something of the election, or asks for it in words that nobody can read.
    Steer,
    /// The work does not stop when it is told to, and is killed.
    Stubborn,
    /// The work stops and leaves a request without an answer.
    Abandon,
    /// A process is told to end.
    Shutdown,
    /// The work loop of a process is stuck.
    Stuck,
    /// The API server answers nobody for as long as the candidates' knobs tolerate.
    Outage,
}

impl Fault {
    pub(crate) const COUNT: usize = Self::ALL.len();
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Config {
    /// The same with so much more trouble: each fault may happen so many times more, as may all of them together, and what
    /// is ready may be overtaken so often more.
    #[must_use]
    pub fn with_more(mut self, more: u8) -> Self {
        for (_, times) in &mut self.faults {
            *times += more;
        }
        self.total += more;
        self.swaps = self.swaps.map(|swaps| swaps + more);
        self
    }

    /// What must have been seen. Where there is a bound after trouble, that includes that it was ever reached.
    pub(crate) fn must_see(&self) -> Vec<Sight> {
        let mut sights = self.sights.clone();
        sights.extend(self.recovery.or(self.burial).map(|_| Sight::Recovered));
        sights
    }

    /// What of true time decides the future: how much is left of it, and of the trouble.
    pub(crate) fn counted_time(&self, now: u64) -> u64 {
        match self.horizon {
            Some(_) => now,
            None => now.min(seconds(self.trouble_until) + 1),
        }
    }

    /// What of the time since the last trouble decides the future: how much is left until something is due.
    pub(crate) fn counted_calm(&self, calm: u64) -> u64 {
        let longest = self
            .recovery
            .max(self.burial)
            .map_or(0, |bound| seconds(bound) + 1);
        calm.min(longest)
    }
}

/// What [`Fault::Steer`] may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// What was asked for is taken back.
    Nothing,
    Hold,
    ShortHold,
    /// A hold that cannot be read.
    UnreadableHold,
    StepDown,
    /// A step-down that cannot be read, in favour of the identity that is named last.
    UnreadableStepDown,
    /// Whoever is named has no process: a pin, and who comes first after a step-down. Any text is an identity, so no value of
    /// these two can be unreadable.
    Nobody,
    Pin(&'static str),
    StepDownTo(&'static str),
}

impl Config {
    /// The wishes; [`Fault::Steer`] names one by its number.
    pub(crate) fn wishes(&self) -> Vec<Wish> {
        let mut wishes = vec![
            Wish::Nothing,
            Wish::Hold,
            Wish::ShortHold,
            Wish::UnreadableHold,
            Wish::StepDown,
            Wish::UnreadableStepDown,
            Wish::Nobody,
        ];
        let identities = self.identities();
        wishes.extend(identities.iter().copied().map(Wish::Pin));
        wishes.extend(identities.into_iter().map(Wish::StepDownTo));
        wishes
    }
}
