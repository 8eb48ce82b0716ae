//! What must hold in every state, and what must have been seen.
//!
//! The names are those of docs/protocol.md. What is broken by a single write is noticed where it is sent or lands
//! (`processes`); here is what a state shows.

use election_core::elector::Reason;
use election_core::{Controls, LeaseState, Strategy};
use stateright::Property;

use crate::clock::{nanos, seconds};
use crate::config::Config;
use crate::explore::Exploration;
use crate::names;
use crate::seen::Sight;
use crate::world::{Broken, World};

/// All of them, for one configuration.
pub(crate) fn all(config: &Config) -> Vec<Property<Exploration>> {
    let mut all = vec![
        always("S1: at most one process may act", |model, world| {
            world.s1(&model.config)
        }),
        always("S2: tokens rise over terms", |_, world| holds(world, Broken::S2)),
        always("S3: nobody acts on an offered lease", |model, world| {
            world.s3(&model.config)
        }),
        always(
            "S4: the holder is a candidate that was offered the lease",
            |_, world| holds(world, Broken::S4),
        ),
        always("S5: no preemption among equals", |_, world| {
            holds(world, Broken::S5)
        }),
        always(
            "S6: old work has stopped before the lease is given back",
            |_, world| holds(world, Broken::S6),
        ),
        always("S7: transitions rise by one with each grant", |_, world| {
            holds(world, Broken::S7)
        }),
        always(
            "S8: no unconditional write, no create with a holder",
            |_, world| holds(world, Broken::S8),
        ),
    ];
    if config.recovery.is_some() {
        all.push(always(
            "L1: somebody leads soon after the last trouble",
            |model, world| world.l1(&model.config),
        ));
    }
    if config.settles {
        all.push(always(
            "L2: the best live candidate leads, and no dead one is nominated",
            |model, world| world.l2(&model.config),
        ));
        all.push(always(
            "L3: an undisturbed election costs no elector writes",
            |model, world| world.l3(&model.config),
        ));
    }
    if config.burial.is_some() {
        all.push(always("L4: dead candidates disappear", |model, world| {
            world.l4(&model.config)
        }));
    }
    all.push(always("L5: a tolerated outage changes nothing", |_, world| {
        holds(world, Broken::L5)
    }));
    all.push(always(
        "a term ends by news only when the lease shows it no more",
        |_, world| holds(world, Broken::Hasty),
    ));
    all.push(always("whoever is woken has something to do", |_, world| {
        holds(world, Broken::Restless)
    }));
    all.extend(config.must_see().into_iter().map(sometimes));
    all
}

/// Gives a closure its types.
fn always(name: &'static str, condition: fn(&Exploration, &World) -> bool) -> Property<Exploration> {
    Property::always(name, condition)
}

fn holds(world: &World, broken: Broken) -> bool {
    world.broken != Some(broken)
}

/// A property takes no captures, so the number of the sight is part of its type.
fn sometimes(sight: Sight) -> Property<Exploration> {
    macro_rules! by_number {
        ($($number:literal)*) => {
            match sight as usize {
                $($number => Property::sometimes(sight.as_str(), |model: &Exploration, _: &World| {
                    model.seen.times($number) > 0
                }),)*
                number => unreachable!("no sight has the number {number}"),
            }
        };
    }
    by_number!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36)
}

impl World {
    fn calm(&self) -> u64 {
        self.now - self.troubled
    }

    fn s1(&self, config: &Config) -> bool {
        (0..self.seats.len())
            .filter(|seat| self.may_act(config, *seat))
            .count()
            <= 1
    }

    fn s3(&self, config: &Config) -> bool {
        let offered = self
            .server
            .lease
            .as_ref()
            .is_some_and(|lease| lease.state() == LeaseState::Offered);
        !offered || (0..self.seats.len()).all(|seat| !self.may_act(config, seat))
    }

    /// Nothing has gone wrong for the bound of the configuration.
    fn recovered(&self, config: &Config) -> bool {
        config.recovery.is_some_and(|bound| self.calm() > seconds(bound))
    }

    /// Everything that is due after the last trouble is due.
    pub(crate) fn is_due(&self, config: &Config) -> bool {
        match config.recovery {
            Some(_) => self.recovered(config) && self.fit(config).next().is_some(),
            None => self.buried(config),
        }
    }

    /// Nothing has gone wrong for as long as the dead may take to disappear.
    fn buried(&self, config: &Config) -> bool {
        config.burial.is_some_and(|bound| self.calm() > seconds(bound))
    }

    /// Who could lead: a process that runs, can be read, is not stuck and stays.
    fn fit<'a>(&'a self, config: &'a Config) -> impl Iterator<Item = usize> + 'a {
        let seats = self.seats.iter().zip(&config.seats).enumerate();
        seats
            .filter(|(_, (seat, plan))| {
                seat.machine.is_some() && plan.readable && !seat.leaving && !seat.stuck
            })
            .map(|(index, _)| index)
    }

    fn l1(&self, config: &Config) -> bool {
        !self.recovered(config)
            || self.fit(config).next().is_none()
            || (0..self.seats.len()).any(|seat| self.leads(seat))
    }

    fn l2(&self, config: &Config) -> bool {
        if !self.recovered(config) {
            return true;
        }
        let versions = |seat: usize| &self.seats[seat].settings.versions;
        let controls = self
            .server
            .lease
            .as_ref()
            .and_then(|lease| lease.controls.as_deref());
        // Whoever leads on a lease on hold may stay.
        if controls.is_some_and(|controls| controls.hold().is_some_and(|hold| hold.length().is_none())) {
            return true;
        }
        if self.waits_for_the_dead(config) {
            return false;
        }
        let Some(leader) = (0..self.seats.len()).find(|seat| self.leads(*seat)) else {
            return true;
        };
        let best = self.fit(config).all(|seat| {
            let by_wish = self.wish(seat).cmp(&self.wish(leader));
            let by_version = || Strategy::default().compare(versions(seat), versions(leader));
            by_wish.then_with(by_version).is_ge()
        });
        best || self.backed_off(config)
    }

    /// Where people put a process; the better one is less. A step-down stands as long as the identity lease is that of the process
    /// that it names.
    fn wish(&self, seat: usize) -> u8 {
        let controls = self
            .server
            .lease
            .as_ref()
            .and_then(|lease| lease.controls.as_deref());
        let down = controls.and_then(Controls::step_down).filter(|down| {
            let key = names::identity_lease(down.identity.as_str());
            let lease = self.server.identities.get(&key);
            lease.is_some_and(|lease| lease.incarnation.as_ref() == Some(&down.incarnation))
        });
        let pinned = controls.and_then(|controls| controls.pin.as_ref());
        let successor = controls.and_then(|controls| controls.step_down_to.as_ref());
        let named = Some(&self.seats[seat].settings.identity);
        if down.map(|down| &down.identity) == named {
            3
        } else if pinned == named {
            0
        } else if down.is_some() && successor == named {
            1
        } else {
            2
        }
    }

    /// Whether somebody is nominated who has been dead for long enough to be known to be.
    fn waits_for_the_dead(&self, config: &Config) -> bool {
        let known = config.recovery.map(seconds) > Some(nanos(config.timing.identity_duration().duration()));
        let lease = self.server.lease.as_ref();
        let nominee = lease.and_then(|lease| lease.record.preferred_holder.as_ref());
        known
            && nominee.is_some_and(|nominee| {
                let mut seats = self.seats.iter().filter(|seat| seat.machine.is_some());
                !seats.any(|seat| seat.settings.identity == *nominee)
            })
    }

    fn backed_off(&self, config: &Config) -> bool {
        self.electors.iter().zip(&config.electors).any(|(chair, rate)| {
            let explained = chair.elector.explain(rate.shows(self.now), &names::lease());
            explained.is_some_and(|explained| matches!(explained.step.reason, Reason::BackedOff { .. }))
        })
    }

    fn l3(&self, config: &Config) -> bool {
        !self.recovered(config)
            || self.fit(config).next().is_none()
            || !self.net.iter().any(|message| {
                matches!(message.from, crate::world::Who::Elector(_))
                    && !matches!(message.ask, crate::server::Ask::DeleteIdentity { .. })
            })
    }

    fn l4(&self, config: &Config) -> bool {
        !self.buried(config)
            || config.identities().into_iter().all(|name| {
                let runs = self
                    .seats
                    .iter()
                    .any(|seat| seat.machine.is_some() && seat.settings.identity.as_str() == name);
                runs || !self.server.identities.contains_key(&names::identity_lease(name))
            })
    }
}
