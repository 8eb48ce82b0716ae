//! The tables, in Markdown.

use std::fmt::Write;

use super::canvas::time;
use super::{DISTRIBUTION, GROWTH, HANDOVER};
use crate::bench::peers::system::System;
use crate::bench::plugin::limit;
use crate::bench::results::{PeersRun, PluginRun, Quantity, Results, ScaleRun, Series, Setup};

/// The whole page.
pub(super) fn page(results: &Results, pictures: &[&str]) -> String {
    let picture = |name: &str, alt: &str| {
        if pictures.contains(&name) {
            format!("\n![{alt}]({name})\n")
        } else {
            String::new()
        }
    };
    let mut page = "# Benchmarks\n\nWritten by `cargo xtask bench`; every single value is in [results.json](results.json). \
                    p99 is the nearest rank: of fewer than 100 trials it is the maximum.\n"
        .to_owned();
    if let Some(peers) = &results.peers {
        page += &format!("\n## Side by side\n\n{}", setup(&peers.setup));
        page += &picture(DISTRIBUTION, "How long an election takes, by system");
        page += &picture(HANDOVER, "One graceful handover of each system");
        page += &side_by_side(peers);
    }
    if let Some(scale) = &results.scale {
        page += &format!("\n## Scale of the elector\n\n{}", setup(&scale.setup));
        page += &picture(GROWTH, "How the elector grows with the number of leases");
        page += &scale_table(scale);
    }
    if let Some(plugin) = &results.plugin {
        page += &format!("\n## The plugin\n\n{}", setup(&plugin.setup));
        page += &plugin_table(plugin);
    }
    page
}

fn setup(setup: &Setup) -> String {
    format!(
        "`{}` on {}, {}, {}.\n",
        setup.command, setup.day, setup.machine, setup.server
    )
}

fn side_by_side(run: &PeersRun) -> String {
    let mut text = "\n| system | what runs |\n|---|---|\n".to_owned();
    for system in systems(run) {
        let _ = writeln!(text, "| {} | {} |", system.label(), system.about());
    }
    for (system, why) in &run.skipped {
        let _ = writeln!(text, "| {} | not measured: {why} |", system.label());
    }
    text += "\nEach system has one leader and two standbys; all are measured on one server in the same rounds, and while one \
             is triggered no process of another is started or stopped.\n";
    for quantity in Quantity::ALL {
        text += &table(run, quantity);
    }
    text += &idle(run);
    text += &failures(run);
    text
}

/// The systems that something was measured of.
fn systems(run: &PeersRun) -> impl Iterator<Item = System> {
    System::ALL.into_iter().filter(|system| {
        run.series.iter().any(|series| series.system == Some(*system))
            || run.idle.iter().any(|idle| idle.system == *system)
    })
}

fn table(run: &PeersRun, quantity: Quantity) -> String {
    let rows: Vec<&Series> = [None]
        .into_iter()
        .chain(System::ALL.map(Some))
        .filter_map(|system| run.series(quantity, system))
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let unit = if quantity.is_count() { "count" } else { "ms" };
    let mut text = format!("\n### {} ({unit})\n\n", quantity.title());
    text += "| | n | mean | min | median | p99 | max |\n|---|---:|---:|---:|---:|---:|---:|\n";
    for series in rows {
        let Some(figures) = series.figures() else { continue };
        let label = series.system.map_or("the server itself", System::label);
        let _ = write!(
            text,
            "| {label} | {} | {} |",
            figures.count(),
            figure(figures.mean())
        );
        for value in figures.row() {
            let _ = write!(text, " {} |", figure(value));
        }
        text += "\n";
    }
    text
}

fn idle(run: &PeersRun) -> String {
    if run.idle.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n### Idle\n\nOver {:.0} s, each process behind a proxy of its own that counts requests and bytes of both \
         directions. The elector of upstream's coordinated election is part of the API server and not counted.\n\n\
         | | role | requests/s | bytes/s | memory MiB | CPU % of a core |\n|---|---|---:|---:|---:|---:|\n",
        run.idle_seconds
    );
    for row in &run.idle {
        let _ = writeln!(
            text,
            "| {} | {} | {:.3} | {:.0} | {:.1} | {:.2} |",
            row.system.label(),
            row.role.name(),
            row.requests_per_second,
            row.bytes_per_second,
            row.resident_mib,
            row.cpu_percent
        );
    }
    text
}

fn failures(run: &PeersRun) -> String {
    if run.failures.is_empty() {
        return String::new();
    }
    let mut text = "\n### Trials that came to no end\n\n| | measure | why |\n|---|---|---|\n".to_owned();
    for failure in &run.failures {
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            failure.system.label(),
            failure.measure,
            failure.why.replace('|', "\\|")
        );
    }
    text
}

fn scale_table(run: &ScaleRun) -> String {
    let mut text = "\nThree candidates for each lease; every leader renews every 4 s.\n\n\
             | leases | candidates | memory MiB | CPU % of a core | writes/s seen | cold: all have a leader | released at once: p50 / p99 | dead at once, beyond expiry: p50 / p99 |\n\
             |---:|---:|---:|---:|---:|---:|---:|---:|\n"
        .to_owned();
    for size in &run.sizes {
        let _ = writeln!(
            text,
            "| {} | {} | {:.1} | {:.1} | {:.0} | {:.1} s | {} | {} |",
            size.leases,
            size.candidates,
            size.resident_mib,
            size.cpu_percent,
            size.writes_per_second,
            size.cold_seconds,
            middle_and_end(&size.releases),
            middle_and_end(&size.crashes)
        );
    }
    text
}

fn plugin_table(run: &PluginRun) -> String {
    let mut text = format!(
        "\n`kubectl leases status -A` from its start to its end, median / p99. The program is {:.1} MB, stripped.\n\n\
         | leases | while all renew | while nobody writes | limit of the median |\n|---:|---:|---:|---:|\n",
        run.bytes as f64 / 1e6
    );
    for size in &run.sizes {
        let limit = limit(size.leases).map_or_else(|| "–".to_owned(), |limit| format!("{limit:.0} ms"));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {limit} |",
            size.leases,
            middle_and_end(&size.renewed),
            middle_and_end(&size.at_rest)
        );
    }
    text
}

fn middle_and_end(values: &[f64]) -> String {
    let Some(figures) = crate::bench::figures::Figures::of(values.to_vec()) else {
        return "–".to_owned();
    };
    let [_, middle, end, _] = figures.row();
    format!("{} / {} ms of {}", figure(middle), figure(end), figures.count())
}

/// The short table of the README: medians, with p99 behind.
pub(super) fn short(run: &PeersRun) -> String {
    const COLUMNS: [(Quantity, &str); 5] = [
        (Quantity::StopGap, "graceful stop, no leader"),
        (Quantity::BetterTotal, "better version started → leads"),
        (Quantity::CrashBeyond, "crash, beyond the lease's expiry"),
        (Quantity::ColdTotal, "cold start"),
        (Quantity::DownSkew, "rolling downgrade, too new a leader"),
    ];
    let mut text = "| median (p99) |".to_owned();
    for (_, title) in COLUMNS {
        let _ = write!(text, " {title} |");
    }
    text += "\n|---|";
    text += &"---:|".repeat(COLUMNS.len());
    text += "\n";
    for system in systems(run) {
        let _ = write!(text, "| {} |", system.label());
        for (quantity, _) in COLUMNS {
            let series = run.series(quantity, Some(system));
            match series.and_then(Series::figures) {
                Some(figures) => {
                    let [_, middle, end, _] = figures.row();
                    let _ = write!(text, " {} ({}) |", time(middle), time(end));
                }
                None => text += " – |",
            }
        }
        text += "\n";
    }
    for system in systems(run) {
        let failed = run
            .failures
            .iter()
            .filter(|failure| failure.system == system)
            .count();
        if failed > 0 {
            let trials = if failed == 1 { "trial" } else { "trials" };
            let _ = writeln!(
                text,
                "\n{}: {failed} further {trials} had no next leader within a minute.",
                system.label()
            );
        }
    }
    let _ = writeln!(
        text,
        "\n{}, {}, all in one run: [docs/benchmarks](docs/benchmarks/README.md).",
        run.setup.server, run.setup.machine
    );
    text
}

/// A value with as many places as say something.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
