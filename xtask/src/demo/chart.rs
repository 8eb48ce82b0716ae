//! Who held a lease when, as bars of text.

use std::time::{Duration, Instant};

use crate::timeline::Sighting;

const WIDTH: usize = 64;

/// One bar for each holder, in the order in which they held the lease; nothing when nobody did.
pub(crate) fn draw(seen: &[Sighting], lease: &str, from: Instant, to: Instant) -> Vec<String> {
    let spans = spans(seen, lease, to);
    let mut holders: Vec<&str> = Vec::new();
    for (holder, ..) in &spans {
        if !holders.contains(holder) {
            holders.push(holder);
        }
    }
    let name_width = holders.iter().map(|holder| holder.len()).max().unwrap_or(0);
    let bars = holders.iter().map(|holder| {
        let own: Vec<_> = spans.iter().filter(|(name, ..)| name == holder).collect();
        let bar: String = (0..WIDTH)
            .map(|cell| {
                let middle = from + (to - from).mul_f64((cell as f64 + 0.5) / WIDTH as f64);
                if own.iter().any(|(_, begin, end)| (*begin..*end).contains(&middle)) {
                    '█'
                } else {
                    '·'
                }
            })
            .collect();
        let led: Duration = own.iter().map(|(_, begin, end)| *end - *begin).sum();
        format!(
            "  \u{1b}[2m{holder:name_width$}\u{1b}[0m  \u{1b}[36m{bar}\u{1b}[0m  {:.1} s",
            led.as_secs_f64()
        )
    });
    bars.collect()
}

/// The times during which somebody held the lease.
fn spans<'a>(seen: &'a [Sighting], lease: &str, end: Instant) -> Vec<(&'a str, Instant, Instant)> {
    let mut spans: Vec<(&str, Instant, Instant)> = Vec::new();
    let mut open = false;
    for sighting in seen.iter().filter(|sighting| sighting.name == lease) {
        let holder = sighting.held_by();
        if let Some(last) = spans.last_mut().filter(|_| open) {
            if holder == Some(last.0) {
                continue;
            }
            last.2 = sighting.at;
        }
        open = holder.is_some();
        spans.extend(holder.map(|holder| (holder, sighting.at, end)));
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell;
    use election_core::wire;
    use k8s_openapi::api::coordination::v1::Lease;
    use serde_json::json;

    fn sighting(at: Instant, holder: Option<&str>) -> Sighting {
        let lease: Lease = serde_json::from_value(json!({
            "metadata": {"namespace": "ns", "name": "lease", "uid": "u", "resourceVersion": "1"},
            "spec": {"holderIdentity": holder, "renewTime": "2024-01-01T00:00:00.000000Z"},
        }))
        .unwrap();
        Sighting {
            at,
            name: "lease".to_owned(),
            item: wire::read(&lease),
        }
    }

    #[test]
    fn each_holder_has_a_bar_for_the_time_that_it_held_the_lease() {
        let from = shell::now();
        let at = |seconds| from + Duration::from_secs(seconds);
        let seen = [
            sighting(at(0), Some("alpha")),
            sighting(at(1), Some("alpha")),
            sighting(at(2), None),
            sighting(at(2), Some("bravo")),
            sighting(at(3), Some("alpha")),
        ];
        let bars = draw(&seen, "lease", from, at(4));
        let filled: Vec<_> = bars.iter().map(|bar| bar.matches('█').count()).collect();
        assert_eq!(filled, [WIDTH * 3 / 4, WIDTH / 4]);
        assert!(
            bars[0].contains("alpha") && bars[0].ends_with("3.0 s"),
            "{}",
            bars[0]
        );
        assert_eq!(draw(&seen, "other", from, at(4)), Vec::<String>::new());
    }
}
