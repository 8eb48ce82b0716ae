//! What is wrong, and what to do about it: findings, and how they are printed.
//!
//! Each part looks at one thing: `leases` at what one read shows, `knobs` at what candidates have noted of theirs, `second_look`
//! at what only a while shows, `rights` at who may do what, `server` at the API server and the clocks. What counts as wrong in an election is said by `election-core`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::view::API_VERSION;
use crate::words::{COLUMNS, wrapped};

const INDENT: &str = "         ";
/// So many checks of a kind that passed are printed; what is well about thousands of leases is one line.
const ALIKE: usize = 10;

pub mod knobs;
pub mod leases;
pub(crate) mod rights;
pub(crate) mod second_look;
pub mod server;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Good to know.
    Note,
    /// Not as it should be, though elections go on.
    Warning,
    /// An election does not go on as it should.
    Problem,
}

impl Severity {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "WARNING",
            Self::Problem => "PROBLEM",
        }
    }
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A word that stays the same.
    pub code: &'static str,
    /// What it is about: `namespace/name`, or a part of the cluster.
    pub about: String,
    /// What was found.
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Finding {
    fn new(
        severity: Severity,
        code: &'static str,
        about: impl ToString,
        message: impl Into<String>,
        advice: &str,
    ) -> Self {
        Self {
            severity,
            code,
            about: about.to_string(),
            message: message.into(),
            advice: (!advice.is_empty()).then(|| advice.to_owned()),
        }
    }

    pub(crate) fn ok(code: &'static str, about: impl ToString, message: impl Into<String>) -> Self {
        Self::new(Severity::Ok, code, about, message, "")
    }

    pub(crate) fn note(
        code: &'static str,
        about: impl ToString,
        message: impl Into<String>,
        advice: &str,
    ) -> Self {
        Self::new(Severity::Note, code, about, message, advice)
    }

    pub(crate) fn warning(
        code: &'static str,
        about: impl ToString,
        message: impl Into<String>,
        advice: &str,
    ) -> Self {
        Self::new(Severity::Warning, code, about, message, advice)
    }

    pub(crate) fn problem(
        code: &'static str,
        about: impl ToString,
        message: impl Into<String>,
        advice: &str,
    ) -> Self {
        Self::new(Severity::Problem, code, about, message, advice)
    }
}

/// Everything that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// [`API_VERSION`].
    pub api_version: &'static str,
    /// `DoctorReport`.
    pub kind: &'static str,
    /// How many there are of each kind, also of those that are not among the items.
    pub summary: Summary,
    /// The worst first.
    pub items: Vec<Finding>,
}

/// How many findings there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Problems.
    pub problems: usize,
    /// Warnings.
    pub warnings: usize,
    /// Notes.
    pub notes: usize,
    /// Checks that passed.
    pub passed: usize,
}

impl Report {
    /// The worst first; what is equally bad stays in order.
    #[must_use]
    pub fn new(mut items: Vec<Finding>) -> Self {
        items.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        let count = |severity| items.iter().filter(|one| one.severity == severity).count();
        let summary = Summary {
            problems: count(Severity::Problem),
            warnings: count(Severity::Warning),
            notes: count(Severity::Note),
            passed: count(Severity::Ok),
        };
        Self {
            api_version: API_VERSION,
            kind: "DoctorReport",
            summary,
            items,
        }
    }

    /// Shows warnings and problems alone; the summary counts all.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.items.retain(|finding| finding.severity >= Severity::Warning);
        self
    }

    /// Whether something is not as it should be.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.items
            .iter()
            .any(|finding| finding.severity >= Severity::Warning)
    }

    /// Prints it for people.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let mut passed: BTreeMap<&str, usize> = BTreeMap::new();
        for finding in &self.items {
            if finding.severity == Severity::Ok {
                let alike = passed.entry(finding.code).or_default();
                *alike += 1;
                if *alike > ALIKE {
                    continue;
                }
            }
            let text = format!("{}: {} ({})", finding.about, finding.message, finding.code);
            writeln!(
                out,
                "{:<9}{}",
                finding.severity.as_str(),
                wrapped(&text, COLUMNS, INDENT)
            )?;
            if let Some(advice) = &finding.advice {
                writeln!(
                    out,
                    "{INDENT}do: {}",
                    wrapped(advice, COLUMNS, &format!("{INDENT}    "))
                )?;
            }
        }
        for (code, alike) in passed.iter().filter(|(_, alike)| **alike > ALIKE) {
            let ok = Severity::Ok.as_str();
            writeln!(out, "{ok:<9}and {} more like these ({code})", alike - ALIKE)?;
        }
        let several =
            |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
        writeln!(
            out,
            "\n{}, {}, {}, {} passed.",
            several(self.summary.problems, "problem"),
            several(self.summary.warnings, "warning"),
            several(self.summary.notes, "note"),
            several(self.summary.passed, "check"),
        )
    }
}
