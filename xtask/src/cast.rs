//! Recordings of a terminal in the format asciicast v2: written while something runs, and read again.
//!
//! Version 2 and not 3, because every player and converter reads it. Pictures are made of it in `svg.rs`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use crate::shell;

/// The first line of a recording. It has no time stamp, so that it says nothing about when and where it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    version: u8,
    /// Columns of the terminal.
    pub(crate) width: usize,
    /// Rows of the terminal.
    pub(crate) height: usize,
    /// What people see as its name.
    #[serde(default)]
    pub(crate) title: String,
}

/// Something that was printed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    /// When, since the beginning.
    pub(crate) at: Duration,
    /// What, with its control sequences.
    pub(crate) text: String,
}

/// A whole recording.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cast {
    pub(crate) header: Header,
    pub(crate) events: Vec<Event>,
}

impl Cast {
    /// Reads a recording.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        Self::parse(&text).with_context(|| format!("{} is no asciicast v2", file.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let header: Header =
            serde_json::from_str(lines.next().context("it is empty")?).context("line 1: no header")?;
        ensure!(header.version == 2, "version {} instead of 2", header.version);
        let mut events = Vec::new();
        for (number, line) in lines.enumerate() {
            let (at, kind, text): (f64, String, String) =
                serde_json::from_str(line).with_context(|| format!("line {}: no event", number + 2))?;
            ensure!(
                at.is_finite() && at >= 0.0,
                "line {}: {at} is no time",
                number + 2
            );
            if kind == "o" {
                events.push(Event {
                    at: Duration::from_secs_f64(at),
                    text,
                });
            }
        }
        Ok(Self { header, events })
    }
}

/// Writes a recording while it happens.
#[derive(Debug)]
pub(crate) struct Recorder<W: Write = BufWriter<File>> {
    to: W,
    began: Instant,
}

impl Recorder {
    /// Starts a recording in a file; its time begins now.
    pub(crate) fn create(file: &Path, width: usize, height: usize, title: &str) -> anyhow::Result<Self> {
        let to =
            BufWriter::new(File::create(file).with_context(|| format!("cannot write {}", file.display()))?);
        Self::start(to, width, height, title)
    }
}

impl<W: Write> Recorder<W> {
    fn start(mut to: W, width: usize, height: usize, title: &str) -> anyhow::Result<Self> {
        let header = Header {
            version: 2,
            width,
            height,
            title: title.to_owned(),
        };
        writeln!(to, "{}", serde_json::to_string(&header)?)?;
        Ok(Self {
            to,
            began: shell::now(),
        })
    }

    /// Records what is printed now.
    pub(crate) fn output(&mut self, text: &str) -> std::io::Result<()> {
        let at = self.began.elapsed();
        self.output_at(at, text)
    }

    fn output_at(&mut self, at: Duration, text: &str) -> std::io::Result<()> {
        // A terminal in raw mode, which a recording is, does not return its carriage by itself.
        let text = serde_json::to_string(&text.replace('\n', "\r\n"))?;
        writeln!(self.to, "[{:.3}, \"o\", {text}]", at.as_secs_f64())
    }

    /// Writes down what is still in memory.
    pub(crate) fn finish(mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_is_read_again() {
        let mut recorder = Recorder::start(Vec::new(), 80, 24, "a title").unwrap();
        recorder.output_at(Duration::from_millis(12), "$ ls\n").unwrap();
        recorder
            .output_at(Duration::from_millis(1500), "\u{1b}[32m✓\u{1b}[0m \"done\"\n")
            .unwrap();
        let text = String::from_utf8(recorder.to).unwrap();
        let cast = Cast::parse(&text).unwrap();
        assert_eq!(
            (cast.header.width, cast.header.height, cast.header.title.as_str()),
            (80, 24, "a title")
        );
        let events: Vec<_> = cast
            .events
            .iter()
            .map(|event| (event.at.as_millis(), event.text.as_str()))
            .collect();
        assert_eq!(
            events,
            [(12, "$ ls\r\n"), (1500, "\u{1b}[32m✓\u{1b}[0m \"done\"\r\n")]
        );
    }

    #[test]
    fn input_events_are_passed_over_and_other_versions_refused() {
        let cast =
            Cast::parse("{\"version\":2,\"width\":1,\"height\":1}\n[0.5,\"i\",\"x\"]\n[0.6,\"o\",\"y\"]\n")
                .unwrap();
        assert_eq!(cast.events.len(), 1);
        for bad in [
            "",
            "[]",
            "{\"version\":3,\"width\":1,\"height\":1}",
            "{\"version\":2,\"width\":1,\"height\":1}\n[1]",
        ] {
            assert!(Cast::parse(bad).is_err(), "{bad:?} should be refused");
        }
    }
}
