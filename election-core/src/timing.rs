//! The timing knobs, the rules between them, and what follows from them.
//!
//! The constructors refuse contradictions; [`Timing::guarantees`] says in figures what a set of knobs promises.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use crate::names::shorten;
use crate::time::LeaseSeconds;

/// The knobs of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timing {
    lease_duration: LeaseSeconds,
    renew_deadline: Duration,
    renew_interval: Duration,
    retry_period: Duration,
    stop_grace: Duration,
    identity_duration: LeaseSeconds,
    identity_interval: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self::for_lease_duration(LeaseSeconds::LEADER)
    }
}

impl Timing {
    /// The default knobs for a lease duration: the renew deadline is 4/5 of it, the renew interval a third of that, the
    /// retry period and the stop grace a twelfth. For 15 s that is 12 s, 4 s, 1 s and 1 s.
    #[must_use]
    pub fn for_lease_duration(lease_duration: LeaseSeconds) -> Self {
        let renew_deadline = four_fifths(lease_duration);
        Self {
            lease_duration,
            renew_deadline,
            renew_interval: renew_deadline / 3,
            retry_period: renew_deadline / 12,
            stop_grace: renew_deadline / 12,
            identity_duration: LeaseSeconds::IDENTITY,
            identity_interval: LeaseSeconds::IDENTITY.duration() / 3,
        }
    }

    /// Replaces the renew deadline: how long after sending its last successful renewal a leader may act.
    #[must_use]
    pub const fn with_renew_deadline(mut self, renew_deadline: Duration) -> Self {
        self.renew_deadline = renew_deadline;
        self
    }

    /// Replaces the renew interval: shorter tolerates a longer outage and costs more requests.
    #[must_use]
    pub const fn with_renew_interval(mut self, renew_interval: Duration) -> Self {
        self.renew_interval = renew_interval;
        self
    }

    /// Replaces the retry period: how long after a failed request the next one is sent.
    #[must_use]
    pub const fn with_retry_period(mut self, retry_period: Duration) -> Self {
        self.retry_period = retry_period;
        self
    }

    /// Replaces the stop grace: what the work gets to stop before the deadline.
    #[must_use]
    pub const fn with_stop_grace(mut self, stop_grace: Duration) -> Self {
        self.stop_grace = stop_grace;
        self
    }

    /// Replaces the knobs of the identity lease: how long a silent candidate counts as alive, and how often it writes.
    #[must_use]
    pub const fn with_identity(mut self, duration: LeaseSeconds, interval: Duration) -> Self {
        self.identity_duration = duration;
        self.identity_interval = interval;
        self
    }

    /// Refuses knobs that contradict each other.
    ///
    /// # Errors
    /// The first rule that is broken, with the two values that break it.
    pub fn validated(self) -> Result<Self, TimingError> {
        let fail = |rule, left, right| Err(TimingError { rule, left, right });
        if self.renew_deadline > four_fifths(self.lease_duration) {
            return fail(
                "the renew deadline must be at most 4/5 of the lease duration, or a clock that runs fast elsewhere ends \
                 the lease first",
                self.renew_deadline,
                self.lease_duration.duration(),
            );
        }
        for (rule, value) in [
            ("the retry period must not be zero", self.retry_period),
            ("the renew interval must not be zero", self.renew_interval),
            ("the stop grace must not be zero", self.stop_grace),
        ] {
            if value.is_zero() {
                return fail(rule, value, Duration::ZERO);
            }
        }
        let spent = self.renew_interval + self.retry_period + self.stop_grace;
        if spent >= self.renew_deadline {
            return fail(
                "renew interval + retry period + stop grace must be less than the renew deadline, or one lost request \
                 ends the term",
                spent,
                self.renew_deadline,
            );
        }
        if self.identity_interval.is_zero() || self.identity_interval * 2 > self.identity_duration.duration()
        {
            return fail(
                "the identity interval must be above zero and at most half of the identity lease's duration, or one \
                 lost request lets the candidate count as dead",
                self.identity_interval,
                self.identity_duration.duration(),
            );
        }
        Ok(self)
    }

    /// All of them, in the order of [`KNOBS`].
    const fn knobs(&self) -> [Duration; KNOBS.len()] {
        [
            self.lease_duration.duration(),
            self.renew_deadline,
            self.renew_interval,
            self.retry_period,
            self.stop_grace,
            self.identity_duration.duration(),
            self.identity_interval,
        ]
    }

    /// The duration that the candidate asks for.
    #[must_use]
    pub const fn lease_duration(&self) -> LeaseSeconds {
        self.lease_duration
    }

    /// How long a request may take before it counts as failed: a fifth of the renew deadline.
    #[must_use]
    pub fn request_deadline(&self) -> Duration {
        self.renew_deadline / 5
    }

    /// How long after a failed request the next one is sent.
    #[must_use]
    pub const fn retry_period(&self) -> Duration {
        self.retry_period
    }

    /// The duration of the identity lease.
    #[must_use]
    pub const fn identity_duration(&self) -> LeaseSeconds {
        self.identity_duration
    }

    /// How often the identity lease is renewed.
    #[must_use]
    pub const fn identity_interval(&self) -> Duration {
        self.identity_interval
    }

    /// How often the leader lease is renewed, when the elector does not ask for less.
    #[must_use]
    pub const fn renew_interval(&self) -> Duration {
        self.renew_interval
    }

    /// The knobs within a term: all shrink together when the accepted duration is shorter than the one asked for.
    #[must_use]
    pub fn term(&self, written: LeaseSeconds) -> TermTiming {
        let deadline = self.renew_deadline.min(four_fifths(written));
        TermTiming {
            deadline,
            renew_interval: self.renew_interval.min(deadline / 3),
            retry_period: self.retry_period.min(deadline / 12),
            stop_grace: self.stop_grace.min(deadline / 4),
            request_deadline: self.request_deadline().min(deadline / 5),
        }
    }

    /// What these knobs promise.
    #[must_use]
    pub fn guarantees(&self) -> Guarantees {
        let lease = self.lease_duration.duration();
        Guarantees {
            clock_rate_error_percent: percent_over(lease, self.renew_deadline),
            api_outage: self.renew_deadline - self.renew_interval - self.retry_period - self.stop_grace,
            worst_crash_failover: lease + ACCEPT_ALLOWANCE,
            worst_graceful_handover: self.renew_deadline + ACCEPT_ALLOWANCE,
        }
    }
}

/// The knobs within one term; see [`Timing::term`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TermTiming {
    /// After sending the last successful attempt.
    pub deadline: Duration,
    /// Between the sending of one renewal and the next.
    pub renew_interval: Duration,
    /// After a failed request.
    pub retry_period: Duration,
    /// How long before the deadline the work is told to stop.
    pub stop_grace: Duration,
    /// How long one request may take.
    pub request_deadline: Duration,
}

/// What a set of knobs promises, in figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guarantees {
    /// How much faster the elector's clock may run than the leader's before two could act, in percent.
    pub clock_rate_error_percent: u32,
    /// An API server may be silent for this long without changing anything.
    pub api_outage: Duration,
    /// From the last renewal of a leader that crashed until the next can lead, with one live candidate.
    pub worst_crash_failover: Duration,
    /// From asking a leader to give way until the next leads: work that does not stop is killed at the deadline.
    pub worst_graceful_handover: Duration,
}

impl fmt::Display for Guarantees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tolerated clock-rate error {} %, tolerated API outage {:?}, worst crash failover {:?}, worst graceful \
             handover {:?}",
            self.clock_rate_error_percent,
            millis(self.api_outage),
            millis(self.worst_crash_failover),
            millis(self.worst_graceful_handover)
        )
    }
}

/// Without the nanoseconds that a third of a deadline leaves.
const fn millis(duration: Duration) -> Duration {
    Duration::from_millis(duration.as_millis() as u64)
}

/// Two knobs that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimingError {
    rule: &'static str,
    left: Duration,
    right: Duration,
}

impl fmt::Display for TimingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (got {:?} against {:?})", self.rule, self.left, self.right)
    }
}

impl core::error::Error for TimingError {}

/// As a candidate notes it on its identity lease: `lease-duration=15s renew-deadline=12s …`, each knob by the name of its flag,
/// in whole seconds or whole milliseconds.
impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, knob)) in KNOBS.iter().zip(self.knobs()).enumerate() {
            let space = if index == 0 { "" } else { " " };
            // What is shorter than a millisecond is not nothing.
            let millis = knob.as_millis().max(u128::from(!knob.is_zero()));
            match millis % 1000 {
                0 => write!(f, "{space}{name}={}s", millis / 1000)?,
                _ => write!(f, "{space}{name}={millis}ms")?,
            }
        }
        Ok(())
    }
}

/// Reads what [`Timing`] prints. A knob that is missing follows from the lease duration; a name that is not known is left
/// for those who know it. What contradicts itself is read: [`Timing::validated`] says so.
impl FromStr for Timing {
    type Err = ParseTimingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut given = [None; KNOBS.len()];
        for word in text.split_whitespace() {
            let error = || ParseTimingError(shorten(word));
            let (name, value) = word.split_once('=').ok_or_else(error)?;
            if let Some(index) = KNOBS.iter().position(|known| *known == name) {
                given[index] = Some(duration(value).ok_or_else(error)?);
            }
        }
        let [
            lease,
            deadline,
            interval,
            retry,
            grace,
            identity,
            identity_interval,
        ] = given;
        let seconds = |name, duration: Option<Duration>, default| match duration {
            None => Ok(default),
            Some(duration) => {
                whole_seconds(duration).ok_or_else(|| ParseTimingError(format!("{name}={duration:?}")))
            }
        };
        let default = Self::for_lease_duration(seconds(KNOBS[0], lease, LeaseSeconds::LEADER)?);
        Ok(Self {
            lease_duration: default.lease_duration,
            renew_deadline: deadline.unwrap_or(default.renew_deadline),
            renew_interval: interval.unwrap_or(default.renew_interval),
            retry_period: retry.unwrap_or(default.retry_period),
            stop_grace: grace.unwrap_or(default.stop_grace),
            identity_duration: seconds(KNOBS[5], identity, default.identity_duration)?,
            identity_interval: identity_interval.unwrap_or(default.identity_interval),
        })
    }
}

/// What the knobs are called, in the order of [`Timing::knobs`].
const KNOBS: [&str; 7] = [
    "lease-duration",
    "renew-deadline",
    "renew-interval",
    "retry-period",
    "stop-grace",
    "identity-duration",
    "identity-interval",
];

fn duration(text: &str) -> Option<Duration> {
    // More than that no lease lasts, and sums of a few do not overflow.
    let count = |digits: &str| digits.parse::<u32>().ok().map(u64::from);
    match text.strip_suffix("ms") {
        Some(millis) => count(millis).map(Duration::from_millis),
        None => count(text.strip_suffix('s')?).map(Duration::from_secs),
    }
}

fn whole_seconds(duration: Duration) -> Option<LeaseSeconds> {
    let seconds = u32::try_from(duration.as_secs()).ok().and_then(LeaseSeconds::new);
    seconds.filter(|_| duration.subsec_nanos() == 0)
}

/// A knob that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseTimingError(String);

impl fmt::Display for ParseTimingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no knob with its value, such as renew-deadline=12s or retry-period=250ms; those of leases are whole seconds",
            self.0
        )
    }
}

impl core::error::Error for ParseTimingError {}

/// The knobs of an elector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ElectorTiming {
    /// The duration that it writes, and the quiet time of a lease that records none.
    pub lease_duration: LeaseSeconds,
    /// How long the first offer to a candidate stands before another one gets it; doubles with each round.
    pub accept_window: Duration,
    /// The longest accept window.
    pub accept_window_max: Duration,
    /// How long a missing or Fresh lease waits for more candidates after its first one.
    pub settle_window: Duration,
    /// The first back-off after a failed preemption; doubles with each further one.
    pub back_off: Duration,
    /// The longest back-off.
    pub back_off_max: Duration,
}

impl Default for ElectorTiming {
    fn default() -> Self {
        Self {
            lease_duration: LeaseSeconds::LEADER,
            accept_window: Duration::from_secs(1),
            accept_window_max: Duration::from_secs(16),
            settle_window: Duration::from_millis(500),
            back_off: Duration::from_secs(60),
            back_off_max: Duration::from_secs(3600),
        }
    }
}

impl ElectorTiming {
    /// Refuses knobs that contradict each other.
    ///
    /// # Errors
    /// The first rule that is broken, with the two values that break it.
    pub fn validated(self) -> Result<Self, TimingError> {
        let fail = |rule, left, right| Err(TimingError { rule, left, right });
        if self.accept_window.is_zero() || self.accept_window > self.accept_window_max {
            return fail(
                "the accept window must be above zero and at most its maximum",
                self.accept_window,
                self.accept_window_max,
            );
        }
        if self.back_off.is_zero() || self.back_off > self.back_off_max {
            return fail(
                "the back-off must be above zero and at most its maximum",
                self.back_off,
                self.back_off_max,
            );
        }
        Ok(self)
    }

    /// The accept window of the `round`-th offer, counted from 0: doubles each round up to the longest.
    #[must_use]
    pub fn accept_window(&self, round: u32) -> Duration {
        doubled(self.accept_window, round, self.accept_window_max)
    }

    /// The back-off after the `failures`-th failed preemption, counted from 0.
    #[must_use]
    pub fn back_off(&self, failures: u32) -> Duration {
        doubled(self.back_off, failures, self.back_off_max)
    }
}

/// What the guarantees add for the first accept window and the requests of a handover on a busy server.
const ACCEPT_ALLOWANCE: Duration = Duration::from_secs(2);

fn four_fifths(duration: LeaseSeconds) -> Duration {
    duration.duration() * 4 / 5
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(2u32.saturating_pow(times)).min(longest)
}

fn percent_over(larger: Duration, smaller: Duration) -> u32 {
    let excess = larger.saturating_sub(smaller).as_millis() * 100;
    u32::try_from(excess / smaller.as_millis().max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn seconds(seconds: u32) -> LeaseSeconds {
        LeaseSeconds::new(seconds).expect("positive")
    }

    #[test]
    fn what_is_noted_is_read_as_it_was() {
        let noted = Timing::default().to_string();
        assert_eq!(
            noted,
            "lease-duration=15s renew-deadline=12s renew-interval=4s retry-period=1s stop-grace=1s \
             identity-duration=180s identity-interval=60s"
        );
        assert_eq!(noted.parse(), Ok(Timing::default()));
        let odd = Timing::for_lease_duration(seconds(5)).with_stop_grace(Duration::from_micros(3));
        let odd = odd.to_string();
        assert_eq!(
            odd,
            "lease-duration=5s renew-deadline=4s renew-interval=1333ms retry-period=333ms stop-grace=1ms \
             identity-duration=180s identity-interval=60s"
        );
        assert_eq!(odd.parse::<Timing>().map(|read| read.to_string()), Ok(odd));
    }

    #[test]
    fn what_is_missing_follows_and_what_is_foreign_is_left() {
        let five = Timing::for_lease_duration(seconds(5));
        assert_eq!("lease-duration=5s".parse(), Ok(five));
        assert_eq!("lease-duration=5s colour=red".parse(), Ok(five));
        let deadline = five.with_renew_deadline(Duration::from_millis(250));
        assert_eq!("lease-duration=5s\nrenew-deadline=250ms".parse(), Ok(deadline));
        assert_eq!("".parse(), Ok(Timing::default()));
    }

    #[test]
    fn knobs_that_cannot_be_read_are_named_and_the_largest_contradict_without_a_panic() {
        for text in [
            "soon",
            "retry-period=soon",
            "retry-period=1h",
            "retry-period=-1s",
            "retry-period=4294967296s",
            "lease-duration=0s",
            "lease-duration=1500ms",
        ] {
            let error = text.parse::<Timing>().map_err(|error| error.to_string());
            assert!(
                error
                    .as_ref()
                    .is_err_and(|error| error.contains(text.split('=').next().unwrap())),
                "{text}: {error:?}"
            );
        }
        let largest = KNOBS.map(|knob| alloc::format!("{knob}=2147483647s")).join(" ");
        assert!(
            largest
                .parse::<Timing>()
                .is_ok_and(|timing| timing.validated().is_err())
        );
    }

    #[test]
    fn the_defaults_promise_what_the_documents_say() {
        let timing = Timing::default().validated().unwrap();
        assert_eq!(
            timing.term(LeaseSeconds::LEADER),
            TermTiming {
                deadline: Duration::from_secs(12),
                renew_interval: Duration::from_secs(4),
                retry_period: Duration::from_secs(1),
                stop_grace: Duration::from_secs(1),
                request_deadline: Duration::from_millis(2400),
            }
        );
        assert_eq!(
            timing.request_deadline(),
            Duration::from_millis(2400),
            "of a standby as well"
        );
        let promised = timing.guarantees();
        assert_eq!(
            (promised.clock_rate_error_percent, promised.api_outage),
            (25, Duration::from_secs(6))
        );
    }

    #[test]
    fn every_derived_set_of_knobs_is_valid() {
        for duration in 1..=600 {
            Timing::for_lease_duration(seconds(duration)).validated().unwrap();
        }
    }

    #[test]
    fn a_term_of_a_shorter_lease_shrinks_every_knob() {
        let term = Timing::default().term(seconds(3));
        assert_eq!(
            term,
            TermTiming {
                deadline: Duration::from_millis(2400),
                renew_interval: Duration::from_millis(800),
                retry_period: Duration::from_millis(200),
                stop_grace: Duration::from_millis(600),
                request_deadline: Duration::from_millis(480),
            }
        );
        assert!(term.renew_interval + term.retry_period + term.stop_grace < term.deadline);
    }

    /// Invariant: S1, the earlier of the candidate's own renew deadline and 4/5 of what was written.
    #[test]
    fn a_term_ends_by_the_earlier_of_its_two_deadlines() {
        let own = Timing::default().with_renew_deadline(Duration::from_secs(10));
        let check = |written: u32, deadline: u64| {
            assert_eq!(
                own.term(seconds(written)).deadline,
                Duration::from_secs(deadline),
                "{written} s"
            );
        };
        check(15, 10);
        check(60, 10);
        check(10, 8);
    }

    #[test]
    fn contradicting_knobs_are_refused() {
        let check = |timing: Timing, word: &str| {
            let error = timing.validated().expect_err(word);
            assert!(format!("{error}").contains(word), "{error}");
        };
        let defaults = Timing::default();
        check(defaults.with_renew_deadline(Duration::from_millis(12_001)), "4/5");
        check(
            defaults.with_renew_interval(Duration::from_secs(10)),
            "one lost request ends the term",
        );
        check(defaults.with_renew_interval(Duration::ZERO), "renew interval");
        check(defaults.with_retry_period(Duration::ZERO), "retry period");
        check(defaults.with_stop_grace(Duration::ZERO), "stop grace");
        check(
            defaults.with_identity(LeaseSeconds::IDENTITY, Duration::from_secs(91)),
            "identity interval",
        );
        check(
            defaults.with_identity(LeaseSeconds::IDENTITY, Duration::ZERO),
            "identity interval",
        );
    }

    #[test]
    fn windows_double_up_to_the_longest() {
        let timing = ElectorTiming::default();
        let seconds: alloc::vec::Vec<u64> = (0..7)
            .map(|round| timing.accept_window(round).as_secs())
            .collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 16, 16]);
        assert_eq!(timing.back_off(40), Duration::from_secs(3600));
    }
}
