//! WATCH: a cursor that follows the history of one table.
//!
//! Replay of the past and following of the present are the same loop. A watcher that is too slow loses nothing
//! silently: when the history has moved past its cursor, its stream ends, and its next request is told that it is
//! too late.

use super::query::Query;
use super::render::View;
use super::selector::Selector;
use super::target::Resource;
use crate::failure::{Cause, Failure};
use crate::kinds::Kind;
use crate::plane::{Closing, Plane};
use crate::store::{Change, Event, Stored};
use crate::world;
use bytes::{BufMut, Bytes, BytesMut};
use futures::Stream;
use futures::future::BoxFuture;
use serde_json::json;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};

/// A real server sends a bookmark about once a minute …
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);
/// … and one shortly before it ends the watch.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);
/// A real server draws a random 30 to 60 minutes. The middle of it is repeatable.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(45 * 60);
/// How many events one chunk may hold: enough to be quick, little enough to be fair.
const CHUNK: usize = 256;
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// Where a watch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// With what there is now, as synthetic additions.
    Now { mark_end: bool },
    /// After a revision.
    After(u64),
}

/// A watch under way.
struct Watch {
    plane: Arc<Plane>,
    kind: Arc<Kind>,
    namespace: Option<String>,
    selector: Selector,
    view: View,
    cursor: u64,
    bookmarks: bool,
    next_bookmark: Instant,
    end: Instant,
    last_bookmark_sent: bool,
    changed: Arc<Notify>,
    /// Rings at the next bookmark or at the end. Kept over many events: a timer for each would cost more than they do.
    timer: Pin<Box<Sleep>>,
    closed: BoxFuture<'static, ()>,
    headers_sent: bool,
    pending: Option<Bytes>,
    ended: bool,
}

/// Opens a watch.
pub(crate) fn watch(
    plane: &Arc<Plane>,
    resource: &Resource,
    query: &Query,
    selector: Selector,
    view: View,
    closing: Closing,
) -> Result<(u64, impl Stream<Item = Bytes> + Send + use<>), Failure> {
    let start = start(query)?;
    let timeout = query
        .number("timeoutSeconds")?
        .and_then(|seconds| u64::try_from(seconds).ok());
    let timeout = timeout
        .filter(|seconds| *seconds > 0)
        .map_or(DEFAULT_TIMEOUT, Duration::from_secs);
    let now = world::monotonic();
    let changed = plane.store.subscribe(&resource.kind.table);
    let mut watch = Watch {
        plane: Arc::clone(plane),
        kind: Arc::clone(&resource.kind),
        namespace: resource.namespace.clone(),
        selector,
        view,
        cursor: 0,
        bookmarks: query.flag("allowWatchBookmarks"),
        next_bookmark: now + BOOKMARK_INTERVAL,
        end: now + timeout,
        last_bookmark_sent: false,
        changed,
        timer: Box::pin(tokio::time::sleep_until(now + timeout)),
        closed: Box::pin(async move { closing.closed().await }),
        headers_sent: false,
        pending: None,
        ended: false,
    };
    match start {
        Start::After(revision) => watch.resume(revision),
        Start::Now { mark_end } => watch.begin_now(mark_end),
    }
    let cursor = watch.cursor;
    let stream = futures::stream::unfold(watch, |mut watch| async move {
        let chunk = watch.next().await?;
        Some((chunk, watch))
    });
    // What the initial events show must be durable before it is shown.
    Ok((if start == Start::After(cursor) { 0 } else { cursor }, stream))
}

fn start(query: &Query) -> Result<Start, Failure> {
    let revision = match query.get("resourceVersion").map(str::parse) {
        None => 0,
        Some(Ok(revision)) => revision,
        Some(Err(_)) => {
            return Err(Failure::unclassified(
                "invalid resource version: it must be a decimal number",
            ));
        }
    };
    let invalid = |causes: &[Cause]| Err(Failure::invalid_options("ListOptions", causes));
    let matching = query.get("resourceVersionMatch");
    if query.get("continue").is_some() {
        let cause = Cause::forbidden("resourceVersionMatch", "continue is forbidden for watch");
        return invalid(&[cause]);
    }
    let not_supported = |other: &str| {
        let supported = ["\"NotOlderThan\"".to_owned()];
        Cause::not_supported("resourceVersionMatch", &other.into(), &supported)
    };
    match (query.get("sendInitialEvents"), matching) {
        (None, None) if revision == 0 => Ok(Start::Now { mark_end: false }),
        (None, None) => Ok(Start::After(revision)),
        (None, Some(given)) => {
            let detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            let mut causes = vec![Cause::forbidden("resourceVersionMatch", detail)];
            causes.extend((given != "NotOlderThan").then(|| not_supported(given)));
            invalid(&causes)
        }
        (Some(_), None) => {
            let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            invalid(&[Cause::forbidden("resourceVersionMatch", detail)])
        }
        (Some(_), Some("NotOlderThan")) if query.flag("sendInitialEvents") => Ok(Start::Now {
            mark_end: query.flag("allowWatchBookmarks"),
        }),
        (Some(_), Some("NotOlderThan")) => Ok(Start::After(revision)),
        (Some(_), Some(other)) => {
            let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            let forbidden = Cause::forbidden("resourceVersionMatch", detail);
            invalid(&[forbidden, not_supported(other)])
        }
    }
}

impl Watch {
    fn resume(&mut self, revision: u64) {
        self.cursor = revision;
        if self.plane.store.events(&self.kind.table, revision, 0).is_none() {
            let current = self.plane.store.read(|state| state.revision());
            let failure = Failure::expired(format!("too old resource version: {revision} ({current})"), None);
            self.pending = Some(line("ERROR", failure.to_status().to_string().as_bytes()));
            self.ended = true;
        }
    }

    fn begin_now(&mut self, mark_end: bool) {
        let (revision, objects) = self.plane.store.read(|state| {
            let table = state.table(&self.kind.table);
            let within = table
                .into_iter()
                .flat_map(|table| table.within(self.namespace.as_deref()));
            let selected = within.filter(|object| self.selector.matches(&self.kind, object));
            (state.revision(), selected.cloned().collect::<Vec<_>>())
        });
        self.cursor = revision;
        let mut chunk = BytesMut::new();
        for object in objects {
            self.put(&mut chunk, "ADDED", &object);
        }
        if mark_end {
            chunk.put_slice(&self.bookmark(true));
        }
        self.pending = (!chunk.is_empty()).then(|| chunk.freeze());
    }

    /// The next chunk, or the end.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(pending) = self.pending.take() {
            return Some(pending);
        }
        while !self.ended {
            let news = Arc::clone(&self.changed).notified_owned();
            let Some((events, seen)) = self.plane.store.events(&self.kind.table, self.cursor, CHUNK) else {
                // Too slow: the history has moved on. The next watch from the old version is answered with 410.
                return None;
            };
            self.cursor = seen;
            let chunk = self.render(&events);
            if !chunk.is_empty() {
                return Some(chunk);
            }
            if events.len() == CHUNK {
                // Nothing selected in a long stretch: let others run.
                tokio::task::yield_now().await;
                continue;
            }
            let due = self.due();
            if self.timer.deadline() != due {
                self.timer.as_mut().reset(due);
            }
            tokio::select! {
                biased;
                () = &mut self.closed => return None,
                () = news => {}
                () = self.timer.as_mut() => {
                    return (due < self.end).then(|| self.due_bookmark(due));
                }
            }
        }
        None
    }

    /// When something is to be done even if nothing happens.
    fn due(&self) -> Instant {
        if !self.bookmarks || self.last_bookmark_sent {
            return self.end;
        }
        self.next_bookmark
            .min(self.end.checked_sub(LAST_BOOKMARK).unwrap_or(self.next_bookmark))
    }

    fn due_bookmark(&mut self, at: Instant) -> Bytes {
        self.last_bookmark_sent = at < self.next_bookmark;
        self.next_bookmark = at + BOOKMARK_INTERVAL;
        // Everything up to here has been shown: a change in between would have woken the watch first.
        if let Some((events, seen)) = self.plane.store.events(&self.kind.table, self.cursor, 1)
            && events.is_empty()
        {
            self.cursor = seen;
        }
        self.bookmark(false)
    }

    fn bookmark(&self, end_of_initial_events: bool) -> Bytes {
        let mut metadata = json!({"resourceVersion": self.cursor.to_string()});
        if end_of_initial_events {
            metadata["annotations"] = json!({INITIAL_EVENTS_END: "true"});
        }
        let bare =
            json!({"kind": self.kind.kind, "apiVersion": self.kind.api_version(), "metadata": metadata});
        let shown = match self.view.format.shape {
            super::accept::Shape::Object => bare,
            // A bookmark's table has a row whose object carries the version.
            _ => self.view.object(&self.kind, &bare, false),
        };
        line("BOOKMARK", shown.to_string().as_bytes())
    }

    fn render(&mut self, events: &[Arc<Event>]) -> Bytes {
        let mut chunk = BytesMut::new();
        for event in events {
            if self
                .namespace
                .as_ref()
                .is_some_and(|namespace| event.object.key.namespace != *namespace)
            {
                continue;
            }
            if let Some(kind) = self.seen_as(event) {
                match kind {
                    // The object left the selector: what the watcher knew, at the version of the change.
                    "DELETED" if event.change == Change::Modified => {
                        let previous = event.previous.as_ref().unwrap_or(&event.object);
                        let gone = Stored::new(previous.key.clone(), event.revision(), previous.value());
                        self.put(&mut chunk, kind, &gone);
                    }
                    kind => self.put(&mut chunk, kind, &event.object),
                }
            }
        }
        chunk.freeze()
    }

    /// What an event is for this selector.
    fn seen_as(&self, event: &Event) -> Option<&'static str> {
        let selects = |object: &Stored| self.selector.is_empty() || self.selector.matches(&self.kind, object);
        let before = event.previous.as_ref().is_some_and(|previous| selects(previous));
        let after = event.change != Change::Deleted && selects(&event.object);
        match (before, after) {
            (false, true) => Some("ADDED"),
            (true, true) => Some("MODIFIED"),
            (true, false) => Some("DELETED"),
            (false, false) => None,
        }
    }

    fn put(&mut self, chunk: &mut BytesMut, kind: &'static str, object: &Stored) {
        let headers = !std::mem::replace(&mut self.headers_sent, true);
        put_line(chunk, kind, &self.view.stored(&self.kind, object, headers));
    }
}

fn put_line(chunk: &mut BytesMut, kind: &str, object: &[u8]) {
    for part in [
        b"{\"type\":\"".as_slice(),
        kind.as_bytes(),
        b"\",\"object\":",
        object,
        b"}\n",
    ] {
        chunk.put_slice(part);
    }
}

fn line(kind: &str, object: &[u8]) -> Bytes {
    let mut chunk = BytesMut::new();
    put_line(&mut chunk, kind, object);
    chunk.freeze()
}
