//! Why a step decided what it did, as data, and as a sentence for a person on call.

use alloc::string::String;
use core::fmt;
use core::time::Duration;

use super::standing::{Seconds, Standing};
use crate::lease::LeaseState;
use crate::names::Identity;
use crate::strategy::Versions;

/// Why a step decided what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The watch is not connected, or has not listed yet.
    NotSynced,
    /// A request about this lease has no answer yet.
    RequestOpen,
    /// The lease was created; the watch has not shown it yet.
    CreateNotSeen,
    /// The last request failed.
    RequestFailed {
        /// How it failed.
        why: String,
        /// Until the next one.
        left: Duration,
    },
    /// The key belongs to an identity lease, which is never a leader lease.
    KeyOfIdentityLease,
    /// Nobody offers itself.
    NoCandidates,
    /// Some offer themselves, but none lives or has readable versions.
    NoElectableCandidate {
        /// How many offer themselves.
        candidates: usize,
    },
    /// A missing or Fresh lease waits for more candidates.
    Settling {
        /// How much of the window is left.
        left: Duration,
    },
    /// Somebody whom this elector has not seen, or has seen last, may still act.
    QuietTime {
        /// The state of the lease; `None` when it is missing.
        state: Option<LeaseState>,
        /// How long that may last.
        left: Duration,
    },
    /// The lease does not exist.
    Missing {
        /// How many could lead.
        electable: usize,
    },
    /// Nobody holds the lease.
    Vacant {
        /// In which way.
        state: LeaseState,
        /// The best of the candidates.
        best: Identity,
        /// Its versions.
        versions: Option<Versions>,
        /// Of how many.
        electable: usize,
    },
    /// The holder gave no sign of life.
    Expired {
        /// The holder.
        holder: Identity,
        /// For how long.
        silent: Duration,
        /// The best of the candidates.
        best: Identity,
    },
    /// The best candidate gave its offer back, or lost it; it is not offered the lease again at once.
    OfferedBefore {
        /// The candidate.
        candidate: Identity,
        /// How often it was offered the lease in this vacancy.
        offers: u32,
        /// Until the next offer.
        left: Duration,
    },
    /// The candidate that has the offer has time to accept.
    AcceptWindow {
        /// The candidate.
        candidate: Identity,
        /// How often it was offered the lease in this vacancy.
        offers: u32,
        /// How much of the window is left.
        left: Duration,
    },
    /// The candidate that has the offer did not accept in time.
    NotAccepted {
        /// The candidate.
        candidate: Identity,
        /// Who gets the offer.
        best: Identity,
    },
    /// The candidate that has the offer did not accept in time, and nobody else should have it.
    StillBest {
        /// The candidate.
        candidate: Identity,
        /// How often it was offered the lease in this vacancy.
        offers: u32,
    },
    /// The one that has the offer is no candidate any more.
    OffereeGone {
        /// Who had it.
        candidate: Identity,
        /// Who gets it.
        best: Identity,
    },
    /// A hand-written candidate keeps its offer: nobody better is there.
    HandWrittenOffer {
        /// The candidate.
        candidate: Identity,
    },
    /// An ordinary client holds the lease.
    OrdinaryHolder {
        /// The holder.
        holder: Identity,
        /// Until it expires, unless it renews.
        left: Duration,
    },
    /// Nobody who lives is strictly better than the holder.
    HolderIsBest {
        /// The holder.
        holder: Identity,
    },
    /// Somebody who lives is strictly better than the holder.
    Better {
        /// The holder.
        holder: Identity,
        /// Its versions; `None` when its identity lease is gone or cannot be read, which is worse than any.
        of_holder: Option<Versions>,
        /// The better one.
        successor: Identity,
        /// Its versions.
        of_successor: Option<Versions>,
    },
    /// The nomination stands, and the nominee has time to answer it.
    Nominated {
        /// The holder.
        holder: Identity,
        /// The nominee.
        nominee: Identity,
    },
    /// The holder was asked to give way and has not yet.
    EndOfTerm {
        /// The holder.
        holder: Identity,
        /// Its successor.
        nominee: Option<Identity>,
    },
    /// Another nomination was made just now.
    NominationWindow {
        /// Who would be nominated.
        candidate: Identity,
        /// How much of the window is left.
        left: Duration,
    },
    /// The nominee should not lead instead of the holder any more.
    NomineeUnfit {
        /// The nominee.
        nominee: Identity,
        /// Where it stands; `None` when it is no candidate any more.
        standing: Option<Standing>,
    },
    /// Somebody asked for another leader, by a control of the lease.
    Asked {
        /// Whether the holder was asked to step down; otherwise the successor is pinned, or was asked for.
        stepping_down: bool,
        /// The holder.
        holder: Identity,
        /// Who is to lead.
        successor: Identity,
    },
    /// The holder was asked to step down, and nobody else can lead.
    NoSuccessor {
        /// The holder.
        holder: Identity,
    },
    /// Somebody put preemption on hold.
    OnHold {
        /// Who would be nominated.
        candidate: Identity,
        /// For how long; `None` until the hold is released.
        left: Option<Duration>,
    },
    /// Preemptions of this lease have failed, so there is none for a while.
    BackedOff {
        /// Who would be nominated.
        candidate: Identity,
        /// How many preemptions failed in a row.
        failures: u32,
        /// For how long.
        left: Duration,
    },
}

impl Reason {
    /// A word for machines, in the form of an Event's reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotSynced => "NotSynced",
            Self::RequestOpen => "RequestOpen",
            Self::CreateNotSeen => "CreateNotSeen",
            Self::RequestFailed { .. } => "RequestFailed",
            Self::KeyOfIdentityLease => "KeyOfIdentityLease",
            Self::NoCandidates => "NoCandidates",
            Self::NoElectableCandidate { .. } => "NoElectableCandidate",
            Self::Settling { .. } => "Settling",
            Self::QuietTime { .. } => "QuietTime",
            Self::Missing { .. } => "Missing",
            Self::Vacant { .. } => "Vacant",
            Self::Expired { .. } => "Expired",
            Self::OfferedBefore { .. } => "OfferedBefore",
            Self::AcceptWindow { .. } => "AcceptWindow",
            Self::NotAccepted { .. } => "NotAccepted",
            Self::StillBest { .. } => "StillBest",
            Self::OffereeGone { .. } => "OffereeGone",
            Self::HandWrittenOffer { .. } => "HandWrittenOffer",
            Self::OrdinaryHolder { .. } => "OrdinaryHolder",
            Self::HolderIsBest { .. } => "HolderIsBest",
            Self::Better { .. } => "Better",
            Self::Nominated { .. } => "Nominated",
            Self::EndOfTerm { .. } => "EndOfTerm",
            Self::NominationWindow { .. } => "NominationWindow",
            Self::NomineeUnfit { .. } => "NomineeUnfit",
            Self::Asked { .. } => "Asked",
            Self::NoSuccessor { .. } => "NoSuccessor",
            Self::OnHold { .. } => "OnHold",
            Self::BackedOff { .. } => "BackedOff",
        }
    }

    /// Whom it is about, if it is about one.
    #[must_use]
    pub const fn subject(&self) -> Option<&Identity> {
        match self {
            Self::Vacant { best: identity, .. }
            | Self::Expired { holder: identity, .. }
            | Self::OfferedBefore {
                candidate: identity, ..
            }
            | Self::AcceptWindow {
                candidate: identity, ..
            }
            | Self::NotAccepted {
                candidate: identity, ..
            }
            | Self::StillBest {
                candidate: identity, ..
            }
            | Self::OffereeGone {
                candidate: identity, ..
            }
            | Self::HandWrittenOffer { candidate: identity }
            | Self::OrdinaryHolder { holder: identity, .. }
            | Self::HolderIsBest { holder: identity }
            | Self::Better {
                successor: identity, ..
            }
            | Self::Nominated {
                nominee: identity, ..
            }
            | Self::EndOfTerm { holder: identity, .. }
            | Self::NominationWindow {
                candidate: identity, ..
            }
            | Self::NomineeUnfit {
                nominee: identity, ..
            }
            | Self::Asked {
                successor: identity, ..
            }
            | Self::NoSuccessor { holder: identity }
            | Self::OnHold {
                candidate: identity, ..
            }
            | Self::BackedOff {
                candidate: identity, ..
            } => Some(identity),
            _ => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSynced => f.write_str("the watch is not connected, so nothing is judged"),
            Self::RequestOpen => f.write_str("a request about this lease has no answer yet"),
            Self::CreateNotSeen => f.write_str("the lease was created, and the watch has not shown it yet"),
            Self::RequestFailed { why, left } => {
                write!(
                    f,
                    "the last request failed ({why}); the next one follows in {}",
                    Seconds(*left)
                )
            }
            Self::KeyOfIdentityLease => {
                f.write_str("a lease of this name offers itself for others, so it is never a leader lease")
            }
            Self::NoCandidates => f.write_str("nobody offers itself for this lease"),
            Self::NoElectableCandidate { candidates } => write!(
                f,
                "none of {} can be elected: each is silent or refused",
                Several(*candidates, "candidate")
            ),
            Self::Settling { left } => write!(f, "waiting {} for more candidates", Seconds(*left)),
            Self::QuietTime { state, left } => {
                match state {
                    Some(state) => write!(f, "the lease is {state}")?,
                    None => f.write_str("the lease is missing")?,
                }
                write!(
                    f,
                    ", and a leader from before may act for another {}",
                    Seconds(*left)
                )
            }
            Self::Missing { electable } => write!(
                f,
                "the lease does not exist, and {} could lead",
                Several(*electable, "candidate")
            ),
            Self::Vacant {
                state,
                best,
                versions,
                electable,
            } => {
                let several = Several(*electable, "electable candidate");
                write!(f, "the lease is {state}, and {best} is the best of {several}")?;
                in_brackets(f, versions.as_ref())
            }
            Self::Expired { holder, silent, best } => write!(
                f,
                "{holder} held the lease and was silent for {}; {best} is the best candidate",
                Seconds(*silent)
            ),
            Self::OfferedBefore {
                candidate,
                offers,
                left,
            } => write!(
                f,
                "{candidate} did not take {} in this vacancy; the next one follows in {}",
                Several(*offers as usize, "offer"),
                Seconds(*left)
            ),
            Self::AcceptWindow {
                candidate,
                offers,
                left,
            } => write!(
                f,
                "{candidate} has {} left to accept its offer, the {} in this vacancy",
                Seconds(*left),
                Ordinal(*offers)
            ),
            Self::NotAccepted { candidate, best } => {
                write!(
                    f,
                    "{candidate} did not accept in time, so the offer goes to {best}"
                )
            }
            Self::StillBest { candidate, offers } => write!(
                f,
                "{candidate} did not accept {} in time, and nobody else should have the next one",
                Several(*offers as usize, "offer")
            ),
            Self::OffereeGone { candidate, best } => {
                write!(
                    f,
                    "{candidate} has the offer but is no candidate any more, so it goes to {best}"
                )
            }
            Self::HandWrittenOffer { candidate } => {
                write!(
                    f,
                    "the offer stays with {candidate}, which is hand-written, until a process or a better one comes"
                )
            }
            Self::OrdinaryHolder { holder, left } => write!(
                f,
                "{holder} holds the lease as an ordinary client; it is left alone unless it is silent for another {}",
                Seconds(*left)
            ),
            Self::HolderIsBest { holder } => write!(
                f,
                "no live candidate is strictly better than {holder}, which holds the lease"
            ),
            Self::Better {
                holder,
                of_holder,
                successor,
                of_successor,
            } => {
                write!(f, "{successor}")?;
                in_brackets(f, of_successor.as_ref())?;
                write!(f, " is strictly better than the holder {holder}")?;
                match of_holder {
                    Some(_) => in_brackets(f, of_holder.as_ref()),
                    None => f.write_str(", which offers itself no more"),
                }
            }
            Self::Nominated { holder, nominee } => {
                write!(
                    f,
                    "{nominee} is nominated to succeed {holder} and has yet to ask for the end of its term"
                )
            }
            Self::EndOfTerm { holder, nominee } => match nominee {
                Some(nominee) => write!(f, "{holder} was asked to give way to {nominee} and is stopping"),
                None => write!(f, "{holder} was asked to give way and is stopping"),
            },
            Self::NominationWindow { candidate, left } => {
                write!(
                    f,
                    "{candidate} may be nominated in {}: the nomination changed just now",
                    Seconds(*left)
                )
            }
            Self::NomineeUnfit { nominee, standing } => match standing {
                Some(standing) => write!(f, "{nominee} is nominated but should not lead: {standing}"),
                None => write!(f, "{nominee} is nominated but is no candidate any more"),
            },
            Self::Asked {
                stepping_down: true,
                holder,
                successor,
            } => write!(f, "{holder} was asked to step down, so {successor} is to lead"),
            Self::Asked {
                holder, successor, ..
            } => {
                write!(f, "somebody asked for {successor} to lead instead of {holder}")
            }
            Self::NoSuccessor { holder } => {
                write!(f, "{holder} was asked to step down, but nobody else can lead")
            }
            Self::OnHold { candidate, left } => {
                write!(
                    f,
                    "{candidate} is better than the holder, but preemption is on hold "
                )?;
                match left {
                    Some(left) => write!(f, "for another {}", Seconds(*left)),
                    None => f.write_str("until somebody releases the hold"),
                }
            }
            Self::BackedOff {
                candidate,
                failures,
                left,
            } => write!(
                f,
                "{candidate} is better than the holder, but {} failed: none for another {}",
                Several(*failures as usize, "preemption"),
                Seconds(*left)
            ),
        }
    }
}

fn in_brackets(f: &mut fmt::Formatter<'_>, versions: Option<&Versions>) -> fmt::Result {
    match versions {
        Some(versions) => write!(f, " ({versions})"),
        None => Ok(()),
    }
}

/// 1 offer, 2 offers.
struct Several(usize, &'static str);

impl fmt::Display for Several {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}

/// 1st, 2nd, 3rd, 4th.
struct Ordinal(u32);

impl fmt::Display for Ordinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = match (self.0 % 100, self.0 % 10) {
            (11..=13, _) => "th",
            (_, 1) => "st",
            (_, 2) => "nd",
            (_, 3) => "rd",
            _ => "th",
        };
        write!(f, "{}{suffix}", self.0)
    }
}
