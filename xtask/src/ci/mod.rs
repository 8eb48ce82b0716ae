//! `cargo xtask ci`: the whole list of checks, in the order in which a mistake is found soonest. It stops at the first
//! that fails, and says which.

#![expect(clippy::print_stdout, reason = "the output of the checks")]

mod cargo;
mod help;
mod model;
mod no_std;
mod supply_chain;
mod tidy;
mod toolchain;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use crate::{shell, workspace};

const HELP: &str = "\
Examples:
  cargo xtask ci                       all steps
  cargo xtask ci --list                which there are
  cargo xtask ci fmt clippy tests      some of them
  cargo xtask ci real                  what also needs Go: not among all";

/// What `ci` is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct CiArgs {
    /// Only these steps; all when none is named.
    #[arg(value_name = "STEP")]
    steps: Vec<String>,
    /// Say which steps there are.
    #[arg(long)]
    list: bool,
}

/// What a step says when it came to its end: nothing, or what it could not check.
type Outcome = anyhow::Result<Option<String>>;

/// One check.
struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(&Path) -> Outcome,
    /// Only when it is named: it needs more than Rust.
    on_demand: bool,
}

const STEPS: [Step; 18] = [
    Step {
        name: "toolchain",
        about: "the compiler is not older than rust-version",
        run: toolchain::check,
        on_demand: false,
    },
    Step {
        name: "fmt",
        about: "rustfmt would change nothing",
        run: cargo::fmt,
        on_demand: false,
    },
    Step {
        name: "tidy",
        about: "module docs, sizes, no machine paths, nothing left to do",
        run: tidy::check,
        on_demand: false,
    },
    Step {
        name: "clippy",
        about: "no warning in any target with all features",
        run: cargo::clippy,
        on_demand: false,
    },
    Step {
        name: "no-std",
        about: "election-core needs neither std nor its default features",
        run: no_std::check,
        on_demand: false,
    },
    Step {
        name: "features",
        about: "the libraries compile without their programs",
        run: cargo::features,
        on_demand: false,
    },
    Step {
        name: "tests",
        about: "unit tests, integration tests, the examples in the documentation",
        run: cargo::tests,
        on_demand: false,
    },
    Step {
        name: "docs",
        about: "the documentation has no warning",
        run: cargo::docs,
        on_demand: false,
    },
    Step {
        name: "deny",
        about: "licences, sources, bans, advisories",
        run: supply_chain::deny,
        on_demand: false,
    },
    Step {
        name: "machete",
        about: "no unused dependency",
        run: supply_chain::machete,
        on_demand: false,
    },
    Step {
        name: "help",
        about: "every program explains itself",
        run: help::check,
        on_demand: false,
    },
    Step {
        name: "bugs",
        about: "the patches that break a rule each still apply",
        run: model::bugs,
        on_demand: false,
    },
    Step {
        name: "model",
        about: "the protocol holds in every order of events within bounds",
        run: model::explore,
        on_demand: false,
    },
    Step {
        name: "conformance",
        about: "the local control plane does what a real one does",
        run: cargo::conformance,
        on_demand: false,
    },
    Step {
        name: "simulation",
        about: "1,000 seeds of whole clusters under faults break no rule",
        run: cargo::simulation,
        on_demand: false,
    },
    Step {
        name: "demo",
        about: "all scenarios, with real processes",
        run: cargo::demo,
        on_demand: false,
    },
    Step {
        name: "chaos",
        about: "16 cycles of real processes that are killed and stopped: never two leaders",
        run: cargo::chaos,
        on_demand: false,
    },
    Step {
        name: "real",
        about: "conformance, walks, interop, the plugin, demo and chaos on a real control plane (on demand; needs Go, and 12 min at first)",
        run: cargo::real,
        on_demand: true,
    },
];

/// Runs the checks.
pub(crate) fn run(args: &CiArgs) -> anyhow::Result<()> {
    if args.list {
        for step in &STEPS {
            println!("{:<12}{}", step.name, step.about);
        }
        return Ok(());
    }
    if let Some(unknown) = args
        .steps
        .iter()
        .find(|name| STEPS.iter().all(|step| step.name != name.as_str()))
    {
        bail!("there is no step {unknown}: see `cargo xtask ci --list`");
    }
    let root = workspace::root()?;
    let chosen = STEPS.iter().filter(|step| {
        (args.steps.is_empty() && !step.on_demand) || args.steps.iter().any(|name| name == step.name)
    });
    let (began, mut done) = (shell::now(), Vec::new());
    for step in chosen {
        println!("\n=== {}: {}", step.name, step.about);
        let since = shell::now();
        let outcome = (step.run)(&root);
        let took = since.elapsed();
        match outcome {
            Ok(remark) => done.push((step.name, took, remark)),
            Err(error) => {
                show(&done);
                println!("✗ {:<12}{:>8}", step.name, seconds(took));
                if let Some(remark) = little_room(&workspace::target_folder(&root)) {
                    println!("{remark}");
                }
                return Err(error).with_context(|| format!("step {} failed", step.name));
            }
        }
    }
    show(&done);
    println!("all {} steps passed in {}", done.len(), seconds(began.elapsed()));
    Ok(())
}

fn show(done: &[(&str, Duration, Option<String>)]) {
    println!();
    for (name, took, remark) in done {
        let remark = remark
            .as_ref()
            .map(|remark| format!("   ({remark})"))
            .unwrap_or_default();
        println!("✓ {name:<12}{:>8}{remark}", seconds(*took));
    }
}

/// A full disk looks like a defect of whatever could not write: below a gibibyte it is said.
fn little_room(folder: &Path) -> Option<String> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize) >> 20;
    (free < 1_024).then(|| {
        format!(
            "only {free} MiB are free on the disk of {}: that may be why. `cargo clean` makes room",
            folder.display()
        )
    })
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
