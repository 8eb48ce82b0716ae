//! The shared resource: a file into which every leader's program writes, and which checks the fencing token of each
//! write, as a database would. A write that it refuses is written down as well: it is what the election should have
//! prevented.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use anyhow::{Context, ensure};
use election_core::{FencingToken, Revision};
use rustix::fs::{FlockOperation, flock};

use crate::bench::candidate::boottime;

/// Enough for the last lines, one of which is of a write that was accepted.
const TAIL: u64 = 4096;

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    /// A newer token was there before.
    Refused,
}

/// A write, or the attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) verdict: Verdict,
    pub(super) token: FencingToken,
    /// When, in nanoseconds of `CLOCK_BOOTTIME`.
    pub(super) at: u64,
    pub(super) identity: String,
    pub(super) pid: i32,
}

/// The file.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    file: PathBuf,
}

impl Ledger {
    pub(super) fn new(file: PathBuf) -> Self {
        Self { file }
    }

    /// Writes, if the token is not older than the newest that has written. The time is taken under the lock.
    pub(super) fn act(&self, identity: &str, token: &FencingToken) -> anyhow::Result<Verdict> {
        let mut file = self.open()?;
        flock(&file, FlockOperation::LockExclusive).context("cannot lock the ledger")?;
        let newest = last_accepted(&mut file)?;
        let verdict = match newest {
            Some(newest) if newest.token > *token => Verdict::Refused,
            _ => Verdict::Accepted,
        };
        let entry = Entry {
            verdict,
            token: token.clone(),
            at: boottime(),
            identity: identity.to_owned(),
            pid: rustix::process::getpid().as_raw_pid(),
        };
        file.write_all(entry.line().as_bytes())?;
        Ok(verdict)
    }

    fn open(&self) -> anyhow::Result<File> {
        let open = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(&self.file);
        open.with_context(|| format!("cannot open {}", self.file.display()))
    }
}

fn last_accepted(file: &mut File) -> anyhow::Result<Option<Entry>> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let mut entries = text.lines().rev().filter_map(Entry::parse);
    Ok(entries.find(|entry| entry.verdict == Verdict::Accepted))
}

impl Entry {
    fn line(&self) -> String {
        let verdict = match self.verdict {
            Verdict::Accepted => "accepted",
            Verdict::Refused => "refused",
        };
        format!(
            "{verdict} {} {} {} {}\n",
            self.token, self.at, self.identity, self.pid
        )
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let verdict = match words.next()? {
            "accepted" => Verdict::Accepted,
            "refused" => Verdict::Refused,
            _ => return None,
        };
        Some(Self {
            verdict,
            token: FencingToken::new(Revision::new(words.next()?)),
            at: words.next()?.parse().ok()?,
            identity: words.next()?.to_owned(),
            pid: words.next()?.parse().ok()?,
        })
    }
}

/// Reads what is new in the ledger, and checks it.
#[derive(Debug)]
pub(super) struct Auditor {
    file: PathBuf,
    read: u64,
    last: Option<Entry>,
    /// Which process acts with which token.
    actors: BTreeMap<FencingToken, i32>,
    accepted: u64,
}

/// What one audit found.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    pub(super) refused: Vec<Entry>,
    /// The longest time between two writes, in nanoseconds.
    pub(super) longest_gap: u64,
    /// The newest token and earlier ones may not be mixed.
    pub(super) writes: u64,
}

impl Auditor {
    pub(super) fn new(file: PathBuf) -> Self {
        Self {
            file,
            read: 0,
            last: None,
            actors: BTreeMap::new(),
            accepted: 0,
        }
    }

    /// The last write that was accepted.
    pub(super) fn last(&self) -> Option<&Entry> {
        self.last.as_ref()
    }

    /// How many writes were accepted, of how many terms.
    pub(super) fn counts(&self) -> (u64, usize) {
        (self.accepted, self.actors.len())
    }

    /// Reads on. The error is a violation: tokens that fall, time that falls, or two processes with one token.
    pub(super) fn audit(&mut self) -> anyhow::Result<Findings> {
        let mut findings = Findings::default();
        for line in self.new_lines()? {
            let entry = Entry::parse(&line).with_context(|| format!("the ledger has the line {line:?}"))?;
            if entry.verdict == Verdict::Refused {
                findings.refused.push(entry);
                continue;
            }
            self.accept(entry, &mut findings)?;
        }
        Ok(findings)
    }

    fn accept(&mut self, entry: Entry, findings: &mut Findings) -> anyhow::Result<()> {
        if let Some(last) = &self.last {
            ensure!(
                entry.token >= last.token && entry.at >= last.at,
                "violation: S2: {entry:?} came after {last:?}"
            );
            findings.longest_gap = findings.longest_gap.max(entry.at - last.at);
        }
        let actor = *self.actors.entry(entry.token.clone()).or_insert(entry.pid);
        ensure!(
            actor == entry.pid,
            "violation: S1: processes {actor} and {} both act with token {}",
            entry.pid,
            entry.token
        );
        findings.writes += 1;
        self.accepted += 1;
        self.last = Some(entry);
        Ok(())
    }

    fn new_lines(&mut self) -> anyhow::Result<Vec<String>> {
        let Ok(mut file) = File::open(&self.file) else {
            return Ok(Vec::new());
        };
        file.seek(SeekFrom::Start(self.read))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        // A line that is being written is read next time.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        text.truncate(whole);
        self.read += whole as u64;
        Ok(text.lines().map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> FencingToken {
        FencingToken::new(Revision::new(text))
    }

    #[test]
    fn an_older_token_is_refused_and_seen() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ledger");
        let (ledger, mut auditor) = (Ledger::new(file.clone()), Auditor::new(file));
        assert_eq!(ledger.act("alpha", &token("9")).unwrap(), Verdict::Accepted);
        assert_eq!(ledger.act("bravo", &token("10")).unwrap(), Verdict::Accepted);
        assert_eq!(ledger.act("alpha", &token("9")).unwrap(), Verdict::Refused);
        assert_eq!(ledger.act("bravo", &token("10")).unwrap(), Verdict::Accepted);
        let findings = auditor.audit().unwrap();
        assert_eq!(findings.refused.len(), 1);
        assert_eq!(findings.refused[0].identity, "alpha");
        assert_eq!((findings.writes, auditor.counts()), (3, (3, 2)));
        assert_eq!(
            auditor.audit().unwrap().writes,
            0,
            "what was read is not read again"
        );
    }

    #[test]
    fn violations_are_errors() {
        for (lines, what) in [
            ("accepted 10 5 alpha 1\naccepted 9 6 bravo 2\n", "S2"),
            ("accepted 10 5 alpha 1\naccepted 10 6 alpha 2\n", "S1"),
            ("accepted 10 5 alpha 1\naccepted 11 4 bravo 2\n", "S2"),
            ("nonsense\n", "nonsense"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("ledger");
            std::fs::write(&file, lines).unwrap();
            let error = Auditor::new(file).audit().unwrap_err().to_string();
            assert!(error.contains(what), "{lines:?}: {error}");
        }
    }
}
