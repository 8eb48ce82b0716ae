//! One lease in full, as `kubectl describe` would show it: what is decided, and each candidate with its reason.

use std::io::{self, Write};

use election_core::LeaseState;

use crate::moment::TimeSource;
use crate::table::seconds_in_words;
use crate::view::{Condition, LeaseStatus, VersionPair};
use crate::words::plain;

/// Prints one lease.
///
/// # Errors
/// When `out` cannot be written.
pub fn describe(out: &mut impl Write, status: &LeaseStatus) -> io::Result<()> {
    let mut field = |name: &str, text: &str| writeln!(out, "{:<13}{}", format!("{name}:"), plain(text));
    field("Name", &status.name)?;
    field("Namespace", &status.namespace)?;
    field("State", &status.state_words())?;
    field("Holder", &holder(status))?;
    if let Some(successor) = &status.preferred_holder {
        field("Successor", successor)?;
    }
    field(
        "Term",
        &status
            .term
            .map_or_else(|| "<none>".to_owned(), |term| term.to_string()),
    )?;
    if let Some(token) = &status.fencing_token_at_most {
        field(
            "Token",
            &format!("at most {token} (only the leader knows it; each renewal moves this bound)"),
        )?;
    }
    if let Some(acquired) = &status.acquire_time {
        field("Acquired", acquired)?;
    }
    if status.state == LeaseState::Offered.as_str() {
        let unknown = || "at a time that the server has not noted, so it is taken for now".to_owned();
        field(
            "Offered",
            &status
                .offered_seconds_ago
                .map_or_else(unknown, |ago| format!("{} ago", seconds_in_words(ago))),
        )?;
    }
    field("Renewed", &renewed(status))?;
    if let Some(seconds) = status.lease_duration_seconds {
        field("Duration", &format!("{seconds}s"))?;
    }
    let source = if status.strategy.from_lease {
        "the lease asks for it"
    } else {
        "the lease asks for none"
    };
    field("Strategy", &format!("{} ({source})", status.strategy.name))?;
    for asked in &status.asked {
        field("Asked", asked)?;
    }
    field("Decision", &status.decision.message)?;
    field(
        "Reason",
        &format!("{}: {}", status.reason.code, status.reason.message),
    )?;
    if status.conditions.contains(&Condition::Unattended) {
        field(
            "Hint",
            "no elector has acted for a while: is one running? see -n kube-system lease coordinated-election-controller",
        )?;
    }
    field("Estimate", basis(status.observed.source))?;
    candidates(out, status)
}

fn holder(status: &LeaseStatus) -> String {
    match (&status.holder, &status.versions) {
        (None, _) => "<none>".to_owned(),
        (Some(holder), None) => format!("{holder} (versions unknown: it does not offer itself)"),
        (Some(holder), Some(VersionPair { emulation, binary })) => {
            format!("{holder} (emulation {emulation}, binary {binary})")
        }
    }
}

fn renewed(status: &LeaseStatus) -> String {
    let Some(time) = &status.renew_time else {
        return "<none>".to_owned();
    };
    let Some(seconds) = status.renewed_seconds_ago else {
        return time.clone();
    };
    let ago = format!("{} ago, {time}", seconds_in_words(seconds));
    match status.expires_in_seconds {
        None => ago,
        Some(0) => format!("{ago}; expired"),
        Some(left) => format!("{ago}; expires in {left}s unless renewed"),
    }
}

/// On what everything rests that has to do with time.
fn basis(source: TimeSource) -> &'static str {
    match source {
        TimeSource::ServerDate => {
            "by the server's time, from one read; an elector goes by what it has seen itself"
        }
        TimeSource::NewestRenewTime => {
            "by the newest renewal, as the server told no time, from one read; an elector goes by what it has seen itself"
        }
        TimeSource::Unknown => "nothing is known of the time, so nobody counts as silent",
    }
}

fn candidates(out: &mut impl Write, status: &LeaseStatus) -> io::Result<()> {
    if status.candidates.is_empty() {
        return writeln!(out, "Candidates:  <none>");
    }
    writeln!(out, "Candidates:")?;
    let unknown = || "<unknown>".to_owned();
    let rows = status.candidates.iter().enumerate().map(|(index, candidate)| {
        let versions = candidate.versions.as_ref();
        let renewed = match (candidate.hand_written, candidate.renewed_seconds_ago) {
            (true, None) => "<none>".to_owned(),
            (_, seconds) => seconds.map_or_else(unknown, seconds_in_words),
        };
        let cells = [
            (index + 1).to_string(),
            candidate.identity.clone(),
            versions.map_or_else(unknown, |versions| versions.emulation.clone()),
            versions.map_or_else(unknown, |versions| versions.binary.clone()),
            renewed,
            candidate.standing.message.clone(),
        ];
        cells.map(|cell| plain(&cell).into_owned())
    });
    let headers = ["RANK", "IDENTITY", "EMULATION", "BINARY", "RENEWED", "STANDING"].map(str::to_owned);
    let lines: Vec<[String; 6]> = std::iter::once(headers).chain(rows).collect();
    let width = |column: usize| {
        lines
            .iter()
            .map(|cells| cells[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; 6] = std::array::from_fn(width);
    for cells in &lines {
        write!(out, "  ")?;
        for (cell, width) in cells.iter().zip(widths).take(5) {
            write!(out, "{cell:width$}   ")?;
        }
        writeln!(out, "{}", cells[5])?;
    }
    Ok(())
}
