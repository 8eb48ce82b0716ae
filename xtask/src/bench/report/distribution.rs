//! Every single value of the measures that matter most, one row for each system, on one scale of times.

use super::canvas::{Anchor, Canvas, FAINT, GUIDE, color, time};
use crate::bench::peers::system::System;
use crate::bench::results::{PeersRun, Quantity, Series};
use crate::svg::FOREGROUND;

const SHOWN: [Quantity; 5] = [
    Quantity::StopGap,
    Quantity::BetterTotal,
    Quantity::BetterGap,
    Quantity::CrashBeyond,
    Quantity::ColdTotal,
];
const WIDTH: f64 = 900.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 860.0;
const ROW: f64 = 26.0;
/// The scale: powers of ten of a millisecond, from one millisecond to a hundred seconds. What is less stands at the edge.
const DECADES: f64 = 5.0;

/// Draws them; nothing when there are none.
pub(super) fn draw(run: &PeersRun) -> Option<String> {
    let mut canvas = Canvas::new(WIDTH);
    let mut y = 16.0;
    for quantity in SHOWN {
        let rows: Vec<(System, &Series)> = System::ALL
            .into_iter()
            .filter_map(|system| Some((system, run.series(quantity, Some(system))?)))
            .collect();
        if !rows.is_empty() {
            y = panel(&mut canvas, quantity, &rows, y);
        }
    }
    (y > 16.0).then(|| canvas.finish("How long an election takes, by system", y))
}

/// Draws one quantity from a height on; returns where the next one begins.
fn panel(canvas: &mut Canvas, quantity: Quantity, rows: &[(System, &Series)], top: f64) -> f64 {
    canvas.text((16.0, top + 18.0), Anchor::Start, FOREGROUND, quantity.title());
    let first = top + 34.0;
    let last = first + rows.len() as f64 * ROW;
    for decade in 0..=5 {
        let millis = 10_f64.powi(decade);
        canvas.line((x(millis), first), (x(millis), last), GUIDE, 1.0);
        canvas.text((x(millis), last + 15.0), Anchor::Middle, FAINT, &time(millis));
    }
    for (number, (system, series)) in rows.iter().enumerate() {
        let middle = first + (number as f64 + 0.5) * ROW;
        canvas.text(
            (LEFT - 12.0, middle + 4.0),
            Anchor::End,
            FOREGROUND,
            system.label(),
        );
        for (number, value) in series.values.iter().enumerate() {
            // Points beside each other instead of on each other.
            let aside = ((number * 7) % 11) as f64 - 5.0;
            canvas.point((x(*value), middle + aside), color(*system));
        }
        let Some(figures) = series.figures() else { continue };
        let median = figures.percentile(50);
        canvas.line(
            (x(median), middle - 10.0),
            (x(median), middle + 10.0),
            FOREGROUND,
            2.0,
        );
        // Beside the points, where there is room.
        let [.., max] = figures.row();
        let label = time(median);
        if x(max) < RIGHT - 60.0 {
            canvas.text((x(max) + 10.0, middle + 4.0), Anchor::Start, FAINT, &label);
        } else {
            let [min, ..] = figures.row();
            canvas.text((x(min) - 10.0, middle + 4.0), Anchor::End, FAINT, &label);
        }
    }
    last + 34.0
}

fn x(millis: f64) -> f64 {
    let share = millis.max(1.0).log10() / DECADES;
    LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_logarithmic_and_what_is_outside_stands_at_its_edge() {
        assert_eq!(x(1.0), LEFT);
        assert_eq!(x(-3.0), LEFT);
        assert_eq!(x(100_000.0), RIGHT);
        assert_eq!(x(1e9), RIGHT);
        assert!((x(100.0) - x(10.0) - (x(10_000.0) - x(1_000.0))).abs() < 1e-9);
    }
}
