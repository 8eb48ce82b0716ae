//! Why there is no cluster to talk to, in words that say what to do about it.

use std::path::PathBuf;

use kube::config::{InClusterError, KubeconfigError};

/// Why there is no configuration to reach a cluster with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that was named does not exist.
    #[error("kubeconfig {file} does not exist: {named_by} names it; correct that, or create the file", file = .file.display())]
    Missing {
        /// The file.
        file: PathBuf,
        /// What named it.
        named_by: &'static str,
    },
    /// A file cannot be read.
    #[error("kubeconfig {file} cannot be read: {cause}; check its permissions", file = .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// A file is not a kubeconfig.
    #[error("kubeconfig {file} is not valid: {cause}", file = .file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        cause: KubeconfigError,
    },
    /// A file says nothing.
    #[error(
        "kubeconfig {file} names no cluster: it is empty, or something else than a kubeconfig",
        file = .file.display()
    )]
    Empty {
        /// The file, the first of them when there are several.
        file: PathBuf,
    },
    /// The context is not in the file.
    #[error("kubeconfig {file} has no context {context:?}: it has {known}", file = .file.display(), known = list(.known))]
    UnknownContext {
        /// The file, the first of them when there are several.
        file: PathBuf,
        /// The context that was asked for.
        context: String,
        /// The contexts that there are.
        known: Vec<String>,
    },
    /// No context was asked for, and the file has no default.
    #[error(
        "kubeconfig {file} has no current-context: choose one with --context; it has {known}",
        file = .file.display(), known = list(.known)
    )]
    NoContext {
        /// The file, the first of them when there are several.
        file: PathBuf,
        /// The contexts that there are.
        known: Vec<String>,
    },
    /// The context cannot be used.
    #[error("context {context:?} of kubeconfig {file} cannot be used: {cause}", file = .file.display())]
    Unusable {
        /// The file, the first of them when there are several.
        file: PathBuf,
        /// The context.
        context: String,
        /// What is wrong with it.
        cause: KubeconfigError,
    },
    /// A context was asked for where there is no kubeconfig.
    #[error(
        "context {context:?} was asked for, but there is no kubeconfig: name one with --kubeconfig or $KUBECONFIG"
    )]
    ContextWithoutFile {
        /// The context that was asked for.
        context: String,
    },
    /// Nothing says where the cluster is.
    #[error(
        "no cluster to talk to: name a file with --kubeconfig or $KUBECONFIG, or create ~/.kube/config; and this is not a \
         Pod with a service account ({cause})"
    )]
    Nowhere {
        /// What is missing for the configuration of a Pod.
        cause: InClusterError,
    },
    /// This is a Pod, but its service account cannot be used.
    #[error("the service account of this Pod cannot be used: {cause}; is automountServiceAccountToken off?")]
    InCluster {
        /// What is wrong.
        cause: InClusterError,
    },
}

fn list(contexts: &[String]) -> String {
    if contexts.is_empty() {
        "none".to_owned()
    } else {
        contexts.join(", ")
    }
}
