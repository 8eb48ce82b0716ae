//! What a row of measurements says: minimum, median, 99th percentile, maximum.

use std::time::Duration;

use serde_json::{Value, json};

/// Measurements of one kind, in order of size.
#[derive(Clone, Debug)]
pub(crate) struct Figures(Vec<Duration>);

impl Figures {
    /// Nothing can be said of no measurements.
    pub(crate) fn of(mut measured: Vec<Duration>) -> Option<Self> {
        measured.sort();
        (!measured.is_empty()).then_some(Self(measured))
    }

    /// The smallest measurement that at least so many percent of all do not exceed (nearest rank: no value that was not
    /// measured is made up).
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0[rank - 1]
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Minimum, median, 99th percentile and maximum, in milliseconds.
    pub(crate) fn milliseconds(&self) -> [f64; 4] {
        [1, 50, 99, 100].map(|percent| {
            let value = if percent == 1 {
                self.0[0]
            } else {
                self.percentile(percent)
            };
            value.as_secs_f64() * 1000.0
        })
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        let rounded = self
            .milliseconds()
            .map(|millis| (millis * 1000.0).round() / 1000.0);
        let [min, p50, p99, max] = rounded;
        json!({"rounds": self.count(), "min_ms": min, "p50_ms": p50, "p99_ms": p99, "max_ms": max})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(millis: impl IntoIterator<Item = u64>) -> Figures {
        Figures::of(millis.into_iter().map(Duration::from_millis).collect()).unwrap()
    }

    #[test]
    fn percentiles_are_measurements_of_the_nearest_rank() {
        assert_eq!(figures((1..=100).rev()).milliseconds(), [1.0, 50.0, 99.0, 100.0]);
        assert_eq!(figures(1..=30).milliseconds(), [1.0, 15.0, 30.0, 30.0]);
        assert_eq!(figures([7]).milliseconds(), [7.0; 4]);
        assert_eq!(figures([3, 1, 2]).percentile(50), Duration::from_millis(2));
    }

    #[test]
    fn of_nothing_nothing_is_said() {
        assert!(Figures::of(Vec::new()).is_none());
    }
}
