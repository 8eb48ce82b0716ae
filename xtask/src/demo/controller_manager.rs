//! (b) The seed's recorded script: 1.30 leads, 1.29 takes over while 1.30 keeps running, 1.30 restarts and does not take
//! the lease, 1.29 stops, 1.30 leads.

use std::time::{Duration, Instant};

use super::program::{Acting, PROGRAM, SAYS};
use super::stage::{Expected, Stage};
use crate::shell;

pub(crate) const LEASE: &str = "kube-controller-manager";
const NEW: &str = "kcm-1.30";
const OLD: &str = "kcm-1.29";

/// How long a restarted candidate is watched for not taking the lease: a takeover needs a twentieth of it.
const NOTHING_HAPPENS: Duration = Duration::from_secs(1);

pub(crate) async fn play(stage: &mut Stage) -> anyhow::Result<()> {
    let started = start(stage, NEW, "1.30")?;
    leads(stage, NEW, "first leader", "1.30 leads", started).await?;
    let acting = Acting::parse(&stage.logged(NEW, SAYS, 0).await)?;

    let started = start(stage, OLD, "1.29")?;
    leads(
        stage,
        OLD,
        "takeover",
        "1.29 leads: since its process was started",
        started,
    )
    .await?;
    let text = "1.30 runs on as a candidate, and its program had stopped before";
    stage.check("1.30 stopped", text, &[NEW, OLD], acting.is_gone())?;

    let stopped = stage.terminate(NEW)?;
    stage.processes.ended(NEW).await?;
    let mark = stage.timeline.mark();
    start(stage, NEW, "1.30")?;
    does_not_take_it(stage, mark, stopped).await?;

    let stopped = stage.terminate(OLD)?;
    leads(stage, NEW, "back", "1.30 leads: since SIGTERM to 1.29", stopped).await?;
    stage.processes.ended(OLD).await.map(drop)
}

fn start(stage: &mut Stage, identity: &str, version: &str) -> anyhow::Result<Instant> {
    let lease = format!("{}/{LEASE}", stage.namespace);
    let mut args = vec![
        "run",
        "--lease",
        &lease,
        "--identity",
        identity,
        "--binary-version",
        version,
        "--",
    ];
    args.extend(PROGRAM);
    stage.start(identity, "candidate", &args)
}

fn expected(label: &'static str, text: &str, since: Instant) -> Expected<'static> {
    Expected {
        label,
        text: text.to_owned(),
        since,
        within: Duration::from_secs(10),
        concerned: &[NEW, OLD, "election-controller"],
    }
}

async fn leads(
    stage: &mut Stage,
    who: &str,
    label: &'static str,
    text: &str,
    since: Instant,
) -> anyhow::Result<()> {
    stage
        .leads(LEASE, who, expected(label, text, since))
        .await
        .map(drop)
}

/// The restarted candidate stands again, is seen, and the leader stays the same for a while.
async fn does_not_take_it(stage: &mut Stage, mark: usize, since: Instant) -> anyhow::Result<()> {
    let timeline = stage.timeline.clone();
    let stands = async {
        timeline
            .first(mark, |seen| seen.name == NEW && seen.identity().is_some())
            .await
            .at
    };
    stage
        .observe(
            expected("restarted", "1.30 has restarted and stands again", since),
            stands,
        )
        .await?;
    let (timeline, watched) = (stage.timeline.clone(), shell::now());
    let quiet = async {
        shell::sleep(NOTHING_HAPPENS).await;
        shell::now()
    };
    stage
        .patient("watching that 1.30 does not take it", watched, async {
            Ok(quiet.await)
        })
        .await?;
    let kept = timeline
        .since(mark)
        .iter()
        .filter(|seen| seen.name == LEASE)
        .all(|seen| seen.held_by() == Some(OLD));
    let text = "1.29 still leads: 1.30 did not take the lease, watched for 1 s";
    stage.check("kept", text, &[NEW, OLD, "election-controller"], kept)
}
