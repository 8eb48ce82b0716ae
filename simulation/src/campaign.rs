//! Many seeds on all cores: each is simulated on one thread, and whatever the order in which they end, the same is found.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::class::{Class, Counts};
use crate::ledger::Violation;
use crate::plan::Plan;
use crate::time::{on_threads, real_now};
use crate::trace::Tracing;
use crate::{run, run_lightly};

/// Which seeds are simulated.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The first one.
    pub from: u64,
    /// How many; without an end when a budget is given.
    pub seeds: u64,
    /// Only these classes happen; all when none is named.
    pub classes: Vec<Class>,
    /// No seed begins after this much real time.
    pub budget: Option<Duration>,
    /// Every so many seeds, one is run twice, the second time on a server that notes who set which field, and its traces are
    /// compared; 0 for none.
    pub twice: u64,
}

/// A seed that broke a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What it broke.
    pub violation: Violation,
}

/// What was seen so far, or in all.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Seeds that were simulated.
    pub seeds: u64,
    /// Terms that began.
    pub terms: u64,
    /// Writes of leaders' work that landed.
    pub acts: u64,
    /// How much time was simulated.
    pub simulated: Duration,
    /// How much real time that took.
    pub took: Duration,
    /// The seed that took longest, and how long.
    pub slowest: (u64, Duration),
    /// How often each class took effect.
    pub counts: Counts,
    /// Seeds that were run twice, with the same trace.
    pub repeated: u64,
    /// The failure with the lowest seed among those that were found.
    pub failure: Option<Failure>,
}

/// What is told while it goes on: the totals so far.
pub type Progress<'a> = &'a (dyn Fn(&Totals) + Sync);

/// How often progress is told.
const TOLD_EVERY: Duration = Duration::from_secs(2);

impl Campaign {
    /// Simulates until all seeds are done, the budget is spent, or a rule is broken.
    #[must_use]
    pub fn run(&self, progress: Progress<'_>) -> Totals {
        let began = real_now();
        let work = Work {
            campaign: self,
            next: AtomicU64::new(self.from),
            failed: AtomicBool::new(false),
            totals: Mutex::default(),
            told: Mutex::new(began),
            began,
            progress,
        };
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        on_threads(threads, || work.take_seeds());
        let mut totals = work.totals.into_inner().unwrap_or_else(PoisonError::into_inner);
        totals.took = began.elapsed();
        totals
    }
}

struct Work<'a> {
    campaign: &'a Campaign,
    next: AtomicU64,
    failed: AtomicBool,
    totals: Mutex<Totals>,
    told: Mutex<Instant>,
    began: Instant,
    progress: Progress<'a>,
}

impl Work<'_> {
    fn take_seeds(&self) {
        while !self.failed.load(Ordering::SeqCst) && !self.is_late() {
            let seed = self.next.fetch_add(1, Ordering::SeqCst);
            if seed - self.campaign.from >= self.campaign.seeds {
                return;
            }
            self.simulate(seed);
            self.tell();
        }
    }

    fn is_late(&self) -> bool {
        self.campaign
            .budget
            .is_some_and(|budget| self.began.elapsed() >= budget)
    }

    fn simulate(&self, seed: u64) {
        let plan = Plan::new(seed, &self.campaign.classes);
        let since = real_now();
        let outcome = run_lightly(&plan, Tracing::Hash);
        let took = since.elapsed();
        let again = self.campaign.twice > 0 && seed.is_multiple_of(self.campaign.twice);
        let other = again.then(|| run(&plan, Tracing::Hash).hash);
        let mut violation = outcome.violation;
        if let Some(other) = other.filter(|other| *other != outcome.hash) {
            let what = format!(
                "two runs of the same seed differ ({:016x}, {other:016x})",
                outcome.hash
            );
            let at = outcome.simulated;
            violation.get_or_insert(Violation {
                rule: "determinism",
                what,
                at,
            });
        }
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        totals.seeds += 1;
        totals.terms += outcome.terms;
        totals.acts += outcome.acts;
        totals.simulated += outcome.simulated;
        totals.repeated += u64::from(again);
        totals.counts.add(&outcome.counts);
        if took > totals.slowest.1 {
            totals.slowest = (seed, took);
        }
        if let Some(violation) = violation {
            self.failed.store(true, Ordering::SeqCst);
            if totals.failure.as_ref().is_none_or(|failure| seed < failure.seed) {
                totals.failure = Some(Failure { seed, violation });
            }
        }
    }

    fn tell(&self) {
        let Ok(mut told) = self.told.try_lock() else {
            return;
        };
        if told.elapsed() >= TOLD_EVERY {
            *told = real_now();
            let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner).clone();
            totals.took = self.began.elapsed();
            (self.progress)(&totals);
        }
    }
}
