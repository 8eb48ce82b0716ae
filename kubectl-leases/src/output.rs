//! The forms in which leases are printed.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

use crate::describe::describe;
use crate::table::{Shape, Table};
use crate::view::{LeaseStatus, LeaseStatusList};

/// The value of `-o`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The table with further columns.
    Wide,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// `lease.coordination.k8s.io/NAME`, a line each.
    Name,
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

/// Prints leases in the form that was asked for, once or again and again.
#[derive(Debug)]
pub struct Printer {
    format: Option<Format>,
    /// One lease was named: no list is printed around it.
    one: bool,
    table: Table,
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
            table: Table::new(shape),
        }
    }

    /// Prints what there is.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn print(&mut self, out: &mut impl Write, statuses: Vec<LeaseStatus>) -> io::Result<()> {
        match (self.format, self.one) {
            (Some(Format::Json | Format::Yaml), false) => self.object(out, &LeaseStatusList::new(statuses)),
            (Some(Format::Json | Format::Yaml), true) => {
                statuses.iter().try_for_each(|status| self.object(out, status))
            }
            (None, true) => statuses.iter().try_for_each(|status| describe(out, status)),
            _ => self.rows(out, &statuses),
        }
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
                self.object(out, status)
            }),
            _ => self.rows(out, statuses),
        }?;
        out.flush()
    }

    fn rows(&mut self, out: &mut impl Write, statuses: &[LeaseStatus]) -> io::Result<()> {
        if self.format == Some(Format::Name) {
            return statuses
                .iter()
                .try_for_each(|status| writeln!(out, "lease.coordination.k8s.io/{}", status.name));
        }
        self.table.print(out, statuses)
    }

    fn object(&self, out: &mut impl Write, one: &impl Serialize) -> io::Result<()> {
        let format = match self.format {
            Some(Format::Yaml) => ObjectFormat::Yaml,
            _ => ObjectFormat::Json,
        };
        object(out, format, one)
    }
}
