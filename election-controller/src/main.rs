//! `election-controller`: elects the leaders of a cluster, or says once what it would decide.
//!
//! The command line is in `cli.rs`; everything else is in the library.

#![expect(
    clippy::disallowed_methods,
    reason = "the thread of an elector gathers news before it sleeps"
)]

use std::panic;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;

mod cli;

/// How long news may wait for each other. A server tells each change of a lease by itself, thousands in a second in a large
/// cluster, and to be woken for one costs more than to judge it. What comes first after a silence does not wait, and
/// nothing waits while a request of the elector is open: then somebody is without a leader.
const GATHERING: Duration = Duration::from_millis(2);

fn main() -> ExitCode {
    let mut builder = Builder::new_current_thread();
    let open_requests = Arc::<AtomicUsize>::default();
    let open = open_requests.clone();
    builder.enable_all().on_thread_park(move || {
        if open.load(Ordering::Relaxed) == 0 {
            thread::sleep(GATHERING);
        }
    });
    let runtime = match builder.build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("the runtime cannot start: {error}"),
    };
    // As a task, because a future that is blocked on asks the kernel for news each time that it is woken.
    match runtime.block_on(runtime.spawn(cli::main(open_requests))) {
        Ok(code) => code,
        Err(error) => panic::resume_unwind(error.into_panic()),
    }
}
