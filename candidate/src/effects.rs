//! Everything that a candidate does to the outside: requests, the guard of a term, and its end.
//!
//! Each request has a deadline of its own and no retry beneath it; what its outcome means is the machine's to say.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use election_core::candidate::{Effect, EndReason, IdentityWrite, Outcome, Seen, Settings, Term};
use election_core::wire::{self, IdentityRecord};
use election_core::{IdentityLease, LeaderLease, LeaseCreate, LeaseKey, LeaseWrite, Mono, Revision, Uid};
use futures::future::BoxFuture;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Api;
use kube::api::{DeleteParams, PostParams, Preconditions};
use tokio::sync::{mpsc, watch};

use crate::client::{Failure, classify};
use crate::clock::SharedClock;
use crate::complaints::Complaints;
use crate::driver::{Answer, Command, SharedFence};
use crate::fence::{Fence, fenced};
use crate::leadership::{Leadership, TermState};
use crate::watch::read;
use crate::watchdog::{Armed, Guardian};

/// A record with the object that it was read from, from which the next write starts.
pub(crate) struct Versioned<T> {
    pub(crate) record: Option<T>,
    pub(crate) lease: Option<Lease>,
}

/// The outside of one candidate.
pub(crate) struct Effects {
    settings: Settings,
    clock: SharedClock,
    guardian: Guardian,
    client: kube::Client,
    work_client: kube::Client,
    owner: Option<OwnerReference>,
    commands: mpsc::UnboundedSender<Command>,
    term: Option<RunningTerm>,
    leases: Recent,
    identities: Recent,
    complaints: Complaints,
}

struct RunningTerm {
    state: watch::Sender<TermState>,
    fence: SharedFence,
    armed: Arc<Armed>,
    /// How long before the kill a future is dropped, and a write cancelled, so that a runtime that runs never meets the watchdog.
    margin: Duration,
}

impl Effects {
    pub(crate) fn new(
        settings: Settings,
        clock: SharedClock,
        guardian: Guardian,
        client: kube::Client,
        work_client: kube::Client,
        owner: Option<OwnerReference>,
        commands: mpsc::UnboundedSender<Command>,
    ) -> Self {
        Self {
            settings,
            clock,
            guardian,
            client,
            work_client,
            owner,
            commands,
            term: None,
            leases: Recent::default(),
            identities: Recent::default(),
            complaints: Complaints::default(),
        }
    }

    // --- The term ---------------------------------------------------------------------------------------------------

    pub(crate) fn lead(&mut self, term: Term) -> Leadership {
        let margin = term.timing.stop_grace / 4;
        let (state, seen) = watch::channel(TermState {
            deadline: term.deadline.before(margin),
            stop: None,
        });
        let fence = Fence::open(self.clock.clone(), term.deadline, margin, term.timing.deadline);
        let armed = self.guardian.guard(term.deadline);
        tracing::info!(
            lease = %self.settings.lease, identity = %self.settings.identity, term = term.transitions,
            token = %term.token, "leading"
        );
        let leadership = Leadership {
            lease: self.settings.lease.clone(),
            identity: self.settings.identity.clone(),
            transitions: term.transitions,
            token: term.token,
            client: fenced(self.work_client.clone(), fence.clone()),
            fence: fence.clone(),
            clock: self.clock.clone(),
            state: seen,
            commands: self.commands.clone(),
            _armed: armed.clone(),
        };
        self.term = Some(RunningTerm {
            state,
            fence,
            armed,
            margin,
        });
        leadership
    }

    pub(crate) fn extend(&self, deadline: Mono) {
        let Some(term) = &self.term else { return };
        term.armed.until(deadline);
        term.fence.extend(deadline);
        term.state.send_modify(|state| {
            state.deadline = deadline.before(term.margin);
            if let Some((_, kill_at)) = &mut state.stop {
                *kill_at = deadline.before(term.margin);
            }
        });
    }

    pub(crate) fn stop_work(&self, reason: EndReason, kill_at: Mono) {
        let Some(term) = &self.term else { return };
        tracing::info!(
            lease = %self.settings.lease, identity = %self.settings.identity, reason = reason.code(), "stopping: {reason}"
        );
        term.armed.until(kill_at);
        // While a shutdown drains, renewals still move the moment; nothing else does.
        if reason != EndReason::Shutdown {
            term.fence.limit(kill_at);
        }
        term.state
            .send_modify(|state| state.stop = Some((reason, kill_at.before(term.margin))));
    }

    /// The guard is gone: waits until each request of the work is answered or given up.
    pub(crate) fn drain(&self) -> Option<BoxFuture<'static, Answer>> {
        let fence = self.term.as_ref()?.fence.clone();
        Some(Box::pin(async move {
            Answer::Drained {
                clean: fence.drained().await.clean,
            }
        }))
    }

    pub(crate) fn work_has_stopped(&mut self) {
        let Some(term) = self.term.take() else { return };
        let (lease, identity) = (&self.settings.lease, &self.settings.identity);
        let late = self
            .clock
            .now()
            .since(term.state.borrow().kill_at() + term.margin);
        if late.is_zero() {
            tracing::info!(%lease, %identity, "work stopped");
        } else {
            tracing::error!(%lease, %identity, ?late, "work stopped after its deadline: another leader may have acted");
        }
    }

    // --- Requests ---------------------------------------------------------------------------------------------------

    /// Turns an effect of the machine into a request.
    pub(crate) fn send(&self, effect: Effect) -> Option<BoxFuture<'static, Answer>> {
        let call = |within| Call {
            client: self.client.clone(),
            clock: self.clock.clone(),
            within,
            complaints: self.complaints.clone(),
        };
        Some(match effect {
            Effect::WriteLease { id, write, within } => {
                let (call, base) = (call(within), self.leases.find(&write.base));
                Box::pin(async move { Answer::Lease(id, call.put_lease(base, &write).await) })
            }
            Effect::CreateLease { id, create, within } => {
                let call = call(within);
                Box::pin(async move { Answer::Lease(id, call.create_lease(&create).await) })
            }
            Effect::ReadLease { id, within } => {
                let (call, key) = (call(within), self.settings.lease.clone());
                Box::pin(async move {
                    let what = "read of the leader lease";
                    Answer::Lease(id, call.get(&key, what, wire::read_leader).await)
                })
            }
            Effect::ReadIdentity { id, within } => {
                let (call, key) = (call(within), self.settings.identity_key());
                Box::pin(async move {
                    let what = "read of the identity lease";
                    Answer::Identity(id, call.get(&key, what, wire::read_identity).await)
                })
            }
            Effect::WriteIdentity { id, write, within } => {
                let (call, key) = (call(within), self.settings.identity_key());
                let request = self.identity_request(write);
                Box::pin(async move { Answer::Identity(id, call.write_identity(&key, request).await) })
            }
            _ => return None,
        })
    }

    fn identity_request(&self, write: IdentityWrite) -> IdentityRequest {
        let object = |base: Option<Lease>, offers: bool, renew_time, duration| {
            let record = IdentityRecord {
                key: self.settings.identity_key(),
                incarnation: self.settings.incarnation.clone(),
                leads: offers.then(|| self.settings.lease.clone()),
                versions: self.settings.versions.clone(),
                renew_time,
                duration,
                timing: self.settings.timing,
            };
            wire::identity(base.as_ref(), &record, self.owner.as_ref())
        };
        match write {
            IdentityWrite::Create {
                offers,
                renew_time,
                duration,
            } => IdentityRequest::Create(object(None, offers, renew_time, duration)),
            IdentityWrite::Update {
                uid: _,
                base,
                offers,
                renew_time,
                duration,
            } => match self.identities.find(&base) {
                Some(lease) => IdentityRequest::Update(object(Some(lease), offers, renew_time, duration)),
                None => IdentityRequest::Outdated,
            },
            IdentityWrite::Delete { uid, base } => IdentityRequest::Delete(uid, base),
        }
    }

    // --- Objects that writes start from -------------------------------------------------------------------------------

    pub(crate) fn keep(&mut self, lease: Option<Lease>) {
        self.leases.keep(lease);
    }

    pub(crate) fn keep_identity(&mut self, lease: Option<Lease>) {
        self.identities.keep(lease);
    }

    pub(crate) fn remember(&mut self, outcome: Outcome<Versioned<LeaderLease>>) -> Outcome<LeaderLease> {
        split(outcome, &mut self.leases)
    }

    pub(crate) fn remember_identity(
        &mut self,
        outcome: Outcome<Versioned<IdentityLease>>,
    ) -> Outcome<IdentityLease> {
        split(outcome, &mut self.identities)
    }
}

/// The newest objects that were seen, so that a write can start from the very version that it was decided from.
#[derive(Default)]
struct Recent {
    leases: VecDeque<Lease>,
}

impl Recent {
    /// News may overtake one another, so the newest is not always the last.
    const KEPT: usize = 8;

    fn keep(&mut self, lease: Option<Lease>) {
        self.leases.extend(lease);
        if self.leases.len() > Self::KEPT {
            self.leases.pop_front();
        }
    }

    fn find(&self, revision: &Revision) -> Option<Lease> {
        let is = |lease: &&Lease| lease.metadata.resource_version.as_deref() == Some(revision.as_str());
        self.leases.iter().rev().find(is).cloned()
    }
}

enum IdentityRequest {
    Create(Lease),
    Update(Lease),
    Delete(Uid, Revision),
    /// The version that it was decided from is not at hand any more.
    Outdated,
}

fn split<T>(outcome: Outcome<Versioned<T>>, recent: &mut Recent) -> Outcome<T> {
    match outcome {
        Outcome::Conflict => Outcome::Conflict,
        Outcome::Failed => Outcome::Failed,
        Outcome::Done(Seen { as_of, object }) => {
            let object = object.and_then(|versioned| {
                recent.keep(versioned.lease);
                versioned.record
            });
            Outcome::Done(Seen { as_of, object })
        }
    }
}

/// One request: whom to ask, for how long, and whether people have heard of its failing.
struct Call {
    client: kube::Client,
    clock: SharedClock,
    within: Duration,
    complaints: Complaints,
}

impl Call {
    fn leases(&self, key: &LeaseKey) -> Api<Lease> {
        Api::namespaced(self.client.clone(), key.namespace())
    }

    async fn put_lease(&self, base: Option<Lease>, write: &LeaseWrite) -> Outcome<Versioned<LeaderLease>> {
        let Some(base) = base else {
            return Outcome::Conflict;
        };
        let (api, object) = (self.leases(&write.key), wire::update(&base, write));
        let params = PostParams::default();
        let request = api.replace(write.key.name(), &params, &object);
        let reply = self.answered(request, &write.key, write.kind.as_str()).await;
        done(reply, wire::read_leader)
    }

    async fn create_lease(&self, create: &LeaseCreate) -> Outcome<Versioned<LeaderLease>> {
        let (api, object) = (self.leases(&create.key), wire::create_directly(create));
        let params = PostParams::default();
        let request = api.create(&params, &object);
        let reply = self.answered(request, &create.key, "create of the lease").await;
        done(reply, wire::read_leader)
    }

    async fn write_identity(
        &self,
        key: &LeaseKey,
        request: IdentityRequest,
    ) -> Outcome<Versioned<IdentityLease>> {
        let api = self.leases(key);
        let params = PostParams::default();
        match request {
            IdentityRequest::Create(lease) => {
                let create = api.create(&params, &lease);
                let reply = self.answered(create, key, "create of the identity lease").await;
                done(reply, wire::read_identity)
            }
            IdentityRequest::Update(lease) => {
                let update = api.replace(key.name(), &params, &lease);
                let reply = self.answered(update, key, "renewal of the identity lease").await;
                done(reply, wire::read_identity)
            }
            IdentityRequest::Delete(uid, revision) => {
                let params = DeleteParams::default().preconditions(Preconditions {
                    uid: Some(uid.to_string()),
                    resource_version: Some(revision.to_string()),
                });
                let delete = api.delete(key.name(), &params);
                match self.answered(delete, key, "removal of the identity lease").await {
                    Reply::Done(_) => Outcome::Done(Seen {
                        as_of: revision,
                        object: None,
                    }),
                    Reply::Conflict => Outcome::Conflict,
                    Reply::Failed => Outcome::Failed,
                }
            }
            IdentityRequest::Outdated => Outcome::Conflict,
        }
    }

    async fn get<T>(
        &self,
        key: &LeaseKey,
        what: &'static str,
        convert: fn(&Lease) -> Option<T>,
    ) -> Outcome<Versioned<T>> {
        match read(&self.client, key, &self.clock, self.within).await {
            Ok((lease, as_of)) => {
                self.complaints.over(key, what);
                let object = lease.map(|lease| Versioned {
                    record: convert(&lease),
                    lease: Some(lease),
                });
                Outcome::Done(Seen { as_of, object })
            }
            Err(error) => {
                self.complaints.failed(key, what, error.to_string());
                Outcome::Failed
            }
        }
    }

    /// Awaits one request for as long as it may take, and says what its end means.
    async fn answered<T>(
        &self,
        request: impl Future<Output = Result<T, kube::Error>>,
        key: &LeaseKey,
        what: &'static str,
    ) -> Reply<T> {
        let deadline = self.clock.sleep_until(self.clock.now() + self.within);
        let result = tokio::select! {
            biased;
            result = request => result,
            () = deadline => {
                self.complaints.failed(key, what, format!("no answer within {:?}", self.within));
                return Reply::Failed;
            }
        };
        match result {
            Ok(value) => {
                self.complaints.over(key, what);
                Reply::Done(value)
            }
            Err(error) => match classify(&error) {
                Failure::Conflict | Failure::AlreadyExists | Failure::NotFound => {
                    tracing::debug!(lease = %key, "{what}: {error}");
                    self.complaints.over(key, what);
                    Reply::Conflict
                }
                failure => {
                    self.complaints.failed(key, what, failure.to_string());
                    Reply::Failed
                }
            },
        }
    }
}

/// How a request ended, before anything was made of it.
enum Reply<T> {
    Done(T),
    Conflict,
    Failed,
}

fn done<T>(reply: Reply<Lease>, convert: fn(&Lease) -> Option<T>) -> Outcome<Versioned<T>> {
    match reply {
        Reply::Conflict => Outcome::Conflict,
        Reply::Failed => Outcome::Failed,
        Reply::Done(lease) => {
            // An answer without a version is no answer.
            let Some(version) = lease.metadata.resource_version.as_deref() else {
                return Outcome::Failed;
            };
            let as_of = Revision::new(version);
            Outcome::Done(Seen {
                as_of,
                object: Some(Versioned {
                    record: convert(&lease),
                    lease: Some(lease),
                }),
            })
        }
    }
}
