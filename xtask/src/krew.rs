//! `cargo xtask krew`: the archive of the plugin for this machine's target, and the krew manifest with the sums of all archives
//! that are there.
//!
//! krew installs only what has a sum, so a platform without an archive is not in the manifest: each release machine builds
//! its own, and who gathers them writes the manifest.

#![expect(clippy::print_stdout, reason = "says what was written")]

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use clap::Args;

use crate::workspace::{self, Binaries, Profile};

const HELP: &str = "\
Examples:
  cargo xtask krew --url https://example.com/releases/v0.1.0
  cargo xtask krew --url https://example.com/releases/v0.1.0 --out /tmp/krew

Archives of other machines that are in the folder come into the manifest too.
With Go, the manifest is checked by krew, and krew installs the plugin from it
into an empty folder.";

/// What `krew` is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct KrewArgs {
    /// Where the archives can be downloaded from.
    #[arg(long, value_name = "URL")]
    url: String,
    /// Where this project is at home. [default: the host of --url]
    #[arg(long, value_name = "URL")]
    homepage: Option<String>,
    /// Where archives and manifest are written. [default: krew beside the build output]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

const TEMPLATE: &str = "plugins/leases.yaml.in";
const MANIFEST: &str = "leases.yaml";
const PLUGIN: &str = "kubectl-leases";
/// What krew calls the platforms that this plugin is built for. Nothing of it has been run on Windows, so it is not offered
/// there.
const PLATFORMS: [(&str, &str); 4] = [
    ("linux", "amd64"),
    ("linux", "arm64"),
    ("darwin", "amd64"),
    ("darwin", "arm64"),
];
const KREW: &str = "v0.4.3";

/// Builds, packs, writes, and checks.
pub(crate) fn run(args: &KrewArgs) -> anyhow::Result<()> {
    let root = workspace::root()?;
    let out = match &args.out {
        Some(out) => root.join(out),
        None => workspace::target_folder(&root).join("krew"),
    };
    let (os, arch) = here()?;
    let binaries = Binaries::build(&root, &[PLUGIN], Profile::Release)?;
    let archive = pack(&root, binaries.path(PLUGIN)?, &out, (os, arch))?;
    println!("wrote {}", archive.display());
    let release = Release {
        version: env!("CARGO_PKG_VERSION"),
        url: &args.url,
        homepage: args.homepage.as_deref().unwrap_or(&args.url),
    };
    let template =
        std::fs::read_to_string(root.join(TEMPLATE)).with_context(|| format!("cannot read {TEMPLATE}"))?;
    let manifest = out.join(MANIFEST);
    std::fs::write(&manifest, release.manifest(&template, &archives(&out)?)?)?;
    println!("wrote {}", manifest.display());
    match Krew::installed(&root)? {
        Ok(krew) => {
            krew.validate(&manifest)?;
            println!("krew {KREW} accepts it");
            krew.install(&manifest, &archive)?;
            println!("krew {KREW} installs it");
        }
        Err(why) => println!("SKIPPED: krew was not asked: {why}"),
    }
    Ok(())
}

/// This machine, in the words of krew.
fn here() -> anyhow::Result<(&'static str, &'static str)> {
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        os => os,
    };
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        arch => arch,
    };
    let known = PLATFORMS.into_iter().find(|known| *known == (os, arch));
    known.with_context(|| format!("the plugin is not built for {os}/{arch}"))
}

fn file_name((os, arch): (&str, &str)) -> String {
    format!("{PLUGIN}-{os}-{arch}.tar.gz")
}

/// The program with its licence and its man pages. The same program gives the same archive, so that anybody can compare sums.
fn pack(root: &Path, program: &Path, out: &Path, platform: (&str, &str)) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    std::fs::copy(program, folder.path().join(PLUGIN))?;
    std::fs::copy(root.join("LICENSE"), folder.path().join("LICENSE"))?;
    said(Command::new(program).arg("man").arg(folder.path().join("man")))?;
    let mut files = vec![PLUGIN.to_owned(), "LICENSE".to_owned()];
    for page in std::fs::read_dir(folder.path().join("man"))? {
        files.push(format!("man/{}", page?.file_name().to_string_lossy()));
    }
    files.sort();
    for file in &files {
        std::fs::File::open(folder.path().join(file))?.set_modified(std::time::UNIX_EPOCH)?;
    }
    let archive = out.join(file_name(platform));
    // Two that pack at the same time do not write into one file.
    let being_made = tempfile::NamedTempFile::new_in(out)?;
    let mut tar = Command::new("tar");
    tar.arg("-czf")
        .arg(being_made.path())
        .arg("-C")
        .arg(folder.path());
    said(tar.args(files))?;
    being_made.persist(&archive)?;
    Ok(archive)
}

/// The archives in a folder, each with its sum.
fn archives(out: &Path) -> anyhow::Result<Vec<((&'static str, &'static str), String)>> {
    let there = PLATFORMS
        .into_iter()
        .filter(|platform| out.join(file_name(*platform)).exists());
    there
        .map(|platform| Ok((platform, sha256(&out.join(file_name(platform)))?)))
        .collect()
}

fn sha256(file: &Path) -> anyhow::Result<String> {
    let mut command = match std::env::consts::OS {
        "macos" => Command::new("shasum"),
        _ => Command::new("sha256sum"),
    };
    if std::env::consts::OS == "macos" {
        command.args(["-a", "256"]);
    }
    let text = said(command.arg(file))?;
    let sum = text.split_whitespace().next().unwrap_or_default().to_owned();
    ensure!(sum.len() == 64, "no SHA-256 sum of {}: {text}", file.display());
    Ok(sum)
}

/// What stands in the manifest and in no file here.
struct Release<'a> {
    version: &'a str,
    url: &'a str,
    homepage: &'a str,
}

impl Release<'_> {
    fn manifest(&self, template: &str, archives: &[((&str, &str), String)]) -> anyhow::Result<String> {
        ensure!(
            self.url.starts_with("https://"),
            "krew downloads from https:// only: {}",
            self.url
        );
        ensure!(!archives.is_empty(), "there is no archive");
        let comment = |line: &&str| !line.starts_with('#');
        let mut text = template
            .lines()
            .filter(comment)
            .map(|line| format!("{line}\n"))
            .collect::<String>();
        for (name, value) in [("{version}", self.version), ("{homepage}", self.homepage)] {
            ensure!(text.contains(name), "{TEMPLATE} has no {name}");
            text = text.replace(name, value);
        }
        for (platform, sum) in archives {
            let (os, arch) = platform;
            let uri = format!("{}/{}", self.url.trim_end_matches('/'), file_name(*platform));
            text += &format!(
                "    - selector:\n        matchLabels:\n          os: {os}\n          arch: {arch}\n      uri: {uri}\n      \
                 sha256: {sum}\n      bin: {PLUGIN}\n"
            );
        }
        Ok(text)
    }
}

/// krew itself, and the program by which its index checks manifests.
struct Krew {
    bin: PathBuf,
}

impl Krew {
    /// Builds them when they are missing; the reason when that cannot be done.
    fn installed(root: &Path) -> anyhow::Result<Result<Self, String>> {
        let bin = workspace::target_folder(root).join("tools/krew").join(KREW);
        if ["krew", "validate-krew-manifest"]
            .iter()
            .all(|name| bin.join(name).exists())
        {
            return Ok(Ok(Self { bin }));
        }
        let mut go = Command::new("go");
        let module = |name: &str| format!("sigs.k8s.io/krew/cmd/{name}@{KREW}");
        go.arg("install")
            .arg(module("krew"))
            .arg(module("validate-krew-manifest"));
        match go.env("GOBIN", &bin).output() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Err("krew is written in Go, and no `go` is in PATH".to_owned()))
            }
            Err(error) => Err(error).context("cannot run go"),
            Ok(output) if output.status.success() => Ok(Ok(Self { bin })),
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stderr);
                Ok(Err(format!(
                    "it cannot be built: {}",
                    text.lines().last().unwrap_or_default()
                )))
            }
        }
    }

    /// By the rules of krew and of its index; nothing is downloaded.
    fn validate(&self, manifest: &Path) -> anyhow::Result<()> {
        let mut command = Command::new(self.bin.join("validate-krew-manifest"));
        said(command.arg("-manifest").arg(manifest).arg("-skip-install")).map(drop)
    }

    /// Into an empty folder, from the archive instead of a download; the sum is compared all the same.
    fn install(&self, manifest: &Path, archive: &Path) -> anyhow::Result<()> {
        let root = tempfile::tempdir().context("cannot make a folder")?;
        let mut command = Command::new(self.bin.join("krew"));
        command
            .env("KREW_ROOT", root.path())
            .env("KREW_NO_UPGRADE_CHECK", "1")
            .arg("install");
        said(
            command
                .arg("--manifest")
                .arg(manifest)
                .arg("--archive")
                .arg(archive),
        )?;
        let version = said(Command::new(root.path().join("bin").join(PLUGIN)).args(["version", "--client"]))?;
        let wanted = format!("Client Version: {}", env!("CARGO_PKG_VERSION"));
        ensure!(version.trim() == wanted, "what krew has installed says {version}");
        Ok(())
    }
}

/// What a program prints, when it succeeds.
fn said(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run {name}"))?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        bail!(
            "{name}: {}: {}",
            output.status,
            String::from_utf8_lossy(&text).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const TEXT: &str = include_str!("../../plugins/leases.yaml.in");
    const RELEASE: Release<'static> = Release {
        version: "0.1.0",
        url: "https://example.com/releases/v0.1.0/",
        homepage: "https://example.com",
    };

    /// Two archives, as two machines would have built them.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for platform in [PLATFORMS[0], PLATFORMS[3]] {
            std::fs::write(folder.path().join(file_name(platform)), platform.1).unwrap();
        }
        folder
    }

    #[test]
    fn the_manifest_names_the_archives_that_are_there_with_their_sums() {
        let folder = folder();
        let text = RELEASE.manifest(TEXT, &archives(folder.path()).unwrap()).unwrap();
        let manifest: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(manifest["spec"]["version"], "v0.1.0");
        let platforms = manifest["spec"]["platforms"].as_array().unwrap();
        let [linux, darwin] = &platforms[..] else {
            panic!("{text}")
        };
        assert_eq!(
            linux["uri"],
            "https://example.com/releases/v0.1.0/kubectl-leases-linux-amd64.tar.gz"
        );
        // The sum of the text `amd64`.
        assert_eq!(linux["sha256"], sha256_of_amd64());
        assert_eq!(darwin["selector"]["matchLabels"]["os"], "darwin");
        assert!(!text.contains('{') && !text.contains('#'), "{text}");
        let short = manifest["spec"]["shortDescription"].as_str().unwrap();
        assert!(
            short.len() <= 50 && !short.ends_with('.'),
            "the index wants it so: {short}"
        );
    }

    fn sha256_of_amd64() -> &'static str {
        "5861314d7fccb39c2192173240eab44fa35ca66426201ca2acd0630a6258dd51"
    }

    #[test]
    fn the_same_program_gives_the_same_archive() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        let script = "#!/bin/sh\nmkdir -p $2 && for page in c a b; do echo $page > $2/$page.1; done\n";
        std::fs::write(&program, script).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, executable).unwrap();
        let root = workspace::root().unwrap();
        let sum = |out: &str| {
            let archive = pack(&root, &program, &folder.path().join(out), PLATFORMS[0]).unwrap();
            sha256(&archive).unwrap()
        };
        let first = sum("first");
        crate::shell::block(std::time::Duration::from_millis(1100));
        assert_eq!(first, sum("second"), "a second later, in another folder");
    }

    #[test]
    fn without_archives_or_a_safe_address_there_is_no_manifest() {
        assert!(RELEASE.manifest(TEXT, &[]).is_err());
        let sums = archives(folder().path()).unwrap();
        let insecure = Release {
            url: "http://example.com",
            ..RELEASE
        };
        assert!(insecure.manifest(TEXT, &sums).is_err());
    }

    #[test]
    fn krew_accepts_the_manifest_and_refuses_what_breaks_its_rules() {
        let krew = match Krew::installed(&workspace::root().unwrap()).unwrap() {
            Ok(krew) => krew,
            Err(why) => {
                // Past what the harness keeps to itself.
                let _ = writeln!(std::io::stderr(), "SKIPPED: krew was not asked: {why}");
                return;
            }
        };
        let folder = folder();
        let text = RELEASE.manifest(TEXT, &archives(folder.path()).unwrap()).unwrap();
        let asked = |text: &str| {
            let file = folder.path().join(MANIFEST);
            std::fs::write(&file, text).unwrap();
            krew.validate(&file)
        };
        asked(&text).unwrap();
        for (from, to) in [
            ("v1alpha2", "v1"),
            ("name: leases", "name: ../leases"),
            ("version: v0.1.0", "version: 0.1.0"),
            ("shortDescription: ", "longDescription: "),
            ("bin: kubectl-leases", "bin: \"\""),
            ("sha256: ", "sha256: x"),
            ("os: darwin", "os: linux"),
        ] {
            assert!(text.contains(from), "{from}");
            let mut broken = text.replace(from, to);
            if to == "os: linux" {
                broken = broken.replace("arch: arm64", "arch: amd64");
            }
            assert!(asked(&broken).is_err(), "krew takes {to}");
        }
    }
}
