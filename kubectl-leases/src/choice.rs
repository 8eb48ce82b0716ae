//! Which leases a table shows, and in which order.

use clap::ValueEnum;
use election_core::LeaseState;

use crate::survey::Survey;
use crate::view::{Condition, LeaseStatus};

/// By what leases are sorted; equal ones by namespace and name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Order {
    /// Namespace and name.
    #[default]
    Name,
    /// What somebody should do something about first, then by state.
    State,
    /// The holder.
    Holder,
    /// The number of grants, the most first.
    Term,
    /// The renewal, the longest ago first.
    Renewed,
    /// The age, the youngest first.
    Age,
}

/// The words that `--state` knows: the states, and what is remarkable about them.
pub fn words() -> impl Iterator<Item = &'static str> {
    let states = [
        LeaseState::Fresh,
        LeaseState::Offered,
        LeaseState::Held,
        LeaseState::Released,
        LeaseState::Blanked,
    ];
    let remarkable = Condition::value_variants().iter().map(|one| one.as_str());
    states
        .map(LeaseState::as_str)
        .into_iter()
        .chain(["Missing"])
        .chain(remarkable)
}

/// Which leases are shown, and in which order.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Also those of programs that elect their leader by themselves.
    pub all: bool,
    /// Only those that somebody should do something about.
    pub problems: bool,
    /// Only those that are in one of these states; all if empty.
    pub states: Vec<String>,
    /// The order.
    pub order: Order,
}

impl Choice {
    /// What is shown of a survey.
    #[must_use]
    pub fn of(&self, survey: &Survey) -> Vec<LeaseStatus> {
        let mut statuses = if self.all {
            survey.all()
        } else {
            survey.coordinated()
        };
        statuses.retain(|status| {
            (!self.problems || status.is_problem())
                && (self.states.is_empty() || self.states.iter().any(|state| status.is(state)))
        });
        match self.order {
            Order::Name => {}
            Order::State => {
                statuses.sort_by(|a, b| {
                    let key = |status: &LeaseStatus| (!status.is_problem(), status.state_words());
                    key(a).cmp(&key(b))
                });
            }
            Order::Holder => statuses.sort_by(|a, b| a.holder.cmp(&b.holder)),
            Order::Term => statuses.sort_by_key(|status| std::cmp::Reverse(status.term)),
            Order::Renewed => statuses.sort_by_key(|status| std::cmp::Reverse(status.renewed_seconds_ago)),
            Order::Age => statuses.sort_by_key(|status| status.age_seconds),
        }
        statuses
    }
}
