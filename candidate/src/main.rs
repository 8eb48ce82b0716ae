//! `candidate`: runs any program only while it leads.
//!
//! The command line is in `cli.rs`, one term of a program in `wrapper.rs`, its processes in `run/`.

use std::process::ExitCode;

mod cli;
mod wrapper;

fn main() -> ExitCode {
    // The keeper and the stub come first: they start no runtime of this process.
    if let Some(code) = candidate::run::hidden_subcommand(std::env::args_os()) {
        return code;
    }
    match cli::run() {
        Ok(code) => code,
        Err(error) => {
            cli::complain(&error);
            ExitCode::FAILURE
        }
    }
}
