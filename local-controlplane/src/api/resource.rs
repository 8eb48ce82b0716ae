//! The generic resource path: every verb on every kind comes through here.

use super::accept::{Format, Shape};
use super::answer::{self, Answer, ApiBody};
use super::delete::{self, DeleteOptions, Deletion};
use super::incoming::{media_type, parse_body};
use super::patch::{self, Patch};
use super::query::Query;
use super::render::{Include, View};
use super::selector::Selector;
use super::target::{Resource, Verb};
use super::write::{self, Shown, Written};
use super::{apply, read, review, scale, watch};
use crate::access::User;
use crate::failure::Failure;
use crate::plane::{Closing, Plane};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;
use std::sync::Arc;

/// One request for a resource.
pub(crate) struct Call<'a> {
    pub(crate) plane: &'a Arc<Plane>,
    pub(crate) resource: Resource,
    pub(crate) parts: &'a http::request::Parts,
    pub(crate) user: &'a User,
    pub(crate) agent: &'a str,
    pub(crate) closing: &'a Closing,
}

impl Call<'_> {
    pub(crate) async fn answer(
        mut self,
        body: impl Future<Output = Result<Bytes, Failure>>,
    ) -> Result<Answer, Failure> {
        let query = Query::parse(self.parts.uri.query().unwrap_or_default());
        let watch = query.flag("watch");
        let verb = self.resource.verb(&self.parts.method, watch)?;
        self.count(verb);
        let accept = self
            .parts
            .headers
            .get(ACCEPT)
            .and_then(|value| value.to_str().ok());
        let view = View {
            format: Format::negotiate(accept, self.resource.name.is_none())?,
            include: include(&query),
        };
        let fields = self.field_selector(&query);
        let selector = Selector::parse(&self.resource.kind, query.get("labelSelector"), fields.as_deref())?;
        match verb {
            Verb::Watch => return self.watch(&query, selector, view).await,
            Verb::Get | Verb::List => self.read(verb, &query, &selector, view).await,
            _ => {
                let body = body.await?;
                self.write(verb, &query, &selector, view, &body).await
            }
        }
    }

    fn count(&self, verb: Verb) {
        let subresource = self.resource.subresource.as_deref();
        self.plane
            .counts
            .add(verb.name(), &self.resource.kind.plural, subresource, self.agent);
    }

    /// A watch of one object by path is a watch of its collection, limited to its name.
    fn field_selector(&mut self, query: &Query) -> Option<String> {
        let given = query.get("fieldSelector").map(str::to_owned);
        match self.resource.name.clone().filter(|_| self.resource.watch_prefix) {
            Some(name) => Some(format!("{},metadata.name={name}", given.unwrap_or_default())),
            None => given,
        }
    }

    async fn watch(&self, query: &Query, selector: Selector, view: View) -> Result<Answer, Failure> {
        let (shown, stream) = watch::watch(
            self.plane,
            &self.resource,
            query,
            selector,
            view,
            self.closing.clone(),
        )?;
        self.settle(shown).await?;
        let mut answer = Response::new(ApiBody::stream(stream));
        answer
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(answer)
    }

    async fn read(
        &self,
        verb: Verb,
        query: &Query,
        selector: &Selector,
        view: View,
    ) -> Result<Answer, Failure> {
        let kind = &self.resource.kind;
        if verb == Verb::List {
            let page = read::list(self.plane, &self.resource, query, selector).await?;
            self.settle(self.plane.store.read(|state| state.revision()))
                .await?;
            return encode(
                StatusCode::OK,
                view,
                view.list(kind, &page.objects, &page.metadata),
            );
        }
        let stored = read::get(self.plane, &self.resource, query).await?;
        self.settle(stored.revision).await?;
        match self.resource.subresource.as_deref() {
            Some("scale") => {
                let scale = scale::show(kind, &kind.to_wire(stored.value()))?;
                Ok(answer::encoded(StatusCode::OK, view.format, &scale))
            }
            _ => encode(StatusCode::OK, view, view.stored(kind, &stored, true)),
        }
    }

    async fn write(
        &self,
        verb: Verb,
        query: &Query,
        selector: &Selector,
        view: View,
        body: &[u8],
    ) -> Result<Answer, Failure> {
        let (plane, resource) = (&**self.plane, &self.resource);
        let media = media_type(&self.parts.headers);
        if resource.subresource.as_deref() == Some("scale") {
            let change = scale::Change::parse(&resource.kind, verb, query, media, body, self.agent)?;
            let scaled = change.make(plane, resource)?;
            self.settle(plane.store.read(|state| state.revision())).await?;
            return Ok(answer::encoded(StatusCode::OK, view.format, &scaled));
        }
        match verb {
            Verb::Create if resource.kind.rules.review => {
                let options = query.write_options("CreateOptions", self.agent)?;
                let parsed = parse_body(media, body)?;
                let (answered, warnings) =
                    review::answer(plane, self.user, resource, parsed, options.validation)?;
                let answer = answer::encoded(StatusCode::CREATED, view.format, &answered);
                Ok(answer::with_warnings(answer, &warnings))
            }
            Verb::Create => {
                let options = query.write_options("CreateOptions", self.agent)?;
                let written = write::create(plane, self.user, resource, parse_body(media, body)?, &options)?;
                self.show(view, written).await
            }
            Verb::Update => {
                let options = query.write_options("UpdateOptions", self.agent)?;
                let written = write::update(plane, self.user, resource, parse_body(media, body)?, &options)?;
                self.show(view, written).await
            }
            Verb::Patch if media == apply::APPLY => {
                let (options, force) = apply::options(query, self.agent)?;
                let config = apply::Config::parse(body)?;
                let written = apply::apply(plane, self.user, resource, &config, &options, force)?;
                self.show(view, written).await
            }
            Verb::Patch => {
                let patch = Patch::parse(&resource.kind, media, body)
                    .map_err(|failure| patch::missing_first(plane, resource, body, failure))?;
                let options = query.patch_options(self.agent)?;
                let written = patch::patch(plane, self.user, resource, &patch, &options)?;
                self.show(view, written).await
            }
            _ => self.delete(verb, query, selector, view, body).await,
        }
    }

    async fn delete(
        &self,
        verb: Verb,
        query: &Query,
        selector: &Selector,
        view: View,
        body: &[u8],
    ) -> Result<Answer, Failure> {
        let (kind, plane) = (&self.resource.kind, &**self.plane);
        let parsed = match body {
            [] => None,
            body => Some(parse_body(media_type(&self.parts.headers), body)?),
        };
        let options = DeleteOptions::parse(query, parsed)?;
        if verb == Verb::DeleteCollection {
            let deleted = delete::delete_collection(plane, &self.resource, selector, &options)?;
            let revision = plane.store.read(|state| state.revision());
            self.settle(revision).await?;
            let metadata = json!({"resourceVersion": revision.to_string()});
            return encode(StatusCode::OK, view, view.list(kind, &deleted, &metadata));
        }
        match delete::delete(plane, &self.resource, &options)? {
            Deletion::Gone(last) => {
                self.settle(last.revision).await?;
                if kind.rules.shows_deleted {
                    return encode(StatusCode::OK, view, view.stored(kind, &last, true));
                }
                Ok(answer::encoded(
                    StatusCode::OK,
                    view.format,
                    &delete::success(kind, &last),
                ))
            }
            Deletion::Marked(object) => {
                let written = Written {
                    code: StatusCode::OK,
                    object,
                    warnings: Vec::new(),
                };
                self.show(view, written).await
            }
        }
    }

    async fn show(&self, view: View, written: Written) -> Result<Answer, Failure> {
        let kind = &self.resource.kind;
        let bytes = match &written.object {
            Shown::Stored(stored) => {
                // An answer may follow from more than the version that it shows, as when the last finalizer goes.
                self.settle(stored.revision).await?;
                view.stored(kind, stored, true)
            }
            Shown::Loose(object) => {
                self.settle(self.plane.store.read(|state| state.revision()))
                    .await?;
                view.object(kind, object, true).to_string().into()
            }
        };
        Ok(answer::with_warnings(
            encode(written.code, view, bytes)?,
            &written.warnings,
        ))
    }

    /// Nothing is shown before it is durable.
    async fn settle(&self, revision: u64) -> Result<(), Failure> {
        match self.plane.store.settle(revision).await {
            true => Ok(()),
            false => Err(Failure::internal(
                "the data folder cannot be written; restart the control plane",
            )),
        }
    }
}

fn include(query: &Query) -> Include {
    match query.get("includeObject") {
        Some("Object") => Include::Object,
        Some("None") => Include::Nothing,
        _ => Include::Metadata,
    }
}

/// JSON bytes in the encoding that was asked for.
fn encode(code: StatusCode, view: View, json: Bytes) -> Result<Answer, Failure> {
    if view.format.yaml && view.format.shape == Shape::Object {
        let value = serde_json::from_slice(&json).map_err(|error| Failure::internal(error.to_string()))?;
        return Ok(answer::encoded(code, view.format, &value));
    }
    Ok(answer::bytes(code, "application/json", json))
}
