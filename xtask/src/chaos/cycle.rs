//! One cycle: something is done to the processes, it is undone, and somebody must lead again.

use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal};

use super::excuse::Excuses;
use super::faults::{Fault, Means, Schedule, nobody_can_stop_the_program};
use super::ledger::{Auditor, Findings};
use super::stand::{Lineage, PATIENCE, Stand, send};
use super::summary::Summary;
use crate::bench::candidate::boottime;
use crate::shell;

/// How often the ledger is read.
const GLANCE: Duration = Duration::from_millis(10);
/// A leader whose last write is older may not be one any more.
const FRESH: Duration = Duration::from_millis(200);

/// All that goes on.
pub(super) struct Chaos {
    stand: Stand,
    auditor: Auditor,
    schedule: Schedule,
    lease: Duration,
    summary: Summary,
    excuses: Excuses,
    /// Whose turn it was to elect when that was last known.
    acting: Option<&'static str>,
}

/// What is to be undone.
#[derive(Debug, Default)]
struct Done {
    stopped: Vec<Pid>,
    server_is_gone: bool,
    /// The program that must not act any more.
    ended: Option<i32>,
}

impl Chaos {
    pub(super) fn new(stand: Stand, schedule: Schedule, lease: Duration) -> Self {
        Self {
            auditor: Auditor::new(stand.ledger.clone()),
            stand,
            schedule,
            lease,
            summary: Summary::default(),
            excuses: Excuses::default(),
            acting: None,
        }
    }

    pub(super) const fn summary(&self) -> &Summary {
        &self.summary
    }

    pub(super) async fn end(&mut self) {
        self.stand.processes.end_down_to(0).await;
    }

    pub(super) async fn play(&mut self, cycles: u32) -> anyhow::Result<()> {
        self.somebody_writes(boottime()).await?;
        for number in 1..=cycles {
            let faults = self.schedule.next();
            let names: Vec<&str> = faults.iter().map(|fault| fault.name()).collect();
            let gap = self.cycle(&faults).await;
            let gap = gap.with_context(|| format!("cycle {number}: {}", names.join(" and ")))?;
            let (writes, terms) = self.auditor.counts();
            self.summary.add(&faults, gap, writes, terms);
            super::say(number, cycles, &names.join(" and "), gap);
        }
        Ok(())
    }

    /// Returns how long nobody wrote.
    async fn cycle(&mut self, faults: &[Fault]) -> anyhow::Result<Duration> {
        self.somebody_writes(boottime()).await?;
        self.see_who_elects().await;
        shell::sleep(self.schedule.delay(self.lease)).await;
        let mut longest = self.read()?.longest_gap;
        let mut done = Done::default();
        if let Some(last) = self.auditor.last()
            && nobody_can_stop_the_program(faults)
        {
            self.excuses.add(last.clone());
        }
        for fault in faults {
            self.make(*fault, &mut done)?;
        }
        if faults.iter().any(|fault| fault.lasts()) {
            shell::sleep(self.schedule.pause(self.lease)).await;
        }
        let ended = done.ended;
        self.undo(done).await?;
        if let Some(program) = ended {
            longest = longest.max(self.insist(program).await?);
        }
        longest = longest.max(self.somebody_else_writes(boottime(), ended).await?.longest_gap);
        // Whoever stood still has gone on by now, and was refused or killed.
        let soon = u64::try_from(self.lease.as_nanos()).unwrap_or(u64::MAX);
        self.excuses.end(boottime().saturating_add(soon));
        Ok(Duration::from_nanos(longest))
    }

    /// A turn that was somebody else's a cycle ago was taken over, or given back.
    async fn see_who_elects(&mut self) {
        let acting = self.stand.acting_elector().await;
        if let (Some(before), Some(now)) = (self.acting, acting)
            && before != now
        {
            self.summary.take_over();
        }
        self.acting = acting.or(self.acting);
    }

    fn acting_elector(&self) -> anyhow::Result<Option<Pid>> {
        self.acting.map(|name| self.stand.pid(name)).transpose()
    }

    fn make(&mut self, fault: Fault, done: &mut Done) -> anyhow::Result<()> {
        let Some(last) = self.auditor.last().cloned() else {
            bail!("nobody has written yet");
        };
        let leader = Lineage::of(&self.stand, &last);
        let standby = self.stand.pid(
            self.stand
                .standby(&last.identity, last.pid.unsigned_abs() as usize),
        )?;
        let targets = match fault {
            Fault::KillCandidate | Fault::StopCandidate | Fault::Terminate => {
                leader.map(|leader| vec![leader.candidate])
            }
            Fault::KillKeeper | Fault::StopKeeper => leader.map(|leader| vec![leader.keeper]),
            Fault::KillProgram | Fault::StopProgram => leader.map(|leader| vec![leader.program]),
            Fault::StopAll => leader.map(|leader| vec![leader.candidate, leader.keeper, leader.program]),
            Fault::KillStandby | Fault::StopStandby => Some(vec![standby]),
            Fault::KillElector | Fault::StopElector => self.acting_elector()?.map(|elector| vec![elector]),
            Fault::KillServer => Some(vec![self.stand.pid(self.stand.server())?]),
            Fault::StopServer => Some(vec![self.stand.store()?]),
        };
        // Nobody leads where another fault of this cycle came first.
        let targets = targets.unwrap_or_default();
        let signal = match fault.means() {
            Means::Kill => Signal::KILL,
            Means::Stop => Signal::STOP,
            Means::Terminate => Signal::TERM,
        };
        for target in &targets {
            send(*target, signal);
        }
        self.summary.count(fault, !targets.is_empty());
        done.server_is_gone |= fault == Fault::KillServer;
        if fault.ends_the_program() && !targets.is_empty() {
            done.ended = Some(last.pid);
        }
        if fault.means() == Means::Stop {
            done.stopped.extend(targets);
        }
        Ok(())
    }

    async fn undo(&mut self, done: Done) -> anyhow::Result<()> {
        // The program first: that is the worst order.
        for pid in done.stopped.into_iter().rev() {
            send(pid, Signal::CONT);
        }
        if done.server_is_gone {
            self.stand.processes.restart_server(self.stand.server()).await?;
        }
        self.restart().await
    }

    /// As whoever runs containers: what has not ended a while after it was asked to is killed.
    /// Returns the longest gap meanwhile.
    async fn insist(&mut self, program: i32) -> anyhow::Result<u64> {
        let (since, mut longest) = (shell::now(), 0);
        while since.elapsed() < self.lease {
            longest = longest.max(self.read()?.longest_gap);
            if self.auditor.last().is_none_or(|last| last.pid != program) {
                return Ok(longest);
            }
            shell::sleep(GLANCE).await;
        }
        if let Some(leader) = self
            .auditor
            .last()
            .and_then(|last| Lineage::of(&self.stand, last))
        {
            send(leader.candidate, Signal::KILL);
        }
        Ok(longest)
    }

    /// Whoever has ended is started again, with its name.
    async fn restart(&mut self) -> anyhow::Result<()> {
        while let Some((name, _)) = self.stand.processes.lost() {
            self.stand.processes.ended(&name).await?;
        }
        self.stand.start_all()
    }

    /// Waits until somebody writes after a moment.
    async fn somebody_writes(&mut self, after: u64) -> anyhow::Result<Findings> {
        self.somebody_else_writes(after, None).await
    }

    /// The same, not counting a process.
    async fn somebody_else_writes(&mut self, after: u64, but: Option<i32>) -> anyhow::Result<Findings> {
        let since = shell::now();
        let mut all = Findings::default();
        loop {
            let found = self.read()?;
            all.longest_gap = all.longest_gap.max(found.longest_gap);
            let fresh = self.auditor.last().is_some_and(|last| {
                last.at > after
                    && Some(last.pid) != but
                    && boottime() - last.at < u64::try_from(FRESH.as_nanos()).unwrap_or(u64::MAX)
            });
            if fresh {
                return Ok(all);
            }
            self.restart().await?;
            if since.elapsed() > PATIENCE {
                bail!(
                    "violation: L1: for {PATIENCE:?} nobody has written{}\n{}",
                    but.map_or_else(String::new, |pid| format!(
                        " but process {pid}, which should be gone"
                    )),
                    self.stand.tail_of_electors()
                );
            }
            shell::sleep(GLANCE).await;
        }
    }

    fn read(&mut self) -> anyhow::Result<Findings> {
        let found = self.auditor.audit()?;
        self.excuses.check(&found.refused, self.auditor.last())?;
        self.summary.refuse(found.refused.len());
        Ok(found)
    }
}
