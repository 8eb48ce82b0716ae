//! What the demo shows: commands, observations with their times, progress while something is waited for.
//!
//! Colour and progress only on a terminal; the recording has both, whatever the output is.

#![expect(clippy::print_stdout, reason = "the output of the demo")]

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::path::Path;
use std::time::Duration;

use crate::cast::Recorder;

/// The size of the recorded terminal: what a page shows without shrinking it.
pub(crate) const WIDTH: usize = 110;
pub(crate) const HEIGHT: usize = 30;

/// Where the times stand.
const TIME_COLUMN: usize = 96;

/// What is shown, and where.
#[derive(Debug)]
pub(crate) struct Screen {
    color: bool,
    progress: bool,
    progress_shown: bool,
    recorder: Option<Recorder>,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let color = terminal && std::env::var_os("NO_COLOR").is_none();
        Self {
            color,
            progress: terminal,
            progress_shown: false,
            recorder: None,
        }
    }

    /// Records from now on.
    pub(crate) fn record(&mut self, file: &Path, title: &str) -> anyhow::Result<()> {
        self.recorder = Some(Recorder::create(file, WIDTH, HEIGHT, title)?);
        Ok(())
    }

    /// Ends the recording.
    pub(crate) fn finish_recording(&mut self) -> std::io::Result<()> {
        self.recorder.take().map_or(Ok(()), Recorder::finish)
    }

    /// A new screen. A person's terminal is not wiped: there an empty line divides.
    pub(crate) fn heading(&mut self, text: &str) {
        self.clear_progress();
        if let Some(recorder) = &mut self.recorder {
            // A recording that cannot be written shows itself when it is finished.
            let _ = recorder.output("\u{1b}[2J\u{1b}[H");
        }
        let rule = "─".repeat(WIDTH.saturating_sub(text.chars().count() + 4));
        self.line(&format!("\u{1b}[1;36m── {text} {rule}\u{1b}[0m"));
    }

    /// A command, as a person would type it.
    pub(crate) fn command(&mut self, command: &str) {
        self.clear_progress();
        for (number, line) in wrap(command, WIDTH - 6).iter().enumerate() {
            let prompt = if number == 0 { "$ " } else { "      " };
            self.line(&format!("\u{1b}[1;33m{prompt}\u{1b}[0m\u{1b}[1m{line}\u{1b}[0m"));
        }
    }

    /// What a command printed.
    pub(crate) fn output(&mut self, text: &str) {
        self.clear_progress();
        for line in text.lines() {
            let line: String = line.chars().take(WIDTH).collect();
            self.line(&format!("\u{1b}[2m{}\u{1b}[0m", line.trim_end()));
        }
    }

    /// Something to know.
    pub(crate) fn note(&mut self, text: &str) {
        self.clear_progress();
        self.line(&format!("\u{1b}[2m# {text}\u{1b}[0m"));
    }

    /// An observation that came true, and how long it took where that was measured.
    pub(crate) fn observed(&mut self, text: &str, took: Option<Duration>) {
        self.clear_progress();
        let gap = TIME_COLUMN.saturating_sub(text.chars().count() + 4);
        let time = took.map(|took| format!("{:gap$} \u{1b}[1m{:>11}\u{1b}[0m", "", milliseconds(took)));
        let time = time.unwrap_or_default();
        self.line(&format!("  \u{1b}[1;32m✓\u{1b}[0m {text}{time}"));
    }

    /// An observation that did not come true.
    pub(crate) fn failed(&mut self, text: &str) {
        self.clear_progress();
        self.line(&format!("  \u{1b}[1;31m✗\u{1b}[0m {text}"));
    }

    /// What is waited for; replaced by whatever is shown next.
    pub(crate) fn waiting(&mut self, text: &str, since: Duration) {
        self.progress_shown = true;
        let line = format!(
            "\r\u{1b}[K  \u{1b}[2m… {text} {:.1} s\u{1b}[0m",
            since.as_secs_f64()
        );
        self.print(&line, self.progress);
    }

    /// A line of text with colours.
    pub(crate) fn line(&mut self, line: &str) {
        self.clear_progress();
        self.print(&format!("{line}\n"), true);
    }

    fn clear_progress(&mut self) {
        if std::mem::take(&mut self.progress_shown) {
            self.print("\r\u{1b}[K", self.progress);
        }
    }

    fn print(&mut self, text: &str, show: bool) {
        if show {
            let shown = if self.color {
                text.to_owned()
            } else {
                plain(text, self.progress)
            };
            print!("{shown}");
            // Whoever closed the output does not want to read on.
            let _ = std::io::stdout().flush();
        }
        if let Some(recorder) = &mut self.recorder {
            let _ = recorder.output(text);
        }
    }
}

/// A time as it stands beside an observation.
pub(crate) fn milliseconds(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    if millis < 10.0 {
        format!("{millis:.1} ms")
    } else {
        format!("{} ms", grouped(millis.round() as u64))
    }
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// Text without its colours; `cursor` keeps what moves the cursor.
fn plain(text: &str, cursor: bool) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("\u{1b}[") {
        out.push_str(&rest[..start]);
        let sequence = &rest[start..];
        let end = sequence[2..]
            .find(|c: char| c.is_ascii_alphabetic())
            .map_or(sequence.len(), |end| end + 3);
        if cursor && !sequence[..end].ends_with('m') {
            out.push_str(&sequence[..end]);
        }
        rest = &sequence[end..];
    }
    out.push_str(rest);
    out
}

/// A command on several lines, each but the last continued.
fn wrap(command: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words(command) {
        let line = lines.last_mut().expect("starts with one line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            let _ = write!(line, " \\");
            lines.push(word);
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
        }
    }
    lines
}

/// The words of a command; a flag with its value is one of them, and so is a program that it is to run.
fn words(command: &str) -> Vec<String> {
    let (own, program) = match command.find(" -- ") {
        Some(at) => (&command[..at], Some(&command[at + 1..])),
        None => (command, None),
    };
    let mut words: Vec<String> = Vec::new();
    for word in own.split(' ').filter(|word| !word.is_empty()) {
        match words.last_mut() {
            Some(flag)
                if flag.starts_with("--") && !flag.contains([' ', '=']) && !word.starts_with(['-', '&']) =>
            {
                flag.push(' ');
                flag.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words.extend(program.map(str::to_owned));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_commands_are_continued_and_the_program_stays_together() {
        assert_eq!(wrap("kubectl get lease", 40), ["kubectl get lease"]);
        assert_eq!(
            wrap(
                "candidate run --identity alpha -- sh -c 'echo one; exec sleep 1'",
                40
            ),
            [
                "candidate run --identity alpha \\",
                "-- sh -c 'echo one; exec sleep 1'"
            ]
        );
    }

    #[test]
    fn without_a_terminal_nothing_but_text_is_left() {
        assert_eq!(plain("\u{1b}[1;32m✓\u{1b}[0m leads \u{1b}[K", false), "✓ leads ");
        assert_eq!(
            plain("\r\u{1b}[K\u{1b}[2mwaiting\u{1b}[0m", true),
            "\r\u{1b}[Kwaiting"
        );
    }

    #[test]
    fn times_are_in_milliseconds_with_a_fraction_only_where_it_says_something() {
        for (micros, text) in [
            (4_210, "4.2 ms"),
            (31_400, "31 ms"),
            (2_345_000, "2 345 ms"),
            (999_600, "1 000 ms"),
        ] {
            assert_eq!(milliseconds(Duration::from_micros(micros)), text);
        }
    }
}
