//! Explores configurations of the model and says what came of it.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use model::{Config, Limits, check, configs, replay};

/// Explore the protocol: every order of events within bounds.
#[derive(Debug, Parser)]
#[command(name = "model")]
struct Cli {
    /// Only these configurations.
    #[arg(value_name = "CONFIG")]
    configs: Vec<String>,
    /// Say which configurations there are.
    #[arg(long)]
    list: bool,
    /// Stop after so many generated states; without it, where the configuration says so.
    #[arg(long)]
    states: Option<usize>,
    /// Follow no longer paths than this.
    #[arg(long)]
    depth: Option<usize>,
    /// Stop after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// Let so much more go wrong than the configurations say.
    #[arg(long, default_value_t = 0)]
    more: u8,
    /// How many threads work.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// The shortest paths first: the shortest counterexample, for much more memory.
    #[arg(long)]
    breadth_first: bool,
    /// Follow this path of one configuration and tell what happens.
    #[arg(long, value_name = "PATH", requires = "configs")]
    replay: Option<String>,
    /// Show how often each thing was seen.
    #[arg(long)]
    sights: bool,
}

#[expect(clippy::print_stdout, reason = "the output of the program")]
fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut chosen = configs();
    if cli.list {
        for config in &chosen {
            println!("{:<14}{}", config.name, config.about);
        }
        return ExitCode::SUCCESS;
    }
    chosen.retain(|config| cli.configs.is_empty() || cli.configs.iter().any(|name| name == config.name));
    let chosen: Vec<_> = chosen
        .into_iter()
        .map(|config| config.with_more(cli.more))
        .collect();
    if let Some(path) = &cli.replay {
        for config in chosen {
            match replay(config, path) {
                Ok(trace) => println!("{trace}"),
                Err(error) => println!("error: {error}"),
            }
        }
        return ExitCode::SUCCESS;
    }
    let limits = |config: &Config| Limits {
        states: cli.states.or(config.limit),
        depth: cli.depth,
        time: cli.seconds.map(Duration::from_secs),
        threads: cli.threads,
        breadth_first: cli.breadth_first,
    };
    let mut failed = false;
    for config in chosen {
        let (name, limits) = (config.name, limits(&config));
        let report = check(config, limits);
        let extent = match limits.states {
            _ if report.complete => ", complete".to_owned(),
            Some(states) if report.generated >= states => format!(", stopped after {states}"),
            _ => String::new(),
        };
        println!(
            "{name:<14}{:>12} states, {:>12} with repeats, depth {:>4}{extent}",
            report.unique, report.generated, report.depth
        );
        if cli.sights {
            for (sight, times) in report.sights().filter(|(_, times)| *times > 0) {
                println!("    {times:>10} × {sight}");
            }
        }
        if let Some(violation) = &report.violation {
            failed = true;
            println!("\ndoes not hold: {}\n\n{}", violation.property, violation.trace);
            let more = if cli.more == 0 {
                String::new()
            } else {
                format!(" --more {}", cli.more)
            };
            println!(
                "again: cargo xtask model {name}{more} --replay {}\n",
                violation.path
            );
        } else if !report.unseen.is_empty() {
            failed = true;
            println!("    never seen: {}", report.unseen.join(", "));
        }
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
