//! A rolling upgrade of three replicas and the way back, and what is read off who led and who lived when.

use std::time::Duration;

use anyhow::Context;

use super::chronicle::Event;
use super::measure::{Sample, millis};
use super::trial::Trial;
use crate::bench::candidate::{What, boottime};
use crate::bench::results::Quantity;
use crate::shell;

/// How long a new replica must live before the next one is replaced: `minReadySeconds` of a Deployment.
const MIN_READY: Duration = Duration::from_secs(5);
const LOW: &str = "1.29.0";
const HIGH: &str = "1.30.0";
/// The replicas, as they stand one after the other: three, and two generations that replace them.
const GENERATIONS: [[&str; 3]; 3] = [["a0", "b0", "c0"], ["a1", "b1", "c1"], ["a2", "b2", "c2"]];

/// A replica's life.
#[derive(Clone, Debug)]
struct Life {
    replica: &'static str,
    high: bool,
    /// From the moment when it said that it stands, until it was asked to end.
    from: u64,
    to: u64,
}

/// A time during which a replica led.
#[derive(Clone, Debug)]
struct Reign {
    replica: &'static str,
    from: u64,
    to: u64,
}

pub(super) async fn sample(trial: &mut Trial<'_>) -> anyhow::Result<Sample> {
    trial
        .stand_up(&GENERATIONS[0].map(|replica| (replica, LOW)))
        .await?;
    let events = trial.log.all();
    let mut lives: Vec<Life> = GENERATIONS[0]
        .iter()
        .filter_map(|replica| born(&events, replica, false))
        .collect();
    let up = roll(trial, [GENERATIONS[0], GENERATIONS[1]], HIGH, &mut lives).await?;
    let down = roll(trial, [GENERATIONS[1], GENERATIONS[2]], LOW, &mut lives).await?;
    let reigns = reigns(&trial.log.all(), down.1);
    let up = Account::of(&reigns, &lives, up);
    let down = Account::of(&reigns, &lives, down);
    Ok(Sample {
        values: vec![
            (Quantity::UpLeaderless, up.leaderless),
            (Quantity::UpTransitions, up.transitions),
            (Quantity::UpSkew, up.skew),
            (Quantity::DownLeaderless, down.leaderless),
            (Quantity::DownTransitions, down.transitions),
            (Quantity::DownSkew, down.skew),
        ],
        handover: None,
    })
}

/// Replaces all replicas of a generation, in random order; returns when that began and ended.
async fn roll(
    trial: &mut Trial<'_>,
    [old, new]: [[&'static str; 3]; 2],
    version: &str,
    lives: &mut Vec<Life>,
) -> anyhow::Result<(u64, u64)> {
    shell::sleep(MIN_READY).await;
    let mut order = [0, 1, 2];
    order.swap(0, usize::try_from(trial.stand.random(3))?);
    order.swap(1, 1 + usize::try_from(trial.stand.random(2))?);
    let began = boottime();
    for index in order {
        let asked = boottime();
        trial.processes.terminate(old[index])?;
        trial.processes.ended(old[index]).await?;
        if let Some(life) = lives.iter_mut().find(|life| life.replica == old[index]) {
            life.to = asked;
        }
        let stand = trial.stand;
        stand
            .undisturbed(async {
                trial.start(new[index], version)?;
                trial
                    .said(0, What::Started, |event| event.replica == new[index])
                    .await
            })
            .await?;
        lives.extend(born(&trial.log.all(), new[index], version == HIGH));
        shell::sleep(MIN_READY).await;
        let mark = trial.log.mark();
        if trial.log.leader().is_none() {
            trial
                .said(mark, What::Leads, |_| true)
                .await
                .context("nobody leads")?;
        }
    }
    Ok((began, boottime()))
}

fn born(events: &[Event], replica: &'static str, high: bool) -> Option<Life> {
    let started = events
        .iter()
        .find(|event| event.replica == replica && event.what == What::Started)?;
    Some(Life {
        replica,
        high,
        from: started.at,
        to: u64::MAX,
    })
}

/// Who led when; whoever leads now leads until `end`.
fn reigns(events: &[Event], end: u64) -> Vec<Reign> {
    let mut reigns: Vec<Reign> = Vec::new();
    for event in events {
        match event.what {
            What::Started => {}
            What::Leads => reigns.push(Reign {
                replica: event.replica,
                from: event.at,
                to: end,
            }),
            What::Stopped => {
                let open = reigns
                    .iter_mut()
                    .rev()
                    .find(|reign| reign.replica == event.replica);
                if let Some(reign) = open {
                    reign.to = event.at;
                }
            }
        }
    }
    reigns
}

/// What came of replacing a generation.
struct Account {
    leaderless: f64,
    transitions: f64,
    skew: f64,
}

impl Account {
    fn of(reigns: &[Reign], lives: &[Life], (from, to): (u64, u64)) -> Self {
        let mut moments: Vec<u64> = reigns
            .iter()
            .flat_map(|reign| [reign.from, reign.to])
            .chain(lives.iter().flat_map(|life| [life.from, life.to]))
            .chain([from, to])
            .filter(|moment| (from..=to).contains(moment))
            .collect();
        moments.sort_unstable();
        let (mut leaderless, mut skew) = (0.0, 0.0);
        // Between two moments that follow each other nothing changes.
        for pair in moments.windows(2) {
            let (begin, end) = (pair[0], pair[1]);
            let during = |from: u64, to: u64| from <= begin && end <= to;
            let mut leads = reigns
                .iter()
                .filter(|reign| during(reign.from, reign.to))
                .peekable();
            let low_lives = lives.iter().any(|life| !life.high && during(life.from, life.to));
            if leads.peek().is_none() {
                leaderless += millis(begin, end);
            } else if low_lives && leads.any(|reign| is_high(lives, reign.replica)) {
                skew += millis(begin, end);
            }
        }
        let began = |reign: &&Reign| (from..=to).contains(&reign.from);
        Self {
            leaderless,
            transitions: reigns.iter().filter(began).count() as f64,
            skew,
        }
    }
}

fn is_high(lives: &[Life], replica: &str) -> bool {
    lives.iter().any(|life| life.replica == replica && life.high)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn life(replica: &'static str, high: bool, from: u64, to: u64) -> Life {
        let (from, to) = (from * SECOND, to * SECOND);
        Life {
            replica,
            high,
            from,
            to,
        }
    }

    fn said(replica: &'static str, what: What, at: u64) -> Event {
        let at = at * SECOND;
        Event { replica, what, at }
    }

    #[test]
    fn a_higher_version_that_leads_while_a_lower_one_lives_is_counted() {
        let lives = [
            life("a0", false, 0, 10),
            life("b0", false, 0, 30),
            life("a1", true, 12, 99),
        ];
        let events = [
            said("a0", What::Leads, 1),
            said("a0", What::Stopped, 10),
            said("a1", What::Leads, 15),
        ];
        let account = Account::of(&reigns(&events, 40 * SECOND), &lives, (5 * SECOND, 40 * SECOND));
        assert_eq!(account.leaderless, 5_000.0);
        assert_eq!(account.transitions, 1.0);
        assert_eq!(account.skew, 15_000.0);
    }

    #[test]
    fn a_lower_version_may_lead_while_a_higher_one_lives() {
        let lives = [life("a0", false, 0, 99), life("b1", true, 0, 99)];
        let events = [said("a0", What::Leads, 1)];
        let account = Account::of(&reigns(&events, 40 * SECOND), &lives, (5 * SECOND, 40 * SECOND));
        assert_eq!((account.leaderless, account.skew), (0.0, 0.0));
    }
}
