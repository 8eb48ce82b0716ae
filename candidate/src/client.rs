//! How this project talks to an API server: which configuration is loaded, which settings suit leases, and what a
//! failed request means.
//!
//! No request is made here and none is repeated: each caller gives its request a deadline and decides by [`classify`].

mod config_error;
mod connect;
mod load;

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use kube::Config;
use kube::core::Status;

use crate::fence::FenceClosed;
pub use config_error::ConfigError;
pub use load::load;

/// How long a connection may take: less than an attempt of a renewal can wait for, with room for a second one before the
/// renew deadline. kube's default of 30 s is longer than a lease.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a write to the connection may hang. Each request has a deadline of its own, so this only frees connections
/// whose other side is gone; kube's default of 295 s would keep them through 20 leases.
const WRITE_TIMEOUT: Duration = Duration::from_secs(12);

/// The same configuration with settings that suit leases.
///
/// - No retries beneath the caller. kube repeats a request that was answered 429, 503 or 504 for minutes, and the
///   repetition of a conditional write that had landed comes back as a conflict with itself.
/// - Short connect and write timeouts.
/// - No read timeout: a watch is silent for as long as nothing happens. Each request has its own deadline instead.
#[must_use]
pub fn lease_config(mut config: Config) -> Config {
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.write_timeout = Some(WRITE_TIMEOUT);
    config.read_timeout = None;
    config
}

/// A client for leases, with the settings of [`lease_config`], whose requests are sent at once: see `connect.rs`.
///
/// It has its own queue and connections, so give other requests another client: then no renewal waits behind them.
///
/// # Errors
/// When the configuration names certificates or a proxy that cannot be used.
pub fn lease_client(config: Config) -> Result<kube::Client, kube::Error> {
    connect::client(lease_config(config))
}

/// What a failed request means for whoever sent it: the one place where that is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The object is not at the version that the write named. It may be there by an earlier attempt of the same writer.
    Conflict,
    /// A create found an object of that name.
    AlreadyExists,
    /// The object is not there.
    NotFound,
    /// Not done, and not done the next time either: 400, 401, 403, 422 and the like, or a request that could not be sent
    /// as it is.
    Refused(String),
    /// May have been done or not; the same request may succeed later. A timeout, a broken connection, 408, 410, 5xx. An
    /// answer 429 is here too: it says that nothing was done, but to wait and try again is right for both.
    Unknown(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => f.write_str("conflict: the object has changed"),
            Self::AlreadyExists => f.write_str("the object exists already"),
            Self::NotFound => f.write_str("the object does not exist"),
            Self::Refused(why) | Self::Unknown(why) => f.write_str(why),
        }
    }
}

/// Says what a failed request means.
#[must_use]
pub fn classify(error: &kube::Error) -> Failure {
    match error {
        kube::Error::Api(status) => classify_status(status),
        kube::Error::Service(source) => match source.downcast_ref::<FenceClosed>() {
            Some(closed @ (FenceClosed::NotSent | FenceClosed::Stream)) => {
                Failure::Refused(closed.to_string())
            }
            _ => Failure::Unknown(chain(source.as_ref())),
        },
        kube::Error::BuildRequest(_)
        | kube::Error::HttpError(_)
        | kube::Error::TlsRequired
        | kube::Error::ProxyProtocolUnsupported { .. }
        | kube::Error::ProxyProtocolDisabled { .. }
        | kube::Error::InferConfig(_)
        | kube::Error::InferKubeconfig(_) => Failure::Refused(chain(error)),
        // Credentials that cannot be fetched now may be there the next time, and so may everything that broke on the
        // way; an answer that cannot be read says that something was done, but not what.
        _ => Failure::Unknown(chain(error)),
    }
}

fn classify_status(status: &Status) -> Failure {
    match (status.code, status.reason.as_str()) {
        (409, "AlreadyExists") => Failure::AlreadyExists,
        (409, _) => Failure::Conflict,
        (404, _) => Failure::NotFound,
        (401, _) => Failure::Refused(format!(
            "the API server does not accept the credentials (401): check the token or client certificate: {}",
            words(status)
        )),
        (408 | 410 | 429, _) => Failure::Unknown(words(status)),
        (400..=499, _) => Failure::Refused(words(status)),
        _ => Failure::Unknown(words(status)),
    }
}

/// The server's words, without the repetition that kube's own `Display` makes of them.
fn words(status: &Status) -> String {
    let text = match (status.message.as_str(), status.reason.as_str()) {
        ("", "") => "no reason given",
        ("", reason) => reason,
        (message, _) => message,
    };
    // A proxy may answer with a page of HTML.
    let line: String = text
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(400)
        .collect();
    if status.code == 0 {
        line
    } else {
        format!("{line} ({})", status.code)
    }
}

/// An error with its causes, each said once.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lease_requests_are_not_repeated_beneath_their_caller() {
        let config = lease_config(Config::new("http://127.0.0.1:1".parse().unwrap()));
        assert!(!config.default_retry);
        assert_eq!(config.read_timeout, None);
        assert!(config.connect_timeout < Some(Duration::from_secs(10)));
        assert!(config.write_timeout <= Some(Duration::from_secs(12)));
    }

    fn api(code: u16, reason: &str) -> Failure {
        classify(&kube::Error::Api(
            Status::failure("said", reason).with_code(code).boxed(),
        ))
    }

    #[test]
    fn an_answer_means_the_same_everywhere() {
        let refused = |text: &str| Failure::Refused(text.to_owned());
        let unknown = |text: &str| Failure::Unknown(text.to_owned());
        assert_eq!(api(409, "Conflict"), Failure::Conflict);
        assert_eq!(api(409, "AlreadyExists"), Failure::AlreadyExists);
        assert_eq!(api(404, "NotFound"), Failure::NotFound);
        assert_eq!(api(403, "Forbidden"), refused("said (403)"));
        assert_eq!(api(422, "Invalid"), refused("said (422)"));
        assert!(matches!(api(401, "Unauthorized"), Failure::Refused(text) if text.contains("credentials")));
        assert_eq!(api(410, "Expired"), unknown("said (410)"));
        assert_eq!(api(429, "TooManyRequests"), unknown("said (429)"));
        assert_eq!(api(504, "Timeout"), unknown("said (504)"));
    }

    #[test]
    fn a_write_that_the_fence_stopped_says_whether_it_was_sent() {
        let fenced = |closed: FenceClosed| classify(&kube::Error::Service(Box::new(closed)));
        assert!(matches!(fenced(FenceClosed::NotSent), Failure::Refused(_)));
        assert!(matches!(fenced(FenceClosed::Cancelled), Failure::Unknown(_)));
    }
}
