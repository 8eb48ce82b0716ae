//! `kubectl-leases`: see the crate's documentation.

use std::io;
use std::process::ExitCode;

use kubectl_leases::cli::{self, Terminal};
use mimalloc::MiMalloc;

/// Of a list of many leases, most of the work is to make small objects and to drop them, on two threads.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(cli::run(
            std::env::args_os(),
            Terminal::of_this_process(),
            &mut io::stdout(),
            &mut io::stderr(),
        )),
        Err(error) => cli::complain(&mut io::stderr(), &error),
    }
}
