//! What is done to the processes: the list of faults, and which one is next.

use std::time::Duration;

use fastrand::Rng;

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// SIGKILL to the leader's `candidate run`.
    KillCandidate,
    /// SIGKILL to the leader's keeper.
    KillKeeper,
    /// SIGKILL to the program that acts.
    KillProgram,
    KillStandby,
    /// SIGKILL to the elector whose turn it is, which comes back when another one's turn has come.
    KillElector,
    /// SIGKILL to kube-apiserver, which is then started again.
    KillServer,
    /// SIGSTOP to the leader's `candidate run`, until its lease has long expired.
    StopCandidate,
    StopKeeper,
    StopProgram,
    /// SIGSTOP to `candidate run`, keeper and program, as when a machine stands still: only the receiver can refuse what
    /// the program does first when it goes on.
    StopAll,
    StopStandby,
    StopElector,
    /// SIGSTOP to the server, or to the etcd behind it.
    StopServer,
    /// SIGTERM to the leader's `candidate run`, and SIGKILL when it has not ended a lease duration later.
    Terminate,
}

/// How a fault is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    Kill,
    Stop,
    Terminate,
}

impl Fault {
    const EACH_TURN: [Self; 12] = [
        Self::KillCandidate,
        Self::StopCandidate,
        Self::KillKeeper,
        Self::StopKeeper,
        Self::KillProgram,
        Self::StopProgram,
        Self::KillStandby,
        Self::StopAll,
        Self::KillElector,
        Self::StopElector,
        Self::StopStandby,
        Self::Terminate,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::KillCandidate => "kill the leader's candidate",
            Self::KillKeeper => "kill the leader's keeper",
            Self::KillProgram => "kill the leader's program",
            Self::KillStandby => "kill a standby",
            Self::KillElector => "kill the elector",
            Self::KillServer => "kill the API server",
            Self::StopCandidate => "stop the leader's candidate",
            Self::StopKeeper => "stop the leader's keeper",
            Self::StopProgram => "stop the leader's program",
            Self::StopAll => "stop all of the leader",
            Self::StopStandby => "stop a standby",
            Self::StopElector => "stop the elector",
            Self::StopServer => "stop the server's store",
            Self::Terminate => "terminate the leader",
        }
    }

    /// Whether it is undone only after a while.
    pub(super) fn lasts(self) -> bool {
        self.means() == Means::Stop || matches!(self, Self::KillServer | Self::KillElector)
    }

    /// Whether the program that acts must be gone soon after, and another one act.
    pub(super) const fn ends_the_program(self) -> bool {
        matches!(
            self,
            Self::KillCandidate | Self::KillKeeper | Self::KillProgram | Self::Terminate
        )
    }

    pub(super) const fn means(self) -> Means {
        match self {
            Self::KillCandidate
            | Self::KillKeeper
            | Self::KillProgram
            | Self::KillStandby
            | Self::KillElector
            | Self::KillServer => Means::Kill,
            Self::StopCandidate
            | Self::StopKeeper
            | Self::StopProgram
            | Self::StopAll
            | Self::StopStandby
            | Self::StopElector
            | Self::StopServer => Means::Stop,
            Self::Terminate => Means::Terminate,
        }
    }
}

/// Whether nobody is left who could stop the leader's program in time: both that would do it stand still. Then only the
/// receiver of its writes can refuse them.
pub(super) fn nobody_can_stop_the_program(faults: &[Fault]) -> bool {
    let both = [Fault::StopCandidate, Fault::StopKeeper];
    faults.contains(&Fault::StopAll) || both.iter().all(|fault| faults.contains(fault))
}

/// Draws faults: each kind comes before any comes twice, in an order of the seed.
#[derive(Debug)]
pub(super) struct Schedule {
    rng: Rng,
    /// What the server can be done, in turn.
    of_server: Vec<Fault>,
    turn: Vec<Fault>,
    drawn: usize,
}

/// Faults of the server make everybody wait, so they come more seldom, but for the first of each kind: a short run has
/// them, too.
const SERVER_EVERY: usize = 15;
/// Which draw is the first of them.
const SERVER_FIRST: usize = 3;

impl Schedule {
    pub(super) fn new(seed: u64, can_kill_server: bool) -> Self {
        let of_server = match can_kill_server {
            true => vec![Fault::StopServer, Fault::KillServer],
            false => vec![Fault::StopServer],
        };
        Self {
            rng: Rng::with_seed(seed),
            of_server,
            turn: Vec::new(),
            drawn: 0,
        }
    }

    /// What is done next: one fault, or sometimes two at once.
    pub(super) fn next(&mut self) -> Vec<Fault> {
        let first = self.draw();
        let mut faults = vec![first];
        if self.rng.u8(..5) == 0 {
            let second = self.draw();
            if second != first {
                faults.push(second);
            }
        }
        faults
    }

    fn draw(&mut self) -> Fault {
        self.drawn += 1;
        if let Some(fault) = self.server_fault() {
            return fault;
        }
        if self.turn.is_empty() {
            self.turn = Fault::EACH_TURN.to_vec();
            self.rng.shuffle(&mut self.turn);
        }
        self.turn.pop().unwrap_or(Fault::Terminate)
    }

    /// Each kind at one of the first draws, and then in turn.
    fn server_fault(&self) -> Option<Fault> {
        let early = self.drawn.checked_sub(SERVER_FIRST);
        let early = early.filter(|since| since.is_multiple_of(SERVER_FIRST));
        if let Some(fault) = early.and_then(|since| self.of_server.get(since / SERVER_FIRST)) {
            return Some(*fault);
        }
        let turn = self.drawn / SERVER_EVERY;
        self.drawn
            .is_multiple_of(SERVER_EVERY)
            .then(|| self.of_server[turn % self.of_server.len()])
    }

    /// How long to wait before a fault, so that it hits any moment of a renewal.
    pub(super) fn delay(&mut self, lease: Duration) -> Duration {
        lease.mul_f64(self.rng.f64() / 2.0)
    }

    /// How long a process stands still: longer than the lease, up to twice as long.
    pub(super) fn pause(&mut self, lease: Duration) -> Duration {
        lease.mul_f64(1.2 + self.rng.f64() * 0.8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn plan(seed: u64, can_kill_server: bool, cycles: usize) -> Vec<Vec<Fault>> {
        let mut schedule = Schedule::new(seed, can_kill_server);
        (0..cycles).map(|_| schedule.next()).collect()
    }

    fn counts(plan: &[Vec<Fault>]) -> BTreeMap<Fault, usize> {
        let mut counts = BTreeMap::new();
        for fault in plan.concat() {
            *counts.entry(fault).or_default() += 1;
        }
        counts
    }

    #[test]
    fn every_fault_comes_and_a_seed_says_which() {
        let counts = counts(&plan(7, true, 200));
        assert_eq!(counts.len(), Fault::EACH_TURN.len() + 2, "{counts:?}");
        assert_eq!(plan(7, true, 200), plan(7, true, 200));
        assert_ne!(plan(7, true, 200), plan(8, true, 200));
    }

    /// As short as the runs of `cargo xtask ci`: of a real control plane, and of the local one.
    #[test]
    fn a_short_run_has_each_fault_that_its_server_allows() {
        for seed in 0..500 {
            let real = counts(&plan(seed, true, 10));
            for fault in [Fault::StopServer, Fault::KillServer] {
                assert!(real.contains_key(&fault), "seed {seed}: {real:?}");
            }
            let whole = counts(&plan(seed, true, Fault::EACH_TURN.len() + 2));
            assert_eq!(whole.len(), Fault::EACH_TURN.len() + 2, "seed {seed}: {whole:?}");
            let local = counts(&plan(seed, false, 16));
            assert_eq!(local.len(), Fault::EACH_TURN.len() + 1, "seed {seed}: {local:?}");
        }
    }

    #[test]
    fn faults_of_the_server_are_seldom_later() {
        let counts = counts(&plan(7, true, 600));
        let (stops, kills) = (counts[&Fault::StopServer], counts[&Fault::KillServer]);
        assert!(stops.abs_diff(kills) <= 1, "in turn: {counts:?}");
        let all: usize = counts.values().sum();
        assert!(
            (stops + kills - 2).abs_diff(all / SERVER_EVERY) <= 1,
            "{counts:?}"
        );
    }
}
