//! Runs an exploration and says what came of it: the states, what was seen, and a counterexample that a person can read.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use stateright::{Checker, HasDiscoveries, Model};

use crate::actions::Action;
use crate::config::Config;
use crate::explore::Exploration;
use crate::seen::{Seen, Sight};
use crate::world::World;

/// How far to go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// After so many generated states.
    pub states: Option<usize>,
    /// No longer paths than this.
    pub depth: Option<usize>,
    /// No longer than this.
    pub time: Option<Duration>,
    /// How many threads work.
    pub threads: usize,
    /// The shortest paths first: finds the shortest counterexample, and takes much more memory.
    pub breadth_first: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// The configuration.
    pub name: &'static str,
    /// Different states.
    pub unique: usize,
    /// States, repeated ones included.
    pub generated: usize,
    /// The longest path.
    pub depth: usize,
    /// Whether every state within the bounds was visited.
    pub complete: bool,
    /// The property that does not hold, and how that comes about.
    pub violation: Option<Violation>,
    /// What should have been seen and was not.
    pub unseen: Vec<&'static str>,
    seen: Arc<Seen>,
}

/// A property that does not hold.
#[derive(Debug)]
pub struct Violation {
    /// Its name.
    pub property: &'static str,
    /// The path, as numbers of actions: `cargo xtask model --replay`.
    pub path: String,
    /// Who did what, one line each.
    pub trace: String,
}

impl Report {
    /// How often each thing was seen.
    pub fn sights(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Sight::ALL
            .iter()
            .map(|sight| (sight.as_str(), self.seen.times(*sight as usize)))
    }
}

/// Explores a configuration.
#[must_use]
pub fn check(config: Config, limits: Limits) -> Report {
    let name = config.name;
    let exploration = Exploration::new(config.clone());
    let seen = Arc::clone(&exploration.seen);
    let mut builder = exploration
        .checker()
        .threads(limits.threads)
        .finish_when(HasDiscoveries::AnyFailures);
    if let Some(states) = limits.states {
        builder = builder.target_state_count(states);
    }
    if let Some(depth) = limits.depth {
        builder = builder.target_max_depth(depth);
    }
    if let Some(time) = limits.time {
        builder = builder.timeout(time);
    }
    if limits.breadth_first {
        report(name, &config, limits, &seen, &builder.spawn_bfs().join())
    } else {
        report(name, &config, limits, &seen, &builder.spawn_dfs().join())
    }
}

fn report(
    name: &'static str,
    config: &Config,
    limits: Limits,
    seen: &Arc<Seen>,
    checker: &impl Checker<Exploration>,
) -> Report {
    let model = Exploration::new(config.clone());
    let properties = checker.model().properties().into_iter();
    let violation = properties
        .filter(|property| property.expectation == stateright::Expectation::Always)
        .filter_map(|property| Some((property.name, checker.discovery(property.name)?)))
        .map(|(property, path)| (property, shortened(&model, property, path.into_actions())))
        // Who breaks one invariant breaks others soon after.
        .min_by_key(|(_, actions)| actions.len())
        .map(|(property, actions)| explain(&model, property, &actions));
    let demanded = config.must_see().into_iter();
    let unseen = demanded.filter(|sight| seen.times(*sight as usize) == 0);
    let bounded = limits
        .states
        .is_some_and(|states| checker.state_count() >= states)
        || limits.depth.is_some_and(|depth| checker.max_depth() >= depth);
    Report {
        name,
        unique: checker.unique_state_count(),
        generated: checker.state_count(),
        depth: checker.max_depth(),
        complete: violation.is_none() && !bounded && limits.time.is_none(),
        unseen: unseen.map(|sight| sight.as_str()).collect(),
        violation,
        seen: Arc::clone(seen),
    }
}

/// Leaves out of a counterexample whatever it does not need: first long pieces, then single actions.
fn shortened(model: &Exploration, property: &str, mut actions: Vec<Action>) -> Vec<Action> {
    let mut piece = (actions.len() / 2).max(1);
    loop {
        let mut at = 0;
        let mut shorter = false;
        while at < actions.len() {
            let mut without = actions.clone();
            without.drain(at..(at + piece).min(actions.len()));
            match breaks_at(model, property, &without) {
                Some(length) => {
                    without.truncate(length);
                    actions = without;
                    shorter = true;
                }
                None => at += piece,
            }
        }
        if piece == 1 && !shorter {
            return actions;
        }
        piece = (piece / 2).max(1);
    }
}

/// After how many of these actions a property is broken; `None` when it holds, or when one of them is not possible.
fn breaks_at(model: &Exploration, property: &str, actions: &[Action]) -> Option<usize> {
    let mut world = model.opening(&mut Vec::new());
    let mut possible = Vec::new();
    for (index, action) in actions.iter().enumerate() {
        if !holds(model, property, &world) {
            return Some(index);
        }
        model.actions(&world, &mut possible);
        if !possible.contains(action) {
            return None;
        }
        world = model.step(&world, *action, None);
    }
    (!holds(model, property, &world)).then_some(actions.len())
}

fn holds(model: &Exploration, property: &str, world: &World) -> bool {
    let mut properties = model.properties().into_iter();
    let property = properties.find(|known| known.name == property);
    property.is_none_or(|property| (property.condition)(model, world))
}

fn explain(model: &Exploration, property: &'static str, actions: &[Action]) -> Violation {
    let mut log = Vec::new();
    let mut world = model.opening(&mut log);
    let (mut trace, mut path) = (String::new(), Vec::new());
    let mut possible = Vec::new();
    for action in actions {
        model.actions(&world, &mut possible);
        let number = possible
            .iter()
            .position(|known| known == action)
            .unwrap_or_default();
        path.push(number.to_string());
        log.clear();
        world = model.step(&world, *action, Some(&mut log));
        write_down(&mut trace, &world, &log);
    }
    let acting: Vec<_> = (0..world.seats.len())
        .filter(|seat| world.may_act(&model.config, *seat))
        .map(|seat| world.seats[seat].settings.incarnation.as_str().to_owned())
        .collect();
    let _ = writeln!(trace, "             may act: {}", acting.join(", "));
    Violation {
        property,
        path: path.join("."),
        trace,
    }
}

fn write_down(trace: &mut String, world: &World, log: &[String]) {
    for line in log {
        let at = std::time::Duration::from_nanos(world.now - world.began);
        let _ = writeln!(trace, "t+{:>8.3}s  {line}", at.as_secs_f64());
    }
}

/// Follows a path that a report has named, and tells it.
///
/// # Errors
/// What the path names is not possible.
pub fn replay(config: Config, path: &str) -> Result<String, String> {
    let model = Exploration::new(config);
    let mut log = Vec::new();
    let mut world = model.opening(&mut log);
    let mut trace = String::new();
    let mut possible = Vec::new();
    for number in path.split('.').filter(|number| !number.is_empty()) {
        model.actions(&world, &mut possible);
        let action = number
            .parse::<usize>()
            .ok()
            .and_then(|number| possible.get(number));
        let Some(action) = action else {
            return Err(format!(
                "{number:?} is none of the {} things that can happen",
                possible.len()
            ));
        };
        log.clear();
        world = model.step(&world, *action, Some(&mut log));
        write_down(&mut trace, &world, &log);
    }
    let broken = model.properties().into_iter().filter(|property| {
        property.expectation == stateright::Expectation::Always && !(property.condition)(&model, &world)
    });
    for property in broken {
        let _ = writeln!(trace, "does not hold: {}", property.name);
    }
    Ok(trace)
}
