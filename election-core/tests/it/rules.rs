//! Rule tables, through one check each.

use std::time::Duration;

use election_core::elector::{Event, Output, Reason, Rules};
use election_core::{
    Elector, Identity, Item, LeaderLease, LeaseKey, LeaseSeconds, Mono, Record, Revision, Uid, Wall,
    WriteKind,
};

use crate::cluster::{Cluster, key, versions};

const LEADER: &str = "leader";

/// A cluster in which an equal of the leader stands by.
fn cluster() -> Cluster {
    let mut cluster = Cluster::new(Rules::default());
    for name in [LEADER, "standby"] {
        cluster.candidate(name, |lease| {
            lease.versions = Ok(versions("1.29", "1.29"));
            lease.duration = LeaseSeconds::new(3600).expect("positive");
        });
    }
    cluster
}

fn hold(record: &mut Record, stamp: Wall) {
    record.holder = Some(Identity::new(LEADER));
    (record.acquire_time, record.renew_time) = (Some(stamp), Some(stamp));
    record.incarnation = Some("process-leader".into());
}

/// When the first grant is made, in milliseconds after the list at 0 s; `story` runs in between.
fn first_grant(story: impl FnOnce(&mut Cluster)) -> Option<u64> {
    let mut cluster = cluster();
    story(&mut cluster);
    let began = cluster.now;
    for tenths in 0..1_000 {
        let offered =
            |output: &Output| matches!(output, Output::Write { write, .. } if write.kind == WriteKind::Offer);
        if cluster.requests.iter().any(offered) {
            return Some(cluster.now.since(Mono::from_nanos(1_000_000_000_000)).as_millis() as u64);
        }
        let elapsed = began.since(Mono::from_nanos(1_000_000_000_000));
        cluster.until(elapsed + Duration::from_millis(100 * (tenths + 1)));
    }
    None
}

#[test]
fn a_holder_expires_one_duration_after_the_last_life_that_was_seen() {
    let check = |name: &str, expected: u64, change: fn(&mut Record, Wall)| {
        let granted = first_grant(|cluster| {
            cluster.edit("demo", hold);
            cluster.list();
            cluster.until(Duration::from_secs(10));
            cluster.edit("demo", change);
        });
        assert_eq!(granted, Some(expected), "{name}");
    };
    // Life.
    check("renew time", 25_000, |record, stamp| {
        record.renew_time = Some(stamp)
    });
    check("acquire time", 25_000, |record, stamp| {
        record.acquire_time = Some(stamp)
    });
    check("transitions", 25_000, |record, _| record.transitions += 1);
    check("holder", 25_000, |record, _| {
        record.holder = Some("standby".into())
    });
    check("an older renew time", 25_000, |record, _| {
        record.renew_time = Some(Wall::from_micros(-5))
    });
    // No life.
    check("nothing", 15_000, |_, _| {});
    check("end of term", 15_000, |record, _| record.end_of_term = true);
    check("preferred holder", 15_000, |record, _| {
        record.preferred_holder = Some("standby".into())
    });
    check("elected", 15_000, |record, _| record.elected = true);
    // The larger of the duration recorded with the last life and the one recorded now.
    check("a shorter duration", 15_000, |record, _| {
        record.duration = LeaseSeconds::new(1)
    });
    check("a longer duration", 60_000, |record, _| {
        record.duration = LeaseSeconds::new(60)
    });
    check("no duration", 15_000, |record, _| record.duration = None);
    // Twice that without incarnation.
    check("no incarnation", 30_000, |record, _| record.incarnation = None);
    check("no incarnation, renewed", 40_000, |record, stamp| {
        (record.incarnation, record.renew_time) = (None, Some(stamp));
    });
    let marked_by_hand = first_grant(|cluster| {
        cluster.edit("demo", |record, stamp| {
            hold(record, stamp);
            record.incarnation = None;
        });
        cluster.list();
        cluster.until(Duration::from_secs(10));
        cluster.edit("demo", |record, _| {
            record.incarnation = Some("process-leader".into())
        });
    });
    assert_eq!(
        marked_by_hand,
        Some(30_000),
        "an ordinary client that is given an incarnation"
    );
}

#[test]
fn nobody_is_granted_a_lease_while_somebody_unseen_may_act() {
    let check = |name: &str, expected: u64, story: fn(&mut Cluster)| {
        assert_eq!(first_grant(story), Some(expected), "{name}");
    };
    check("missing at the first list", 15_000, |cluster| cluster.list());
    check("Fresh at the first list", 15_000, |cluster| {
        cluster.edit("demo", |_, _| {});
        cluster.list();
    });
    check("Blanked at the first list", 15_000, |cluster| {
        cluster.edit("demo", |record, stamp| record.renew_time = Some(stamp));
        cluster.edit("demo", |record, stamp| record.acquire_time = Some(stamp));
        cluster.list();
    });
    check("Blanked at the first list, then annotated", 15_000, |cluster| {
        cluster.edit("demo", |record, stamp| {
            hold(record, stamp);
            record.holder = None;
        });
        cluster.list();
        cluster.until(Duration::from_secs(10));
        cluster.edit("demo", |_, _| {});
    });
    check("Fresh at the first list, then annotated", 15_000, |cluster| {
        cluster.edit("demo", |_, _| {});
        cluster.list();
        cluster.until(Duration::from_secs(10));
        cluster.edit("demo", |_, _| {});
    });
    check("Released at the first list", 0, |cluster| {
        cluster.edit("demo", |record, stamp| record.renew_time = Some(stamp));
        cluster.list();
    });
    check("Blanked with a long duration", 60_000, |cluster| {
        cluster.edit("demo", |record, stamp| {
            hold(record, stamp);
            (record.holder, record.duration) = (None, LeaseSeconds::new(60));
        });
        cluster.list();
    });
    check("deleted while held", 23_000, |cluster| {
        cluster.edit("demo", hold);
        cluster.list();
        cluster.until(Duration::from_secs(8));
        cluster.edit("demo", |record, stamp| record.renew_time = Some(stamp));
        cluster.until(Duration::from_secs(9));
        cluster.delete("demo");
    });
    check("deleted while held by an ordinary client", 30_000, |cluster| {
        cluster.edit("demo", |record, stamp| {
            hold(record, stamp);
            record.incarnation = None;
        });
        cluster.list();
        cluster.until(Duration::from_secs(9));
        cluster.delete("demo");
    });
    check("deleted after a release", 9_000, |cluster| {
        cluster.edit("demo", hold);
        cluster.list();
        cluster.until(Duration::from_secs(9));
        cluster.lag();
        cluster.write("demo", |lease, now| lease.release(1, now));
        cluster.delete("demo");
        cluster.catch_up();
    });
    check("offered at the first list, then deleted", 500, |cluster| {
        cluster.edit("demo", |record, _| record.holder = Some("leader".into()));
        cluster.list();
        cluster.until(Duration::from_millis(500));
        cluster.delete("demo");
    });
    check("missing after a gap", 25_000, |cluster| {
        cluster.edit("demo", hold);
        cluster.list();
        cluster.until(Duration::from_secs(5));
        cluster.lose();
        cluster.delete("demo");
        cluster.until(Duration::from_secs(10));
        cluster.list();
    });
    check("missing before and after a gap", 24_000, |cluster| {
        cluster.list();
        cluster.lose();
        cluster.until(Duration::from_secs(9));
        cluster.list();
    });
    check("missing before a gap, and Fresh after it", 24_000, |cluster| {
        cluster.list();
        cluster.lose();
        cluster.edit("demo", |_, _| {});
        cluster.until(Duration::from_secs(9));
        cluster.list();
    });
    let ordinary = "missing after a gap, and held by an ordinary client before";
    check(ordinary, 40_000, |cluster| {
        cluster.edit("demo", |record, stamp| {
            hold(record, stamp);
            record.incarnation = None;
        });
        cluster.list();
        cluster.lose();
        cluster.delete("demo");
        cluster.until(Duration::from_secs(10));
        cluster.list();
    });
    check(
        "missing after a gap, and held for 60 s before",
        70_000,
        |cluster| {
            cluster.edit("demo", |record, stamp| {
                hold(record, stamp);
                record.duration = LeaseSeconds::new(60);
            });
            cluster.list();
            cluster.lose();
            cluster.delete("demo");
            cluster.until(Duration::from_secs(10));
            cluster.list();
        },
    );
    check("another uid after a gap", 25_000, |cluster| {
        cluster.edit("demo", hold);
        cluster.list();
        cluster.lose();
        cluster.delete("demo");
        cluster.edit("demo", |_, _| {});
        cluster.until(Duration::from_secs(10));
        cluster.list();
    });
    check("restored from a copy", 25_000, |cluster| {
        cluster.edit("demo", hold);
        cluster.list();
        cluster.until(Duration::from_secs(10));
        let copy = cluster.leader("demo").expect("a lease").record.clone();
        cluster.lag();
        cluster.delete("demo");
        cluster.edit("demo", |record, _| *record = copy);
        cluster.catch_up();
    });
    let held_by_another = "held by another after a gap, and for 60 s by the first before";
    check(held_by_another, 70_000, |cluster| {
        cluster.edit("demo", |record, stamp| {
            hold(record, stamp);
            record.duration = LeaseSeconds::new(60);
        });
        cluster.list();
        cluster.lose();
        cluster.delete("demo");
        cluster.edit("demo", |record, stamp| {
            hold(record, stamp);
            record.holder = Some("standby".into());
        });
        cluster.until(Duration::from_secs(10));
        cluster.list();
    });
    let again = "another Fresh lease after a gap, which may be held for 60 s";
    check(again, 70_000, |cluster| {
        cluster.edit("demo", |_, _| {});
        cluster.list();
        cluster.lose();
        cluster.delete("demo");
        cluster.edit("demo", |record, _| record.duration = LeaseSeconds::new(60));
        cluster.until(Duration::from_secs(10));
        cluster.list();
    });
    check("asked for after a relist", 76_000, asked_for_after_a_relist);
    check(
        "asked for after a relist, assumed unheld at first",
        76_000,
        |cluster| {
            cluster.elector = Elector::new(Rules::default()).assuming_unheld();
            asked_for_after_a_relist(cluster);
        },
    );
    check("a short duration cleared by hand", 19_000, |cluster| {
        let short = LeaseSeconds::new(5);
        cluster.edit("demo", |record, stamp| {
            hold(record, stamp);
            record.duration = LeaseSeconds::new(5);
        });
        cluster.list();
        cluster.until(Duration::from_secs(4));
        cluster.edit("demo", |record, _| {
            *record = Record {
                duration: short,
                ..Record::default()
            };
        });
    });
    check("everything cleared by hand", 24_000, |cluster| {
        cluster.edit("demo", hold);
        cluster.list();
        cluster.until(Duration::from_secs(9));
        cluster.edit("demo", |record, _| *record = Record::default());
    });
    check("a gap in which nothing was missed", 15_000, |cluster| {
        cluster.edit("demo", hold);
        cluster.list();
        cluster.until(Duration::from_secs(5));
        cluster.delete("demo");
        cluster.lose();
        cluster.until(Duration::from_secs(6));
        cluster.resume();
    });
}

/// Nobody has asked for the lease when the watch breaks, so no memory of it is kept.
fn asked_for_after_a_relist(cluster: &mut Cluster) {
    cluster.delete(LEADER);
    cluster.candidate("standby", |lease| lease.leads.clear());
    cluster.list();
    cluster.until(Duration::from_secs(60));
    cluster.lose();
    cluster.until(Duration::from_secs(61));
    cluster.list();
    cluster.until(Duration::from_secs(62));
    cluster.candidate("standby", |lease| lease.leads = vec![key("demo")]);
}

#[test]
fn the_settle_window_opens_with_the_first_candidate_that_could_lead() {
    let check = |name: &str, expected: u64, story: fn(&mut Cluster)| {
        let granted = first_grant(|cluster| {
            cluster.delete(LEADER);
            cluster.delete("standby");
            cluster.edit("demo", |_, _| {});
            cluster.list();
            cluster.until(Duration::from_secs(20));
            story(cluster);
            cluster.until(Duration::from_secs(30));
            cluster.candidate("bravo", |lease| lease.versions = Ok(versions("1.29", "1.29")));
        });
        assert_eq!(granted, Some(expected), "{name}");
    };
    check("nobody before", 30_500, |_| {});
    check("somebody who has left again", 30_500, |cluster| {
        cluster.candidate("alpha", |lease| lease.versions = Ok(versions("1.29", "1.29")));
        cluster.until(Duration::from_millis(20_200));
        cluster.delete("alpha");
    });
    check("somebody without a version", 30_500, |cluster| {
        cluster.candidate("alpha", |_| {})
    });
}

#[test]
fn an_identity_lease_lives_by_its_own_life_only() {
    let check = |name: &str, expected: bool, change: fn(&mut election_core::IdentityLease)| {
        let mut cluster = Cluster::new(Rules::default());
        cluster.candidate("alpha", |lease| lease.versions = Ok(versions("1.29", "1.29")));
        cluster.list();
        cluster.until(Duration::from_secs(170));
        cluster.candidate("alpha", change);
        cluster.until(Duration::from_secs(190));
        let explanation = cluster.explain("demo").expect("an election");
        assert_eq!(
            explanation.candidates[0].standing.code() != "NotLive",
            expected,
            "{name}"
        );
    };
    check("renew time", true, |lease| {
        lease.renew_time = Some(Wall::from_micros(77))
    });
    check("incarnation", true, |lease| {
        lease.incarnation = Some("another".into())
    });
    check("uid", true, |lease| lease.uid = Uid::new("another"));
    check("nothing", false, |_| {});
    check("versions", false, |lease| {
        lease.versions = Ok(versions("1.28", "1.28"))
    });
    check("owner", false, |lease| lease.owned_by_pod = true);
    check("a longer duration", true, |lease| {
        lease.duration = LeaseSeconds::new(200).expect("positive")
    });
}

#[test]
fn time_without_connection_is_nobodys_age() {
    let mut cluster = Cluster::new(Rules::default());
    cluster.candidate("alpha", |lease| lease.versions = Ok(versions("1.29", "1.29")));
    cluster.list();
    cluster.until(Duration::from_secs(100));
    cluster.lose();
    cluster.until(Duration::from_secs(400));
    cluster.resume();
    // Neither is a change that is no life.
    cluster.candidate("alpha", |_| {});
    cluster.until(Duration::from_secs(479));
    let standing = |cluster: &Cluster| {
        cluster.explain("demo").expect("an election").candidates[0]
            .standing
            .code()
    };
    assert_ne!(standing(&cluster), "NotLive", "79 s of 180 s are left");
    cluster.until(Duration::from_secs(481));
    assert_eq!(standing(&cluster), "NotLive");
}

#[test]
fn some_keys_are_never_granted() {
    let check = |namespace: &str, name: &str, expected: bool| {
        let mut elector = Elector::new(Rules::default());
        let now = Mono::from_nanos(1_000_000_000);
        let lease = LeaderLease {
            key: LeaseKey::new(namespace, name),
            uid: Uid::new("u"),
            revision: Revision::new("5"),
            record: Record {
                renew_time: Some(Wall::from_micros(1)),
                ..Record::default()
            },
            strategy: None,
        };
        elector.handle(
            now,
            Event::Listed {
                items: vec![Item::Leader(lease.clone())],
            },
        );
        elector.handle(
            now,
            Event::Applied(Item::Leader(LeaderLease {
                revision: Revision::new("6"),
                ..lease
            })),
        );
        assert_eq!(
            elector.election(&LeaseKey::new(namespace, name)).is_some(),
            expected,
            "{namespace}/{name}"
        );
    };
    check("kube-system", "kube-scheduler", true);
    check("default", "coordinated-election-controller", true);
    check("kube-system", "coordinated-election-controller", false);
    check("kube-node-lease", "node-1", false);
}

#[test]
fn a_lease_that_offers_itself_is_never_a_leader_lease() {
    let mut cluster = Cluster::new(Rules::default());
    cluster.list();
    // Somebody offers itself for the identity lease of somebody else.
    cluster.candidate("alpha", |lease| {
        lease.versions = Ok(versions("1.29", "1.29"));
        lease.leads = vec![key("bravo")];
    });
    cluster.candidate("bravo", |lease| lease.leads.clear());
    cluster.until(Duration::from_secs(60));
    assert_eq!(cluster.requests, [], "{}", cluster.log);
    let reason = cluster.explain("bravo").expect("an election").step.reason;
    assert_eq!(reason, Reason::KeyOfIdentityLease);
    // It is deleted: now its name is free.
    cluster.delete("bravo");
    cluster.until(Duration::from_secs(61));
    assert_eq!(
        cluster
            .leader("bravo")
            .and_then(|lease| lease.record.holder.clone()),
        Some("alpha".into())
    );
}

#[test]
fn a_leader_lease_that_becomes_an_identity_lease_is_gone() {
    let mut cluster = cluster();
    cluster.edit("demo", hold);
    cluster.list();
    let stamp = cluster.next_stamp();
    cluster.until(Duration::from_secs(5));
    cluster.candidate("demo", |lease| {
        (lease.renew_time, lease.leads) = (Some(stamp), Vec::new());
    });
    let explanation = cluster.explain("demo").expect("an election");
    assert_eq!(
        (explanation.state, explanation.step.reason),
        (None, Reason::KeyOfIdentityLease)
    );
    // Its holder may still act when it becomes a leader lease again.
    cluster.delete("demo");
    cluster.until(Duration::from_secs(14));
    assert_eq!(
        cluster.explain("demo").expect("an election").step.reason.code(),
        "QuietTime"
    );
}

#[test]
fn an_event_costs_only_the_elections_that_it_concerns() {
    let mut cluster = Cluster::new(Rules::default());
    for index in 0..500 {
        let name = format!("lease-{index}");
        cluster.edit(&name, hold);
        cluster.candidate(&format!("candidate-{index}"), |lease| {
            lease.versions = Ok(versions("1.29", "1.29"));
            lease.leads = vec![key(&name)];
        });
    }
    cluster.list();
    let before = cluster.elector.steps();
    assert!(before >= 500);
    let stamp = cluster.next_stamp();
    cluster.candidate("candidate-7", |lease| lease.renew_time = Some(stamp));
    cluster.edit("lease-9", |record, stamp| record.renew_time = Some(stamp));
    assert_eq!(cluster.elector.steps() - before, 2);
}

#[test]
fn an_elector_that_stands_by_writes_nothing_and_is_warm() {
    let mut cluster = cluster();
    cluster.edit("demo", hold);
    cluster.elector.handle(cluster.now, Event::Acting(false));
    cluster.list();
    cluster.until(Duration::from_secs(20));
    assert_eq!(cluster.requests, [], "{}", cluster.log);
    assert_eq!(cluster.elector.deadline(), None);
    cluster.feed(Event::Acting(true));
    // It saw the last life 20 s ago, and need not wait.
    assert_eq!(cluster.requests.len(), 1, "{}", cluster.log);
}

#[test]
fn a_forgotten_election_leaves_nothing_behind() {
    let mut cluster = cluster();
    cluster.edit("demo", hold);
    cluster.list();
    cluster.delete("demo");
    cluster.delete(LEADER);
    cluster.delete("standby");
    assert_eq!(cluster.elector.keys().count(), 1, "its holder may still act");
    cluster.until(Duration::from_secs(20));
    assert_eq!(cluster.elector.keys().count(), 0);
}
