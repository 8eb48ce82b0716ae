//! What processes do: events into the state machines of the core, and their effects carried out.
//!
//! This is the shell of the model; it decides nothing. What it checks on the way are the invariants of single writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use election_core::candidate::{Effect, EndReason, Event, Settings};
use election_core::elector::{Event as ElectorEvent, Output, Reason};
use election_core::{Candidate, Identity, LeaderLease, LeaseState, LeaseWrite, Strategy, WriteKind};

use crate::config::Config;
use crate::names;
use crate::seen::Sight;
use crate::server::Ask;
use crate::step::Step;
use crate::world::{Broken, Id, Link, Seat, Shown, Stream, Who, Work};

/// How long an elector waits for an answer: the default of its options.
const ELECTOR_PATIENCE: std::time::Duration = std::time::Duration::from_millis(2400);

impl Step<'_> {
    // --- Candidates -------------------------------------------------------------------------------------------------

    /// A process starts in a seat.
    pub(crate) fn start(&mut self, index: usize, other: bool) {
        let now = self.now_of(index);
        let starts = self.world.seats[index].starts + 1;
        let settings = Arc::new(settings(self.config, index, starts, other));
        *self.seat(index) = Seat {
            starts,
            machine: Some(Candidate::new((*settings).clone(), now)),
            ..Seat::empty(settings)
        };
        for stream in &mut self.world.streams[index * 2..index * 2 + 2] {
            *stream = Stream {
                state: Link::Unlisted,
                ..Stream::default()
            };
        }
        self.feed(index, Event::Wanted(true));
    }

    /// A process is gone, and its work with it.
    pub(crate) fn end(&mut self, index: usize) {
        self.disown(Who::Seat(u8::try_from(index).unwrap_or_default()));
        let seat = self.seat(index);
        *seat = Seat {
            starts: seat.starts,
            lingers: seat.lingers,
            ..Seat::empty(seat.settings.clone())
        };
        for stream in &mut self.world.streams[index * 2..index * 2 + 2] {
            *stream = Stream::default();
        }
    }

    /// Takes an event in and carries out what follows.
    pub(crate) fn feed(&mut self, index: usize, event: Event) {
        let now = self.now_of(index);
        let mut effects = Vec::new();
        let Some(machine) = &mut self.seat(index).machine else {
            return;
        };
        machine.handle(now, event);
        effects.extend(std::iter::from_fn(|| machine.poll()));
        for effect in effects {
            self.effect(index, effect);
        }
    }

    fn effect(&mut self, index: usize, effect: Effect) {
        let who = Who::Seat(u8::try_from(index).unwrap_or_default());
        match effect {
            Effect::CreateLease { .. } | Effect::Coordinated => {
                unreachable!("nobody stands in direct mode here")
            }
            Effect::WriteLease { id, write, within } => {
                self.check_write(index, &write);
                self.say(|step| format!("  {} sends {}", step.name(who), names::write(&write)));
                self.seat(index).unanswered = false;
                self.send(who, Id::Seat(id), Ask::Put(write), within);
            }
            Effect::ReadLease { id, within } => self.send(who, Id::Seat(id), Ask::Get, within),
            Effect::RestartWatch => {
                let stream = self.world.stream(who);
                self.world.streams[stream] = Stream {
                    state: Link::Unlisted,
                    ..Stream::default()
                };
            }
            Effect::WriteIdentity { id, write, within } => {
                let settings = Arc::clone(&self.world.seats[index].settings);
                self.send(who, Id::Seat(id), Ask::WriteIdentity(settings, write), within);
            }
            Effect::ReadIdentity { id, within } => {
                let key = self.world.seats[index].settings.identity_key();
                self.send(who, Id::Seat(id), Ask::GetIdentity(key), within);
            }
            Effect::Lead(term) => self.lead(index, &term),
            Effect::Extend(deadline) => {
                if let Some(work) = &mut self.seat(index).work {
                    work.deadline = deadline;
                    work.kill_at = work.kill_at.map(|_| deadline);
                }
            }
            Effect::StopWork { reason, kill_at } => {
                self.say(|step| format!("  {} stops: {reason}", step.name(who)));
                match &reason {
                    EndReason::LostContact => self.seen.count(Sight::LostContact),
                    EndReason::LeaseDeleted => self.seen.count(Sight::LeaseDeleted),
                    _ => {}
                }
                self.check_end(index, &reason);
                if self.world.spent[crate::config::Fault::Outage as usize] > 0
                    && self
                        .world
                        .spent
                        .iter()
                        .map(|times| u32::from(*times))
                        .sum::<u32>()
                        == 1
                {
                    self.breaks(Broken::L5, "an outage that the knobs tolerate ended a term");
                }
                if let Some(work) = &mut self.seat(index).work {
                    work.kill_at = Some(kill_at);
                }
            }
            Effect::Finished { ousted_by } => {
                self.seen.count(Sight::Finished);
                if ousted_by.is_some() {
                    self.seen.count(Sight::Ousted);
                }
                self.say(|step| format!("  {} has ended", step.name(who)));
                if self.world.may_act(self.config, index) {
                    self.breaks(Broken::S6, "a process ended under its work");
                }
                self.end(index);
            }
        }
    }

    /// News that are older than what a process knows end no term.
    fn check_end(&mut self, index: usize, reason: &EndReason) {
        let by_news = matches!(reason, EndReason::LeaseDeleted | EndReason::NotOwnRecord { .. });
        let seat = &self.world.seats[index];
        let shown = self.world.server.lease.as_ref().is_some_and(|lease| {
            lease.state() == LeaseState::Held
                && lease.record.incarnation.as_ref() == Some(&seat.settings.incarnation)
        });
        if by_news && shown {
            self.breaks(Broken::Hasty, "a term is ended that the lease shows");
        }
    }

    /// Invariant: S2, tokens rise over terms.
    fn lead(&mut self, index: usize, term: &election_core::candidate::Term) {
        let who = Who::Seat(u8::try_from(index).unwrap_or_default());
        self.say(|step| {
            format!(
                "  {} leads, term {}, token {}",
                step.name(who),
                term.transitions,
                term.token
            )
        });
        self.seen.count(Sight::Led);
        if self.world.seats[index].unanswered {
            self.seen.count(Sight::AdoptedLate);
        }
        let risen = self
            .world
            .newest_token
            .as_ref()
            .is_none_or(|newest| *newest < term.token);
        if !risen {
            self.breaks(
                Broken::S2,
                "a token that is not newer than those of the terms before",
            );
        }
        self.world.newest_token = Some(term.token.clone());
        self.seat(index).work = Some(Work {
            deadline: term.deadline,
            kill_at: None,
            stubborn: false,
            dead: false,
        });
    }

    /// Invariants: S6, nothing is given back under running work; S8, no unconditional write.
    fn check_write(&mut self, index: usize, write: &LeaseWrite) {
        self.check_conditions(write);
        let gives = matches!(write.kind, WriteKind::Release | WriteKind::HandOver);
        if gives && self.world.may_act(self.config, index) {
            self.breaks(Broken::S6, "the lease is given back under running work");
        }
    }

    fn check_conditions(&mut self, write: &LeaseWrite) {
        if write.uid.as_str().is_empty() || write.base.as_str().is_empty() {
            self.breaks(Broken::S8, "a write without uid or resource version");
        }
    }

    // --- Electors ---------------------------------------------------------------------------------------------------

    pub(crate) fn feed_elector(&mut self, index: usize, event: ElectorEvent) {
        let now = self.config.electors[index].shows(self.world.now);
        self.chair(index).elector.handle(now, event);
        self.drain_elector(index);
    }

    pub(crate) fn drain_elector(&mut self, index: usize) {
        let now = self.config.electors[index].shows(self.world.now);
        let who = Who::Elector(u8::try_from(index).unwrap_or_default());
        while let Some(output) = self.chair(index).elector.poll(now) {
            match output {
                Output::Create { create, .. } => {
                    self.say(|step| format!("  {} creates the lease", step.name(who)));
                    if create.record().holder.is_some() {
                        self.breaks(Broken::S8, "a create with a holder");
                    }
                    self.request(who, Ask::Post(create));
                }
                Output::Write { write, reason } => {
                    self.say(|step| format!("  {} sends {}: {reason}", step.name(who), names::write(&write)));
                    self.check_conditions(&write);
                    self.look_at(&reason, &write);
                    self.check_choice(index, &write);
                    self.request(who, Ask::Put(write));
                }
                Output::DeleteIdentity { key, uid, revision } => {
                    self.say(|step| format!("  {} collects {key}", step.name(who)));
                    self.seen.count(Sight::Collected);
                    self.request(who, Ask::DeleteIdentity { key, uid, revision });
                }
                Output::Decided(step) => match step.reason {
                    Reason::QuietTime { .. } => self.seen.count(Sight::Quiet),
                    Reason::BackedOff { .. } => self.seen.count(Sight::BackedOff),
                    Reason::OnHold { .. } => self.seen.count(Sight::OnHold),
                    Reason::Asked { .. } => self.seen.count(Sight::Asked),
                    _ => {}
                },
                Output::Refused { .. } => self.seen.count(Sight::Refused),
                Output::Relist => {
                    let stream = self.world.stream(who);
                    self.world.streams[stream] = Stream {
                        state: Link::Unlisted,
                        ..Stream::default()
                    };
                }
            }
        }
    }

    fn request(&mut self, who: Who, ask: Ask) {
        let Who::Elector(elector) = who else { return };
        let chair = self.chair(usize::from(elector));
        chair.requests += 1;
        let id = Id::Elector(chair.requests);
        self.send(who, id, ask, ELECTOR_PATIENCE);
    }

    fn look_at(&mut self, reason: &Reason, write: &LeaseWrite) {
        match reason {
            Reason::Expired { .. } => {
                self.seen.count(Sight::Expired);
                let last_moment = self
                    .world
                    .seats
                    .iter()
                    .zip(&self.config.seats)
                    .any(|(seat, plan)| {
                        let end = seat.work.as_ref().map(|work| plan.rate.reaches(work.end()));
                        end == Some(self.world.now)
                    });
                if last_moment {
                    self.seen.count(Sight::LastMoment);
                }
            }
            Reason::NotAccepted { .. } | Reason::OffereeGone { .. } => self.seen.count(Sight::OfferWithdrawn),
            _ => {}
        }
        if write.kind == WriteKind::Nominate && write.record.preferred_holder.is_none() {
            self.seen.count(Sight::Withdrawn);
        }
    }

    /// Invariants: S4, who is named is a candidate; S5, no preemption among equals. Both by what the watch has shown to this
    /// elector, so that what it has not seen yet excuses nothing else.
    fn check_choice(&mut self, index: usize, write: &LeaseWrite) {
        let record = &write.record;
        let named = match write.kind {
            WriteKind::Offer => &record.holder,
            WriteKind::Nominate => &record.preferred_holder,
            _ => return,
        };
        let shown = Arc::clone(&self.world.electors[index].shown);
        let Some(named) = named else { return };
        let Some(theirs) = shown.get(named) else {
            return self.breaks(Broken::S4, "somebody is chosen who is no candidate");
        };
        if write.kind != WriteKind::Nominate {
            return;
        }
        // A holder that is no candidate any more is worse than any.
        let holders = record.holder.as_ref().and_then(|holder| shown.get(holder));
        let compare = |holders: &Shown| Strategy::default().compare(&theirs.versions, &holders.versions);
        let better = holders.is_none_or(|holders| compare(holders).is_lt());
        if !better && !self.asked_for(write, &shown) {
            self.breaks(Broken::S5, "a nomination among equals");
        }
    }

    /// Whether somebody has asked for this handover. A write that lands is judged by the lease that it was decided from; one that does
    /// not land preempts nobody.
    fn asked_for(&self, write: &LeaseWrite, shown: &BTreeMap<Identity, Shown>) -> bool {
        let lease = self.world.server.lease.as_ref();
        let Some(lease) = lease.filter(|lease| lease.uid == write.uid && lease.revision == write.base) else {
            return true;
        };
        let nominee = &write.record.preferred_holder;
        lease.controls.as_ref().is_some_and(|controls| {
            let stepping_down = controls.step_down().filter(|asked| {
                let process = shown.get(&asked.identity);
                process.is_some_and(|process| process.incarnation.as_ref() == Some(&asked.incarnation))
            });
            controls.pin == *nominee
                || stepping_down.is_some_and(|asked| {
                    lease.record.names(&asked.identity) || controls.step_down_to == *nominee
                })
        })
    }

    // --- What landed ------------------------------------------------------------------------------------------------

    /// Invariants: S4, the holder was offered the lease; S7, transitions rise by one with each grant.
    pub(crate) fn landed(&mut self, ask: &Ask, before: Option<&LeaderLease>, late: bool) {
        match ask {
            Ask::Post(_) => {
                self.seen
                    .count(if late { Sight::CreatedLate } else { Sight::Created });
            }
            Ask::Put(write) => {
                self.seen.count(match write.kind {
                    WriteKind::Offer => Sight::Offered,
                    WriteKind::Claim => unreachable!("nobody stands in direct mode here"),
                    WriteKind::Accept => Sight::Accepted,
                    WriteKind::Renew => Sight::Renewed,
                    WriteKind::Nominate => Sight::Nominated,
                    WriteKind::EndOfTerm => Sight::EndOfTerm,
                    WriteKind::HandOver => Sight::HandedOver,
                    WriteKind::Release => Sight::Released,
                    WriteKind::Decline => Sight::Declined,
                });
                if late {
                    self.seen.count(Sight::LandedLate);
                }
                if write.kind == WriteKind::HandOver && self.is_worse_but_named(write, before) {
                    self.seen.count(Sight::SteppedDownTo);
                }
                self.check_landed(write, before);
            }
            _ => {}
        }
    }

    /// Whether a holder that was asked to step down gives the lease to a worse one because a person has named it.
    fn is_worse_but_named(&self, write: &LeaseWrite, before: Option<&LeaderLease>) -> bool {
        let Some(before) = before else { return false };
        let controls = before.controls.as_ref();
        let named = controls.filter(|controls| {
            controls
                .step_down()
                .is_some_and(|asked| before.record.names(&asked.identity))
                && controls.step_down_to == write.record.holder
                && controls.pin != write.record.holder
        });
        let versions = |holder: &Option<Identity>| {
            let mut seats = self.world.seats.iter().map(|seat| &seat.settings);
            let seat = seats.find(|settings| Some(&settings.identity) == holder.as_ref());
            seat.map(|settings| &settings.versions)
        };
        let [giver, taker] = [&before.record.holder, &write.record.holder].map(versions);
        let worse = |giver, taker| Strategy::default().compare(taker, giver).is_gt();
        named.is_some() && giver.zip(taker).is_some_and(|(giver, taker)| worse(giver, taker))
    }

    fn check_landed(&mut self, write: &LeaseWrite, before: Option<&LeaderLease>) {
        let Some(before) = before else {
            return self.breaks(Broken::S8, "an update created the lease");
        };
        let record = &write.record;
        let was = before.state();
        let same_holder = before.record.holder == record.holder
            && before.record.incarnation == record.incarnation
            && before.record.acquire_time == record.acquire_time;
        let grants = record.state() == LeaseState::Held && !(was == LeaseState::Held && same_holder);
        if grants {
            if was != LeaseState::Offered || before.record.holder != record.holder {
                self.breaks(Broken::S4, "a holder that was not offered the lease");
            }
            if record.transitions != before.record.transitions + 1 {
                self.breaks(Broken::S7, "transitions do not rise by one with a grant");
            }
        } else if record.end_of_term && !before.record.end_of_term && write.kind != WriteKind::EndOfTerm {
            self.breaks(Broken::S5, "a term is ended for a nominee that was not asked");
        } else if was == LeaseState::Fresh && record.state() == LeaseState::Released {
            self.seen.count(Sight::ReleasedFresh);
        } else if record.transitions != before.record.transitions {
            self.breaks(Broken::S7, "transitions change without a grant");
        }
    }
}

impl Seat {
    /// A seat where nothing runs.
    pub(crate) fn empty(settings: Arc<Settings>) -> Self {
        Self {
            starts: 0,
            settings,
            machine: None,
            work: None,
            lingers: None,
            frozen: false,
            cut_off: false,
            leaving: false,
            stuck: false,
            unanswered: false,
        }
    }
}

/// What the process that starts in a seat is.
pub(crate) fn settings(config: &Config, index: usize, starts: u32, other: bool) -> Settings {
    let plan = &config.seats[index];
    let [version, other_version] = plan.versions();
    Settings {
        lease: names::lease(),
        identity: plan.identity.into(),
        incarnation: format!("{}/{index}.{starts}", plan.identity).into(),
        versions: if other { other_version } else { version },
        timing: config.timing,
        seed: 7,
    }
}
