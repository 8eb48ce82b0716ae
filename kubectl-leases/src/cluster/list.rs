//! Every Lease, in pages: each is made into objects beside the wait for the next one.

use std::panic::resume_unwind;

use futures::future::try_join;
use kube::api::ListParams;
use kube::core::Request;
use serde::Deserialize;
use tokio::task::JoinHandle;

use super::{Cluster, Error, PAGE};
use crate::noted::NotedLease;

/// A page of a list, of which nothing but the way to the next one is looked at.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    metadata: Next,
}

#[derive(Default, Deserialize)]
struct Next {
    #[serde(rename = "continue")]
    token: Option<String>,
}

/// The objects of a page.
#[derive(Deserialize)]
struct Page {
    /// Some servers write `null` for none; an answer without the field is no list.
    #[serde(deserialize_with = "Option::deserialize")]
    items: Option<Vec<NotedLease>>,
}

impl Cluster {
    /// Every Lease, from one consistent list.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn leases(&self) -> Result<Vec<NotedLease>, Error> {
        let list = Request::new(self.api.resource_url());
        let mut page = ListParams::default().limit(PAGE);
        let mut all = Vec::new();
        let mut reading: Option<JoinHandle<Result<Vec<NotedLease>, serde_json::Error>>> = None;
        loop {
            let asked = list.list(&page).map_err(kube::Error::BuildRequest);
            let text = self.in_time(async { self.client.request_text(asked?).await });
            let before = async {
                let Some(before) = reading.take() else {
                    return Ok(Vec::new());
                };
                let read = before
                    .await
                    .unwrap_or_else(|error| resume_unwind(error.into_panic()));
                read.map_err(|error| self.unreadable(error))
            };
            let (text, before) = try_join(text, before).await?;
            all.extend(before);
            let next = next(&text).map_err(|error| self.unreadable(error))?;
            let Some(next) = next.filter(|token| !token.is_empty()) else {
                all.extend(items(&text).map_err(|error| self.unreadable(error))?);
                return Ok(all);
            };
            page = page.continue_token(&next);
            reading = Some(tokio::task::spawn_blocking(move || items(&text)));
        }
    }

    fn unreadable(&self, error: serde_json::Error) -> Error {
        self.failed(&kube::Error::SerdeError(error))
    }
}

fn next(text: &str) -> Result<Option<String>, serde_json::Error> {
    serde_json::from_str::<Head>(text).map(|head| head.metadata.token)
}

fn items(text: &str) -> Result<Vec<NotedLease>, serde_json::Error> {
    serde_json::from_str::<Page>(text).map(|page| page.items.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_the_next_page_is_said_by_the_list_and_by_none_of_its_objects() {
        let objects = r#""items": [{"metadata": {"continue": "of an object"}}]"#;
        for (metadata, is) in [
            (
                r#", "metadata": {"continue": "c", "resourceVersion": "7"}"#,
                Some("c"),
            ),
            (r#", "metadata": {"continue": ""}"#, Some("")),
            (r#", "metadata": {"continue": null}"#, None),
            (r#", "metadata": {}"#, None),
            ("", None),
        ] {
            let page = format!("{{{objects}{metadata}}}");
            assert_eq!(next(&page).unwrap(), is.map(str::to_owned), "{page}");
        }
        for page in ["", "<html>", r#"{"items": ["#, r#"{"metadata": {"continue": 7}}"#] {
            assert!(next(page).is_err(), "{page}");
        }
    }

    #[test]
    fn an_answer_without_objects_is_no_list() {
        assert_eq!(items(r#"{"items": null}"#).map(|items| items.len()).ok(), Some(0));
        assert!(items("{}").is_err());
    }
}
