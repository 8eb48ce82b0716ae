//! Makes a failing plan small: it drops happenings, halves by halves and one by one, and shortens what is left, for as long
//! as the same rule is still broken.

use crate::plan::Plan;
use crate::trace::Tracing;
use crate::{Outcome, run};

/// The smallest plan that was found, and what it leads to.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The plan.
    pub plan: Plan,
    /// Its outcome, with its trace.
    pub outcome: Outcome,
    /// How many runs it took.
    pub runs: usize,
}

/// How many runs are spent on one failure.
const MOST_RUNS: usize = 400;

/// Shrinks a plan that fails.
#[must_use]
pub fn shrink(plan: &Plan) -> Shrunk {
    let mut search = Search {
        rule: run(plan, Tracing::Hash).violation.map(|violation| violation.rule),
        best: plan.clone(),
        runs: 1,
    };
    search.shrink();
    let outcome = run(&search.best, Tracing::Keep);
    Shrunk {
        plan: search.best,
        outcome,
        runs: search.runs + 1,
    }
}

struct Search {
    rule: Option<&'static str>,
    best: Plan,
    runs: usize,
}

impl Search {
    fn shrink(&mut self) {
        loop {
            let before = self.best.clone();
            let mut size = (self.best.happenings.len() / 2).max(1);
            loop {
                self.drop_runs_of(size);
                if size == 1 {
                    break;
                }
                size /= 2;
            }
            self.simplify();
            if self.best == before || self.runs >= MOST_RUNS {
                return;
            }
        }
    }

    /// Drops so many happenings at a time.
    fn drop_runs_of(&mut self, size: usize) {
        let mut at = 0;
        while at < self.best.happenings.len() {
            let mut plan = self.best.clone();
            let end = (at + size).min(plan.happenings.len());
            plan.happenings.drain(at..end);
            if !self.takes(plan) {
                at += size;
            }
        }
    }

    /// Fewer candidates, no extras, and shorter happenings.
    fn simplify(&mut self) {
        self.try_with(|plan| {
            plan.candidates.pop();
            plan.finishes.pop();
        });
        self.try_with(|plan| plan.finishes.iter_mut().for_each(|finishes| *finishes = None));
        self.try_with(|plan| plan.buries = false);
        self.try_with(|plan| plan.outage = false);
        for index in 0..self.best.happenings.len() {
            while self.best.happenings[index].span > 100
                && self.try_with(|plan| plan.happenings[index].span /= 2)
            {}
        }
        let last = self.best.happenings.iter().map(|happening| happening.at).max();
        self.try_with(|plan| plan.active = last.unwrap_or_default() + u64::from(plan.lease) * 1000);
    }

    fn try_with(&mut self, change: impl FnOnce(&mut Plan)) -> bool {
        let mut plan = self.best.clone();
        change(&mut plan);
        plan != self.best && !plan.candidates.is_empty() && self.takes(plan)
    }

    /// Whether a plan still breaks the same rule; then it is the best.
    fn takes(&mut self, plan: Plan) -> bool {
        if self.runs >= MOST_RUNS {
            return false;
        }
        self.runs += 1;
        let fails = run(&plan, Tracing::Hash)
            .violation
            .map(|violation| violation.rule)
            == self.rule;
        if fails {
            self.best = plan;
        }
        fails
    }
}
