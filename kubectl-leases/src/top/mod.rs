//! `kubectl leases top`: all elections on one screen, live.
//!
//! `Model` is what is known and what is selected; it has no terminal and no clock. `screen` draws it. Keys, watches and ticks
//! come from `commands/top.rs`.

use std::collections::{BTreeMap, VecDeque};

use election_core::LeaseKey;

use crate::electors::Electors;
use crate::explain::{explain, print};
use crate::survey::Survey;
use crate::view::LeaseStatus;

pub mod screen;

/// How many moments the line of renewals shows.
pub const MOMENTS: usize = 24;

/// What is on the screen.
#[derive(Debug)]
pub struct Model {
    rows: Vec<Row>,
    selected: usize,
    problems_only: bool,
    /// The lease that is explained, and how far its text is scrolled.
    open: Option<(LeaseKey, u16)>,
    survey: Option<Survey>,
    electors: Electors,
    history: BTreeMap<LeaseKey, VecDeque<u64>>,
    complaint: Option<String>,
    /// The lease whose leader is to step down, if somebody confirms it.
    asking: Option<(LeaseKey, String)>,
    /// What was done last.
    said: Option<String>,
}

/// A lease on the screen.
#[derive(Clone, Debug)]
pub struct Row {
    /// What is said about it.
    pub status: LeaseStatus,
    /// Who would be next.
    pub next: Option<String>,
    /// At each of the last moments, how much of its duration had passed since the last renewal, in eighths.
    pub renewals: Vec<u64>,
}

/// What a person asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The line above, or the text above.
    Up,
    /// The line below, or the text below.
    Down,
    /// Explain the selected lease.
    Open,
    /// Back to the table.
    Close,
    /// Only problems, or everything again.
    Problems,
    /// Ask the leader of the selected lease to step down, after a confirmation.
    StepDown,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            selected: 0,
            problems_only: false,
            open: None,
            survey: None,
            electors: Electors::NoLease,
            history: BTreeMap::new(),
            complaint: None,
            asking: None,
            said: None,
        }
    }
}

impl Model {
    /// Takes in how it is at a moment; one moment is as long as the caller likes.
    pub fn look(&mut self, survey: Survey) {
        let statuses = survey.coordinated();
        for status in &statuses {
            let key = key_of(status);
            let history = self.history.entry(key).or_default();
            if history.len() == MOMENTS {
                history.pop_front();
            }
            history.push_back(silence(status));
        }
        self.survey = Some(survey);
        self.choose(statuses);
    }

    /// Takes in what is known of the electors.
    pub fn electors(&mut self, electors: Electors) {
        self.electors = electors;
    }

    /// Says that something is wrong with the connection, or is not any more.
    pub fn complain(&mut self, complaint: Option<String>) {
        self.complaint = complaint;
    }

    /// Whose lease it is that somebody is asked about, and the question.
    #[must_use]
    pub const fn question(&self) -> Option<&(LeaseKey, String)> {
        self.asking.as_ref()
    }

    /// The question is answered: for which lease the leader is to step down, if it is.
    pub fn answer(&mut self, yes: bool) -> Option<LeaseKey> {
        self.asking.take().filter(|_| yes).map(|(key, _)| key)
    }

    /// Says what was done, until somebody asks for something else.
    pub fn say(&mut self, what: String) {
        self.said = Some(what);
    }

    /// Does what a person asks for.
    pub fn ask(&mut self, ask: Ask) {
        self.said = None;
        match (ask, &mut self.open) {
            (Ask::Up, Some((_, scrolled))) => *scrolled = scrolled.saturating_sub(1),
            (Ask::Down, Some((_, scrolled))) => *scrolled = scrolled.saturating_add(1),
            (Ask::Up, None) => self.selected = self.selected.saturating_sub(1),
            (Ask::Down, None) => self.selected = (self.selected + 1).min(self.rows.len().saturating_sub(1)),
            (Ask::Open, None) => self.open = self.rows.get(self.selected).map(|row| (key_of(&row.status), 0)),
            (Ask::Close, _) => self.open = None,
            (Ask::Problems, None) => {
                self.problems_only = !self.problems_only;
                if let Some(survey) = self.survey.clone() {
                    self.choose(survey.coordinated());
                }
            }
            (Ask::StepDown, None) => {
                let row = self.rows.get(self.selected);
                self.asking = row.filter(|row| row.status.state == "Held").map(|row| {
                    let (key, holder) = (key_of(&row.status), row.status.holder.as_deref().unwrap_or("?"));
                    let next = row.next.as_deref().unwrap_or("nobody");
                    let question = format!("Ask {holder} to step down from {key}? Next is {next}. [y/N]");
                    (key, question)
                });
            }
            (Ask::Open | Ask::Problems | Ask::StepDown, Some(_)) => {}
        }
    }

    /// The lines of the table.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Which line is selected.
    #[must_use]
    pub const fn selected(&self) -> usize {
        self.selected
    }

    /// The text about the lease that is open, and how far it is scrolled.
    #[must_use]
    pub fn text(&self) -> Option<(String, u16)> {
        let (key, scrolled) = self.open.as_ref()?;
        let survey = self.survey.as_ref()?;
        if survey.one(key).is_none() {
            return Some((format!("{key} is gone."), 0));
        }
        let mut text = Vec::new();
        // A text in memory can always be written.
        let _ = print(&mut text, &explain(survey, key, self.electors.clone(), &[]));
        Some((String::from_utf8_lossy(&text).into_owned(), *scrolled))
    }

    fn choose(&mut self, mut statuses: Vec<LeaseStatus>) {
        statuses.retain(|status| !self.problems_only || status.is_problem());
        let history = &self.history;
        let row = |status: LeaseStatus| Row {
            next: next(&status),
            renewals: history
                .get(&key_of(&status))
                .map(|history| history.iter().copied().collect())
                .unwrap_or_default(),
            status,
        };
        self.rows = statuses.into_iter().map(row).collect();
        self.selected = self.selected.min(self.rows.len().saturating_sub(1));
    }
}

fn key_of(status: &LeaseStatus) -> LeaseKey {
    LeaseKey::new(&status.namespace, &status.name)
}

/// The best of those that could lead and do not.
fn next(status: &LeaseStatus) -> Option<String> {
    let preferred = status.preferred_holder.clone();
    let others = status
        .candidates
        .iter()
        .filter(|candidate| candidate.live && Some(&candidate.identity) != status.holder.as_ref());
    preferred.or_else(|| others.map(|candidate| candidate.identity.clone()).next())
}

/// Eighths of the duration without a renewal; 8 is expired.
fn silence(status: &LeaseStatus) -> u64 {
    let duration = status.lease_duration_seconds.map_or(15, u64::from).max(1);
    match (status.state.as_str(), status.renewed_seconds_ago) {
        ("Held", Some(seconds)) => (seconds * 8 / duration).min(8),
        _ => 8,
    }
}
