//! The API server and the clocks: how fast it answers, against what the knobs allow, and whose time is off.

use std::time::Duration;

use election_core::{LeaseKey, Wall};

use super::Finding;
use crate::survey::Survey;
use crate::table::seconds_in_words;
use crate::words::since;

/// How fast the server answers, against how long a candidate waits.
#[must_use]
pub fn latency(server: &str, mut answers: Vec<Duration>, limit: Duration) -> Finding {
    answers.sort();
    let slowest = answers.last().copied().unwrap_or_default();
    let median = answers.get(answers.len() / 2).copied().unwrap_or_default();
    let message = format!(
        "{server} answers in {median:.0?}, at most {slowest:.0?}; a candidate waits {limit:.1?} for an answer"
    );
    let advice = "a slow server costs renewals: look at its load and at etcd, or raise the lease duration";
    if slowest >= limit {
        Finding::problem("ServerTooSlow", "server", message, advice)
    } else if slowest * 4 >= limit {
        Finding::warning("ServerSlow", "server", message, advice)
    } else {
        Finding::ok("Server", "server", message)
    }
}

/// A clock that is this far from the server's is worth a word.
const NOTABLE: Duration = Duration::from_secs(2);
/// A stamp is set before a request that may take its time, and the server notes whole seconds.
const NOTABLE_STAMP: Duration = Duration::from_secs(5);

/// How far this machine is from the server.
#[must_use]
pub fn own_clock(here: Wall, server: Option<Wall>) -> Finding {
    let Some(server) = server else {
        return Finding::note(
            "ClockUnknown",
            "clock",
            "the server tells no time, so ages are counted from the newest renewal",
            "something between here and the server removes the Date of its answers: go around it with --server",
        );
    };
    let off = since(here, server).max(since(server, here));
    if off <= NOTABLE {
        return Finding::ok("Clock", "clock", "this machine and the server agree within 2 s");
    }
    let message = format!(
        "this machine and the server are {} apart; nothing here depends on it",
        seconds_in_words(off.as_secs())
    );
    Finding::note(
        "ClockOffset",
        "clock",
        message,
        "set the clock of this machine (chronyc tracking, timedatectl)",
    )
}

/// Whose stamps are off, by what the server has noted.
#[must_use]
pub fn stamps(survey: &Survey, only: Option<&LeaseKey>) -> Vec<Finding> {
    let now = survey.moment().now;
    let mut findings = Vec::new();
    let named = |key: &LeaseKey| only.is_none_or(|only| key == only || survey.is_candidate_of(key, only));
    for (key, stamp, noted) in survey.stamps().filter(|(key, ..)| named(key)) {
        let ahead = now
            .map(|now| since(stamp, now))
            .filter(|ahead| *ahead > NOTABLE_STAMP);
        let behind = noted
            .map(|noted| since(noted, stamp))
            .filter(|behind| *behind > NOTABLE_STAMP);
        let (far, word) = match (ahead, behind) {
            (Some(ahead), _) => (ahead, "ahead of"),
            (None, Some(behind)) => (behind, "behind"),
            (None, None) => continue,
        };
        let message = format!(
            "whoever renews it has a clock that is {} {word} the server's",
            seconds_in_words(far.as_secs())
        );
        let advice = "no election depends on it, but what people read does: set the clock of its node";
        findings.push(Finding::warning("ClockSkew", key, message, advice));
    }
    findings
}
