//! What is said when a request fails: what happened, to what, and what to do.
//!
//! Which failure of a request is which is decided in `cluster.rs`.

use std::time::Duration;

use election_core::LeaseKey;

use crate::config::ConfigError;

/// Why nothing could be shown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no configuration.
    #[error("error: {0}")]
    Config(#[from] ConfigError),
    /// The server does not answer.
    #[error(
        "Unable to connect to the server {server}: {why}; is it running, and does the context name the right one?"
    )]
    Unreachable {
        /// Its address.
        server: String,
        /// What went wrong.
        why: String,
    },
    /// Something answers that is no API server, a proxy for instance.
    #[error(
        "error: {server} does not answer as an API server does: {what}; does the context name the right one?"
    )]
    Stranger {
        /// Its address.
        server: String,
        /// What it answers.
        what: String,
    },
    /// The server took too long.
    #[error(
        "error: the server {server} did not answer within {limit:?}: raise --request-timeout, or check the server"
    )]
    TimedOut {
        /// Its address.
        server: String,
        /// `--request-timeout`.
        limit: Duration,
    },
    /// The server does not know who asks.
    #[error(
        "error: You must be logged in to the server {server} (Unauthorized): check the token or client certificate of \
         this context"
    )]
    Unauthorized {
        /// Its address.
        server: String,
    },
    /// The server refuses.
    #[error("Error from server ({reason}): {message}")]
    Refused {
        /// Its word.
        reason: String,
        /// Its words.
        message: String,
    },
    /// Who asks may not.
    #[error("Error from server (Forbidden): {message}\nThis needs {needs}: bind a role that grants it")]
    Forbidden {
        /// The server's words, which name the user.
        message: String,
        /// The permission: the verbs, and on what.
        needs: &'static str,
    },
    /// What was asked for makes no sense now.
    #[error("error: {0}")]
    Steer(String),
    /// There is no such lease.
    #[error(
        "Error from server (NotFound): leases.coordination.k8s.io {name:?} not found in namespace {namespace:?}"
    )]
    NotFound {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// The lease that was named is a candidate's.
    #[error(
        "error: lease {name:?} is the identity lease of a candidate, not a leader lease; it offers itself for {leads}: \
         {instead}"
    )]
    IdentityLease {
        /// Its name.
        name: String,
        /// What it offers itself for.
        leads: String,
        /// The command that looks at that.
        instead: String,
    },
    /// There is no screen.
    #[error(
        "error: the output is no terminal: use `kubectl leases status --watch` or `kubectl leases watch` instead"
    )]
    NoTerminal,
    /// The output cannot be written.
    #[error("error: the output cannot be written: {0}")]
    Output(#[from] std::io::Error),
}

impl Error {
    /// Whoever named a candidate's lease is told what that candidate offers itself for.
    pub(crate) fn identity_lease(key: &LeaseKey, leads: &[LeaseKey]) -> Self {
        let instead = leads.first().map_or_else(
            || format!("kubectl leases candidates -n {}", key.namespace()),
            |lease| format!("kubectl leases status -n {} {}", lease.namespace(), lease.name()),
        );
        let leads = leads.iter().map(LeaseKey::name).collect::<Vec<_>>().join(", ");
        let leads = if leads.is_empty() {
            "nothing".to_owned()
        } else {
            leads
        };
        Self::IdentityLease {
            name: key.name().to_owned(),
            leads,
            instead,
        }
    }

    /// What the server said, if it would not do what was asked for.
    ///
    /// # Errors
    /// Itself, if it is anything else.
    pub fn refusal(self) -> Result<String, Self> {
        match self {
            Self::Forbidden { message, .. } | Self::Refused { message, .. } => Ok(message),
            other => Err(other),
        }
    }

    /// The same, where the server refuses another permission than that to read leases.
    pub(super) fn needing(self, needs: &'static str) -> Self {
        match self {
            Self::Forbidden { message, .. } => Self::Forbidden { message, needs },
            other => other,
        }
    }
}
