//! `/scale`: the replicas of anything that has some, in one form.

use super::apply::{self, APPLY, Config};
use super::incoming::parse_body;
use super::patch::Patch;
use super::query::{Query, WriteOptions};
use super::target::{Resource, Verb};
use super::write::{Intent, Shown, key_of, replace};
use crate::failure::{Cause, Failure, Subject};
use crate::kinds::{Kind, at, metadata_schema, set_at};
use crate::ownership::{self, Author, Ground, Shape};
use crate::plane::Plane;
use crate::schema::{Definitions, Schema};
use crate::world;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};

const API_VERSION: &str = "autoscaling/v1";
const KIND: &str = "Scale";

static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    let number = json!({"type": "integer", "format": "int32"});
    let status =
        json!({"type": "object", "properties": {"replicas": number, "selector": {"type": "string"}}});
    let spec = json!({"type": "object", "properties": {"replicas": number}});
    let scale = json!({
        "type": "object", "properties": {"spec": spec, "status": status}, "x-kubernetes-embedded-resource": true,
    });
    Definitions::default().parse(&scale).expect("it is a schema")
});
static VERSIONS: LazyLock<[String; 1]> = LazyLock::new(|| [API_VERSION.to_owned()]);
static BLANK: LazyLock<Value> = LazyLock::new(|| json!({"metadata": {}, "spec": {}, "status": {}}));

fn ground() -> Ground<'static> {
    Ground {
        shape: Shape::of(&SCHEMA, metadata_schema()),
        api_version: API_VERSION,
        kind: KIND,
        versions: &*VERSIONS,
        blank: &BLANK,
        subresource: "scale",
        ignored: &[],
    }
}

/// The Scale of an object. No replicas are not shown.
pub(crate) fn show(kind: &Kind, object: &Value) -> Result<Value, Failure> {
    let scale = kind.rules.scale.as_ref().ok_or_else(Failure::no_such_resource)?;
    let metadata = &object["metadata"];
    let number = |path: &str| at(object, path).and_then(Value::as_i64).unwrap_or_default();
    let mut shown = json!({
        "kind": KIND, "apiVersion": API_VERSION,
        "metadata": {
            "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"], "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": {},
        "status": {"replicas": number(&scale.status_replicas)},
    });
    let replicas = number(&scale.spec_replicas);
    if replicas != 0 {
        shown["spec"]["replicas"] = replicas.into();
    }
    if let Some(selector) = scale.selector.as_ref().and_then(|path| at(object, path)) {
        let labels = selector["matchLabels"].as_object().into_iter().flatten();
        let pairs: Vec<String> = labels
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
            .collect();
        let text = selector.as_str().map_or_else(|| pairs.join(","), str::to_owned);
        shown["status"]["selector"] = text.into();
    }
    Ok(shown)
}

/// What a PUT or PATCH of a Scale asks for.
pub(crate) struct Change {
    wanted: Wanted,
    options: WriteOptions,
}

enum Wanted {
    Whole(Value),
    Patched(Patch),
    Applied { config: Config, force: bool },
}

impl Change {
    pub(crate) fn parse(
        kind: &Kind,
        verb: Verb,
        query: &Query,
        media: &str,
        body: &[u8],
        user_agent: &str,
    ) -> Result<Self, Failure> {
        let (wanted, options) = match (verb, media) {
            (Verb::Update, media) => {
                let options = query.write_options("UpdateOptions", user_agent)?;
                (Wanted::Whole(parse_body(media, body)?.value), options)
            }
            (_, APPLY) => {
                let (options, force) = apply::options(query, user_agent)?;
                let config = Config::parse(body)?;
                (Wanted::Applied { config, force }, options)
            }
            (_, media) => {
                let patch = Patch::parse(kind, media, body)?;
                (Wanted::Patched(patch), query.patch_options(user_agent)?)
            }
        };
        Ok(Self { wanted, options })
    }

    /// Changes the object's replicas and nothing else. Returns the new Scale.
    pub(crate) fn make(&self, plane: &Plane, resource: &Resource) -> Result<Value, Failure> {
        let kind = &resource.kind;
        let scale = kind.rules.scale.as_ref().ok_or_else(Failure::no_such_resource)?;
        let path: Vec<&str> = scale
            .spec_replicas
            .split('.')
            .filter(|part| !part.is_empty())
            .collect();
        let main = Resource {
            subresource: None,
            ..resource.clone()
        };
        plane.store.write(|writer| {
            let key = key_of(resource);
            let stored = writer
                .get(&kind.table, &key)
                .cloned()
                .ok_or_else(|| Failure::not_found(kind.subject(&key.name)))?;
            let mut object = kind.to_wire(stored.value());
            let metadata = object["metadata"].as_object_mut();
            let managed = metadata.and_then(|metadata| metadata.remove("managedFields"));
            let managed = managed.unwrap_or_default();
            let mut live = show(kind, &object)?;
            if let Some(of_scale) = ownership::of_parent(&managed, &path) {
                live["metadata"]["managedFields"] = of_scale;
            }
            let new = self.changed(&live)?;
            let version = new["metadata"]["resourceVersion"]
                .as_str()
                .filter(|version| !version.is_empty());
            if version.is_some_and(|version| version != stored.revision.to_string()) {
                return Err(Failure::modified(kind.subject(&key.name)));
            }
            let replicas = check_replicas(&key.name, &new)?;
            let of_scale = new["metadata"].get("managedFields");
            if let Some(managed) = ownership::to_parent(&managed, of_scale, &path, kind.api_version()) {
                object["metadata"]["managedFields"] = managed;
            }
            set_at(&mut object, &scale.spec_replicas, replicas.into());
            let intent = Intent::apply(&self.options);
            let written = replace(plane, writer, &main, &stored, object, intent)?;
            let object = match written.object {
                Shown::Stored(stored) => kind.to_wire(stored.value()),
                Shown::Loose(object) => object,
            };
            show(kind, &object)
        })
    }

    /// The Scale that is asked for, with its managers.
    fn changed(&self, live: &Value) -> Result<Value, Failure> {
        let mut new = match &self.wanted {
            Wanted::Applied { config, force } => {
                config.check(API_VERSION, KIND)?;
                return config.applied(&ground(), Some(live), &self.options.manager, *force);
            }
            Wanted::Whole(scale) => scale.clone(),
            Wanted::Patched(patch) => {
                let mut scale = live.clone();
                patch.apply(&mut scale)?;
                scale
            }
        };
        if new["spec"]["replicas"] == 0
            && let Some(spec) = new["spec"].as_object_mut()
        {
            spec.remove("replicas");
        }
        let author = Author {
            manager: &self.options.manager,
            now: &world::wall_seconds(),
        };
        ownership::follow(&ground(), Some(live), &mut new, &author);
        Ok(new)
    }
}

fn check_replicas(name: &str, scale: &Value) -> Result<i64, Failure> {
    let replicas = &scale["spec"]["replicas"];
    match replicas.as_i64() {
        Some(count) if count >= 0 => Ok(count),
        None if replicas.is_null() => Ok(0),
        _ => {
            let cause = Cause::invalid("spec.replicas", replicas, "must be greater than or equal to 0");
            let subject = Subject {
                group: "autoscaling",
                what: KIND,
                name,
            };
            Err(Failure::invalid(subject, &[cause]))
        }
    }
}
