//! How one state becomes another: the environment's side. What processes make of it is in `processes`, what
//! goes wrong in `trouble`.

use std::collections::VecDeque;
use std::sync::Arc;

use election_core::candidate::{Event, Now, Outcome, Stopped};
use election_core::elector::{Event as ElectorEvent, Outcome as ElectorOutcome};
use election_core::{Item, LeaseCreate};

use crate::actions::Action;
use crate::clock::WALL;
use crate::config::Config;
use crate::seen::{Seen, Sight};
use crate::server::{Ask, Change, Reply};
use crate::world::{Broken, Chair, Id, Link, Message, Seat, Who, World};

/// A step under way.
pub(crate) struct Step<'a> {
    pub(crate) config: &'a Config,
    pub(crate) seen: &'a Seen,
    pub(crate) world: World,
    pub(crate) log: Option<&'a mut Vec<String>>,
}

impl Step<'_> {
    /// Does one thing.
    pub(crate) fn act(&mut self, action: Action) {
        match action {
            Action::Pass => self.pass(),
            Action::Kill(seat) => self.kill(seat),
            Action::Expire(index) => self.expire(usize::from(index)),
            Action::Answer(index) => self.answer(usize::from(index)),
            Action::Reach(index) => self.reach(usize::from(index)),
            Action::Show(stream) => self.show(usize::from(stream)),
            Action::Wake(who) => {
                self.say(|step| format!("{}: its timer rings", step.name(who)));
                self.wake(who);
            }
            Action::Stop(seat) => {
                // Killed work leaves behind whatever it had sent.
                let work = self.world.seats[usize::from(seat)].work.as_ref();
                let killed = work.is_some_and(|work| work.dead);
                self.stop(
                    seat,
                    if killed {
                        Stopped::Abandoned
                    } else {
                        Stopped::Clean
                    },
                );
            }
            Action::Resume(stream) => self.resume(usize::from(stream)),
            Action::Relist(stream) => {
                self.say(|step| format!("{}: lists again", step.stream_name(stream)));
                self.world.streams[usize::from(stream)].state = Link::Unlisted;
                self.show(usize::from(stream));
            }
            Action::CatchUp(stream) => {
                self.say(|step| format!("{}: catches up", step.stream_name(stream)));
                self.world.streams[usize::from(stream)].slow = false;
            }
            Action::Thaw(who) => {
                self.say(|step| format!("{} runs again", step.name(who)));
                self.set_frozen(who, false);
            }
            Action::Reconnect(seat) => {
                self.say(|step| format!("{} reaches the server again", step.name(Who::Seat(seat))));
                self.seat(usize::from(seat)).cut_off = false;
            }
            Action::Trouble(fault, what, how) => self.trouble(fault, what, how),
        }
        self.tidy();
    }

    pub(crate) fn say(&mut self, line: impl FnOnce(&Self) -> String) {
        if self.log.is_some() {
            let line = line(self);
            if let Some(log) = &mut self.log {
                log.push(line);
            }
        }
    }

    pub(crate) fn breaks(&mut self, broken: Broken, why: &str) {
        self.say(|_| format!("  !! {broken:?}: {why}"));
        self.world.broken.get_or_insert(broken);
    }

    /// Forgets what cannot matter any more.
    fn tidy(&mut self) {
        let World { server, net, .. } = &mut self.world;
        net.retain(|message| {
            !message.orphan || (message.reply.is_none() && server.could_change(&message.ask))
        });
        for index in 0..self.world.seats.len() {
            if self.world.seats[index].lingers.is_some() && !self.world.may_act(self.config, index) {
                self.seat(index).lingers = None;
            }
        }
        // Trouble lasts as long as something of it is left.
        let world = &self.world;
        let lasts = world.net.iter().any(|message| message.slow || message.orphan)
            || world
                .streams
                .iter()
                .any(|stream| stream.slow || stream.state == Link::Lost)
            || world.everybody().any(|who| world.frozen(who))
            || world.seats.iter().any(|seat| seat.cut_off)
            || world.outage_until.is_some();
        if lasts {
            self.world.troubled = self.world.now;
        }
    }

    // --- Time -------------------------------------------------------------------------------------------------------

    fn pass(&mut self) {
        let Some(next) = self.world.next_moment(self.config) else {
            return;
        };
        self.world.now = next;
        if self.world.outage_until.is_some_and(|until| next >= until) {
            self.world.outage_until = None;
            self.say(|_| "the server answers again".to_owned());
        }
    }

    fn kill(&mut self, index: u8) {
        self.say(|step| format!("{}: its work is killed", step.name(Who::Seat(index))));
        self.seen.count(Sight::Killed);
        if let Some(work) = &mut self.seat(usize::from(index)).work {
            work.dead = true;
        }
    }

    // --- Requests and answers ---------------------------------------------------------------------------------------

    pub(crate) fn send(&mut self, from: Who, id: Id, ask: Ask, within: std::time::Duration) {
        let expires = self.world.clock(self.config, from) + within;
        let message = Message {
            from,
            id,
            ask,
            reply: None,
            expires,
            orphan: false,
            slow: false,
        };
        // In an order that does not tell who sent first: it decides which of them is ready first.
        let net = &mut self.world.net;
        let at = net.partition_point(|known| known.place() <= message.place());
        net.insert(at, Arc::new(message));
    }

    fn reach(&mut self, index: usize) {
        let message = Arc::clone(&self.world.net[index]);
        self.say(|step| {
            format!(
                "server: {} of {}",
                step.ask_name(&message.ask),
                step.name(message.from)
            )
        });
        self.look_for_rivals(&message);
        let reply = self.serve(&message.ask, message.orphan);
        if message.orphan {
            self.world.net.remove(index);
        } else {
            Arc::make_mut(&mut self.world.net[index]).reply = Some(reply);
        }
    }

    /// Whether another elector has decided from the same version, and its write is under way as well.
    fn look_for_rivals(&self, message: &Message) {
        let Who::Elector(_) = message.from else { return };
        let mut others = self.world.net.iter().filter(|other| {
            matches!(other.from, Who::Elector(_)) && other.from != message.from && other.reply.is_none()
        });
        if others.any(|other| message.ask.competes(&other.ask)) {
            self.seen.count(Sight::Raced);
        }
    }

    pub(crate) fn serve(&mut self, ask: &Ask, late: bool) -> Reply {
        let before = self.world.server.lease.clone();
        let (reply, change) = Arc::make_mut(&mut self.world.server).serve(ask);
        match (&reply, &change) {
            (Reply::Conflict, _) => {
                self.seen.count(Sight::Conflict);
                self.say(|_| "  conflict".to_owned());
            }
            (_, Some(_)) => self.landed(ask, before.as_ref(), late),
            _ => {}
        }
        self.publish(change);
        reply
    }

    pub(crate) fn publish(&mut self, change: Option<Change>) {
        let Some(change) = change else { return };
        self.say(|_| format!("  now {}", crate::names::change(&change)));
        let change = Arc::new(change);
        let elector_streams = self.world.seats.len() * 2;
        for (index, stream) in self.world.streams.iter_mut().enumerate() {
            if !matches!(stream.state, Link::Up | Link::Lost) {
                continue;
            }
            let shows = index >= elector_streams
                || match &change.item {
                    Item::Leader(_) => index.is_multiple_of(2),
                    Item::Identity(lease) => {
                        !index.is_multiple_of(2)
                            && self.world.seats[index / 2].settings.identity.as_str() == lease.key.name()
                    }
                };
            if shows {
                stream.queue.push_back(Arc::clone(&change));
            }
        }
    }

    fn answer(&mut self, index: usize) {
        let message = self.world.net.remove(index);
        let Some(reply) = message.reply.clone() else {
            // A slow request that is answered has first reached the server.
            self.world.net.insert(index, message);
            return;
        };
        self.say(|step| {
            let word = if matches!(reply, Reply::Conflict) {
                "conflict"
            } else {
                "done"
            };
            format!(
                "{}: {word}: {}",
                step.name(message.from),
                step.ask_name(&message.ask)
            )
        });
        self.tell(&message, Some(reply));
    }

    fn expire(&mut self, index: usize) {
        let message = Arc::clone(&self.world.net[index]);
        self.say(|step| {
            format!(
                "{}: no answer: {}",
                step.name(message.from),
                step.ask_name(&message.ask)
            )
        });
        self.give_up(index);
        self.tell(&message, None);
    }

    /// Nobody waits for this request any more; it may still land.
    pub(crate) fn give_up(&mut self, index: usize) {
        let message = Arc::make_mut(&mut self.world.net[index]);
        message.orphan = true;
        message.slow = false;
    }

    /// How a request ended; without a reply, nobody knows.
    pub(crate) fn tell(&mut self, message: &Message, reply: Option<Reply>) {
        match (message.from, message.id) {
            (Who::Seat(seat), Id::Seat(id)) => {
                let identity = matches!(message.ask, Ask::WriteIdentity(..) | Ask::GetIdentity(_));
                let event = if identity {
                    let outcome = match reply {
                        Some(Reply::Identity(seen)) => Outcome::Done(seen),
                        Some(_) => Outcome::Conflict,
                        None => Outcome::Failed,
                    };
                    Event::IdentityAnswer { id, outcome }
                } else {
                    let outcome = match reply {
                        Some(Reply::Lease(seen)) => Outcome::Done(seen),
                        Some(_) => Outcome::Conflict,
                        None => Outcome::Failed,
                    };
                    if outcome == Outcome::Failed {
                        self.seat(usize::from(seat)).unanswered = true;
                    }
                    Event::LeaseAnswer { id, outcome }
                };
                self.feed(usize::from(seat), event);
            }
            (Who::Elector(elector), _) => {
                let outcome = match reply {
                    Some(Reply::Lease(seen)) => ElectorOutcome::Done(seen.object),
                    Some(Reply::Identity(_)) => ElectorOutcome::Done(None),
                    Some(Reply::Conflict) => ElectorOutcome::Conflict,
                    None => ElectorOutcome::Unknown("no answer".to_owned()),
                };
                let event = match &message.ask {
                    Ask::DeleteIdentity { key, .. } => ElectorEvent::Collected {
                        key: key.clone(),
                        outcome,
                    },
                    Ask::Post(LeaseCreate { key, .. }) => ElectorEvent::Answer {
                        key: key.clone(),
                        outcome,
                    },
                    _ => ElectorEvent::Answer {
                        key: crate::names::lease(),
                        outcome,
                    },
                };
                self.feed_elector(usize::from(elector), event);
            }
            (Who::Seat(_), Id::Elector(_)) => {}
        }
    }

    // --- Watches ----------------------------------------------------------------------------------------------------

    fn show(&mut self, index: usize) {
        let who = self.world.watcher(index);
        if self.world.streams[index].state == Link::Unlisted {
            let stream = &mut self.world.streams[index];
            stream.state = Link::Up;
            stream.slow = false;
            stream.queue = VecDeque::new();
            self.say(|step| {
                format!(
                    "{}: lists",
                    step.stream_name(u8::try_from(index).unwrap_or_default())
                )
            });
            self.list(index, who);
            return;
        }
        let Some(change) = self.world.streams[index].queue.pop_front() else {
            return;
        };
        self.say(|step| format!("{} sees {}", step.name(who), crate::names::change(&change)));
        match who {
            Who::Seat(seat) => {
                let event = crate::names::seen(&change);
                self.feed(usize::from(seat), event);
            }
            Who::Elector(elector) => {
                self.look_at_controls(&change.item);
                let chair = self.chair(usize::from(elector));
                chair.note(&crate::names::lease(), &change.item, change.deleted);
                let item = change.item.clone();
                let event = if change.deleted {
                    ElectorEvent::Deleted(item)
                } else {
                    ElectorEvent::Applied(item)
                };
                self.feed_elector(usize::from(elector), event);
            }
        }
    }

    fn list(&mut self, index: usize, who: Who) {
        match who {
            Who::Seat(seat) => {
                let server = &self.world.server;
                let event = if index.is_multiple_of(2) {
                    Event::Lease(server.list())
                } else {
                    let key = self.world.seats[usize::from(seat)].settings.identity_key();
                    Event::Identity(server.read_identity(&key))
                };
                self.feed(usize::from(seat), event);
            }
            Who::Elector(elector) => {
                self.seen.count(Sight::Relisted);
                let items = self.world.server.items();
                let chair = self.chair(usize::from(elector));
                chair.shown = Arc::default();
                for item in &items {
                    chair.note(&crate::names::lease(), item, false);
                }
                items.iter().for_each(|item| self.look_at_controls(item));
                self.feed_elector(usize::from(elector), ElectorEvent::Listed { items });
            }
        }
    }

    /// What an elector is shown that it has to ignore.
    fn look_at_controls(&self, item: &Item) {
        let Item::Leader(lease) = item else { return };
        let Some(controls) = &lease.controls else { return };
        if matches!(controls.hold, Some(Err(_))) {
            self.seen.count(Sight::UnreadableHold);
        }
        if matches!(controls.step_down, Some(Err(_))) {
            self.seen.count(Sight::UnreadableStepDown);
        }
    }

    fn resume(&mut self, index: usize) {
        self.say(|step| {
            format!(
                "{}: goes on",
                step.stream_name(u8::try_from(index).unwrap_or_default())
            )
        });
        self.world.streams[index].state = Link::Up;
        if let Who::Elector(elector) = self.world.watcher(index) {
            self.feed_elector(usize::from(elector), ElectorEvent::Resumed);
        }
    }

    // --- Processes --------------------------------------------------------------------------------------------------

    pub(crate) fn seat(&mut self, index: usize) -> &mut Seat {
        Arc::make_mut(&mut self.world.seats[index])
    }

    pub(crate) fn chair(&mut self, index: usize) -> &mut Chair {
        Arc::make_mut(&mut self.world.electors[index])
    }

    pub(crate) fn set_frozen(&mut self, who: Who, frozen: bool) {
        match who {
            Who::Seat(seat) => self.seat(usize::from(seat)).frozen = frozen,
            Who::Elector(elector) => self.chair(usize::from(elector)).frozen = frozen,
        }
    }

    fn wake(&mut self, who: Who) {
        match who {
            Who::Seat(seat) => self.feed(usize::from(seat), Event::Timer),
            Who::Elector(elector) => self.drain_elector(usize::from(elector)),
        }
    }

    pub(crate) fn stop(&mut self, index: u8, stopped: Stopped) {
        let seat = usize::from(index);
        let Some(work) = self.seat(seat).work.take() else {
            return;
        };
        self.say(|step| {
            format!(
                "{}: its work has stopped ({stopped:?})",
                step.name(Who::Seat(index))
            )
        });
        if stopped == Stopped::Abandoned {
            self.seat(seat).lingers = Some(work.deadline);
        }
        self.feed(seat, Event::WorkStopped(stopped));
        if !self.world.seats[seat].leaving {
            self.feed(seat, Event::Wanted(true));
        }
    }

    pub(crate) fn now_of(&self, seat: usize) -> Now {
        Now {
            mono: self.config.seats[seat].rate.shows(self.world.now),
            wall: WALL,
        }
    }

    /// The requests of a process that is gone: they may still land.
    pub(crate) fn disown(&mut self, who: Who) {
        for message in &mut self.world.net {
            if message.from == who {
                let message = Arc::make_mut(message);
                message.orphan = true;
                message.slow = false;
            }
        }
    }
}
