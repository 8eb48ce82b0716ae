//! `kubectl leases top`: all elections on one screen, live.
//!
//! `Model` is what is known and what is selected; it has no terminal and no clock. `screen` draws it. Keys, watches and ticks
//! come from `commands/top.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use election_core::LeaseKey;

use crate::electors::Electors;
use crate::explain::{explain, print};
use crate::forecast::{Fate, forecast};
use crate::survey::{NOW, Survey};
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
    /// For how long the server has not answered, if it should have.
    silent: Option<Duration>,
    /// How many columns and lines the table, or the text, has.
    size: (u16, u16),
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
    /// A screen above.
    PageUp,
    /// A screen below.
    PageDown,
    /// The first line.
    First,
    /// The last line.
    Last,
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
            silent: None,
            size: (u16::MAX, u16::MAX),
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

    /// Says for how long the server has not answered, or that it has.
    pub const fn silent(&mut self, since: Option<Duration>) {
        self.silent = since;
    }

    /// Whether what is shown may not be so any more.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        self.silent.is_some()
    }

    /// Takes in how large the terminal is.
    pub const fn resize(&mut self, columns: u16, lines: u16) {
        self.size = (columns, lines);
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
        if let Some(steps) = self.steps(ask) {
            self.go(steps);
            return;
        }
        match (ask, &mut self.open) {
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
                    let next = self.next(row).unwrap_or_else(|| "nobody".to_owned());
                    let question = format!("Ask {holder} to step down from {key}? Next is {next}. [y/N]");
                    (key, question)
                });
            }
            _ => {}
        }
    }

    /// How many lines further down, if it is a way to go.
    fn steps(&self, ask: Ask) -> Option<isize> {
        let page = isize::from(i16::try_from(self.page().max(1)).unwrap_or(i16::MAX));
        match ask {
            Ask::Up => Some(-1),
            Ask::Down => Some(1),
            Ask::PageUp => Some(-page),
            Ask::PageDown => Some(page),
            Ask::First => Some(isize::MIN),
            Ask::Last => Some(isize::MAX),
            Ask::Open | Ask::Close | Ask::Problems | Ask::StepDown => None,
        }
    }

    fn go(&mut self, steps: isize) {
        let below = self.below();
        match &mut self.open {
            Some((_, scrolled)) => {
                let at = usize::from(*scrolled).saturating_add_signed(steps).min(below);
                *scrolled = u16::try_from(at).unwrap_or(u16::MAX);
            }
            None => {
                let last = self.rows.len().saturating_sub(1);
                self.selected = self.selected.saturating_add_signed(steps).min(last);
            }
        }
    }

    /// The lines of a table or text, without what is around it.
    fn page(&self) -> u16 {
        self.size.1.saturating_sub(screen::around(self))
    }

    /// How far the open text can be scrolled: until its last line is the last one on the screen.
    fn below(&self) -> usize {
        let width = usize::from(self.size.0).max(1);
        let text = self.text().map(|(text, _)| text).unwrap_or_default();
        let lines = text
            .lines()
            .map(|line| line.chars().count().div_ceil(width).max(1));
        lines.sum::<usize>().saturating_sub(usize::from(self.page()))
    }

    /// The lines of the table.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The lines that have room, and which of all is the first of them. The selected one is among them.
    #[must_use]
    pub fn shown(&self) -> (&[Row], usize) {
        let room = usize::from(self.page().max(1));
        let first = (self.selected + 1).saturating_sub(room);
        let end = self.rows.len().min(first + room);
        (&self.rows[first.min(end)..end], first)
    }

    /// Who would lead if the holder, or who has the offer, stopped now. The election is played on for that, which is too much
    /// for thousands of lines that nobody sees.
    #[must_use]
    pub fn next(&self, row: &Row) -> Option<String> {
        let (survey, key) = (self.survey.as_ref()?, key_of(&row.status));
        let (election, candidates) = (survey.election_now(&key), survey.candidates_of(&key));
        forecast(election, candidates, NOW, Fate::Stops).leader
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

/// Eighths of the duration without a renewal; 8 is expired.
fn silence(status: &LeaseStatus) -> u64 {
    let duration = status.lease_duration_seconds.map_or(15, u64::from).max(1);
    match (status.state.as_str(), status.renewed_seconds_ago) {
        ("Held", Some(seconds)) => (seconds * 8 / duration).min(8),
        _ => 8,
    }
}
