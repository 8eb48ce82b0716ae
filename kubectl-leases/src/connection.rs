//! The flags that say which cluster to ask, as whom, and about which namespace: the names and meanings of kubectl.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use k8s_openapi::jiff::SignedDuration;

use crate::cluster::{Cluster, Error};
use crate::config::Source;

/// Which cluster, and as whom.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Cluster")]
pub struct Connection {
    /// The kubeconfig file.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig file.
    #[arg(long)]
    context: Option<String>,
    /// The cluster of the kubeconfig file.
    #[arg(long)]
    cluster: Option<String>,
    /// The user of the kubeconfig file.
    #[arg(long = "user", value_name = "USER")]
    credentials: Option<String>,
    /// The user to act as.
    #[arg(long = "as", value_name = "USER")]
    user: Option<String>,
    /// The group to act as; may be repeated.
    #[arg(long = "as-group", value_name = "GROUP")]
    groups: Vec<String>,
    /// The UID to act as.
    #[arg(long = "as-uid", value_name = "UID")]
    uid: Option<String>,
    /// The address of the API server.
    #[arg(short, long, value_name = "URL")]
    server: Option<String>,
    /// The bearer token.
    #[arg(long, hide_env_values = true)]
    token: Option<String>,
    /// The certificate of the authority that the server is to be known by.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    certificate_authority: Option<PathBuf>,
    /// The certificate of who asks.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    client_certificate: Option<PathBuf>,
    /// Its key.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    client_key: Option<PathBuf>,
    /// The name that the certificate of the server has to be for.
    #[arg(long, value_name = "NAME")]
    tls_server_name: Option<String>,
    /// Trust whatever answers.
    #[arg(long)]
    insecure_skip_tls_verify: bool,
    /// How long a request may take, for example 10s; 0 is without limit.
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = timeout)]
    request_timeout: Timeout,
}

/// About which namespace.
#[derive(Clone, Debug, Default, Args)]
pub struct Place {
    /// The namespace. [default: that of the context]
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// All namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
}

/// A cluster that can be asked.
#[derive(Debug)]
pub struct Session {
    /// Its requests.
    pub cluster: Cluster,
    /// The namespace of a lease that is named without one.
    pub namespace: String,
    /// Whether all namespaces are meant.
    pub everywhere: bool,
}

impl Session {
    /// The namespace that is meant; `None` for all of them.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        (!self.everywhere).then_some(self.namespace.as_str())
    }

    /// Where nothing was found, in the words of kubectl.
    #[must_use]
    pub fn place(&self) -> String {
        if self.everywhere {
            "any namespace".to_owned()
        } else {
            format!("{} namespace", self.namespace)
        }
    }
}

impl Connection {
    /// Finds the cluster; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub async fn open(&self, place: &Place) -> Result<Session, Error> {
        let config = self.source().load().await?;
        let namespace = place
            .namespace
            .clone()
            .unwrap_or_else(|| config.default_namespace.clone());
        let scope = (!place.all_namespaces).then_some(namespace.as_str());
        let cluster = Cluster::connect(config, scope, self.request_timeout.0)?;
        Ok(Session {
            cluster,
            namespace,
            everywhere: place.all_namespaces,
        })
    }

    /// Where the configuration comes from.
    pub(crate) fn source(&self) -> Source {
        Source {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            user: self.user.clone(),
            groups: self.groups.clone(),
            uid: self.uid.clone(),
            cluster: self.cluster.clone(),
            credentials: self.credentials.clone(),
            server: self.server.clone(),
            token: self.token.clone(),
            certificate_authority: self.certificate_authority.clone(),
            client_certificate: self.client_certificate.clone(),
            client_key: self.client_key.clone(),
            tls_server_name: self.tls_server_name.clone(),
            insecure: self.insecure_skip_tls_verify,
        }
    }
}

/// The name of a lease, with or without what `-o name` and kubectl put before it.
///
/// # Errors
/// When there is something else before it.
pub fn lease_name(text: &str) -> Result<String, String> {
    match text.split_once('/') {
        None if text.is_empty() => Err("a lease has a name".to_owned()),
        None => Ok(text.to_owned()),
        Some(("lease" | "leases" | "lease.coordination.k8s.io" | "leases.coordination.k8s.io", name)) => {
            Ok(name.to_owned())
        }
        Some((namespace, name)) => Err(format!("write -n {namespace} {name}")),
    }
}

/// A limit, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Timeout(Option<Duration>);

/// As for kubectl, a number without a unit is in seconds.
fn timeout(text: &str) -> Result<Timeout, String> {
    let seconds = text.parse::<u64>().ok().map(Duration::from_secs);
    let parsed = seconds.or_else(|| duration(text).ok());
    match parsed {
        Some(Duration::ZERO) => Ok(Timeout(None)),
        Some(limit) => Ok(Timeout(Some(limit))),
        None => Err("write a duration like 10s, or 0".to_owned()),
    }
}

/// A duration like 10s or 1m30s.
///
/// # Errors
/// When it is none, or is negative.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok();
    parsed
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| "write a duration like 10s or 1m30s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_written_as_for_kubectl() {
        assert_eq!(timeout("0"), Ok(Timeout(None)));
        assert_eq!(timeout("0s"), Ok(Timeout(None)));
        assert_eq!(timeout("5"), Ok(Timeout(Some(Duration::from_secs(5)))));
        assert_eq!(timeout("1m"), Ok(Timeout(Some(Duration::from_secs(60)))));
        assert!(timeout("-1s").is_err() && timeout("soon").is_err());
    }

    #[test]
    fn a_lease_may_be_named_as_kubectl_prints_it() {
        for text in [
            "demo",
            "lease/demo",
            "leases.coordination.k8s.io/demo",
            "lease.coordination.k8s.io/demo",
        ] {
            assert_eq!(lease_name(text).as_deref(), Ok("demo"));
        }
        assert_eq!(
            lease_name("kube-system/demo"),
            Err("write -n kube-system demo".to_owned())
        );
        assert!(lease_name("").is_err());
    }
}
