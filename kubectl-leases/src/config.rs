//! Which cluster to ask, and as whom: the rules of kubectl, and what is said when they lead nowhere.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::Config;
use kube::client::AuthError;
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
    /// `--as-uid`.
    pub uid: Option<String>,
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
    /// `--client-certificate`.
    pub client_certificate: Option<PathBuf>,
    /// `--client-key`.
    pub client_key: Option<PathBuf>,
    /// `--tls-server-name`.
    pub tls_server_name: Option<String>,
    /// `--insecure-skip-tls-verify`.
    pub insecure: bool,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be used. Only the first line of the cause is said: the others show the file, which has secrets in it.
    #[error("kubeconfig {file} cannot be used: {cause}; name another one with --kubeconfig or $KUBECONFIG", file = .file.display(), cause = first_line(.cause))]
    File {
        /// The file, or `$KUBECONFIG` when that names several.
        file: PathBuf,
        /// Why.
        cause: KubeconfigError,
    },
    /// No context is chosen.
    #[error("no context is chosen: name one with --context; the kubeconfig has {known}", known = list(.known))]
    NoContext {
        /// The contexts that there are.
        known: Vec<String>,
    },
    /// The context cannot be used.
    #[error("context {context:?} cannot be used: {cause}", cause = first_line(.cause))]
    Context {
        /// The context that was asked for, or the current one.
        context: String,
        /// Why.
        cause: KubeconfigError,
    },
    /// The kubeconfig has no cluster, or no user, of that name.
    #[error("{what} {name:?} does not exist; the kubeconfig has {known}", known = list(.known))]
    Unknown {
        /// What, in the word of kubectl.
        what: &'static str,
        /// The name that was asked for.
        name: String,
        /// The names that there are.
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
    /// The program that logs in cannot be started.
    #[error(
        "the program {program:?} that logs in to this server cannot be run: {cause}; install it, or name another user with --user"
    )]
    Login {
        /// What the kubeconfig names.
        program: String,
        /// Why.
        cause: std::io::Error,
    },
    /// The client cannot be made.
    #[error("the kubeconfig cannot be used: {cause}", cause = first_line(.0))]
    Client(kube::Error),
}

impl ConfigError {
    /// Why no client was made; `login` is the program that the kubeconfig names to log in.
    pub(crate) fn of_client(error: kube::Error, login: Option<String>) -> Self {
        match (error, login) {
            (kube::Error::Auth(AuthError::AuthExecStart(cause)), Some(program)) => {
                Self::Login { program, cause }
            }
            (error, _) => Self::Client(error),
        }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// Without what kube says of the step in which it found that, and without quotes around quotes.
fn first_line(cause: &impl Display) -> String {
    let text = cause.to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line
        .strip_prefix("Failed to infer provided configuration: ")
        .unwrap_or(line);
    line.replace("'\"", "\"")
        .replace("\"'", "\"")
        .replace("YAML: error: ", "YAML: ")
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
        if self.tls_server_name.is_some() {
            config.tls_server_name.clone_from(&self.tls_server_name);
        }
        self.authenticate(&mut config.auth_info);
        Ok(config)
    }

    /// The names that completion offers: contexts, clusters or users.
    pub(crate) fn names(&self, of: fn(&Kubeconfig) -> Vec<String>) -> Vec<String> {
        self.read()
            .ok()
            .flatten()
            .map(|kubeconfig| of(&kubeconfig))
            .unwrap_or_default()
    }

    /// What the command line says about who asks goes before the kubeconfig.
    fn authenticate(&self, auth: &mut AuthInfo) {
        let path = |file: &PathBuf| Some(file.display().to_string());
        if let Some(token) = &self.token {
            // As for kubectl: a token that is named is what counts.
            *auth = AuthInfo {
                token: Some(token.clone().into()),
                ..AuthInfo::default()
            };
        }
        if let Some(file) = &self.client_certificate {
            (auth.client_certificate, auth.client_certificate_data) = (path(file), None);
        }
        if let Some(file) = &self.client_key {
            (auth.client_key, auth.client_key_data) = (path(file), None);
        }
        if self.user.is_some() {
            auth.impersonate.clone_from(&self.user);
        }
        if self.uid.is_some() {
            auth.impersonate_uid.clone_from(&self.uid);
        }
        if !self.groups.is_empty() {
            auth.impersonate_groups = Some(self.groups.clone());
        }
    }

    /// What the command line says about the server goes before the kubeconfig.
    fn overridden(&self, mut kubeconfig: Kubeconfig) -> Result<Kubeconfig, ConfigError> {
        let clusters = kubeconfig.clusters.iter_mut();
        for cluster in clusters.filter_map(|named| named.cluster.as_mut()) {
            if let Some(file) = &self.certificate_authority {
                cluster.certificate_authority = Some(file.display().to_string());
                cluster.certificate_authority_data = None;
            }
            if self.insecure {
                cluster.insecure_skip_tls_verify = Some(true);
            }
            // As for kubectl: without a scheme, a server that is to be known by something is asked over TLS.
            let known = cluster.certificate_authority.is_some()
                || cluster.certificate_authority_data.is_some()
                || cluster.insecure_skip_tls_verify == Some(true)
                || self.client_certificate.is_some();
            if let Some(uri) = self.address(known)? {
                cluster.server = Some(uri.to_string());
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

    fn address(&self, tls: bool) -> Result<Option<http::Uri>, ConfigError> {
        let Some(server) = &self.server else {
            return Ok(None);
        };
        let refused = || ConfigError::Server {
            server: server.clone(),
        };
        let whole = match (server.contains("://"), tls) {
            (true, _) => server.clone(),
            (false, true) => format!("https://{server}"),
            (false, false) => format!("http://{server}"),
        };
        let uri: http::Uri = whole.parse().map_err(|_| refused())?;
        match (uri.scheme_str(), uri.host()) {
            (Some("http" | "https"), Some(host)) if !host.is_empty() => Ok(Some(uri)),
            _ => Err(refused()),
        }
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
        let known = contexts(&kubeconfig);
        let must_be_there = |what, name: &Option<String>, known: Vec<String>| match name {
            Some(name) if !known.contains(name) => Err(ConfigError::Unknown {
                what,
                name: name.clone(),
                known,
            }),
            _ => Ok(()),
        };
        let chosen = self
            .context
            .clone()
            .or_else(|| kubeconfig.current_context.clone());
        let Some(context) = chosen.filter(|context| !context.is_empty()) else {
            return Err(ConfigError::NoContext { known });
        };
        must_be_there("context", &Some(context.clone()), known)?;
        let named = kubeconfig.contexts.iter().find(|named| named.name == context);
        let named = named.and_then(|named| named.context.as_ref());
        let cluster = self.cluster.clone().or_else(|| Some(named?.cluster.clone()));
        must_be_there("cluster", &cluster, clusters(&kubeconfig))?;
        // Whoever it is that asks, it is not nobody.
        let user = self.credentials.clone().or_else(|| named?.user.clone());
        let asked_otherwise = self.token.is_some() || self.client_certificate.is_some();
        let user = user.filter(|user| !user.is_empty() && !asked_otherwise);
        must_be_there("auth info", &user, users(&kubeconfig))?;
        let options = KubeConfigOptions {
            context: self.context.clone(),
            cluster: self.cluster.clone(),
            user: self.credentials.clone(),
        };
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        config.map_err(|cause| ConfigError::Context { context, cause })
    }
}

/// The names of the contexts.
pub(crate) fn contexts(kubeconfig: &Kubeconfig) -> Vec<String> {
    kubeconfig
        .contexts
        .iter()
        .map(|named| named.name.clone())
        .collect()
}

/// The names of the clusters.
pub(crate) fn clusters(kubeconfig: &Kubeconfig) -> Vec<String> {
    kubeconfig
        .clusters
        .iter()
        .map(|named| named.name.clone())
        .collect()
}

/// The names of the users.
pub(crate) fn users(kubeconfig: &Kubeconfig) -> Vec<String> {
    kubeconfig
        .auth_infos
        .iter()
        .map(|named| named.name.clone())
        .collect()
}

fn read_file(file: &Path) -> Result<Kubeconfig, ConfigError> {
    Kubeconfig::read_from(file).map_err(|cause| ConfigError::File {
        file: file.to_owned(),
        cause,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn of(source: Source, kubeconfig: &str) -> Config {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, kubeconfig).unwrap();
        let source = Source {
            kubeconfig: Some(file.path().to_owned()),
            ..source
        };
        source.load().await.unwrap()
    }

    const PLAIN: &str = "{clusters: [{name: c, cluster: {server: 'http://c'}}, {name: d, cluster: {server: 'http://d'}}],
        users: [{name: u, user: {username: u, password: p}}, {name: v, user: {username: v}}],
        contexts: [{name: one, context: {cluster: c, user: u}}, {name: two, context: {cluster: c, namespace: n}}],
        current-context: one}";

    #[test]
    fn an_address_without_scheme_is_completed_as_by_kubectl() {
        for (server, tls, address) in [
            ("127.0.0.1:6443", false, Some("http://127.0.0.1:6443/")),
            ("127.0.0.1:6443", true, Some("https://127.0.0.1:6443/")),
            (
                "https://cluster.example/base",
                false,
                Some("https://cluster.example/base"),
            ),
            ("cluster.example", true, Some("https://cluster.example/")),
            ("ftp://cluster.example", true, None),
            ("not a server", true, None),
        ] {
            let source = Source {
                server: Some(server.to_owned()),
                ..Source::default()
            };
            let uri = source.address(tls).ok().flatten().map(|uri| uri.to_string());
            assert_eq!(uri.as_deref(), address, "{server}");
        }
    }

    #[tokio::test]
    async fn a_context_says_cluster_user_and_namespace_and_a_flag_goes_before_it() {
        let config = of(Source::default(), PLAIN).await;
        assert_eq!(config.cluster_url, "http://c/");
        assert_eq!(config.auth_info.username.as_deref(), Some("u"));
        let config = of(
            Source {
                context: Some("two".to_owned()),
                cluster: Some("d".to_owned()),
                credentials: Some("v".to_owned()),
                ..Source::default()
            },
            PLAIN,
        )
        .await;
        assert_eq!(config.cluster_url, "http://d/");
        assert_eq!(config.auth_info.username.as_deref(), Some("v"));
        assert_eq!(config.default_namespace, "n");
    }

    #[tokio::test]
    async fn who_asks_is_what_the_flags_say() {
        let config = of(
            Source {
                // The second context names no user that a token could be put into.
                context: Some("two".to_owned()),
                token: Some("secret".to_owned()),
                client_certificate: Some("tls.crt".into()),
                client_key: Some("tls.key".into()),
                tls_server_name: Some("kubernetes".to_owned()),
                user: Some("alice".to_owned()),
                groups: vec!["dev".to_owned(), "ops".to_owned()],
                uid: Some("4711".to_owned()),
                server: Some("10.0.0.1:6443".to_owned()),
                ..Source::default()
            },
            PLAIN,
        )
        .await;
        let auth = &config.auth_info;
        assert!(auth.token.is_some(), "also without a user in the context");
        assert_eq!(auth.client_certificate.as_deref(), Some("tls.crt"));
        assert_eq!(auth.client_key.as_deref(), Some("tls.key"));
        assert_eq!(auth.impersonate.as_deref(), Some("alice"));
        assert_eq!(auth.impersonate_uid.as_deref(), Some("4711"));
        assert_eq!(
            auth.impersonate_groups,
            Some(vec!["dev".to_owned(), "ops".to_owned()])
        );
        assert_eq!(config.tls_server_name.as_deref(), Some("kubernetes"));
        assert_eq!(config.cluster_url, "https://10.0.0.1:6443/");
    }
}
