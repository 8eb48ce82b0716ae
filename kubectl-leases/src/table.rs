//! The table: columns as kubectl has them, three spaces apart, AGE last.
//!
//! A table can be continued: `--watch` prints further rows under the same columns.

use std::io::{self, Write};
use std::time::Duration;

use crate::view::LeaseStatus;
use crate::words::{age, plain};

/// What a table shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape {
    /// With the namespace as first column.
    pub namespace: bool,
    /// With the columns of `-o wide`.
    pub wide: bool,
    /// With a line of column names.
    pub headers: bool,
    /// With colours for the state.
    pub color: bool,
}

/// A table that remembers how wide its columns have become.
#[derive(Debug)]
pub struct Table {
    shape: Shape,
    widths: Vec<usize>,
    begun: bool,
}

const NONE: &str = "<none>";
const UNKNOWN: &str = "<unknown>";
const GAP: usize = 3;

impl Table {
    /// An empty table.
    #[must_use]
    pub const fn new(shape: Shape) -> Self {
        Self {
            shape,
            widths: Vec::new(),
            begun: false,
        }
    }

    /// Prints rows, under the column names if these are the first.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn print(&mut self, out: &mut impl Write, statuses: &[LeaseStatus]) -> io::Result<()> {
        let shown = |cells: Vec<String>| cells.iter().map(|cell| plain(cell).into_owned()).collect();
        let rows: Vec<Vec<String>> = statuses.iter().map(|status| shown(self.row(status))).collect();
        let headers = (self.shape.headers && !self.begun).then(|| self.headers());
        self.begun = true;
        if let Some(headers) = &headers {
            self.widen(headers);
        }
        rows.iter().for_each(|row| self.widen(row));
        if let Some(headers) = &headers {
            self.line(out, headers, None)?;
        }
        let mut lines = rows.iter().zip(statuses);
        lines.try_for_each(|(cells, status)| self.line(out, cells, Some(status)))
    }

    fn headers(&self) -> Vec<String> {
        let namespace = self.shape.namespace.then_some("NAMESPACE");
        let usual = [
            "NAME",
            "STATE",
            "HOLDER",
            "VERSION",
            "TERM",
            "RENEWED",
            "CANDIDATES",
        ];
        let wide = if self.shape.wide {
            &["PREFERRED", "TOKEN", "STRATEGY", "REASON"][..]
        } else {
            &[]
        };
        let all = namespace
            .into_iter()
            .chain(usual)
            .chain(wide.iter().copied())
            .chain(["AGE"]);
        all.map(str::to_owned).collect()
    }

    fn row(&self, status: &LeaseStatus) -> Vec<String> {
        let (live, all) = status.counts();
        let version = match (&status.holder, &status.versions) {
            (None, _) => NONE.to_owned(),
            (Some(_), None) => UNKNOWN.to_owned(),
            (Some(_), Some(pair)) => format!("{}/{}", pair.emulation, pair.binary),
        };
        let renewed = match (&status.renew_time, status.renewed_seconds_ago) {
            (None, _) => NONE.to_owned(),
            (Some(_), None) => UNKNOWN.to_owned(),
            (Some(_), Some(seconds)) => seconds_in_words(seconds),
        };
        let mut cells = Vec::new();
        cells.extend(self.shape.namespace.then(|| status.namespace.clone()));
        cells.extend([
            status.name.clone(),
            status.state_words(),
            status.holder.clone().unwrap_or_else(|| NONE.to_owned()),
            version,
            status
                .term
                .map_or_else(|| NONE.to_owned(), |term| term.to_string()),
            renewed,
            format!("{live}/{all}"),
        ]);
        if self.shape.wide {
            cells.extend([
                status.preferred_holder.clone().unwrap_or_else(|| NONE.to_owned()),
                status
                    .fencing_token_at_most
                    .as_ref()
                    .map_or_else(|| NONE.to_owned(), |token| format!("<={token}")),
                status.strategy.name.to_owned(),
                status.reason.code.to_owned(),
            ]);
        }
        cells.push(
            status
                .age_seconds
                .map_or_else(|| UNKNOWN.to_owned(), seconds_in_words),
        );
        cells
    }

    fn widen(&mut self, cells: &[String]) {
        self.widths.resize(cells.len(), 0);
        for (width, cell) in self.widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.chars().count());
        }
    }

    fn line(&self, out: &mut impl Write, cells: &[String], status: Option<&LeaseStatus>) -> io::Result<()> {
        let Some((last, rest)) = cells.split_last() else {
            return Ok(());
        };
        let of_state = if self.shape.namespace { 2 } else { 1 };
        for (column, (cell, width)) in rest.iter().zip(&self.widths).enumerate() {
            let color = status
                .filter(|_| self.shape.color && column == of_state)
                .map(color);
            if let Some(color) = color {
                write!(
                    out,
                    "\u{1b}[{color}m{cell}\u{1b}[0m{:gap$}",
                    "",
                    gap = width + GAP - cell.chars().count()
                )?;
            } else {
                write!(out, "{cell:width$}", width = width + GAP)?;
            }
        }
        writeln!(out, "{last}")
    }
}

/// The colour of a state: red is for a person, yellow passes, green is as it should be.
fn color(status: &LeaseStatus) -> u8 {
    if status.is_problem() {
        31
    } else if status.state == "Held" && status.conditions.is_empty() {
        32
    } else {
        33
    }
}

/// Prints lines in columns that are as wide as what is in them; the last column is free.
///
/// # Errors
/// When `out` cannot be written.
pub(crate) fn columns(out: &mut dyn Write, indent: &str, lines: Vec<Vec<String>>) -> io::Result<()> {
    let mut widths: Vec<usize> = Vec::new();
    let shown = |cells: Vec<String>| cells.iter().map(|cell| plain(cell).into_owned()).collect();
    let lines: Vec<Vec<String>> = lines.into_iter().map(shown).collect();
    for cells in &lines {
        widths.resize(widths.len().max(cells.len()), 0);
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for cells in &lines {
        let Some((last, rest)) = cells.split_last() else {
            continue;
        };
        write!(out, "{indent}")?;
        for (cell, width) in rest.iter().zip(&widths) {
            write!(out, "{cell:width$}", width = width + GAP)?;
        }
        writeln!(out, "{last}")?;
    }
    Ok(())
}

pub(crate) fn seconds_in_words(seconds: u64) -> String {
    age(Duration::from_secs(seconds))
}
