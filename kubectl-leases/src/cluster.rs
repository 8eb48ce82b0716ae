//! The requests of the plugin, and which failure is which.
//!
//! What changes something is in `cluster/writes.rs`, the list of all Leases in `cluster/list.rs`, and how a failure is said in
//! `cluster/error.rs`. What the Leases mean is in `survey.rs`.

mod error;
mod list;
mod writes;

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use election_core::LeaseKey;
use futures::{Stream, StreamExt};
use http::header;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::version::Info;
use kube::api::{ListParams, ObjectList, PostParams};
use kube::client::ClientBuilder;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Config, ResourceExt};
use tower::util::MapResponseLayer;

use crate::config::ConfigError;
use crate::moment::ServerClock;
pub use error::Error;
pub(crate) use writes::Outcome;

/// The Leases of one namespace, or of all.
#[derive(Clone)]
pub struct Cluster {
    /// For what is not about the Leases of the namespace.
    client: Client,
    api: Api<Lease>,
    /// What time it is there.
    pub clock: ServerClock,
    server: String,
    limit: Option<Duration>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Makes a client; nothing is sent yet. `namespace` is `None` for all of them, and `limit` for no limit.
    ///
    /// # Errors
    /// [`ConfigError::Client`] when the configuration cannot be used.
    pub fn connect(
        config: Config,
        namespace: Option<&str>,
        limit: Option<Duration>,
    ) -> Result<Self, ConfigError> {
        let clock = ServerClock::default();
        let server = config.cluster_url.to_string();
        let login = config
            .auth_info
            .exec
            .as_ref()
            .and_then(|exec| exec.command.clone());
        let client = ClientBuilder::try_from(config).map_err(|error| ConfigError::of_client(error, login))?;
        let client = client
            .with_layer(&MapResponseLayer::new(date_noted(clock.clone())))
            .build();
        Ok(Self {
            clock,
            server,
            limit,
            ..Self::with_client(client, namespace)
        })
    }

    /// With a client that exists; the server's time is not known then.
    #[must_use]
    pub fn with_client(client: Client, namespace: Option<&str>) -> Self {
        let api = match namespace {
            Some(namespace) => Api::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        };
        Self {
            client,
            api,
            clock: ServerClock::default(),
            server: "in this process".to_owned(),
            limit: None,
        }
    }

    /// One Lease of any namespace; `None` when there is none.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn lease(&self, key: &LeaseKey) -> Result<Option<Lease>, Error> {
        let api: Api<Lease> = Api::namespaced(self.client.clone(), key.namespace());
        self.in_time(api.get_opt(key.name())).await
    }

    /// Whether a user may do something; `None` is who asks.
    ///
    /// # Errors
    /// [`Error`]; who may not ask about others is refused.
    pub async fn may(&self, user: Option<&str>, what: ResourceAttributes) -> Result<bool, Error> {
        let params = PostParams::default();
        let Some(user) = user else {
            let review = SelfSubjectAccessReview {
                spec: SelfSubjectAccessReviewSpec {
                    resource_attributes: Some(what),
                    ..SelfSubjectAccessReviewSpec::default()
                },
                ..SelfSubjectAccessReview::default()
            };
            let api: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
            let answer = self.in_time(api.create(&params, &review)).await;
            let answer = answer.map_err(|error| error.needing(REVIEW_ONESELF))?;
            return Ok(answer.status.is_some_and(|status| status.allowed));
        };
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(user.to_owned()),
                groups: Some(groups_of(user)),
                resource_attributes: Some(what),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let api: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let answer = self.in_time(api.create(&params, &review)).await;
        let answer = answer.map_err(|error| error.needing(REVIEW_OTHERS))?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }

    /// The Events about a Lease, in any order.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn events_about(&self, key: &LeaseKey) -> Result<Vec<Event>, Error> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), key.namespace());
        let api = &api;
        let listed = self.pages(|page| async move { api.list(&page).await }).await;
        let mut events = listed.map_err(|error| error.needing(LIST_EVENTS))?;
        events.retain(|event| {
            let regarding = event.regarding.as_ref();
            regarding.is_some_and(|regarding| {
                regarding.kind.as_deref() == Some("Lease") && regarding.name.as_deref() == Some(key.name())
            })
        });
        Ok(events)
    }

    /// The user that a Pod runs as; `None` when there is none of that name, or it cannot be read.
    pub async fn user_of_pod(&self, namespace: &str, name: &str) -> Option<String> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let pod = self.in_time(api.get_opt(name)).await.ok()??;
        let account = pod.spec?.service_account_name?;
        Some(format!("system:serviceaccount:{namespace}:{account}"))
    }

    /// The names of the namespaces.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn namespaces(&self) -> Result<Vec<String>, Error> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let api = &api;
        let found = self.pages(|page| async move { api.list(&page).await }).await?;
        Ok(found.iter().map(ResourceExt::name_any).collect())
    }

    /// The version of the server.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn version(&self) -> Result<Info, Error> {
        self.in_time(self.client.apiserver_version()).await
    }

    /// Where it is.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The names of the Leases with these labels. Whole objects are asked for: an empty list of metadata alone comes
    /// with `items: null`, which kube 5 does not read.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn labelled(&self, selector: &str) -> Result<BTreeSet<LeaseKey>, Error> {
        let found = self
            .pages(|page| async move { self.api.list(&page.labels(selector)).await })
            .await?;
        let key = |item: &Lease| LeaseKey::new(&item.namespace().unwrap_or_default(), &item.name_any());
        Ok(found.iter().map(key).collect())
    }

    /// The Leases as they change, from a consistent list on. Each page of a list has to come in time; a watch may be silent.
    pub fn watch(&self) -> impl Stream<Item = Result<watcher::Event<Lease>, Error>> + use<> {
        self.watched(watcher::Config::default())
    }

    fn watched(
        &self,
        config: watcher::Config,
    ) -> impl Stream<Item = Result<watcher::Event<Lease>, Error>> + use<> {
        let events = watcher(self.api.clone(), config).default_backoff().boxed();
        futures::stream::unfold(
            (self.clone(), events, true),
            |(cluster, mut events, listing)| async move {
                let limit = cluster.limit.filter(|_| listing);
                let event = match limit {
                    None => events.next().await?,
                    Some(limit) => match tokio::time::timeout(limit, events.next()).await {
                        Ok(event) => event?,
                        Err(_) => {
                            let late = cluster.too_late(limit);
                            return Some((Err(late), (cluster, events, listing)));
                        }
                    },
                };
                // After a failure comes a pause of unknown length.
                let listing = matches!(event, Ok(watcher::Event::Init | watcher::Event::InitApply(_)));
                let event = event.map_err(|error| cluster.watch_failed(error));
                Some((event, (cluster, events, listing)))
            },
        )
    }

    fn too_late(&self, limit: Duration) -> Error {
        Error::TimedOut {
            server: self.server.clone(),
            limit,
        }
    }

    /// The names of the Leases with these labels as they change; nothing ever comes without a selector.
    pub fn watch_labelled(
        &self,
        selector: Option<&str>,
    ) -> impl Stream<Item = Result<watcher::Event<Lease>, Error>> + use<> {
        match selector {
            None => futures::stream::pending().left_stream(),
            Some(selector) => self
                .watched(watcher::Config::default().labels(selector))
                .right_stream(),
        }
    }

    async fn pages<T: Clone, F>(&self, list: impl Fn(ListParams) -> F) -> Result<Vec<T>, Error>
    where
        F: Future<Output = Result<ObjectList<T>, kube::Error>>,
    {
        let mut page = ListParams::default().limit(PAGE);
        let mut items = Vec::new();
        loop {
            let listed = self.in_time(list(page.clone())).await?;
            items.extend(listed.items);
            match listed.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(items),
            }
        }
    }

    async fn in_time<T>(&self, request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Error> {
        let answer = match self.limit {
            None => request.await,
            Some(limit) => tokio::time::timeout(limit, request)
                .await
                .map_err(|_| self.too_late(limit))?,
        };
        answer.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &kube::Error) -> Error {
        match error {
            kube::Error::Api(status) if status.code == 401 => Error::Unauthorized {
                server: self.server.clone(),
            },
            kube::Error::Api(status) if status.code == 403 => Error::Forbidden {
                message: status.message.clone(),
                needs: READ_LEASES,
            },
            kube::Error::Api(status) if status.reason == UNREADABLE => Error::Stranger {
                server: self.server.clone(),
                what: format!("status {}, {:?}", status.code, beginning(&status.message)),
            },
            kube::Error::SerdeError(error) => Error::Stranger {
                server: self.server.clone(),
                what: error.to_string(),
            },
            kube::Error::Api(status) => Error::Refused {
                reason: status.reason.clone(),
                message: status.message.clone(),
            },
            kube::Error::Service(cause) => self.unreachable(cause.as_ref()),
            error => self.unreachable(error),
        }
    }

    fn unreachable(&self, cause: &(dyn StdError + 'static)) -> Error {
        Error::Unreachable {
            server: self.server.clone(),
            why: chain(cause),
        }
    }

    fn watch_failed(&self, error: watcher::Error) -> Error {
        match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => self.failed(&error),
            watcher::Error::WatchError(status) => self.failed(&kube::Error::Api(status)),
            error @ watcher::Error::NoResourceVersion => Error::Unreachable {
                server: self.server.clone(),
                why: error.to_string(),
            },
        }
    }
}

/// The groups that a server gives a service account, which a review has to name.
fn groups_of(user: &str) -> Vec<String> {
    let everybody = "system:authenticated".to_owned();
    let account = user
        .strip_prefix("system:serviceaccount:")
        .and_then(|rest| rest.split_once(':'));
    match account {
        Some((namespace, _)) => vec![
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{namespace}"),
            everybody,
        ],
        None => vec![everybody],
    }
}

/// What most commands need.
const READ_LEASES: &str =
    "get, list and watch on leases.coordination.k8s.io, in one namespace at least (choose it with -n)";
const LIST_EVENTS: &str = "list on events.events.k8s.io";
const REVIEW_ONESELF: &str = "create on selfsubjectaccessreviews.authorization.k8s.io";
const REVIEW_OTHERS: &str = "create on subjectaccessreviews.authorization.k8s.io";

/// As kubectl: a page that a server answers quickly.
const PAGE: u32 = 500;

fn date_noted<B>(clock: ServerClock) -> impl Fn(http::Response<B>) -> http::Response<B> + Clone {
    move |response| {
        if let Some(date) = response
            .headers()
            .get(header::DATE)
            .and_then(|date| date.to_str().ok())
        {
            clock.note(date);
        }
        response
    }
}

/// The reason that kube gives to an answer without one.
const UNREADABLE: &str = "Failed to parse error data";

/// As much of a page as tells whose it is.
fn beginning(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(80).collect()
}

/// An error with its causes, each said once.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
