//! What a real server was seen to answer, kept in files beside this crate.
//!
//! `cargo xtask conformance --record` writes them. Record only what a real server says.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde_json::Value;

use crate::cluster::{Cluster, Exchange};
use crate::normal::Normal;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("goldens")
        .join(format!("{name}.txt"))
}

/// Keeps what a real server said.
pub(crate) fn record(name: &str, text: &str) {
    let path = path(name);
    let written = fs::write(&path, text);
    written.unwrap_or_else(|error| panic!("{} cannot be written: {error}", path.display()));
}

/// What a real server was seen to say.
pub(crate) fn recorded(name: &str) -> io::Result<String> {
    fs::read_to_string(path(name))
}

impl Cluster {
    /// Everything that was said until now must be what a real server said.
    #[track_caller]
    pub(crate) fn expect_transcript(&self, name: &str) {
        self.expect_golden(name, &transcript(&self.exchanges()));
    }

    /// The text must be what it was on a real server.
    #[track_caller]
    pub(crate) fn expect_golden(&self, name: &str, text: &str) {
        if self.target.record {
            record(name, text);
            return;
        }
        let golden =
            recorded(name).unwrap_or_else(|error| panic!("goldens/{name}.txt cannot be read: {error}"));
        if golden != text {
            panic!("not as in goldens/{name}.txt:\n{}", difference(&golden, text));
        }
    }
}

/// The lines that differ, each with the line before it.
fn difference(golden: &str, text: &str) -> String {
    let changes = similar::TextDiff::from_lines(golden, text);
    let mut unified = changes.unified_diff();
    unified
        .context_radius(1)
        .header("a real server", "this one")
        .to_string()
}

fn transcript(exchanges: &[Exchange]) -> String {
    let mut normal = Normal::default();
    let mut text = String::new();
    for exchange in exchanges {
        text += &format!("> {}\n", exchange.request);
        if !exchange.sent.is_empty() {
            text += &format!("> {}\n", shortened(&sent(&mut normal, &exchange.sent)));
        }
        for warning in &exchange.warnings {
            text += &format!("! {warning}\n");
        }
        let got = match serde_json::from_str(&exchange.got) {
            Ok(mut reply) => {
                without_managers(&mut reply);
                normal.reply(&mut reply);
                reply.to_string()
            }
            Err(_) => exchange.got.trim_end().to_owned(),
        };
        text += &format!("< {} {}\n\n", exchange.code, shortened(&got));
    }
    text
}

/// A body as it was sent, unless it came from the server before: its uid and version are of no interest.
fn sent(normal: &mut Normal, body: &str) -> String {
    match serde_json::from_str(body) {
        Ok(mut sent) if body.contains("creationTimestamp\":\"20") => {
            without_managers(&mut sent);
            normal.reply(&mut sent);
            Value::to_string(&sent)
        }
        _ => body.to_owned(),
    }
}

/// Who owns which field has checks of its own, and is compared by the walk: here it would hide the rest.
fn without_managers(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("managedFields");
            fields.values_mut().for_each(without_managers);
        }
        Value::Array(items) => items.iter_mut().for_each(without_managers),
        _ => {}
    }
}

/// Long texts by their beginning and length.
fn shortened(text: &str) -> String {
    const ENOUGH: usize = 4000;
    match text.char_indices().nth(ENOUGH) {
        Some((end, _)) => format!("{}… {} bytes", &text[..end], text.len()),
        None => text.to_owned(),
    }
}
