//! `cargo xtask control-plane build`: compiles the programs of a real control plane from their Go modules.
//!
//! Which versions they are is in `xtask/control-plane/*/go.mod`, and nowhere else. How Go does it, and what it keeps for
//! the next time, is Go's business.

use std::io::{ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::Args;
use tokio::process::Command;

use super::assets::{API_SERVER, CONTROLLER_MANAGER, ETCD, built_in};
use crate::processes::Processes;
use crate::screen::Screen;
use crate::{die_with_parent, shell, workspace};

const HELP: &str = "\
Examples:
  cargo xtask control-plane build
  cargo xtask control-plane build --controller-manager

It needs Go, 2.4 GB of memory and, on two cores, 12 minutes (15 with the
controller manager) when Go has nothing in its caches; otherwise seconds, and
nothing at all when what is there is of the right version. The versions are
those of xtask/control-plane/*/go.mod.";

/// What `control-plane build` is told.
#[derive(Clone, Copy, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct BuildArgs {
    /// Compile kube-controller-manager as well.
    #[arg(long)]
    controller_manager: bool,
}

/// A program, and where it comes from.
#[derive(Clone, Copy, Debug)]
struct Program {
    name: &'static str,
    package: &'static str,
    /// The module that has the package.
    module: &'static str,
    /// The folder of the go.mod that pins the module.
    pinned_in: &'static str,
    /// The package that is told the version when a program is linked; without it kube-apiserver calls itself v0.0.0, and
    /// kubectl warns of it.
    told: Option<&'static str>,
}

const KUBERNETES: Program = Program {
    name: "",
    package: "",
    module: "k8s.io/kubernetes",
    pinned_in: "xtask/control-plane/kubernetes",
    told: Some("k8s.io/component-base/version"),
};
/// In the order in which they are of use.
const PROGRAMS: [Program; 3] = [
    Program {
        name: ETCD,
        package: "go.etcd.io/etcd/server/v3",
        module: "go.etcd.io/etcd/server/v3",
        pinned_in: "xtask/control-plane/etcd",
        told: None,
    },
    Program {
        name: API_SERVER,
        package: "k8s.io/kubernetes/cmd/kube-apiserver",
        ..KUBERNETES
    },
    Program {
        name: CONTROLLER_MANAGER,
        package: "k8s.io/kubernetes/cmd/kube-controller-manager",
        ..KUBERNETES
    },
];

/// The process that does the work.
const GO: &str = "go";
const GLANCE: Duration = Duration::from_millis(100);
/// How often a line tells of the progress where a line cannot be replaced.
const TOLD_EVERY: Duration = Duration::from_secs(5);

pub(super) async fn run(args: &BuildArgs) -> anyhow::Result<()> {
    let root = workspace::root()?;
    let scratch = tempfile::Builder::new().prefix("control-plane-build-").tempdir();
    let scratch = scratch.context("cannot make a folder for the build")?;
    let mut build = Build {
        processes: Processes::new(scratch.path().join("logs"))?,
        screen: Screen::new(),
        scratch: scratch.path().to_owned(),
        output: built_in(&root),
    };
    tokio::select! {
        built = build.make(args, &root) => built,
        // Go is killed, with all that it has started, when `build` goes.
        signal = shell::interrupted() => signal.and_then(|name| {
            bail!("{name}: what was compiled so far is kept by Go, and the next build goes on from there")
        }),
    }
}

struct Build {
    processes: Processes,
    screen: Screen,
    scratch: PathBuf,
    output: PathBuf,
}

/// A program as its go.mod wants it.
#[derive(Clone, Debug)]
struct Pinned {
    program: Program,
    version: String,
    /// The folder of the go.mod.
    folder: PathBuf,
    /// The oldest Go that will do.
    go: String,
    /// What a binary was built from. It is written beside the binary, whose age says nothing of its version.
    recipe: String,
}

impl Build {
    async fn make(&mut self, args: &BuildArgs, root: &Path) -> anyhow::Result<()> {
        let mut missing = Vec::new();
        for program in PROGRAMS {
            if program.name == CONTROLLER_MANAGER && !args.controller_manager {
                continue;
            }
            let pinned = Pinned::read(program, root)?;
            if pinned.is_built(&self.output) {
                self.tell_built(&pinned);
            } else {
                missing.push(pinned);
            }
        }
        let Some(first) = missing.first() else {
            return Ok(());
        };
        check_go(first)?;
        self.screen.note(
            "compiling from Go modules: 12 minutes on two cores (15 with the controller manager) and 2.4 GB of memory",
        );
        self.screen
            .note("the first time, seconds with what Go has in its caches by then");
        std::fs::create_dir_all(&self.output)
            .with_context(|| format!("cannot make {}", self.output.display()))?;
        for pinned in &missing {
            self.compile(pinned).await?;
            self.tell_built(pinned);
        }
        Ok(())
    }

    fn tell_built(&mut self, pinned: &Pinned) {
        let path = self.output.join(pinned.program.name);
        let text = format!("{} {}: {}", pinned.program.name, pinned.version, path.display());
        self.screen.observed(&text, None);
    }

    async fn compile(&mut self, pinned: &Pinned) -> anyhow::Result<()> {
        let Program { name, package, .. } = pinned.program;
        let list = ["list", "-mod=readonly", "-deps", package].map(str::to_owned);
        let log = self.go(pinned, &list, |log| {
            format!("{name}: fetching modules, {} so far", log.fetched)
        });
        let all = log.await?.packages;
        // Into another file first: a program may run that is replaced.
        let new = self.scratch.join(name);
        let args = [pinned.build_args(), output_args(&new, package)].concat();
        self.go(pinned, &args, |log| {
            format!(
                "{name}: compiled {} packages of at most {all}, linked at the end",
                log.packages
            )
        })
        .await?;
        self.install(&new, name, &pinned.recipe)
            .with_context(|| format!("cannot put {name} into {}", self.output.display()))
    }

    /// Runs Go, and tells how far it is.
    async fn go(
        &mut self,
        pinned: &Pinned,
        args: &[String],
        progress: impl Fn(&GoLog) -> String,
    ) -> anyhow::Result<GoLog> {
        let mut command = Command::from(die_with_parent::command(Path::new(GO)));
        command
            .args(args)
            .current_dir(&pinned.folder)
            // Whatever it leaves behind when it is killed.
            .env("GOTMPDIR", &self.scratch)
            // A workspace that this repository happens to lie in does not concern it.
            .env("GOWORK", "off");
        self.processes.forget_log(GO);
        self.processes.start_command(GO, command)?;
        let began = shell::now();
        let mut told = began;
        let status = loop {
            if let Some((_, status)) = self.processes.lost() {
                break status;
            }
            let log = GoLog::read(&self.processes.log(GO));
            self.tell(&progress(&log), began, &mut told);
            shell::sleep(GLANCE).await;
        };
        self.processes.ended(GO).await?;
        ensure!(
            status.success(),
            "go {} failed in {} ({status})\n{}",
            args.join(" "),
            pinned.folder.display(),
            self.processes.tail(GO)
        );
        Ok(GoLog::read(&self.processes.log(GO)))
    }

    fn tell(&mut self, text: &str, began: Instant, told: &mut Instant) {
        if std::io::stdout().is_terminal() {
            self.screen.waiting(text, began.elapsed());
        } else if told.elapsed() >= TOLD_EVERY {
            *told = shell::now();
            self.screen
                .note(&format!("{text}, {} s", began.elapsed().as_secs()));
        }
    }

    /// The recipe comes last: an interruption leaves no binary with a recipe that is not its own.
    fn install(&self, new: &Path, name: &str, recipe: &str) -> std::io::Result<()> {
        let (binary, noted) = (self.output.join(name), recipe_file(&self.output, name));
        if noted.is_file() {
            std::fs::remove_file(&noted)?;
        }
        // The scratch folder may be on another file system, where nothing can be renamed to here.
        let near = self.output.join(format!("{name}.new"));
        std::fs::copy(new, &near)?;
        std::fs::rename(&near, &binary)?;
        std::fs::write(&noted, recipe)
    }
}

impl Pinned {
    fn read(program: Program, root: &Path) -> anyhow::Result<Self> {
        let folder = root.join(program.pinned_in);
        let file = folder.join("go.mod");
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let find = |what| value(&text, what).with_context(|| format!("{} has no {what}", file.display()));
        let mut pinned = Self {
            program,
            version: find(program.module)?,
            go: find("go")?,
            folder,
            recipe: String::new(),
        };
        pinned.recipe = format!("go {}\n\n{text}", pinned.build_args().join(" "));
        Ok(pinned)
    }

    fn is_built(&self, output: &Path) -> bool {
        let name = self.program.name;
        let recipe = std::fs::read_to_string(recipe_file(output, name));
        output.join(name).is_file() && recipe.is_ok_and(|recipe| recipe == self.recipe)
    }

    fn build_args(&self) -> Vec<String> {
        let mut linked = "-s -w".to_owned();
        if let Some(package) = self.program.told {
            let mut numbers = self.version.trim_start_matches('v').split('.');
            let (major, minor) = (numbers.next(), numbers.next());
            for (name, value) in [
                ("gitVersion", Some(self.version.as_str())),
                ("gitMajor", major),
                ("gitMinor", minor),
            ] {
                linked += &format!(" -X {package}.{name}={}", value.unwrap_or_default());
            }
        }
        let flags = ["build", "-v", "-trimpath", "-buildvcs=false", "-mod=readonly"];
        let flags = flags.into_iter().map(str::to_owned);
        flags.chain([format!("-ldflags={linked}")]).collect()
    }
}

fn output_args(file: &Path, package: &str) -> Vec<String> {
    vec![format!("-o={}", file.display()), package.to_owned()]
}

fn recipe_file(output: &Path, name: &str) -> PathBuf {
    output.join(format!("{name}.recipe"))
}

/// What a go.mod says of a module, or of Go itself.
fn value(go_mod: &str, what: &str) -> Option<String> {
    go_mod.lines().find_map(|line| {
        let mut words = line
            .trim_start()
            .trim_start_matches("require ")
            .split_whitespace();
        (words.next() == Some(what))
            .then(|| words.next())
            .flatten()
            .map(str::to_owned)
    })
}

/// How far Go is, by what it prints: a line for each module that it fetches, and for each package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct GoLog {
    fetched: usize,
    packages: usize,
}

impl GoLog {
    fn read(log: &str) -> Self {
        let fetched = log.lines().filter(|line| line.starts_with("go: ")).count();
        Self {
            fetched,
            packages: log.lines().count() - fetched,
        }
    }
}

/// Makes sure that there is a Go that will do. One that may fetch a newer Go by itself does so here.
fn check_go(pinned: &Pinned) -> anyhow::Result<()> {
    let needed = &pinned.go;
    let remedy = format!(
        "install Go {needed} or newer (https://go.dev/dl), or name a folder that has the programs with --assets or \
         KUBEBUILDER_ASSETS"
    );
    let asked = std::process::Command::new(GO)
        .args(["env", "GOVERSION"])
        .current_dir(&pinned.folder)
        .env("GOWORK", "off")
        .output();
    let output = match asked {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("Go is not installed: {remedy}"),
        asked => asked.context("cannot run go")?,
    };
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "Go cannot be used: {}: {remedy}",
        said.trim()
    );
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    ensure!(is_new_enough(&version, needed), "{version} is too old: {remedy}");
    Ok(())
}

/// Whether `go1.26.8` will do for `1.26.0`. What is no release is left for Go to judge.
fn is_new_enough(version: &str, needed: &str) -> bool {
    let numbers = |version: &str| -> Option<Vec<u32>> {
        let version = version.trim_start_matches("go");
        version.split('.').map(|number| number.parse().ok()).collect()
    };
    match (numbers(version), numbers(needed)) {
        (Some(version), Some(needed)) => version >= needed,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    #[test]
    fn a_version_is_read_from_go_mod_in_both_ways_of_writing() {
        let go_mod = "module m\n\ngo 1.26.0\n\nrequire a.io/b v1.2.3\n\nrequire (\n\tc.io/d/v3 v3.4.5 // indirect\n)\n\n\
             replace (\n\te.io/f => e.io/f v0.1.0\n)\n";
        let check = |what, expected: Option<&str>| assert_eq!(value(go_mod, what).as_deref(), expected);
        check("a.io/b", Some("v1.2.3"));
        check("c.io/d/v3", Some("v3.4.5"));
        check("go", Some("1.26.0"));
        check("a.io", None);
    }

    #[test]
    fn every_program_has_a_version_and_kubernetes_is_told_its_own() {
        for program in PROGRAMS {
            let pinned = Pinned::read(program, &repository()).unwrap();
            assert!(pinned.version.starts_with('v'), "{pinned:?}");
            let args = pinned.build_args().join(" ");
            let told = format!("-X k8s.io/component-base/version.gitVersion={}", pinned.version);
            assert_eq!(args.contains(&told), program.name != ETCD, "{args}");
        }
    }

    #[test]
    fn what_kubernetes_points_into_its_own_tree_is_replaced_by_the_same_release() {
        let pinned = Pinned::read(PROGRAMS[1], &repository()).unwrap();
        let library = pinned.version.replacen("v1.", "v0.", 1);
        let replaced: Vec<_> = pinned
            .recipe
            .lines()
            .filter(|line| line.contains(" => "))
            .collect();
        assert!(replaced.len() > 30, "{replaced:?}");
        for line in replaced {
            assert!(line.ends_with(&library), "{line}");
        }
    }

    #[test]
    fn a_program_is_built_again_when_its_recipe_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let pinned = Pinned::read(PROGRAMS[0], &repository()).unwrap();
        assert!(!pinned.is_built(folder.path()));
        std::fs::write(folder.path().join(ETCD), "").unwrap();
        assert!(!pinned.is_built(folder.path()), "nobody knows from what");
        std::fs::write(recipe_file(folder.path(), ETCD), &pinned.recipe).unwrap();
        assert!(pinned.is_built(folder.path()));
        let newer = Pinned {
            recipe: pinned.recipe.replace("v3", "v4"),
            ..pinned
        };
        assert!(!newer.is_built(folder.path()));
    }

    #[test]
    fn a_go_that_is_too_old_is_known() {
        for (version, good) in [
            ("go1.26.0", true),
            ("go1.26.8", true),
            ("go1.30", true),
            ("go2.0", true),
            ("go1.25.9", false),
            ("go1.9", false),
            ("devel go1.27-4711", true),
        ] {
            assert_eq!(is_new_enough(version, "1.26.0"), good, "{version}");
        }
    }

    #[test]
    fn progress_is_read_from_what_go_prints() {
        let log = "go: downloading a.io/b v1.2.3\ngo: downloading c.io/d v1.0.0\nerrors\nunsafe\nnet/http\n";
        let expected = GoLog {
            fetched: 2,
            packages: 3,
        };
        assert_eq!(GoLog::read(log), expected);
    }
}
