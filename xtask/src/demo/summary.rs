//! The table at the end: scenario, observations, measured times.

use std::time::Duration;

use super::Played;
use crate::screen::{Screen, WIDTH, milliseconds};

const NAMES: usize = 20;
const COUNTS: usize = 14;
const TIMES: usize = 8;

/// Shows what came true in each scenario.
pub(crate) fn show(screen: &mut Screen, played: &[Played], total: Duration) {
    screen.heading("what came true");
    for line in table(played) {
        screen.line(&line);
    }
    let count: usize = played.iter().map(|scenario| scenario.observations.len()).sum();
    let total = total.as_secs_f64();
    screen.line(&format!(
        "\u{1b}[1;32m✓\u{1b}[0m {count} observations, all true, in {total:.1} s"
    ));
}

fn table(played: &[Played]) -> Vec<String> {
    let mut lines = vec![format!(
        "\u{1b}[1m{:NAMES$}{:COUNTS$}{:>TIMES$}   MEASURED\u{1b}[0m",
        "SCENARIO", "OBSERVATIONS", "TOOK"
    )];
    for scenario in played {
        let measured: Vec<_> = scenario
            .observations
            .iter()
            .filter_map(|observation| {
                let took = milliseconds(observation.took?);
                Some(format!("{} {took}", observation.label))
            })
            .collect();
        let indent = NAMES + COUNTS + TIMES + 3;
        for (number, row) in fill(&measured, WIDTH - indent).iter().enumerate() {
            lines.push(if number == 0 {
                let took = format!("{:.1} s", scenario.took.as_secs_f64());
                format!(
                    "{:NAMES$}{:<COUNTS$}{took:>TIMES$}   {row}",
                    scenario.title,
                    scenario.observations.len()
                )
            } else {
                format!("{:indent$}{row}", "")
            });
        }
    }
    lines
}

/// Items on as few lines as they fit in.
fn fill(items: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for item in items {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 3 + item.chars().count() <= width => {
                line.push_str(" · ");
                line.push_str(item);
            }
            _ => lines.push(item.clone()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::Observation;

    #[test]
    fn each_scenario_has_its_observations_with_their_times() {
        let observation = |label, millis| Observation {
            label,
            took: Some(Duration::from_millis(millis)),
        };
        let played = Played {
            title: "crash",
            observations: vec![observation("program gone", 4), observation("next leader", 2_140)],
            took: Duration::from_millis(3_210),
        };
        let lines = table(&[played]);
        assert_eq!(
            lines[1],
            "crash               2                3.2 s   program gone 4.0 ms · next leader 2 140 ms"
        );
    }

    #[test]
    fn long_lists_go_on_in_the_next_line() {
        let items = ["one 1 ms", "two 2 ms", "three 3 ms"].map(str::to_owned);
        assert_eq!(fill(&items, 20), ["one 1 ms · two 2 ms", "three 3 ms"]);
    }
}
