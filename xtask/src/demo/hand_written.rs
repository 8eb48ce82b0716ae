//! (c) The seed's second script: identity leases that are nothing but YAML take part, and a deleted lease is elected
//! again. Beside it the lease of programs under `candidate run` is being renewed.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use election_core::wire::Item;
use election_core::{IdentityLease, LeaseState, Strategy};

use super::program::PROGRAM;
use super::stage::{Expected, Stage};

pub(crate) const LEASE: &str = "amazing-controller";
const FILE: &str = "artifacts/hand-written-candidates.yaml";
const MANAGER_LEASE: &str = "kube-controller-manager";
const MANAGER: &str = "kcm-a";

pub(crate) async fn play(stage: &mut Stage) -> anyhow::Result<()> {
    let renewed = start_manager(stage)?;
    let mark = stage.timeline.mark();
    let file = stage.artifact(FILE)?;
    let applied = stage.apply(&file).await?;
    let best = best_of(stage, mark)?;
    let version = best
        .versions
        .as_ref()
        .map(|versions| versions.emulation.to_string())
        .unwrap_or_default();
    let name = best.key.name().to_owned();
    is_offered(
        stage,
        mark,
        &name,
        "elected",
        &format!("{name} ({version}) is the holder"),
        applied,
    )
    .await?;
    stage.get_lease(LEASE).await?;

    let mark = stage.timeline.mark();
    stage.delete_lease(LEASE).await?;
    let timeline = stage.timeline.clone();
    let deleted = timeline.first(mark, |seen| seen.name == LEASE && seen.item.is_none());
    let deleted = stage
        .patient("the deletion", applied, async { Ok(deleted.await.at) })
        .await?;
    is_offered(
        stage,
        mark,
        &name,
        "again",
        &format!("{name} was elected again: since the deletion"),
        deleted,
    )
    .await?;
    manager_renews(stage, renewed).await
}

/// Waits until the lease names somebody. Nobody accepts for a candidate without a program: it stays offered.
async fn is_offered(
    stage: &mut Stage,
    mark: usize,
    name: &str,
    label: &'static str,
    text: &str,
    since: Instant,
) -> anyhow::Result<()> {
    let timeline = stage.timeline.clone();
    let offered = timeline.first(mark, |seen| {
        let lease = seen.leader().filter(|_| seen.name == LEASE);
        lease.is_some_and(|lease| {
            let holder = lease.record.holder.as_ref().map(election_core::Identity::as_str);
            lease.record.state() == LeaseState::Offered && holder == Some(name)
        })
    });
    let expected = Expected {
        label,
        text: text.to_owned(),
        since,
        within: Duration::from_secs(10),
        concerned: &["election-controller"],
    };
    stage
        .observe(expected, async { offered.await.at })
        .await
        .map(drop)
}

/// The candidate that has to win, by the rule and from what was written by hand.
fn best_of(stage: &Stage, mark: usize) -> anyhow::Result<IdentityLease> {
    let mut candidates: Vec<IdentityLease> = Vec::new();
    for seen in stage.timeline.since(mark) {
        if let Some(Item::Identity(lease)) = seen.item
            && lease.leads.iter().any(|named| named.name() == LEASE)
            && lease.versions.is_ok()
        {
            candidates.push(lease);
        }
    }
    ensure!(
        candidates.len() > 1,
        "{FILE} has {} candidates for {LEASE}: there is nothing to choose",
        candidates.len()
    );
    candidates.sort_by(|a, b| match (&a.versions, &b.versions) {
        (Ok(one), Ok(other)) => Strategy::OldestEmulationVersion.compare(one, other),
        _ => std::cmp::Ordering::Equal,
    });
    candidates.into_iter().next().context("there is one")
}

fn start_manager(stage: &mut Stage) -> anyhow::Result<Instant> {
    let lease = format!("{}/{MANAGER_LEASE}", stage.namespace);
    let mut args = vec![
        "run",
        "--lease",
        &lease,
        "--identity",
        MANAGER,
        "--binary-version",
        "1.30",
    ];
    args.extend(["--lease-duration", "3s", "--"]);
    args.extend(PROGRAM);
    stage.start(MANAGER, "candidate", &args)
}

/// Two renewals that follow each other.
async fn manager_renews(stage: &mut Stage, since: Instant) -> anyhow::Result<()> {
    let timeline = stage.timeline.clone();
    let renewals = async {
        let (mut mark, mut stamps) = (0, Vec::new());
        loop {
            let held = |seen: &crate::timeline::Sighting| {
                seen.at >= since && seen.name == MANAGER_LEASE && seen.held_by().is_some()
            };
            timeline.first(mark, held).await;
            mark = timeline.mark();
            let newest = timeline.last(MANAGER_LEASE);
            let stamp = newest.as_ref().and_then(|seen| seen.leader()?.record.renew_time);
            if stamp.is_some() && stamps.last() != Some(&stamp) {
                stamps.push(stamp);
            }
            if let (3.., Some(newest)) = (stamps.len(), newest) {
                return newest.at;
            }
        }
    };
    let expected = Expected {
        label: "renewed twice",
        text: format!("meanwhile {MANAGER_LEASE} is led by {MANAGER}, and was renewed twice"),
        since,
        within: Duration::from_secs(15),
        concerned: &[MANAGER, "election-controller"],
    };
    stage.observe(expected, renewals).await.map(drop)
}
