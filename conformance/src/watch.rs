//! An open watch.

use std::time::Duration;

use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::Value;

use crate::answer::{text, version};
use crate::cluster::{Cluster, Exchange};

/// How long an event may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing has to come for a watch to be quiet.
const QUIET: Duration = Duration::from_millis(250);

/// An event as `take` returns it: type, name and version.
pub(crate) type Seen = (String, String, u64);

/// An open watch.
pub(crate) struct Watch {
    body: Body,
    rest: String,
    query: String,
    cluster: Cluster,
}

impl Watch {
    pub(crate) fn new(body: Body, query: String, cluster: Cluster) -> Self {
        Self {
            body,
            rest: String::new(),
            query,
            cluster,
        }
    }

    /// The next event, or nothing at the end of the stream. However long it takes.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        let line = self.line().await?;
        let line = self.cluster.placeholders(&line);
        self.cluster.record(Exchange::event(&self.query, &line));
        match serde_json::from_str(&line) {
            Ok(event) => Some(event),
            Err(error) => panic!("no event ({error}): {line}"),
        }
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some((line, rest)) = self.rest.split_once('\n') {
                let line = line.to_owned();
                self.rest = rest.to_owned();
                return Some(line);
            }
            match self.body.frame().await? {
                Ok(frame) => {
                    let data = frame.into_data().unwrap_or_default();
                    self.rest += &String::from_utf8_lossy(&data);
                }
                Err(error) => panic!("the watch {} broke: {error}", self.query),
            }
        }
    }

    /// The next event, which must come.
    pub(crate) async fn event(&mut self) -> Value {
        match tokio::time::timeout(PATIENCE, self.next()).await {
            Ok(Some(event)) => event,
            Ok(None) => panic!("the watch {} has ended", self.query),
            Err(_) => panic!("no event of the watch {} within {PATIENCE:?}", self.query),
        }
    }

    /// The next events.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<Seen> {
        let mut events = Vec::new();
        while events.len() < count {
            let event = self.event().await;
            let object = &event["object"];
            events.push((
                text(&event["type"]),
                text(&object["metadata"]["name"]),
                version(object),
            ));
        }
        events
    }

    /// Whether nothing more comes for a moment.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        self.rest.is_empty() && tokio::time::timeout(QUIET, self.line()).await.is_err()
    }
}

/// An event as `take` returns it.
pub(crate) fn event(kind: &str, name: &str, version: u64) -> Seen {
    (kind.to_owned(), name.to_owned(), version)
}
