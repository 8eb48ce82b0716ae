//! What a row of measurements says: minimum, median, 99th percentile, maximum.

use serde_json::{Value, json};

/// Measurements of one kind, in order of size.
#[derive(Clone, Debug)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    /// Nothing can be said of no measurements.
    pub(crate) fn of(mut measured: Vec<f64>) -> Option<Self> {
        measured.sort_by(f64::total_cmp);
        (!measured.is_empty()).then_some(Self(measured))
    }

    /// The smallest measurement that at least so many percent of all do not exceed (nearest rank: no value that was not
    /// measured is made up).
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0[rank - 1]
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Their mean.
    pub(crate) fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    /// Minimum, median, 99th percentile and maximum.
    pub(crate) fn row(&self) -> [f64; 4] {
        [
            self.0[0],
            self.percentile(50),
            self.percentile(99),
            self.percentile(100),
        ]
    }

    /// The same for programs, of milliseconds.
    pub(crate) fn json(&self) -> Value {
        let [min, p50, p99, max] = self.row().map(|millis| (millis * 1000.0).round() / 1000.0);
        json!({"rounds": self.count(), "min_ms": min, "p50_ms": p50, "p99_ms": p99, "max_ms": max})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(values: impl IntoIterator<Item = u32>) -> Figures {
        Figures::of(values.into_iter().map(f64::from).collect()).unwrap()
    }

    #[test]
    fn percentiles_are_measurements_of_the_nearest_rank() {
        assert_eq!(figures((1..=100).rev()).row(), [1.0, 50.0, 99.0, 100.0]);
        assert_eq!(figures(1..=30).row(), [1.0, 15.0, 30.0, 30.0]);
        assert_eq!(figures([7]).row(), [7.0; 4]);
        assert_eq!(figures([3, 1, 2]).percentile(50), 2.0);
        assert_eq!(figures([3, 1, 2]).mean(), 2.0);
    }

    #[test]
    fn of_nothing_nothing_is_said() {
        assert!(Figures::of(Vec::new()).is_none());
    }
}
