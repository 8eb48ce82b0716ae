//! What would happen next, if everybody who lives did its part: the elector by its own rules, the candidates by their
//! writes. Rules and writes are those of `election-core`; here is only the order of turns.
//!
//! Real time, requests that fail, and candidates that do not answer are not here.

use std::sync::Arc;
use std::time::Duration;

use election_core::elector::{Decision, Election, IdentityLife, Outcome, Request};
use election_core::{
    Identity, IdentityLease, Incarnation, LeaderLease, LeaseCreate, LeaseSeconds, LeaseState, LeaseWrite,
    Mono, Revision, Timing, Uid, Wall,
};
use serde::Serialize;

/// Something that would happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Happening {
    /// How long from now, at least.
    pub after_seconds: u64,
    /// What.
    pub message: String,
}

/// How it would go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    /// What would happen, in order.
    pub happenings: Vec<Happening>,
    /// Who would lead in the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// When that one would have begun to lead; absent for one that leads already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leads_after_seconds: Option<u64>,
    /// Why nothing happens any more.
    pub rest: String,
}

/// What befalls the holder before everybody does its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing.
    Stays,
    /// It is told to stop, stops its work, gives the lease back and leaves.
    Stops,
    /// It is gone from one moment to the next.
    Crashes,
}

/// Plays an election on, from `start`.
pub(crate) fn forecast(
    election: Election,
    candidates: &[Arc<IdentityLease>],
    start: Mono,
    fate: Fate,
) -> Forecast {
    let mut play = Play {
        lease: election.lease().cloned(),
        election,
        candidates: candidates.to_vec(),
        start,
        now: start,
        writes: 0,
        happenings: Vec::new(),
        led_from: None,
    };
    play.befall(fate);
    let rest = play.run();
    let silent = play.election.expires_at().is_some_and(|at| at <= play.now);
    let leader = play
        .lease
        .as_ref()
        .filter(|lease| lease.state() == LeaseState::Held && !silent);
    Forecast {
        leader: leader
            .and_then(|lease| lease.record.holder.as_ref())
            .map(ToString::to_string),
        leads_after_seconds: play.led_from.map(|at| seconds(at.since(start))),
        happenings: play.happenings,
        rest,
    }
}

/// More turns than any election takes; one that does not come to rest is told as far as that.
const TURNS: usize = 24;

struct Play {
    election: Election,
    lease: Option<LeaderLease>,
    candidates: Vec<Arc<IdentityLease>>,
    start: Mono,
    now: Mono,
    writes: u32,
    happenings: Vec<Happening>,
    led_from: Option<Mono>,
}

impl Play {
    fn befall(&mut self, fate: Fate) {
        let Some(holder) = self.holder() else { return };
        let Some(lease) = self.lease.clone() else { return };
        match fate {
            Fate::Stays => {}
            Fate::Stops => {
                self.leave(&holder);
                let nominee = lease.record.preferred_holder.clone();
                match nominee.filter(|nominee| *nominee != holder && self.process(nominee).is_some()) {
                    Some(nominee) => self.put(&lease.hand_over(&nominee)),
                    None => self.put(&lease.release(lease.record.transitions, stamp(self.writes))),
                }
            }
            Fate::Crashes => {
                let expires = self.election.expires_at();
                self.refresh(&holder);
                // Its identity lease is left behind; it is the election that finds it silent.
                if let Some(expires) = expires.filter(|expires| *expires > self.now) {
                    self.now = expires;
                    self.refresh(&holder);
                    self.say(format!("the lease of {holder} expires"));
                }
                self.leave(&holder);
            }
        }
    }

    /// Takes turns until nothing happens; says why.
    fn run(&mut self) -> String {
        for _ in 0..TURNS {
            if self.candidate_moves() {
                continue;
            }
            let step = self.election.step(self.now);
            match (&step.decision, step.request) {
                (decision, Some(request)) => {
                    let text = match decision {
                        Decision::Create => format!("the elector creates the lease: {}", step.reason),
                        Decision::Offer { to } => {
                            format!("the elector offers the lease to {to}: {}", step.reason)
                        }
                        Decision::Nominate { successor } => {
                            format!("the elector nominates {successor}: {}", step.reason)
                        }
                        _ => format!("the elector clears the nomination: {}", step.reason),
                    };
                    self.say(text);
                    self.carry_out(request);
                }
                (Decision::Wait { until }, None) if *until > self.now => {
                    let until = *until;
                    self.wait(until);
                }
                _ => return step.reason.to_string(),
            }
        }
        "it goes on like this".to_owned()
    }

    /// The move of a candidate that lives, if it is one's turn.
    fn candidate_moves(&mut self) -> bool {
        let Some(lease) = self.lease.clone() else {
            return false;
        };
        let Some(holder) = lease.record.holder.clone() else {
            return false;
        };
        match lease.state() {
            LeaseState::Offered => {
                let Some(process) = self.process(&holder) else {
                    return false;
                };
                let (incarnation, wall) = (incarnation(&process), stamp(self.writes));
                self.say(format!("{holder} accepts, and leads"));
                self.led_from = Some(self.now);
                self.put(&lease.accept(&holder, &incarnation, LeaseSeconds::LEADER, wall));
                true
            }
            LeaseState::Held => self.gives_way(&lease, &holder),
            _ => false,
        }
    }

    fn gives_way(&mut self, lease: &LeaderLease, holder: &Identity) -> bool {
        // A holder that is gone or silent, or that takes no part, does nothing.
        let expired = self.election.expires_at().is_some_and(|at| at <= self.now);
        if expired || lease.record.incarnation.is_none() {
            return false;
        }
        let nominee = lease
            .record
            .preferred_holder
            .clone()
            .filter(|nominee| nominee != holder && self.process(nominee).is_some());
        match nominee {
            Some(nominee) if lease.record.end_of_term => {
                self.say(format!(
                    "{holder} stops its work and hands the lease over to {nominee}"
                ));
                self.put(&lease.hand_over(&nominee));
            }
            Some(nominee) => {
                self.say(format!("{nominee} asks {holder} to give way (end of term)"));
                self.put(&lease.end_of_term(&nominee));
            }
            None if lease.record.end_of_term => {
                self.say(format!("{holder} stops its work and releases the lease"));
                self.put(&lease.release(lease.record.transitions, stamp(self.writes)));
            }
            None => return false,
        }
        true
    }

    fn carry_out(&mut self, request: Request) {
        match request {
            Request::Create(create) => {
                let lease = created(&create, self.next_revision());
                self.election.observe_answer(self.now, Outcome::Done(None));
                self.election.observe_lease(self.now, lease.clone());
                self.lease = Some(lease);
            }
            Request::Write(write) => {
                let revision = self.next_revision();
                let lease = self.lease.as_ref().map(|lease| write.applied_to(lease, revision));
                self.election
                    .observe_answer(self.now, Outcome::Done(lease.clone()));
                self.lease = lease;
            }
        }
    }

    /// The write of a candidate.
    fn put(&mut self, write: &LeaseWrite) {
        let revision = self.next_revision();
        if let Some(lease) = &self.lease {
            let lease = write.applied_to(lease, revision);
            self.election.observe_lease(self.now, lease.clone());
            self.lease = Some(lease);
        }
    }

    /// Time passes; whoever lived renews.
    fn wait(&mut self, until: Mono) {
        let live: Vec<_> = self.candidates.clone();
        for candidate in live {
            if self.is_live(&candidate.identity()) {
                let life = IdentityLife::first(until, &candidate);
                self.election.observe_candidate_life(candidate, life);
            }
        }
        self.now = until;
        let Some(lease) = self
            .lease
            .clone()
            .filter(|lease| lease.record.incarnation.is_some())
        else {
            return;
        };
        let holder = self.holder().filter(|holder| self.process(holder).is_some());
        if holder.is_some() && !lease.record.end_of_term {
            self.put(&lease.renew(LeaseSeconds::LEADER, stamp(self.writes)));
        }
    }

    /// Everybody but this one renews its identity lease.
    fn refresh(&mut self, except: &Identity) {
        let candidates: Vec<_> = self.candidates.clone();
        for candidate in candidates {
            if candidate.identity() != *except && self.is_live(&candidate.identity()) {
                let life = IdentityLife::first(self.now, &candidate);
                self.election.observe_candidate_life(candidate, life);
            }
        }
    }

    fn leave(&mut self, who: &Identity) {
        self.election.observe_candidate_gone(who);
        self.candidates.retain(|candidate| candidate.identity() != *who);
    }

    fn holder(&self) -> Option<Identity> {
        let lease = self
            .lease
            .as_ref()
            .filter(|lease| lease.state() == LeaseState::Held)?;
        lease.record.holder.clone()
    }

    /// A candidate that is a process and lives.
    fn process(&self, identity: &Identity) -> Option<Arc<IdentityLease>> {
        let candidate = self
            .candidates
            .iter()
            .find(|candidate| candidate.identity() == *identity)?;
        (candidate.incarnation.is_some() && self.is_live(identity)).then(|| candidate.clone())
    }

    fn is_live(&self, identity: &Identity) -> bool {
        let explanation = self.election.explain(self.now);
        let known = explanation
            .candidates
            .iter()
            .find(|candidate| candidate.identity == *identity);
        known.is_some_and(|candidate| candidate.standing.is_electable())
    }

    fn say(&mut self, message: String) {
        self.happenings.push(Happening {
            after_seconds: seconds(self.now.since(self.start)),
            message,
        });
    }

    /// Later than whatever the server has given out: longer texts are newer.
    fn next_revision(&mut self) -> Revision {
        self.writes += 1;
        Revision::new(&format!("9{:039}", self.writes))
    }
}

/// The lease that an elector's create makes.
fn created(create: &LeaseCreate, revision: Revision) -> LeaderLease {
    LeaderLease {
        key: create.key.clone(),
        uid: Uid::new("forecast"),
        revision,
        record: create.record(),
        strategy: None,
        controls: None,
    }
}

fn incarnation(candidate: &IdentityLease) -> Incarnation {
    candidate
        .incarnation
        .clone()
        .unwrap_or_else(|| Incarnation::new("forecast"))
}

/// Stamps only have to differ.
fn stamp(number: u32) -> Wall {
    Wall::from_micros(i64::from(number) + 1)
}

/// Whole seconds, a begun one included: nothing is promised too early.
fn seconds(duration: Duration) -> u64 {
    duration.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)
}

/// How long a graceful stop may take until the next one can lead.
pub(crate) fn worst_handover(duration: Option<LeaseSeconds>) -> Duration {
    Timing::for_lease_duration(duration.unwrap_or(LeaseSeconds::LEADER))
        .guarantees()
        .worst_graceful_handover
}
