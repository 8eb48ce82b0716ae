//! `simulate`: the command line of the simulation, called by `cargo xtask simulate`.

#![expect(clippy::print_stdout, reason = "the output of the simulation")]

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser;
use simulation::{Broken, Campaign, Class, Plan, Summary, Totals, Tracing, run, shrink};

/// Most of the time goes into JSON, and much of that into the allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HELP: &str = "\
Examples:
  cargo xtask simulate                          1,000 seeds on all cores
  cargo xtask simulate --from 7 --seeds 1 --trace
                                                one seed, told line by line
  cargo xtask simulate --fault pause --fault partition
  cargo xtask simulate --minutes 60 --from 1000
  cargo xtask simulate --seeds 1000000 --output million.json --resume
                                                go on where it was interrupted

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
    /// Keep what was seen in this file, as JSON. It is up to date every 1,000 seeds.
    #[arg(long, value_name = "FILE", conflicts_with = "trace")]
    output: Option<PathBuf>,
    /// Go on from what --output has, if it is there; the seeds in it count.
    #[arg(long, requires = "output")]
    resume: bool,
    /// Run every so many-th seed twice, and compare; 0 for none.
    #[arg(long, value_name = "EVERY", default_value_t = 50)]
    twice: u64,
    /// Do not look for a smaller story of a failure.
    #[arg(long)]
    no_shrink: bool,
}

/// How many seeds are many.
const MANY: u64 = 1000;

/// So many seeds are done together; between two of these, every seed before the next one is done.
const BATCH: u64 = 1000;

fn main() -> ExitCode {
    // A story is read with `less` or `head`: what nobody reads on ends quietly.
    sigpipe::reset();
    let cli = Cli::parse();
    if cli.trace {
        return trace(&cli);
    }
    let summary = match simulate(&cli) {
        Ok(summary) => summary,
        Err(error) => {
            // There is nowhere else to say it.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            return ExitCode::from(2);
        }
    };
    tell(&summary);
    if let Some(broken) = summary.violations.first() {
        tell_story(&cli, broken);
        return ExitCode::FAILURE;
    }
    let missing = summary.missing();
    if !missing.is_empty() {
        println!(
            "no rule was broken, but some faults never happened: {}",
            missing.join(", ")
        );
        return ExitCode::FAILURE;
    }
    println!("every rule held");
    ExitCode::SUCCESS
}

/// Simulates batch by batch, and keeps what was seen after each.
fn simulate(cli: &Cli) -> Result<Summary, String> {
    let default = if cli.minutes.is_some() { u64::MAX } else { MANY };
    let campaign = Campaign {
        from: cli.from,
        seeds: cli.seeds.unwrap_or(default),
        classes: cli.faults.clone(),
        budget: cli.minutes.map(|minutes| Duration::from_secs(minutes * 60)),
        twice: cli.twice,
    };
    let mut summary = match &cli.output {
        Some(file) if cli.resume && file.exists() => Summary::resume(file, &campaign)?,
        _ => Summary::begin(&campaign),
    };
    let screen = Screen {
        wanted: campaign.seeds,
        before: summary.seeds,
        next_line: AtomicU64::new(LINE_EVERY),
    };
    let mut took = Duration::ZERO;
    loop {
        let budget = campaign.budget.map(|budget| budget.saturating_sub(took));
        let left = campaign.seeds.saturating_sub(summary.seeds);
        if left == 0 || budget.is_some_and(|budget| budget.is_zero()) || !summary.violations.is_empty() {
            break;
        }
        let batch = Campaign {
            from: campaign.from + summary.seeds,
            seeds: left.min(BATCH),
            budget,
            ..campaign.clone()
        };
        let totals = batch.run(&|totals| screen.show(&summary, totals, took));
        took += totals.took;
        summary.add(&totals);
        if let Some(file) = &cli.output {
            let written = summary.write(file);
            written.map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        }
    }
    screen.clear();
    Ok(summary)
}

/// Where progress is told.
struct Screen {
    /// All seeds that are wanted.
    wanted: u64,
    /// Seeds that an earlier run has done.
    before: u64,
    /// When a line is due where lines stay, in seconds.
    next_line: AtomicU64,
}

/// Seconds between two lines where lines stay.
const LINE_EVERY: u64 = 60;

impl Screen {
    /// One line that is written over and over, or now and then a line.
    fn show(&self, summary: &Summary, totals: &Totals, took: Duration) {
        let mut stderr = std::io::stderr();
        let took = took + totals.took;
        let seeds = summary.seeds + totals.seeds;
        let rate = (seeds - self.before) as f64 / took.as_secs_f64().max(0.001);
        let end = if self.wanted == u64::MAX {
            String::new()
        } else {
            let left = Duration::from_secs_f64((self.wanted - seeds) as f64 / rate.max(0.001));
            format!(" of {}, {} to go", self.wanted, spoken(left))
        };
        let line = format!(
            "{seeds} seeds{end}, {rate:.0}/s, {} terms, {:.1} h simulated",
            summary.terms + totals.terms,
            summary.hours_simulated + totals.simulated.as_secs_f64() / 3600.0
        );
        if stderr.is_terminal() {
            let _ = write!(stderr, "\r\x1b[K{line}");
            let _ = stderr.flush();
        } else if took.as_secs() >= self.next_line.load(Ordering::Relaxed) {
            self.next_line
                .store(took.as_secs() + LINE_EVERY, Ordering::Relaxed);
            let _ = writeln!(stderr, "{line}");
        }
    }

    fn clear(&self) {
        let mut stderr = std::io::stderr();
        if stderr.is_terminal() {
            let _ = write!(stderr, "\r\x1b[K");
        }
    }
}

/// A time for people.
fn spoken(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    match (minutes / 60, minutes) {
        (0, 0) => format!("{} s", time.as_secs()),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {} min", minutes % 60),
    }
}

fn tell(summary: &Summary) {
    println!(
        "{} seeds: {} terms, {} acts of leaders, {:.1} h simulated; {} run twice, each with the same trace",
        summary.seeds, summary.terms, summary.acts, summary.hours_simulated, summary.run_twice
    );
    println!(
        "slowest seed: {} in {:.0} ms",
        summary.slowest_seed,
        summary.slowest_seconds * 1000.0
    );
    let counts: Vec<String> = summary
        .classes
        .iter()
        .map(|taken| format!("{:>17} {:>9}", taken.class, taken.count))
        .collect();
    for row in counts.chunks(3) {
        println!("  {}", row.join("   "));
    }
}

fn tell_story(cli: &Cli, broken: &Broken) {
    let Broken { seed, rule, what, at } = broken;
    println!("\nviolation: {rule} {what} at {at:.3} s  seed {seed}");
    let faults: String = cli
        .faults
        .iter()
        .map(|class| format!(" --fault {class}"))
        .collect();
    println!("replay: cargo xtask simulate --from {seed} --seeds 1{faults} --trace");
    if cli.no_shrink || rule == "determinism" {
        return;
    }
    let shrunk = shrink(&Plan::new(*seed, &cli.faults));
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
