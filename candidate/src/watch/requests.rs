//! The requests of a watch, each with a deadline: a consistent list, the beginning of a watch, a consistent read.

use std::time::Duration;

use election_core::{LeaseKey, Revision};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use kube::Resource;
use kube::api::{ListParams, Request, WatchParams};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::WatchScope;
use super::lines::Lines;
use super::object::{self, FromText};
use crate::client::{Failure, classify};
use crate::clock::SharedClock;

/// How many leases a page of a list has: the same as kubectl and client-go ask for.
const PAGE: u32 = 500;

/// Why there is no answer to a list.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The API server refused, or could not be reached.
    #[error("{}", classify(.0))]
    Api(#[source] kube::Error),
    /// There was no answer in time.
    #[error("no answer from the API server within {within:?}")]
    Deadline {
        /// The time that it had.
        within: Duration,
    },
    /// The answer is none.
    #[error("the API server's answer cannot be used: {why}")]
    Malformed {
        /// What is wrong with it.
        why: String,
    },
}

impl ReadError {
    /// Whether a continuation or a revision is too old to go on from.
    pub(super) fn is_expired(&self) -> bool {
        matches!(self, Self::Api(error) if is_expired(error))
    }
}

/// Whether the API server has forgotten the revision that it was asked to go on from.
pub(super) fn is_expired(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 410)
}

/// Reads one lease consistently. A list with a field selector, so that its absence has a revision too; the permission
/// `list` with this `resourceNames` suffices for it.
///
/// # Errors
/// [`ReadError`]; whether to try again is said by [`classify`], and is up to the caller.
pub async fn read(
    client: &kube::Client,
    key: &LeaseKey,
    clock: &SharedClock,
    within: Duration,
) -> Result<(Option<Lease>, Revision), ReadError> {
    let mut found = None;
    let take = |lease: Lease| {
        if lease.metadata.name.as_deref() == Some(key.name()) {
            found = Some(lease);
        }
    };
    let revision = visit(client, WatchScope::one(key), clock, within, take).await?;
    Ok((found, revision))
}

/// Reads leases consistently, and keeps none of them.
pub(crate) async fn visit<T: FromText>(
    client: &kube::Client,
    scope: WatchScope,
    clock: &SharedClock,
    within: Duration,
    take: impl FnMut(T),
) -> Result<Revision, ReadError> {
    let source = Source {
        client: client.clone(),
        scope,
        clock: clock.clone(),
        within,
    };
    source.visit(take).await
}

/// Where leases come from.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) client: kube::Client,
    pub(super) scope: WatchScope,
    pub(super) clock: SharedClock,
    /// How long each request may take.
    pub(super) within: Duration,
}

impl Source {
    /// A consistent list: no resource version is asked for, so none that is older than this request is shown.
    pub(super) async fn list<T: FromText>(&self) -> Result<(Vec<T>, Revision), ReadError> {
        let mut leases = Vec::new();
        let revision = self.visit(|lease| leases.push(lease)).await?;
        Ok((leases, revision))
    }

    /// The same, one by one; when it fails, some may have been taken.
    async fn visit<T: FromText>(&self, mut take: impl FnMut(T)) -> Result<Revision, ReadError> {
        let mut params = ListParams {
            field_selector: self.field_selector(),
            ..ListParams::default()
        }
        .limit(PAGE);
        let mut first_revision = None;
        loop {
            let request = self
                .request()
                .list(&params)
                .map_err(|error| ReadError::Api(kube::Error::BuildRequest(error)))?;
            let page = self.in_time(self.client.request_text(request)).await?;
            let meta = read_page(&page, &mut take)?;
            // Later pages are read from the snapshot of the first.
            let revision = first_revision
                .get_or_insert(meta.resource_version.unwrap_or_default())
                .clone();
            match meta.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None if revision.is_empty() => return Err(malformed("the list has no resource version")),
                None => return Ok(Revision::new(&revision)),
            }
        }
    }

    /// Begins a watch after a revision; resolves when the server has accepted it.
    pub(super) async fn watch(&self, after: &Revision, timeout: u32) -> Result<Lines, ReadError> {
        let params = WatchParams {
            field_selector: self.field_selector(),
            ..WatchParams::default()
        }
        .timeout(timeout);
        let mut request = self
            .request()
            .watch(&params, after.as_str())
            .map_err(|error| ReadError::Api(kube::Error::BuildRequest(error)))?;
        // Servers since 1.37 compress each event for itself, which kube's decompression cannot read.
        let plain = http::HeaderValue::from_static("identity");
        request.headers_mut().insert(http::header::ACCEPT_ENCODING, plain);
        let stream = self.in_time(self.client.request_stream(request)).await?;
        Ok(Lines::new(stream))
    }

    /// What an error means to people; one of permissions says which is missing.
    pub(super) fn explain(&self, error: &ReadError, verb: &str) -> String {
        let needed = matches!(error, ReadError::Api(error) if is_forbidden(error));
        if !needed {
            return error.to_string();
        }
        let place = match &self.scope {
            WatchScope { namespace: None, .. } => "in all namespaces".to_owned(),
            WatchScope {
                namespace: Some(namespace),
                name: None,
            } => format!("in namespace {namespace}"),
            WatchScope {
                namespace: Some(namespace),
                name: Some(name),
            } => format!("on {namespace}/{name}"),
        };
        format!("the permission to {verb} leases.coordination.k8s.io {place} is missing: {error}")
    }

    fn request(&self) -> Request {
        Request::new(Lease::url_path(&(), self.scope.namespace.as_deref()))
    }

    fn field_selector(&self) -> Option<String> {
        self.scope
            .name
            .as_ref()
            .map(|name| format!("metadata.name={name}"))
    }

    async fn in_time<T>(
        &self,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, ReadError> {
        let deadline = self.clock.sleep_until(self.clock.now() + self.within);
        tokio::select! {
            biased;
            result = request => result.map_err(ReadError::Api),
            () = deadline => Err(ReadError::Deadline { within: self.within }),
        }
    }
}

fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
        && matches!(classify(error), Failure::Refused(_))
}

pub(super) fn malformed(why: impl ToString) -> ReadError {
    ReadError::Malformed { why: why.to_string() }
}

/// A page of a list, whose items are read one by one.
#[derive(Deserialize)]
struct Page<'a> {
    metadata: Option<ListMeta>,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

fn read_page<T: FromText>(page: &str, take: &mut impl FnMut(T)) -> Result<ListMeta, ReadError> {
    let page: Page<'_> = serde_json::from_str(page).map_err(malformed)?;
    for item in page.items.unwrap_or_default() {
        if let Some(lease) = readable(item.get()).1 {
            take(lease);
        }
    }
    Ok(page.metadata.unwrap_or_default())
}

/// A lease that can be read, with its resource version; of another one, people are told.
pub(super) fn readable<T: FromText>(text: &str) -> (Option<Revision>, Option<T>) {
    match T::from_text(text) {
        Ok((lease, revision)) => (Some(revision), Some(lease)),
        Err(error) => {
            let (revision, lease) = object::outline(text);
            tracing::warn!(lease, %error, "this lease cannot be read and is passed over");
            (revision, None)
        }
    }
}
