//! Where the outside enters: the task of the election, and what makes a process unlike any other.

#![expect(
    clippy::disallowed_methods,
    reason = "the one place where this crate starts a task and draws a UUID"
)]

use std::hash::{DefaultHasher, Hash, Hasher};

use election_core::candidate::Settings;
use election_core::{Identity, Incarnation};
use tokio::sync::{mpsc, watch};

use crate::builder::Builder;
use crate::clock::SharedClock;
use crate::driver::Driver;
use crate::leadership::Candidate;
use crate::watchdog::Guardian;

/// Starts the election task of a candidate.
pub(crate) fn start(
    mut builder: Builder,
    settings: Settings,
    clock: SharedClock,
) -> std::io::Result<Candidate> {
    let guardian = Guardian::new(builder.overrun, settings.lease.to_string(), &clock)?;
    let (commands, received) = mpsc::unbounded_channel();
    let (health, reported) = watch::channel(true);
    let (ended, seen) = watch::channel(None);
    let candidate = Candidate {
        commands: commands.clone(),
        health,
        ended: seen,
        identity: settings.identity.clone(),
        lease: settings.lease.clone(),
    };
    let spawner = builder.spawner.take();
    let driver = Driver::new(builder, settings, clock, guardian, (commands, reported));
    let task = async move {
        let result = driver.run(received).await;
        ended.send_replace(Some(result));
    };
    match spawner {
        Some(spawn) => spawn(Box::pin(task)),
        None => drop(tokio::spawn(task)),
    }
    Ok(candidate)
}

/// A value that no other start of a process has.
pub(crate) fn fresh_incarnation() -> Incarnation {
    Incarnation::from(uuid::Uuid::new_v4().to_string())
}

/// The name of this process's Pod, else its host's name with the beginning of its incarnation.
pub(crate) fn default_identity(incarnation: &Incarnation) -> Identity {
    if let Ok(pod) = std::env::var("POD_NAME")
        && !pod.is_empty()
    {
        return Identity::from(pod);
    }
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .to_ascii_lowercase();
    let clean: String = host
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let clean = clean.trim_matches('-');
    let suffix: String = incarnation
        .as_str()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(8)
        .collect();
    Identity::from(if clean.is_empty() {
        suffix
    } else {
        format!("{clean}-{suffix}")
    })
}

/// Where the jitter of a process comes from: differs between incarnations, equal in every run of one.
pub(crate) fn seed(incarnation: &Incarnation) -> u64 {
    let mut hasher = DefaultHasher::new();
    incarnation.as_str().hash(&mut hasher);
    hasher.finish()
}
