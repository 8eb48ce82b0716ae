//! An animated picture of a recording: `cargo xtask render FILE.cast OUT.svg`.
//!
//! The recording runs through a terminal emulator; each row of text becomes one element that is visible for as long as it
//! stood there. So the file grows with what was printed and not with the number of frames. The same recording gives
//! the same bytes. No scripts and no fonts from elsewhere, because a page that shows it as an image loads neither; a
//! viewer without animation shows the last frame.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use anyhow::Context;
use avt::{Cell, Color, Pen, Terminal};

use crate::cast::Cast;

/// Frames that follow each other faster than this are one frame: an eye sees no more, and the file is smaller.
const FRAME: Duration = Duration::from_millis(50);
/// How long a full screen stays before it is wiped: long enough to be read.
const FULL_SCREEN: Duration = Duration::from_secs(4);
/// What wipes the screen.
const WIPE: &str = "\u{1b}[2J";
/// How long the last frame stays before the animation begins again.
const LAST_FRAME: Duration = Duration::from_secs(4);

const FONT_SIZE: f64 = 14.0;
/// The advance of a character in the usual monospace fonts is 0.6 of their size. Each run states its length, so
/// another font is stretched to it.
const CELL_WIDTH: f64 = 8.4;
const CELL_HEIGHT: f64 = 19.0;
const MARGIN: f64 = 16.0;
const TITLE_BAR: f64 = 34.0;

pub(crate) const BACKGROUND: &str = "#161b22";
pub(crate) const FOREGROUND: &str = "#d0d7de";
/// The first 16 colours, chosen to be readable on the background.
const PALETTE: [&str; 16] = [
    "#6e7681", "#ff7b72", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#d0d7de", "#8b949e",
    "#ffa198", "#7ee787", "#f2cc60", "#a5d6ff", "#e2c5ff", "#b3f0ff", "#f0f6fc",
];

/// One row of the screen, drawn.
type Row = String;

/// How long a drawn row stood on the screen: from the frame with the first number up to that with the second.
type Span = (usize, usize);

/// Draws a recording.
pub(crate) fn render(cast: &Cast) -> anyhow::Result<String> {
    let (starts, frames) = frames(cast)?;
    let last = frames.len() - 1;
    let end = starts[last] + LAST_FRAME;
    let mut by_span: BTreeMap<Span, String> = BTreeMap::new();
    for number in 0..cast.header.height {
        for (span, row) in spans(&frames, number) {
            let y = TITLE_BAR + MARGIN + (number as f64 + 0.75) * CELL_HEIGHT;
            let _ = writeln!(
                by_span.entry(span).or_default(),
                "<text y=\"{}\">{row}</text>",
                figure(y)
            );
        }
    }
    let mut out = head(cast);
    for (span, rows) in by_span {
        out += &group(span, &starts, last, end, &rows);
    }
    out += "</svg>\n";
    Ok(out)
}

/// What the terminal shows, whenever that changes, and since when.
fn frames(cast: &Cast) -> anyhow::Result<(Vec<Duration>, Vec<Vec<Row>>)> {
    let mut terminal =
        Terminal::new(cast.header.width, cast.header.height).context("a terminal of no size")?;
    let mut starts = vec![Duration::ZERO];
    let mut frames = vec![draw(&terminal)];
    let mut held = Duration::ZERO;
    for event in &cast.events {
        let empty = frames
            .iter()
            .last()
            .is_none_or(|frame| frame.iter().all(Row::is_empty));
        if event.text.contains(WIPE) && !empty {
            held += FULL_SCREEN;
        }
        let at = event.at + held;
        terminal.feed(event.text.as_str());
        let frame = draw(&terminal);
        let (shown, since) = (frames.last_mut().context("no frame")?, starts[starts.len() - 1]);
        if frame == *shown {
            continue;
        }
        if at.saturating_sub(since) < FRAME {
            *shown = frame;
        } else {
            frames.push(frame);
            starts.push(at);
        }
    }
    Ok((starts, frames))
}

fn draw(terminal: &Terminal) -> Vec<Row> {
    terminal
        .screen()
        .visible_lines()
        .map(|line| draw_row(line.cells()))
        .collect()
}

/// A row as runs of one style each. Gaps of two blanks or more divide runs, so that columns stay in their place.
fn draw_row(cells: &[Cell]) -> Row {
    let mut row = String::new();
    let mut column = 0;
    while column < cells.len() {
        if blank(cells, column) {
            column += 1;
            continue;
        }
        let pen = cells[column].pen();
        let mut end = column + 1;
        while end < cells.len() && cells[end].pen() == pen && !(blank(cells, end) && blank(cells, end + 1)) {
            end += 1;
        }
        let run = &cells[column..end];
        let text: String = run
            .iter()
            .filter(|cell| cell.width() > 0)
            .map(Cell::char)
            .collect();
        let text = text.trim_end();
        let width = text.chars().count() as f64 * CELL_WIDTH;
        let x = MARGIN + column as f64 * CELL_WIDTH;
        let _ = write!(
            row,
            "<tspan x=\"{}\" textLength=\"{}\"{}>{}</tspan>",
            figure(x),
            figure(width),
            style(pen),
            escape(text)
        );
        column = end;
    }
    row
}

/// Whether nothing is seen in a column; beyond the last one there is nothing.
fn blank(cells: &[Cell], column: usize) -> bool {
    cells.get(column).is_none_or(|cell| cell.char() == ' ')
}

fn style(pen: &Pen) -> String {
    let mut style = String::new();
    if let Some(color) = pen.foreground() {
        let _ = write!(style, " fill=\"{}\"", hex(color));
    } else if pen.is_faint() {
        let _ = write!(style, " fill=\"{}\"", PALETTE[8]);
    }
    if pen.is_bold() {
        style += " font-weight=\"bold\"";
    }
    style
}

fn hex(color: Color) -> String {
    match color {
        Color::RGB(rgb) => format!("#{:02x}{:02x}{:02x}", rgb.r, rgb.g, rgb.b),
        Color::Indexed(index) => match index {
            0..=15 => PALETTE[usize::from(index)].to_owned(),
            // The cube of 6 × 6 × 6 colours, and the grays, as xterm has them.
            16..=231 => {
                let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
                let cube = index - 16;
                format!(
                    "#{:02x}{:02x}{:02x}",
                    level(cube / 36),
                    level(cube / 6 % 6),
                    level(cube % 6)
                )
            }
            232..=255 => format!("#{0:02x}{0:02x}{0:02x}", 8 + 10 * (index - 232)),
        },
    }
}

/// A text without markup of its own.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// What stood in one row, each with the frames in which it did.
fn spans(frames: &[Vec<Row>], number: usize) -> Vec<(Span, &Row)> {
    let mut spans: Vec<(Span, &Row)> = Vec::new();
    for (frame, rows) in frames.iter().enumerate() {
        let row = &rows[number];
        match spans.last_mut() {
            Some((span, shown)) if *shown == row => span.1 = frame + 1,
            _ => spans.push(((frame, frame + 1), row)),
        }
    }
    spans.retain(|(_, row)| !row.is_empty());
    spans
}

/// Rows that come and go together.
fn group((from, to): Span, starts: &[Duration], last: usize, end: Duration, rows: &str) -> String {
    let (first, stays) = (from == 0, to > last);
    if first && stays {
        return format!("<g>\n{rows}</g>\n");
    }
    let share = |frame: usize| format!("{:.5}", starts[frame].as_secs_f64() / end.as_secs_f64());
    let (values, times) = match (first, stays) {
        (true, _) => ("visible;hidden".to_owned(), format!("0;{}", share(to))),
        (false, true) => ("hidden;visible".to_owned(), format!("0;{}", share(from))),
        (false, false) => (
            "hidden;visible;hidden".to_owned(),
            format!("0;{};{}", share(from), share(to)),
        ),
    };
    // What stays is visible without animation: the last frame is what a still picture shows.
    let still = if stays { "" } else { " visibility=\"hidden\"" };
    format!(
        "<g{still}><animate attributeName=\"visibility\" calcMode=\"discrete\" dur=\"{:.3}s\" repeatCount=\"indefinite\" \
         values=\"{values}\" keyTimes=\"{times}\"/>\n{rows}</g>\n",
        end.as_secs_f64()
    )
}

fn head(cast: &Cast) -> String {
    let width = cast.header.width as f64 * CELL_WIDTH + 2.0 * MARGIN;
    let height = cast.header.height as f64 * CELL_HEIGHT + 2.0 * MARGIN + TITLE_BAR;
    let (width, height, title) = (figure(width), figure(height), escape(&cast.header.title));
    let mut head = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace\" \
         font-size=\"{FONT_SIZE}\" fill=\"{FOREGROUND}\">\n<title>{title}</title>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"10\" fill=\"{BACKGROUND}\"/>\n"
    );
    for (number, color) in ["#ff5f57", "#febc2e", "#28c840"].iter().enumerate() {
        let x = figure(MARGIN + 6.0 + number as f64 * 20.0);
        let _ = writeln!(head, "<circle cx=\"{x}\" cy=\"20\" r=\"6\" fill=\"{color}\"/>");
    }
    let _ = writeln!(
        head,
        "<text x=\"50%\" y=\"25\" text-anchor=\"middle\" fill=\"{}\">{title}</text>",
        PALETTE[8]
    );
    head
}

/// A length without the noise of binary fractions.
pub(crate) fn figure(length: f64) -> String {
    let text = format!("{length:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cast::{Event, Header};

    fn cast(events: &[(u64, &str)]) -> Cast {
        let header: Header =
            serde_json::from_str(r#"{"version":2,"width":40,"height":4,"title":"a & b"}"#).unwrap();
        let events = events.iter().map(|(at, text)| Event {
            at: Duration::from_millis(*at),
            text: (*text).to_owned(),
        });
        Cast {
            header,
            events: events.collect(),
        }
    }

    #[test]
    fn a_line_that_stays_is_drawn_once_however_many_frames_there_are() {
        let svg = render(&cast(&[
            (0, "first\r\n"),
            (500, "second\r\n"),
            (900, "third\r\n"),
        ]))
        .unwrap();
        assert_eq!(svg.matches(">first<").count(), 1);
        assert_eq!(svg.matches(">second<").count(), 1);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("a &amp; b"));
    }

    #[test]
    fn a_line_that_was_overwritten_is_hidden_in_a_still_picture() {
        let svg = render(&cast(&[(0, "waiting"), (1000, "\r\u{1b}[Kdone")])).unwrap();
        let hidden = svg.find("<g visibility=\"hidden\">").unwrap();
        let waiting = svg.find(">waiting<").unwrap();
        let done = svg.find(">done<").unwrap();
        assert!(hidden < waiting && waiting < done);
        // It runs for 1 s, and the last frame stays for 4 s.
        assert!(
            svg.contains("values=\"visible;hidden\" keyTimes=\"0;0.20000\""),
            "{svg}"
        );
        assert!(
            svg.contains("values=\"hidden;visible\" keyTimes=\"0;0.20000\""),
            "{svg}"
        );
    }

    #[test]
    fn a_full_screen_stays_until_it_can_be_read() {
        let svg = render(&cast(&[(0, "one"), (10, "\u{1b}[2J\u{1b}[Htwo")])).unwrap();
        assert!(svg.contains(">one<") && svg.contains(">two<"), "{svg}");
        // It stands for 4 s, and so does the last frame.
        assert!(svg.contains("keyTimes=\"0;0.50062\""), "{svg}");
    }

    #[test]
    fn colours_and_columns_are_kept_and_markup_is_escaped() {
        let svg = render(&cast(&[(0, "\u{1b}[1;32mok\u{1b}[0m  <a>")])).unwrap();
        assert!(
            svg.contains("fill=\"#56d364\" font-weight=\"bold\">ok</tspan>"),
            "{svg}"
        );
        assert!(
            svg.contains("<tspan x=\"49.6\" textLength=\"25.2\">&lt;a&gt;</tspan>"),
            "{svg}"
        );
    }

    #[test]
    fn the_same_recording_gives_the_same_bytes() {
        let cast = cast(&[(0, "one\r\n"), (10, "two\r\n"), (400, "three\r\n")]);
        assert_eq!(render(&cast).unwrap(), render(&cast).unwrap());
    }
}
