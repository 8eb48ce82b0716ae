//! The log file: one line for each change, in the order of revisions.
//!
//! A line is the FNV-1a checksum of the rest and a JSON record, so that people can read a data folder with `less`. Only
//! the last line may be torn (the process died in the middle of a write that nobody was told about); anything else
//! that cannot be read is an error, not something to skip. When to write and to sync is decided in `disk.rs`.

use super::object::{Key, Stored};
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write as _;

/// One line, read.
#[derive(Debug, PartialEq)]
pub(crate) enum Record {
    /// The first line: the revision that the following objects had reached when the file was written anew.
    Header { revision: u64 },
    /// An object's new state, or its deletion.
    Change {
        revision: u64,
        table: String,
        key: Key,
        object: Option<Value>,
    },
}

/// A line in the middle of a log that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the log cannot be read: {why}")]
pub struct CorruptLog {
    line: usize,
    why: String,
}

#[derive(Deserialize)]
struct Line {
    revision: u64,
    #[serde(default)]
    table: Option<String>,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    object: Option<Value>,
}

pub(crate) fn write_header(out: &mut Vec<u8>, revision: u64) {
    write_line(out, &format!("{{\"revision\":{revision}}}"));
}

pub(crate) fn write_put(out: &mut Vec<u8>, table: &str, object: &Stored) {
    let json = std::str::from_utf8(&object.json).expect("JSON text is UTF-8");
    write_change(out, table, &object.key, object.revision, json);
}

pub(crate) fn write_delete(out: &mut Vec<u8>, table: &str, key: &Key, revision: u64) {
    write_change(out, table, key, revision, "null");
}

fn write_change(out: &mut Vec<u8>, table: &str, key: &Key, revision: u64, object: &str) {
    let mut record = String::with_capacity(object.len() + 160);
    let (table, namespace) = (Value::from(table), Value::from(key.namespace.as_str()));
    let name = Value::from(key.name.as_str());
    write!(
        record,
        "{{\"revision\":{revision},\"table\":{table},\"namespace\":{namespace},\"name\":{name},\"object\":{object}}}"
    )
    .expect("writing into a String does not fail");
    write_line(out, &record);
}

fn write_line(out: &mut Vec<u8>, record: &str) {
    let line = format!("{:016x} {record}\n", checksum(record.as_bytes()));
    out.extend_from_slice(line.as_bytes());
}

/// Reads a whole log. A torn last line is left out.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Record>, CorruptLog> {
    let mut records = Vec::new();
    let mut rest = bytes;
    let mut line = 0;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        line += 1;
        let (text, after) = (&rest[..end], &rest[end + 1..]);
        match read_line(text) {
            Ok(record) => records.push(record),
            Err(_) if after.is_empty() => break,
            Err(why) => return Err(CorruptLog { line, why }),
        }
        rest = after;
    }
    Ok(records)
}

fn read_line(text: &[u8]) -> Result<Record, String> {
    let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
    let (sum, record) = text.split_once(' ').ok_or("it has no checksum")?;
    if u64::from_str_radix(sum, 16).ok() != Some(checksum(record.as_bytes())) {
        return Err("its checksum is wrong".into());
    }
    let line: Line = serde_json::from_str(record).map_err(|error| error.to_string())?;
    let Some(table) = line.table else {
        return Ok(Record::Header {
            revision: line.revision,
        });
    };
    let key = Key {
        namespace: line.namespace,
        name: line.name,
    };
    Ok(Record::Change {
        revision: line.revision,
        table,
        key,
        object: line.object,
    })
}

/// 64-bit FNV-1a: finds torn and flipped bytes, guards against nothing else.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn log() -> Vec<u8> {
        let mut out = Vec::new();
        write_header(&mut out, 1);
        let object = Stored::new(Key::new("ns", "a"), 2, json!({"metadata": {"name": "a"}}));
        write_put(&mut out, "/things", &object);
        write_delete(&mut out, "/things", &Key::new("ns", "a"), 3);
        out
    }

    #[test]
    fn what_was_written_is_read() {
        let records = read(&log()).unwrap();
        let object = json!({"metadata": {"name": "a", "resourceVersion": "2"}});
        let key = Key::new("ns", "a");
        let change = |revision, object| Record::Change {
            revision,
            table: "/things".into(),
            key: key.clone(),
            object,
        };
        assert_eq!(
            records,
            [
                Record::Header { revision: 1 },
                change(2, Some(object)),
                change(3, None)
            ]
        );
    }

    #[test]
    fn a_torn_tail_is_left_out_wherever_it_is_torn() {
        let whole = log();
        let second_end = whole
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
            .nth(1)
            .unwrap()
            .0
            + 1;
        for end in second_end..whole.len() {
            assert_eq!(read(&whole[..end]).unwrap().len(), 2, "torn at byte {end}");
        }
    }

    #[test]
    fn damage_in_the_middle_is_an_error() {
        let mut damaged = log();
        damaged[60] ^= 1;
        assert!(read(&damaged).unwrap_err().to_string().contains("line 2"));
    }
}
