//! The repository: where it is, and how its programs are built.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

/// How programs are built.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Profile {
    /// Soon there: for what people look at.
    Dev,
    /// Optimized: for what is measured.
    Bench,
    /// As it ships.
    Release,
    /// Fast, with assertions: for the simulation.
    Sim,
}

impl Profile {
    const fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Bench => "bench",
            Self::Release => "release",
            Self::Sim => "sim",
        }
    }
}

/// The root of the repository that this was called in.
pub(crate) fn root() -> anyhow::Result<PathBuf> {
    let here = match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(package) => PathBuf::from(package),
        None => std::env::current_dir().context("there is no current folder")?,
    };
    here.ancestors()
        .find(|folder| folder.join("xtask/Cargo.toml").is_file())
        .map(Path::to_path_buf)
        .context("this is not inside the repository: call `cargo xtask` from one of its folders")
}

/// Where build output goes.
pub(crate) fn target_folder(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder))
}

/// The cargo that called this, or the one in `PATH`.
pub(crate) fn cargo() -> Command {
    let mut command = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.stdin(Stdio::null());
    command
}

/// A program that calls cargo.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    // What cargo tells a program that it runs is not meant for the next cargo: the build scripts of some crates look at
    // it, and half of the dependencies would be built again each time.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    command
}

/// Programs that were built, by name.
#[derive(Clone, Debug)]
pub(crate) struct Binaries(BTreeMap<String, PathBuf>);

impl Binaries {
    /// Builds packages; cargo shows its progress on stderr. One call builds all, or their dependencies would be built once
    /// for each set of features.
    pub(crate) fn build(root: &Path, packages: &[&str], profile: Profile) -> anyhow::Result<Self> {
        Self::build_into(root, None, packages, profile)
    }

    /// As [`Self::build`], with a folder for the output, so that another tree's programs do not replace this one's.
    pub(crate) fn build_into(
        root: &Path,
        output: Option<&Path>,
        packages: &[&str],
        profile: Profile,
    ) -> anyhow::Result<Self> {
        if packages.is_empty() {
            return Ok(Self(BTreeMap::new()));
        }
        let mut command = cargo();
        if let Some(output) = output {
            command
                .arg("--config")
                .arg(format!("build.target-dir={output:?}"));
            command.env_remove("CARGO_TARGET_DIR");
        }
        command
            .current_dir(root)
            .args(["build", "--profile", profile.name(), "--bins"]);
        for package in packages {
            command.args(["--package", package]);
        }
        Ok(Self(built(command, executable)?))
    }

    /// Where a program is.
    pub(crate) fn path(&self, name: &str) -> anyhow::Result<&Path> {
        match self.0.get(name) {
            Some(path) => Ok(path),
            None => bail!(
                "no program {name} was built: there are {:?}",
                self.0.keys().collect::<Vec<_>>()
            ),
        }
    }
}

/// Runs a build, and collects what `of` makes of cargo's messages; cargo shows its progress on stderr.
pub(crate) fn built<T, All: Default + Extend<T>>(
    mut command: Command,
    of: impl Fn(&str) -> Option<T>,
) -> anyhow::Result<All> {
    command
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot run cargo")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let mut all = All::default();
    for line in BufReader::new(output).lines() {
        all.extend(of(&line?));
    }
    let status = child.wait()?;
    ensure!(
        status.success(),
        "the build failed ({status}): what cargo says stands above"
    );
    Ok(all)
}

/// The program that one of cargo's messages is about.
fn executable(line: &str) -> Option<(String, PathBuf)> {
    #[derive(Deserialize)]
    struct Message {
        reason: String,
        executable: Option<PathBuf>,
        target: Option<Target>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
        kind: Vec<String>,
    }
    let message: Message = serde_json::from_str(line).ok()?;
    let target = message
        .target
        .filter(|target| target.kind.iter().any(|kind| kind == "bin"))?;
    (message.reason == "compiler-artifact").then_some((target.name, message.executable?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_what_cargo_says() {
        let line = r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"candidate"},"executable":"t/candidate"}"#;
        assert_eq!(
            executable(line),
            Some(("candidate".to_owned(), PathBuf::from("t/candidate")))
        );
        for other in [
            r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"candidate"},"executable":null}"#,
            r#"{"reason":"build-finished","success":true}"#,
            "no JSON",
        ] {
            assert_eq!(executable(other), None);
        }
    }
}
