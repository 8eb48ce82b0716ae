//! What a run has shown, as a table.

use std::collections::BTreeMap;
use std::time::Duration;

use super::faults::{Fault, Means};

/// What was done, and what came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Summary {
    cycles: u32,
    made: BTreeMap<Fault, u32>,
    /// How long nobody wrote, of cycles with this fault alone.
    gaps: BTreeMap<Fault, Vec<Duration>>,
    refused: usize,
    writes: u64,
    terms: usize,
    takeovers: u32,
}

impl Summary {
    /// A fault that had nobody to hit is not counted.
    pub(super) fn count(&mut self, fault: Fault, has_hit: bool) {
        if has_hit {
            *self.made.entry(fault).or_default() += 1;
        }
    }

    pub(super) fn refuse(&mut self, writes: usize) {
        self.refused += writes;
    }

    /// Another elector acts than a cycle ago.
    pub(super) fn take_over(&mut self) {
        self.takeovers += 1;
    }

    pub(super) fn add(&mut self, faults: &[Fault], gap: Duration, writes: u64, terms: usize) {
        self.cycles += 1;
        (self.writes, self.terms) = (writes, terms);
        if let [fault] = faults {
            self.gaps.entry(*fault).or_default().push(gap);
        }
    }

    fn of(&self, means: Means) -> u32 {
        let made = self.made.iter().filter(|(fault, _)| fault.means() == means);
        made.map(|(_, count)| count).sum()
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "\n{:<30}{:>7}{:>12}{:>12}\n",
            "fault", "times", "gap median", "longest"
        );
        for (fault, count) in &self.made {
            let mut gaps = self.gaps.get(fault).cloned().unwrap_or_default();
            gaps.sort();
            let shown = |gap: Option<&Duration>| {
                gap.map_or_else(String::new, |gap| format!("{:.3} s", gap.as_secs_f64()))
            };
            text += &format!(
                "{:<30}{count:>7}{:>12}{:>12}\n",
                fault.name(),
                shown(gaps.get(gaps.len() / 2)),
                shown(gaps.last())
            );
        }
        text += &format!(
            "\n{} cycles: {} SIGKILL, {} SIGSTOP, {} SIGTERM; {} writes in {} terms; the turn of the electors went \
             to another {} times; {} writes of a process that had stood still with its keeper were refused\n",
            self.cycles,
            self.of(Means::Kill),
            self.of(Means::Stop),
            self.of(Means::Terminate),
            self.writes,
            self.terms,
            self.takeovers,
            self.refused
        );
        text
    }
}
