//! Where the programs of a real control plane are. Which version of them is built is in `build.rs`.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::ensure;

use crate::workspace;

pub(super) const ETCD: &str = "etcd";
pub(super) const API_SERVER: &str = "kube-apiserver";
pub(super) const CONTROLLER_MANAGER: &str = "kube-controller-manager";

/// The folder that such programs are looked for in, by convention of the field.
const VARIABLE: &str = "KUBEBUILDER_ASSETS";

/// A folder with the programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assets {
    folder: PathBuf,
    named_by: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Variable,
    Flag,
    Build,
}

impl Assets {
    /// The folder that the environment names, else that of the flag, else the one that `control-plane build` fills. One
    /// folder has all programs: those of two would be of two versions.
    pub(super) fn find(root: &Path, flag: Option<&Path>) -> anyhow::Result<Self> {
        let assets = Self::choose(std::env::var_os(VARIABLE).as_deref(), flag, &built_in(root));
        assets.program(ETCD)?;
        assets.program(API_SERVER)?;
        Ok(assets)
    }

    fn choose(variable: Option<&OsStr>, flag: Option<&Path>, built: &Path) -> Self {
        let variable = variable.filter(|folder| !folder.is_empty()).map(Path::new);
        let (folder, named_by) = match (variable, flag) {
            (Some(folder), _) => (folder, Source::Variable),
            (None, Some(folder)) => (folder, Source::Flag),
            (None, None) => (built, Source::Build),
        };
        Self {
            folder: folder.to_owned(),
            named_by,
        }
    }

    /// The path of one of them.
    pub(super) fn program(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(name);
        let flag = if name == CONTROLLER_MANAGER {
            " --controller-manager"
        } else {
            ""
        };
        ensure!(
            path.is_file(),
            "there is no {name} in {self}: `cargo xtask control-plane build{flag}` compiles it, {}",
            match self.named_by {
                Source::Build => format!("or name a folder that has it with --assets or {VARIABLE}"),
                Source::Variable => format!("and it is used when {VARIABLE} is not set"),
                Source::Flag => "and it is used without --assets".to_owned(),
            }
        );
        Ok(path)
    }
}

impl fmt::Display for Assets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named_by = match self.named_by {
            Source::Variable => VARIABLE,
            Source::Flag => "--assets",
            Source::Build => "where `control-plane build` puts it",
        };
        write!(f, "{} ({named_by})", self.folder.display())
    }
}

/// The folder that `control-plane build` fills.
pub(super) fn built_in(root: &Path) -> PathBuf {
    workspace::target_folder(root).join("control-plane")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_comes_before_the_flag_and_the_flag_before_what_was_built() {
        let chosen = |variable: Option<&str>, flag: Option<&str>| {
            let assets = Assets::choose(
                variable.map(OsStr::new),
                flag.map(Path::new),
                Path::new("target/control-plane"),
            );
            (assets.folder.display().to_string(), assets.named_by)
        };
        let cases = [
            (Some("env"), Some("flag"), "env", Source::Variable),
            (Some("env"), None, "env", Source::Variable),
            (Some(""), Some("flag"), "flag", Source::Flag),
            (None, Some("flag"), "flag", Source::Flag),
            (None, None, "target/control-plane", Source::Build),
        ];
        for (variable, flag, folder, named_by) in cases {
            assert_eq!(chosen(variable, flag), (folder.to_owned(), named_by));
        }
    }

    #[test]
    fn a_missing_program_is_named_with_its_folder_and_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(ETCD), "").unwrap();
        let assets = Assets::choose(Some(folder.path().as_os_str()), None, Path::new("built"));
        assert!(assets.program(ETCD).is_ok());
        let error = assets.program(CONTROLLER_MANAGER).unwrap_err().to_string();
        for part in [
            "no kube-controller-manager",
            &folder.path().display().to_string(),
            "control-plane build --controller-manager",
            VARIABLE,
        ] {
            assert!(error.contains(part), "{error}");
        }
    }
}
