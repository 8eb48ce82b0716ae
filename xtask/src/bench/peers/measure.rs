//! The trials: what is done to the replicas of a system, and what is read off what they said.
//!
//! Begin and end of work are stamped by the replicas themselves with the clock of the machine, so how fast this process
//! reads what they say does not matter.

use anyhow::{Context, ensure};
use clap::ValueEnum;
use election_core::{LeaderLease, LeaseState};

use super::rolling;
use super::system::System;
use super::trial::Trial;
use crate::bench::candidate::{What, boottime};
use crate::bench::results::{Handover, Quantity};

/// What can be measured of all systems in rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measure {
    /// The leader is asked to end.
    Stop,
    /// A candidate of a better version starts.
    Better,
    /// The leader is killed.
    Crash,
    /// Three replicas start and nobody has ever led.
    Cold,
    /// The leader is asked to end, and the next one by version is dead.
    DeadBest,
    /// Three replicas are replaced one after the other, by a higher version and back.
    Rolling,
    /// Requests, bytes, memory and CPU while nothing happens.
    Idle,
    /// How fast the server itself is.
    Floor,
}

impl Measure {
    pub(super) fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    /// Whether a system can be measured this way.
    pub(super) const fn applies_to(self, system: System) -> bool {
        match self {
            Self::Better | Self::DeadBest => system.elects_by_version(),
            _ => true,
        }
    }

    /// How many trials of a system run at a time: where most of a trial is waiting for a lease to expire, several wait
    /// together. Upstream's elector works on one lease at a time, so two would wait for each other.
    pub(super) const fn lanes(self, system: System) -> usize {
        match (self, system) {
            (Self::Crash, System::UpstreamCoordinated) => 1,
            (Self::Crash, _) => 3,
            _ => 1,
        }
    }

    /// How often a system is tried in a round at most: whose trial was short is tried again until the others are through.
    pub(super) const fn most(self) -> usize {
        match self {
            Self::Rolling => 1,
            _ => 16,
        }
    }

    /// Makes one trial.
    pub(super) async fn sample(self, trial: &mut Trial<'_>) -> anyhow::Result<Sample> {
        match self {
            Self::Stop => stop(trial).await,
            Self::Better => better(trial).await,
            Self::Crash => crash(trial).await,
            Self::Cold => cold(trial).await,
            Self::DeadBest => dead_best(trial).await,
            Self::Rolling => rolling::sample(trial).await,
            Self::Idle | Self::Floor => Ok(Sample::default()),
        }
    }
}

/// What a trial showed.
#[derive(Debug, Default)]
pub(super) struct Sample {
    pub(super) values: Vec<(Quantity, f64)>,
    pub(super) handover: Option<Handover>,
}

const THREE: [(&str, &str); 3] = [("alpha", "1.30.0"), ("bravo", "1.30.0"), ("charlie", "1.30.0")];

async fn stop(trial: &mut Trial<'_>) -> anyhow::Result<Sample> {
    trial.stand_up(&THREE).await?;
    trial.let_pass().await;
    let leader = leader(trial)?;
    let (asked, stopped, leads) = step_down(trial, leader).await?;
    let seen = trial.seen();
    let between = seen.iter().filter_map(|sighting| {
        let at = trial.stand.boottime(sighting.at);
        let text = in_words(sighting.leader()?);
        (at >= asked).then(|| (millis(asked, at), text.to_owned()))
    });
    Ok(Sample {
        values: vec![
            (Quantity::StopGap, gap(trial.system, stopped, leads)?),
            (Quantity::StopTotal, millis(asked, leads)),
        ],
        handover: Some(Handover {
            system: trial.system,
            stopped: millis(asked, stopped),
            leads: millis(asked, leads),
            seen: between.collect(),
        }),
    })
}

/// What a version of a lease shows during a handover.
fn in_words(lease: &LeaderLease) -> &'static str {
    match lease.state() {
        LeaseState::Held if lease.record.end_of_term => "the nominee asks for it",
        LeaseState::Held if lease.record.preferred_holder.is_some() => "a successor is nominated",
        LeaseState::Held => "held",
        LeaseState::Offered => "offered",
        LeaseState::Released => "given back",
        LeaseState::Fresh | LeaseState::Blanked => "without a holder",
    }
}

async fn better(trial: &mut Trial<'_>) -> anyhow::Result<Sample> {
    trial.stand_up(&THREE[..2]).await?;
    trial.let_pass().await;
    let (leader, stand, mark) = (leader(trial)?, trial.stand, trial.log.mark());
    let taken = async {
        let started = trial.start("charlie", "1.29.0")?;
        let leads = trial
            .said(mark, What::Leads, |event| event.replica == "charlie")
            .await?;
        anyhow::Ok((started, leads.at))
    };
    let (started, leads) = stand.undisturbed(taken).await?;
    let stopped = trial
        .said(mark, What::Stopped, |event| event.replica == leader)
        .await?
        .at;
    Ok(Sample {
        values: vec![
            (Quantity::BetterGap, gap(trial.system, stopped, leads)?),
            (Quantity::BetterTotal, millis(started, leads)),
        ],
        handover: None,
    })
}

async fn crash(trial: &mut Trial<'_>) -> anyhow::Result<Sample> {
    trial.stand_up(&THREE).await?;
    trial.let_pass().await;
    let (leader, stand, mark) = (leader(trial)?, trial.stand, trial.log.mark());
    let crashed = async {
        let killed = boottime();
        trial.processes.kill(leader)?;
        let leads = trial
            .said(mark, What::Leads, |event| event.replica != leader)
            .await?;
        anyhow::Ok((killed, leads.at))
    };
    let (killed, leads) = stand.undisturbed(crashed).await?;
    let expiry = trial.expiry(leader)?;
    Ok(Sample {
        values: vec![
            (Quantity::CrashBeyond, millis(expiry, leads)),
            (Quantity::CrashTotal, millis(killed, leads)),
        ],
        handover: None,
    })
}

async fn cold(trial: &mut Trial<'_>) -> anyhow::Result<Sample> {
    let stand = trial.stand;
    let elected = async {
        let mut first = None;
        for (replica, version) in THREE {
            let at = trial.start(replica, version)?;
            first.get_or_insert(at);
        }
        let leads = trial.said(0, What::Leads, |_| true).await?;
        anyhow::Ok((first.context("three were started")?, leads.at))
    };
    let (started, leads) = stand.undisturbed(elected).await?;
    Ok(Sample {
        values: vec![(Quantity::ColdTotal, millis(started, leads))],
        handover: None,
    })
}

async fn dead_best(trial: &mut Trial<'_>) -> anyhow::Result<Sample> {
    trial
        .stand_up(&[
            ("alpha", "1.28.0"),
            ("dead", "1.29.0"),
            ("bravo", "1.30.0"),
            ("charlie", "1.30.0"),
        ])
        .await?;
    trial.let_pass().await;
    trial.processes.kill("dead")?;
    let mut values = Vec::new();
    for quantity in [Quantity::DeadFirst, Quantity::DeadSecond] {
        let leader = leader(trial)?;
        let (_, stopped, leads) = step_down(trial, leader).await?;
        values.push((quantity, gap(trial.system, stopped, leads)?));
        trial.let_pass().await;
    }
    Ok(Sample {
        values,
        handover: None,
    })
}

/// Asks the leader to end; returns when that was, when its work had stopped and when another one's began.
async fn step_down(trial: &Trial<'_>, leader: &'static str) -> anyhow::Result<(u64, u64, u64)> {
    let mark = trial.log.mark();
    let handed_over = async {
        let asked = boottime();
        trial.processes.terminate(leader)?;
        let leads = trial
            .said(mark, What::Leads, |event| event.replica != leader)
            .await?;
        let stopped = trial
            .said(mark, What::Stopped, |event| event.replica == leader)
            .await?;
        Ok((asked, stopped.at, leads.at))
    };
    trial.stand.undisturbed(handed_over).await
}

fn leader(trial: &Trial<'_>) -> anyhow::Result<&'static str> {
    trial
        .log
        .leader()
        .with_context(|| format!("nobody leads: {:?}", trial.log.all()))
}

/// The time without a leader; less than zero when new work began before old work had stopped.
///
/// Invariant: S6, of this project's own candidates that never happens.
fn gap(system: System, stopped: u64, leads: u64) -> anyhow::Result<f64> {
    let gap = millis(stopped, leads);
    ensure!(
        gap >= 0.0 || !system.is_own(),
        "invariant S6 is broken: new work began {} ms before old work had stopped",
        -gap
    );
    Ok(gap)
}

/// From one moment to another, in milliseconds.
pub(super) fn millis(from: u64, to: u64) -> f64 {
    (to as f64 - from as f64) / 1e6
}
