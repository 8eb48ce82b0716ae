//! What was seen at least once, so that no property is vacuous.
//!
//! Counted beside the states and not in them: a state that remembers more is another state.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! sights {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        /// Something that a configuration is there to show.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Sight {
            $($(#[$doc])* $name),*
        }

        impl Sight {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// What it is called in a report.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

sights! {
    /// An elector's offer landed.
    Offered = "an offer",
    /// An acceptance landed.
    Accepted = "an acceptance",
    /// A term began.
    Led = "a term",
    /// A term began by a watch or a read, after the answer to its acceptance was lost.
    AdoptedLate = "a late acceptance adopted",
    /// A renewal landed.
    Renewed = "a renewal",
    /// A nomination landed.
    Nominated = "a nomination",
    /// An elector cleared a nomination.
    Withdrawn = "a nomination withdrawn",
    /// A nominee asked the holder to give way.
    EndOfTerm = "an end of term",
    /// A holder handed over.
    HandedOver = "a handover",
    /// A holder released.
    Released = "a release",
    /// A candidate declined.
    Declined = "a decline",
    /// A holder spoke on a Fresh lease after a deletion.
    ReleasedFresh = "a release on a Fresh lease",
    /// A create landed.
    Created = "a create",
    /// A create landed after its sender had given it up.
    CreatedLate = "a create that landed late",
    /// An update landed after its sender had given it up.
    LandedLate = "an update that landed late",
    /// An elector offered because the holder had expired.
    Expired = "an expiry",
    /// An elector withdrew an offer that was not accepted.
    OfferWithdrawn = "an offer withdrawn",
    /// An elector waited for the quiet time.
    Quiet = "a quiet time",
    /// A preemption was backed off.
    BackedOff = "a back-off",
    /// A write met a conflict.
    Conflict = "a conflict",
    /// An elector listed again.
    Relisted = "a relist",
    /// A process found itself ousted.
    Ousted = "a process ousted",
    /// A term ended because nothing could be renewed.
    LostContact = "contact lost",
    /// A term ended because the lease was deleted.
    LeaseDeleted = "a lease deleted under its leader",
    /// Work was killed at its deadline.
    Killed = "work killed",
    /// A dead candidate was collected.
    Collected = "a dead candidate collected",
    /// Two electors wrote from the same version, so that only one of their writes can land.
    Raced = "two electors in a race",
    /// A process ended by itself.
    Finished = "a process that ended",
    /// An elector nominated somebody because a person asked for it.
    Asked = "a nomination that somebody asked for",
    /// Preemption was on hold.
    OnHold = "a hold",
    /// A holder that was asked to step down handed over to a worse one, because that one was named.
    SteppedDownTo = "a handover to a worse one that a step-down named",
    /// An elector was shown a hold that cannot be read.
    UnreadableHold = "a hold that cannot be read",
    /// An elector was shown a step-down that cannot be read.
    UnreadableStepDown = "a step-down that cannot be read",
    /// A leader acted on until the very end of its lease by the elector's clock.
    LastMoment = "an offer at the moment at which the old leader stopped",
    /// So long after the last trouble that everything has to be in order again.
    Recovered = "a system that had its time to recover",
    /// An elector found an identity lease that cannot count.
    Refused = "a candidate refused",
}

/// How often each was seen.
#[derive(Debug)]
pub(crate) struct Seen([AtomicU64; Sight::ALL.len()]);

impl Default for Seen {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; Sight::ALL.len()])
    }
}

impl Seen {
    pub(crate) fn count(&self, sight: Sight) {
        self.0[sight as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn times(&self, sight: usize) -> u64 {
        self.0[sight].load(Ordering::Relaxed)
    }
}
