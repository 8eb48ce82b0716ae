//! What many seeds came to, as a file that people and programs read, and that a later run goes on from.

use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::campaign::{Campaign, Failure, Totals};
use crate::class::Class;
use crate::plan::Plan;
use crate::run;
use crate::trace::Tracing;

/// All that was seen from the first seed on. Nothing is left out between the first and the last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The first seed.
    pub from: u64,
    /// How many were simulated; without a violation, the next one is `from + seeds`.
    pub seeds: u64,
    /// The classes that were asked for; all when none is named.
    pub faults: Vec<String>,
    /// The hash of the trace of the first seed: sources that tell another story are not gone on with.
    pub first_trace: String,
    /// Rules that were broken.
    pub violations: Vec<Broken>,
    /// Rules that seeds broke which do not break them any more: the sources were mended, and it was gone on behind them.
    #[serde(default)]
    pub mended: Vec<Broken>,
    /// Terms that began.
    pub terms: u64,
    /// Writes of leaders' work that landed.
    pub acts: u64,
    /// Hours of the clusters' time.
    pub hours_simulated: f64,
    /// Seeds that were run twice, with the same trace.
    pub run_twice: u64,
    /// The seed that took longest.
    pub slowest_seed: u64,
    /// How long that took, in seconds.
    pub slowest_seconds: f64,
    /// Seconds of real time.
    pub seconds: f64,
    /// How often each class took effect.
    pub classes: Vec<Taken>,
}

/// A rule that a seed broke.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Broken {
    /// The seed.
    pub seed: u64,
    /// The rule, by its name in docs/protocol.md.
    pub rule: String,
    /// What happened.
    pub what: String,
    /// When, in seconds of true time.
    pub at: f64,
}

/// How often a class took effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Its name, as `--fault` takes it.
    pub class: String,
    /// What happens.
    pub meaning: String,
    /// How often it did.
    pub count: u64,
}

impl Summary {
    /// Nothing yet, of what a campaign begins with.
    #[must_use]
    pub fn begin(campaign: &Campaign) -> Self {
        let taken = |class: &Class| Taken {
            class: class.to_string(),
            meaning: meaning(*class),
            count: 0,
        };
        Self {
            from: campaign.from,
            faults: campaign.classes.iter().map(Class::to_string).collect(),
            first_trace: trace_of(campaign),
            classes: Class::all().iter().map(taken).collect(),
            ..Self::default()
        }
    }

    /// What a file says, if a campaign can go on from there. A seed that broke a rule is run again first.
    ///
    /// # Errors
    /// When it cannot be read, tells of another beginning or of other sources, or of a rule that is still broken.
    pub fn resume(file: &Path, campaign: &Campaign) -> Result<Self, String> {
        let cannot = |why: &str| format!("cannot go on from {}: {why}", file.display());
        let text = std::fs::read(file).map_err(|error| cannot(&error.to_string()))?;
        let mut summary: Self = serde_json::from_slice(&text).map_err(|error| cannot(&error.to_string()))?;
        let begun = Self::begin(campaign);
        let names = |summary: &Self| -> Vec<String> {
            let names = summary.classes.iter().map(|taken| taken.class.clone());
            names.collect()
        };
        if (summary.from, &summary.faults) != (begun.from, &begun.faults) {
            return Err(cannot("it begins with another seed, or has other faults"));
        }
        if summary.first_trace != begun.first_trace || names(&summary) != names(&begun) {
            return Err(cannot("other sources wrote it, and a seed is another story now"));
        }
        for broken in std::mem::take(&mut summary.violations) {
            let plan = Plan::new(broken.seed, &campaign.classes);
            if let Some(still) = run(&plan, Tracing::Hash).violation {
                return Err(cannot(&format!(
                    "seed {} still breaks {}",
                    broken.seed, still.rule
                )));
            }
            summary.mended.push(broken);
        }
        Ok(summary)
    }

    /// Takes in what the next seeds came to.
    pub fn add(&mut self, totals: &Totals) {
        self.seeds += totals.seeds;
        self.terms += totals.terms;
        self.acts += totals.acts;
        self.hours_simulated += hours(totals.simulated);
        self.run_twice += totals.repeated;
        self.seconds += totals.took.as_secs_f64();
        let (seed, slowest) = totals.slowest;
        if slowest.as_secs_f64() > self.slowest_seconds {
            (self.slowest_seed, self.slowest_seconds) = (seed, slowest.as_secs_f64());
        }
        for (taken, class) in self.classes.iter_mut().zip(Class::all()) {
            taken.count += totals.counts.get(*class);
        }
        self.violations.extend(totals.failure.iter().map(Broken::from));
    }

    /// The classes that never took effect, although they were asked for and there were seeds enough.
    #[must_use]
    pub fn missing(&self) -> Vec<&str> {
        let taken = self.classes.iter().zip(Class::all());
        let never = taken.filter(|(taken, class)| {
            let asked = self.faults.is_empty() || self.faults.contains(&taken.class);
            let enough = match self.faults.is_empty() {
                true => Some(CERTAIN_AFTER),
                // By itself, a class is in every seed.
                false => (!class.needs_others()).then_some(CERTAIN_AFTER / 10),
            };
            asked && taken.count == 0 && enough.is_some_and(|enough| self.seeds >= enough)
        });
        never.map(|(taken, _)| taken.class.as_str()).collect()
    }

    /// Writes it, as a whole or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, file: &Path) -> std::io::Result<()> {
        let part = file.with_extension("part");
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        std::fs::write(&part, text)?;
        std::fs::rename(&part, file)
    }
}

impl From<&Failure> for Broken {
    fn from(failure: &Failure) -> Self {
        Self {
            seed: failure.seed,
            rule: failure.violation.rule.to_owned(),
            what: failure.violation.what.clone(),
            at: failure.violation.at.as_secs_f64(),
        }
    }
}

/// After how many seeds a class is missed that never took effect. The rarest did between 6 and 14 times in each thousand.
const CERTAIN_AFTER: u64 = 1_000;

fn hours(time: Duration) -> f64 {
    time.as_secs_f64() / 3600.0
}

/// What the command line says of a class.
fn meaning(class: Class) -> String {
    let value = class.to_possible_value();
    let help = value.as_ref().and_then(|value| value.get_help());
    help.map(ToString::to_string).unwrap_or_default()
}

fn trace_of(campaign: &Campaign) -> String {
    let plan = Plan::new(campaign.from, &campaign.classes);
    format!("{:016x}", run(&plan, Tracing::Hash).hash)
}
