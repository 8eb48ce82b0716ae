//! The whole system in one process under seeded faults: real candidates, real electors, the local control plane, and between
//! each of them and the server a road on which everything goes wrong.
//!
//! | file | duty |
//! |---|---|
//! | `plan` | what a seed means: who takes part, and what happens to them when |
//! | `class` | the kinds of trouble, and how often each took effect |
//! | `world`, `happen` | one run: machines, processes, and the plan carried out on them |
//! | `host`, `time` | a process that can be stopped and crashed as a whole; true time, and the clock of each machine |
//! | `road`, `stream`, `people` | what happens to requests, to watches, and by hand |
//! | `actors` | what the processes run |
//! | `ledger`, `writes` | the checker: S1 to S8, continuously, from true time and what the server stores |
//! | `aftermath` | L1 to L5, once the faults have ended |
//! | `shrink`, `campaign` | a failure told in as few happenings as possible; many seeds on all cores |
//! | `summary` | what many seeds came to, as a file |
//!
//! The same seed gives the same trace, byte for byte, on any machine. Deliberately absent: rules of the election. The checker
//! has its own few, and everything else is the code that ships.

mod actors;
mod aftermath;
mod campaign;
mod class;
mod dice;
mod happen;
mod host;
mod ledger;
mod panics;
mod people;
mod plan;
mod road;
mod shared;
mod shrink;
mod stream;
mod summary;
mod time;
mod trace;
mod world;
mod writes;

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use local_controlplane::ControlPlane;

pub use campaign::{Campaign, Failure, Progress, Totals};
pub use class::{Class, Counts, PerClass};
pub use ledger::Violation;
pub use plan::{Happening, Plan};
pub use shrink::{Shrunk, shrink};
pub use summary::{Broken, Summary, Taken};
pub use trace::Tracing;

use time::{NOON, Truth};
use trace::Trace;
use world::World;

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The first rule that was broken.
    pub violation: Option<Violation>,
    /// How often each class took effect.
    pub counts: Counts,
    /// Terms that began.
    pub terms: u64,
    /// Writes of leaders' work that landed.
    pub acts: u64,
    /// How much time was simulated.
    pub simulated: Duration,
    /// Of the whole trace.
    pub hash: u64,
    /// The trace, if it was to be kept.
    pub trace: Vec<String>,
}

/// Carries out a plan, in a runtime of its own on this thread. A panic of any task is a violation as well.
///
/// # Panics
/// If no runtime can be made.
#[must_use]
pub fn run(plan: &Plan, tracing: Tracing) -> Outcome {
    run_on(plan, tracing, ControlPlane::new)
}

/// The same on a server that does not note who set which field, which is a third of the work: the trace is the same.
///
/// # Panics
/// If no runtime can be made.
#[must_use]
pub fn run_lightly(plan: &Plan, tracing: Tracing) -> Outcome {
    run_on(plan, tracing, ControlPlane::without_owners)
}

fn run_on(plan: &Plan, tracing: Tracing, plane: fn() -> ControlPlane) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without IO needs nothing of the system");
    panics::watched(|| runtime.block_on(simulate(plan.clone(), tracing, plane)))
}

async fn simulate(plan: Plan, tracing: Tracing, plane: fn() -> ControlPlane) -> Outcome {
    let base = Timestamp::from_microsecond(NOON).unwrap_or_default();
    local_controlplane::simulate_wall(base);
    let shared = shared::Shared::new(Truth::begin(), Trace::new(tracing), plane());
    let active = plan.end();
    let mut world = World::new(plan, shared.clone()).await;
    // What holds from the beginning comes before the first process.
    world.pass(Duration::ZERO).await;
    for index in 0..world.actors.len() {
        if world.actors[index].current.is_none() {
            world.start(index);
        }
    }
    world.pass(active).await;
    world.aftermath().await;
    let (violation, terms, acts) = {
        let mut ledger = shared.ledger();
        (ledger.violation.take(), ledger.terms, ledger.acts)
    };
    if let Some(violation) = &violation {
        shared.say(format_args!("violation: {violation}"));
    }
    let mut trace = shared.trace();
    Outcome {
        violation,
        counts: shared.counts(),
        terms,
        acts,
        simulated: shared.truth.now(),
        hash: trace.hash(),
        trace: trace.take_kept(),
    }
}
