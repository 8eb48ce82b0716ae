//! A picture that is drawn by hand: rectangles, lines, points and words, in the colours of the other pictures.

use std::fmt::Write;

use crate::bench::peers::system::System;
use crate::svg::{BACKGROUND, FOREGROUND, escape, figure};

/// What is there to be read second.
pub(super) const FAINT: &str = "#8b949e";
/// Lines that only guide the eye.
pub(super) const GUIDE: &str = "#30363d";
/// What nobody wants.
pub(super) const BAD: &str = "#ff7b72";

/// The colour of a system, the same in all pictures.
pub(super) const fn color(system: System) -> &'static str {
    match system {
        System::Coordinated => "#56d364",
        System::Direct => "#aff5b4",
        System::ClientGo => "#79c0ff",
        System::UpstreamCoordinated => "#d2a8ff",
        System::Kubert => "#e3b341",
        System::KubeLeaderElection => "#56d4dd",
    }
}

/// Where a text begins, ends or has its middle.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture under way.
pub(super) struct Canvas {
    width: f64,
    body: String,
}

impl Canvas {
    pub(super) const fn new(width: f64) -> Self {
        Self {
            width,
            body: String::new(),
        }
    }

    pub(super) fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, color: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let _ = writeln!(
            self.body,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\" fill=\"{color}\">{}</text>",
            figure(x),
            figure(y),
            escape(text)
        );
    }

    pub(super) fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), color: &str, width: f64) {
        let _ = writeln!(
            self.body,
            "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"{color}\" stroke-width=\"{}\"/>",
            figure(x1),
            figure(y1),
            figure(x2),
            figure(y2),
            figure(width)
        );
    }

    pub(super) fn bar(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), color: &str) {
        let _ = writeln!(
            self.body,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"2\" fill=\"{color}\"/>",
            figure(x),
            figure(y),
            figure(width.max(1.0)),
            figure(height)
        );
    }

    pub(super) fn point(&mut self, (x, y): (f64, f64), color: &str) {
        let _ = writeln!(
            self.body,
            "<circle cx=\"{}\" cy=\"{}\" r=\"3\" fill=\"{color}\" fill-opacity=\"0.55\"/>",
            figure(x),
            figure(y)
        );
    }

    /// The picture, so high.
    pub(super) fn finish(self, title: &str, height: f64) -> String {
        let (width, height) = (figure(self.width), figure(height));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             font-family=\"ui-sans-serif, system-ui, 'Segoe UI', Helvetica, Arial, sans-serif\" font-size=\"13\" \
             fill=\"{FOREGROUND}\">\n<title>{}</title>\n\
             <rect width=\"{width}\" height=\"{height}\" rx=\"10\" fill=\"{BACKGROUND}\"/>\n{}</svg>\n",
            escape(title),
            self.body
        )
    }
}

/// Milliseconds as people say them.
pub(super) fn time(millis: f64) -> String {
    if millis.abs() >= 1000.0 {
        let seconds = millis / 1000.0;
        if seconds.fract() == 0.0 {
            format!("{seconds:.0} s")
        } else {
            format!("{seconds:.1} s")
        }
    } else if millis == 0.0 || millis.abs() >= 10.0 || millis.fract() == 0.0 {
        format!("{millis:.0} ms")
    } else {
        format!("{millis:.1} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_people_say_them() {
        let said = [0.0, 0.25, 4.93, 20.1, 999.6, 1000.0, 16_430.0].map(time);
        assert_eq!(
            said,
            ["0 ms", "0.2 ms", "4.9 ms", "20 ms", "1000 ms", "1 s", "16.4 s"]
        );
    }
}
