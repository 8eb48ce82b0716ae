//! What people ask of an election: hold, pin and step-down. Each changes who should lead, by the writes that there are anyway.

use std::time::Duration;

use election_core::elector::{Decision, Rules, Standing};
use election_core::{LeaseSeconds, LeaseState};

use crate::cluster::{Cluster, versions};

/// Alpha leads; bravo is its equal, and charlie is older, which makes it worse or better as the test says.
fn led_by_alpha(charlie: &str) -> Cluster {
    let mut cluster = Cluster::new(Rules::default());
    for (name, version) in [("alpha", "1.29"), ("bravo", "1.29"), ("charlie", charlie)] {
        cluster.candidate(name, |lease| lease.versions = Ok(versions(version, version)));
    }
    cluster.edit("demo", |record, stamp| {
        (record.acquire_time, record.renew_time) = (Some(stamp), Some(stamp));
        (record.holder, record.incarnation) = (Some("alpha".into()), Some("process-alpha".into()));
    });
    cluster
}

fn listed(mut cluster: Cluster) -> Cluster {
    cluster.list();
    cluster
}

fn nominee(cluster: &Cluster) -> Option<&str> {
    let record = &cluster.leader("demo").expect("a lease").record;
    record.preferred_holder.as_ref().map(|nominee| nominee.as_str())
}

fn reason(cluster: &Cluster) -> String {
    cluster
        .explain("demo")
        .expect("an election")
        .step
        .reason
        .to_string()
}

fn standing(cluster: &Cluster, name: &str) -> Standing {
    let explanation = cluster.explain("demo").expect("an election");
    let found = explanation
        .candidates
        .iter()
        .find(|one| one.identity.as_str() == name);
    found.expect("a candidate").standing
}

/// The nominee asks for the lease and gets it.
fn hand_over(cluster: &mut Cluster, to: &'static str) {
    cluster.write("demo", |lease, _| lease.end_of_term(&to.into()));
    cluster.write("demo", |lease, _| lease.hand_over(&to.into()));
    accept(cluster, to);
}

fn accept(cluster: &mut Cluster, to: &'static str) {
    let incarnation = format!("process-{to}").into();
    cluster.write("demo", |lease, now| {
        lease.accept(&to.into(), &incarnation, LeaseSeconds::LEADER, now)
    });
}

#[test]
fn nobody_preempts_a_holder_on_hold() {
    let mut cluster = led_by_alpha("1.28");
    cluster.control("demo", |controls| controls.hold = Some("true by alice".parse()));
    let mut cluster = listed(cluster);
    assert_eq!(nominee(&cluster), None);
    assert_eq!(standing(&cluster, "charlie"), Standing::OnHold);
    assert!(reason(&cluster).ends_with("on hold until somebody releases the hold"));
    cluster.control("demo", |controls| controls.hold = None);
    assert_eq!(nominee(&cluster), Some("charlie"));
    // A nomination that nobody has answered is taken back.
    cluster.control("demo", |controls| controls.hold = Some("true".parse()));
    assert_eq!(nominee(&cluster), None);
}

#[test]
fn the_end_of_a_term_that_was_asked_for_comes_in_spite_of_a_hold() {
    let mut cluster = listed(led_by_alpha("1.28"));
    cluster.write("demo", |lease, _| lease.end_of_term(&"charlie".into()));
    cluster.control("demo", |controls| controls.hold = Some("true".parse()));
    assert_eq!(nominee(&cluster), Some("charlie"));
    assert!(cluster.leader("demo").expect("a lease").record.end_of_term);
}

#[test]
fn a_hold_leaves_a_vacancy_to_the_best() {
    let mut cluster = led_by_alpha("1.28");
    cluster.control("demo", |controls| controls.hold = Some("true".parse()));
    let mut cluster = listed(cluster);
    cluster.write("demo", |lease, now| lease.release(1, now));
    assert!(
        cluster
            .leader("demo")
            .expect("a lease")
            .record
            .names(&"charlie".into())
    );
}

/// No wall clock decides: the time of a hold begins when the elector sees it, and again when it is asked for again.
#[test]
fn a_hold_ends_by_the_electors_own_clock() {
    let mut cluster = led_by_alpha("1.28");
    cluster.control("demo", |controls| controls.hold = Some("5s at noon".parse()));
    let mut cluster = listed(cluster);
    assert!(
        reason(&cluster).ends_with("on hold for another 5 s"),
        "{}",
        reason(&cluster)
    );
    cluster.until(Duration::from_secs(4));
    cluster.control("demo", |controls| {
        controls.hold = Some("5s at four past noon".parse())
    });
    cluster.until(Duration::from_millis(8_900));
    assert_eq!(nominee(&cluster), None);
    cluster.until(Duration::from_millis(9_000));
    assert_eq!(nominee(&cluster), Some("charlie"));
}

#[test]
fn neither_a_gap_nor_another_wish_prolongs_a_hold() {
    let mut cluster = led_by_alpha("1.28");
    cluster.control("demo", |controls| controls.hold = Some("5s".parse()));
    let mut cluster = listed(cluster);
    cluster.until(Duration::from_secs(3));
    cluster.lose();
    cluster.list();
    cluster.control("demo", |controls| controls.pin = Some("charlie".into()));
    cluster.until(Duration::from_secs(5));
    assert_eq!(nominee(&cluster), Some("charlie"));
}

#[test]
fn a_pinned_candidate_leads_whatever_its_versions() {
    let mut cluster = listed(led_by_alpha("1.30"));
    assert_eq!(nominee(&cluster), None);
    cluster.control("demo", |controls| controls.pin = Some("charlie".into()));
    assert_eq!(nominee(&cluster), Some("charlie"));
    hand_over(&mut cluster, "charlie");
    assert_eq!(nominee(&cluster), None);
    assert_eq!(standing(&cluster, "alpha"), Standing::AnotherIsPinned);
    cluster.control("demo", |controls| controls.pin = None);
    assert_eq!(nominee(&cluster), Some("alpha"));
}

#[test]
fn others_lead_while_a_pinned_candidate_is_not_there() {
    let mut cluster = led_by_alpha("1.30");
    cluster.control("demo", |controls| controls.pin = Some("charlie".into()));
    let mut cluster = listed(cluster);
    cluster.delete("charlie");
    assert_eq!(nominee(&cluster), None);
    cluster.write("demo", |lease, now| lease.release(1, now));
    let record = &cluster.leader("demo").expect("a lease").record;
    assert_eq!(record.state(), LeaseState::Offered);
    assert!(!record.names(&"charlie".into()));
}

#[test]
fn who_steps_down_gives_way_to_the_best_of_the_others_and_does_not_come_back() {
    let mut cluster = listed(led_by_alpha("1.30"));
    cluster.control("demo", |controls| {
        controls.step_down = Some("alpha/process-alpha by alice".parse());
    });
    assert_eq!(nominee(&cluster), Some("bravo"));
    hand_over(&mut cluster, "bravo");
    assert_eq!(nominee(&cluster), None);
    assert_eq!(standing(&cluster, "alpha"), Standing::SteppedDown);
    // Even one that is worse by version comes before it.
    cluster.delete("bravo");
    cluster.write("demo", |lease, now| lease.release(1, now));
    accept(&mut cluster, "charlie");
    assert_eq!(nominee(&cluster), None);
    // Its next process is another one.
    cluster.candidate("alpha", |lease| {
        lease.versions = Ok(versions("1.29", "1.29"));
        lease.incarnation = Some("another".into());
    });
    assert_eq!(nominee(&cluster), Some("alpha"));
}

#[test]
fn who_steps_down_leads_on_when_nobody_else_can() {
    let mut cluster = listed(led_by_alpha("1.30"));
    cluster.delete("bravo");
    cluster.delete("charlie");
    cluster.control("demo", |controls| {
        controls.step_down = Some("alpha/process-alpha".parse())
    });
    let explanation = cluster.explain("demo").expect("an election");
    assert_eq!(explanation.step.decision, Decision::Keep);
    assert_eq!(
        reason(&cluster),
        "alpha was asked to step down, but nobody else can lead"
    );
}

#[test]
fn a_step_down_may_name_the_successor_and_overrides_a_hold() {
    let mut cluster = listed(led_by_alpha("1.30"));
    cluster.control("demo", |controls| {
        controls.hold = Some("true".parse());
        controls.step_down = Some("alpha/process-alpha".parse());
        controls.step_down_to = Some("charlie".into());
    });
    assert_eq!(nominee(&cluster), Some("charlie"));
    hand_over(&mut cluster, "charlie");
    cluster.control("demo", |controls| controls.hold = None);
    assert_eq!(nominee(&cluster), None);
    assert_eq!(standing(&cluster, "bravo"), Standing::AnotherIsAskedFor);
    // The wish for a successor ends with the step-down, which ends with its process.
    cluster.delete("alpha");
    assert_eq!(nominee(&cluster), Some("bravo"));
}

#[test]
fn a_control_that_cannot_be_read_changes_nothing() {
    let mut cluster = listed(led_by_alpha("1.28"));
    cluster.control("demo", |controls| {
        controls.hold = Some("tomorrow".parse());
        controls.step_down = Some("charlie".parse());
    });
    assert_eq!(nominee(&cluster), Some("charlie"));
    let controls = cluster.explain("demo").expect("an election").controls;
    let errors: Vec<_> = controls.errors().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "\"tomorrow\" cannot be read: write true, or a number of seconds such as 7200s",
            "\"charlie\" cannot be read: write IDENTITY/INCARNATION"
        ]
    );
}

/// A failed preemption is followed by a pause; a new wish does not have to wait for the end of it.
#[test]
fn a_wish_is_tried_at_once_after_failed_preemptions() {
    let mut cluster = listed(led_by_alpha("1.28"));
    hand_over(&mut cluster, "charlie");
    cluster.edit("demo", |record, stamp| {
        (record.acquire_time, record.renew_time) = (Some(stamp), Some(stamp));
        (record.holder, record.incarnation) = (Some("alpha".into()), Some("process-alpha".into()));
        (record.preferred_holder, record.end_of_term) = (None, false);
    });
    assert_eq!(standing(&cluster, "charlie"), Standing::BackedOff);
    cluster.control("demo", |controls| {
        controls.step_down = Some("alpha/process-alpha".parse())
    });
    assert_eq!(nominee(&cluster), Some("charlie"));
}

#[test]
fn a_step_down_overrides_a_pin() {
    let mut cluster = listed(led_by_alpha("1.30"));
    cluster.control("demo", |controls| {
        controls.pin = Some("alpha".into());
        controls.step_down = Some("alpha/process-alpha".parse());
    });
    assert_eq!(nominee(&cluster), Some("bravo"));
}
