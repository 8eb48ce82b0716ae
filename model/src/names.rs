//! What things are called, in the model and in its traces.

use std::fmt;

use election_core::candidate::{Event, IdentityWrite, Seen};
use election_core::{Item, LeaderLease, LeaseKey, LeaseState, LeaseWrite, Versions};

use crate::config::{Config, Fault, SeatPlan, Wish};
use crate::server::{Ask, Change};
use crate::step::Step;
use crate::world::Who;

/// The leader lease.
pub(crate) fn lease() -> LeaseKey {
    LeaseKey::new("default", "demo")
}

/// The identity lease of a candidate.
pub(crate) fn identity_lease(name: &str) -> LeaseKey {
    LeaseKey::new("default", name)
}

impl SeatPlan {
    /// What its processes may be.
    pub(crate) fn versions(&self) -> [Versions; 2] {
        [self.version, self.other_version].map(|text| {
            let version = || text.parse().expect("configurations name readable versions");
            Versions {
                binary: version(),
                emulation: version(),
            }
        })
    }
}

impl Config {
    /// Who may be named anywhere.
    pub(crate) fn identities(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.seats.iter().map(|plan| plan.identity).collect();
        names.dedup();
        names
    }

    /// The identity leases whose versions cannot be read.
    pub(crate) fn unreadable(&self) -> Vec<LeaseKey> {
        let plans = self.seats.iter().filter(|plan| !plan.readable);
        plans.map(|plan| identity_lease(plan.identity)).collect()
    }
}

/// What a watch of a candidate tells of a change.
pub(crate) fn seen(change: &Change) -> Event {
    let as_of = change.item.revision().clone();
    match &change.item {
        Item::Leader(lease) => Event::Lease(Seen {
            as_of,
            object: (!change.deleted).then(|| lease.clone()),
        }),
        Item::Identity(lease) => Event::Identity(Seen {
            as_of,
            object: (!change.deleted).then(|| lease.clone()),
        }),
    }
}

/// A change in words.
pub(crate) fn change(change: &Change) -> String {
    let gone = if change.deleted { "deleted: " } else { "" };
    match &change.item {
        Item::Leader(lease) => format!("{gone}{}", leader(lease)),
        Item::Identity(lease) => {
            let offers = if lease.leads.is_empty() {
                ", offers nothing"
            } else {
                ""
            };
            let incarnation = lease
                .incarnation
                .as_ref()
                .map(|text| text.as_str())
                .unwrap_or("nobody");
            format!("{gone}identity of {incarnation} @{}{offers}", lease.revision)
        }
    }
}

fn leader(lease: &LeaderLease) -> String {
    let record = &lease.record;
    let mut text = format!("{} @{} {}", lease.state(), lease.revision, lease.uid);
    if let Some(holder) = &record.holder {
        let process = record
            .incarnation
            .as_ref()
            .filter(|_| lease.state() == LeaseState::Held);
        text += &process.map_or_else(|| format!(" {holder}"), |process| format!(" {process}"));
    }
    if let Some(renewed) = record.renew_time {
        text += &format!(" stamp {}", renewed.as_micros() - crate::clock::WALL.as_micros());
    }
    if record.end_of_term {
        text += " end-of-term";
    }
    if let Some(preferred) = &record.preferred_holder {
        text += &format!(" next {preferred}");
    }
    text
}

/// A write in words.
pub(crate) fn write(write: &LeaseWrite) -> String {
    let whom = match (&write.record.holder, &write.record.preferred_holder) {
        (_, Some(next)) => format!(" (next {next})"),
        (Some(holder), None) => format!(" ({holder})"),
        _ => String::new(),
    };
    format!("{}{whom} from @{}", write.kind, write.base)
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("asks for nothing any more"),
            Self::Hold => f.write_str("puts the lease on hold"),
            Self::ShortHold => f.write_str("puts the lease on hold for 5 s"),
            Self::UnreadableHold => f.write_str("asks for a hold that cannot be read"),
            Self::StepDown => f.write_str("asks the holder to step down"),
            Self::UnreadableStepDown => f.write_str("asks for a step-down that cannot be read"),
            Self::Nobody => f.write_str("names an identity that nobody has"),
            Self::Pin(identity) => write!(f, "pins {identity}"),
            Self::StepDownTo(identity) => write!(f, "asks the holder to step down to {identity}"),
        }
    }
}

impl Step<'_> {
    pub(crate) fn name(&self, who: Who) -> String {
        match who {
            Who::Seat(seat) => {
                let place = &self.world.seats[usize::from(seat)];
                place.settings.incarnation.as_str().to_owned()
            }
            Who::Elector(elector) => format!("elector {elector}"),
        }
    }

    pub(crate) fn stream_name(&self, stream: u8) -> String {
        let who = self.world.watcher(usize::from(stream));
        let which = match who {
            Who::Seat(_) if stream.is_multiple_of(2) => "watch of the leader lease",
            Who::Seat(_) => "watch of its identity lease",
            Who::Elector(_) => "watch",
        };
        format!("{}, {which}", self.name(who))
    }

    pub(crate) fn ask_name(&self, ask: &Ask) -> String {
        match ask {
            Ask::Put(put) => write(put),
            Ask::Post(_) => "create of the lease".to_owned(),
            Ask::Get => "read of the lease".to_owned(),
            Ask::WriteIdentity(_, IdentityWrite::Create { .. }) => "create of its identity lease".to_owned(),
            Ask::WriteIdentity(_, IdentityWrite::Update { .. }) => "update of its identity lease".to_owned(),
            Ask::WriteIdentity(_, IdentityWrite::Delete { .. }) => {
                "deletion of its identity lease".to_owned()
            }
            Ask::GetIdentity(_) => "read of its identity lease".to_owned(),
            Ask::DeleteIdentity { key, .. } => format!("deletion of {key}"),
        }
    }

    pub(crate) fn trouble_name(&self, fault: Fault, what: u8, how: u8) -> String {
        let message = |word: &str| {
            let message = &self.world.net[usize::from(what)];
            let part = if message.reply.is_some() { "answer to " } else { "" };
            format!(
                "{part}{} of {} {word}",
                self.ask_name(&message.ask),
                self.name(message.from)
            )
        };
        let seat = || self.name(Who::Seat(what));
        match fault {
            Fault::Break => message("breaks off"),
            Fault::Slow => message("is slow"),
            Fault::Duplicate => message("is sent twice"),
            Fault::Lag => format!("{} lags", self.stream_name(what)),
            Fault::Gap => format!("{} breaks", self.stream_name(what)),
            Fault::Crash => format!("{} crashes", seat()),
            Fault::Start => format!("a process starts in the seat of {}", seat()),
            Fault::StartOther => format!("a process of the other version starts in the seat of {}", seat()),
            Fault::ReplaceElector => format!("elector {what} is replaced"),
            Fault::Freeze if how == 0 => format!("{} stands still", seat()),
            Fault::Freeze => format!("elector {what} stands still"),
            Fault::CutOff => format!("{} is cut off from the server", seat()),
            Fault::Delete => "somebody deletes the lease".to_owned(),
            Fault::DeleteIdentity => {
                format!(
                    "somebody deletes the identity lease of {}",
                    self.config.identities()[usize::from(what)]
                )
            }
            Fault::Blank => "somebody removes the holder".to_owned(),
            Fault::EditEndOfTerm => "somebody edits end-of-term".to_owned(),
            Fault::EditNominee => match self.config.identities().get(usize::from(what)) {
                Some(name) => format!("somebody nominates {name}"),
                None => "somebody removes the nomination".to_owned(),
            },
            Fault::EditIncarnation => "somebody removes the incarnation".to_owned(),
            Fault::Steer => format!("somebody {}", self.config.wishes()[usize::from(what)]),
            Fault::Touch => "somebody touches the lease".to_owned(),
            Fault::Stubborn => format!("the work of {} does not stop", seat()),
            Fault::Abandon => format!("the work of {} stops with a request open", seat()),
            Fault::Shutdown => format!("{} is told to end", seat()),
            Fault::Stuck => format!("the work of {} is stuck", seat()),
            Fault::Outage => "the server answers nobody".to_owned(),
        }
    }
}
