//! What the checker makes of requests that change leases: what they say when they are sent, and what they did when they
//! have landed. Invariants: S4, S5, S7, S8.

use std::time::Duration;

use election_core::{
    ELECTORS_LEASE, Identity, Incarnation, LeaderLease, LeaseKey, LeaseState, Record, Strategy, Versions,
    wire,
};
use http::Method;
use k8s_openapi::api::coordination::v1::Lease;
use serde_json::Value;

use crate::class::Class;
use crate::ledger::{Grant, Ledger};

/// Who writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    Elector,
    Candidate {
        identity: Identity,
        incarnation: Incarnation,
    },
    /// A person with kubectl, who is bound by nothing.
    Person,
}

impl Ledger {
    /// Invariant: S8. No unconditional write, and no create with a holder.
    pub(crate) fn lease_sent(&mut self, at: Duration, author: &Author, verb: &str, name: &str, body: &[u8]) {
        if *author == Author::Person {
            return;
        }
        // What is tried counts, not what is let through; the dead are collected whenever their time has come.
        if *author == Author::Elector && verb != "DELETE" && !name.ends_with(ELECTORS_LEASE.1) {
            self.elector_writes += 1;
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        let both = |object: &Value| text(&object["uid"]) && text(&object["resourceVersion"]);
        let fine = match verb {
            "PUT" => both(&body["metadata"]),
            "DELETE" => both(&body["preconditions"]),
            "POST" => {
                let holder = &body["spec"]["holderIdentity"];
                let own = match author {
                    Author::Candidate { identity, .. } => {
                        body["metadata"]["name"] == identity.as_str() && *holder == identity.as_str()
                    }
                    _ => false,
                };
                own || !text(holder)
            }
            _ => false,
        };
        if !fine {
            self.broken(
                "S8",
                at,
                format_args!("{author:?} sends an unsafe {verb} of {name}"),
            );
        }
    }

    /// At which write of an elector this is, as the classes of crashes name them.
    pub(crate) fn kind_of_write(&self, method: &Method, key: &LeaseKey, body: &[u8]) -> Option<Class> {
        match *method {
            Method::POST => return Some(Class::CrashAtCreate),
            Method::DELETE => return Some(Class::CrashAtCollection),
            _ => {}
        }
        let was = self.leases.get(key)?.stored.as_ref()?.record.state();
        let is = wire::read_leader(&serde_json::from_slice(body).ok()?)?.record;
        Some(match (was, is.state()) {
            (LeaseState::Offered, _) => Class::CrashAtWithdrawal,
            (_, LeaseState::Offered) => Class::CrashAtOffer,
            (_, LeaseState::Held) if is.preferred_holder.is_some() => Class::CrashAtNomination,
            _ => Class::CrashAtClearing,
        })
    }

    /// A lease was created or changed.
    pub(crate) fn lease_landed(&mut self, at: Duration, author: &Author, lease: &Lease) {
        if let Some(leader) = wire::read_leader(lease)
            && self.leases.contains_key(&leader.key)
        {
            self.leader_landed(at, author, leader);
        } else if let Some(identity) = wire::read_identity(lease) {
            let offers = lease
                .metadata
                .annotations
                .as_ref()
                .is_some_and(|notes| notes.contains_key(wire::CAN_LEAD_LEASES));
            let book = self.identities.entry(identity.key.clone()).or_default();
            let counts = offers && !identity.leads.is_empty();
            let said = identity.versions.clone().ok().filter(|_| counts);
            if book.said.last() != Some(&said) {
                book.said.push(said);
            }
            book.named.extend(identity.leads.iter().cloned());
            // Without the annotation it is no identity lease, and nobody's to collect.
            book.stored = offers.then_some(identity);
        }
    }

    /// Whether an elector begins its turn with this write: it holds the electors' own lease in a term of its own.
    pub(crate) fn turn_begins(&mut self, lease: &Lease) -> bool {
        if lease.metadata.name.as_deref() != Some(ELECTORS_LEASE.1) {
            return false;
        }
        let Some(LeaderLease { record: is, .. }) = wire::read_leader(lease) else {
            return false;
        };
        let term = |record: &Record| (record.holder.clone(), record.acquire_time);
        let goes_on = self.turn.as_ref().map(term) == Some(term(&is));
        let begins = is.state() == LeaseState::Held && !goes_on;
        if begins {
            self.turn = Some(is);
        }
        begins
    }

    /// A lease was deleted.
    pub(crate) fn lease_gone(&mut self, key: &LeaseKey) {
        if let Some(book) = self.leases.get_mut(key) {
            book.stored = None;
        } else if let Some(book) = self.identities.get_mut(key) {
            book.stored = None;
            book.said.push(None);
        }
    }

    fn leader_landed(&mut self, at: Duration, author: &Author, new: LeaderLease) {
        let key = new.key.clone();
        let old = self.leases.get(&key).and_then(|book| book.stored.clone());
        if *author != Author::Person
            && let Some(old) = &old
        {
            self.judge(at, author, old, &new);
        }
        self.leases.entry(key.clone()).or_default().stored = Some(new);
        self.check(at, &key);
    }

    fn judge(&mut self, at: Duration, author: &Author, old: &LeaderLease, new: &LeaderLease) {
        let (was, is) = (&old.record, &new.record);
        if old.uid != new.uid {
            return self.broken(
                "S8",
                at,
                format_args!("{author:?} replaces {} by another one", old.key),
            );
        }
        let grant = self
            .leases
            .get(&old.key)
            .map_or(Grant::Elected, |book| book.grant);
        if grant == Grant::Direct && *author == Author::Elector {
            return self.broken(
                "S4",
                at,
                format_args!("an elector writes {}, for which nobody stands", old.key),
            );
        }
        let accepts = match grant {
            Grant::Elected => accepts(author, was, is),
            Grant::Direct => claims(author, was, is),
        };
        let same_term = was.state() == LeaseState::Held
            && (&was.holder, was.acquire_time, &was.incarnation)
                == (&is.holder, is.acquire_time, &is.incarnation);
        if is.state() == LeaseState::Held && !accepts && !same_term {
            let what = format!(
                "{author:?} makes {:?} the holder of {}, which was {}",
                is.holder,
                old.key,
                old.state()
            );
            self.broken("S4", at, what);
        }
        // An elector offers to those who stand; an outgoing leader hands over to whom it finds nominated.
        let may_offer = |holder: &Identity| match author {
            Author::Elector => {
                let key = LeaseKey::new(old.key.namespace(), holder.as_str());
                let book = self.identities.get(&key);
                book.is_some_and(|book| {
                    book.named.contains(&old.key) && book.said.iter().any(Option::is_some)
                })
            }
            _ => was.preferred_holder.as_ref() == Some(holder),
        };
        if is.state() == LeaseState::Offered && !is.holder.as_ref().is_some_and(may_offer) {
            let what = format!(
                "{author:?} offers {} to {:?}, who does not stand for it",
                old.key, is.holder
            );
            self.broken("S4", at, what);
        }
        // A release on a lease that was created anew carries over the number of the term that it gives back.
        let carries = was.state() == LeaseState::Fresh && is.state() == LeaseState::Released;
        let grants = u32::from(accepts);
        if is.transitions != was.transitions + grants && !carries {
            let (before, after) = (was.transitions, is.transitions);
            let what = format!(
                "{author:?} counts {before} → {after} on {} with {grants} grants",
                old.key
            );
            self.broken("S7", at, what);
        }
        self.judge_nomination(at, author, old, new);
    }

    /// Invariant: S5. Judged by everything that the two ever said, because an elector may know something older.
    fn judge_nomination(&mut self, at: Duration, author: &Author, old: &LeaderLease, new: &LeaderLease) {
        let (Some(nominee), Some(holder)) = (&new.record.preferred_holder, &new.record.holder) else {
            return;
        };
        let nominates = *author == Author::Elector
            && new.state() == LeaseState::Held
            && old.record.preferred_holder.as_ref() != Some(nominee);
        if !nominates {
            return;
        }
        let said = |who: &Identity| -> Vec<Option<Versions>> {
            let key = LeaseKey::new(old.key.namespace(), who.as_str());
            let book = self.identities.get(&key);
            book.map_or_else(|| vec![None], |book| book.said.clone())
        };
        let (of_nominee, of_holder) = (said(nominee), said(holder));
        // The nomination is conditional on the lease that states the strategy; one that cannot be read is passed over.
        let strategy = match &old.strategy {
            Some(Ok(strategy)) => *strategy,
            _ => Strategy::default(),
        };
        let better = |new: &Versions, old: &Option<Versions>| {
            old.as_ref().is_none_or(|old| strategy.compare(new, old).is_lt())
        };
        let controls = old.controls.as_deref().cloned().unwrap_or_default();
        // Which process it is, its identity lease says, whatever somebody has written on the lease that it holds.
        let key = LeaseKey::new(old.key.namespace(), holder.as_str());
        let book = self.identities.get(&key);
        let of_identity = book
            .and_then(|book| book.stored.as_ref())
            .and_then(|stored| stored.incarnation.as_ref());
        let down = controls.step_down().filter(|asked| {
            asked.identity == *holder
                && [old.record.incarnation.as_ref(), of_identity].contains(&Some(&asked.incarnation))
        });
        // The end of a term that was asked for comes, hold or not: then it is only a question of who is next.
        let ending = old.record.end_of_term;
        let held = controls.hold().is_some_and(|hold| hold.length().is_none()) && down.is_none() && !ending;
        let first = controls.pin.as_ref() == Some(holder) && down.is_none() && !of_holder.contains(&None);
        if held || first {
            let what = format!(
                "{nominee} is nominated for {} against {holder}, which somebody asked for",
                old.key
            );
            self.broken("S5", at, what);
        }
        let asked_for = controls.pin.as_ref() == Some(nominee)
            || controls.step_down().is_some() && controls.step_down_to.as_ref() == Some(nominee);
        let justified = down.is_some()
            || asked_for
            || of_nominee
                .iter()
                .flatten()
                .any(|new| of_holder.iter().any(|old| better(new, old)));
        if !justified {
            let what = format!(
                "{nominee} is nominated for {} against {holder}, which is as good",
                old.key
            );
            self.broken("S5", at, what);
        }
    }
}

fn accepts(author: &Author, was: &Record, is: &Record) -> bool {
    let Author::Candidate {
        identity,
        incarnation,
    } = author
    else {
        return false;
    };
    was.state() == LeaseState::Offered
        && is.state() == LeaseState::Held
        && was.names(identity)
        && is.names(identity)
        && is.incarnation.as_ref() == Some(incarnation)
}

/// A candidate in direct mode takes a lease: for itself, with a record of its own.
fn claims(author: &Author, was: &Record, is: &Record) -> bool {
    let Author::Candidate { identity, .. } = author else {
        return false;
    };
    is.state() == LeaseState::Held
        && is.names(identity)
        && (&was.holder, was.acquire_time) != (&is.holder, is.acquire_time)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lease(value: Value) -> Lease {
        serde_json::from_value(value).expect("a lease")
    }

    /// A leader lease with this spec and these annotations of ours.
    fn leader(uid: &str, spec: &Value, notes: &Value) -> Lease {
        let mut object = json!({
            "metadata": {"namespace": "default", "name": "demo", "uid": uid, "resourceVersion": "7"},
            "spec": spec,
        });
        object["metadata"]["annotations"] = notes.clone();
        lease(object)
    }

    fn identity(name: &str, version: &str) -> Lease {
        lease(json!({
            "metadata": {"namespace": "default", "name": name, "uid": name, "resourceVersion": "5", "annotations": {
                wire::CAN_LEAD_LEASES: "default/demo",
                wire::BINARY_VERSION: version,
                wire::COMPATIBILITY_VERSION: version,
            }},
            "spec": {"holderIdentity": name},
        }))
    }

    fn author(name: &str) -> Author {
        Author::Candidate {
            identity: name.into(),
            incarnation: format!("{name}-1").into(),
        }
    }

    /// The rule that a second write breaks, after a first one by a person.
    fn broken(by: &Author, first: &Lease, second: &Lease) -> Option<&'static str> {
        broken_where(Grant::Elected, by, first, second)
    }

    fn broken_where(grant: Grant, by: &Author, first: &Lease, second: &Lease) -> Option<&'static str> {
        let mut ledger = Ledger::default();
        let key = LeaseKey::new("default", "demo");
        ledger.leases.entry(key).or_default().grant = grant;
        for (name, version) in [("alpha", "1.30"), ("bravo", "1.30"), ("charlie", "1.29")] {
            ledger.lease_landed(Duration::ZERO, &author(name), &identity(name, version));
        }
        ledger.lease_landed(Duration::ZERO, &Author::Person, first);
        ledger.lease_landed(Duration::ZERO, by, second);
        ledger.violation.map(|violation| violation.rule)
    }

    const TIME: &str = "2026-01-01T11:00:00.000001Z";

    fn offered(to: &str, term: u32) -> Value {
        json!({"holderIdentity": to, "leaseTransitions": term})
    }

    fn held(by: &str, term: u32) -> Value {
        json!({"holderIdentity": by, "leaseTransitions": term, "renewTime": TIME, "acquireTime": TIME})
    }

    fn of(name: &str) -> Value {
        json!({wire::INCARNATION: format!("{name}-1")})
    }

    #[test]
    fn only_the_one_who_was_offered_the_lease_accepts_it_and_counts_one_term() {
        let offer = leader("u", &offered("alpha", 3), &json!({}));
        for (by, after, rule) in [
            ("alpha", leader("u", &held("alpha", 4), &of("alpha")), None),
            ("bravo", leader("u", &held("bravo", 4), &of("bravo")), Some("S4")),
            (
                "alpha",
                leader("u", &held("alpha", 4), &of("another")),
                Some("S4"),
            ),
            ("alpha", leader("u", &held("alpha", 3), &of("alpha")), Some("S7")),
            ("alpha", leader("u", &held("alpha", 5), &of("alpha")), Some("S7")),
            ("alpha", leader("v", &held("alpha", 4), &of("alpha")), Some("S8")),
        ] {
            assert_eq!(broken(&author(by), &offer, &after), rule, "{by}: {after:?}");
        }
        let holds = leader("u", &held("alpha", 3), &of("alpha"));
        let takes = leader("u", &held("bravo", 4), &of("bravo"));
        assert_eq!(
            broken(&author("bravo"), &holds, &takes),
            Some("S4"),
            "nobody claims"
        );
    }

    #[test]
    fn a_turn_is_counted_when_another_elector_holds_their_lease_or_the_same_one_anew() {
        let of_electors = |mut spec: Value, acquired: &str| {
            spec["acquireTime"] = acquired.into();
            let mut lease = leader("u", &spec, &json!({}));
            lease.metadata.name = Some(ELECTORS_LEASE.1.to_owned());
            lease
        };
        let later = "2026-01-01T11:00:01.000001Z";
        let mut ledger = Ledger::default();
        for (lease, begins) in [
            (leader("u", &held("alpha", 1), &json!({})), false),
            (of_electors(held("alpha", 1), TIME), true),
            (of_electors(held("alpha", 1), TIME), false),
            (of_electors(held("", 1), TIME), false),
            (of_electors(held("alpha", 1), later), true),
            (of_electors(held("bravo", 2), later), true),
        ] {
            assert_eq!(ledger.turn_begins(&lease), begins, "{lease:?}");
        }
    }

    #[test]
    fn an_offer_goes_to_somebody_who_stands_or_was_nominated() {
        let holds = |nominee: Option<&str>| {
            let mut notes = of("alpha");
            if let Some(nominee) = nominee {
                notes[wire::PREFERRED_HOLDER] = nominee.into();
            }
            leader("u", &held("alpha", 3), &notes)
        };
        let offer = |to: &str| leader("u", &offered(to, 3), &json!({}));
        let (elector, alpha) = (Author::Elector, author("alpha"));
        for (by, nominee, to, rule) in [
            (&elector, None, "bravo", None),
            (&elector, None, "stranger", Some("S4")),
            (&alpha, Some("bravo"), "bravo", None),
            (&alpha, Some("stranger"), "stranger", None),
            (&alpha, None, "bravo", Some("S4")),
        ] {
            assert_eq!(broken(by, &holds(nominee), &offer(to)), rule, "{by:?} to {to}");
        }
    }

    #[test]
    fn in_direct_mode_a_candidate_takes_the_lease_for_itself_and_an_elector_leaves_it_alone() {
        let released = leader(
            "u",
            &json!({"renewTime": TIME, "leaseTransitions": 3}),
            &json!({}),
        );
        let later = "2026-01-01T11:00:00.000002Z";
        let mut again = held("alpha", 4);
        (again["acquireTime"], again["renewTime"]) = (later.into(), later.into());
        let mut renewed = held("alpha", 3);
        renewed["renewTime"] = later.into();
        let ours = leader("u", &held("alpha", 3), &json!({}));
        let write = |spec: &Value| leader("u", spec, &json!({}));
        let (alpha, bravo) = (author("alpha"), author("bravo"));
        for (by, before, after, rule) in [
            (&alpha, &released, write(&held("alpha", 4)), None),
            (&alpha, &released, write(&held("alpha", 3)), Some("S7")),
            (&alpha, &released, write(&held("bravo", 4)), Some("S4")),
            // Whether alpha had expired is seen by S1.
            (&bravo, &ours, write(&held("bravo", 4)), None),
            (&alpha, &ours, write(&renewed), None),
            (&alpha, &ours, write(&again), None),
            (
                &Author::Elector,
                &released,
                write(&offered("alpha", 3)),
                Some("S4"),
            ),
        ] {
            assert_eq!(
                broken_where(Grant::Direct, by, before, &after),
                rule,
                "{by:?}: {after:?}"
            );
        }
        assert_eq!(broken(&alpha, &released, &write(&held("alpha", 4))), Some("S4"));
    }

    #[test]
    fn equals_are_not_nominated() {
        let holds = leader("u", &held("alpha", 3), &of("alpha"));
        for (nominee, strategy, rule) in [
            ("charlie", None, None),
            ("bravo", None, Some("S5")),
            ("charlie", Some("NewestEmulationVersion"), Some("S5")),
        ] {
            let mut notes = of("alpha");
            let mut before = holds.clone();
            if let Some(strategy) = strategy {
                notes[wire::STRATEGY] = strategy.into();
                let own = before.metadata.annotations.get_or_insert_default();
                own.insert(wire::STRATEGY.to_owned(), strategy.to_owned());
            }
            notes[wire::PREFERRED_HOLDER] = nominee.into();
            let after = leader("u", &held("alpha", 3), &notes);
            assert_eq!(
                broken(&Author::Elector, &before, &after),
                rule,
                "{nominee}, {strategy:?}"
            );
        }
    }

    #[test]
    fn while_preemption_is_on_hold_nobody_is_nominated_unless_the_term_is_ending() {
        for (ending, rule) in [(false, Some("S5")), (true, None)] {
            let mut notes = of("alpha");
            notes[wire::HOLD] = "true".into();
            if ending {
                notes[wire::END_OF_TERM] = "true".into();
            }
            let before = leader("u", &held("alpha", 3), &notes);
            notes[wire::PREFERRED_HOLDER] = "charlie".into();
            let after = leader("u", &held("alpha", 3), &notes);
            assert_eq!(
                broken(&Author::Elector, &before, &after),
                rule,
                "ending: {ending}"
            );
        }
    }

    #[test]
    fn who_was_asked_to_step_down_gives_way_to_an_equal_while_it_is_that_process() {
        for (process, on_the_lease, rule) in [
            ("alpha-1", "alpha-1", None),
            ("alpha-1", "another", None),
            ("another", "alpha-1", Some("S5")),
        ] {
            let mut notes = json!({wire::INCARNATION: on_the_lease});
            notes[wire::STEP_DOWN] = format!("alpha/{process}").into();
            let before = leader("u", &held("alpha", 3), &notes);
            notes[wire::PREFERRED_HOLDER] = "bravo".into();
            let after = leader("u", &held("alpha", 3), &notes);
            let mut stands = identity("alpha", "1.30");
            let own = stands.metadata.annotations.get_or_insert_default();
            own.insert(wire::INCARNATION.to_owned(), "alpha-1".to_owned());
            let mut ledger = Ledger::default();
            let key = LeaseKey::new("default", "demo");
            ledger.leases.entry(key).or_default();
            for (name, lease) in [("alpha", stands), ("bravo", identity("bravo", "1.30"))] {
                ledger.lease_landed(Duration::ZERO, &author(name), &lease);
            }
            ledger.lease_landed(Duration::ZERO, &Author::Person, &before);
            ledger.lease_landed(Duration::ZERO, &Author::Elector, &after);
            let found = ledger.violation.map(|violation| violation.rule);
            assert_eq!(found, rule, "{process} on {on_the_lease}");
        }
    }

    #[test]
    fn every_request_is_conditional_and_no_create_has_a_holder() {
        let both = json!({"uid": "u", "resourceVersion": "7"});
        let one = json!({"resourceVersion": "7"});
        let (elector, alpha) = (Author::Elector, author("alpha"));
        let created = |name: &str, holder: &str| json!({"metadata": {"name": name}, "spec": {"holderIdentity": holder}});
        for (by, verb, body, fine) in [
            (&elector, "PUT", json!({"metadata": both}), true),
            (&elector, "PUT", json!({"metadata": one}), false),
            (&alpha, "DELETE", json!({"preconditions": both}), true),
            (&alpha, "DELETE", json!({"preconditions": one}), false),
            (&alpha, "DELETE", json!({}), false),
            (
                &elector,
                "POST",
                json!({"metadata": {"name": "demo"}, "spec": {}}),
                true,
            ),
            (&elector, "POST", created("demo", "alpha"), false),
            (&alpha, "POST", created("alpha", "alpha"), true),
            (&alpha, "POST", created("demo", "alpha"), false),
            (&alpha, "PATCH", json!({}), false),
            (&Author::Person, "PATCH", json!({}), true),
        ] {
            let mut ledger = Ledger::default();
            ledger.lease_sent(Duration::ZERO, by, verb, "demo", body.to_string().as_bytes());
            let rule = ledger.violation.map(|violation| violation.rule);
            assert_eq!(rule, (!fine).then_some("S8"), "{by:?} {verb} {body}");
        }
    }
}
