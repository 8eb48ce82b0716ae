//! A candidate within one election: whether it counts, and how it ranks.
//!
//! When to offer what to whom is not here.

use alloc::sync::Arc;
use core::cmp::Ordering;
use core::time::Duration;

use super::life::IdentityLife;
use crate::identity::IdentityLease;
use crate::names::Identity;
use crate::strategy::{Strategy, Versions};
use crate::time::Mono;

/// A candidate with its name.
pub(super) type Named<'a> = (&'a Identity, &'a Contender);

/// How often something happened to a candidate within one epoch (a vacancy, or a term).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Count {
    epoch: u32,
    times: u32,
}

impl Count {
    pub(super) fn within(self, epoch: u32) -> u32 {
        if self.epoch == epoch { self.times } else { 0 }
    }

    pub(super) fn add(&mut self, epoch: u32) {
        *self = Self {
            epoch,
            times: self.within(epoch).saturating_add(1),
        };
    }
}

/// What an election remembers of an identity, also while its identity lease is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Tally {
    /// Offers seen in a vacancy.
    pub(super) offers: Count,
    /// Nominations seen in a term.
    pub(super) nominations: Count,
}

/// A candidate in one election. What a step reads of it lies here side by side, because a step reads it of each one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Contender {
    versions: Option<Versions>,
    dies_at: Option<Mono>,
    hand_written: bool,
    pub(super) tally: Tally,
    pub(super) life: IdentityLife,
    pub(super) lease: Arc<IdentityLease>,
}

impl Contender {
    pub(super) fn new(lease: Arc<IdentityLease>, life: IdentityLife, tally: Tally) -> Self {
        let mut contender = Self {
            versions: lease.versions.as_ref().ok().cloned(),
            dies_at: None,
            hand_written: lease.incarnation.is_none(),
            tally,
            life,
            lease,
        };
        contender.set_death();
        contender
    }

    /// Its versions, unless they cannot be read.
    pub(super) const fn versions(&self) -> Option<&Versions> {
        self.versions.as_ref()
    }

    /// Whether somebody wrote it by hand: no process stands behind it that this elector could watch.
    pub(super) const fn hand_written(&self) -> bool {
        self.hand_written
    }

    /// How long ago life was seen.
    pub(super) const fn silent(&self, now: Mono) -> Duration {
        now.since(self.life.at())
    }

    /// When it stops counting as alive; a hand-written one never does.
    pub(super) const fn dies_at(&self) -> Option<Mono> {
        self.dies_at
    }

    pub(super) fn live(&self, now: Mono) -> bool {
        self.dies_at.is_none_or(|dies_at| now < dies_at)
    }

    /// Whether it could lead at all.
    pub(super) fn electable(&self, now: Mono) -> bool {
        self.versions.is_some() && self.live(now)
    }

    /// Time without connection is not age.
    pub(super) fn forgive(&mut self, gap: Duration) {
        self.life.forgive(gap);
        self.set_death();
    }

    fn set_death(&mut self) {
        self.dies_at = (!self.hand_written).then(|| self.life.at() + self.lease.duration.duration());
    }
}

/// The total order of candidates of one election; the better one is `Less`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order<'a> {
    pub(super) strategy: Strategy,
    /// Preferred among equals.
    pub(super) incumbent: Option<&'a Identity>,
    pub(super) wishes: Wishes<'a>,
}

/// What the controls of a lease say about candidates. It comes before the strategy.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wishes<'a> {
    /// First.
    pub(super) pinned: Option<&'a Identity>,
    /// Next.
    pub(super) successor: Option<&'a Identity>,
    /// Last.
    pub(super) stepping_down: Option<&'a Identity>,
}

/// Where the controls of a lease put a candidate; the better one is less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wish {
    Pinned,
    Successor,
    Unnamed,
    SteppingDown,
}

impl Wishes<'_> {
    pub(super) fn of(self, identity: &Identity) -> Wish {
        let is = |wish: Option<&Identity>| wish == Some(identity);
        if is(self.stepping_down) {
            Wish::SteppingDown
        } else if is(self.pinned) {
            Wish::Pinned
        } else if is(self.successor) {
            Wish::Successor
        } else {
            Wish::Unnamed
        }
    }
}

impl Order<'_> {
    /// What the strategy says of two candidates. One whose versions cannot be read is worse than any.
    fn by_strategy(self, a: &Contender, b: &Contender) -> Ordering {
        match (a.versions(), b.versions()) {
            (Some(a), Some(b)) => self.strategy.compare(a, b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        }
    }

    /// Which of two candidates should lead, equals apart: by the controls, then by the strategy.
    pub(super) fn compare(self, (a, left): Named<'_>, (b, right): Named<'_>) -> Ordering {
        let readable = |contender: &Contender| contender.versions().is_none();
        readable(left)
            .cmp(&readable(right))
            .then_with(|| self.wishes.of(a).cmp(&self.wishes.of(b)))
            .then_with(|| self.by_strategy(left, right))
    }

    /// Controls, strategy, incumbent, older creation, name. A lease without creation time, which no server sends, comes last.
    pub(super) fn rank(self, (a, left): Named<'_>, (b, right): Named<'_>) -> Ordering {
        let is = |identity: &Identity| self.incumbent == Some(identity);
        let created = |contender: &Contender| (contender.lease.created.is_none(), contender.lease.created);
        self.compare((a, left), (b, right))
            .then_with(|| is(b).cmp(&is(a)))
            .then_with(|| created(left).cmp(&created(right)))
            .then_with(|| a.cmp(b))
    }
}
