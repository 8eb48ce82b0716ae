//! How the elector grows with the number of leases: memory and CPU.

use super::canvas::{Anchor, Canvas, FAINT, GUIDE};
use crate::bench::results::{ScaleRun, ScaleSize};
use crate::svg::FOREGROUND;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 300.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 250.0;
const MARK: &str = "#56d364";

/// A curve over the number of leases.
struct Curve {
    title: String,
    unit: &'static str,
    value: fn(&ScaleSize) -> f64,
    left: f64,
    right: f64,
}

/// Draws them; nothing when nothing was measured.
pub(super) fn draw(run: &ScaleRun) -> Option<String> {
    let most = run.sizes.iter().map(|size| size.leases).max()?;
    let mut canvas = Canvas::new(WIDTH);
    let memory = match per_lease(run) {
        Some(kib) => format!("The elector's memory: {kib:.1} KiB for each further lease"),
        None => "The elector's memory".to_owned(),
    };
    let curves = [
        Curve {
            title: memory,
            unit: "MiB",
            value: |size| size.resident_mib,
            left: 70.0,
            right: 410.0,
        },
        Curve {
            title: "Its CPU while all leaders renew".to_owned(),
            unit: "%",
            value: |size| size.cpu_percent,
            left: 520.0,
            right: 860.0,
        },
    ];
    for curve in &curves {
        curve.draw(&mut canvas, &run.sizes, most as f64);
    }
    Some(canvas.finish("How the elector grows with the number of leases", HEIGHT))
}

/// What one more lease with its candidates costs, from the smallest size to the largest.
pub(super) fn per_lease(run: &ScaleRun) -> Option<f64> {
    let least = run.sizes.iter().min_by_key(|size| size.leases)?;
    let most = run.sizes.iter().max_by_key(|size| size.leases)?;
    let leases = most.leases.checked_sub(least.leases).filter(|more| *more > 0)?;
    Some((most.resident_mib - least.resident_mib) * 1024.0 / leases as f64)
}

impl Curve {
    fn draw(&self, canvas: &mut Canvas, sizes: &[ScaleSize], most: f64) {
        let highest = sizes.iter().map(self.value).fold(0.0, f64::max) * 1.2;
        canvas.text((self.left - 40.0, 30.0), Anchor::Start, FOREGROUND, &self.title);
        canvas.line((self.left, BOTTOM), (self.right, BOTTOM), GUIDE, 1.0);
        canvas.line((self.left, TOP), (self.left, BOTTOM), GUIDE, 1.0);
        let place = |size: &ScaleSize| {
            let x = self.left + size.leases as f64 / most * (self.right - self.left);
            let share = if highest > 0.0 {
                (self.value)(size) / highest
            } else {
                0.0
            };
            (x, BOTTOM - share * (BOTTOM - TOP))
        };
        let mut places: Vec<(f64, f64)> = sizes.iter().map(place).collect();
        places.sort_by(|left, right| left.0.total_cmp(&right.0));
        for pair in places.windows(2) {
            canvas.line(pair[0], pair[1], MARK, 1.5);
        }
        for (number, size) in sizes.iter().enumerate() {
            let (x, y) = place(size);
            canvas.point((x, y), MARK);
            let label = format!("{:.1} {}", (self.value)(size), self.unit);
            // The curve rises: the first label has room above it, the last to its left, others below it.
            let (at, anchor) = match number {
                0 => ((x, y - 12.0), Anchor::Start),
                _ if x > self.right - 60.0 => ((x - 10.0, y), Anchor::End),
                _ => ((x + 8.0, y + 14.0), Anchor::Start),
            };
            canvas.text(at, anchor, FAINT, &label);
            canvas.text(
                (x, BOTTOM + 18.0),
                Anchor::Middle,
                FAINT,
                &size.leases.to_string(),
            );
        }
    }
}
