//! After the faults: somebody leads (L1), the best one (L2), the elector is silent (L3), the dead are buried (L4), and a
//! short outage changes nothing (L5).

use std::collections::BTreeSet;
use std::time::Duration;

use candidate::LeaseKey;
use election_core::{FencingToken, Identity, Strategy, Versions};

use crate::class::Class;
use crate::happen::Deed;
use crate::ledger::{Grant, Pid};
use crate::people;
use crate::plan::Happening;
use crate::shared::Outage;
use crate::world::{Actor, World};

/// The longest pause that an elector makes after a write that failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(16);

/// How much slower than true time the slowest clock may run.
fn on_slow_clocks(time: Duration) -> Duration {
    time * 10 / 9
}

impl World {
    /// Ends everything that goes wrong: what is planned to end later ends now.
    async fn calms(&mut self) {
        let deeds = std::mem::take(&mut self.deeds);
        for (_, deed) in deeds {
            if !matches!(deed, Deed::Happens(_)) {
                self.carry_out(deed).await;
            }
        }
        // Whoever leads on a lease on hold may lead for ever.
        for lease in self.leases.clone() {
            people::release(self.shared.clone(), lease);
        }
        self.shared.say(format_args!("-- the faults are over"));
    }

    /// Judges what becomes of it all.
    pub(crate) async fn aftermath(&mut self) {
        self.calms().await;
        let unit = self.lease_seconds().duration();
        let windows = self.accept_windows();
        let identity = Duration::from_secs(self.plan.identity.into());
        // An elector that is silent is replaced first.
        let turns = if self.turns { unit * 2 } else { Duration::ZERO };
        let led = unit * 3 + turns + windows + PAUSE_AFTER_FAILURE + identity + Duration::from_secs(5);
        let best = led + unit * 6 + windows;
        if !self.settle(led, best).await {
            return;
        }
        if self.plan.buries {
            // Whoever crashes at a collection has seen nothing when it starts again.
            let crash = |happening: &Happening| happening.class == Class::CrashAtCollection;
            let lives = if self.plan.happenings.iter().any(crash) {
                2
            } else {
                1
            };
            self.bury((identity * 12 + led) * lives).await;
        }
        if self.plan.outage {
            self.endure(best).await;
        }
    }

    /// How long all who may be dead and still count as alive can keep a lease, one after the other.
    fn accept_windows(&self) -> Duration {
        let ledger = self.shared.ledger();
        let standing = self.leases.iter().map(|lease| {
            let of_lease = |actor: &&Actor| actor.program().is_some_and(|program| program.lease == *lease);
            let named = ledger
                .identities
                .values()
                .filter(|book| book.named.contains(lease));
            named.count() + self.actors.iter().filter(of_lease).count()
        });
        let rounds = standing.max().unwrap_or_default();
        (0..rounds).fold(Duration::ZERO, |sum, round| {
            let round = u32::try_from(round).unwrap_or(u32::MAX);
            sum + self.elector_timing().accept_window(round)
        })
    }

    /// Waits until every lease has its best leader. Invariants: L1, L2.
    async fn settle(&mut self, led_within: Duration, best_within: Duration) -> bool {
        let mut since = self.shared.truth.now();
        loop {
            if self.shared.ledger().violation.is_some() {
                return false;
            }
            if self.add_missing() {
                since = self.shared.truth.now();
            }
            let (mut open, now) = (None, self.shared.truth.now());
            let took = now.saturating_sub(since);
            for lease in self.leases.clone() {
                match self.shared_leader(&lease) {
                    None => open = open.or(Some(("L1", format!("nobody leads {lease}"), led_within))),
                    Some((pid, _)) => {
                        if let Some(better) = self.better_than(&lease, pid) {
                            open = open.or(Some((
                                "L2",
                                format!("{lease} is not led by {better}"),
                                best_within,
                            )));
                        }
                    }
                }
            }
            let Some((rule, what, within)) = open else {
                self.shared.say(format_args!("-- settled"));
                return true;
            };
            if took > on_slow_clocks(within) {
                self.shared
                    .ledger()
                    .broken(rule, now, format_args!("{what} {took:?} after the faults"));
                return false;
            }
            self.pass(now + self.lease_seconds().duration() / 10).await;
        }
    }

    /// Every election needs somebody who can be elected.
    fn add_missing(&mut self) -> bool {
        let mut added = false;
        for lease in self.leases.clone() {
            let alive = self.actors.iter().any(|actor| {
                actor.is_running()
                    && !actor.gone
                    && actor.program().is_some_and(|program| program.lease == lease)
            });
            if !alive {
                let name = self.next_name();
                self.join(&lease, name);
                added = true;
            }
        }
        added
    }

    fn shared_leader(&self, lease: &LeaseKey) -> Option<(Pid, FencingToken)> {
        self.shared.ledger().acting(lease)
    }

    /// A live candidate that is strictly better than this process.
    fn better_than(&self, lease: &LeaseKey, pid: Pid) -> Option<String> {
        let (strategy, controls) = {
            let ledger = self.shared.ledger();
            // Versions count for nothing where nobody elects.
            if ledger.leases.get(lease)?.grant == Grant::Direct {
                return None;
            }
            let stored = ledger.leases.get(lease)?.stored.as_ref();
            let strategy = match stored.and_then(|stored| stored.strategy.as_ref()) {
                Some(Ok(strategy)) => *strategy,
                _ => Strategy::default(),
            };
            let controls = stored.and_then(|stored| stored.controls.as_deref().cloned());
            (strategy, controls.unwrap_or_default())
        };
        // Who was asked to step down comes last, as long as it is that process; who is pinned first.
        let process_of = |identity: &Identity| {
            let key = LeaseKey::new(lease.namespace(), identity.as_str());
            let ledger = self.shared.ledger();
            ledger.identities.get(&key)?.stored.as_ref()?.incarnation.clone()
        };
        let down = controls
            .step_down()
            .filter(|asked| process_of(&asked.identity).as_ref() == Some(&asked.incarnation));
        let wish = |identity: &Identity| {
            if down.is_some_and(|asked| asked.identity == *identity) {
                3
            } else if controls.pin.as_ref() == Some(identity) {
                0
            } else if down.is_some() && controls.step_down_to.as_ref() == Some(identity) {
                1
            } else {
                2
            }
        };
        let live = || {
            self.actors
                .iter()
                .filter(|actor| actor.is_running() && !actor.gone)
                .filter_map(|actor| {
                    let program = actor.program().filter(|program| program.lease == *lease)?;
                    let versions = Versions {
                        binary: program.version.clone(),
                        emulation: program.version.clone(),
                    };
                    Some((actor.current.as_ref()?.pid, program, versions))
                })
        };
        let Some((_, leader, of_leader)) = live().find(|(live, ..)| *live == pid) else {
            return Some("somebody who is alive".to_owned());
        };
        let led = wish(&leader.identity);
        live()
            .find(|(_, program, versions)| {
                let by_wish = wish(&program.identity).cmp(&led);
                by_wish
                    .then_with(|| strategy.compare(versions, &of_leader))
                    .is_lt()
            })
            .map(|(_, program, _)| program.identity.to_string())
    }

    /// An identity lease whose process is gone.
    fn dead_candidate(&self) -> Option<LeaseKey> {
        let running = self.actors.iter().filter(|actor| actor.is_running());
        let alive: BTreeSet<LeaseKey> = running
            .filter_map(|actor| actor.program())
            .map(|program| LeaseKey::new(program.lease.namespace(), program.identity.as_str()))
            .collect();
        let ledger = self.shared.ledger();
        let mut dead = ledger.identities.iter().filter(|(key, book)| {
            let stored = book.stored.as_ref();
            stored.is_some_and(|stored| stored.incarnation.is_some()) && !alive.contains(key)
        });
        dead.next().map(|(key, _)| key.clone())
    }

    /// Invariant: L4.
    async fn bury(&mut self, within: Duration) {
        let until = self.shared.truth.now() + on_slow_clocks(within);
        loop {
            let (now, left) = (self.shared.truth.now(), self.dead_candidate());
            if left.is_none() || self.shared.ledger().violation.is_some() {
                return;
            }
            if let Some(left) = left
                && now >= until
            {
                return self.shared.ledger().broken(
                    "L4",
                    now,
                    format_args!("the dead candidate {left} is still there"),
                );
            }
            self.pass(now + self.lease_seconds().duration()).await;
        }
    }

    /// A while without a write of an elector, and then an outage that changes nothing. Invariants: L3, L5.
    async fn endure(&mut self, within: Duration) {
        let unit = self.lease_seconds().duration();
        // The dead count as alive for a while, and what people edited stays until its candidate writes it the next time.
        let edited = [Class::Corrupted, Class::VersionChange];
        let edited = edited.iter().any(|class| self.shared.counts().get(*class) > 0);
        if edited || self.dead_candidate().is_some() {
            let identity = Duration::from_secs(self.plan.identity.into());
            self.pass(self.shared.truth.now() + on_slow_clocks(identity) + unit)
                .await;
        }
        let until = self.shared.truth.now() + on_slow_clocks(within);
        loop {
            let before = self.state();
            self.pass(self.shared.truth.now() + unit * 3 / 2).await;
            let now = self.shared.truth.now();
            if self.shared.ledger().violation.is_some() {
                return;
            }
            if self.state() == before {
                break;
            }
            if now >= until {
                return self
                    .shared
                    .ledger()
                    .broken("L3", now, "an undisturbed election is not at rest");
            }
        }
        let before = self.state();
        // By the fastest clock, and a little less than is promised, because timers have a millisecond.
        let promised = candidate::Timing::for_lease_duration(self.lease_seconds())
            .guarantees()
            .api_outage;
        let span = (promised * 10 / 11).saturating_sub(Duration::from_millis(20));
        self.shared
            .say(format_args!("-- an outage of {span:?} that must change nothing"));
        let outage = if self.dice.percent(50) {
            Outage::Silent
        } else {
            Outage::Refuses
        };
        self.shared.set_server(|server| server.outage = Some(outage));
        for index in 0..self.actors.len() {
            self.road(index, |road| road.cuts += 1);
        }
        self.pass(self.shared.truth.now() + span).await;
        self.shared.set_server(|server| server.outage = None);
        self.pass(self.shared.truth.now() + unit * 2).await;
        let now = self.shared.truth.now();
        if self.state() != before {
            self.shared.ledger().broken(
                "L5",
                now,
                format_args!("an outage of {span:?} changed the election"),
            );
        }
    }

    /// What an undisturbed election does not change: terms and what electors wrote on leader leases.
    fn state(&self) -> (u64, u64, u64) {
        let ledger = self.shared.ledger();
        (ledger.terms, ledger.ended, ledger.elector_writes)
    }
}
