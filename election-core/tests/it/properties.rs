//! Properties on random inputs: an order is an order, nothing panics, and honest processes never lead at the same time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use election_core::elector::{Decision, Election, Event, Outcome, Output, Rules};
use election_core::{
    Controls, Elector, Identity, IdentityLease, Item, LeaderLease, LeaseKey, LeaseSeconds, LeaseState, Mono,
    Record, Refusal, Revision, Strategy as Rule, Uid, Version, Versions, Wall,
};
use proptest::prelude::*;

use crate::cluster::{key, versions};

fn version() -> impl Strategy<Value = String> {
    (
        0u8..3,
        0u8..3,
        prop::option::of(0u8..3),
        prop::option::of("(alpha|rc)\\.[0-2]"),
    )
        .prop_map(|(major, minor, patch, pre)| {
            let patch = patch.map(|patch| format!(".{patch}")).unwrap_or_default();
            let pre = pre.map(|pre| format!("-{pre}")).unwrap_or_default();
            format!("{major}.{minor}{patch}{pre}")
        })
}

fn any_versions() -> impl Strategy<Value = Versions> {
    (version(), version()).prop_map(|(emulation, binary)| versions(&emulation, &binary))
}

fn candidate(name: &str, versions: Versions, created: i64) -> Arc<IdentityLease> {
    Arc::new(IdentityLease {
        key: key(name),
        uid: Uid::new(name),
        revision: Revision::new("1"),
        incarnation: Some("i".into()),
        renew_time: None,
        duration: LeaseSeconds::IDENTITY,
        leads: vec![key("demo")],
        refused: Vec::new(),
        versions: Ok(versions),
        created: Some(Wall::from_micros(created)),
        owned_by_pod: false,
    })
}

const NOW: Mono = Mono::from_nanos(5_000_000_000);

fn released() -> LeaderLease {
    LeaderLease {
        key: key("demo"),
        uid: Uid::new("u"),
        revision: Revision::new("1"),
        record: Record {
            renew_time: Some(Wall::from_micros(1)),
            ..Record::default()
        },
        strategy: None,
        controls: None,
    }
}

fn held_by(holder: &str) -> LeaderLease {
    let mut lease = released();
    lease.record.holder = Some(holder.into());
    lease.record.acquire_time = Some(Wall::from_micros(1));
    lease.record.incarnation = Some("i".into());
    lease
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn strategies_are_total_orders(a in any_versions(), b in any_versions(), c in any_versions()) {
        for rule in Rule::ALL {
            prop_assert_eq!(rule.compare(&a, &b), rule.compare(&b, &a).reverse());
            prop_assert_eq!(rule.compare(&a, &a), std::cmp::Ordering::Equal);
            if rule.compare(&a, &b).is_le() && rule.compare(&b, &c).is_le() {
                prop_assert!(rule.compare(&a, &c).is_le());
            }
        }
    }

    #[test]
    fn the_choice_does_not_depend_on_the_order_of_arrival(
        fleet in prop::collection::btree_map("[a-e]", (any_versions(), 0i64..3), 1..6),
        seed in any::<u64>(),
        holder in prop::option::of("[a-e]"),
    ) {
        let lease = holder.as_deref().map_or_else(released, held_by);
        let mut arrivals: Vec<_> = fleet.iter().collect();
        let judged = |arrivals: &[(&String, &(Versions, i64))]| {
            let mut election = Election::new(key("demo"), Rules::default(), NOW);
            election.observe_lease(NOW, lease.clone());
            for (name, (versions, created)) in arrivals {
                election.observe_candidate(NOW, candidate(name, versions.clone(), *created));
            }
            let ranking: Vec<_> = election.explain(NOW).candidates.into_iter().map(|ranked| ranked.identity).collect();
            (election.step(NOW), ranking)
        };
        let first = judged(&arrivals);
        let mut random = crate::choice::Random(seed);
        for index in (1..arrivals.len()).rev() {
            arrivals.swap(index, random.below(index as u64 + 1) as usize);
        }
        prop_assert_eq!(first, judged(&arrivals));
    }

    #[test]
    fn an_incumbent_stays_among_equals(
        versions in any_versions(), created in prop::collection::vec(0i64..3, 5), holder in 0usize..5, strategy in 0usize..2,
    ) {
        let names = ["a", "b", "c", "d", "e"];
        let rules = Rules { strategy: Rule::ALL[strategy], ..Rules::default() };
        let mut election = Election::new(key("demo"), rules, NOW);
        for (name, created) in names.iter().zip(&created) {
            election.observe_candidate(NOW, candidate(name, versions.clone(), *created));
        }
        election.observe_lease(NOW, held_by(names[holder]));
        // Invariant: S5.
        prop_assert_eq!(election.step(NOW).decision, Decision::Keep);
        // It has started again since, so that it is not this process that let the term expire.
        let again = Arc::new(IdentityLease {
            incarnation: Some("j".into()),
            ..IdentityLease::clone(&candidate(names[holder], versions, created[holder]))
        });
        election.observe_candidate(NOW, again);
        let expired = election.step(NOW + Duration::from_secs(15)).decision;
        prop_assert_eq!(expired, Decision::Offer { to: names[holder].into() });
    }

    #[test]
    fn a_process_that_let_its_term_expire_comes_last(
        all in prop::collection::vec(any_versions(), 2..5), holder in 0usize..5, strategy in 0usize..2,
    ) {
        let names = ["a", "b", "c", "d", "e"];
        let holder = names[holder % all.len()];
        let rules = Rules { strategy: Rule::ALL[strategy], ..Rules::default() };
        let mut election = Election::new(key("demo"), rules, NOW);
        for (name, versions) in names.iter().zip(&all) {
            election.observe_candidate(NOW, candidate(name, versions.clone(), 0));
        }
        election.observe_lease(NOW, held_by(holder));
        let decision = election.step(NOW + Duration::from_secs(15)).decision;
        prop_assert!(
            matches!(&decision, Decision::Offer { to } if to.as_str() != holder),
            "{} held it: {:?}", holder, decision
        );
    }

    #[test]
    fn no_text_makes_the_parsers_panic(text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let bytes = String::from_utf8_lossy(&bytes).into_owned();
        for text in [&text, &bytes] {
            if let Ok(version) = text.parse::<Version>() {
                prop_assert_eq!(version.as_str(), text);
            }
            if let Ok(key) = text.parse::<LeaseKey>() {
                prop_assert_eq!(&key.to_string(), text);
            }
            if let Ok(rule) = text.parse::<Rule>() {
                prop_assert_eq!(rule.as_str(), text);
            }
        }
    }
}

// --- Nothing panics, and nothing spins ------------------------------------------------------------------------------

fn random_record(random: &mut crate::choice::Random) -> Record {
    let stamp = |random: &mut crate::choice::Random| {
        (!random.one_in(3)).then(|| Wall::from_micros(random.below(4) as i64))
    };
    Record {
        holder: (!random.one_in(3)).then(|| random_name(random).into()),
        renew_time: stamp(random),
        acquire_time: stamp(random),
        duration: LeaseSeconds::new(random.below(3) as u32 * (u32::MAX / 5)),
        transitions: random.below(3) as u32,
        incarnation: random.one_in(2).then(|| "i".into()),
        end_of_term: random.one_in(4),
        preferred_holder: random.one_in(3).then(|| random_name(random).into()),
        elected: random.one_in(2),
    }
}

fn random_name(random: &mut crate::choice::Random) -> &'static str {
    ["a", "b", "c", "demo", "other"][random.below(5) as usize]
}

fn random_controls(random: &mut crate::choice::Random) -> Controls {
    let mut name = || random.one_in(2).then(|| random_name(random));
    let (pin, to, down) = (name(), name(), name());
    Controls {
        hold: match random.below(4) {
            0 => Some("true".parse()),
            1 => Some("20s".parse()),
            2 => Some("soon".parse()),
            _ => None,
        },
        pin: pin.map(Into::into),
        step_down: down.map(|down| format!("{down}/i").parse()),
        step_down_to: to.map(Into::into),
    }
}

fn random_item(random: &mut crate::choice::Random) -> Item {
    let own = key(random_name(random));
    let uid = Uid::new(["u1", "u2"][random.below(2) as usize]);
    let revision = Revision::new(&random.below(2_000).to_string());
    if random.one_in(2) {
        let strategy = random.one_in(4).then(|| Err("none".into()));
        return Item::Leader(LeaderLease {
            key: own,
            uid,
            revision,
            record: random_record(random),
            strategy,
            controls: random.one_in(3).then(|| Box::new(random_controls(random))),
        });
    }
    Item::Identity(IdentityLease {
        key: own,
        uid,
        revision,
        incarnation: random.one_in(2).then(|| "i".into()),
        renew_time: Some(Wall::from_micros(random.below(4) as i64)),
        duration: LeaseSeconds::new(1 + random.below(2) as u32 * 40).expect("positive"),
        leads: (0..random.below(3)).map(|_| key(random_name(random))).collect(),
        refused: Vec::new(),
        versions: match random.below(4) {
            0 => Err(Refusal::VersionMissing { which: "binary" }),
            minor => Ok(versions(&format!("1.{minor}"), "1.3")),
        },
        created: random
            .one_in(2)
            .then(|| Wall::from_micros(random.below(3) as i64)),
        owned_by_pod: random.one_in(3),
    })
}

fn random_event(random: &mut crate::choice::Random) -> Event {
    let name = key(random_name(random));
    let outcome = match random.below(5) {
        0 => Outcome::Conflict,
        1 => Outcome::Refused("no".into()),
        2 => Outcome::Unknown("late".into()),
        3 => Outcome::Done(None),
        _ => match random_item(random) {
            Item::Leader(lease) => Outcome::Done(Some(LeaderLease {
                key: name.clone(),
                ..lease
            })),
            Item::Identity(_) => Outcome::Done(None),
        },
    };
    match random.below(12) {
        0 => Event::Listed {
            items: (0..random.below(6)).map(|_| random_item(random)).collect(),
        },
        1 => Event::Lost,
        2 => Event::Resumed,
        3 => Event::Acting(!random.one_in(4)),
        4 | 5 => Event::Answer { key: name, outcome },
        6 => Event::Collected { key: name, outcome },
        7 => Event::Deleted(random_item(random)),
        _ => Event::Applied(random_item(random)),
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn no_sequence_of_events_makes_an_elector_panic_or_spin() {
    let mut outputs = 0u64;
    for seed in 0..400 {
        let mut random = crate::choice::Random(seed);
        let mut elector = Elector::new(Rules::default());
        let mut now = NOW;
        for _ in 0..300 {
            match random.below(3) {
                // A lease may ask for a century; the clock of this test need not go there.
                0 => {
                    now = elector
                        .deadline()
                        .filter(|at| at.since(now) < DAY)
                        .unwrap_or(now)
                        .max(now)
                }
                1 => now = now + Duration::from_millis(random.below(30_000)),
                _ => {}
            }
            elector.handle(now, random_event(&mut random));
            let mut turns = 0;
            while let Some(output) = elector.poll(now) {
                turns += 1;
                outputs += 1;
                assert!(turns < 100, "seed {seed} spins");
                // Invariant: S8, an offer names the version that it was decided from.
                if let Output::Write { write, .. } = output {
                    let known = elector
                        .election(&write.key)
                        .and_then(Election::lease)
                        .expect("a known lease");
                    assert_eq!(
                        (&write.uid, &write.base),
                        (&known.uid, &known.revision),
                        "seed {seed}"
                    );
                }
            }
            assert!(
                elector.deadline().is_none_or(|at| at > now),
                "seed {seed}: a deadline must lie ahead"
            );
            for name in ["a", "b", "c", "demo", "other"] {
                let _ = elector
                    .explain(now, &key(name))
                    .map(|explanation| explanation.to_string());
            }
        }
    }
    assert!(outputs > 10_000, "vacuous: only {outputs} outputs");
}

// --- Honest processes under a dishonest world -----------------------------------------------------------------------

/// A process that keeps the candidate's rules, as far as safety goes.
#[derive(Default)]
struct Process {
    acting_until: Option<Mono>,
    /// It lost contact with the server: it acts until its deadline, and renews no more.
    cut_off: bool,
}

struct Chaos {
    cluster: crate::cluster::Cluster,
    processes: BTreeMap<&'static str, Process>,
    accepted: u64,
    after_silence: u64,
}

impl Chaos {
    fn new() -> Self {
        let mut cluster = crate::cluster::Cluster::new(Rules::default());
        for (name, minor) in [("alpha", "1.29"), ("bravo", "1.29"), ("charlie", "1.28")] {
            cluster.candidate(name, |lease| lease.versions = Ok(versions(minor, minor)));
        }
        let processes = ["alpha", "bravo", "charlie"].map(|name| (name, Process::default()));
        Self {
            cluster,
            processes: processes.into(),
            accepted: 0,
            after_silence: 0,
        }
    }

    fn acts(&self, name: &str) -> bool {
        self.processes[name]
            .acting_until
            .is_some_and(|until| self.cluster.now < until)
    }

    fn holds(&self, name: &str) -> bool {
        self.cluster.leader("demo").is_some_and(|lease| {
            let own = lease
                .record
                .incarnation
                .as_ref()
                .is_some_and(|own| own.as_str() == name);
            own && lease.state() == LeaseState::Held && lease.record.names(&Identity::new(name))
        })
    }

    /// One process takes its turn.
    fn turn(&mut self, name: &'static str, random: &mut crate::choice::Random, seed: u64) {
        let now = self.cluster.now;
        let lease = self.cluster.leader("demo").cloned();
        let offered = lease.as_ref().is_some_and(|lease| {
            lease.state() == LeaseState::Offered && lease.record.names(&Identity::new(name))
        });
        let (acts, holds) = (self.acts(name), self.holds(name));
        if self.processes[name].cut_off {
            let process = self.processes.get_mut(name).expect("known");
            process.cut_off = !random.one_in(8);
            return;
        }
        let stamp_alive = random.one_in(3);
        if stamp_alive {
            let stamp = self.cluster.next_stamp();
            self.cluster
                .candidate(name, |lease| lease.renew_time = Some(stamp));
        }
        if offered && !acts && !random.one_in(4) {
            // Invariant: S1.
            let other = self
                .processes
                .keys()
                .find(|other| **other != name && self.acts(other));
            assert_eq!(
                other, None,
                "seed {seed}: {name} accepts while somebody acts:\n{}",
                self.cluster.log
            );
            let duration = LeaseSeconds::LEADER;
            self.cluster.write("demo", |lease, now| {
                lease.accept(&Identity::new(name), &name.into(), duration, now)
            });
            self.accepted += 1;
            let deadline = now + self.deadline();
            self.process(name).acting_until = Some(deadline);
        } else if acts && holds && random.one_in(2) {
            if lease.as_ref().is_some_and(|lease| lease.record.end_of_term) || random.one_in(6) {
                self.process(name).acting_until = None;
                let successor = lease.and_then(|lease| lease.record.preferred_holder);
                self.cluster.write("demo", |lease, now| match &successor {
                    Some(successor) if successor.as_str() != name => lease.hand_over(successor),
                    _ => lease.release(lease.record.transitions, now),
                });
            } else {
                self.cluster
                    .write("demo", |lease, now| lease.renew(LeaseSeconds::LEADER, now));
                let deadline = now + self.deadline();
                self.process(name).acting_until = Some(deadline);
            }
        } else if acts && !holds && random.one_in(2) {
            // It sees that the lease is not its own any more.
            self.process(name).acting_until = None;
        } else if lease.is_some_and(|lease| {
            lease
                .record
                .preferred_holder
                .is_some_and(|nominee| nominee.as_str() == name)
        }) && self
            .cluster
            .leader("demo")
            .is_some_and(|lease| lease.state() == LeaseState::Held)
        {
            self.cluster
                .write("demo", |lease, _| lease.end_of_term(&Identity::new(name)));
        } else if acts && random.one_in(10) {
            self.process(name).cut_off = true;
            self.after_silence += 1;
        }
    }

    /// How long after a write its writer may act: 4/5 of the duration that it wrote.
    fn deadline(&self) -> Duration {
        let written = self
            .cluster
            .leader("demo")
            .and_then(|lease| lease.record.duration);
        written.unwrap_or(LeaseSeconds::LEADER).duration() * 4 / 5
    }

    fn process(&mut self, name: &str) -> &mut Process {
        self.processes.get_mut(name).expect("known")
    }

    /// What the world does that nobody asked for.
    fn trouble(&mut self, random: &mut crate::choice::Random) {
        let exists = self.cluster.leader("demo").is_some();
        let held = self
            .cluster
            .leader("demo")
            .is_some_and(|lease| lease.state() == LeaseState::Held);
        match random.below(14) {
            0 | 1 if exists => self.cluster.delete("demo"),
            2 if held => self.cluster.edit("demo", |record, _| record.holder = None),
            3 if exists => self.cluster.edit("demo", |record, _| {
                *record = Record {
                    duration: record.duration,
                    ..Record::default()
                };
            }),
            4 => self.cluster.lose(),
            5 => self.cluster.lag(),
            6 => self.cluster.resume(),
            7 | 8 => self.cluster.list(),
            // Lowering it by hand, on the other hand, is a forgery that an elector without memory cannot notice.
            9 if exists => self
                .cluster
                .edit("demo", |record, _| record.duration = LeaseSeconds::new(20)),
            10 => {
                // The elector is started again: it remembers nothing.
                self.cluster.elector = Elector::new(Rules::default());
                self.cluster.list();
            }
            _ => {}
        }
    }
}

#[test]
fn honest_processes_never_lead_at_the_same_time() {
    let (mut accepted, mut after_silence) = (0, 0);
    for seed in 0..600 {
        let mut random = crate::choice::Random(seed);
        let mut chaos = Chaos::new();
        chaos.cluster.list();
        let mut elapsed = Duration::ZERO;
        for _ in 0..250 {
            for name in ["alpha", "bravo", "charlie"] {
                chaos.turn(name, &mut random, seed);
            }
            if random.one_in(10) {
                chaos.trouble(&mut random);
            }
            elapsed += Duration::from_millis(random.below(2_000));
            chaos.cluster.until(elapsed);
        }
        accepted += chaos.accepted;
        after_silence += chaos.after_silence;
    }
    assert!(
        accepted > 5_000 && after_silence > 500,
        "vacuous: {accepted} acceptances, {after_silence} silences"
    );
}
