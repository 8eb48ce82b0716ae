//! Draws who led when.

use std::collections::BTreeMap;
use std::fmt::Write;

use election_core::Wall;

use crate::survey::rfc3339;
use crate::timeline::Timeline;
use crate::words::plain;

const WIDTH: i64 = 960;
const LEFT: i64 = 200;
const RIGHT: i64 = 20;
const TOP: i64 = 60;
const ROW: i64 = 34;
/// Colours that can be told apart, also by those who see fewer of them (Okabe and Ito).
const COLORS: [&str; 6] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"];

/// A drawing with a row for each leader, in the order in which they first led.
#[must_use]
pub fn draw(timeline: &Timeline) -> String {
    let mut rows: Vec<&str> = Vec::new();
    for turn in &timeline.turns {
        if !rows.contains(&turn.holder.as_str()) {
            rows.push(&turn.holder);
        }
    }
    let row_of: BTreeMap<&str, usize> = rows
        .iter()
        .enumerate()
        .map(|(row, holder)| (*holder, row))
        .collect();
    let begin = timeline.turns.first().map_or(0, |turn| turn.from.as_micros());
    let end = timeline
        .turns
        .last()
        .map_or(1, |turn| turn.to.as_micros())
        .max(begin + 1);
    let count = i64::try_from(rows.len()).unwrap_or(0);
    let height = TOP + count * ROW + 40;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"20\" y=\"28\" font-size=\"16\" font-weight=\"bold\">{}</text>\n",
        escaped(&format!("{}: who led when", timeline.lease))
    );
    if rows.is_empty() {
        svg.push_str("<text x=\"20\" y=\"52\">Nothing is known.</text>\n");
    }
    for (row, holder) in rows.iter().enumerate() {
        let y = TOP + i64::try_from(row).unwrap_or(0) * ROW;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n<line x1=\"{LEFT}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" \
             stroke=\"#ddd\"/>",
            LEFT - 12,
            y + 17,
            escaped(holder),
            y + 12,
            WIDTH - RIGHT,
            y + 12
        );
    }
    let x = |at: Wall| LEFT + (at.as_micros() - begin) * (WIDTH - LEFT - RIGHT) / (end - begin);
    for turn in &timeline.turns {
        let row = row_of[turn.holder.as_str()];
        let (from, to) = (x(turn.from), x(turn.to));
        let goes_on = if turn.now { ", and leads" } else { "" };
        let title = format!(
            "{}: {} to {}{goes_on}",
            turn.holder,
            rfc3339(turn.from),
            rfc3339(turn.to)
        );
        let _ = writeln!(
            svg,
            "<rect x=\"{from}\" y=\"{}\" width=\"{}\" height=\"24\" rx=\"3\" fill=\"{}\"><title>{}</title></rect>",
            TOP + i64::try_from(row).unwrap_or(0) * ROW,
            (to - from).max(2),
            COLORS[row % COLORS.len()],
            escaped(&title)
        );
    }
    if !rows.is_empty() {
        let y = TOP + count * ROW + 20;
        for (at, anchor, x) in [(begin, "start", LEFT), (end, "end", WIDTH - RIGHT)] {
            let time = rfc3339(Wall::from_micros(at));
            let _ = writeln!(
                svg,
                "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" fill=\"#555\">{time}</text>"
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// As a viewer of XML takes it; what controls a terminal is no part of XML at all.
fn escaped(text: &str) -> String {
    plain(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
