//! A store, a watch and an elector, without any of the three being real: enough of an API server to tell stories.
//!
//! Time moves only from deadline to deadline, as a shell would wake the elector.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use election_core::elector::{Decision, Event, Explanation, Outcome, Output, Rules};
use election_core::{
    Controls, Elector, IdentityLease, Item, LeaderLease, LeaseKey, LeaseSeconds, LeaseWrite, Mono, Record,
    Refusal, Revision, Strategy, Uid, Versions, Wall,
};

/// Before the first moment of a story lies some time, so that nothing happens to be zero.
const ORIGIN: Mono = Mono::from_nanos(1_000_000_000_000);

/// How the watch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Connected,
    /// Events come late, and nobody knows.
    Lagging,
    Lost,
}

/// What becomes of the elector's requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Answers,
    Silent,
    Refuses(String),
}

pub(crate) struct Cluster {
    pub(crate) elector: Elector,
    pub(crate) now: Mono,
    pub(crate) server: Server,
    pub(crate) log: String,
    pub(crate) requests: Vec<Output>,
    draining: bool,
    link: Link,
    backlog: Vec<Event>,
    store: BTreeMap<LeaseKey, Item>,
    revision: u64,
    uids: u64,
    stamp: i64,
}

pub(crate) fn key(name: &str) -> LeaseKey {
    LeaseKey::new("default", name)
}

pub(crate) fn versions(emulation: &str, binary: &str) -> Versions {
    let parse = |text: &str| text.parse().expect("a version");
    Versions {
        binary: parse(binary),
        emulation: parse(emulation),
    }
}

impl Cluster {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            elector: Elector::new(rules),
            now: ORIGIN,
            server: Server::Answers,
            log: String::new(),
            requests: Vec::new(),
            draining: false,
            link: Link::Lost,
            backlog: Vec::new(),
            store: BTreeMap::new(),
            revision: 100,
            uids: 0,
            stamp: 0,
        }
    }

    // --- The watch --------------------------------------------------------------------------------------------------

    pub(crate) fn list(&mut self) {
        self.backlog.clear();
        self.link = Link::Connected;
        let items = self.store.values().cloned().collect();
        self.feed(Event::Listed { items });
    }

    pub(crate) fn lose(&mut self) {
        self.link = Link::Lost;
        self.feed(Event::Lost);
    }

    pub(crate) fn resume(&mut self) {
        self.link = Link::Connected;
        self.feed(Event::Resumed);
        self.catch_up();
    }

    pub(crate) fn lag(&mut self) {
        self.link = Link::Lagging;
    }

    pub(crate) fn catch_up(&mut self) {
        self.link = Link::Connected;
        for event in std::mem::take(&mut self.backlog) {
            self.feed(event);
        }
    }

    fn show(&mut self, event: Event) {
        match self.link {
            Link::Connected => self.feed(event),
            Link::Lagging | Link::Lost => self.backlog.push(event),
        }
    }

    pub(crate) fn feed(&mut self, event: Event) {
        self.elector.handle(self.now, event);
        self.drain();
    }

    // --- Time -------------------------------------------------------------------------------------------------------

    /// Lets time pass until so long after the beginning, waking the elector whenever it wants.
    pub(crate) fn until(&mut self, since_start: Duration) {
        let until = ORIGIN + since_start;
        assert!(until >= self.now, "time goes forward");
        self.drain();
        while let Some(at) = self.elector.deadline().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.drain();
            assert!(
                self.elector.deadline().is_none_or(|next| next > self.now),
                "a deadline must lie ahead"
            );
        }
        self.now = until;
    }

    /// The process does not run: time passes, and nobody wakes the elector.
    pub(crate) fn freeze(&mut self, duration: Duration) {
        self.now = self.now + duration;
    }

    /// Does what the elector wants; what that leads to waits in its queue, as in a shell.
    pub(crate) fn drain(&mut self) {
        if std::mem::replace(&mut self.draining, true) {
            return;
        }
        while let Some(output) = self.elector.poll(self.now) {
            self.write_down(&output);
            self.serve(output);
        }
        self.draining = false;
    }

    // --- The server -------------------------------------------------------------------------------------------------

    fn serve(&mut self, output: Output) {
        match &output {
            Output::Decided(_) | Output::Refused { .. } => return,
            Output::Relist => {
                self.requests.push(output);
                return;
            }
            _ => self.requests.push(output.clone()),
        }
        match (self.server.clone(), output) {
            (Server::Silent, _) => {}
            (Server::Refuses(why), Output::Create { create, .. }) => {
                self.answer(&create.key, Outcome::Refused(why))
            }
            (Server::Refuses(why), Output::Write { write, .. }) => {
                self.answer(&write.key, Outcome::Refused(why))
            }
            (Server::Answers, Output::Create { create, .. }) => {
                if self.store.contains_key(&create.key) {
                    return self.answer(&create.key, Outcome::Conflict);
                }
                let record = Record {
                    duration: Some(create.duration),
                    elected: true,
                    ..Record::default()
                };
                let lease = self.new_lease(create.key.clone(), record);
                self.put(Item::Leader(lease.clone()), |cluster| {
                    cluster.answer(&create.key, Outcome::Done(Some(lease)));
                });
            }
            (Server::Answers, Output::Write { write, .. }) => match self.update(&write) {
                Some(lease) => self.put(Item::Leader(lease.clone()), |cluster| {
                    cluster.answer(&write.key, Outcome::Done(Some(lease)));
                }),
                None => self.answer(&write.key, Outcome::Conflict),
            },
            (Server::Answers, Output::DeleteIdentity { key, uid, revision }) => {
                let same = self
                    .store
                    .get(&key)
                    .is_some_and(|item| *item.uid() == uid && *item.revision() == revision);
                if same {
                    self.remove(&key);
                }
                let outcome = if same {
                    Outcome::Done(None)
                } else {
                    Outcome::Conflict
                };
                self.elector.handle(self.now, Event::Collected { key, outcome });
            }
            _ => {}
        }
    }

    /// `None` is a conflict.
    fn update(&mut self, write: &LeaseWrite) -> Option<LeaderLease> {
        let current = match self.store.get(&write.key) {
            Some(Item::Leader(lease)) if lease.uid == write.uid && lease.revision == write.base => {
                lease.clone()
            }
            _ => return None,
        };
        Some(write.applied_to(&current, self.next_revision()))
    }

    pub(crate) fn answer(&mut self, key: &LeaseKey, outcome: Outcome) {
        self.elector.handle(
            self.now,
            Event::Answer {
                key: key.clone(),
                outcome,
            },
        );
    }

    /// Stores a lease; the answer to whoever wrote it comes before the watch's event.
    fn put(&mut self, item: Item, answer: impl FnOnce(&mut Self)) {
        self.store.insert(item.key().clone(), item.clone());
        answer(self);
        self.show(Event::Applied(item));
    }

    fn remove(&mut self, key: &LeaseKey) {
        let Some(mut item) = self.store.remove(key) else {
            panic!("no lease {key}")
        };
        let revision = self.next_revision();
        match &mut item {
            Item::Identity(lease) => lease.revision = revision,
            Item::Leader(lease) => lease.revision = revision,
        }
        self.show(Event::Deleted(item));
    }

    pub(crate) fn next_revision(&mut self) -> Revision {
        self.revision += 1;
        Revision::new(&self.revision.to_string())
    }

    fn next_uid(&mut self) -> Uid {
        self.uids += 1;
        Uid::new(&format!("uid-{}", self.uids))
    }

    pub(crate) fn next_stamp(&mut self) -> Wall {
        self.stamp += 1;
        Wall::from_micros(self.stamp)
    }

    fn new_lease(&mut self, key: LeaseKey, record: Record) -> LeaderLease {
        LeaderLease {
            key,
            uid: self.next_uid(),
            revision: self.next_revision(),
            record,
            strategy: None,
            controls: None,
        }
    }

    // --- What candidates and people do ------------------------------------------------------------------------------

    pub(crate) fn leader(&self, name: &str) -> Option<&LeaderLease> {
        match self.store.get(&key(name)) {
            Some(Item::Leader(lease)) => Some(lease),
            _ => None,
        }
    }

    pub(crate) fn identity(&self, name: &str) -> Option<&IdentityLease> {
        match self.store.get(&key(name)) {
            Some(Item::Identity(lease)) => Some(lease),
            _ => None,
        }
    }

    /// Changes the record of a leader lease, creating the lease if it is missing.
    pub(crate) fn edit(&mut self, name: &str, change: impl FnOnce(&mut Record, Wall)) {
        let stamp = self.next_stamp();
        let mut lease = match self.leader(name) {
            Some(lease) => lease.clone(),
            None => {
                let record = Record {
                    duration: Some(LeaseSeconds::LEADER),
                    ..Record::default()
                };
                self.new_lease(key(name), record)
            }
        };
        lease.revision = self.next_revision();
        change(&mut lease.record, stamp);
        self.put(Item::Leader(lease), |_| {});
    }

    pub(crate) fn ask_for(&mut self, name: &str, strategy: Result<Strategy, String>) {
        let mut lease = self.leader(name).expect("a lease").clone();
        lease.revision = self.next_revision();
        lease.strategy = Some(strategy);
        self.put(Item::Leader(lease), |_| {});
    }

    /// Somebody asks something of the election.
    pub(crate) fn control(&mut self, name: &str, change: impl FnOnce(&mut Controls)) {
        let mut lease = self.leader(name).expect("a lease").clone();
        lease.revision = self.next_revision();
        let mut controls = lease
            .controls
            .take()
            .map(|controls| *controls)
            .unwrap_or_default();
        change(&mut controls);
        lease.controls = (!controls.is_empty()).then(|| Box::new(controls));
        self.put(Item::Leader(lease), |_| {});
    }

    /// One of the protocol's writes, by somebody else than the elector.
    pub(crate) fn write(&mut self, name: &str, write: impl FnOnce(&LeaderLease, Wall) -> LeaseWrite) {
        let stamp = self.next_stamp();
        let write = write(self.leader(name).expect("a lease"), stamp);
        let lease = self.update(&write).expect("a write from the newest version");
        self.put(Item::Leader(lease), |_| {});
    }

    pub(crate) fn delete(&mut self, name: &str) {
        self.remove(&key(name));
    }

    /// Creates a candidate, or changes it by `change`.
    pub(crate) fn candidate(&mut self, name: &str, change: impl FnOnce(&mut IdentityLease)) {
        let stamp = self.next_stamp();
        let mut lease = match self.store.get(&key(name)) {
            Some(Item::Identity(lease)) => lease.clone(),
            _ => IdentityLease {
                key: key(name),
                uid: self.next_uid(),
                revision: Revision::new("0"),
                incarnation: Some(format!("process-{name}").into()),
                renew_time: Some(stamp),
                duration: LeaseSeconds::IDENTITY,
                leads: vec![key("demo")],
                refused: Vec::new(),
                versions: Err(Refusal::VersionMissing { which: "binary" }),
                created: Some(stamp),
                owned_by_pod: false,
            },
        };
        lease.revision = self.next_revision();
        change(&mut lease);
        self.put(Item::Identity(lease), |_| {});
    }

    pub(crate) fn explain(&self, name: &str) -> Option<Explanation> {
        self.elector.explain(self.now, &key(name))
    }

    // --- The log ----------------------------------------------------------------------------------------------------

    fn write_down(&mut self, output: &Output) {
        let at = self.now.since(ORIGIN).as_millis();
        let mut line = format!("t+{}.{}s ", at / 1000, at % 1000 / 100);
        match output {
            Output::Decided(step) => {
                let reads_as_wait = matches!(step.decision, Decision::LeaveAlone | Decision::Keep);
                let code = if reads_as_wait {
                    step.decision.code()
                } else {
                    &step.decision.to_string()
                };
                let _ = write!(line, "{code}: {}: {}", step.reason.code(), step.reason);
            }
            Output::Create { create, .. } => {
                let _ = write!(line, "  POST {}", create.key);
            }
            Output::Write { write, .. } => {
                let _ = write!(line, "  PUT {}: {}", write.key, write.kind);
            }
            Output::DeleteIdentity { key, .. } => {
                let _ = write!(line, "  DELETE {key}");
            }
            Output::Refused { key, refusal, .. } => {
                let _ = write!(line, "refused {key}: {}: {refusal}", refusal.code());
            }
            Output::Relist => line.push_str("  LIST: what is known may be old"),
        }
        self.log.push_str(line.trim_end());
        self.log.push('\n');
    }
}
