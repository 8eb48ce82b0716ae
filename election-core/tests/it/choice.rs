//! The choice, once more: a second implementation that is as plain as possible, compared on random inputs.
//!
//! It shares nothing with the first: versions are numbers here, and the order is a sort by a tuple.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use election_core::elector::{Decision, Election, Rules};
use election_core::{
    Identity, IdentityLease, LeaderLease, LeaseSeconds, LeaseState, Mono, Record, Refusal, Revision,
    Strategy, Uid, Wall,
};

use crate::cluster::{key, versions};

/// splitmix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(crate) fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}

/// A candidate in numbers.
#[derive(Clone, Debug)]
struct Plain {
    name: String,
    emulation: u64,
    binary: u64,
    created: i64,
    hand_written: bool,
    dead: bool,
    refused: bool,
    /// Whether its process is not the one that accepted the lease.
    restarted: bool,
    /// Offers in this vacancy, or nominations in this term.
    count: u64,
}

#[derive(Clone, Debug)]
struct Case {
    candidates: Vec<Plain>,
    newest: bool,
    state: LeaseState,
    /// Who holds the lease or has the offer.
    holder: Option<usize>,
    expired: bool,
}

fn random_case(random: &mut Random) -> Case {
    let count = random.below(7);
    let candidates: Vec<Plain> = (0..count)
        .map(|index| Plain {
            name: format!("c{}", (index * 5) % 7),
            emulation: 28 + random.below(3),
            binary: 28 + random.below(3),
            created: random.below(3) as i64,
            hand_written: random.one_in(4),
            dead: random.one_in(4),
            refused: random.one_in(8),
            restarted: random.one_in(3),
            count: random.below(3),
        })
        .collect();
    let state = [
        LeaseState::Released,
        LeaseState::Blanked,
        LeaseState::Offered,
        LeaseState::Held,
    ][random.below(4) as usize];
    let holder = (count > 0 && !random.one_in(6)).then(|| random.below(count.max(1)) as usize);
    Case {
        candidates,
        newest: random.one_in(2),
        state,
        holder,
        expired: random.one_in(2),
    }
}

/// What the second implementation decides: whom to grant the lease or to nominate, if anybody.
fn naive(case: &Case) -> Option<String> {
    let sign = if case.newest { -1 } else { 1 };
    let grade = |plain: &Plain| (sign * plain.emulation as i64, sign * plain.binary as i64);
    let able: Vec<&Plain> = case
        .candidates
        .iter()
        .filter(|plain| !plain.refused && (plain.hand_written || !plain.dead))
        .collect();
    let holder = case.holder.map(|index| &case.candidates[index]);
    let held = case.state == LeaseState::Held && !case.expired;
    let mut pool: Vec<&Plain> = able.iter().copied().filter(|plain| !plain.hand_written).collect();
    if held {
        pool.retain(|plain| {
            let better = holder.is_none_or(|holder| holder.refused || grade(plain) < grade(holder));
            better && holder.is_none_or(|holder| holder.name != plain.name)
        });
    } else if pool.is_empty() {
        pool = able;
    }
    let incumbent = holder.filter(|_| matches!(case.state, LeaseState::Held | LeaseState::Offered));
    pool.sort_by_key(|plain| {
        let challenger = incumbent.is_none_or(|incumbent| incumbent.name != plain.name);
        let silent = case.state == LeaseState::Held && case.expired && !challenger && !plain.restarted;
        let count = if plain.hand_written {
            0
        } else {
            plain.count + u64::from(silent)
        };
        (count, grade(plain), challenger, plain.created, plain.name.clone())
    });
    pool.first().map(|plain| plain.name.clone())
}

const START: Mono = Mono::from_nanos(1_000_000_000_000);
const SECOND: Duration = Duration::from_secs(1);

/// The same case for the elector: its memory is brought about by what it observes.
fn decided(case: &Case) -> Option<String> {
    let strategy = if case.newest {
        Strategy::NewestEmulationVersion
    } else {
        Strategy::OldestEmulationVersion
    };
    let rules = Rules {
        strategy,
        ..Rules::default()
    };
    let mut election = Election::new(key("demo"), rules, START);
    let mut revision = 0;
    let mut observe = |election: &mut Election, now: Mono, record: Record| {
        revision += 1;
        let lease = LeaderLease {
            key: key("demo"),
            uid: Uid::new("u"),
            revision: Revision::new(&format!("{revision:09}")),
            record,
            strategy: None,
            controls: None,
        };
        election.observe_lease(now, lease);
    };
    let judged_at = START + 400 * SECOND;
    for plain in &case.candidates {
        let life = if plain.dead {
            START
        } else {
            judged_at.before(SECOND)
        };
        election.observe_candidate(life, Arc::new(identity_lease(plain)));
    }
    let holder = case
        .holder
        .map(|index| Identity::new(&case.candidates[index].name));
    let stranger = Identity::new("stranger");
    let record = |holder: Option<Identity>, stamp: i64| Record {
        holder,
        renew_time: Some(Wall::from_micros(stamp)),
        acquire_time: Some(Wall::from_micros(1)),
        duration: Some(LeaseSeconds::LEADER),
        incarnation: Some("i".into()),
        ..Record::default()
    };
    let offer = |to: &str| Record {
        holder: Some(to.into()),
        ..Record::default()
    };
    let released = Record {
        renew_time: Some(Wall::from_micros(1)),
        ..Record::default()
    };
    if case.state == LeaseState::Held {
        let last_life = if case.expired {
            judged_at.before(20 * SECOND)
        } else {
            judged_at.before(SECOND)
        };
        let holder = holder.clone().or(Some(stranger));
        observe(
            &mut election,
            last_life.before(300 * SECOND),
            record(holder.clone(), 1),
        );
        for plain in case.candidates.iter().filter(|_| !case.expired) {
            for _ in 0..plain.count {
                let nominee = Some(Identity::new(&plain.name));
                let nominated = Record {
                    preferred_holder: nominee,
                    ..record(holder.clone(), 1)
                };
                observe(&mut election, last_life.before(290 * SECOND), nominated);
                observe(
                    &mut election,
                    last_life.before(290 * SECOND),
                    record(holder.clone(), 1),
                );
            }
        }
        observe(&mut election, last_life, record(holder, 2));
    } else {
        for plain in &case.candidates {
            let has_offer = case.state == LeaseState::Offered
                && holder.as_ref().is_some_and(|h| h.as_str() == plain.name);
            for _ in u64::from(has_offer)..plain.count {
                observe(&mut election, START, offer(&plain.name));
                observe(&mut election, START, released.clone());
            }
        }
        match (case.state, &holder) {
            (LeaseState::Offered, Some(holder)) => {
                observe(&mut election, START + SECOND, offer(holder.as_str()))
            }
            (LeaseState::Offered, None) => observe(&mut election, START + SECOND, offer("stranger")),
            (LeaseState::Blanked, _) => observe(&mut election, START + SECOND, record(None, 5)),
            _ => observe(&mut election, START + SECOND, released),
        }
    }
    match election.step(judged_at).decision {
        Decision::Offer { to } | Decision::OfferAgain { to } => Some(to.to_string()),
        Decision::Nominate { successor } => Some(successor.to_string()),
        // An offer that stays with a hand-written candidate is a choice as well.
        Decision::LeaveAlone if case.state == LeaseState::Offered => holder
            .map(|holder| holder.to_string())
            .filter(|_| naive(case).is_some()),
        _ => None,
    }
}

fn identity_lease(plain: &Plain) -> IdentityLease {
    IdentityLease {
        key: key(&plain.name),
        uid: Uid::new(&plain.name),
        revision: Revision::new("1"),
        incarnation: (!plain.hand_written).then(|| if plain.restarted { "j" } else { "i" }.into()),
        renew_time: None,
        duration: LeaseSeconds::IDENTITY,
        leads: vec![key("demo")],
        refused: Vec::new(),
        versions: if plain.refused {
            Err(Refusal::VersionMissing { which: "binary" })
        } else {
            Ok(versions(
                &format!("1.{}", plain.emulation),
                &format!("1.{}", plain.binary),
            ))
        },
        created: Some(Wall::from_micros(plain.created)),
        owned_by_pod: false,
    }
}

#[test]
fn the_choice_is_that_of_a_naive_second_implementation() {
    let mut random = Random(7);
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for round in 0..120_000 {
        let mut case = random_case(&mut random);
        // An offer that was seen was counted.
        if let (LeaseState::Offered, Some(holder)) = (case.state, case.holder) {
            let plain = &mut case.candidates[holder];
            plain.count = plain.count.max(1);
        }
        if case.state == LeaseState::Held && case.expired {
            case.candidates.iter_mut().for_each(|plain| plain.count = 0);
        }
        let expected = naive(&case);
        assert_eq!(decided(&case), expected, "round {round}: {case:#?}");
        let kind = if expected.is_some() {
            case.state.as_str()
        } else {
            "nobody"
        };
        *seen.entry(kind).or_default() += 1;
    }
    // Not vacuous: each way to choose was taken often.
    for kind in ["Released", "Blanked", "Offered", "Held", "nobody"] {
        assert!(
            seen.get(kind).is_some_and(|times| *times > 1_000),
            "{kind}: {seen:?}"
        );
    }
}
