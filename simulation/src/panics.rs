//! A panic in a task ends that task and nothing else, so it would go unnoticed: here it becomes a violation of the run.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::Duration;

use crate::class::Counts;
use crate::{Outcome, Violation};

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Runs a simulation on this thread, and adds the first panic of its tasks to what it came to.
pub(crate) fn watched(simulate: impl FnOnce() -> Outcome) -> Outcome {
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANIC.with_borrow_mut(|panic| {
                panic.get_or_insert_with(|| info.to_string());
            });
            usual(info);
        }));
    });
    PANIC.take();
    let outcome = catch_unwind(AssertUnwindSafe(simulate));
    let mut outcome = outcome.unwrap_or_else(|_| Outcome {
        violation: None,
        counts: Counts::default(),
        terms: 0,
        acts: 0,
        simulated: Duration::ZERO,
        hash: 0,
        trace: Vec::new(),
    });
    if let Some(what) = PANIC.take() {
        outcome.violation.get_or_insert(Violation {
            rule: "panic",
            what,
            at: outcome.simulated,
        });
    }
    outcome
}
