//! `election-controller`: elects the leaders of a cluster, or says once what it would decide.
//!
//! The command line is in `cli.rs`; everything else is in the library.

use std::process::ExitCode;

mod cli;

#[tokio::main]
async fn main() -> ExitCode {
    cli::main().await
}
