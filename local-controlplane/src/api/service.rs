//! The tower service: who asks, for what, and which part answers.

use super::accept::Format;
use super::answer::{self, Answer, ApiBody};
use super::target::Target;
use super::{discovery, open_api, resource};
use crate::access::{Attributes, Tokens, User, authorize, impersonated};
use crate::failure::Failure;
use crate::plane::{Closing, Plane};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{ACCEPT, USER_AGENT};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::{BoxError, Service};

/// What a real server reads of a body.
const MAX_BODY: usize = 3 << 20;

/// Who comes through a service.
#[derive(Clone)]
pub(crate) enum Access {
    /// The process itself, in the name of a user.
    InProcess { user_agent: Arc<str>, user: Arc<User> },
    /// Whoever the token says.
    Tokens(Arc<Tokens>),
}

/// One way into a control plane: a [`tower::Service`] that answers like a Kubernetes API server.
///
/// Clones are cheap and share everything. It is always ready, and never fails: refusals are answers.
#[derive(Clone)]
pub struct ApiService {
    plane: Arc<Plane>,
    access: Access,
    closing: Closing,
}

impl fmt::Debug for ApiService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiService").finish_non_exhaustive()
    }
}

impl ApiService {
    pub(crate) fn new(plane: Arc<Plane>, access: Access, closing: Closing) -> Self {
        Self {
            plane,
            access,
            closing,
        }
    }

    async fn answer(
        self,
        parts: http::request::Parts,
        body: impl Future<Output = Result<Bytes, Failure>>,
    ) -> Answer {
        let accept = parts.headers.get(ACCEPT).and_then(|value| value.to_str().ok());
        let format = Format::negotiate(accept, true).unwrap_or(Format::JSON);
        let user = match self.admit(&parts) {
            Ok(user) => user,
            Err(failure) => return answer::refusal(&failure, format),
        };
        let path = parts.uri.path();
        let registry = self.plane.registry();
        let target = Target::parse(path, &registry);
        match target {
            Target::Resource(resource) => {
                let agent = self.user_agent(&parts.headers);
                let call = resource::Call {
                    plane: &self.plane,
                    resource,
                    parts: &parts,
                    user: &user,
                    agent,
                    closing: &self.closing,
                };
                call.answer(body)
                    .await
                    .unwrap_or_else(|failure| answer::refusal(&failure, format))
            }
            Target::NoSuchResource => answer::failure(&Failure::no_such_resource()),
            Target::NoName(name) => {
                let message = format!("Name parameter invalid: \"{name}\": may not be '{name}'");
                answer::failure(&Failure::bad_request(message))
            }
            Target::Nothing => answer::page_not_found(),
            _ if parts.method != Method::GET => answer::failure(&Failure::method_not_allowed()),
            Target::Health => health(&parts),
            Target::Root => answer::json(StatusCode::OK, &discovery::paths(&registry)),
            Target::Version => answer::json(StatusCode::OK, &discovery::version()),
            Target::OpenApi => answer::json(StatusCode::OK, &open_api::index(&registry)),
            Target::OpenApiOf(group, version) => {
                answer::json(StatusCode::OK, &open_api::document(&registry, &group, &version))
            }
            Target::Groups { core } => discovery::groups(&registry, core, accept, &parts.headers),
            Target::Group(group) => answer::json(StatusCode::OK, &discovery::group(&registry, &group)),
            Target::GroupVersion(group, version) => {
                answer::json(StatusCode::OK, &discovery::resources(&registry, &group, &version))
            }
        }
    }

    /// The user in whose name a request is made, who may make it.
    fn admit(&self, parts: &http::request::Parts) -> Result<Arc<User>, Failure> {
        let requestor = match &self.access {
            Access::InProcess { user, .. } => Arc::clone(user),
            Access::Tokens(tokens) => tokens.user(&parts.headers).map_err(|_| Failure::unauthorized())?,
        };
        let attributes = || {
            let query = parts.uri.query().unwrap_or_default();
            Attributes::of_request(&parts.method, parts.uri.path(), query)
        };
        let policy = || self.plane.store.read(|state| self.plane.policies.at(state));
        let user = match impersonated(policy, &requestor, &parts.headers, attributes)? {
            Some(user) => Arc::new(user),
            None => requestor,
        };
        // Looked up nowhere: this is the case of nearly every request.
        if !user.is_master() {
            authorize(&policy(), &user, &attributes())?;
        }
        Ok(user)
    }

    fn user_agent<'a>(&'a self, headers: &'a HeaderMap) -> &'a str {
        let named = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
        match &self.access {
            Access::InProcess { user_agent, .. } => named.unwrap_or(user_agent),
            Access::Tokens(_) => named.unwrap_or_default(),
        }
    }
}

fn health(parts: &http::request::Parts) -> Answer {
    let verbose = parts
        .uri
        .query()
        .is_some_and(|query| query.split('&').any(|part| part.starts_with("verbose")));
    match verbose {
        true => answer::text(StatusCode::OK, "[+]ping ok\n[+]store ok\nhealthz check passed\n"),
        false => answer::text(StatusCode::OK, "ok"),
    }
}

async fn read_body<B>(body: B) -> Result<Bytes, Failure>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Failure::too_large(MAX_BODY)),
        Err(error) => Err(Failure::bad_request(format!(
            "the body could not be read: {error}"
        ))),
    }
}

impl<B> Service<Request<B>> for ApiService
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<ApiBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<ApiBody>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        let (parts, body) = request.into_parts();
        Box::pin(async move { Ok(service.answer(parts, read_body(body)).await) })
    }
}
