//! The model as stateright explores it, and where exploration begins.

use std::sync::Arc;

use election_core::Elector;
use stateright::{Model, Property};

use crate::actions::Action;
use crate::config::{Config, Fault, Opening};
use crate::names;
use crate::processes::settings;
use crate::properties;
use crate::seen::{Seen, Sight};
use crate::server::Server;
use crate::step::Step;
use crate::world::{Broken, Chair, Link, Seat, Stream, World};

/// One configuration, to be explored.
#[derive(Debug)]
pub(crate) struct Exploration {
    pub(crate) config: Config,
    pub(crate) seen: Arc<Seen>,
}

/// After so many steps an opening is over, whatever it has come to.
const LONG_OPENING: usize = 1000;

impl Model for Exploration {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.opening(&mut Vec::new())]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        world.actions(&self.config, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        Some(self.step(world, action, None))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(&self.config)
    }
}

impl Exploration {
    /// A configuration, with nothing seen yet.
    #[must_use]
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            seen: Arc::default(),
        }
    }

    /// The state after an action.
    ///
    /// A process that asks to be woken at a moment that has come, and when it is woken does nothing and asks again, would keep
    /// time from passing: in a cluster its loop would never rest, and here nothing that is due later would ever be looked at.
    pub(crate) fn step(&self, world: &World, action: Action, log: Option<&mut Vec<String>>) -> World {
        let mut step = Step {
            config: &self.config,
            seen: &self.seen,
            world: world.clone(),
            log,
        };
        if self.config.swaps.is_some() {
            let mut ready = Vec::new();
            world.ready(&self.config, &mut ready);
            let overtakes = ready
                .iter()
                .position(|first| *first == action)
                .is_some_and(|at| at > 0);
            step.world.swaps = world.swaps - u8::from(overtakes).min(world.swaps);
        }
        step.act(action);
        step.world.seal(&self.config);
        if matches!(action, Action::Wake(_)) && step.world == *world {
            step.breaks(Broken::Restless, "it was woken, and nothing has changed");
            step.world.seal(&self.config);
        }
        if step.world.is_due(&self.config) {
            self.seen.count(Sight::Recovered);
        }
        step.world
    }

    /// The state in which exploration begins, and how it came about. What is seen on the way there does not count: it is
    /// the same in every configuration.
    pub(crate) fn opening(&self, log: &mut Vec<String>) -> World {
        Self::new(self.config.clone()).opened(log)
    }

    fn opened(&self, log: &mut Vec<String>) -> World {
        let config = &self.config;
        let mut world = self.nothing();
        if config.opening == Opening::Idle {
            let long = config.rules.timing.lease_duration.duration() * 2;
            world.now = crate::clock::nanos(long);
            world = self.settled(world, log);
            world.now += crate::clock::nanos(long);
        }
        let led = config.opening == Opening::Led;
        for index in 0..config.seats.len() {
            if config.seats[index].runs && (index == 0 || !led) {
                world = self.started(&world, index, log);
            }
        }
        if led {
            // Where nobody ever leads, exploration begins without a leader, and finds that out.
            for _ in 0..LONG_OPENING {
                if world.leads(0) {
                    break;
                }
                world = self.quietly(&world, log);
            }
            for index in 1..config.seats.len() {
                if config.seats[index].runs {
                    world = self.started(&world, index, log);
                }
            }
            world = self.settled(world, log);
        }
        world.began = world.now;
        world.troubled = world.now;
        world.spent = [0; Fault::COUNT];
        world.swaps = config.swaps.unwrap_or_default();
        world.seal(config);
        world
    }

    /// The state in which nothing more happens before time passes.
    fn settled(&self, mut world: World, log: &mut Vec<String>) -> World {
        let mut ready = Vec::new();
        loop {
            ready.clear();
            world.ready(&self.config, &mut ready);
            if ready.is_empty() {
                return world;
            }
            world = self.quietly(&world, log);
        }
    }

    /// What happens in a quiet system.
    fn quietly(&self, world: &World, log: &mut Vec<String>) -> World {
        let mut ready = Vec::new();
        world.ready(&self.config, &mut ready);
        let action = ready.first().copied().unwrap_or(Action::Pass);
        let mut step = Step {
            config: &self.config,
            seen: &self.seen,
            world: world.clone(),
            log: Some(log),
        };
        step.act(action);
        step.world
    }

    fn started(&self, world: &World, index: usize, log: &mut Vec<String>) -> World {
        let mut step = Step {
            config: &self.config,
            seen: &self.seen,
            world: world.clone(),
            log: Some(log),
        };
        step.start(index, false);
        step.world
    }

    fn nothing(&self) -> World {
        let config = &self.config;
        let seats = (0..config.seats.len())
            .map(|index| Arc::new(Seat::empty(Arc::new(settings(config, index, 0, false)))))
            .collect();
        let electors = config.electors.iter().map(|_| {
            Arc::new(Chair {
                elector: Elector::new(config.rules),
                shown: Arc::default(),
                frozen: false,
                requests: 0,
            })
        });
        let mut streams = vec![Stream::default(); config.seats.len() * 2];
        streams.extend(config.electors.iter().map(|_| Stream {
            state: Link::Unlisted,
            ..Stream::default()
        }));
        World {
            now: 0,
            began: 0,
            server: Arc::new(Server::new(names::lease(), config.unreadable())),
            seats,
            electors: electors.collect(),
            streams,
            net: Vec::new(),
            spent: [0; Fault::COUNT],
            swaps: 0,
            troubled: 0,
            outage_until: None,
            newest_token: None,
            broken: None,
            digest: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Who;

    #[test]
    fn what_an_opening_shows_is_not_counted() {
        for config in crate::configs::configs() {
            let (name, opening) = (config.name, config.opening);
            let model = Exploration::new(config);
            let world = model.opening(&mut Vec::new());
            assert_eq!(world.leads(0), opening == Opening::Led, "{name}");
            let counted = Sight::ALL
                .iter()
                .filter(|sight| model.seen.times(**sight as usize) > 0);
            assert_eq!(counted.count(), 0, "{name}");
        }
    }

    /// As if it had asked to be woken: at this moment it has nothing to do.
    #[test]
    fn whoever_is_woken_and_does_nothing_is_noticed() {
        let all = crate::configs::configs().into_iter();
        for config in all.filter(|config| config.opening == Opening::Led) {
            let name = config.name;
            let model = Exploration::new(config);
            let world = model.opening(&mut Vec::new());
            assert_eq!(world.broken, None, "{name}");
            for who in [Who::Seat(0), Who::Elector(0)] {
                let after = model.step(&world, Action::Wake(who), None);
                assert_eq!(after.broken, Some(Broken::Restless), "{name}, {who}");
                assert!(after != world, "{name}, {who}: a broken property must be visited");
            }
        }
    }
}
