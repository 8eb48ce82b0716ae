//! The program that stands for any program: it says that it acts, and with which token, and then sits there.

use anyhow::Context;
use election_core::{FencingToken, Revision};
use rustix::process::{Pid, test_kill_process};

/// What runs under `candidate run`; the shell becomes `sleep`, so there is one process with one number.
pub(crate) const PROGRAM: [&str; 3] = [
    "sh",
    "-c",
    "echo acting: pid $$, token $ELECTION_TOKEN; exec sleep 86400",
];

/// What the line begins with that it prints.
pub(crate) const SAYS: &str = "acting: ";

/// What it has said about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Acting {
    pub(crate) pid: Pid,
    pub(crate) token: FencingToken,
}

impl Acting {
    /// Reads the rest of the line behind [`SAYS`].
    pub(crate) fn parse(line: &str) -> anyhow::Result<Self> {
        let fields = line
            .trim()
            .strip_prefix("pid ")
            .and_then(|line| line.split_once(", token "));
        let (pid, token) = fields.with_context(|| format!("the program said {line:?}"))?;
        let pid = pid
            .parse()
            .ok()
            .and_then(Pid::from_raw)
            .with_context(|| format!("{pid:?} is no process number"))?;
        Ok(Self {
            pid,
            token: FencingToken::new(Revision::new(token)),
        })
    }

    /// Whether the process is gone. One that nobody has waited for yet does not act any more either.
    pub(crate) fn is_gone(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid.as_raw_pid()));
        let zombie = stat.is_ok_and(|stat| {
            stat.rsplit_once(") ")
                .is_some_and(|(_, rest)| rest.starts_with('Z'))
        });
        zombie || test_kill_process(self.pid).is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_program_says_is_read() {
        let acting = Acting::parse("pid 4711, token 42").unwrap();
        assert_eq!(acting.pid.as_raw_pid(), 4711);
        assert!(acting.token > FencingToken::new(Revision::new("9")));
        for bad in ["", "pid x, token 1", "pid 0, token 1", "token 1"] {
            assert!(Acting::parse(bad).is_err(), "{bad:?} should be refused");
        }
    }

    #[test]
    fn a_process_that_runs_is_not_gone() {
        let own = Acting {
            pid: rustix::process::getpid(),
            token: FencingToken::new(Revision::new("1")),
        };
        assert!(!own.is_gone());
    }
}
