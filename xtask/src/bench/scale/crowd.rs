//! The simulated candidates: one watch of all leases, and the requests that their book asks for.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, bail};
use candidate::clock::{BootClock, Clock};
use election_core::{Mono, Versions};
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, FuturesUnordered};
use futures::{FutureExt, StreamExt, TryStreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{DeleteParams, PostParams};
use kube::runtime::watcher;
use kube::{Api, Client};

use super::book::{Book, Now, Request};
use crate::shell;

/// How many requests are open at once.
const OPEN: usize = 64;
/// What takes longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(300);

/// A request's end: what it was, what came of it, and when it was sent.
type Answer = (Request, Result<Option<Lease>, kube::Error>, Mono);

/// What happens to the crowd.
enum Event {
    Shown(Box<Lease>),
    Answered(Box<Answer>),
    Due,
}

/// The simulated candidates.
pub(in crate::bench) struct Crowd {
    pub(in crate::bench) book: Book,
    leases: Api<Lease>,
    versions: Versions,
    watch: BoxStream<'static, Result<watcher::Event<Lease>, watcher::Error>>,
    open: FuturesUnordered<BoxFuture<'static, Answer>>,
    refused: u64,
}

impl Crowd {
    /// Lets all candidates join.
    pub(in crate::bench) async fn join(
        client: Client,
        namespace: &str,
        leases: usize,
    ) -> anyhow::Result<Self> {
        let api: Api<Lease> = Api::namespaced(client, namespace);
        let version: election_core::Version = "1.30".parse()?;
        let versions = Versions {
            binary: version.clone(),
            emulation: version,
        };
        let mut book = Book::new(namespace, leases);
        let creates =
            stream::iter((0..book.members()).map(|member| (member, book.joins(member, &versions, now()))));
        let created: Vec<(usize, Lease)> = creates
            .map(|(member, lease)| {
                let api = api.clone();
                async move { anyhow::Ok((member, api.create(&PostParams::default(), &lease).await?)) }
            })
            .buffer_unordered(OPEN)
            .try_collect()
            .await
            .context("a candidate cannot join")?;
        for (member, lease) in created {
            book.joined(member, lease, now());
        }
        let watch = watcher(api.clone(), watcher::Config::default()).boxed();
        Ok(Self {
            book,
            leases: api,
            versions,
            watch,
            open: FuturesUnordered::new(),
            refused: 0,
        })
    }

    /// Goes on for some time.
    pub(in crate::bench) async fn during(&mut self, time: Duration) -> anyhow::Result<()> {
        let mut over = pin!(shell::sleep(time));
        loop {
            tokio::select! {
                () = &mut over => return Ok(()),
                event = next(&mut self.watch, &mut self.open, self.book.deadline()) => self.handle(event?)?,
            }
        }
    }

    /// Goes on until something holds.
    pub(in crate::bench) async fn until(
        &mut self,
        what: &str,
        holds: impl Fn(&Book) -> bool,
    ) -> anyhow::Result<()> {
        let since = shell::now();
        let mut looked = since;
        self.send();
        loop {
            let event = next(&mut self.watch, &mut self.open, self.book.deadline()).await?;
            self.handle(event)?;
            // To look costs a moment with many leases.
            if looked.elapsed() < Duration::from_millis(10) {
                continue;
            }
            looked = shell::now();
            if holds(&self.book) {
                return Ok(());
            }
            if since.elapsed() > PATIENCE {
                bail!(
                    "{what} did not come within {PATIENCE:?}: {} leases have a leader, {} requests were refused",
                    self.book.led(),
                    self.refused
                );
            }
        }
    }

    fn handle(&mut self, event: Event) -> anyhow::Result<()> {
        let now = now();
        match event {
            Event::Shown(lease) => {
                self.book.writes += 1;
                self.book.shown(*lease, now);
            }
            Event::Answered(answer) => {
                let (request, result, sent) = *answer;
                let object = match result {
                    Ok(object) => object,
                    // Somebody else wrote first: the watch shows what.
                    Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => {
                        self.refused += 1;
                        None
                    }
                    Err(error) => {
                        return Err(error).context(format!("{:?} of {}", request.purpose, request.name));
                    }
                };
                self.book.answered(&request, object, sent, now);
            }
            Event::Due => self.book.pass(now),
        }
        self.send();
        Ok(())
    }

    fn send(&mut self) {
        while self.open.len() < OPEN {
            let Some(purpose) = self
                .book
                .urgent
                .pop_front()
                .or_else(|| self.book.patient.pop_front())
            else {
                return;
            };
            let now = now();
            let Some(request) = self.book.request(purpose, &self.versions, now) else {
                continue;
            };
            let leases = self.leases.clone();
            let sending = async move {
                let result = match &request.object {
                    Some(object) => leases
                        .replace(&request.name, &PostParams::default(), object)
                        .await
                        .map(Some),
                    None => leases
                        .delete(&request.name, &DeleteParams::default())
                        .await
                        .map(|_| None),
                };
                (request, result, now.mono)
            };
            self.open.push(sending.boxed());
        }
    }
}

async fn next(
    watch: &mut BoxStream<'static, Result<watcher::Event<Lease>, watcher::Error>>,
    open: &mut FuturesUnordered<BoxFuture<'static, Answer>>,
    deadline: Option<Mono>,
) -> anyhow::Result<Event> {
    let due = async {
        match deadline {
            Some(at) => shell::sleep(at.since(now().mono)).await,
            None => std::future::pending().await,
        }
    };
    let mut due = pin!(due);
    loop {
        tokio::select! {
            shown = watch.next() => match shown.context("the watch has ended")? {
                Ok(watcher::Event::Apply(lease) | watcher::Event::InitApply(lease)) => {
                    return Ok(Event::Shown(Box::new(lease)));
                }
                Ok(_) => {}
                Err(error) => return Err(error).context("the watch of the leases broke"),
            },
            Some(answer) = open.next(), if !open.is_empty() => return Ok(Event::Answered(Box::new(answer))),
            () = &mut due => return Ok(Event::Due),
        }
    }
}

/// This moment.
fn now() -> Now {
    let clock = BootClock::new();
    Now {
        mono: clock.now(),
        wall: clock.wall(),
    }
}
