//! The lines of a watch, one for each event.
//!
//! kube's own reading makes an object of each event before anybody can say what is wanted of it. What a lease says is not
//! read here.

use std::borrow::Cow;
use std::io;
use std::pin::Pin;
use std::str;

use election_core::Revision;
use futures::io::{AsyncBufRead, AsyncBufReadExt};
use kube::core::Status;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::object::outline;
use super::requests::{ReadError, malformed};

/// The body of a watch.
pub(super) struct Lines {
    body: Pin<Box<dyn AsyncBufRead + Send>>,
    /// What was read of the next line.
    begun: Vec<u8>,
}

impl Lines {
    pub(super) fn new(body: impl AsyncBufRead + Send + 'static) -> Self {
        Self {
            body: Box::pin(body),
            begun: Vec::new(),
        }
    }

    /// The next line; nothing at the end, which may cut a line off. Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        match self.body.read_until(b'\n', &mut self.begun).await {
            Ok(_) if self.begun.ends_with(b"\n") => Some(Ok(std::mem::take(&mut self.begun))),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// What an event of a watch says.
#[derive(Debug)]
pub(super) enum Told<'a> {
    /// The text of a lease that was added or changed.
    Applied(&'a str),
    /// The text of a lease that was deleted.
    Deleted(&'a str),
    /// Everything up to here has been told.
    Bookmark(Revision),
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    object: &'a RawValue,
}

/// Reads a line of a watch.
pub(super) fn told(line: &[u8]) -> Result<Told<'_>, ReadError> {
    let line = str::from_utf8(line).map_err(malformed)?;
    let event: Event<'_> = match serde_json::from_str(line) {
        Ok(event) => event,
        // An error in the place of an event.
        Err(error) => return Err(refusal(line).unwrap_or_else(|| malformed(error))),
    };
    let object = event.object.get();
    match &*event.kind {
        "ADDED" | "MODIFIED" => Ok(Told::Applied(object)),
        "DELETED" => Ok(Told::Deleted(object)),
        "BOOKMARK" => {
            let revision = outline(object).0;
            let silent = || malformed("a bookmark has no resource version");
            revision.map(Told::Bookmark).ok_or_else(silent)
        }
        "ERROR" => Err(refusal(object).unwrap_or_else(|| malformed("an error that is no Status"))),
        other => Err(malformed(format!("an event of the unknown type {other:?}"))),
    }
}

fn refusal(text: &str) -> Option<ReadError> {
    let status: Status = serde_json::from_str(text).ok()?;
    Some(ReadError::Api(kube::Error::Api(status.boxed())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream::{self, TryStreamExt};

    async fn lines(chunks: &[&'static str]) -> Vec<String> {
        let chunks: Vec<io::Result<&'static str>> = chunks.iter().copied().map(Ok).collect();
        let mut lines = Lines::new(stream::iter(chunks).into_async_read());
        let mut all = Vec::new();
        while let Some(line) = lines.next().await {
            all.push(String::from_utf8(line.unwrap()).unwrap());
        }
        all
    }

    #[tokio::test]
    async fn a_chunk_is_no_line() {
        assert_eq!(
            lines(&["a\nb", "b\n", "c\nd\n", "cut off"]).await,
            ["a\n", "bb\n", "c\n", "d\n"]
        );
    }

    #[tokio::test]
    async fn a_line_that_has_begun_outlives_the_wait_for_its_end() {
        let (sender, receiver) = futures::channel::mpsc::unbounded::<io::Result<&'static str>>();
        let mut lines = Lines::new(receiver.into_async_read());
        sender.unbounded_send(Ok("begun ")).unwrap();
        tokio::select! {
            biased;
            _ = lines.next() => panic!("the line has no end yet"),
            () = std::future::ready(()) => {}
        }
        sender.unbounded_send(Ok("and ended\n")).unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap(), b"begun and ended\n");
    }

    #[test]
    fn an_event_is_of_a_known_type() {
        let event = |kind: &str| {
            format!(r#"{{"object": {{"metadata": {{"resourceVersion": "7"}}}}, "type": "{kind}"}}"#)
        };
        let object = r#"{"metadata": {"resourceVersion": "7"}}"#;
        let read = |text: &str| match told(text.as_bytes()) {
            Ok(Told::Applied(text)) => format!("applied {text}"),
            Ok(Told::Deleted(text)) => format!("deleted {text}"),
            Ok(Told::Bookmark(revision)) => format!("bookmark {revision}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(read(&event("ADDED")), format!("applied {object}"));
        assert_eq!(read(&event("MODIFIED")), format!("applied {object}"));
        assert_eq!(read(&event("DELETED")), format!("deleted {object}"));
        assert_eq!(read(&event("BOOKMARK")), "bookmark 7");
        assert!(read(&event("OTHER")).contains("unknown type"));
        let status = r#"{"kind": "Status", "status": "Failure", "message": "too old", "code": 410}"#;
        assert_eq!(read(status), "too old (410)");
        assert_eq!(
            read(&format!(r#"{{"type": "ERROR", "object": {status}}}"#)),
            "too old (410)"
        );
        assert!(read("{").contains("cannot be used"));
    }
}
