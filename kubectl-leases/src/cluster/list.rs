//! Every Lease, in pages: each is made into objects beside the wait for the next one.

use std::borrow::Cow;
use std::fmt;
use std::panic::resume_unwind;

use futures::future::try_join;
use kube::api::ListParams;
use kube::core::Request;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tokio::task::JoinHandle;

use super::{Cluster, Error, PAGE};
use crate::noted::NotedLease;

/// The objects of a page.
#[derive(Deserialize)]
struct Page {
    /// Some servers write `null` for none; an answer without the field is no list.
    #[serde(deserialize_with = "Option::deserialize")]
    items: Option<Vec<NotedLease>>,
}

/// What a page says of the way to the next one.
#[derive(Default, Deserialize)]
struct Next {
    #[serde(rename = "continue")]
    token: Option<String>,
}

impl Next {
    /// Reads no more of a page than it must: every API server writes this before the objects, which are looked at beside the
    /// wait for the next page. A page without it is the last one.
    fn of(page: &str) -> Result<Self, serde_json::Error> {
        let mut found = None;
        let read = Head(&mut found).deserialize(&mut serde_json::Deserializer::from_str(page));
        // What stopped the reading when it was found is no error of the page.
        found.map_or_else(|| read.map(|()| Self::default()), Ok)
    }
}

/// Looks for the metadata of a list, and stops there.
struct Head<'a>(&'a mut Option<Next>);

impl<'de> DeserializeSeed<'de> for Head<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Head<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of leases")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(field) = fields.next_key::<Cow<'_, str>>()? {
            if field == "metadata" {
                *self.0 = Some(fields.next_value()?);
                return Err(A::Error::custom("enough was read"));
            }
            fields.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
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
            let next = Next::of(&text).map_err(|error| self.unreadable(error))?;
            let Some(next) = next.token.filter(|token| !token.is_empty()) else {
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

fn items(text: &str) -> Result<Vec<NotedLease>, serde_json::Error> {
    serde_json::from_str::<Page>(text).map(|page| page.items.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_the_next_page_is_read_from_what_stands_before_the_objects() {
        let token = |page: &str| Next::of(page).map(|next| next.token).ok();
        for (page, is) in [
            (
                r#"{"kind": "LeaseList", "metadata": {"continue": "c", "resourceVersion": "7"}, "items": [], "#,
                Some("c"),
            ),
            (
                r#"{"items": [{"metadata": {"continue": "of an object"}}], "metadata": {"continue": "c"}}"#,
                Some("c"),
            ),
            (r#"{"metadata": {"continue": ""}, "items": []}"#, Some("")),
            (r#"{"metadata": {"continue": null}, "items": []}"#, None),
            (r#"{"metadata": {}, "items": []}"#, None),
            (r#"{"items": []}"#, None),
        ] {
            assert_eq!(token(page), Some(is.map(str::to_owned)), "{page}");
        }
        for page in [
            "",
            "<html>",
            "[]",
            r#"{"items": ["#,
            r#"{"metadata": {"continue": 7}}"#,
        ] {
            assert_eq!(token(page), None, "{page}");
        }
    }

    #[test]
    fn an_answer_without_objects_is_no_list() {
        assert_eq!(items(r#"{"items": null}"#).map(|items| items.len()).ok(), Some(0));
        assert!(items("{}").is_err());
    }
}
