//! The candidate's side of the protocol: a state machine without IO.
//!
//! A shell feeds it [`Event`]s and carries out its [`Effect`]s; [`Candidate::deadline`] says when to call again without
//! an event. The machine never claims a lease: it accepts an offer made to it, renews, hands over, releases, declines,
//! and as nominee asks the holder to give way.
//!
//! ```text
//!            offer, accept succeeded             told to stop                work stopped
//!   Idle ──────────────────────────▶ Running ─────────────▶ Stopping ─────────────────────▶ Parting ──▶ Idle
//!    ▲                                                                 release or hand over    │
//!    └─────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! What is deliberately absent: clocks (each call brings [`Now`]), the work itself, and any trust in the wall clock,
//! which only stamps attempts so that a read can tell which of them landed.
//!
//! In *direct mode* ([`Candidate::direct`]) there is no elector and no identity lease: the machine takes a lease that nobody
//! may hold any more by itself, with client-go's record. `direct.rs` says when; all else is the same.
//!
//! Contract: after each [`Candidate::handle`], call [`Candidate::poll`] until it returns `None`.

mod direct;
mod fingerprint;
mod identity;
mod knowledge;
mod leading;
mod message;
mod pace;
mod requests;
mod term;
#[cfg(test)]
mod tests;

pub use message::{Effect, EndReason, Event, IdentityWrite, Now, Outcome, Request, Seen, Settings, Stopped};
pub use term::Term;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use crate::identity::IdentityLease;
use crate::lease::LeaderLease;
use crate::names::{Incarnation, Revision};
use crate::observed::Sight;
use crate::time::{Mono, Wall};
use direct::Direct;
use identity::Presence;
use knowledge::Knowledge;
use pace::Pace;
use requests::LeaseRequest;
use term::{Attempt, Work};

/// One process that offers itself for one leader lease, or takes one by itself.
#[derive(Clone, Debug)]
pub struct Candidate {
    settings: Settings,
    lease: Knowledge<LeaderLease>,
    own_lease: Knowledge<IdentityLease>,
    presence: Presence,
    /// What a candidate in direct mode knows; `None` in a coordinated election.
    direct: Option<Direct>,
    work: Work,
    /// Accept and renew requests whose outcome may still become known.
    attempts: Vec<Attempt>,
    /// The acquire times of the acceptances of this process that the lease may show: what makes a record its own.
    accepted: Vec<Wall>,
    /// The stamp of the last attempt, so that each has its own.
    last_stamp: Wall,
    lease_request: Option<LeaseRequest>,
    lease_read_wanted: bool,
    /// The version on which the last write met a conflict, while nothing newer is known.
    conflict_base: Option<Revision>,
    /// Whether the read that is wanted was caused by a silent watch.
    silent: bool,
    lease_retry_at: Mono,
    lease_pace: Pace,
    /// Before which no further offer is declined.
    decline_at: Mono,
    heard_at: Mono,
    healthy: bool,
    wanted: bool,
    unwanted_since: Mono,
    leaving: Option<Leaving>,
    ousted: Option<Incarnation>,
    finished: bool,
    next_request: u64,
    random: u64,
    wake: Option<Mono>,
    effects: VecDeque<Effect>,
}

/// A process that is on its way out.
#[derive(Clone, Copy, Debug, Hash)]
struct Leaving {
    /// Until when a successor may be nominated while the work still runs.
    successor_by: Mono,
    /// After which the process ends even if the API server does not answer.
    give_up_at: Option<Mono>,
}

impl Candidate {
    /// A candidate that has not been heard of yet. It first wants to see both leases, as [`Event::Lease`] and
    /// [`Event::Identity`].
    #[must_use]
    pub fn new(settings: Settings, now: Now) -> Self {
        Self {
            random: settings.seed,
            settings,
            lease: Knowledge::default(),
            own_lease: Knowledge::default(),
            presence: Presence::default(),
            direct: None,
            work: Work::Idle,
            attempts: Vec::new(),
            accepted: Vec::new(),
            last_stamp: Wall::default(),
            lease_request: None,
            lease_read_wanted: false,
            conflict_base: None,
            silent: false,
            lease_retry_at: now.mono,
            lease_pace: Pace::default(),
            decline_at: now.mono,
            heard_at: now.mono,
            healthy: true,
            wanted: false,
            unwanted_since: now.mono,
            leaving: None,
            ousted: None,
            finished: false,
            next_request: 0,
            wake: None,
            effects: VecDeque::new(),
        }
    }

    /// A candidate in direct mode, which first wants to see the lease. It has no identity lease, and of the settings it uses
    /// neither versions nor incarnation.
    ///
    /// It waits one lease duration before it takes a lease that is missing at first sight: somebody may have deleted it
    /// under a leader that still acts. With `assume_unheld` it does not, as client-go does not.
    #[must_use]
    pub fn direct(settings: Settings, assume_unheld: bool, now: Now) -> Self {
        Self {
            direct: Some(Direct::new(assume_unheld)),
            ..Self::new(settings, now)
        }
    }

    /// Takes one event in. Early, repeated and outdated events are harmless.
    pub fn handle(&mut self, now: Now, event: Event) {
        if self.finished {
            return;
        }
        match event {
            Event::Lease(seen) => {
                self.heard_at = now.mono;
                self.observe_lease(now, seen, Sight::InOrder);
            }
            Event::LeaseListed(seen) => {
                self.heard_at = now.mono;
                self.observe_lease(now, seen, Sight::AfterGap);
            }
            Event::Identity(seen) => self.observe_identity(now, seen),
            Event::Heard => self.heard_at = now.mono,
            Event::LeaseAnswer { id, outcome } => self.lease_answer(now, id, outcome),
            Event::IdentityAnswer { id, outcome } => self.identity_answer(now, id, outcome),
            Event::Wanted(wanted) => {
                if self.wanted != wanted {
                    self.unwanted_since = now.mono;
                }
                self.wanted = wanted;
            }
            Event::Healthy(healthy) => self.healthy = healthy,
            Event::WorkStopped(stopped) => self.work_stopped(now, stopped),
            Event::Shutdown => self.begin_leaving(now),
            Event::Timer => {}
        }
        self.drive(now);
    }

    /// The next effect to carry out; `None` when all are.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call [`Candidate::handle`] with [`Event::Timer`] if nothing else happens; `None` when finished.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        self.wake
    }

    /// The term, while this process leads and may act.
    #[must_use]
    pub fn term(&self) -> Option<&Term> {
        self.work
            .term()
            .filter(|_| !matches!(self.work, Work::Parting { .. }))
    }

    fn drive(&mut self, now: Now) {
        self.wake = None;
        self.drive_work(now);
        self.drive_lease(now);
        if self.drive_direct() {
            return;
        }
        self.drive_identity(now);
        self.drive_leaving(now);
    }

    /// Whether a moment has come; if not, the machine wakes at it.
    fn due(&mut self, now: Now, at: Mono) -> bool {
        if now.mono >= at {
            return true;
        }
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
        false
    }

    fn begin_leaving(&mut self, now: Now) {
        if self.leaving.is_none() {
            // Without an elector nobody nominates a successor.
            let wait = if self.direct.is_some() {
                Duration::ZERO
            } else {
                SUCCESSOR_WAIT
            };
            self.leaving = Some(Leaving {
                successor_by: now.mono + wait,
                give_up_at: None,
            });
        }
    }

    /// Ends the process once nothing of it is left: no work, no request whose outcome is open, no identity lease.
    fn drive_leaving(&mut self, now: Now) {
        let Some(mut leaving) = self.leaving else { return };
        if self.term().is_some() {
            return;
        }
        let give_up_at = *leaving.give_up_at.get_or_insert_with(|| {
            let timing = &self.settings.timing;
            let released_from = self.work.not_before().map_or(now.mono, |at| at.max(now.mono));
            released_from + timing.term(timing.lease_duration()).deadline
        });
        self.leaving = Some(leaving);
        let settled = self.lease_settled() && (self.ousted.is_some() || self.identity_gone());
        if settled || self.due(now, give_up_at) {
            self.finished = true;
            self.wake = None;
            self.effects.push_back(Effect::Finished {
                ousted_by: self.ousted.clone(),
            });
        }
    }

    /// A stamp that no attempt of this process and no renewal seen on the lease has.
    ///
    /// It does not count on from a stamp on the lease that lies absurdly far ahead, and need not: that one is another anyway,
    /// and after it come times that the wire cannot carry.
    fn stamp(&mut self, now: Now, on_lease: Option<Wall>) -> Wall {
        let own = now.wall.max(self.last_stamp.next());
        let absurd = own.as_micros().saturating_add(ABSURD_MICROS);
        let on_lease = on_lease.filter(|stamp| stamp.as_micros() < absurd);
        self.last_stamp = on_lease.map_or(own, |stamp| own.max(stamp.next()));
        self.last_stamp
    }

    fn request(&mut self) -> Request {
        self.next_request += 1;
        Request::new(self.next_request)
    }

    /// A number below `1000`, from the seed of the settings (splitmix64).
    fn permille(&mut self) -> u32 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((mixed ^ (mixed >> 31)) % 1000).unwrap_or_default()
    }
}

/// How long a leader that is told to shut down goes on working while the elector nominates its successor, so that the
/// handover costs one write. Longer than the four requests that this takes on a slow server, and short enough that a
/// lone replica stops without anybody noticing the wait.
const SUCCESSOR_WAIT: Duration = Duration::from_millis(300);

/// A day: no two clocks that people look at differ by more.
const ABSURD_MICROS: i64 = 24 * 60 * 60 * 1_000_000;
