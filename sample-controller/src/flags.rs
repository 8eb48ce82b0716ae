//! The flags, and what is said about mistakes in them.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};
use election_core::{LeaseKey, LeaseSeconds, Timing, Version};
use k8s_openapi::jiff::SignedDuration;

/// A sample controller that works only while it leads: each Foo gets a Deployment.
#[derive(Debug, Parser)]
#[command(name = "sample-controller", version, after_help = HELP)]
pub struct Flags {
    /// The kubeconfig file. [default: $KUBECONFIG, ~/.kube/config, or the cluster that this runs in]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig file.
    #[arg(long)]
    pub context: Option<String>,
    /// What this program is.
    #[arg(long, value_name = "VERSION", default_value = "1.29")]
    pub binary_version: Version,
    /// What this program behaves as. [default: the binary version]
    #[arg(long, value_name = "VERSION")]
    pub compatibility_version: Option<Version>,
    /// The name of the identity lease, unique in the namespace.
    #[arg(long, default_value = "sample-controller-a")]
    pub identity: String,
    /// The namespace of the leases. [default: kube-system]
    #[arg(long)]
    pub namespace: Option<String>,
    /// The leader lease to stand for.
    #[arg(long, value_name = "[NAMESPACE/]NAME", default_value = "sample-controller")]
    pub lease: String,
    /// The form of the log on stderr.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// The timing knobs.
    #[command(flatten)]
    pub knobs: Knobs,
}

const HELP: &str = "\
Examples:
  # Two versions side by side: the one with the lower compatibility version
  # leads, and works.
  sample-controller --identity sample-controller-a --binary-version 1.30
  sample-controller --identity sample-controller-b --binary-version 1.30 \\
      --compatibility-version 1.29

  # Another lease, with shorter times.
  sample-controller --binary-version 1.30 --lease team-a/foo-controller \\
      --lease-duration 5s --stop-grace 500ms

The definition of Foo and an example are in artifacts/:
  kubectl apply -f artifacts/crd.yaml -f artifacts/example-foo.yaml

RUST_LOG sets what is logged, for example RUST_LOG=debug.

Exit code: 0 after SIGTERM or SIGINT, when the lease was given back; 1 on
errors, for instance when another process took the identity over; 2 for wrong
flags. A process whose work does not stop at its deadline aborts.";

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The timing knobs; what is not given follows from the lease duration.
#[derive(Debug, Args)]
#[command(next_help_heading = "Timing")]
pub struct Knobs {
    /// How long the lease is good for after a renewal, in whole seconds.
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = whole_seconds)]
    pub lease_duration: LeaseSeconds,
    /// How long after sending its last successful renewal this process may act. [default: 4/5 of the lease duration]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub renew_deadline: Option<Duration>,
    /// How often the lease is renewed. [default: a third of the renew deadline]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub renew_interval: Option<Duration>,
    /// How soon a failed request is tried again. [default: a twelfth of the renew deadline]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub retry_period: Option<Duration>,
    /// What the work gets to stop before its deadline. [default: a twelfth of the renew deadline]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub stop_grace: Option<Duration>,
}

impl Knobs {
    /// The knobs together; whether they contradict each other is said when the candidate joins.
    #[must_use]
    pub fn timing(&self) -> Timing {
        let mut timing = Timing::for_lease_duration(self.lease_duration);
        if let Some(value) = self.renew_deadline {
            timing = timing.with_renew_deadline(value);
        }
        if let Some(value) = self.renew_interval {
            timing = timing.with_renew_interval(value);
        }
        if let Some(value) = self.retry_period {
            timing = timing.with_retry_period(value);
        }
        if let Some(value) = self.stop_grace {
            timing = timing.with_stop_grace(value);
        }
        timing
    }
}

/// Two flags that name different namespaces, or a lease that is none.
#[derive(Debug, thiserror::Error)]
pub enum LeaseFlagError {
    /// `--lease` and `--namespace` name different namespaces.
    #[error("--lease {lease} is not in --namespace {namespace}: leave one of the two namespaces out")]
    TwoNamespaces {
        /// The lease.
        lease: LeaseKey,
        /// The namespace.
        namespace: String,
    },
    /// `--lease` names no lease.
    #[error("--lease: {0}")]
    NoLease(#[from] election_core::ParseLeaseKeyError),
}

impl Flags {
    /// What this program behaves as.
    #[must_use]
    pub fn emulation_version(&self) -> &Version {
        self.compatibility_version
            .as_ref()
            .unwrap_or(&self.binary_version)
    }

    /// The leader lease that `--lease` and `--namespace` name together.
    ///
    /// # Errors
    /// [`LeaseFlagError`] when they contradict each other, or name no lease.
    pub fn leader_lease(&self) -> Result<LeaseKey, LeaseFlagError> {
        if !self.lease.contains('/') {
            let namespace = self.namespace.as_deref().unwrap_or("kube-system");
            return Ok(format!("{namespace}/{}", self.lease).parse()?);
        }
        let lease: LeaseKey = self.lease.parse()?;
        match &self.namespace {
            Some(namespace) if namespace != lease.namespace() => Err(LeaseFlagError::TwoNamespaces {
                lease,
                namespace: namespace.clone(),
            }),
            _ => Ok(lease),
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration = text
        .parse()
        .map_err(|_| "write a duration like 500ms or 4s".to_owned())?;
    Duration::try_from(parsed).map_err(|_| "a duration must not be negative".to_owned())
}

fn whole_seconds(text: &str) -> Result<LeaseSeconds, String> {
    let duration = duration(text)?;
    let whole = (duration.subsec_nanos() == 0)
        .then(|| u32::try_from(duration.as_secs()).ok())
        .flatten();
    whole.and_then(LeaseSeconds::new).ok_or_else(|| {
        "it must be a positive number of whole seconds: the field of a lease holds no other".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(args: &[&str]) -> Result<Flags, String> {
        Flags::try_parse_from([&["sample-controller"], args].concat()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_flags_are_those_of_the_prototype() {
        let given = flags(&[
            "--kubeconfig",
            "/etc/kube",
            "--binary-version",
            "1.30",
            "--compatibility-version",
            "1.29",
            "--identity",
            "b",
        ]);
        let given = given.unwrap();
        assert_eq!(
            (given.binary_version.as_str(), given.emulation_version().as_str()),
            ("1.30", "1.29")
        );
        let defaults = flags(&[]).unwrap();
        assert_eq!(defaults.identity, "sample-controller-a");
        assert_eq!(
            (
                defaults.binary_version.as_str(),
                defaults.emulation_version().as_str()
            ),
            ("1.29", "1.29")
        );
        assert_eq!(
            defaults.leader_lease().unwrap().to_string(),
            "kube-system/sample-controller"
        );
        assert_eq!(defaults.knobs.timing(), Timing::default());
        let newer = flags(&["--binary-version", "1.30"]).unwrap();
        assert_eq!(
            newer.emulation_version().as_str(),
            "1.30",
            "it behaves as what it is"
        );
    }

    #[test]
    fn the_lease_is_named_with_or_without_its_namespace() {
        let check = |args: &[&str], expected: Result<&str, &str>| {
            let named = flags(args).unwrap().leader_lease();
            match (named, expected) {
                (Ok(lease), Ok(expected)) => assert_eq!(lease.to_string(), expected),
                (Err(error), Err(word)) => assert!(error.to_string().contains(word), "{error}"),
                (named, expected) => panic!("{args:?} gave {named:?}, not {expected:?}"),
            }
        };
        check(&["--lease", "a/b"], Ok("a/b"));
        check(&["--lease", "a/b", "--namespace", "a"], Ok("a/b"));
        check(&["--lease", "b", "--namespace", "c"], Ok("c/b"));
        check(
            &["--lease", "a/b", "--namespace", "c"],
            Err("--lease a/b is not in --namespace c"),
        );
        check(&["--lease", "a/b/c"], Err("names no lease"));
        check(&["--lease", ""], Err("names no lease"));
    }

    #[test]
    fn a_wrong_flag_says_what_to_write() {
        let check = |args: &[&str], word: &str| {
            let error = flags(args).expect_err(word);
            assert!(error.contains(word), "{error}");
        };
        check(
            &["--binary-version", "latest"],
            "write it like 1.29, v1.29.3 or 1.30.0-alpha.1",
        );
        check(&["--lease-duration", "1500ms"], "whole seconds");
        check(&["--lease-duration", "15"], "write a duration like 500ms or 4s");
        check(&["--stop-grace=-1s"], "must not be negative");
        check(&["--no-such-flag"], "--no-such-flag");
    }

    #[test]
    fn knobs_that_are_not_given_follow_from_the_lease_duration() {
        let given = flags(&["--lease-duration", "5s", "--stop-grace", "200ms"]).unwrap();
        let five = LeaseSeconds::new(5).unwrap();
        let expected = Timing::for_lease_duration(five).with_stop_grace(Duration::from_millis(200));
        assert_eq!(given.knobs.timing(), expected);
    }
}
