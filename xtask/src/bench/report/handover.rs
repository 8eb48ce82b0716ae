//! One graceful handover of each system, the one with the median gap: who worked when. All on one scale, and this project's
//! once more on a scale of its own, with what a watch showed of the lease.

use super::canvas::{Anchor, BAD, Canvas, FAINT, GUIDE, color, time};
use crate::bench::peers::system::System;
use crate::bench::results::Handover;
use crate::svg::FOREGROUND;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 800.0;
const ROW: f64 = 30.0;
const BAR: f64 = 16.0;

/// Draws them; nothing when there are none.
pub(super) fn draw(handovers: &[Handover]) -> Option<String> {
    let longest = longest(handovers)?;
    let mut canvas = Canvas::new(WIDTH);
    let title = "SIGTERM to the leader: old work, nobody, new work";
    canvas.text((16.0, 30.0), Anchor::Start, FOREGROUND, title);
    let mut y = axis(&mut canvas, 46.0, handovers.len(), longest);
    for (number, handover) in handovers.iter().enumerate() {
        row(&mut canvas, handover, 46.0 + number as f64 * ROW, longest);
    }
    if let Some(own) = handovers
        .iter()
        .find(|handover| handover.system == System::Coordinated)
    {
        y = zoomed(&mut canvas, own, y + 20.0);
    }
    Some(canvas.finish(title, y))
}

fn longest(handovers: &[Handover]) -> Option<f64> {
    let ends = handovers
        .iter()
        .map(|handover| handover.leads.max(handover.stopped));
    ends.max_by(f64::total_cmp).map(|end| end * 1.1)
}

/// Draws the guides of a scale from zero; returns the height below it.
fn axis(canvas: &mut Canvas, top: f64, rows: usize, longest: f64) -> f64 {
    let bottom = top + rows as f64 * ROW;
    let step = step(longest);
    let mut at = 0.0;
    while at <= longest {
        let x = x(at, longest);
        canvas.line((x, top), (x, bottom), GUIDE, 1.0);
        canvas.text((x, bottom + 15.0), Anchor::Middle, FAINT, &time(at));
        at += step;
    }
    bottom + 30.0
}

/// A round distance of guides, such that there are five to twelve.
fn step(longest: f64) -> f64 {
    let decade = 10_f64.powf(longest.log10().floor());
    [0.1, 0.2, 0.5, 1.0]
        .map(|share| share * decade)
        .into_iter()
        .find(|step| longest / step <= 12.0)
        .unwrap_or(decade)
}

fn row(canvas: &mut Canvas, handover: &Handover, top: f64, longest: f64) {
    let system = handover.system;
    canvas.text((LEFT - 12.0, top + 20.0), Anchor::End, FOREGROUND, system.label());
    let y = top + (ROW - BAR) / 2.0;
    let x = |millis| x(millis, longest);
    canvas.bar((x(0.0), y), (x(handover.stopped) - x(0.0), BAR), color(system));
    let gap = handover.leads - handover.stopped;
    if gap > 0.0 {
        canvas.bar(
            (x(handover.stopped), y + 5.0),
            (x(handover.leads) - x(handover.stopped), BAR - 10.0),
            BAD,
        );
    }
    canvas.bar(
        (x(handover.leads), y),
        (RIGHT - x(handover.leads), BAR),
        color(system),
    );
    canvas.text((RIGHT + 10.0, top + 20.0), Anchor::Start, FAINT, &time(gap));
}

/// Draws one handover on a scale of its own; returns the height below it.
fn zoomed(canvas: &mut Canvas, own: &Handover, top: f64) -> f64 {
    let longest = own.leads * 1.15;
    canvas.text(
        (16.0, top + 10.0),
        Anchor::Start,
        FOREGROUND,
        "This project's, closer, with what a watch shows of the lease",
    );
    let first = top + 26.0;
    let seen: Vec<&(f64, String)> = own.seen.iter().filter(|(at, _)| *at <= longest).collect();
    let bottom = axis(canvas, first, 1 + seen.len(), longest);
    row(canvas, own, first, longest);
    for (number, (at, state)) in seen.into_iter().enumerate() {
        let middle = first + (number as f64 + 1.5) * ROW;
        let x = x(*at, longest);
        canvas.line((x, first), (x, middle + 4.0), FAINT, 1.0);
        canvas.point((x, middle), FOREGROUND);
        let anchor = if x > (LEFT + RIGHT) / 2.0 {
            (x - 10.0, Anchor::End)
        } else {
            (x + 10.0, Anchor::Start)
        };
        canvas.text(
            (anchor.0, middle + 4.0),
            anchor.1,
            FAINT,
            &format!("{}: {state}", time(*at)),
        );
    }
    bottom
}

fn x(millis: f64, longest: f64) -> f64 {
    LEFT + (millis / longest).clamp(0.0, 1.0) * (RIGHT - LEFT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guides_stand_at_round_times() {
        assert_eq!(step(20.0), 2.0);
        assert_eq!(step(13_500.0), 2_000.0);
        assert_eq!(step(9.0), 1.0);
    }

    #[test]
    fn a_gap_is_drawn_and_an_overlap_is_none() {
        let handover = |stopped, leads| Handover {
            system: System::ClientGo,
            stopped,
            leads,
            seen: Vec::new(),
        };
        let drawn = |handover| draw(&[handover]).unwrap();
        assert!(drawn(handover(1.0, 900.0)).contains(BAD));
        assert!(!drawn(handover(5.0, 4.0)).contains(BAD));
        assert!(draw(&[]).is_none());
    }
}
