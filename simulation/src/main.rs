//! `simulate`: the command line of the simulation, called by `cargo xtask simulate`.

#![expect(clippy::print_stdout, reason = "the output of the simulation")]

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use simulation::{Campaign, Class, Failure, Plan, Totals, Tracing, run, shrink};

const HELP: &str = "\
Examples:
  cargo xtask simulate                          1,000 seeds on all cores
  cargo xtask simulate --from 7 --seeds 1 --trace
                                                one seed, told line by line
  cargo xtask simulate --fault pause --fault partition
  cargo xtask simulate --minutes 60 --from 1000

The first broken rule ends it: the seed is named with the command that replays
it, and its story is told in as few happenings as possible.

Exit code: 0 when every rule held, 1 when one was broken, 2 for wrong flags.";

/// Simulate whole clusters under faults, and check every rule of the protocol.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask simulate", after_help = HELP)]
struct Cli {
    /// How many seeds. [default: 1000, or as many as --minutes allow]
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed; the others follow.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Only this class of faults; repeat it for more. [default: all]
    #[arg(long = "fault", value_name = "CLASS")]
    faults: Vec<Class>,
    /// Tell all that happens, one seed after the other.
    #[arg(long)]
    trace: bool,
    /// How long to go on, in minutes of this machine's time.
    #[arg(long)]
    minutes: Option<u64>,
    /// Run every so many-th seed twice, and compare; 0 for none.
    #[arg(long, value_name = "EVERY", default_value_t = 50)]
    twice: u64,
    /// Do not look for a smaller story of a failure.
    #[arg(long)]
    no_shrink: bool,
}

/// From this many seeds on, each class must have taken effect.
const MANY: u64 = 1000;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.trace {
        return trace(&cli);
    }
    let default = if cli.minutes.is_some() { u64::MAX } else { MANY };
    let campaign = Campaign {
        from: cli.from,
        seeds: cli.seeds.unwrap_or(default),
        classes: cli.faults.clone(),
        budget: cli.minutes.map(|minutes| Duration::from_secs(minutes * 60)),
        twice: cli.twice,
    };
    let totals = campaign.run(&progress);
    if std::io::stderr().is_terminal() {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
    summary(&totals);
    if let Some(failure) = &totals.failure {
        tell(&cli, failure);
        return ExitCode::FAILURE;
    }
    let missing = totals.counts.missing();
    if totals.seeds >= MANY && cli.faults.is_empty() && !missing.is_empty() {
        let names: Vec<String> = missing.iter().map(Class::to_string).collect();
        println!(
            "no rule was broken, but some faults never happened: {}",
            names.join(", ")
        );
        return ExitCode::FAILURE;
    }
    println!("every rule held");
    ExitCode::SUCCESS
}

/// One line that is written over and over.
fn progress(totals: &Totals, since: Duration) {
    let rate = totals.seeds as f64 / since.as_secs_f64().max(0.001);
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let _ = write!(
            stderr,
            "\r\x1b[K{} seeds, {rate:.0}/s, {} terms, {:.1} h simulated",
            totals.seeds,
            totals.terms,
            totals.simulated.as_secs_f64() / 3600.0
        );
        let _ = stderr.flush();
    }
}

fn summary(totals: &Totals) {
    println!(
        "{} seeds: {} terms, {} acts of leaders, {:.1} h simulated; {} run twice, each with the same trace",
        totals.seeds,
        totals.terms,
        totals.acts,
        totals.simulated.as_secs_f64() / 3600.0,
        totals.repeated
    );
    println!(
        "slowest seed: {} in {:.0} ms",
        totals.slowest.0,
        totals.slowest.1.as_secs_f64() * 1000.0
    );
    let counts: Vec<String> = Class::all()
        .iter()
        .map(|class| format!("{:>16} {:>9}", class.to_string(), totals.counts.get(*class)))
        .collect();
    for row in counts.chunks(3) {
        println!("  {}", row.join("   "));
    }
}

fn tell(cli: &Cli, failure: &Failure) {
    println!("\nviolation: {}  seed {}", failure.violation, failure.seed);
    let faults: String = cli
        .faults
        .iter()
        .map(|class| format!(" --fault {class}"))
        .collect();
    println!(
        "replay: cargo xtask simulate --from {} --seeds 1{faults} --trace",
        failure.seed
    );
    if cli.no_shrink || failure.violation.rule == "determinism" {
        return;
    }
    let shrunk = shrink(&Plan::new(failure.seed, &cli.faults));
    println!(
        "\nthe shortest story that breaks it ({} runs):\n{}",
        shrunk.runs, shrunk.plan
    );
    let lines = shrunk.outcome.trace;
    let from = lines.len().saturating_sub(STORY);
    if from > 0 {
        println!("  …");
    }
    for line in &lines[from..] {
        println!("  {line}");
    }
}

/// How many lines of a shrunk trace are shown.
const STORY: usize = 60;

fn trace(cli: &Cli) -> ExitCode {
    tracing_subscriber::fmt()
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
        .init();
    for seed in cli.from..cli.from + cli.seeds.unwrap_or(1) {
        let plan = Plan::new(seed, &cli.faults);
        println!("{plan}");
        let outcome = run(&plan, Tracing::Print);
        println!("trace {:016x}", outcome.hash);
        if let Some(violation) = outcome.violation {
            println!("violation: {violation}  seed {seed}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
