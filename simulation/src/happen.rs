//! How each class of happenings takes effect on a world, and how it ends.

use std::time::Duration;

use crate::class::Class;
use crate::ledger::Grant;
use crate::people;
use crate::plan::{Happening, version_of};
use crate::road::Crash;
use crate::shared::Outage;
use crate::world::{Role, World};

/// Something that the world does at a moment.
pub(crate) enum Deed {
    Happens(Happening),
    /// A happening that lasts is over for this machine.
    Over(usize, Class),
    /// One that concerns the server is.
    ServerOver(Class),
    /// The program of this machine is started, unless it runs or is gone.
    Starts(usize),
}

impl World {
    pub(crate) async fn carry_out(&mut self, deed: Deed) {
        match deed {
            Deed::Happens(happening) => {
                let whom = self.whom(&happening);
                self.shared.say(format_args!("-- {happening}: {whom}"));
                self.happens(happening).await;
            }
            Deed::Over(index, class) => self.over(index, class),
            Deed::ServerOver(class) => self.server_over(class),
            Deed::Starts(index) => {
                if !self.actors[index].is_running() && !self.actors[index].gone {
                    self.start(index);
                }
            }
        }
    }

    /// Whom a happening concerns, for the story.
    fn whom(&self, happening: &Happening) -> String {
        let Happening {
            class,
            target,
            amount,
            ..
        } = *happening;
        let nth = |count: usize| usize::try_from(target % count.max(1) as u64).unwrap_or_default();
        match class {
            Class::Outage | Class::SlowServer => "all".to_owned(),
            Class::Crowd
            | Class::Namespaces
            | Class::Direct
            | Class::Turns
            | Class::TwoElectors
            | Class::Joins => "somebody new".to_owned(),
            Class::DeletedLeader | Class::Steered => self.leases[nth(self.leases.len())].to_string(),
            Class::Corrupted if amount.is_multiple_of(2) => self.leases[nth(self.leases.len())].to_string(),
            Class::DeletedIdentity
            | Class::Corrupted
            | Class::VersionChange
            | Class::TwoProcesses
            | Class::Leaves => {
                let index = self.candidate(target);
                index.map_or_else(|| "nobody".to_owned(), |index| self.actors[index].name.clone())
            }
            Class::CandidateCrash => {
                let index = self.candidate(target);
                index.map_or_else(|| "nobody".to_owned(), |index| self.actors[index].name.clone())
            }
            class if is_crash_of_elector(class) => "electors".to_owned(),
            _ => self.actors[nth(self.actors.len())].name.clone(),
        }
    }

    async fn happens(&mut self, happening: Happening) {
        let Happening {
            class,
            target,
            span,
            amount,
            ..
        } = happening;
        let span = Duration::from_millis(span);
        let count = self.actors.len() as u64;
        let index = usize::try_from(target % count).unwrap_or_default();
        match class {
            Class::Latency
            | Class::LostRequest
            | Class::LostAnswer
            | Class::Conflicts
            | Class::TooManyRequests
            | Class::InternalError
            | Class::Unavailable
            | Class::DuplicateEvent
            | Class::WatchLag
            | Class::BookmarkOnly
            | Class::Partition => self.road_changes(index, class, amount, span),
            Class::WatchCut => self.road(index, |road| road.cuts += 1),
            Class::Gone => self.forget(index, amount),
            Class::Outage | Class::SlowServer => self.server_changes(class, amount, span),
            Class::Pause => {
                if let Some(started) = &self.actors[index].current
                    && !started.process.has_ended()
                {
                    started.process.stop(true);
                    self.count(class);
                    self.plan_in(span, Deed::Over(index, class));
                }
            }
            Class::CrashRestart => {
                if self.crash(index) {
                    self.count(class);
                    // Some stay dead; an elector does not, or nothing would happen any more.
                    let dead = amount.is_multiple_of(4) && self.actors[index].program().is_some();
                    self.actors[index].gone = dead;
                    self.plan_in(span, Deed::Starts(index));
                }
            }
            Class::WallOffset | Class::ClockRate | Class::FrozenWall | Class::SteppedWall => {
                self.clock_changes(index, class, amount, span);
            }
            Class::DeletedLeader
            | Class::DeletedIdentity
            | Class::Corrupted
            | Class::VersionChange
            | Class::Steered => {
                self.people_act(class, target, amount, span);
            }
            Class::Crowd => self.crowd(amount),
            Class::CandidateCrash => {
                if let Some(index) = self.candidate(target) {
                    self.crashes_at_write(index, class, amount, span);
                }
            }
            Class::CrashAtCreate
            | Class::CrashAtOffer
            | Class::CrashAtWithdrawal
            | Class::CrashAtNomination
            | Class::CrashAtClearing
            | Class::CrashAtCollection => {
                for index in 0..self.actors.len() {
                    if self.actors[index].program().is_none() {
                        self.crashes_at_write(index, class, amount, span);
                    }
                }
                // There must be somebody to collect.
                if class == Class::CrashAtCollection
                    && let Some(index) = self.candidate(target)
                {
                    self.actors[index].gone |= self.crash(index);
                }
            }
            Class::Turns => {
                self.turns = true;
                self.actor("elector-b".to_owned(), Role::Elector);
            }
            Class::Namespaces => self.namespaces(amount).await,
            Class::Direct => self.direct(amount).await,
            Class::StuckWork => self.stuck(index, span),
            Class::TwoElectors => {
                let index = self.actor("elector-c".to_owned(), Role::Elector);
                self.start(index);
                self.count(class);
            }
            Class::TwoProcesses => self.double(target),
            Class::Joins => {
                let lease = self.leases[index % self.leases.len()].clone();
                let name = self.next_name();
                self.join(&lease, name);
                self.count(class);
            }
            Class::Leaves => self.leaves(target),
        }
    }

    /// The next writes of a process, or those of one kind, are its last. The dead are collected after everything else.
    fn crashes_at_write(&mut self, index: usize, class: Class, amount: u64, span: Duration) {
        let crash = if amount.is_multiple_of(2) {
            Crash::BeforeLanding
        } else {
            Crash::AfterLanding
        };
        self.road(index, |road| road.crash = Some((class, crash)));
        if class != Class::CrashAtCollection {
            self.plan_in(span, Deed::Over(index, class));
        }
    }

    /// Something is different on a road for a while.
    fn road_changes(&mut self, index: usize, class: Class, amount: u64, span: Duration) {
        self.road(index, |road| match class {
            Class::Latency => road.latency = amount,
            Class::WatchLag => road.lag = Duration::from_millis(amount),
            Class::BookmarkOnly => road.held = true,
            Class::Partition => road.parted = true,
            class => road.chance.set(class, amount),
        });
        self.plan_in(span, Deed::Over(index, class));
    }

    /// The server forgets its history, so that who comes back too late must list; or says so without having done it.
    fn forget(&mut self, index: usize, amount: u64) {
        if amount.is_multiple_of(2) {
            self.shared.plane.compact();
            self.road(index, |road| road.cuts += 1);
        } else {
            self.road(index, |road| road.gone += 1);
        }
    }

    fn server_changes(&mut self, class: Class, amount: u64, span: Duration) {
        let outage = if amount.is_multiple_of(2) {
            Outage::Silent
        } else {
            Outage::Refuses
        };
        self.shared.set_server(|server| match class {
            Class::Outage => server.outage = Some(outage),
            _ => server.slow = Duration::from_millis(amount),
        });
        if class == Class::Outage {
            for index in 0..self.actors.len() {
                self.road(index, |road| road.cuts += 1);
            }
        }
        self.plan_in(span, Deed::ServerOver(class));
    }

    fn clock_changes(&mut self, index: usize, class: Class, amount: u64, span: Duration) {
        let clock = self.actors[index].clock.clone();
        // Up to an hour, to either side.
        let micros = (i64::try_from(amount).unwrap_or_default() - 500) * 7_200_000;
        match class {
            Class::WallOffset => clock.step_wall(if amount.is_multiple_of(2) {
                3_600_000_000
            } else {
                -3_600_000_000
            }),
            Class::SteppedWall => clock.step_wall(micros),
            Class::FrozenWall => {
                clock.freeze_wall(true);
                self.plan_in(span, Deed::Over(index, class));
            }
            // A clock that is read already would jump.
            _ if self.actors[index].current.is_some() => return,
            _ => clock.set_rate(amount),
        }
        self.count(class);
    }

    fn people_act(&mut self, class: Class, target: u64, amount: u64, span: Duration) {
        let shared = self.shared.clone();
        let count = self.leases.len() as u64;
        let lease = self.leases[usize::try_from(target % count).unwrap_or_default()].clone();
        let Some(index) = self.candidate(target) else {
            return;
        };
        let Some(program) = self.actors[index].program() else {
            return;
        };
        let identity = election_core::LeaseKey::new(program.lease.namespace(), program.identity.as_str());
        let version = version_of(amount / 2);
        match class {
            Class::DeletedLeader => people::delete(shared, class, lease),
            Class::DeletedIdentity => people::delete(shared, class, identity),
            Class::Corrupted if amount.is_multiple_of(2) => {
                let somebody = program.identity.to_string();
                people::edit(shared, class, lease, move |lease| {
                    people::corrupt_leader(lease, amount / 2, &somebody);
                });
            }
            Class::Steered => {
                let somebody = program.identity.to_string();
                people::edit(shared, class, lease, move |lease| {
                    people::steer(lease, amount, &somebody)
                });
            }
            Class::Corrupted => people::edit(shared, class, identity, move |lease| {
                people::corrupt_identity(lease, amount / 2);
            }),
            _ if amount.is_multiple_of(2) => {
                people::edit(shared, class, identity, |lease| people::reversion(lease, version));
            }
            _ => {
                // The next version of the program on the same machine.
                if let Role::Candidate(program) = &mut self.actors[index].role {
                    program.version = version.parse().expect("the versions are written well");
                }
                if self.crash(index) {
                    self.count(class);
                    self.plan_in(span / 4, Deed::Starts(index));
                }
            }
        }
    }

    fn crowd(&mut self, amount: u64) {
        let lease = self.leases[0].clone();
        for _ in 0..amount {
            let name = self.next_name();
            self.join(&lease, name);
        }
        self.count(Class::Crowd);
    }

    async fn namespaces(&mut self, amount: u64) {
        for _ in 0..amount {
            let lease = election_core::LeaseKey::new(&format!("team-{}", self.leases.len()), "demo");
            self.election(lease.clone(), Grant::Elected).await;
            for _ in 0..2 {
                let name = self.next_name();
                self.join(&lease, name);
            }
        }
        self.count(Class::Namespaces);
    }

    /// Candidates that share a lease without an elector, beside the others and on roads as bad.
    async fn direct(&mut self, amount: u64) {
        let lease = election_core::LeaseKey::new("kube-system", &format!("direct-{}", self.leases.len()));
        self.election(lease.clone(), Grant::Direct).await;
        for _ in 0..amount {
            let name = self.next_name();
            self.join(&lease, name);
        }
        self.count(Class::Direct);
    }

    fn stuck(&mut self, index: usize, span: Duration) {
        let reported = self.actors[index].current.as_ref().is_some_and(|started| {
            let health = started.health.borrow();
            health.as_ref().inspect(|health| health.set(false)).is_some()
        });
        if reported {
            self.count(Class::StuckWork);
            self.plan_in(span, Deed::Over(index, Class::StuckWork));
        }
    }

    /// The same identity on another machine.
    fn double(&mut self, target: u64) {
        let Some(index) = self.candidate(target) else {
            return;
        };
        let role = self.actors[index].role.clone();
        let number = self.actors.len();
        let double = self.actor(format!("double-{number}"), role);
        self.start(double);
        self.count(Class::TwoProcesses);
    }

    fn leaves(&mut self, target: u64) {
        let Some(index) = self.candidate(target) else {
            return;
        };
        let actor = &mut self.actors[index];
        let stop = actor.current.as_mut().and_then(|started| started.stop.take());
        if let Some(stop) = stop {
            actor.gone = true;
            // It may have ended by itself.
            let _ = stop.send(());
            self.count(Class::Leaves);
        }
    }

    fn over(&mut self, index: usize, class: Class) {
        let base = self.base.latency;
        let resets = self.dice.percent(50);
        match class {
            Class::Pause => {
                if let Some(started) = &self.actors[index].current {
                    started.process.stop(false);
                }
            }
            Class::FrozenWall => self.actors[index].clock.freeze_wall(false),
            Class::StuckWork => {
                if let Some(started) = &self.actors[index].current
                    && let Some(health) = &*started.health.borrow()
                {
                    health.set(true);
                }
            }
            class => self.road(index, |road| match class {
                Class::Latency => road.latency = base,
                Class::WatchLag => road.lag = Duration::ZERO,
                Class::BookmarkOnly => road.held = false,
                class if class == Class::CandidateCrash || is_crash_of_elector(class) => road.crash = None,
                Class::Partition => {
                    road.parted = false;
                    // What was held up arrives, or the connection is found dead.
                    road.cuts += u32::from(resets);
                }
                class => road.chance.set(class, 0),
            }),
        }
        let name = self.actors[index].name.clone();
        self.shared.say(format_args!("-- over: {class} of {name}"));
    }

    fn server_over(&mut self, class: Class) {
        self.shared.set_server(|server| match class {
            Class::Outage => server.outage = None,
            _ => server.slow = Duration::ZERO,
        });
        self.shared.say(format_args!("-- over: {class}"));
    }
}

const fn is_crash_of_elector(class: Class) -> bool {
    matches!(
        class,
        Class::CrashAtCreate
            | Class::CrashAtOffer
            | Class::CrashAtWithdrawal
            | Class::CrashAtNomination
            | Class::CrashAtClearing
            | Class::CrashAtCollection
    )
}
