//! Every Lease, in pages: each is made into objects beside the wait for the next one.

use std::panic::resume_unwind;

use futures::future::try_join;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{ListParams, ObjectList};
use kube::core::Request;
use serde::Deserialize;
use tokio::task::JoinHandle;

use super::{Cluster, Error, PAGE};

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

impl Cluster {
    /// Every Lease, from one consistent list.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn leases(&self) -> Result<Vec<Lease>, Error> {
        let list = Request::new(self.api.resource_url());
        let mut page = ListParams::default().limit(PAGE);
        let mut all = Vec::new();
        let mut reading: Option<JoinHandle<Result<Vec<Lease>, serde_json::Error>>> = None;
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
            let head: Head = serde_json::from_str(&text).map_err(|error| self.unreadable(error))?;
            let Some(next) = head.metadata.token.filter(|token| !token.is_empty()) else {
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

fn items(text: &str) -> Result<Vec<Lease>, serde_json::Error> {
    serde_json::from_str::<ObjectList<Lease>>(text).map(|list| list.items)
}
