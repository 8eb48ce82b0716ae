//! Finds out which cluster to talk to, and says what to do when that cannot be found out.
//!
//! kube's own inference falls back to the Pod's service account whenever a kubeconfig is at fault, and then reports
//! both; here the first source that exists is the one that is used.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use kube::Config;
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};

use super::config_error::ConfigError;

/// Finds out which cluster to talk to, as kubectl does: the file that was given, else `$KUBECONFIG` (one file or a list),
/// else `~/.kube/config`, else the service account of the Pod.
///
/// # Errors
/// [`ConfigError`], which names the file and says what to do.
pub async fn load(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Config, ConfigError> {
    let files = Files::find(kubeconfig, std::env::var_os("KUBECONFIG"), std::env::home_dir());
    match files {
        Some(files) => from_files(&files, context).await,
        None => in_cluster(context),
    }
}

/// The files to read, and why these.
#[derive(Debug, PartialEq, Eq)]
struct Files {
    paths: Vec<PathBuf>,
    named_by: &'static str,
}

impl Files {
    fn find(flag: Option<&Path>, variable: Option<OsString>, home: Option<PathBuf>) -> Option<Self> {
        if let Some(path) = flag {
            return Some(Self {
                paths: vec![path.to_owned()],
                named_by: "--kubeconfig",
            });
        }
        // Empty parts are ignored, and so is a variable of nothing else, as kubectl does.
        let variable = variable.unwrap_or_default();
        let listed = std::env::split_paths(&variable).filter(|path| !path.as_os_str().is_empty());
        let paths: Vec<PathBuf> = listed.collect();
        if !paths.is_empty() {
            return Some(Self {
                paths,
                named_by: "$KUBECONFIG",
            });
        }
        // The default is the only file that may be missing: then this is, perhaps, a Pod.
        let path = home?.join(".kube").join("config");
        path.exists().then(|| Self {
            paths: vec![path],
            named_by: "the default",
        })
    }

    /// The one to name when it is not known which of them is at fault.
    fn first(&self) -> PathBuf {
        self.paths.first().cloned().unwrap_or_default()
    }
}

async fn from_files(files: &Files, context: Option<&str>) -> Result<Config, ConfigError> {
    let kubeconfig = read_all(files)?;
    let file = files.first();
    let known = || {
        kubeconfig
            .contexts
            .iter()
            .map(|context| context.name.clone())
            .collect::<Vec<_>>()
    };
    if kubeconfig.clusters.is_empty() && kubeconfig.contexts.is_empty() {
        return Err(ConfigError::Empty { file });
    }
    let current = kubeconfig.current_context.clone().filter(|name| !name.is_empty());
    let Some(context) = context.map(str::to_owned).or(current) else {
        return Err(ConfigError::NoContext { file, known: known() });
    };
    if !kubeconfig.contexts.iter().any(|known| known.name == context) {
        return Err(ConfigError::UnknownContext {
            file,
            context,
            known: known(),
        });
    }
    let options = KubeConfigOptions {
        context: Some(context.clone()),
        ..KubeConfigOptions::default()
    };
    Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(|cause| ConfigError::Unusable { file, context, cause })
}

/// Reads and merges the files. One that is missing is passed over while another of the list is there, as kubectl does.
fn read_all(files: &Files) -> Result<Kubeconfig, ConfigError> {
    let mut merged: Option<Kubeconfig> = None;
    for path in &files.paths {
        let invalid = |cause| ConfigError::Invalid {
            file: path.clone(),
            cause,
        };
        let next = match Kubeconfig::read_from(path) {
            Ok(next) => next,
            Err(KubeconfigError::ReadConfig(cause, _)) if cause.kind() == std::io::ErrorKind::NotFound => {
                continue;
            }
            Err(KubeconfigError::ReadConfig(cause, file)) => {
                return Err(ConfigError::Unreadable { file, cause });
            }
            Err(cause) => return Err(invalid(cause)),
        };
        merged = Some(match merged {
            None => next,
            Some(merged) => merged.merge(next).map_err(invalid)?,
        });
    }
    merged.ok_or_else(|| ConfigError::Missing {
        file: files.first(),
        named_by: files.named_by,
    })
}

fn in_cluster(context: Option<&str>) -> Result<Config, ConfigError> {
    if let Some(context) = context {
        return Err(ConfigError::ContextWithoutFile {
            context: context.to_owned(),
        });
    }
    Config::incluster().map_err(|cause| match cause {
        InClusterError::ReadEnvironmentVariable(_) => ConfigError::Nowhere { cause },
        cause => ConfigError::InCluster { cause },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KUBECONFIG: &str = "
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]
users: [{name: u, user: {}}]
contexts:
- {name: first, context: {cluster: c, user: u, namespace: here}}
- {name: broken, context: {cluster: gone, user: u}}
";

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    async fn loaded(text: &str, context: Option<&str>) -> Result<Config, String> {
        let file = file(text);
        let path = file.path().display().to_string();
        load(Some(file.path()), context)
            .await
            .map_err(|error| error.to_string().replace(&path, "FILE"))
    }

    async fn refused(text: &str, context: Option<&str>) -> String {
        loaded(text, context).await.expect_err("it should be refused")
    }

    #[tokio::test]
    async fn a_context_of_the_file_is_used() {
        let config = loaded(KUBECONFIG, Some("first")).await.unwrap();
        assert_eq!(config.default_namespace, "here");
        let config = loaded(&format!("{KUBECONFIG}current-context: first\n"), None)
            .await
            .unwrap();
        assert_eq!(config.cluster_url, "http://127.0.0.1:1/");
    }

    #[tokio::test]
    async fn an_error_names_the_file_and_what_to_do() {
        assert_eq!(
            refused(KUBECONFIG, Some("second")).await,
            "kubeconfig FILE has no context \"second\": it has first, broken"
        );
        assert_eq!(
            refused(KUBECONFIG, None).await,
            "kubeconfig FILE has no current-context: choose one with --context; it has first, broken"
        );
        assert_eq!(
            refused(KUBECONFIG, Some("broken")).await,
            "context \"broken\" of kubeconfig FILE cannot be used: failed to load the cluster of context: gone"
        );
        assert_eq!(
            refused("", None).await,
            "kubeconfig FILE names no cluster: it is empty, or something else than a kubeconfig"
        );
        let text = refused("clusters: {", None).await;
        assert!(text.starts_with("kubeconfig FILE is not valid: "), "{text}");
    }

    #[tokio::test]
    async fn a_file_that_is_missing_or_unreadable_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none");
        let error = load(Some(&path), None).await.unwrap_err();
        assert!(
            matches!(&error, ConfigError::Missing { file, .. } if *file == path),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .ends_with("--kubeconfig names it; correct that, or create the file"),
            "{error}"
        );
        // A folder cannot be read, whoever asks.
        let error = load(Some(folder.path()), None).await.unwrap_err();
        assert!(
            matches!(&error, ConfigError::Unreadable { file, .. } if file == folder.path()),
            "{error}"
        );
    }

    #[test]
    fn the_flag_goes_before_the_variable_and_that_before_the_home_folder() {
        let home = tempfile::tempdir().unwrap();
        let find = |flag: Option<&str>, variable: &str| {
            Files::find(
                flag.map(Path::new),
                Some(variable.into()),
                Some(home.path().to_owned()),
            )
        };
        let paths = |files: Option<Files>| files.map(|files| files.paths);
        assert_eq!(paths(find(Some("/flag"), "/a")), Some(vec!["/flag".into()]));
        assert_eq!(paths(find(None, "/a::/b")), Some(vec!["/a".into(), "/b".into()]));
        assert_eq!(paths(find(None, "")), None, "a home folder without a kubeconfig");
        let default = home.path().join(".kube").join("config");
        std::fs::create_dir(home.path().join(".kube")).unwrap();
        std::fs::write(&default, "").unwrap();
        assert_eq!(paths(find(None, ":")), Some(vec![default]));
    }

    #[test]
    fn a_missing_file_of_a_list_is_passed_over() {
        let here = file(KUBECONFIG);
        let files = Files {
            paths: vec!["/nowhere/at/all".into(), here.path().to_owned()],
            named_by: "$KUBECONFIG",
        };
        assert_eq!(read_all(&files).unwrap().contexts.len(), 2);
    }

    #[tokio::test]
    async fn a_context_needs_a_file() {
        let error = in_cluster(Some("first")).unwrap_err();
        assert!(matches!(error, ConfigError::ContextWithoutFile { .. }), "{error}");
    }
}
