//! Whose turn it is to act: the election among electors, by a candidate in direct mode on a lease of their own.
//!
//! Safety does not rest on it, because every write of an elector is conditional. It saves requests, and one of several that
//! speak is easier to follow. What an elector does in its turn is not here.

use std::time::Duration;

use candidate::clock::SharedClock;
use candidate::{Builder, Candidate, EndReason, JoinError, Leadership, Overrun};
use futures::future::{BoxFuture, Shared};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use tokio::sync::oneshot;

use crate::options::{LeaderElection, LeaderElectionError};

/// What happens in the election among electors.
pub(crate) enum Turn {
    /// This elector acts from now on. Its writes go through the client of this term, which refuses them after its deadline.
    Begins(Leadership),
    /// It acts no more; the next one is waited for.
    Ends(EndReason),
    /// It does not take part any more.
    Over(Result<(), LeaderElectionError>),
}

/// One elector's part in the election among electors.
pub(crate) struct Turns {
    turns: BoxStream<'static, Turn>,
    leave: Option<oneshot::Sender<()>>,
}

impl Turns {
    pub(crate) fn new(client: kube::Client, election: LeaderElection, clock: SharedClock) -> Self {
        let (leave, left) = oneshot::channel();
        let part = Part::Joins(Box::new(Joiner {
            client,
            election,
            clock,
            left: left.map(drop).boxed().shared(),
            told: String::new(),
        }));
        Self {
            turns: stream::unfold(part, Part::next).boxed(),
            leave: Some(leave),
        }
    }

    /// What happens next. Cancel-safe; pends for ever once it is over.
    pub(crate) async fn next(&mut self) -> Turn {
        match self.turns.next().await {
            Some(turn) => turn,
            None => std::future::pending().await,
        }
    }

    /// Leaves the election. [`Turn::Over`] follows when the lease is given back, which needs that the guard of the turn was
    /// dropped.
    pub(crate) fn leave(&mut self) {
        self.leave = None;
    }
}

/// What the part of an elector consists of at the moment.
enum Part {
    Joins(Box<Joiner>),
    Waits(Candidate),
    Acts(Candidate, BoxFuture<'static, EndReason>),
    Over,
}

impl Part {
    async fn next(self) -> Option<(Turn, Self)> {
        let candidate = match self {
            Self::Joins(joiner) => match joiner.join().await {
                Ok(Some(candidate)) => candidate,
                Ok(None) => return Some(Self::over(Ok(()))),
                Err(error) => return Some(Self::over(Err(error.into()))),
            },
            Self::Acts(candidate, ended) => {
                let reason = ended.await;
                return Some((Turn::Ends(reason), Self::Waits(candidate)));
            }
            Self::Waits(candidate) => candidate,
            Self::Over => return None,
        };
        Some(Self::wait(candidate).await)
    }

    async fn wait(mut candidate: Candidate) -> (Turn, Self) {
        match candidate.lead().await {
            Ok(Some(leadership)) => {
                let ended = leadership.ended().boxed();
                (Turn::Begins(leadership), Self::Acts(candidate, ended))
            }
            Ok(None) => Self::over(Ok(())),
            Err(error) => Self::over(Err(error.into())),
        }
    }

    fn over(result: Result<(), LeaderElectionError>) -> (Turn, Self) {
        (Turn::Over(result), Self::Over)
    }
}

/// One that does not take part yet.
struct Joiner {
    client: kube::Client,
    election: LeaderElection,
    clock: SharedClock,
    left: Shared<BoxFuture<'static, ()>>,
    /// Why it could not join, as people were told.
    told: String,
}

impl Joiner {
    /// Joins, however long a server refuses: permissions come and go. `None` when this elector left before.
    async fn join(mut self) -> Result<Option<Candidate>, JoinError> {
        loop {
            let error = tokio::select! {
                biased;
                () = self.left.clone() => return Ok(None),
                joined = self.builder().join() => match joined {
                    Ok(candidate) => return Ok(Some(candidate)),
                    Err(error @ JoinError::Refused { .. }) => error.to_string(),
                    Err(error) => return Err(error),
                },
            };
            if self.told != error {
                tracing::error!(
                    "{error}: standing by and trying again; the electors' own lease needs the same permissions"
                );
                self.told = error;
            }
            tokio::select! {
                biased;
                () = self.left.clone() => return Ok(None),
                () = self.clock.sleep_until(self.clock.now() + PAUSE) => {}
            }
        }
    }

    fn builder(&self) -> Builder {
        let election = &self.election;
        let mut builder = Candidate::builder(self.client.clone(), election.lease.clone())
            // Two that act do no harm, and a cold start should not wait.
            .direct_assuming_unheld()
            .timing(election.timing)
            .overrun(Overrun::Report)
            .clock(self.clock.clone())
            .shutdown_on(self.left.clone());
        if let Some(identity) = &election.identity {
            builder = builder.identity(identity.clone());
        }
        if let Some(incarnation) = &election.incarnation {
            builder = builder.incarnation(incarnation.clone());
        }
        if let Some(spawner) = election.spawner.clone() {
            builder = builder.spawner(move |task| spawner.spawn(task));
        }
        builder
    }
}

/// Between two attempts to join while the API server refuses.
const PAUSE: Duration = Duration::from_secs(5);
