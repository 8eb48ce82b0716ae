//! The forms in which leases are printed.

use std::io::{self, Write};
use std::str::FromStr;

use clap::ValueEnum;
use serde::Serialize;

use crate::describe::describe;
use crate::table::{Shape, Table, columns};
use crate::template::{Columns, GoTemplate, Template};
use crate::view::{LeaseStatus, LeaseStatusList};

/// The value of `-o`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// The table with further columns.
    Wide,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// `lease.coordination.k8s.io/NAME`, a line each.
    Name,
    /// A table of one's own: `custom-columns=NAME:.path,…`.
    Columns(Columns),
    /// What a template makes of the JSON: `jsonpath=…`.
    Template(Template),
    /// What a template finds in the JSON, as JSON: `jsonpath-as-json=…`.
    TemplateAsJson(Template),
    /// What a Go template makes of the JSON: `go-template=…`.
    GoTemplate(GoTemplate),
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None => match text {
                "wide" => Ok(Self::Wide),
                "json" => Ok(Self::Json),
                "yaml" => Ok(Self::Yaml),
                "name" => Ok(Self::Name),
                _ => Err(refused()),
            },
            Some(("custom-columns", columns)) => columns.parse().map(Self::Columns),
            Some(("custom-columns-file", file)) => Columns::from_lines(&read(file)?).map(Self::Columns),
            Some(("jsonpath", template)) => template.parse().map(Self::Template),
            Some(("jsonpath-file", file)) => read(file)?.parse().map(Self::Template),
            Some(("jsonpath-as-json", template)) => template.parse().map(Self::TemplateAsJson),
            Some(("go-template", template)) => template.parse().map(Self::GoTemplate),
            Some(("go-template-file", file)) => read(file)?.parse().map(Self::GoTemplate),
            Some(_) => Err(refused()),
        }
    }
}

fn read(file: &str) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{file} cannot be read: {error}"))
}

/// What `-o` knows; what ends with `=` goes on.
pub(crate) const FORMATS: [&str; 11] = [
    "wide",
    "json",
    "yaml",
    "name",
    "custom-columns=",
    "custom-columns-file=",
    "jsonpath=",
    "jsonpath-file=",
    "jsonpath-as-json=",
    "go-template=",
    "go-template-file=",
];

fn refused() -> String {
    format!("write one of {}", FORMATS.join(", "))
}

impl Format {
    /// Whether it is a table for people, so that nothing to show is said in words.
    #[must_use]
    pub fn is_table(format: Option<&Self>) -> bool {
        matches!(format, None | Some(Self::Wide | Self::Columns(_)))
    }
}

/// The value of `-o` where there is no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ObjectFormat {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// Prints one object.
///
/// # Errors
/// When `out` cannot be written.
pub fn object(out: &mut impl Write, format: ObjectFormat, object: &impl Serialize) -> io::Result<()> {
    match format {
        ObjectFormat::Yaml => {
            let text = serde_yaml::to_string(object).map_err(io::Error::other)?;
            write!(out, "{text}")
        }
        ObjectFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, object).map_err(io::Error::other)?;
            writeln!(out)
        }
    }
}

/// Prints a list in a form that is not a table of this program's own; `items` are what a name or a line is made of. `false`
/// when the form is one.
///
/// # Errors
/// When `out` cannot be written.
pub fn listed<T: Serialize>(
    out: &mut impl Write,
    format: Option<&Format>,
    headers: bool,
    list: &impl Serialize,
    items: &[T],
    name: impl Fn(&T) -> String,
) -> io::Result<bool> {
    let value = |object: &T| serde_json::to_value(object).map_err(io::Error::other);
    match format {
        None | Some(Format::Wide) => return Ok(false),
        Some(Format::Json) => object(out, ObjectFormat::Json, list)?,
        Some(Format::Yaml) => object(out, ObjectFormat::Yaml, list)?,
        Some(Format::Name) => {
            for item in items {
                writeln!(out, "lease.coordination.k8s.io/{}", name(item))?;
            }
        }
        Some(Format::Columns(shown)) => {
            let rows = items.iter().map(|item| Ok(shown.cells(&value(item)?)));
            let names = headers.then(|| Ok(shown.names()));
            let lines = names.into_iter().chain(rows).collect::<io::Result<_>>()?;
            columns(out, "", lines)?;
        }
        Some(Format::Template(template)) => {
            let list = serde_json::to_value(list).map_err(io::Error::other)?;
            template.print(out, &list)?;
        }
        Some(Format::TemplateAsJson(template)) => {
            let list = serde_json::to_value(list).map_err(io::Error::other)?;
            object(out, ObjectFormat::Json, &template.values(&list))?;
        }
        Some(Format::GoTemplate(template)) => {
            template.print(out, serde_json::to_value(list).map_err(io::Error::other)?)?;
        }
    }
    Ok(true)
}

/// Prints leases in the form that was asked for, once or again and again.
#[derive(Debug)]
pub struct Printer {
    format: Option<Format>,
    /// One lease was named: no list is printed around it.
    one: bool,
    shape: Shape,
    table: Table,
    begun: bool,
}

impl Printer {
    /// `None` is the table, or for one lease everything about it.
    #[must_use]
    pub fn new(format: Option<Format>, one: bool, shape: Shape) -> Self {
        let shape = Shape {
            wide: format == Some(Format::Wide),
            ..shape
        };
        Self {
            format,
            one,
            shape,
            table: Table::new(shape),
            begun: false,
        }
    }

    /// Prints what there is.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn print(&mut self, out: &mut impl Write, statuses: Vec<LeaseStatus>) -> io::Result<()> {
        if !self.one {
            let list = LeaseStatusList::new(statuses);
            return self.list(out, &list);
        }
        if self.format.is_none() {
            return statuses.iter().try_for_each(|status| describe(out, status));
        }
        statuses.iter().try_for_each(|status| self.single(out, status))
    }

    /// Prints what has changed: one line for each lease, except in YAML.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn print_changed(&mut self, out: &mut impl Write, statuses: &[LeaseStatus]) -> io::Result<()> {
        match self.format {
            Some(Format::Json) => statuses.iter().try_for_each(|status| {
                let line = serde_json::to_string(status).map_err(io::Error::other)?;
                writeln!(out, "{line}")
            }),
            Some(Format::Yaml) => statuses.iter().try_for_each(|status| {
                writeln!(out, "---")?;
                object(out, ObjectFormat::Yaml, status)
            }),
            None | Some(Format::Wide) => self.table.print(out, statuses),
            _ => statuses.iter().try_for_each(|status| self.single(out, status)),
        }?;
        out.flush()
    }

    /// Prints everything anew over what the screen shows: for a terminal of so many columns and lines, if that is known. What
    /// has no room is counted in the last line, so that the names of the columns and the first rows stay.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn repaint(
        &mut self,
        out: &mut impl Write,
        statuses: &[LeaseStatus],
        size: Option<(u16, u16)>,
    ) -> io::Result<()> {
        let (columns, lines) = size.map_or((usize::MAX, usize::MAX), |(columns, lines)| {
            (usize::from(columns), usize::from(lines))
        });
        // The cursor stands behind the last line.
        let room = lines.saturating_sub(1 + usize::from(self.shape.headers));
        let rows = if statuses.len() > room {
            room.saturating_sub(1)
        } else {
            statuses.len()
        };
        let mut text = Vec::new();
        Table::new(self.shape).print(&mut text, &statuses[..rows])?;
        if statuses.len() > rows {
            let more = statuses.len() - rows;
            writeln!(text, "and {more} more: choose with --problems, --state or -n")?;
        }
        let clear = if self.begun {
            "\u{1b}[H"
        } else {
            "\u{1b}[2J\u{1b}[H"
        };
        self.begun = true;
        write!(out, "{clear}")?;
        for line in String::from_utf8_lossy(&text).lines() {
            write!(out, "{}\u{1b}[K\r\n", clipped(line, columns))?;
        }
        write!(out, "\u{1b}[J")?;
        out.flush()
    }

    /// Whether it prints a table that can be painted anew.
    #[must_use]
    pub const fn is_table(&self) -> bool {
        matches!(self.format, None | Some(Format::Wide))
    }

    /// One lease by itself, in a form that is the same for one and for several.
    fn single(&mut self, out: &mut impl Write, status: &LeaseStatus) -> io::Result<()> {
        let headers = self.shape.headers && !std::mem::replace(&mut self.begun, true);
        let items = std::slice::from_ref(status);
        let printed = listed(out, self.format.as_ref(), headers, status, items, |status| {
            status.name.clone()
        })?;
        if printed {
            Ok(())
        } else {
            self.table.print(out, items)
        }
    }

    fn list(&mut self, out: &mut impl Write, list: &LeaseStatusList) -> io::Result<()> {
        let headers = self.shape.headers;
        let printed = listed(out, self.format.as_ref(), headers, list, &list.items, |status| {
            status.name.clone()
        })?;
        if printed {
            Ok(())
        } else {
            self.table.print(out, &list.items)
        }
    }
}

/// The beginning of a line that fits in so many columns; colours take none, and all of them are kept, so that each ends.
fn clipped(line: &str, columns: usize) -> String {
    let mut shown = String::with_capacity(line.len());
    let (mut used, mut colour) = (0, false);
    for letter in line.chars() {
        colour |= letter == '\u{1b}';
        if colour {
            shown.push(letter);
            colour = letter != 'm';
        } else if used < columns {
            shown.push(letter);
            used += 1;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_where_the_terminal_ends() {
        assert_eq!(clipped("demo   Held", 20), "demo   Held");
        assert_eq!(clipped("demo   Held", 9), "demo   He");
        let colored = "demo   \u{1b}[32mHeld\u{1b}[0m   alpha";
        assert_eq!(clipped(colored, 9), "demo   \u{1b}[32mHe\u{1b}[0m");
        assert_eq!(clipped(colored, 99), colored);
    }
}
