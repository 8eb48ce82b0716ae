//! Objects as clients see them: plain, as a table, or as metadata only.

use super::accept::{Format, Shape};
use crate::kinds::{Column, Kind};
use crate::store::Stored;
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Value, json};
use std::sync::Arc;

/// What the rows of a table carry besides their cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Include {
    Metadata,
    Object,
    Nothing,
}

/// How one request wants its objects.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) format: Format,
    pub(crate) include: Include,
}

impl View {
    /// Whether the stored bytes can be sent as they are.
    fn is_verbatim(self, kind: &Kind) -> bool {
        self.format.shape == Shape::Object && !self.format.yaml && kind.is_stored_form()
    }

    /// One object. `headers` says whether a table names its columns.
    pub(crate) fn object(self, kind: &Kind, object: &Value, headers: bool) -> Value {
        match self.format.shape {
            Shape::Object => object.clone(),
            Shape::Partial => partial(object),
            Shape::Table => {
                let version = object["metadata"]["resourceVersion"].clone();
                let metadata = json!({"resourceVersion": version});
                self.table(kind, [object], &metadata, headers)
            }
        }
    }

    /// One stored object, as bytes.
    pub(crate) fn stored(self, kind: &Kind, object: &Stored, headers: bool) -> Bytes {
        if self.is_verbatim(kind) {
            return object.json.clone();
        }
        let wire = kind.to_wire(object.value());
        self.object(kind, &wire, headers).to_string().into()
    }

    /// A list as JSON bytes. A plain list is put together from stored bytes, without parsing them.
    pub(crate) fn list(self, kind: &Kind, objects: &[Arc<Stored>], metadata: &Value) -> Bytes {
        if self.is_verbatim(kind) {
            return verbatim_list(kind, objects, metadata);
        }
        let wires: Vec<Value> = objects
            .iter()
            .map(|object| kind.to_wire(object.value()))
            .collect();
        let value = match self.format.shape {
            Shape::Object => {
                let items: Vec<Value> = wires.into_iter().map(|wire| without_type(kind, wire)).collect();
                let (version, list) = (kind.api_version(), &kind.list_kind);
                json!({"kind": list, "apiVersion": version, "metadata": metadata, "items": items})
            }
            Shape::Partial => {
                let items: Vec<Value> = wires.iter().map(partial).collect();
                // A real server leaves the empty list nil.
                let items = (!items.is_empty()).then_some(items);
                let (list, version) = ("PartialObjectMetadataList", "meta.k8s.io/v1");
                json!({"kind": list, "apiVersion": version, "metadata": metadata, "items": items})
            }
            Shape::Table => self.table(kind, wires.iter(), metadata, true),
        };
        value.to_string().into()
    }

    fn table<'a>(
        self,
        kind: &Kind,
        objects: impl IntoIterator<Item = &'a Value>,
        metadata: &Value,
        headers: bool,
    ) -> Value {
        let definitions: Option<Vec<Value>> =
            headers.then(|| kind.columns.iter().map(Column::definition).collect());
        let row = |object: &Value| {
            let cells: Vec<Value> = kind.columns.iter().map(|column| column.cell(object)).collect();
            let shown = match self.include {
                Include::Metadata => partial(object),
                Include::Object => object.clone(),
                Include::Nothing => Value::Null,
            };
            json!({"cells": cells, "object": shown})
        };
        let rows: Vec<Value> = objects.into_iter().map(row).collect();
        json!({
            "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
            "columnDefinitions": definitions, "rows": rows,
        })
    }
}

fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

/// Items of built-in lists do not repeat what they are; custom resources do.
fn without_type(kind: &Kind, mut object: Value) -> Value {
    if let Some(map) = object.as_object_mut().filter(|_| !kind.custom) {
        map.remove("apiVersion");
        map.remove("kind");
    }
    object
}

fn verbatim_list(kind: &Kind, objects: &[Arc<Stored>], metadata: &Value) -> Bytes {
    let version = kind.api_version();
    let head = format!(
        "{{\"kind\":\"{}\",\"apiVersion\":\"{version}\",\"metadata\":{metadata},\"items\":[",
        kind.list_kind
    );
    // Stored objects are serialized with sorted keys, so the type of most comes first.
    let type_prefix = format!("{{\"apiVersion\":\"{version}\",\"kind\":\"{}\",", kind.kind);
    let size: usize = objects.iter().map(|object| object.json.len() + 1).sum();
    let mut list = BytesMut::with_capacity(head.len() + size + 2);
    list.put_slice(head.as_bytes());
    for (index, object) in objects.iter().enumerate() {
        if index > 0 {
            list.put_u8(b',');
        }
        match object
            .json
            .strip_prefix(type_prefix.as_bytes())
            .filter(|_| !kind.custom)
        {
            Some(rest) => {
                list.put_u8(b'{');
                list.put_slice(rest);
            }
            None if kind.custom => list.put_slice(&object.json),
            None => list.put_slice(without_type(kind, object.value()).to_string().as_bytes()),
        }
    }
    list.put_slice(b"]}");
    list.freeze()
}
