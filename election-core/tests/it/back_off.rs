//! Rule 7: which preemptions failed, and how many.

use std::time::Duration;

use election_core::elector::Rules;
use election_core::{LeaseSeconds, Mono, Record, Wall};

use crate::cluster::{Cluster, versions};

/// Alpha 1.30 leads, and bravo 1.29 is nominated.
fn nominated() -> Cluster {
    let mut cluster = Cluster::new(Rules::default());
    for (name, version) in [("alpha", "1.30"), ("bravo", "1.29")] {
        cluster.candidate(name, |lease| lease.versions = Ok(versions(version, version)));
    }
    cluster.edit("demo", lead_as_alpha);
    cluster.list();
    cluster
}

/// Bravo has led for 5 s.
fn preempted() -> Cluster {
    let mut cluster = nominated();
    preempt(&mut cluster);
    live(&mut cluster, 5);
    cluster
}

/// Bravo, nominated, asks for the lease and gets it.
fn preempt(cluster: &mut Cluster) {
    cluster.write("demo", |lease, _| lease.end_of_term(&"bravo".into()));
    cluster.write("demo", |lease, _| lease.hand_over(&"bravo".into()));
    let (to, incarnation) = ("bravo".into(), "process-bravo".into());
    cluster.write("demo", |lease, now| {
        lease.accept(&to, &incarnation, LeaseSeconds::LEADER, now)
    });
}

/// So many seconds pass in which everybody shows life.
fn live(cluster: &mut Cluster, seconds: u64) {
    let began = cluster.now.since(Mono::from_nanos(1_000_000_000_000));
    for second in 1..=seconds {
        cluster.until(began + Duration::from_secs(second));
        cluster.edit("demo", |record, stamp| {
            record.renew_time = record.renew_time.map(|_| stamp);
        });
        for name in ["alpha", "bravo"] {
            let stamp = cluster.next_stamp();
            cluster.candidate(name, |lease| lease.renew_time = Some(stamp));
        }
    }
}

fn lead_as_alpha(record: &mut Record, stamp: Wall) {
    (record.acquire_time, record.renew_time) = (Some(stamp), Some(stamp));
    (record.holder, record.incarnation) = (Some("alpha".into()), Some("process-alpha".into()));
    (record.preferred_holder, record.end_of_term) = (None, false);
}

#[test]
fn a_preemption_fails_only_when_the_new_term_ends_without_a_release() {
    let check = |name: &str, failed: bool, ends: fn(&mut Cluster)| {
        let mut cluster = preempted();
        ends(&mut cluster);
        cluster.edit("demo", lead_as_alpha);
        let reason = cluster.explain("demo").expect("an election").step.reason;
        assert_eq!(reason.code() == "BackedOff", failed, "{name}: {reason}");
    };
    check("released", false, |cluster| {
        cluster.write("demo", |lease, now| lease.release(1, now));
    });
    check("handed over", false, |cluster| {
        cluster.write("demo", |lease, _| lease.hand_over(&"alpha".into()));
    });
    check("taken", true, |_| {});
    check("blanked", true, |cluster| {
        cluster.edit("demo", |record, _| record.holder = None)
    });
    check("expired", true, |cluster| cluster.until(Duration::from_secs(21)));
    // Whatever is not the same term is another one, and nobody saw how the first one ended.
    let in_a_gap = "the lease replaced in a gap, then released";
    check(in_a_gap, true, |cluster| {
        let copy = cluster.leader("demo").expect("a lease").record.clone();
        cluster.lose();
        cluster.delete("demo");
        cluster.edit("demo", |record, _| *record = copy);
        cluster.list();
        cluster.write("demo", |lease, now| lease.release(1, now));
    });
    let unseen = |what: &str, change: fn(&mut Record)| {
        let mut cluster = preempted();
        cluster.edit("demo", |record, _| change(record));
        cluster.write("demo", |lease, now| lease.release(1, now));
        cluster.edit("demo", lead_as_alpha);
        let reason = cluster.explain("demo").expect("an election").step.reason;
        assert_eq!(reason.code(), "BackedOff", "another {what}, then released");
    };
    unseen("holder", |record| record.holder = Some("alpha".into()));
    unseen("process", |record| record.incarnation = Some("another".into()));
    unseen("acquire time", |record| {
        record.acquire_time = Some(Wall::from_micros(-7))
    });
    check("taken after ten durations", false, |cluster| live(cluster, 150));
}

#[test]
fn failures_count_until_a_term_outlasts_ten_durations_and_the_back_off() {
    let check = |lasts: u64, expected: &str| {
        let mut cluster = preempted();
        for back_off in [60, 120, 240] {
            cluster.edit("demo", lead_as_alpha);
            live(&mut cluster, back_off + 1);
            preempt(&mut cluster);
        }
        // The fourth attempt leads for so long, and ends without a release. The fifth fails at once.
        live(&mut cluster, lasts);
        cluster.edit("demo", lead_as_alpha);
        preempt(&mut cluster);
        cluster.edit("demo", lead_as_alpha);
        let reason = cluster.explain("demo").expect("an election").step.reason;
        assert!(reason.to_string().contains(expected), "{lasts} s: {reason}");
    };
    check(149, "5 preemptions failed");
    check(151, "4 preemptions failed");
    check(239, "4 preemptions failed");
    check(241, "1 preemption failed");
}

/// A preemption is a term that was ended for a nominee, and failed when the offer to that one was withdrawn.
#[test]
fn an_offer_that_no_term_was_ended_for_may_fail() {
    let check = |name: &str, failed: bool, story: fn(&mut Cluster)| {
        let mut cluster = nominated();
        story(&mut cluster);
        cluster.edit("demo", lead_as_alpha);
        let reason = cluster.explain("demo").expect("an election").step.reason;
        assert_eq!(reason.code() == "BackedOff", failed, "{name}: {reason}");
    };
    check("its offer was withdrawn", true, |cluster| {
        cluster.write("demo", |lease, _| lease.end_of_term(&"bravo".into()));
        cluster.write("demo", |lease, _| lease.hand_over(&"bravo".into()));
        cluster.until(Duration::from_secs(2));
    });
    check("the leader went by itself", false, |cluster| {
        cluster.write("demo", |lease, _| lease.hand_over(&"bravo".into()));
        cluster.until(Duration::from_secs(2));
    });
    check("the lease was deleted", false, |cluster| {
        cluster.write("demo", |lease, _| lease.end_of_term(&"bravo".into()));
        cluster.delete("demo");
        cluster.until(Duration::from_secs(20));
    });
    check("the offer was deleted", false, |cluster| {
        cluster.write("demo", |lease, _| lease.end_of_term(&"bravo".into()));
        cluster.write("demo", |lease, _| lease.hand_over(&"bravo".into()));
        cluster.delete("demo");
    });
    check("somebody took it from under the offer", false, |cluster| {
        cluster.write("demo", |lease, _| lease.end_of_term(&"bravo".into()));
        cluster.write("demo", |lease, _| lease.hand_over(&"bravo".into()));
        cluster.edit("demo", lead_as_alpha);
        cluster.write("demo", |lease, now| lease.release(1, now));
    });
}

/// Another elector has nominated somebody, or the nominee was faster: two that undo each other's writes would never rest.
#[test]
fn a_back_off_leaves_what_was_nominated_elsewhere_alone() {
    for ending in [false, true] {
        let mut cluster = preempted();
        cluster.edit("demo", lead_as_alpha);
        cluster.edit("demo", |record, _| {
            (record.preferred_holder, record.end_of_term) = (Some("bravo".into()), ending);
        });
        let record = &cluster.leader("demo").expect("a lease").record;
        assert_eq!(record.preferred_holder, Some("bravo".into()), "{}", cluster.log);
        assert_eq!(record.end_of_term, ending);
    }
}
