//! Every request that changes a lease. Each has a deadline, none is repeated here, and none is unconditional.
//!
//! Requests run beside the loop, at most so many at once; the rest waits in order. What an outcome means is the core's
//! to say.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use candidate::Leadership;
use candidate::client::{Failure, classify};
use candidate::clock::SharedClock;
use candidate::watch::LeaseText;
use election_core::elector::{Outcome, Output, Reason};
use election_core::{LeaseCreate, LeaseKey, LeaseWrite, Revision, Uid, wire};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{DeleteParams, PostParams, Preconditions};
use tokio::sync::watch;

use crate::objects::{Object, Objects};
use crate::options::Options;

/// A request of the elector.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    /// POST, without a holder.
    Create(LeaseCreate, Reason),
    /// PUT, with uid and resource version.
    Write(LeaseWrite, Reason),
    /// DELETE, with uid and resource version as preconditions.
    Delete(LeaseKey, Uid, Revision),
}

/// How a request ended.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Whose it is.
    pub(crate) scope: usize,
    /// What was asked for.
    pub(crate) request: Request,
    /// How it ended, for the core.
    pub(crate) outcome: Outcome,
    /// What the server now has.
    pub(crate) lease: Option<Lease>,
}

/// Whether an elector may write.
pub(crate) enum Permit {
    Always,
    /// As whoever embeds it says.
    Told(watch::Receiver<bool>),
    /// In its turn, with the guard of it.
    Turn(Option<Leadership>),
}

impl Permit {
    pub(crate) fn of(options: &Options) -> Self {
        match (&options.leader_election, &options.acting) {
            (Some(_), _) => Self::Turn(None),
            (None, Some(acting)) => Self::Told(acting.clone()),
            (None, None) => Self::Always,
        }
    }

    /// Whether it may at this very moment; not when whoever knew is gone.
    pub(crate) fn is_given(&self) -> bool {
        match self {
            Self::Always => true,
            Self::Told(acting) => acting.has_changed().is_ok() && *acting.borrow(),
            Self::Turn(leadership) => leadership.is_some(),
        }
    }
}

/// The requests that are open or waiting, and the objects that they start from.
pub(crate) struct Effects {
    client: kube::Client,
    clock: SharedClock,
    within: Duration,
    concurrency: usize,
    pub(crate) permit: Permit,
    /// What updates start from.
    pub(crate) objects: Objects,
    waiting: VecDeque<(usize, Request)>,
    open: FuturesUnordered<BoxFuture<'static, Answer>>,
    open_requests: Arc<AtomicUsize>,
}

impl Effects {
    pub(crate) fn new(client: kube::Client, clock: SharedClock, options: &Options) -> Self {
        Self {
            client,
            clock,
            within: options.request_deadline,
            concurrency: options.concurrency,
            permit: Permit::of(options),
            objects: Objects::default(),
            waiting: VecDeque::new(),
            open: FuturesUnordered::new(),
            open_requests: options.open_requests.clone(),
        }
    }

    /// Begins a request, or queues it.
    pub(crate) fn send(&mut self, scope: usize, request: Request) {
        self.waiting.push_back((scope, request));
        self.fill();
    }

    /// The next request that has ended; pends while none is open.
    pub(crate) async fn next(&mut self) -> Answer {
        match self.open.next().await {
            Some(answer) => {
                if let Some(lease) = &answer.lease
                    && matches!(answer.request, Request::Write(..))
                    && let Some(object) = Object::answered(lease)
                {
                    self.objects.put(answer.scope, object);
                }
                self.fill();
                answer
            }
            None => std::future::pending().await,
        }
    }

    /// Whether nothing is open and nothing waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_empty() && self.waiting.is_empty()
    }

    fn fill(&mut self) {
        while self.open.len() < self.concurrency {
            let Some((scope, request)) = self.waiting.pop_front() else {
                break;
            };
            let future = self.begin(scope, request);
            self.open.push(future);
        }
        self.open_requests.store(self.open.len(), Ordering::Relaxed);
    }

    fn begin(&self, scope: usize, request: Request) -> BoxFuture<'static, Answer> {
        let (clock, within) = (self.clock.clone(), self.within);
        // The client of a turn reads its deadline before each write.
        let client = match &self.permit {
            Permit::Turn(Some(leadership)) => leadership.client(),
            _ => self.client.clone(),
        };
        let base = match &request {
            Request::Write(write, _) => self.objects.base(write).cloned(),
            _ => None,
        };
        let may_write = self.permit.is_given();
        Box::pin(async move {
            let deadline = clock.sleep_until(clock.now() + within);
            let result = tokio::select! {
                biased;
                () = std::future::ready(()), if !may_write => {
                    Err(Failure::Unknown("not sent: this elector stands by".to_owned()))
                }
                result = carry_out(client, &request, base) => result,
                () = deadline => Err(Failure::Unknown(format!("no answer within {within:?}"))),
            };
            let (outcome, lease) = match result {
                Ok(lease) => (Outcome::Done(lease.as_ref().and_then(wire::read_leader)), lease),
                Err(Failure::Conflict | Failure::AlreadyExists | Failure::NotFound) => {
                    (Outcome::Conflict, None)
                }
                Err(Failure::Refused(why)) => (Outcome::Refused(why), None),
                Err(Failure::Unknown(why)) => (Outcome::Unknown(why), None),
            };
            Answer {
                scope,
                request,
                outcome,
                lease,
            }
        })
    }
}

impl Request {
    /// The request that an output asks for, if it asks for one.
    pub(crate) fn of(output: Output) -> Option<Self> {
        match output {
            Output::Create { create, reason } => Some(Self::Create(create, reason)),
            Output::Write { write, reason } => Some(Self::Write(write, reason)),
            Output::DeleteIdentity { key, uid, revision } => Some(Self::Delete(key, uid, revision)),
            Output::Decided(_) | Output::Refused { .. } | Output::Relist => None,
        }
    }

    /// The lease that it changes.
    pub(crate) const fn key(&self) -> &LeaseKey {
        match self {
            Self::Create(create, _) => &create.key,
            Self::Write(write, _) => &write.key,
            Self::Delete(key, ..) => key,
        }
    }

    /// What it is called in logs, as the protocol names it.
    pub(crate) const fn verb(&self) -> &'static str {
        match self {
            Self::Create(..) => "create",
            Self::Write(write, _) => write.kind.as_str(),
            Self::Delete(..) => "delete",
        }
    }

    /// The permission that it needs.
    pub(crate) const fn permission(&self) -> &'static str {
        match self {
            Self::Create(..) => "create",
            Self::Write(..) => "update",
            Self::Delete(..) => "delete",
        }
    }
}

/// Invariant: S8, an update names the uid and the version that it was decided from, and so does a deletion.
async fn carry_out(
    client: kube::Client,
    request: &Request,
    base: Option<LeaseText>,
) -> Result<Option<Lease>, Failure> {
    let key = request.key();
    let api: Api<Lease> = Api::namespaced(client, key.namespace());
    let params = PostParams::default();
    match request {
        Request::Create(create, _) => {
            let created = api.create(&params, &wire::create(create)).await;
            created.map(Some).map_err(|error| classify(&error))
        }
        Request::Write(write, _) => {
            // The object has changed since the decision was made: the server would say the same.
            let base = base.ok_or(Failure::Conflict)?;
            let base = base
                .lease()
                .map_err(|error| Failure::Refused(error.to_string()))?;
            let replaced = api
                .replace(key.name(), &params, &wire::update(&base, write))
                .await;
            replaced.map(Some).map_err(|error| classify(&error))
        }
        Request::Delete(_, uid, revision) => {
            let params = DeleteParams {
                preconditions: Some(Preconditions {
                    uid: Some(uid.as_str().to_owned()),
                    resource_version: Some(revision.as_str().to_owned()),
                }),
                ..DeleteParams::default()
            };
            api.delete(key.name(), &params)
                .await
                .map(|_| None)
                .map_err(|error| classify(&error))
        }
    }
}
