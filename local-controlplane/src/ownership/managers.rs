//! The managers of an object, and their form on the wire: `metadata.managedFields`.

use super::field_set::FieldSet;
use serde_json::{Map, Value, json};
use std::fmt;

/// How many entries of updates an object has at most; the oldest are then summed up under one name.
const MAX_UPDATERS: usize = 10;
const SUMMARY: &str = "ancient-changes";
const FORMAT: &str = "FieldsV1";

/// How a manager came to its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Apply,
    Update,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// Who owns fields. One name may stand for several: what it applies, what it updates, and what it does to a
/// subresource are kept apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) manager: String,
    pub(super) operation: Operation,
    pub(super) api_version: String,
    pub(super) subresource: String,
}

impl Owner {
    /// Somebody who applies in another version than before is the same one.
    fn is(&self, other: &Self) -> bool {
        let version = self.operation == Operation::Apply || self.api_version == other.api_version;
        version
            && self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
    }
}

/// As the message of a conflict names it.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.manager)?;
        if !self.subresource.is_empty() {
            write!(f, " with subresource {:?}", self.subresource)?;
        }
        match self.operation {
            Operation::Update => write!(f, " using {}", self.api_version),
            Operation::Apply => Ok(()),
        }
    }
}

/// One owner's fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) owner: Owner,
    /// When they last changed, in whole seconds.
    pub(super) time: Option<String>,
    pub(super) fields: FieldSet,
}

/// All owners of an object's fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Managers(Vec<Entry>);

impl Managers {
    /// Reads `managedFields`. Nothing: somebody has written there what cannot be read.
    pub(super) fn decode(json: &Value) -> Option<Self> {
        let mut managers = Self::default();
        for entry in json.as_array().into_iter().flatten() {
            let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
            let operation = match entry["operation"].as_str() {
                Some("Apply") => Operation::Apply,
                Some("Update") => Operation::Update,
                _ => return None,
            };
            let owner = Owner {
                manager: text("manager"),
                operation,
                api_version: text("apiVersion"),
                subresource: text("subresource"),
            };
            if owner.api_version.is_empty() || entry["fieldsType"] != FORMAT {
                return None;
            }
            let fields = match &entry["fieldsV1"] {
                Value::Null => FieldSet::default(),
                fields => FieldSet::from_json(fields)?,
            };
            let time = entry["time"].as_str().map(str::to_owned);
            managers.put(Entry { owner, time, fields });
        }
        Some(managers)
    }

    /// The form on the wire; nothing when there is no manager.
    pub(super) fn encode(mut self) -> Option<Value> {
        let key = |entry: &Entry| {
            let owner = entry.owner.clone();
            (
                owner.operation,
                entry.time.clone(),
                owner.manager,
                owner.api_version,
                owner.subresource,
            )
        };
        self.0.sort_by_cached_key(key);
        let entries: Vec<Value> = self.0.into_iter().map(encode_entry).collect();
        (!entries.is_empty()).then_some(Value::Array(entries))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }

    pub(super) fn get(&self, owner: &Owner) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.owner.is(owner))
    }

    /// Sets an owner's entry; one without fields goes.
    pub(super) fn put(&mut self, entry: Entry) {
        match self.0.iter_mut().find(|present| present.owner.is(&entry.owner)) {
            Some(present) => *present = entry,
            None => self.0.push(entry),
        }
    }

    /// Keeps the entries for which `wanted` holds.
    pub(super) fn retain(&mut self, wanted: impl FnMut(&Entry) -> bool) {
        self.0.retain(wanted);
    }

    /// Changes everybody's fields. Whoever has none left is no manager any more.
    pub(super) fn change(&mut self, change: impl Fn(&Entry) -> Option<FieldSet>) {
        for entry in &mut self.0 {
            if let Some(fields) = change(entry) {
                entry.fields = fields;
            }
        }
        self.0.retain(|entry| !entry.fields.is_empty());
    }

    /// Takes fields away from everybody. Whoever has none left is no manager any more.
    pub(super) fn take_away(&mut self, fields: &FieldSet) {
        if fields.is_empty() {
            return;
        }
        for entry in &mut self.0 {
            entry.fields.remove_all(fields);
        }
        self.0.retain(|entry| !entry.fields.is_empty());
    }

    /// Sums up the oldest updates when there are too many.
    pub(super) fn cap(&mut self) {
        let mut updaters = self
            .0
            .iter()
            .filter(|entry| entry.owner.operation == Operation::Update)
            .count();
        if updaters <= MAX_UPDATERS {
            return;
        }
        let mut oldest: Vec<Owner> = {
            let mut entries: Vec<&Entry> = self.0.iter().collect();
            entries.sort_by_key(|entry| (entry.time.clone(), identifier(&entry.owner)));
            let owners = entries.into_iter().map(|entry| entry.owner.clone());
            owners
                .filter(|owner| owner.operation == Operation::Update)
                .collect()
        };
        let mut first: Option<Owner> = None;
        for owner in oldest.drain(..) {
            if updaters <= MAX_UPDATERS {
                break;
            }
            match &first {
                Some(first) if first.api_version == owner.api_version => {
                    self.sum_up(first, &owner);
                    updaters -= 1;
                }
                _ => first = Some(owner),
            }
        }
    }

    /// Puts the fields of `owner` into the summary, which begins with those of `first`.
    fn sum_up(&mut self, first: &Owner, owner: &Owner) {
        let summary = Owner {
            manager: SUMMARY.into(),
            operation: Operation::Update,
            api_version: owner.api_version.clone(),
            subresource: String::new(),
        };
        let begin = if self.get(&summary).is_some() {
            &summary
        } else {
            first
        };
        let mut fields = self
            .get(begin)
            .map(|entry| entry.fields.clone())
            .unwrap_or_default();
        let mut time = None;
        if let Some(entry) = self.get(owner) {
            fields.add_all(&entry.fields);
            time.clone_from(&entry.time);
        }
        let begin = begin.clone();
        self.0
            .retain(|entry| !entry.owner.is(&begin) && !entry.owner.is(owner));
        self.put(Entry {
            owner: summary,
            time,
            fields,
        });
    }
}

/// What upstream orders owners of the same second by: their JSON form.
fn identifier(owner: &Owner) -> String {
    let mut json = format!(
        "{{\"manager\":{:?},\"operation\":\"{}\",\"apiVersion\":{:?}",
        owner.manager,
        owner.operation.name(),
        owner.api_version
    );
    if !owner.subresource.is_empty() {
        json += &format!(",\"subresource\":{:?}", owner.subresource);
    }
    json + "}"
}

fn encode_entry(entry: Entry) -> Value {
    let owner = entry.owner;
    let mut json = Map::new();
    json.insert("manager".into(), owner.manager.into());
    json.insert("operation".into(), owner.operation.name().into());
    json.insert("apiVersion".into(), owner.api_version.into());
    if let Some(time) = entry.time {
        json.insert("time".into(), time.into());
    }
    json.insert("fieldsType".into(), FORMAT.into());
    json.insert("fieldsV1".into(), entry.fields.to_json());
    if !owner.subresource.is_empty() {
        json.insert("subresource".into(), owner.subresource.into());
    }
    Value::Object(json)
}

/// Whether a client asks to forget all managers.
pub(super) fn is_reset(managed: &Value) -> bool {
    managed
        .as_array()
        .is_some_and(|entries| entries.is_empty() || *entries == [json!({})])
}
