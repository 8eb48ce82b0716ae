//! Rule tables, through one check each.

use std::time::Duration;

use election_core::elector::{Event, Outcome, Output, Reason, Rules};
use election_core::{
    Elector, Identity, Item, LeaderLease, LeaseKey, LeaseSeconds, Mono, Record, Revision, Uid, Wall,
    WriteKind,
};

use crate::cluster::{Cluster, Server, key, versions};

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
fn a_dead_candidate_is_collected_ten_durations_after_its_last_life_under_one_watch() {
    let check = |name: &str, expected: u64, story: fn(&mut Cluster)| {
        let mut cluster = Cluster::new(Rules::default());
        cluster.candidate("alpha", |lease| {
            lease.duration = LeaseSeconds::new(10).expect("positive")
        });
        cluster.list();
        cluster.until(Duration::from_secs(50));
        story(&mut cluster);
        cluster.until(Duration::from_millis(expected - 1));
        assert_eq!(cluster.requests, [], "{name}: too early");
        cluster.until(Duration::from_millis(expected));
        assert!(
            matches!(cluster.requests.as_slice(), [Output::DeleteIdentity { .. }]),
            "{name}"
        );
    };
    check("no life", 100_000, |_| {});
    check("a label", 100_000, |cluster| cluster.candidate("alpha", |_| {}));
    check("life", 150_000, |cluster| {
        let stamp = cluster.next_stamp();
        cluster.candidate("alpha", |lease| lease.renew_time = Some(stamp));
    });
    check("a gap", 160_000, |cluster| {
        cluster.lose();
        cluster.until(Duration::from_secs(60));
        cluster.resume();
    });
    check("a relist", 150_000, |cluster| cluster.list());
    check("one that came later", 150_000, |cluster| {
        cluster.delete("alpha");
        cluster.candidate("alpha", |lease| {
            lease.duration = LeaseSeconds::new(10).expect("positive")
        });
    });
}

#[test]
fn a_turn_that_comes_more_than_a_second_late_lists_before_it_judges() {
    let check = |late: u64, lists: bool, turn: fn(&mut Cluster)| {
        let mut cluster = cluster();
        cluster.edit("demo", hold);
        cluster.list();
        cluster.freeze(Duration::from_millis(15_000 + late));
        turn(&mut cluster);
        assert_eq!(
            cluster.requests == [Output::Relist],
            lists,
            "{late} ms late: {}",
            cluster.log
        );
        // Only a list will do: what a watch that goes on has in store is not here yet.
        cluster.feed(Event::Lost);
        cluster.feed(Event::Resumed);
        assert_eq!(cluster.elector.is_synced(), !lists, "{late} ms late");
        cluster.list();
        assert!(cluster.elector.is_synced());
    };
    check(1_000, false, Cluster::drain);
    check(1_001, true, Cluster::drain);
    // Also when it comes with news.
    let news = |cluster: &mut Cluster| cluster.candidate("standby", |_| {});
    check(1_000, false, news);
    check(1_001, true, news);
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
            controls: None,
        };
        elector.handle(
            now,
            Event::Listed {
                items: vec![Item::Leader(lease.clone())],
            },
        );
        let at = |revision: &str| {
            Item::Leader(LeaderLease {
                revision: Revision::new(revision),
                ..lease.clone()
            })
        };
        elector.handle(now, Event::Applied(at("6")));
        elector.handle(now, Event::Deleted(at("7")));
        assert_eq!(
            elector.election(&LeaseKey::new(namespace, name)).is_some(),
            expected,
            "{namespace}/{name}"
        );
        let mut cluster = Cluster::new(Rules::default());
        cluster.list();
        let named = LeaseKey::new(namespace, name);
        cluster.candidate("alpha", |lease| lease.leads = vec![named.clone()]);
        assert_eq!(
            cluster.elector.election(&named).is_some(),
            expected,
            "{named}, named by a candidate"
        );
    };
    check("kube-system", "kube-scheduler", true);
    check("default", "coordinated-election-controller", true);
    check("kube-system", "coordinated-election-controller", false);
    check("kube-node-lease", "node-1", false);
}

#[test]
fn a_lease_that_offers_itself_is_never_a_leader_lease() {
    // Somebody offers itself for the identity lease of somebody else, which was there before or comes later.
    let story = |names: [&str; 2]| {
        let mut cluster = Cluster::new(Rules::default());
        cluster.list();
        for name in names {
            cluster.candidate(name, |lease| {
                lease.versions = Ok(versions("1.29", "1.29"));
                lease.leads = if name == "alpha" {
                    vec![key("bravo")]
                } else {
                    Vec::new()
                };
            });
        }
        cluster.until(Duration::from_secs(60));
        assert_eq!(cluster.requests, [], "{}", cluster.log);
        cluster
    };
    story(["bravo", "alpha"]);
    let mut cluster = story(["alpha", "bravo"]);
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
fn what_became_of_a_lease_while_it_was_an_identity_lease_is_not_known() {
    let mut cluster = cluster();
    cluster.list();
    cluster.until(Duration::from_millis(400));
    cluster.candidate("demo", |lease| lease.leads.clear());
    cluster.until(Duration::from_secs(40));
    cluster.edit("demo", |_, _| {});
    let reason = cluster.explain("demo").expect("an election").step.reason;
    assert_eq!(reason.code(), "QuietTime", "{reason}");
}

#[test]
fn leases_are_told_in_the_order_of_their_names() {
    let mut cluster = cluster();
    for number in 0..20 {
        cluster.edit(&format!("lease-{number:02}"), hold);
    }
    cluster.list();
    let keys: Vec<String> = cluster.elector.keys().map(ToString::to_string).collect();
    assert!(keys.len() >= 20 && keys.is_sorted(), "{keys:?}");
}

/// The state that a list or a newer event has shown stands, whatever comes late.
#[test]
fn older_news_change_nothing() {
    let mut cluster = cluster();
    cluster.edit("demo", hold);
    let old = cluster.leader("demo").expect("a lease").clone();
    cluster.candidate("standby", |_| {});
    cluster.edit("demo", |record, stamp| record.renew_time = Some(stamp));
    cluster.list();
    let before = cluster.explain("demo").expect("an election").to_string();
    let released = LeaderLease {
        record: Record {
            renew_time: Some(Wall::from_micros(1)),
            ..Record::default()
        },
        ..old.clone()
    };
    let gone = election_core::IdentityLease {
        revision: old.revision.clone(),
        leads: Vec::new(),
        ..cluster.identity("standby").expect("a candidate").clone()
    };
    let identities = [LEADER, "standby"].map(|name| cluster.identity(name).expect("a candidate").clone());
    let mut items = vec![Item::Leader(released.clone())];
    items.extend(identities.map(Item::Identity));
    for late in [
        Event::Listed { items },
        Event::Applied(Item::Leader(released.clone())),
        Event::Deleted(Item::Leader(released)),
        Event::Applied(Item::Identity(gone.clone())),
        Event::Deleted(Item::Identity(gone)),
    ] {
        let name = format!("{late:?}");
        cluster.feed(late);
        let after = cluster.explain("demo").expect("an election").to_string();
        assert_eq!(after, before, "{name}");
    }
    assert_eq!(cluster.requests, [], "{}", cluster.log);
    // Also when it has become an identity lease since.
    cluster.candidate("demo", |lease| lease.leads.clear());
    cluster.feed(Event::Applied(Item::Leader(old)));
    let reason = cluster.explain("demo").expect("an election").step.reason;
    assert_eq!(reason, Reason::KeyOfIdentityLease);
}

#[test]
fn a_candidate_that_a_list_does_not_show_is_gone() {
    let mut cluster = cluster();
    cluster.edit("demo", hold);
    cluster.list();
    cluster.lose();
    cluster.delete("standby");
    cluster.list();
    let explanation = cluster.explain("demo").expect("an election");
    assert_eq!(explanation.candidates.len(), 1);
}

/// A lease without creation time comes last among equals: no server sends one, so somebody else may have.
#[test]
fn the_oldest_of_equals_is_one_that_tells_its_age() {
    let mut cluster = cluster();
    cluster.candidate(LEADER, |lease| lease.created = None);
    cluster.edit("demo", |record, stamp| record.renew_time = Some(stamp));
    cluster.list();
    let holder = cluster.leader("demo").expect("a lease").record.holder.clone();
    assert_eq!(holder, Some("standby".into()));
}

// --- Requests -------------------------------------------------------------------------------------------------------

#[test]
fn one_request_is_open_at_a_time() {
    let mut cluster = cluster();
    cluster.server = Server::Silent;
    cluster.edit("demo", |record, stamp| record.renew_time = Some(stamp));
    cluster.list();
    cluster.edit("demo", |_, _| {});
    cluster.candidate("standby", |_| {});
    cluster.until(Duration::from_secs(60));
    assert_eq!(cluster.requests.len(), 1, "{}", cluster.log);
}

#[test]
fn news_do_not_make_a_request_that_was_refused_come_sooner() {
    let mut cluster = cluster();
    cluster.server = Server::Refuses("no".into());
    cluster.edit("demo", |record, stamp| record.renew_time = Some(stamp));
    cluster.list();
    cluster.until(Duration::from_millis(900));
    cluster.edit("demo", |_, _| {});
    assert_eq!(cluster.requests.len(), 1, "{}", cluster.log);
    cluster.until(Duration::from_secs(1));
    assert_eq!(cluster.requests.len(), 2, "{}", cluster.log);
}

#[test]
fn a_create_is_seen_when_the_watch_or_a_list_has_shown_what_became_of_it() {
    let created = |cluster: &Cluster| {
        let create = |output: &&Output| matches!(output, Output::Create { .. });
        cluster.requests.iter().filter(create).count()
    };
    // By the watch, before its answer.
    let mut elector = cluster();
    elector.server = Server::Silent;
    elector.list();
    elector.until(Duration::from_secs(16));
    assert_eq!(created(&elector), 1);
    elector.edit("demo", |_, _| {});
    let lease = elector.leader("demo").cloned();
    elector.answer(&key("demo"), Outcome::Done(lease));
    elector.drain();
    assert_eq!(elector.requests.len(), 2, "the offer: {}", elector.log);
    // By a list that does not show it any more.
    let mut elector = cluster();
    elector.list();
    elector.lag();
    elector.until(Duration::from_secs(16));
    assert_eq!((created(&elector), elector.requests.len()), (1, 1));
    elector.delete("demo");
    elector.list();
    elector.until(Duration::from_secs(17));
    assert_eq!(created(&elector), 2, "{}", elector.log);
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
