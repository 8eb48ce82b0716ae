//! What a seed means: who takes part, and what happens to them when. A plan is data, so it can be told and made smaller.

use std::fmt;
use std::time::Duration;

use crate::class::Class;
use crate::dice::Dice;

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Happening {
    /// When, in milliseconds of true time.
    pub at: u64,
    /// What.
    pub class: Class,
    /// To whom: a number that is taken modulo those there are.
    pub target: u64,
    /// For how long, in milliseconds.
    pub span: u64,
    /// How much; what of, depends on the class.
    pub amount: u64,
}

/// Everything that is decided before a run begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What it was made from; chance within the run comes from it too.
    pub seed: u64,
    /// The lease duration, in seconds.
    pub lease: u32,
    /// The duration of identity leases, in seconds.
    pub identity: u32,
    /// The candidates that are there from the start: the number of each one's version.
    pub candidates: Vec<u64>,
    /// How the work of each candidate ends: milliseconds, or nothing when the library ends it.
    pub finishes: Vec<Option<u64>>,
    /// What happens, in order.
    pub happenings: Vec<Happening>,
    /// How long things may happen, in milliseconds.
    pub active: u64,
    /// Whether it is waited for until dead candidates are collected (L4).
    pub buries: bool,
    /// Whether there is an outage at the end that must change nothing (L5).
    pub outage: bool,
}

/// Every so many-th seed has a crowd, which takes as long as many others: each candidate's every write wakes all others.
const CROWD_EVERY: u64 = 250;

/// The versions of the programs.
pub(crate) const VERSIONS: [&str; 5] = ["1.29.0", "1.28.3", "1.30.0", "1.29.0", "1.31.0-alpha.1"];

impl Plan {
    /// The plan of a seed, with only these classes of happenings; all when none is named.
    #[must_use]
    pub fn new(seed: u64, only: &[Class]) -> Self {
        let mut dice = Dice::new(seed, 0);
        let lease = u32::try_from(dice.pick(&[2, 3, 3, 5, 5, 15])).unwrap_or(5);
        let unit = u64::from(lease) * 1000;
        let large = dice.percent(12);
        let count = if large {
            dice.within(3, 6)
        } else {
            dice.within(2, 3)
        };
        let candidates: Vec<u64> = (0..count).map(|_| dice.below(VERSIONS.len() as u64)).collect();
        let finishes = (0..count).map(|_| dice.percent(40).then(|| dice.below(unit / 8)));
        let finishes = finishes.collect();
        let active = unit
            * if large {
                dice.within(6, 14)
            } else {
                dice.within(3, 8)
            };
        let mut plan = Self {
            seed,
            lease,
            identity: lease * u32::try_from(dice.pick(&[2, 4, 10])).unwrap_or(4),
            candidates,
            finishes,
            happenings: Vec::new(),
            active,
            buries: dice.percent(6),
            outage: dice.percent(20),
        };
        if plan.buries {
            plan.identity = lease;
        }
        plan.fill(&mut dice, only, unit);
        if only.is_empty() {
            // By dice of its own: the other seeds tell the same story with it and without.
            let mut dice = Dice::new(seed, 2);
            for (class, percent) in [(Class::Direct, 8), (Class::Turns, 25)] {
                if dice.percent(percent) {
                    let happening = plan.happening(class, &mut dice, unit);
                    plan.happenings.insert(0, happening);
                }
            }
            if seed.is_multiple_of(CROWD_EVERY) {
                plan.expects(Class::Crowd, unit);
                let happening = plan.happening(Class::Crowd, &mut dice, unit);
                plan.happenings.push(happening);
                plan.happenings
                    .sort_by_key(|happening| (happening.at, happening.class));
            }
        }
        plan
    }

    /// What a class needs that it is to take effect, and to come to its end.
    fn expects(&mut self, class: Class, unit: u64) {
        match class {
            Class::Crowd => {
                self.identity = self.lease * 10;
                self.active = self.active.min(unit * 4);
                self.buries = false;
            }
            Class::CrashAtCollection => {
                self.identity = self.lease;
                self.buries = true;
            }
            _ => {}
        }
    }

    /// A few classes, each several times: what meets again and again finds more than a little of everything.
    fn fill(&mut self, dice: &mut Dice, only: &[Class], unit: u64) {
        let from: Vec<Class> = match only {
            [] => drawn().collect(),
            some => some.to_vec(),
        };
        let kinds = dice.within(1, 5).min(from.len() as u64);
        let mut happenings = Vec::new();
        for _ in 0..kinds {
            let class = dice.pick(&from);
            self.expects(class, unit);
            for _ in 0..times(class, dice) {
                happenings.push(self.happening(class, dice, unit));
            }
        }
        happenings.sort_by_key(|happening| (happening.at, happening.class));
        self.happenings = happenings;
    }

    fn happening(&self, class: Class, dice: &mut Dice, unit: u64) -> Happening {
        let at = match class {
            // A clock that changed its rate while it is read would jump; an election is there from the start.
            Class::ClockRate | Class::Namespaces | Class::Direct | Class::Turns => 0,
            // What seldom happens is waited for from early on.
            Class::CrashAtCreate if dice.percent(50) => 0,
            class if is_seldom(class) => dice.below(self.active / 4),
            Class::Latency | Class::WallOffset if dice.percent(50) => 0,
            _ => dice.below(self.active),
        };
        let span = match class {
            class if is_seldom(class) => self.active,
            _ => dice.within(unit / 20, unit * 2),
        };
        let amount = match class {
            // Microseconds of one way.
            Class::Latency => dice.within(1, unit * 120),
            Class::LostRequest
            | Class::LostAnswer
            | Class::Conflicts
            | Class::TooManyRequests
            | Class::InternalError
            | Class::Unavailable
            | Class::DuplicateEvent => dice.pick(&[20, 50, 80, 100]),
            Class::WatchLag => dice.within(1, unit),
            Class::SlowServer => dice.within(unit / 50, unit / 3),
            Class::ClockRate => {
                let between = dice.within(901, 1099);
                dice.pick(&[900, 1100, between])
            }
            Class::Crowd if self.seed.is_multiple_of(CROWD_EVERY * 5) => dice.within(200, 300),
            Class::Crowd => dice.within(100, 130),
            Class::Namespaces => dice.within(1, 3),
            Class::Direct => dice.within(2, 3),
            _ => dice.below(1000),
        };
        Happening {
            at,
            class,
            target: dice.below(1000),
            span,
            amount,
        }
    }

    /// Until when everything that the plan has begun is over.
    pub(crate) const fn end(&self) -> Duration {
        Duration::from_millis(self.active)
    }
}

/// Whether something waits for a write of an elector that few stories have.
const fn is_seldom(class: Class) -> bool {
    matches!(
        class,
        Class::CrashAtCreate | Class::CrashAtWithdrawal | Class::CrashAtNomination | Class::CrashAtClearing
    )
}

/// The classes that a seed draws from.
fn drawn() -> impl Iterator<Item = Class> {
    let all = Class::all().iter().copied();
    all.filter(|class| !matches!(class, Class::Direct | Class::Turns | Class::Crowd))
}

fn times(class: Class, dice: &mut Dice) -> u64 {
    match class {
        Class::Crowd
        | Class::Namespaces
        | Class::TwoElectors
        | Class::Direct
        | Class::Turns
        | Class::CrashAtCollection => 1,
        Class::ClockRate => 3,
        _ => dice.within(1, 4),
    }
}

impl Happening {
    /// What the amount says, in words.
    fn how(&self) -> String {
        let amount = self.amount;
        match self.class {
            Class::Latency => format!("up to {} ms one way", amount / 1000),
            Class::LostRequest
            | Class::LostAnswer
            | Class::Conflicts
            | Class::TooManyRequests
            | Class::InternalError
            | Class::Unavailable
            | Class::DuplicateEvent => format!("{amount} %"),
            Class::WatchLag | Class::SlowServer => format!("{amount} ms"),
            Class::ClockRate => format!("{amount} ms in a second"),
            Class::Crowd | Class::Namespaces | Class::Direct => format!("{amount} more"),
            _ => format!("variant {amount}"),
        }
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |millis: u64| Duration::from_millis(millis).as_secs_f64();
        write!(f, "at {:.3} s  {} ({}", seconds(self.at), self.class, self.how())?;
        if !matches!(
            self.class,
            Class::Crowd | Class::Namespaces | Class::Direct | Class::Turns | Class::ClockRate
        ) {
            write!(f, ", for {:.3} s", seconds(self.span))?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions: Vec<&str> = self
            .candidates
            .iter()
            .map(|version| version_of(*version))
            .collect();
        writeln!(
            f,
            "seed {}: a lease of {} s, identity leases of {} s, candidates {}",
            self.seed,
            self.lease,
            self.identity,
            versions.join(", ")
        )?;
        for happening in &self.happenings {
            writeln!(f, "  {happening}")?;
        }
        Ok(())
    }
}

/// A version by its number.
pub(crate) fn version_of(number: u64) -> &'static str {
    VERSIONS[usize::try_from(number).unwrap_or_default() % VERSIONS.len()]
}
