//! What goes wrong in a step: faults, and the hands of people.

use std::sync::Arc;

use election_core::candidate::{Event, Stopped};
use election_core::elector::Event as ElectorEvent;
use election_core::{Controls, Elector, Record, StepDown};

use crate::clock::nanos;
use crate::config::{Fault, Wish};
use crate::step::Step;
use crate::world::{Link, Who};

/// An identity that no seat has.
const NOBODY: &str = "nobody";

impl Step<'_> {
    pub(crate) fn trouble(&mut self, fault: Fault, what: u8, how: u8) {
        self.world.spent[fault as usize] += 1;
        // What is no life must not keep anybody alive, however often it comes.
        if fault != Fault::Touch {
            self.world.troubled = self.world.now;
        }
        let index = usize::from(what);
        let who = if how == 0 {
            Who::Seat(what)
        } else {
            Who::Elector(what)
        };
        self.say(|step| format!("** {}", step.trouble_name(fault, what, how)));
        match fault {
            Fault::Break => {
                let message = Arc::clone(&self.world.net[index]);
                self.give_up(index);
                self.tell(&message, None);
            }
            Fault::Slow => Arc::make_mut(&mut self.world.net[index]).slow = true,
            Fault::Duplicate => {
                let ask = self.world.net[index].ask.clone();
                self.serve(&ask, false);
            }
            Fault::Lag => self.world.streams[index].slow = true,
            Fault::Gap => {
                self.world.streams[index].state = Link::Lost;
                if let Who::Elector(elector) = self.world.watcher(index) {
                    self.feed_elector(usize::from(elector), ElectorEvent::Lost);
                }
            }
            Fault::Crash => self.end(index),
            Fault::Start | Fault::StartOther => self.start(index, fault == Fault::StartOther),
            Fault::ReplaceElector => {
                self.disown(Who::Elector(what));
                let rules = self.config.rules;
                let chair = self.chair(index);
                chair.elector = Elector::new(rules);
                chair.shown = Arc::default();
                chair.frozen = false;
                let stream = self.world.stream(Who::Elector(what));
                self.world.streams[stream] = crate::world::Stream {
                    state: Link::Unlisted,
                    ..Default::default()
                };
            }
            Fault::Freeze => self.set_frozen(who, true),
            Fault::CutOff => self.seat(index).cut_off = true,
            Fault::Delete => {
                let change = Arc::make_mut(&mut self.world.server).delete();
                self.publish(change);
            }
            Fault::DeleteIdentity => {
                let key = crate::names::identity_lease(self.config.identities()[index]);
                let change = Arc::make_mut(&mut self.world.server).delete_identity(&key);
                self.publish(change);
            }
            Fault::Blank
            | Fault::EditEndOfTerm
            | Fault::EditNominee
            | Fault::EditIncarnation
            | Fault::Touch => {
                self.edit(fault, index);
            }
            Fault::Steer => self.steer(index),
            Fault::Stubborn => {
                if let Some(work) = &mut self.seat(index).work {
                    work.stubborn = true;
                }
            }
            Fault::Abandon => self.stop(what, Stopped::Abandoned),
            Fault::Shutdown => {
                self.seat(index).leaving = true;
                self.feed(index, Event::Shutdown);
            }
            Fault::Stuck => {
                self.seat(index).stuck = true;
                self.feed(index, Event::Healthy(false));
            }
            Fault::Outage => {
                let length = nanos(self.config.timing.guarantees().api_outage);
                self.world.outage_until = Some(self.world.now + length);
            }
        }
    }

    /// A wish stands beside those that were asked for before, except that nothing takes all of them back, and that a step-down
    /// replaces another one together with its successor, as `kubectl leases` does it.
    fn steer(&mut self, what: usize) {
        let wish = self.config.wishes()[what];
        let last = self.config.identities().last().map(|name| (*name).into());
        let change = Arc::make_mut(&mut self.world.server).steer(|record, controls| match wish {
            Wish::Nothing => *controls = Controls::default(),
            Wish::Hold => controls.hold = Some("true".parse()),
            Wish::ShortHold => controls.hold = Some("5s".parse()),
            Wish::UnreadableHold => controls.hold = Some("soon".parse()),
            Wish::StepDown => step_down(record, controls, None),
            Wish::UnreadableStepDown => {
                // Whoever asks has forgotten which process it should be.
                controls.step_down = record.holder.as_ref().map(|holder| holder.as_str().parse());
                controls.step_down_to = last;
            }
            Wish::Nobody => {
                controls.pin = Some(NOBODY.into());
                controls.step_down_to = Some(NOBODY.into());
            }
            Wish::Pin(identity) => controls.pin = Some(identity.into()),
            Wish::StepDownTo(identity) => step_down(record, controls, Some(identity)),
        });
        self.publish(change);
    }

    fn edit(&mut self, fault: Fault, index: usize) {
        let identities = self.config.identities();
        let change = Arc::make_mut(&mut self.world.server).edit(|record| match fault {
            Fault::Blank => record.holder = None,
            Fault::EditEndOfTerm => record.end_of_term = !record.end_of_term,
            Fault::EditIncarnation => record.incarnation = None,
            Fault::Touch => record.elected = !record.elected,
            _ => record.preferred_holder = identities.get(index).map(|name| (*name).into()),
        });
        self.publish(change);
    }
}

/// Without a process that leads there is nobody to step down.
fn step_down(record: &Record, controls: &mut Controls, to: Option<&str>) {
    if let (Some(holder), Some(process)) = (&record.holder, &record.incarnation) {
        controls.step_down = Some(Ok(StepDown {
            identity: holder.clone(),
            incarnation: process.clone(),
        }));
        controls.step_down_to = to.map(Into::into);
    }
}
