//! (d) The leader is killed: its program goes with it, the next one leads once the lease has expired, and the token rose.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::program::{Acting, PROGRAM, SAYS};
use super::stage::{Expected, Stage};
use crate::shell;

pub(crate) const LEASE: &str = "backup";
const A: &str = "backup-a";
const B: &str = "backup-b";
/// Short, so that nobody waits for long.
const DURATION: Duration = Duration::from_secs(2);
/// How much earlier than the elector this process may have seen the last renewal.
const SKEW: Duration = Duration::from_millis(200);

pub(crate) async fn play(stage: &mut Stage) -> anyhow::Result<()> {
    let started = start(stage, A)?;
    let expected = expected("first leader", format!("{A} leads"), started);
    let first = stage.leads(LEASE, A, expected).await?;
    let killed_one = acting(stage, A).await?;
    let accepted = first
        .leader()
        .map(|lease| lease.revision.as_str().to_owned())
        .unwrap_or_default();
    ensure!(
        killed_one.token.as_str() == accepted,
        "the token is {}, and the accept {accepted}",
        killed_one.token
    );
    stands_by(stage).await?;

    stage.screen.command(&format!("kill -KILL %?{A}"));
    let killed = shell::now();
    stage.processes.kill(A)?;
    stage.processes.ended(A).await?;
    let gone = async {
        while !killed_one.is_gone() {
            shell::sleep(Duration::from_millis(1)).await;
        }
        shell::now()
    };
    stage
        .observe(
            self::expected(
                "program gone",
                "the keeper killed its program at once".to_owned(),
                killed,
            ),
            gone,
        )
        .await?;

    let text = format!(
        "{B} leads: since {A} was killed, {} s of lease included",
        DURATION.as_secs()
    );
    let next = stage
        .leads(LEASE, B, self::expected("next leader", text, killed))
        .await?;
    let last_life = last_renewal(stage).context("no renewal was seen")?;
    ensure!(
        next.at.saturating_duration_since(last_life) + SKEW >= DURATION,
        "{B} leads {:?} after the last renewal, before the lease of {DURATION:?} can have expired",
        next.at.saturating_duration_since(last_life)
    );
    let successor = acting(stage, B).await?;
    let text = format!("the token rose from {} to {}", killed_one.token, successor.token);
    let rose = successor.token > killed_one.token;
    stage.check("token rose", &text, &[A, B], rose)?;
    stage.status().await
}

fn start(stage: &mut Stage, identity: &str) -> anyhow::Result<Instant> {
    let lease = format!("{}/{LEASE}", stage.namespace);
    let mut args = vec![
        "run",
        "--lease",
        &lease,
        "--identity",
        identity,
        "--binary-version",
        "1.4.2",
    ];
    args.extend(["--lease-duration", "2s", "--"]);
    args.extend(PROGRAM);
    stage.start(identity, "candidate", &args)
}

fn expected(label: &'static str, text: String, since: Instant) -> Expected<'static> {
    Expected {
        label,
        text,
        since,
        within: Duration::from_secs(10),
        concerned: &[A, B, "election-controller"],
    }
}

async fn acting(stage: &mut Stage, who: &str) -> anyhow::Result<Acting> {
    let line = stage.logged(who, SAYS, 0);
    Acting::parse(
        &stage
            .patient("the program", shell::now(), async { Ok(line.await) })
            .await?,
    )
}

/// An equal stands by and takes nothing away.
async fn stands_by(stage: &mut Stage) -> anyhow::Result<()> {
    let mark = stage.timeline.mark();
    let started = start(stage, B)?;
    let timeline = stage.timeline.clone();
    let stands = async {
        timeline
            .first(mark, |seen| seen.name == B && seen.identity().is_some())
            .await
            .at
    };
    stage
        .observe(
            expected(
                "stands by",
                format!("{B} stands by: an equal does not take over"),
                started,
            ),
            stands,
        )
        .await?;
    Ok(())
}

/// When the last renewal of the killed one was seen.
fn last_renewal(stage: &Stage) -> Option<Instant> {
    let all = stage.timeline.since(0);
    let renewals: Vec<_> = all.iter().filter(|seen| seen.shows_leader(LEASE, A)).collect();
    let stamp = renewals.last()?.leader()?.record.renew_time;
    renewals
        .iter()
        .find(|seen| {
            seen.leader()
                .is_some_and(|lease| lease.record.renew_time == stamp)
        })
        .map(|seen| seen.at)
}
