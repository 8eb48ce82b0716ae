//! A state of the model: the server, the processes with the real state machines of the core, and everything under way.
//!
//! How one state becomes another is in `step`, what can happen in `actions`, and what must hold in `properties`.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use election_core::candidate::{Request, Settings};
use election_core::{
    Candidate, Elector, FencingToken, Identity, Incarnation, Item, LeaseKey, Mono, Versions,
};

use crate::canonical::{Canonical, Digest, Ranks};
use crate::config::{Config, Fault};
use crate::server::{Ask, Change, Reply, Server};

/// A state. Parts that an action leaves alone are shared with the state before.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// True time, in nanoseconds.
    pub(crate) now: u64,
    /// When the opening was over: bounds and horizons count from here.
    pub(crate) began: u64,
    pub(crate) server: Arc<Server>,
    pub(crate) seats: Vec<Arc<Seat>>,
    pub(crate) electors: Vec<Arc<Chair>>,
    /// The watches: two for each seat (leader lease, identity lease), then one for each elector.
    pub(crate) streams: Vec<Stream>,
    pub(crate) net: Vec<Arc<Message>>,
    pub(crate) spent: [u8; Fault::COUNT],
    pub(crate) swaps: u8,
    /// When something last went wrong.
    pub(crate) troubled: u64,
    /// Until when the server answers nobody.
    pub(crate) outage_until: Option<u64>,
    /// The newest token of all terms.
    pub(crate) newest_token: Option<FencingToken>,
    /// What an action has broken.
    pub(crate) broken: Option<Broken>,
    /// The hash of the canonical form, once it is known.
    pub(crate) digest: u64,
}

/// An invariant that an action has broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Broken {
    S2,
    S4,
    S5,
    S6,
    S7,
    S8,
    L5,
    Hasty,
    Restless,
}

/// A candidate's process, or the place of one that does not run.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    /// How many processes have run here.
    pub(crate) starts: u32,
    pub(crate) settings: Arc<Settings>,
    pub(crate) machine: Option<Candidate>,
    pub(crate) work: Option<Work>,
    /// A request of work that has stopped may take effect until this moment.
    pub(crate) lingers: Option<Mono>,
    pub(crate) frozen: bool,
    pub(crate) cut_off: bool,
    pub(crate) leaving: bool,
    pub(crate) stuck: bool,
    /// An acceptance was sent whose answer was lost.
    pub(crate) unanswered: bool,
}

/// The work of a term.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Work {
    pub(crate) deadline: Mono,
    pub(crate) kill_at: Option<Mono>,
    pub(crate) stubborn: bool,
    /// It was killed, and its process has not been told yet.
    pub(crate) dead: bool,
}

impl Work {
    pub(crate) fn end(&self) -> Mono {
        self.kill_at.map_or(self.deadline, |at| at.min(self.deadline))
    }
}

/// An elector's process.
#[derive(Clone, Debug)]
pub(crate) struct Chair {
    pub(crate) elector: Elector,
    /// The candidates that its watch has shown last: those whose identity leases name the lease and can be read.
    pub(crate) shown: Arc<BTreeMap<Identity, Shown>>,
    pub(crate) frozen: bool,
    /// How many requests it has sent: they have no numbers of their own.
    pub(crate) requests: u64,
}

/// What the watch of an elector has shown of a candidate.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Shown {
    pub(crate) versions: Versions,
    pub(crate) incarnation: Option<Incarnation>,
}

impl Chair {
    /// Takes in what its watch shows.
    pub(crate) fn note(&mut self, lease: &LeaseKey, item: &Item, deleted: bool) {
        let Item::Identity(identity) = item else { return };
        let shown = Arc::make_mut(&mut self.shown);
        match &identity.versions {
            Ok(versions) if !deleted && identity.leads.contains(lease) => {
                let candidate = Shown {
                    versions: versions.clone(),
                    incarnation: identity.incarnation.clone(),
                };
                shown.insert(identity.identity(), candidate);
            }
            _ => {
                shown.remove(&identity.identity());
            }
        }
    }
}

/// A watch, with what the server has sent and the process has not seen.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Stream {
    pub(crate) state: Link,
    pub(crate) slow: bool,
    pub(crate) queue: VecDeque<Arc<Change>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Link {
    /// Nobody watches.
    #[default]
    Down,
    /// To be listed.
    Unlisted,
    Up,
    /// Broken, and its process knows.
    Lost,
}

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Who {
    /// A candidate's seat.
    Seat(u8),
    /// An elector.
    Elector(u8),
}

/// A request, or its answer, under way.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) from: Who,
    pub(crate) id: Id,
    pub(crate) ask: Ask,
    pub(crate) reply: Option<Reply>,
    /// By the clock of the sender.
    pub(crate) expires: Mono,
    /// Nobody waits for the answer any more.
    pub(crate) orphan: bool,
    pub(crate) slow: bool,
}

impl Message {
    /// Of those that somebody waits for, each has a place of its own.
    pub(crate) const fn place(&self) -> (Who, bool) {
        let identity = matches!(
            self.ask,
            Ask::WriteIdentity(..) | Ask::GetIdentity(_) | Ask::DeleteIdentity { .. }
        );
        (self.from, identity)
    }
}

/// Which request of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Id {
    Seat(Request),
    Elector(u64),
}

impl World {
    /// Which stream shows the leader lease to a process.
    pub(crate) fn stream(&self, who: Who) -> usize {
        match who {
            Who::Seat(seat) => usize::from(seat) * 2,
            Who::Elector(elector) => self.seats.len() * 2 + usize::from(elector),
        }
    }

    /// Whose stream this is.
    pub(crate) fn watcher(&self, stream: usize) -> Who {
        let narrow = |number| u8::try_from(number).unwrap_or(u8::MAX);
        match stream.checked_sub(self.seats.len() * 2) {
            Some(elector) => Who::Elector(narrow(elector)),
            None => Who::Seat(narrow(stream / 2)),
        }
    }

    pub(crate) fn frozen(&self, who: Who) -> bool {
        match who {
            Who::Seat(seat) => self.seats[usize::from(seat)].frozen,
            Who::Elector(elector) => self.electors[usize::from(elector)].frozen,
        }
    }

    /// Whether the server and this process reach each other.
    pub(crate) fn connected(&self, who: Who) -> bool {
        let cut_off = match who {
            Who::Seat(seat) => self.seats[usize::from(seat)].cut_off,
            Who::Elector(_) => false,
        };
        !cut_off && self.outage_until.is_none()
    }

    /// What the clock of a process shows.
    pub(crate) fn clock(&self, config: &Config, who: Who) -> Mono {
        let rate = match who {
            Who::Seat(seat) => config.seats[usize::from(seat)].rate,
            Who::Elector(elector) => config.electors[usize::from(elector)],
        };
        rate.shows(self.now)
    }

    /// Whether work of this seat may have an effect now: it runs and is before its deadline, or a request that it left
    /// behind is.
    pub(crate) fn may_act(&self, config: &Config, seat: usize) -> bool {
        let now = config.seats[seat].rate.shows(self.now);
        let place = &self.seats[seat];
        let works = place
            .work
            .as_ref()
            .is_some_and(|work| !work.dead && now < work.end());
        works || place.lingers.is_some_and(|until| now < until)
    }

    /// Whether a seat leads and is not told to stop.
    pub(crate) fn leads(&self, seat: usize) -> bool {
        let work = self.seats[seat].work.as_ref();
        work.is_some_and(|work| !work.dead && work.kill_at.is_none())
    }

    /// The hash of the canonical form.
    pub(crate) fn seal(&mut self, config: &Config) {
        let mut ranks = Ranks::default();
        self.feed(config, &mut ranks);
        for message in &self.net {
            self.feed_message(config, message, &mut ranks);
        }
        ranks.sort();
        let mut digest = Digest::new(&ranks);
        self.feed(config, &mut digest);
        let mut all = digest.finish();
        // The order in which requests were sent says nothing about which of them arrives.
        for message in &self.net {
            let mut digest = Digest::new(&ranks);
            self.feed_message(config, message, &mut digest);
            all = all.wrapping_add(digest.finish());
        }
        self.digest = all;
    }

    fn feed<H: Canonical>(&self, config: &Config, state: &mut H) {
        let Self {
            now,
            began,
            server,
            seats,
            electors,
            streams,
            net,
            spent,
            swaps,
            troubled,
            outage_until,
            newest_token,
            broken,
            digest: _,
        } = self;
        state.at(Mono::from_nanos(crate::clock::BEGINNING));
        server.hash(state);
        (
            config.counted_time(now - began),
            config.counted_calm(now - troubled),
        )
            .hash(state);
        (outage_until.map(|until| until.saturating_sub(*now)), spent, swaps).hash(state);
        (newest_token, broken).hash(state);
        for (index, seat) in seats.iter().enumerate() {
            state.at(config.seats[index].rate.shows(*now));
            seat.hash(state);
        }
        for (index, chair) in electors.iter().enumerate() {
            state.at(config.electors[index].shows(*now));
            chair.elector.hash(state);
            (&chair.shown, chair.frozen).hash(state);
        }
        (streams, net.len()).hash(state);
    }

    fn feed_message<H: Canonical>(&self, config: &Config, message: &Message, state: &mut H) {
        let Message {
            from,
            id: _,
            ask,
            reply,
            expires,
            orphan,
            slow,
        } = message;
        state.at(self.clock(config, *from));
        (from, ask, reply, orphan, slow).hash(state);
        (!orphan).then_some(expires).hash(state);
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.digest);
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Hash for Seat {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            starts,
            settings,
            machine,
            work,
            lingers,
            frozen,
            cut_off,
            leaving,
            stuck,
            unanswered: _,
        } = self;
        // All else of them is the same for good, or follows from the number of starts.
        (starts, &settings.versions, machine, work, lingers).hash(state);
        (frozen, cut_off, leaving, stuck).hash(state);
    }
}
