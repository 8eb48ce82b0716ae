//! The rounds of a measure: every system once, all at the same time, and who is through sooner again.

#![expect(clippy::print_stderr, reason = "the progress of the benchmark")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use futures::future::join_all;

use super::measure::{Measure, Sample};
use super::stand::Stand;
use super::system::System;
use super::trial::Trial;
use crate::bench::results::{Failure, Handover, PeersRun, Quantity};
use crate::shell;

/// The handovers of each system, each with its gap.
type Handovers = BTreeMap<System, Vec<(f64, Handover)>>;

/// A round under way.
struct Round<'a> {
    stand: &'a Stand,
    measure: Measure,
    run: &'a RefCell<PeersRun>,
    handovers: &'a RefCell<Handovers>,
    /// How many have not ended their first trial.
    pending: Cell<usize>,
    made: Cell<u32>,
}

/// Makes all rounds of a measure.
pub(super) async fn make(
    stand: &Stand,
    measure: Measure,
    systems: &[System],
    rounds: u32,
    run: &RefCell<PeersRun>,
) {
    let handovers = RefCell::new(Handovers::new());
    for number in 0..rounds {
        let since = shell::now();
        // Who is asked first changes from round to round.
        let turned = (0..systems.len()).map(|index| systems[(index + number as usize) % systems.len()]);
        let lanes: Vec<System> = turned
            .flat_map(|system| vec![system; measure.lanes(system)])
            .collect();
        let round = Round {
            stand,
            measure,
            run,
            handovers: &handovers,
            pending: Cell::new(lanes.len()),
            made: Cell::new(0),
        };
        join_all(lanes.into_iter().map(|system| round.lane(system))).await;
        eprintln!(
            "{}: round {} of {rounds}, {} trials in {:.0} s",
            measure.name(),
            number + 1,
            round.made.get(),
            since.elapsed().as_secs_f64()
        );
    }
    run.borrow_mut()
        .handovers
        .extend(handovers.into_inner().into_values().map(median));
}

impl Round<'_> {
    /// Makes trials of a system until each lane has made one.
    async fn lane(&self, system: System) {
        for number in 0..self.measure.most() {
            if number > 0 && self.pending.get() == 0 {
                return;
            }
            match trial(self.stand, self.measure, system).await {
                Ok(sample) => self.keep(system, sample),
                Err(error) => self.give_up(system, &error),
            }
            self.made.set(self.made.get() + 1);
            self.pending.set(self.pending.get() - usize::from(number == 0));
        }
    }

    fn keep(&self, system: System, sample: Sample) {
        for (quantity, value) in &sample.values {
            self.run.borrow_mut().add(*quantity, Some(system), *value);
        }
        let gap = |(quantity, gap): &(Quantity, f64)| (*quantity == Quantity::StopGap).then_some(*gap);
        if let (Some(handover), Some(gap)) = (sample.handover, sample.values.iter().find_map(gap)) {
            self.handovers
                .borrow_mut()
                .entry(system)
                .or_default()
                .push((gap, handover));
        }
    }

    fn give_up(&self, system: System, error: &anyhow::Error) {
        let measure = self.measure.name();
        eprintln!("{measure} of {} failed: {error:#}", system.name());
        let why = format!("{error:#}");
        self.run.borrow_mut().failures.push(Failure {
            measure,
            system,
            why: why.lines().next().unwrap_or_default().to_owned(),
        });
    }
}

async fn trial(stand: &Stand, measure: Measure, system: System) -> anyhow::Result<Sample> {
    let mut trial = Trial::new(stand, system)?;
    let sample = measure.sample(&mut trial).await;
    let ended = trial.end().await;
    let sample = sample?;
    ended.context("what the trial left cannot be removed")?;
    ensure!(!sample.values.is_empty(), "nothing was measured");
    Ok(sample)
}

/// The one with the median gap.
fn median(mut all: Vec<(f64, Handover)>) -> Handover {
    all.sort_by(|(left, _), (right, _)| left.total_cmp(right));
    let middle = all.len().div_ceil(2) - 1;
    all.swap_remove(middle).1
}
