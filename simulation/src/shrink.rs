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

/// Shrinks a plan that fails; one that does not stays as it is.
#[must_use]
pub fn shrink(plan: &Plan) -> Shrunk {
    let rule_of = |plan: &Plan| run(plan, Tracing::Hash).violation.map(|violation| violation.rule);
    let rule = rule_of(plan);
    if rule.is_none() {
        let (plan, outcome) = (plan.clone(), run(plan, Tracing::Keep));
        return Shrunk {
            plan,
            outcome,
            runs: 2,
        };
    }
    let mut search = Search {
        fails: |plan: &Plan| rule_of(plan) == rule,
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

struct Search<F> {
    /// Whether a plan still fails in the same way.
    fails: F,
    best: Plan,
    runs: usize,
}

impl<F: FnMut(&Plan) -> bool> Search<F> {
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

    /// Whether a plan still fails; then it is the best.
    fn takes(&mut self, plan: Plan) -> bool {
        if self.runs >= MOST_RUNS {
            return false;
        }
        self.runs += 1;
        let fails = (self.fails)(&plan);
        if fails {
            self.best = plan;
        }
        fails
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::Class;
    use crate::plan::Happening;

    fn happening(number: u64) -> Happening {
        Happening {
            at: number,
            class: Class::Pause,
            target: number,
            span: 1000,
            amount: 0,
        }
    }

    #[test]
    fn what_does_not_matter_is_dropped_and_what_does_stays() {
        let mut plan = Plan::new(1, &[Class::Pause]);
        plan.happenings = (0..40).map(happening).collect();
        plan.candidates = vec![0, 1, 2, 3];
        plan.outage = true;
        let has = |plan: &Plan, target| plan.happenings.iter().any(|happening| happening.target == target);
        let mut search = Search {
            // Two happenings together, one of them for long enough, and two candidates.
            fails: |plan: &Plan| {
                let long = |happening: &Happening| happening.target == 29 && happening.span >= 200;
                has(plan, 7) && plan.happenings.iter().any(long) && plan.candidates.len() >= 2
            },
            best: plan,
            runs: 0,
        };
        search.shrink();
        let targets: Vec<u64> = search
            .best
            .happenings
            .iter()
            .map(|happening| happening.target)
            .collect();
        assert_eq!(targets, [7, 29]);
        assert_eq!(search.best.happenings[1].span, 250);
        assert!(
            search.best.happenings[0].span <= 100,
            "{}",
            search.best.happenings[0].span
        );
        assert_eq!(search.best.candidates.len(), 2);
        assert!(!search.best.outage);
        assert!(search.runs < MOST_RUNS, "{} runs", search.runs);
    }
}
