//! What can happen next in a state.
//!
//! Whatever is *ready* happens before time passes: a request reaches the server, an answer its sender, a change a watcher, a
//! timer rings, work stops. In which order is open. What a fault has set aside may happen now, later or never.

use std::fmt;

use crate::config::{Config, Fault};
use crate::world::{Link, Who, World};

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// Time passes until somebody has something to do.
    Pass,
    /// Work that did not stop is killed.
    Kill(u8),
    /// A sender gives a request up.
    Expire(u8),
    /// An answer arrives.
    Answer(u8),
    /// A request reaches the server.
    Reach(u8),
    /// A watch shows the next change, or lists.
    Show(u8),
    /// A timer rings.
    Wake(Who),
    /// Work stops, as it was told.
    Stop(u8),
    /// A watch that broke goes on where it was.
    Resume(u8),
    /// A watch that broke lists again.
    Relist(u8),
    /// A watch catches up.
    CatchUp(u8),
    /// A process that stood still runs again.
    Thaw(Who),
    /// A process that was cut off reaches the server again.
    Reconnect(u8),
    /// Something goes wrong, with what it concerns.
    Trouble(Fault, u8, u8),
}

fn small(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

impl World {
    /// Everything that can happen next.
    pub(crate) fn actions(&self, config: &Config, actions: &mut Vec<Action>) {
        actions.clear();
        if self.broken.is_some() {
            return;
        }
        self.ready(config, actions);
        let ready = actions.len();
        if ready > 1 && self.swaps == 0 && config.swaps.is_some() {
            actions.truncate(1);
        }
        self.set_aside(actions);
        self.troubles(config, actions);
        if ready == 0 && self.next_moment(config).is_some() {
            actions.push(Action::Pass);
        }
    }

    /// What happens before time passes, in the order in which a quiet system does it.
    pub(crate) fn ready(&self, config: &Config, actions: &mut Vec<Action>) {
        for (index, seat) in self.seats.iter().enumerate() {
            let now = config.seats[index].rate.shows(self.now);
            let work = seat.work.as_ref().filter(|work| !work.dead);
            if work.is_some_and(|work| now >= work.end()) {
                actions.push(Action::Kill(small(index)));
            }
        }
        for (index, message) in self.net.iter().enumerate() {
            let index = small(index);
            if message.orphan || self.frozen(message.from) {
                continue;
            }
            if self.clock(config, message.from) >= message.expires {
                actions.push(Action::Expire(index));
            } else if message.slow || !self.connected(message.from) {
            } else if message.reply.is_some() {
                actions.push(Action::Answer(index));
            } else {
                actions.push(Action::Reach(index));
            }
        }
        for (index, stream) in self.streams.iter().enumerate() {
            let news = match stream.state {
                Link::Unlisted => true,
                Link::Up => !stream.slow && !stream.queue.is_empty(),
                Link::Down | Link::Lost => false,
            };
            let watcher = self.watcher(index);
            if news && self.connected(watcher) && !self.frozen(watcher) {
                actions.push(Action::Show(small(index)));
            }
        }
        for who in self.everybody() {
            if !self.frozen(who) && self.wakes_at(who).is_some_and(|at| at <= self.clock(config, who)) {
                actions.push(Action::Wake(who));
            }
        }
        for (index, seat) in self.seats.iter().enumerate() {
            let told = seat
                .work
                .as_ref()
                .is_some_and(|work| work.dead || (work.kill_at.is_some() && !work.stubborn));
            if told && !seat.frozen {
                actions.push(Action::Stop(small(index)));
            }
        }
    }

    /// What an earlier fault has left open.
    fn set_aside(&self, actions: &mut Vec<Action>) {
        for (index, message) in self.net.iter().enumerate() {
            let open = message.orphan || message.slow;
            let connected = self.connected(message.from) || (message.orphan && self.outage_until.is_none());
            if open && connected && message.reply.is_none() {
                actions.push(Action::Reach(small(index)));
            } else if message.slow && !message.orphan && connected && !self.frozen(message.from) {
                actions.push(Action::Answer(small(index)));
            }
        }
        for (index, stream) in self.streams.iter().enumerate() {
            match stream.state {
                Link::Lost if self.connected(self.watcher(index)) && !self.frozen(self.watcher(index)) => {
                    actions.push(Action::Resume(small(index)));
                    actions.push(Action::Relist(small(index)));
                }
                Link::Up if stream.slow => actions.push(Action::CatchUp(small(index))),
                _ => {}
            }
        }
        for (index, seat) in self.seats.iter().enumerate() {
            if seat.cut_off {
                actions.push(Action::Reconnect(small(index)));
            }
        }
        actions.extend(self.everybody().filter(|who| self.frozen(*who)).map(Action::Thaw));
    }

    fn troubles(&self, config: &Config, actions: &mut Vec<Action>) {
        let spent: u32 = self.spent.iter().map(|times| u32::from(*times)).sum();
        if spent >= u32::from(config.total)
            || self.now - self.began > crate::clock::seconds(config.trouble_until)
        {
            return;
        }
        for (fault, times) in &config.faults {
            if self.spent[*fault as usize] < *times {
                self.trouble(config, *fault, actions);
            }
        }
    }

    fn trouble(&self, config: &Config, fault: Fault, actions: &mut Vec<Action>) {
        let mut push =
            |what: usize, how: usize| actions.push(Action::Trouble(fault, small(what), small(how)));
        let lease = self.server.lease.as_ref();
        match fault {
            Fault::Break | Fault::Slow | Fault::Duplicate => {
                for (index, message) in self.net.iter().enumerate() {
                    let repeats = fault != Fault::Duplicate || message.reply.is_none();
                    if !message.orphan && !message.slow && repeats {
                        push(index, 0);
                    }
                }
            }
            Fault::Lag | Fault::Gap => {
                for (index, stream) in self.streams.iter().enumerate() {
                    if stream.state == Link::Up
                        && !stream.slow
                        && (fault == Fault::Gap || !stream.queue.is_empty())
                    {
                        push(index, 0);
                    }
                }
            }
            Fault::Crash
            | Fault::CutOff
            | Fault::Shutdown
            | Fault::Stuck
            | Fault::Stubborn
            | Fault::Abandon => {
                for (index, seat) in self.seats.iter().enumerate() {
                    let stopping = seat
                        .work
                        .as_ref()
                        .is_some_and(|work| !work.dead && !work.stubborn && work.kill_at.is_some());
                    let can = match fault {
                        Fault::Stubborn | Fault::Abandon => stopping,
                        Fault::CutOff => !seat.cut_off,
                        Fault::Shutdown => !seat.leaving && !seat.frozen,
                        Fault::Stuck => !seat.stuck && !seat.frozen,
                        _ => true,
                    };
                    if can && seat.machine.is_some() {
                        push(index, 0);
                    }
                }
            }
            Fault::Start | Fault::StartOther => {
                for (index, seat) in self.seats.iter().enumerate() {
                    if seat.machine.is_none() {
                        push(index, 0);
                    }
                }
            }
            Fault::ReplaceElector => (0..self.electors.len()).for_each(|index| push(index, 0)),
            Fault::Freeze => {
                for (index, seat) in self.seats.iter().enumerate() {
                    if seat.machine.is_some() && !seat.frozen {
                        push(index, 0);
                    }
                }
                for (index, chair) in self.electors.iter().enumerate() {
                    if !chair.frozen {
                        push(index, 1);
                    }
                }
            }
            Fault::Delete | Fault::Touch => lease.into_iter().for_each(|_| push(0, 0)),
            Fault::DeleteIdentity => (0..config.identities().len()).for_each(|index| push(index, 0)),
            Fault::Blank => lease
                .filter(|lease| lease.record.holder.is_some())
                .into_iter()
                .for_each(|_| push(0, 0)),
            Fault::EditEndOfTerm => lease.into_iter().for_each(|_| push(0, 0)),
            Fault::EditIncarnation => lease
                .filter(|lease| lease.record.incarnation.is_some())
                .into_iter()
                .for_each(|_| push(0, 0)),
            Fault::Steer => {
                if lease.is_some() {
                    (0..config.wishes().len()).for_each(|index| push(index, 0));
                }
            }
            Fault::EditNominee => {
                if lease.is_some() {
                    (0..=config.identities().len()).for_each(|index| push(index, 0));
                }
            }
            Fault::Outage => {
                if self.outage_until.is_none() {
                    push(0, 0);
                }
            }
        }
    }

    /// Everybody who takes part.
    pub(crate) fn everybody(&self) -> impl Iterator<Item = Who> + use<> {
        let seats = (0..small(self.seats.len())).map(Who::Seat);
        seats.chain((0..small(self.electors.len())).map(Who::Elector))
    }

    /// The next true time at which somebody has something to do.
    pub(crate) fn next_moment(&self, config: &Config) -> Option<u64> {
        let mut next: Option<u64> = None;
        let mut at = |time: u64| {
            if time > self.now {
                next = Some(next.map_or(time, |known| known.min(time)));
            }
        };
        for (seat, plan) in self.seats.iter().zip(&config.seats) {
            if let Some(work) = seat.work.as_ref().filter(|work| !work.dead) {
                at(plan.rate.reaches(work.end()));
            }
            if let Some(until) = seat.lingers {
                at(plan.rate.reaches(until));
            }
        }
        let rate = |who| match who {
            Who::Seat(seat) => config.seats[usize::from(seat)].rate,
            Who::Elector(elector) => config.electors[usize::from(elector)],
        };
        for who in self.everybody().filter(|who| !self.frozen(*who)) {
            if let Some(wake) = self.wakes_at(who) {
                at(rate(who).reaches(wake));
            }
        }
        for message in self.net.iter().filter(|message| !message.orphan) {
            if !self.frozen(message.from) {
                at(rate(message.from).reaches(message.expires));
            }
        }
        if let Some(until) = self.outage_until {
            at(until);
        }
        if let Some(grid) = config.grid {
            let grid = grid * 1_000_000;
            at((self.now / grid + 1) * grid);
        }
        let horizon = config
            .horizon
            .map(|horizon| self.began + crate::clock::seconds(horizon));
        next.filter(|next| horizon.is_none_or(|horizon| *next <= horizon))
    }

    fn wakes_at(&self, who: Who) -> Option<election_core::Mono> {
        match who {
            Who::Seat(seat) => self.seats[usize::from(seat)].machine.as_ref()?.deadline(),
            Who::Elector(elector) => self.electors[usize::from(elector)].elector.deadline(),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seat(seat) => write!(f, "seat {seat}"),
            Self::Elector(elector) => write!(f, "elector {elector}"),
        }
    }
}
