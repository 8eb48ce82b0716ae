//! The elector: whatever it is shown, it writes only conditionally, from what it was shown last, and offers only to
//! candidates.

use std::collections::BTreeMap;
use std::time::Duration;

use bolero::TypeGenerator;
use election_core::elector::{Event, Outcome, Output, Rules};
use election_core::{Elector, Item, LeaseKey, LeaseState, Mono, WriteKind, wire};

use crate::raw::{NAMESPACE, RawLease};

const NAMES: [&str; 4] = ["demo", "alpha", "bravo", "charlie"];
/// More outputs than this for one event are a loop.
const MANY: usize = 64;

#[derive(Clone, Debug, TypeGenerator)]
enum Op {
    Pass(u16),
    Show(u8, Box<RawLease>),
    Delete(u8),
    Lost,
    Resumed,
    Relist,
    Answer(u8, u8),
    Acting(bool),
}

/// A watch, and what it has shown.
struct World {
    elector: Elector,
    now: Mono,
    revision: u64,
    shown: BTreeMap<&'static str, Item>,
}

impl World {
    fn play(&mut self, op: &Op) {
        let name = |index: u8| NAMES[usize::from(index) % NAMES.len()];
        self.revision += 1;
        let event = match op {
            Op::Pass(millis) => {
                self.now = self.now + Duration::from_millis(u64::from(*millis));
                None
            }
            Op::Show(index, raw) => {
                let name = name(*index);
                let lease = raw.lease(name, &format!("u-{name}"), self.revision);
                wire::read(&lease).map(|item| {
                    self.shown.insert(name, item.clone());
                    Event::Applied(item)
                })
            }
            Op::Delete(index) => self.shown.remove(name(*index)).map(Event::Deleted),
            Op::Lost => Some(Event::Lost),
            Op::Resumed => Some(Event::Resumed),
            Op::Relist => Some(Event::Listed {
                items: self.shown.values().cloned().collect(),
            }),
            Op::Answer(index, how) => Some(Event::Answer {
                key: LeaseKey::new(NAMESPACE, name(*index)),
                outcome: match how % 3 {
                    0 => Outcome::Conflict,
                    1 => Outcome::Refused("no".into()),
                    _ => Outcome::Unknown("?".into()),
                },
            }),
            Op::Acting(acting) => Some(Event::Acting(*acting)),
        };
        if let Some(event) = event {
            self.elector.handle(self.now, event);
        }
        let mut outputs = 0;
        while let Some(output) = self.elector.poll(self.now) {
            outputs += 1;
            assert!(outputs < MANY, "it never comes to rest: {output:?}");
            self.check(&output);
        }
    }

    fn check(&self, output: &Output) {
        match output {
            Output::Write { write, .. } => {
                let Some(Item::Leader(lease)) = self.shown.get(write.key.name()) else {
                    panic!("a write of what was not shown: {write:?}");
                };
                // Invariant: S8.
                assert_eq!((&write.uid, &write.base), (&lease.uid, &lease.revision));
                if write.kind == WriteKind::Offer {
                    let to = write.record.holder.as_ref().expect("an offer is to somebody");
                    let Some(Item::Identity(candidate)) = self.shown.get(to.as_str()) else {
                        panic!("an offer to nobody: {write:?}");
                    };
                    // Invariant: S4.
                    assert!(
                        candidate.versions.is_ok() && candidate.leads.contains(&write.key),
                        "{write:?}"
                    );
                    assert_eq!(write.record.state(), LeaseState::Offered);
                }
            }
            Output::Create { create, .. } => {
                assert!(
                    !self.shown.contains_key(create.key.name()),
                    "it is there: {create:?}"
                );
                let made = wire::create(create);
                assert_eq!(made.spec.and_then(|spec| spec.holder_identity), None);
            }
            Output::DeleteIdentity { key, uid, revision } => {
                let item = self.shown.get(key.name()).expect("what is deleted was shown");
                assert_eq!((uid, revision), (item.uid(), item.revision()));
            }
            Output::Decided(_) | Output::Refused { .. } | Output::Relist => {}
        }
    }
}

#[test]
fn an_elector_writes_from_what_it_was_shown() {
    bolero::check!().with_type::<Vec<Op>>().for_each(|ops| {
        let mut world = World {
            elector: Elector::new(Rules::default()),
            now: Mono::from_nanos(1_000_000_000),
            revision: 0,
            shown: BTreeMap::new(),
        };
        world.play(&Op::Relist);
        for op in ops.iter().take(64) {
            world.play(op);
        }
    });
}
