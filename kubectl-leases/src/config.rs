//! Which cluster to ask, and as whom: the rules of kubectl, and what is said when they lead nowhere.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::Config;
use kube::config::{
    AuthInfo, Cluster, Context, KubeConfigOptions, Kubeconfig, KubeconfigError, NamedAuthInfo, NamedCluster,
    NamedContext,
};

/// Where the configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// `--kubeconfig`.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`.
    pub context: Option<String>,
    /// `--as`.
    pub user: Option<String>,
    /// `--as-group`.
    pub groups: Vec<String>,
    /// `--cluster`.
    pub cluster: Option<String>,
    /// `--user`: whose credentials of the kubeconfig.
    pub credentials: Option<String>,
    /// `--server`.
    pub server: Option<String>,
    /// `--token`.
    pub token: Option<String>,
    /// `--certificate-authority`.
    pub certificate_authority: Option<PathBuf>,
    /// `--insecure-skip-tls-verify`.
    pub insecure: bool,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be used.
    #[error("kubeconfig {file} cannot be used: {cause}; name another one with --kubeconfig or $KUBECONFIG", file = .file.display())]
    File {
        /// The file, or `$KUBECONFIG` when that names several.
        file: PathBuf,
        /// Why.
        cause: KubeconfigError,
    },
    /// The context cannot be used.
    #[error("context {context:?} cannot be used: {cause}; the kubeconfig has {known}", known = list(.known))]
    Context {
        /// The context that was asked for, or the current one.
        context: String,
        /// Why.
        cause: KubeconfigError,
        /// The contexts that there are.
        known: Vec<String>,
    },
    /// There is nothing to go by.
    #[error("no cluster to ask: name a file with --kubeconfig or $KUBECONFIG, or create ~/.kube/config")]
    Nowhere,
    /// The server cannot be one.
    #[error("the server {server:?} is no address: write it like https://127.0.0.1:6443")]
    Server {
        /// What was given.
        server: String,
    },
    /// The client cannot be made.
    #[error("the kubeconfig cannot be used: {0}")]
    Client(kube::Error),
}

fn list(contexts: &[String]) -> String {
    if contexts.is_empty() {
        "no contexts".to_owned()
    } else {
        contexts.join(", ")
    }
}

/// A connection that takes longer will not come.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

impl Source {
    /// Reads the configuration.
    ///
    /// # Errors
    /// [`ConfigError`], which says what to do.
    pub async fn load(&self) -> Result<Config, ConfigError> {
        let mut config = match self.read()?.or_else(|| self.flags_alone()) {
            Some(kubeconfig) => self.choose(self.overridden(kubeconfig)?).await?,
            None => Config::incluster().map_err(|_| ConfigError::Nowhere)?,
        };
        // A person waits for the answer: no retries underneath, which may take minutes.
        config.default_retry = false;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        if self.user.is_some() {
            config.auth_info.impersonate.clone_from(&self.user);
        }
        if !self.groups.is_empty() {
            config.auth_info.impersonate_groups = Some(self.groups.clone());
        }
        Ok(config)
    }

    /// What the command line says about the server and about who asks goes before the kubeconfig.
    fn overridden(&self, mut kubeconfig: Kubeconfig) -> Result<Kubeconfig, ConfigError> {
        let server = self.address()?.map(|uri| uri.to_string());
        for cluster in kubeconfig
            .clusters
            .iter_mut()
            .filter_map(|named| named.cluster.as_mut())
        {
            if server.is_some() {
                cluster.server.clone_from(&server);
            }
            if let Some(file) = &self.certificate_authority {
                cluster.certificate_authority = Some(file.display().to_string());
                cluster.certificate_authority_data = None;
            }
            if self.insecure {
                cluster.insecure_skip_tls_verify = Some(true);
            }
        }
        for user in &mut kubeconfig.auth_infos {
            if let Some(token) = &self.token {
                // As for kubectl: a token that is named is what counts.
                user.auth_info = Some(AuthInfo {
                    token: Some(token.clone().into()),
                    ..AuthInfo::default()
                });
            }
        }
        Ok(kubeconfig)
    }

    /// A kubeconfig of what the command line says, when there is no other.
    fn flags_alone(&self) -> Option<Kubeconfig> {
        self.server.as_ref()?;
        let name = || "command-line".to_owned();
        Some(Kubeconfig {
            current_context: Some(name()),
            clusters: vec![NamedCluster {
                name: name(),
                cluster: Some(Cluster::default()),
                ..NamedCluster::default()
            }],
            auth_infos: vec![NamedAuthInfo {
                name: name(),
                auth_info: Some(AuthInfo::default()),
                ..NamedAuthInfo::default()
            }],
            contexts: vec![NamedContext {
                name: name(),
                context: Some(Context {
                    cluster: name(),
                    user: Some(name()),
                    ..Context::default()
                }),
                ..NamedContext::default()
            }],
            ..Kubeconfig::default()
        })
    }

    fn address(&self) -> Result<Option<http::Uri>, ConfigError> {
        let Some(server) = &self.server else {
            return Ok(None);
        };
        let refused = || ConfigError::Server {
            server: server.clone(),
        };
        let uri: http::Uri = server.parse().map_err(|_| refused())?;
        if uri.scheme().is_none() || uri.host().is_none() {
            return Err(refused());
        }
        Ok(Some(uri))
    }

    fn read(&self) -> Result<Option<Kubeconfig>, ConfigError> {
        if let Some(file) = &self.kubeconfig {
            return read_file(file).map(Some);
        }
        let failed = |cause| ConfigError::File {
            file: PathBuf::from("$KUBECONFIG"),
            cause,
        };
        if let Some(named) = Kubeconfig::from_env().map_err(failed)? {
            return Ok(Some(named));
        }
        let default = std::env::home_dir().map(|home| home.join(".kube").join("config"));
        default
            .filter(|file| file.exists())
            .map(|file| read_file(&file))
            .transpose()
    }

    async fn choose(&self, kubeconfig: Kubeconfig) -> Result<Config, ConfigError> {
        let known = kubeconfig
            .contexts
            .iter()
            .map(|context| context.name.clone())
            .collect();
        let context = self
            .context
            .clone()
            .or_else(|| kubeconfig.current_context.clone())
            .unwrap_or_default();
        let options = KubeConfigOptions {
            context: self.context.clone(),
            cluster: self.cluster.clone(),
            user: self.credentials.clone(),
        };
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        config.map_err(|cause| ConfigError::Context {
            context,
            cause,
            known,
        })
    }
}

fn read_file(file: &Path) -> Result<Kubeconfig, ConfigError> {
    Kubeconfig::read_from(file).map_err(|cause| ConfigError::File {
        file: file.to_owned(),
        cause,
    })
}
