//! What a schema says of one place in an object, as far as ownership asks: which fields are named, how the items of a
//! list are told apart, and what is owned as a whole.

use crate::schema::{ListType, Schema, Types};
use serde_json::Value;

/// A place in an object. Where the schema leaves it open, maps are owned field by field and lists as a whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape<'a>(Place<'a>);

#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    Open,
    Text,
    Described {
        schema: &'a Schema,
        metadata: &'a Schema,
    },
}

/// A field of a place.
pub(super) struct Field<'a> {
    pub(super) shape: Shape<'a>,
    /// The schema has a property of that name.
    pub(super) is_named: bool,
    /// The schema allows it.
    pub(super) is_known: bool,
}

/// What a value is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Map,
    List,
    Scalar,
}

static WHOLE: ListType = ListType::Atomic;

impl<'a> Shape<'a> {
    /// The root of an object. `metadata` is what an embedded object's metadata is, whatever its schema says.
    pub(crate) fn of(schema: &'a Schema, metadata: &'a Schema) -> Self {
        Self(Place::Described { schema, metadata })
    }

    pub(super) fn open() -> Self {
        Self(Place::Open)
    }

    pub(super) fn schema(self) -> Option<&'a Schema> {
        match self.0 {
            Place::Described { schema, .. } => Some(schema),
            Place::Open | Place::Text => None,
        }
    }

    pub(super) fn is_text(self) -> bool {
        matches!(self.0, Place::Text)
    }

    pub(super) fn field(self, name: &str) -> Field<'a> {
        let Place::Described { schema, metadata } = self.0 else {
            return Field {
                shape: Self::open(),
                is_named: false,
                is_known: true,
            };
        };
        let named = |shape| Field {
            shape,
            is_named: true,
            is_known: true,
        };
        let inner = |schema: &'a Schema| Self::of(schema, metadata);
        if let Some(property) = schema.properties.get(name) {
            return named(inner(property));
        }
        if schema.embedded && matches!(name, "apiVersion" | "kind") {
            return named(Self(Place::Text));
        }
        if schema.embedded && name == "metadata" {
            return named(inner(metadata));
        }
        let shape = schema.additional.as_deref().map_or_else(Self::open, inner);
        let is_known = schema.additional.is_some() || schema.preserve_unknown;
        Field {
            shape,
            is_named: false,
            is_known,
        }
    }

    pub(super) fn items(self) -> Self {
        match self.0 {
            Place::Described { schema, metadata } => schema
                .items
                .as_deref()
                .map_or_else(Self::open, |items| Self::of(items, metadata)),
            Place::Open | Place::Text => Self::open(),
        }
    }

    /// The default of a field that an item leaves out.
    pub(super) fn default_of(self, field: &str) -> Option<&'a Value> {
        self.schema()?.properties.get(field)?.default.as_ref()
    }

    pub(super) fn list(self) -> &'a ListType {
        self.schema().map_or(&WHOLE, |schema| &schema.list)
    }

    /// Whether a map is owned as a whole.
    pub(super) fn is_atomic_map(self) -> bool {
        self.schema().is_some_and(|schema| schema.atomic)
    }

    /// What a value is here. A null is what the schema expects, because it may stand for anything.
    pub(super) fn form(self, value: &Value) -> Form {
        match value {
            Value::Object(_) => Form::Map,
            Value::Array(_) => Form::List,
            Value::Null => match self.schema().map(|schema| schema.types) {
                Some(Types::Array) => Form::List,
                Some(Types::Object | Types::Any) | None if !self.is_text() => Form::Map,
                _ => Form::Scalar,
            },
            _ => Form::Scalar,
        }
    }
}
