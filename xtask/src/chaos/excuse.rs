//! Which refused writes are no violation: those of a program that nobody could stop in time.
//!
//! Only its own are: whoever else is refused meanwhile led although somebody newer did.

use anyhow::ensure;

use super::ledger::Entry;

/// The programs that stood still with whoever would have stopped them, or acted on while all of those did.
#[derive(Clone, Debug, Default)]
pub(super) struct Excuses(Vec<Excuse>);

#[derive(Clone, Debug)]
struct Excuse {
    /// An accepted write of the program.
    program: Entry,
    /// When its next write must have been refused, or the program killed.
    until: Option<u64>,
}

impl Excuses {
    /// Excuses whoever has made a write, until further notice.
    pub(super) fn add(&mut self, program: Entry) {
        self.0.push(Excuse { program, until: None });
    }

    /// From now on somebody can stop them again.
    pub(super) fn end(&mut self, at: u64) {
        for excuse in &mut self.0 {
            excuse.until.get_or_insert(at);
        }
    }

    fn cover(&self, refused: &Entry) -> bool {
        self.0.iter().any(|Excuse { program, until }| {
            (refused.pid, &refused.identity, &refused.token)
                == (program.pid, &program.identity, &program.token)
                && until.is_none_or(|until| refused.at <= until)
        })
    }

    /// The error is a violation.
    pub(super) fn check(&self, refused: &[Entry], last: Option<&Entry>) -> anyhow::Result<()> {
        for refused in refused {
            ensure!(
                self.cover(refused),
                "violation: S1: a write was refused, which the election should have prevented: {refused:?}; the last \
                 one that was accepted: {last:?}"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Verdict;
    use super::*;
    use election_core::{FencingToken, Revision};

    fn entry(identity: &str, pid: i32, token: &str, at: u64) -> Entry {
        Entry {
            verdict: Verdict::Refused,
            token: FencingToken::new(Revision::new(token)),
            at,
            identity: identity.to_owned(),
            pid,
        }
    }

    #[test]
    fn nobody_is_refused_without_an_excuse() {
        let refused = [entry("alpha", 1, "9", 5)];
        let error = Excuses::default().check(&refused, None).unwrap_err().to_string();
        assert!(error.contains("S1"), "{error}");
    }

    #[test]
    fn the_program_that_stood_still_is_excused_and_no_other() {
        let mut excuses = Excuses::default();
        excuses.add(entry("alpha", 1, "9", 5));
        let excused = |refused: Entry| excuses.check(&[refused], None).is_ok();
        assert!(excused(entry("alpha", 1, "9", 1000)), "whenever it goes on");
        assert!(!excused(entry("alpha", 2, "9", 6)), "another process of its name");
        assert!(!excused(entry("bravo", 1, "9", 6)), "another name");
        assert!(!excused(entry("alpha", 1, "10", 6)), "another term");
        let both = [entry("alpha", 1, "9", 6), entry("bravo", 2, "10", 7)];
        assert!(
            excuses.check(&both, None).is_err(),
            "two real leaders in its shadow"
        );
    }

    #[test]
    fn an_excuse_ends_and_a_later_one_does_not_prolong_it() {
        let mut excuses = Excuses::default();
        excuses.add(entry("alpha", 1, "9", 5));
        excuses.end(100);
        excuses.add(entry("bravo", 2, "10", 110));
        excuses.end(200);
        for (refused, is_excused) in [
            (entry("alpha", 1, "9", 100), true),
            (entry("alpha", 1, "9", 101), false),
            (entry("bravo", 2, "10", 200), true),
            (entry("bravo", 2, "10", 201), false),
        ] {
            assert_eq!(
                excuses.check(std::slice::from_ref(&refused), None).is_ok(),
                is_excused,
                "{refused:?}"
            );
        }
    }
}
