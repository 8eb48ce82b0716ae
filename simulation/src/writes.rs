//! What the checker makes of requests that change leases: what they say when they are sent, and what they did when they
//! have landed. Invariants: S4, S5, S7, S8.

use std::time::Duration;

use election_core::{
    Identity, Incarnation, LeaderLease, LeaseKey, LeaseState, Record, Strategy, Versions, wire,
};
use k8s_openapi::api::coordination::v1::Lease;
use serde_json::Value;

use crate::ledger::Ledger;

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
            book.stored = Some(identity);
        }
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
        if *author == Author::Elector {
            self.elector_writes += 1;
        }
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
        let accepts = accepts(author, was, is);
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
                book.is_some_and(|book| book.named.contains(&old.key))
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
        let justified = of_nominee
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
