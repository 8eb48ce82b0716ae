//! `sample-controller`: see the crate's documentation.

use std::process::ExitCode;

use clap::Parser;
use sample_controller::{cli, flags::Flags};

fn main() -> ExitCode {
    let flags = Flags::parse();
    cli::start_log(flags.log_format);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return cli::complain(&anyhow::Error::new(error).context("cannot start the runtime")),
    };
    match runtime.block_on(cli::run(&flags)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cli::complain(&error),
    }
}
