//! The command line: the commands, what an error looks like, and the exit code.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cluster::Error;
use crate::commands::candidates::Candidates;
use crate::commands::doctor::Doctor;
use crate::commands::explain::Explain;
use crate::commands::forget::Forget;
use crate::commands::misc::{Completion, Man, Version};
use crate::commands::status::Status;
use crate::commands::steer::{HoldArgs, PinArgs, ReleaseHoldArgs, StepDownArgs, UnpinArgs};
use crate::commands::timeline::TimelineArgs;
use crate::commands::top::Top;
use crate::commands::watch::Watch;
use crate::complete::{self, Asker};
use crate::words::plain_lines;

/// Who leads, and why: the leases of coordinated elections.
#[derive(Debug, Parser)]
#[command(name = "kubectl leases", bin_name = "kubectl leases", version, after_help = HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Reading commands need get, list and watch on leases, and nothing else unless they say so.
#[derive(Debug, Subcommand)]
enum Command {
    Status(Box<Status>),
    Explain(Box<Explain>),
    Candidates(Box<Candidates>),
    Doctor(Box<Doctor>),
    Watch(Box<Watch>),
    Timeline(Box<TimelineArgs>),
    Top(Box<Top>),
    StepDown(Box<StepDownArgs>),
    Hold(Box<HoldArgs>),
    ReleaseHold(Box<ReleaseHoldArgs>),
    Pin(Box<PinArgs>),
    Unpin(Box<UnpinArgs>),
    Forget(Box<Forget>),
    Completion(Completion),
    Version(Box<Version>),
    Man(Man),
}

const HELP: &str = "\
Examples:
  # Who leads what?
  kubectl leases status -A

  # Why, what comes next, and what would change it?
  kubectl leases explain -n kube-system sample-controller

  # Is anything wrong, and what is to be done about it?
  kubectl leases doctor -A

  # Let the leader give way, and wait until another one leads.
  kubectl leases step-down -n kube-system sample-controller --wait

Exit code: 0, also when there is nothing to show; 1 on errors and for wrong
flags; 2 when a command that looks for problems has found some.";

/// What a command found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// What was asked for.
    Answer,
    /// Problems, which was what it looked for.
    Problems,
}

impl From<Found> for ExitCode {
    fn from(found: Found) -> Self {
        match found {
            Found::Answer => Self::SUCCESS,
            Found::Problems => Self::from(2),
        }
    }
}

/// What the output is shown on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terminal {
    /// Colours are welcome.
    pub color: bool,
    /// What was shown can be painted over.
    pub live: bool,
    /// Somebody sits at the input and can be asked.
    pub asks: bool,
}

impl Terminal {
    /// What stdin and stdout are. `NO_COLOR` is honoured.
    #[must_use]
    pub fn of_this_process() -> Self {
        let live = io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self {
            color: live && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            live,
            asks: io::stdin().is_terminal(),
        }
    }
}

/// Does what the command line says.
pub async fn run(
    args: impl IntoIterator<Item = OsString>,
    terminal: Terminal,
    out: &mut impl Write,
    err: &mut impl Write,
) -> ExitCode {
    let err = &mut Plain(err);
    let mut args: Vec<OsString> = args.into_iter().collect();
    if args.first().is_some_and(|program| complete::is_called(program)) {
        return complete::run(Asker::Kubectl, args.split_off(1), out).await;
    }
    if args.get(1).is_some_and(|word| word == complete::ASKED) {
        return complete::run(Asker::Script, args.split_off(2), out).await;
    }
    let command = match Cli::try_parse_from(args) {
        Ok(cli) => cli.command,
        Err(refused) => return say(&refused, out, err),
    };
    let ended = match command {
        Command::Status(status) => status.run(terminal, out, err).await,
        Command::Explain(explain) => explain.run(out, err).await,
        Command::Candidates(candidates) => candidates.run(out, err).await,
        Command::Doctor(doctor) => doctor.run(out).await,
        Command::Watch(watch) => watch.run(out, err).await,
        Command::Timeline(timeline) => timeline.run(out, err).await,
        Command::Top(top) => top.run(terminal).await,
        Command::StepDown(args) => args.run(terminal, out, err).await,
        Command::Hold(args) => args.run(terminal, out, err).await,
        Command::ReleaseHold(args) => args.run(terminal, out, err).await,
        Command::Pin(args) => args.run(terminal, out, err).await,
        Command::Unpin(args) => args.run(terminal, out, err).await,
        Command::Forget(args) => args.run(terminal, out, err).await,
        Command::Completion(completion) => completion.run(out),
        Command::Version(version) => version.run(out).await,
        Command::Man(man) => man.run(),
    };
    match ended {
        // Whoever read the output has seen enough.
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => complain(err, &error),
        Ok(found) => found.into(),
    }
}

/// An output for sentences alone: what a lease says in them controls no terminal.
struct Plain<'a, W>(&'a mut W);

impl<W: Write> Write for Plain<'_, W> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let shown = plain_lines(&String::from_utf8_lossy(text));
        self.0.write_all(shown.as_bytes())?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Says what went wrong.
pub fn complain(err: &mut impl Write, error: &impl Display) -> ExitCode {
    // Nothing is left to be said when stderr itself is gone.
    let _ = writeln!(err, "{error}");
    ExitCode::FAILURE
}

/// Help goes to where output goes; kubectl knows no other code for a wrong flag than 1.
fn say(refused: &clap::Error, out: &mut impl Write, err: &mut impl Write) -> ExitCode {
    let text = refused.render();
    if refused.use_stderr() {
        let _ = write!(err, "{text}");
        return ExitCode::FAILURE;
    }
    let _ = write!(out, "{text}");
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
