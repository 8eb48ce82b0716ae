//! Reads schemas from their JSON form: a CustomResourceDefinition's, or generated ones with `$ref`s.

use super::{Combination, Limits, ListType, Schema, Types};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

const REFERENCE: &str = "#/components/schemas/";
const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";

/// Named schemas that others refer to.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    raw: Map<String, Value>,
    parsed: BTreeMap<String, Arc<Schema>>,
}

impl Definitions {
    /// Definitions by name, each in JSON form.
    pub(crate) fn new(raw: Map<String, Value>) -> Self {
        Self {
            raw,
            parsed: BTreeMap::new(),
        }
    }

    /// Reads a schema. The error is a message that names the place.
    pub(crate) fn parse(&mut self, json: &Value) -> Result<Arc<Schema>, String> {
        if let Some(reference) = json["$ref"].as_str() {
            let named = self.named(reference.trim_start_matches(REFERENCE))?;
            let Some(default) = json.get("default") else {
                return Ok(named);
            };
            let mut schema = Schema::clone(&named);
            schema.default = Some(default.clone());
            return Ok(Arc::new(schema));
        }
        let mut schema = Schema {
            types: types(json),
            nullable: flag(json, "nullable"),
            required: strings(&json["required"]),
            default: json.get("default").cloned(),
            allowed: json["enum"].as_array().cloned().unwrap_or_default(),
            preserve_unknown: flag(json, "x-kubernetes-preserve-unknown-fields"),
            embedded: flag(json, "x-kubernetes-embedded-resource"),
            limits: limits(json)?,
            list: list_type(json),
            typed: self.has_names(),
            atomic: json["x-kubernetes-map-type"] == "atomic",
            ..Schema::default()
        };
        for (name, property) in json["properties"].as_object().into_iter().flatten() {
            let property = self
                .parse(property)
                .map_err(|why| format!("properties[{name}].{why}"))?;
            schema.properties.insert(name.clone(), property);
        }
        match &json["additionalProperties"] {
            Value::Object(_) => schema.additional = Some(self.parse(&json["additionalProperties"])?),
            Value::Bool(true) => schema.preserve_unknown = true,
            _ => {}
        }
        if json["items"].is_object() {
            schema.items = Some(self.parse(&json["items"]).map_err(|why| format!("items.{why}"))?);
        }
        for (keyword, how) in [
            ("allOf", Combination::All),
            ("anyOf", Combination::Any),
            ("oneOf", Combination::One),
        ] {
            let branches = json[keyword].as_array().into_iter().flatten();
            let branches = branches
                .map(|branch| self.parse(branch))
                .collect::<Result<Vec<_>, _>>()?;
            if !branches.is_empty() {
                schema.combined.push((how, branches));
            }
        }
        if json["not"].is_object() {
            schema
                .combined
                .push((Combination::Not, vec![self.parse(&json["not"])?]));
        }
        let holds_nothing = schema.properties.is_empty() && schema.additional.is_none();
        if self.has_names() && holds_nothing && matches!(schema.types, Types::Object | Types::Any) {
            // A generated schema says of free-form values (RawExtension, FieldsV1) only that they are objects.
            schema.preserve_unknown = true;
        }
        Ok(Arc::new(schema))
    }

    /// The schema called `name`.
    pub(crate) fn named(&mut self, name: &str) -> Result<Arc<Schema>, String> {
        if let Some(schema) = self.parsed.get(name) {
            return Ok(Arc::clone(schema));
        }
        let special = match name.strip_prefix(META) {
            Some("MicroTime") => Some(Types::MicroTime),
            Some("Time") => Some(Types::Time),
            _ => None,
        };
        let schema = match special {
            Some(types) => Arc::new(Schema {
                types,
                ..Schema::default()
            }),
            // Schemas of schemas refer to themselves; what a CRD holds is read by its own code.
            None if name.ends_with("JSONSchemaProps") => Arc::new(Schema {
                preserve_unknown: true,
                ..Schema::default()
            }),
            None => {
                let raw = self
                    .raw
                    .get(name)
                    .cloned()
                    .ok_or_else(|| format!("no definition of {name}"))?;
                self.parse(&raw)?
            }
        };
        self.parsed.insert(name.to_owned(), Arc::clone(&schema));
        Ok(schema)
    }

    fn has_names(&self) -> bool {
        !self.raw.is_empty()
    }
}

fn types(json: &Value) -> Types {
    if flag(json, "x-kubernetes-int-or-string") {
        return Types::IntOrString;
    }
    match (json["type"].as_str(), json["format"].as_str()) {
        (Some("object"), _) => Types::Object,
        (Some("array"), _) => Types::Array,
        (Some("string"), _) => Types::String,
        (Some("boolean"), _) => Types::Boolean,
        (Some("number"), _) => Types::Number,
        (Some("integer"), Some("int32")) => Types::Int32,
        (Some("integer"), _) => Types::Integer,
        _ => Types::Any,
    }
}

fn limits(json: &Value) -> Result<Limits, String> {
    let bound = |key: &str, exclusive: &str| json[key].as_f64().map(|bound| (bound, flag(json, exclusive)));
    let count = |key: &str| json[key].as_u64();
    let pattern = match json["pattern"].as_str() {
        Some(pattern) => Some(regex::Regex::new(pattern).map_err(|error| format!("pattern: {error}"))?),
        None => None,
    };
    Ok(Limits {
        minimum: bound("minimum", "exclusiveMinimum"),
        maximum: bound("maximum", "exclusiveMaximum"),
        multiple_of: json["multipleOf"].as_f64(),
        min_length: count("minLength"),
        max_length: count("maxLength"),
        min_items: count("minItems"),
        max_items: count("maxItems"),
        min_properties: count("minProperties"),
        max_properties: count("maxProperties"),
        pattern,
        format: json["format"].as_str().map(str::to_owned),
    })
}

fn list_type(json: &Value) -> ListType {
    match json["x-kubernetes-list-type"].as_str() {
        Some("set") => ListType::Set,
        Some("map") => ListType::Map(strings(&json["x-kubernetes-list-map-keys"])),
        _ => ListType::Atomic,
    }
}

fn flag(json: &Value, key: &str) -> bool {
    json[key].as_bool().unwrap_or_default()
}

fn strings(json: &Value) -> Vec<String> {
    json.as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| Some(item.as_str()?.to_owned()))
        .collect()
}
