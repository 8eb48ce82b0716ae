//! Redundant electors: what the next one knows, and that nothing goes wrong wherever one of them stops.
//!
//! Each story is an election with a preemption: alpha leads, then bravo, of an older version, comes and leads. Whatever
//! happens to electors meanwhile may make it late, and nothing else.

use std::time::Duration;

use election_core::{LeaseState, wire};

use crate::gate::{detach, wait};
use crate::stage::{Numbered, Process, Stage, When, Written};
use crate::world::DEMO;

const TERM: Duration = Duration::from_secs(15);
const MOMENT: Duration = Duration::from_millis(50);

/// Two replicas, of which elector-a acts and elector-b has been standing by for long.
async fn two_replicas(stage: &Stage) -> (Process, Process) {
    let first = stage.replica("elector-a");
    stage.until_acts("elector-a").await;
    let second = stage.replica("elector-b");
    wait(2 * TERM).await;
    (first, second)
}

/// Alpha leads, and charlie, as good as alpha, could.
async fn led_by_alpha(stage: &Stage) -> Process {
    let alpha = stage.candidate("alpha", "1.30");
    stage.until_leads("alpha").await;
    drop(stage.candidate("charlie", "1.30"));
    wait(TERM).await;
    alpha
}

/// What electors wrote on the leader lease of the stories.
fn by_electors(written: &[Written]) -> impl Iterator<Item = &Written> {
    written
        .iter()
        .filter(|write| write.by.starts_with("elector-"))
        .filter(|write| {
            write.lease == format!("POST {LEASES}") || write.lease == format!("PUT {LEASES}/{DEMO}")
        })
}

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases";

/// Plays the election, and checks what must hold in each: returns the writes until bravo led.
async fn play(stage: &Stage) -> usize {
    wait(2 * TERM).await;
    drop(stage.candidate("alpha", "1.30"));
    stage.until_leads("alpha").await;
    wait(Duration::from_secs(2)).await;
    drop(stage.candidate("bravo", "1.29"));
    let settled = stage.until_leads("bravo").await;
    let needed = stage.begun();
    wait(4 * TERM).await;
    check(stage, settled + TERM).await;
    needed
}

async fn check(stage: &Stage, quiet_from: election_core::Mono) {
    let terms = stage.terms();
    // Invariant: S1.
    assert!(
        terms.iter().all(|term| !term.beside_another),
        "two led at once: {terms:#?}"
    );
    let leaders: Vec<_> = terms.iter().map(|term| term.leader).collect();
    assert_eq!(leaders, ["alpha", "bravo"], "each leads once: {terms:#?}");
    let lease = wire::read_leader(&stage.world.get(DEMO).await.unwrap()).unwrap();
    assert_eq!(lease.state(), LeaseState::Held, "{lease:?}");
    // Invariant: S7.
    assert_eq!(
        lease.record.transitions, 2,
        "as many as without a fault: {lease:?}"
    );
    let written = stage.written();
    let bad: Vec<_> = written
        .iter()
        .filter(|write| write.status >= 400 && write.status != 409)
        .collect();
    assert!(
        bad.is_empty(),
        "at worst a write is refused as outdated: {bad:#?}"
    );
    let landed: Vec<_> = by_electors(&written).filter(|write| write.status < 400).collect();
    assert_eq!(landed.len(), 3, "create, offer, nominate, each once: {landed:#?}");
    let late: Vec<_> = by_electors(&written)
        .filter(|write| write.at > quiet_from)
        .collect();
    assert!(
        late.is_empty(),
        "L3: nobody is written to who leads undisturbed: {late:#?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_undisturbed_election_is_the_same_with_one_elector_or_two() {
    for replicas in [1, 2] {
        let stage = Stage::new();
        let _electors: Vec<_> = ["elector-a", "elector-b"]
            .iter()
            .take(replicas)
            .map(|name| stage.replica(name))
            .collect();
        play(&stage).await;
    }
}

/// What happens to the elector that acts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// It is gone, and its replica goes on.
    Crash,
    /// The same, and the write that it had sent reaches the server only when its replica acts.
    CrashAfterSending,
    /// It is gone, it has no replica, and a second later it is started again, knowing nothing.
    Restart,
    /// It sleeps, its replica goes on, and it awakes believing that it acts.
    Sleep,
    /// It is asked to end, and its replica goes on.
    Leave,
}

/// A whole story, with a fault at one write of it.
async fn disturbed(
    stage: &Stage,
    story: impl AsyncFn(&Stage) -> usize,
    fault: Fault,
    (number, when): (usize, When),
) {
    let mut first = stage.replica("elector-a");
    // It comes a second late, so that it is always the other that acts.
    if !matches!(fault, Fault::Restart) {
        let stage = stage.clone();
        detach(async move {
            wait(Duration::from_secs(1)).await;
            drop(stage.replica("elector-b"));
        });
    }
    let again = stage.clone();
    stage.at_write(number, when, move || match fault {
        Fault::Crash | Fault::CrashAfterSending => first.crash(),
        Fault::Sleep => first.sleep(Duration::from_secs(20)),
        Fault::Leave => first.leave(),
        Fault::Restart => {
            first.crash();
            detach(async move {
                wait(Duration::from_secs(1)).await;
                drop(again.replica("elector-a"));
            });
        }
    });
    story(stage).await;
}

/// Tells a story, which returns how many writes it has, once undisturbed, and then disturbed at each of them.
#[expect(
    clippy::print_stdout,
    reason = "a story that fails shows where it was disturbed"
)]
pub(crate) fn at_each_write(fault: Fault, numbered: Numbered, story: impl AsyncFn(&Stage) -> usize) {
    let writes = in_its_own_time(async {
        let stage = Stage::numbering(numbered);
        let _elector = stage.replica("elector-a");
        story(&stage).await
    });
    assert!(writes > 0);
    let whens = match fault {
        Fault::CrashAfterSending => &[When::OnTheWay][..],
        _ => &[When::Before, When::After],
    };
    for number in 1..=writes {
        for &when in whens {
            println!("{fault:?} {when:?} write {number} of {writes}");
            in_its_own_time(async {
                let stage = Stage::numbering(numbered);
                disturbed(&stage, &story, fault, (number, when)).await;
                assert!(stage.has_struck(), "nothing has happened");
            });
        }
    }
}

fn at_each_write_of_an_election(fault: Fault) {
    at_each_write(
        fault,
        |_, _| true,
        async |stage| {
            let writes = play(stage).await;
            assert!(writes >= 15, "{writes} are fewer than an election has");
            writes
        },
    );
}

/// Each story has its own runtime, with whose end all of its processes end.
pub(crate) fn in_its_own_time<T>(story: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(story)
}

#[test]
fn wherever_the_acting_elector_crashes_its_replica_finishes_the_same_election() {
    at_each_write_of_an_election(Fault::Crash);
}

/// Invariant: S8.
#[test]
fn whatever_write_of_a_crashed_elector_arrives_late_its_replica_finishes_the_same_election() {
    at_each_write_of_an_election(Fault::CrashAfterSending);
}

#[test]
fn wherever_a_lone_elector_crashes_it_finishes_the_same_election_when_it_is_back() {
    at_each_write_of_an_election(Fault::Restart);
}

#[test]
fn wherever_the_acting_elector_sleeps_it_awakes_without_doing_harm() {
    at_each_write_of_an_election(Fault::Sleep);
}

#[test]
fn wherever_the_acting_elector_leaves_its_replica_finishes_the_same_election() {
    at_each_write_of_an_election(Fault::Leave);
}

#[tokio::test(start_paused = true)]
async fn two_that_both_believe_they_act_cost_refused_writes_only() {
    let stage = Stage::new();
    let _electors = [stage.lone_elector("elector-a"), stage.lone_elector("elector-b")];
    play(&stage).await;
    let written = stage.written();
    let refused = by_electors(&written).filter(|write| write.status == 409).count();
    assert!(refused > 0, "they never got into each other's way: {written:#?}");
}

/// The leader and the acting elector die together. Bravo's wait for the leader's expiry is over when the turn begins,
/// because the replica has seen the last renewal itself.
#[tokio::test(start_paused = true)]
async fn a_warm_replica_needs_no_new_observation_and_a_cold_elector_does() {
    let stage = Stage::new();
    let (first, _second) = two_replicas(&stage).await;
    let alpha = led_by_alpha(&stage).await;
    let died = stage.now();
    first.crash();
    alpha.crash();
    let turn = stage.until_acts("elector-b").await;
    let warm = stage.until_leads("charlie").await;
    assert!(
        warm.since(turn) <= MOMENT,
        "{:?} after the turn began",
        warm.since(turn)
    );
    assert!(warm.since(died) <= TERM + MOMENT, "{:?}", warm.since(died));

    let stage = Stage::new();
    let first = stage.lone_elector("elector-a");
    let alpha = led_by_alpha(&stage).await;
    first.crash();
    alpha.crash();
    wait(TERM).await;
    let began = stage.now();
    let _cold = stage.lone_elector("elector-b");
    let cold = stage.until_leads("charlie").await.since(began);
    assert!(
        cold >= TERM && cold <= TERM + MOMENT,
        "it has seen nothing itself: {cold:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_new_does_not_wait_for_a_warm_replica_and_does_for_a_cold_elector() {
    let stage = Stage::new();
    let (mut first, _second) = two_replicas(&stage).await;
    first.leave();
    let began = stage.now();
    let turn = stage.until_acts("elector-b").await;
    assert!(
        turn.since(began) <= MOMENT,
        "given back, not expired: {:?}",
        turn.since(began)
    );
    drop(stage.candidate("alpha", "1.30"));
    let warm = stage.until_leads("alpha").await.since(turn);
    assert!(
        warm <= Duration::from_millis(500) + MOMENT,
        "the settle window: {warm:?}"
    );

    let stage = Stage::new();
    let _cold = stage.lone_elector("elector-b");
    drop(stage.candidate("alpha", "1.30"));
    let began = stage.now();
    let cold = stage.until_leads("alpha").await.since(began);
    assert!(cold >= TERM, "a leader from before might act: {cold:?}");
}
