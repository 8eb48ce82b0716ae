//! What people read, as they read it.

use std::time::Duration;

use election_core::elector::Rules;
use election_core::{Refusal, Strategy};

use crate::cluster::{Cluster, versions};

/// A fleet with one candidate of each kind.
fn fleet() -> Cluster {
    let mut cluster = Cluster::new(Rules::default());
    cluster.list();
    for (name, emulation, binary) in [
        ("alpha", "1.30", "1.30"),
        ("bravo", "1.29", "1.30"),
        ("charlie", "1.29", "1.30"),
        ("delta", "1.31", "1.31"),
    ] {
        cluster.candidate(name, |lease| lease.versions = Ok(versions(emulation, binary)));
    }
    cluster.candidate("echo", |lease| {
        lease.versions = Err(Refusal::VersionMissing { which: "emulation" })
    });
    cluster.candidate("manual", |lease| {
        lease.versions = Ok(versions("1.27", "1.27"));
        (lease.incarnation, lease.renew_time) = (None, None);
    });
    cluster
}

fn explained(cluster: &Cluster) -> String {
    cluster.explain("demo").expect("an election").to_string()
}

#[test]
fn a_missing_lease_is_explained() {
    let cluster = fleet();
    insta::assert_snapshot!("missing", explained(&cluster));
}

#[test]
fn an_offer_is_explained() {
    let mut cluster = fleet();
    cluster.until(Duration::from_millis(15_300));
    insta::assert_snapshot!("offered", explained(&cluster));
}

#[test]
fn a_nomination_is_explained() {
    let mut cluster = fleet();
    cluster.edit("demo", |record, stamp| {
        record.holder = Some("alpha".into());
        (record.renew_time, record.acquire_time) = (Some(stamp), Some(stamp));
        record.incarnation = Some("process-alpha".into());
    });
    insta::assert_snapshot!("nominated", explained(&cluster));
}

#[test]
fn dead_candidates_are_explained() {
    let mut cluster = fleet();
    cluster.until(Duration::from_secs(200));
    cluster.candidate("golf", |lease| {
        lease.versions = Ok(versions("v1.30", "1.31.0-alpha.1"))
    });
    cluster.ask_for("demo", Ok(Strategy::NewestEmulationVersion));
    insta::assert_snapshot!("dead", explained(&cluster));
}

#[test]
fn nothing_is_explained_as_known_while_the_watch_is_lost() {
    let mut cluster = fleet();
    cluster.lose();
    insta::assert_snapshot!("lost", explained(&cluster));
}
