//! An open watch on its road: it is late, tells things twice, holds them back, is cut, or is told that it is too late.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http_body::Frame;
use http_body_util::{BodyDataStream, BodyExt, StreamBody};
use local_controlplane::ApiBody;
use serde_json::json;
use tokio::sync::futures::OwnedNotified;
use tower::BoxError;

use crate::class::Class;
use crate::road::{Conditions, Road};
use crate::time::wait;

/// How often a watch that is held back sends a bookmark.
const BOOKMARKS: Duration = Duration::from_secs(1);

/// The body of a watch, as its process sees it. Nothing moves while nobody polls it.
pub(crate) fn body(
    road: Arc<Road>,
    body: ApiBody,
    after: String,
) -> impl http_body::Body<Data = Bytes, Error = BoxError> + Send + 'static {
    let (cuts, gone) = {
        let now = road.weather.now();
        (now.cuts, now.gone)
    };
    let watched = Watched {
        road,
        server: body.into_data_stream(),
        cuts,
        gone,
        last: after,
        again: VecDeque::new(),
        over: false,
    };
    let frames = futures::stream::unfold(watched, |mut watched| async move {
        let frame = watched.next().await?;
        Some((frame.map(Frame::data), watched))
    });
    StreamBody::new(frames)
}

struct Watched {
    road: Arc<Road>,
    server: BodyDataStream<ApiBody>,
    cuts: u32,
    gone: u32,
    /// Up to where everything was told.
    last: String,
    again: VecDeque<Bytes>,
    over: bool,
}

impl Watched {
    async fn next(&mut self) -> Option<Result<Bytes, BoxError>> {
        loop {
            if self.over {
                return None;
            }
            let changed = self.road.weather.changed();
            let now = self.road.weather.now().clone();
            if now.cuts != self.cuts {
                self.over = true;
                self.road.shared.count(Class::WatchCut);
                let broken = self.road.dice().percent(50);
                return broken.then(|| Err("the connection was reset".into()));
            }
            if now.gone != self.gone {
                self.over = true;
                self.road.shared.count(Class::Gone);
                return Some(Ok(error_gone()));
            }
            if now.parted {
                changed.await;
                continue;
            }
            if now.held {
                if let Some(bookmark) = self.hold(changed).await {
                    return Some(Ok(bookmark));
                }
                continue;
            }
            if let Some(again) = self.again.pop_front() {
                return Some(Ok(again));
            }
            let frame = tokio::select! {
                biased;
                () = changed => continue,
                frame = self.server.next() => frame,
            };
            let Some(Ok(frame)) = frame else {
                self.over = true;
                return None;
            };
            return Some(Ok(self.told(frame, &now).await));
        }
    }

    /// A bookmark, honest about what was not told yet.
    async fn hold(&mut self, changed: OwnedNotified) -> Option<Bytes> {
        tokio::select! {
            biased;
            () = wait(BOOKMARKS) => {}
            () = changed => return None,
        }
        self.road.shared.count(Class::BookmarkOnly);
        Some(bookmark(&self.last))
    }

    /// A frame of the server, delivered in its time.
    async fn told(&mut self, frame: Bytes, now: &Conditions) -> Bytes {
        if !now.lag.is_zero() {
            self.road.shared.count(Class::WatchLag);
        }
        wait(self.road.latency() + now.lag).await;
        if frame.starts_with(br#"{"type":"ERROR""#) {
            self.road.shared.count(Class::Gone);
        }
        if let Some(last) = last_revision(&frame) {
            self.last = last;
        }
        let twice = self.road.dice().percent(now.chance.get(Class::DuplicateEvent));
        if twice {
            self.road.shared.count(Class::DuplicateEvent);
            self.again.push_back(frame.clone());
        }
        frame
    }
}

/// The revision of the last event of a frame.
fn last_revision(frame: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(frame).ok()?;
    let line = text.trim_end().rsplit('\n').next()?;
    let (_, rest) = line.split_once("\"resourceVersion\":\"")?;
    rest.split('"').next().map(str::to_owned)
}

fn bookmark(revision: &str) -> Bytes {
    let object = json!({
        "kind": "Lease", "apiVersion": "coordination.k8s.io/v1",
        "metadata": {"resourceVersion": revision, "creationTimestamp": null}, "spec": {},
    });
    Bytes::from(format!("{}\n", json!({"type": "BOOKMARK", "object": object})))
}

fn error_gone() -> Bytes {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "too old resource version", "reason": "Expired", "code": 410,
    });
    Bytes::from(format!("{}\n", json!({"type": "ERROR", "object": status})))
}
