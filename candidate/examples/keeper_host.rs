//! The processes of the keeper tests: a wrapper without an election (`host`), and a program whose every act can be
//! seen afterwards (`ticker`).
//!
//! `host DEADLINE PROGRAM ARGS…` runs PROGRAM under a keeper, does what it reads on stdin, line by line, and writes
//! what comes of it to stdout. `ticker FILE [MODE…]` appends a record to FILE every few milliseconds.

#[cfg(all(feature = "cli", target_os = "linux"))]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(not(all(feature = "cli", target_os = "linux")))]
fn main() {}

#[cfg(all(feature = "cli", target_os = "linux"))]
mod linux {
    use std::ffi::OsString;
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::process::{Command, ExitCode};
    use std::time::Duration;

    use candidate::run::{ProgramSpec, Supervised, election_env, hidden_subcommand};
    use rustix::process::Signal;
    use rustix::time::{ClockId, Timespec, clock_gettime};
    use tokio::io::{AsyncBufReadExt, BufReader};
    use tokio::net::unix::pipe::Receiver;
    use tokio::signal::unix::{SignalKind, signal};

    pub(super) fn main() -> ExitCode {
        if let Some(code) = hidden_subcommand(std::env::args_os()) {
            return code;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        let runtime = runtime.expect("a runtime");
        let mut args = std::env::args_os().skip(1);
        match args.next().as_ref().and_then(|mode| mode.to_str()) {
            Some("host") => runtime.block_on(host(args)),
            Some("ticker") => {
                let _entered = runtime.enter();
                ticker(args)
            }
            _ => ExitCode::from(2),
        }
    }

    fn say(line: &str) {
        writeln!(std::io::stdout(), "{line}").expect("the test reads stdout");
    }

    async fn host(mut args: impl Iterator<Item = OsString>) -> ExitCode {
        let deadline = number(args.next().as_ref().and_then(|deadline| deadline.to_str()));
        let spec = ProgramSpec {
            program: args.next().expect("a program"),
            args: args.collect(),
            env: election_env("default/web", "alpha", "4711", 3),
        };
        let mut supervised = match Supervised::start(&spec, deadline).await {
            Ok(supervised) => supervised,
            Err(error) => {
                say(&format!("error {error}"));
                return ExitCode::FAILURE;
            }
        };
        say(&format!("started {}", supervised.group()));
        let stdin = std::io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .expect("stdin is open");
        let mut lines = BufReader::new(Receiver::from_owned_fd(stdin).expect("stdin is a pipe")).lines();
        loop {
            tokio::select! {
                exit = supervised.exited() => {
                    say(&format!("exit {exit:?}"));
                    return ExitCode::SUCCESS;
                }
                line = lines.next_line() => {
                    let line = line.expect("stdin is readable").expect("the test keeps stdin open");
                    let mut words = line.split(' ');
                    match words.next() {
                        Some("extend") => supervised.extend(number(words.next())),
                        // More renewals than a socket holds, so far apart that the guard sees most of them.
                        Some("flood") => {
                            let deadline = number(words.next());
                            for early in (0..600_u64).rev() {
                                supervised.extend(deadline - early * 1_000_000);
                                pause(Duration::from_millis(1));
                            }
                            say("flooded");
                        }
                        Some("hangup") => supervised.signal(Signal::HUP),
                        Some("terminate") => supervised.terminate(number(words.next())),
                        Some("stop") => {
                            let exit = supervised.stop(number(words.next())).await;
                            say(&format!("exit {exit:?}"));
                            return ExitCode::SUCCESS;
                        }
                        Some("drop") => {
                            drop(supervised);
                            // Lives on until the test ends it.
                            return std::future::pending().await;
                        }
                        _ => panic!("unknown command {line:?}"),
                    }
                }
            }
        }
    }

    /// The pace of what this program pretends to do.
    fn pause(time: Duration) {
        let time = Timespec {
            tv_sec: 0,
            tv_nsec: time.subsec_nanos().into(),
        };
        let _ = rustix::event::poll(&mut [], Some(&time));
    }

    fn number(word: Option<&str>) -> u64 {
        word.and_then(|word| word.parse().ok())
            .expect("a number of nanoseconds")
    }

    /// Appends its process id and the time, eight bytes each, until somebody ends it, or for twenty seconds.
    fn ticker(mut args: impl Iterator<Item = OsString>) -> ExitCode {
        let path = args.next().expect("a file");
        let (mut children, mut ballast) = (Vec::new(), Vec::new());
        for mode in args {
            match mode.to_str() {
                Some("ignore-term") => drop(signal(SignalKind::terminate()).expect("a signal handler")),
                Some("own-group") => rustix::process::setpgid(None, None).expect("a new process group"),
                Some("own-session") => drop(rustix::process::setsid().expect("a new session")),
                // Takes long to die: the kernel gives all of this back first.
                Some("heavy") => ballast.push(vec![1_u8; 256 << 20]),
                // A child in the mode that follows the word.
                Some(child) => {
                    let mode = child.strip_prefix("child:").expect("a known mode");
                    let this = std::env::current_exe().expect("/proc is there");
                    let mut child = Command::new(this);
                    child
                        .arg("ticker")
                        .arg(&path)
                        .args((!mode.is_empty()).then_some(mode));
                    children.push(child.spawn().expect("a child"));
                }
                None => panic!("unknown mode {mode:?}"),
            }
        }
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .expect("a file to write");
        for _ in 0..4000 {
            let now = clock_gettime(ClockId::Boottime);
            let now = now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64;
            let mut record = u64::from(std::process::id()).to_le_bytes().to_vec();
            record.extend(now.to_le_bytes());
            file.write_all(&record).expect("the file is writable");
            let _ = rustix::event::poll(
                &mut [],
                Some(&Timespec {
                    tv_sec: 0,
                    tv_nsec: 5_000_000,
                }),
            );
        }
        ExitCode::SUCCESS
    }
}
