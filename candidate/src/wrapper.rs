//! `candidate run`: a program that runs only while its candidate leads.
//!
//! Each term starts the program anew under a keeper and ends when nothing of it is left; only then is the guard of the
//! term dropped, which gives the lease back.

use std::process::ExitCode;
use std::time::Duration;

use candidate::clock::{BootClock, Clock};
use candidate::run::{Exit, ProgramSpec, RunError, Supervised, election_env};
use candidate::{Candidate, Leadership};
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Restart, RunArgs};

/// The signals that this command listens to.
pub(crate) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    user1: tokio::signal::unix::Signal,
    user2: tokio::signal::unix::Signal,
}

enum Heard {
    End,
    PassOn(Signal),
}

impl Signals {
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Resolves when this command is to end.
    pub(crate) async fn end(&mut self) {
        while !matches!(self.next().await, Heard::End) {}
    }

    async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.terminate.recv() => Heard::End,
            _ = self.interrupt.recv() => Heard::End,
            _ = self.hangup.recv() => Heard::PassOn(Signal::HUP),
            _ = self.user1.recv() => Heard::PassOn(Signal::USR1),
            _ = self.user2.recv() => Heard::PassOn(Signal::USR2),
        }
    }
}

/// How one term of the program ended.
enum TermEnd {
    /// The program ended by itself, with this exit.
    ByItself(Exit),
    /// It was stopped because the term ended.
    Stopped,
}

/// Says before the candidate joins whether its program can be started at all.
pub(crate) fn check(args: &RunArgs) -> Result<(), RunError> {
    spec(args, Vec::new()).check()
}

fn spec(args: &RunArgs, env: Vec<(String, String)>) -> ProgramSpec {
    let (program, arguments) = args.program.split_first().expect("clap requires a program");
    ProgramSpec {
        program: program.clone(),
        args: arguments.to_vec(),
        env,
    }
}

/// Stands for the lease until the program, a signal or an error ends it.
pub(crate) async fn run(
    mut candidate: Candidate,
    args: &RunArgs,
    mut signals: Signals,
) -> anyhow::Result<ExitCode> {
    let mut pause = FIRST_PAUSE;
    loop {
        let leadership = tokio::select! {
            leadership = candidate.lead() => leadership?,
            heard = signals.next() => {
                if matches!(heard, Heard::End) {
                    candidate.shutdown().await?;
                    return Ok(ExitCode::SUCCESS);
                }
                continue;
            }
        };
        let Some(leadership) = leadership else {
            return Ok(ExitCode::SUCCESS);
        };
        let began = BootClock::new().now();
        let mut asked_to_end = false;
        let end = term(leadership, args, &mut signals, &candidate, &mut asked_to_end).await;
        match end {
            Err(error) if error.may_pass() && args.restart != Restart::Never => {
                tracing::warn!(?pause, "{error}: standing again after a pause");
            }
            Err(error) => {
                candidate.shutdown().await?;
                return Err(error.into());
            }
            Ok(_) if asked_to_end => {
                candidate.shutdown().await?;
                return Ok(ExitCode::SUCCESS);
            }
            Ok(TermEnd::Stopped) if args.restart != Restart::Never => continue,
            Ok(TermEnd::Stopped) => {
                candidate.shutdown().await?;
                return Ok(ExitCode::SUCCESS);
            }
            Ok(TermEnd::ByItself(exit)) if args.restart != Restart::Always => {
                candidate.shutdown().await?;
                return Ok(exit_code(exit));
            }
            Ok(TermEnd::ByItself(exit)) => {
                if BootClock::new().now().since(began) > LONGEST_PAUSE {
                    pause = FIRST_PAUSE;
                }
                tracing::warn!(?pause, "the program {exit}: standing again after a pause");
            }
        }
        rest(&candidate, &mut signals, pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Runs the program for one term; the guard is dropped when nothing of it is left.
async fn term(
    leadership: Leadership,
    args: &RunArgs,
    signals: &mut Signals,
    candidate: &Candidate,
    asked_to_end: &mut bool,
) -> Result<TermEnd, RunError> {
    let (lease, identity) = (leadership.lease().to_string(), leadership.identity().to_string());
    let transitions = i32::try_from(leadership.term()).unwrap_or(i32::MAX);
    let spec = spec(
        args,
        election_env(&lease, &identity, leadership.token().as_str(), transitions),
    );
    let mut watch = leadership.watch();
    let mut program = Supervised::start(&spec, watch.current().deadline.as_nanos()).await?;
    tracing::info!(lease, identity, token = %leadership.token(), group = program.group(), "program started");
    let mut told_to_stop = false;
    let exit = loop {
        let state = watch.current();
        program.extend(state.deadline.as_nanos());
        if let Some(kill_at) = state.kill_at {
            told_to_stop = true;
            program.terminate(kill_at.as_nanos());
        }
        tokio::select! {
            exit = program.exited() => break exit,
            () = watch.changed() => {}
            heard = signals.next() => match heard {
                Heard::PassOn(signal) => program.signal(signal),
                Heard::End => {
                    *asked_to_end = true;
                    candidate.begin_shutdown();
                }
            },
        }
    };
    tracing::info!(lease, identity, "program {exit}");
    let killed = matches!(exit, Exit::DeadlineReached | Exit::KeeperLost);
    Ok(if told_to_stop || killed {
        TermEnd::Stopped
    } else {
        TermEnd::ByItself(exit)
    })
}

/// Stands aside for a while, so that a program that cannot live does not take the lease again and again.
async fn rest(candidate: &Candidate, signals: &mut Signals, pause: Duration) {
    let clock = BootClock::new();
    let health = candidate.health();
    health.set(false);
    tokio::select! {
        () = clock.sleep_until(clock.now() + pause) => {}
        () = signals.end() => candidate.begin_shutdown(),
    }
    health.set(true);
}

fn exit_code(exit: Exit) -> ExitCode {
    let code = match exit {
        Exit::Code(code) => code,
        Exit::Signal(signal) => 128 + signal,
        Exit::DeadlineReached | Exit::KeeperLost => 1,
    };
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// The pause after a program that ended by itself; doubles with each one in a row.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause; a program that ran for longer than this has lived.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
