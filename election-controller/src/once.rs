//! One look at a cluster: what an elector would decide for each lease at this moment, and, if wished, does.
//!
//! An elector that has just started knows no age of anything, so it waits where a running one may act at once. That is
//! said as it is: what is waited for, and for how long.

use candidate::clock::SharedClock;
use election_core::Mono;
use election_core::elector::Output;

use crate::effects::{Effects, Request};
use crate::notes;
use crate::objects::Objects;
use crate::options::{Error, Options};
use crate::report::{LeaseReport, RefusalReport, Report};
use crate::run;
use crate::scopes::{Scope, Scopes, WatchEvent};

/// Why there was nothing to look at.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The options contradict each other.
    #[error(transparent)]
    Options(#[from] Error),
    /// The leases cannot be listed.
    #[error("leases cannot be listed: {why}")]
    List {
        /// What the server said, or did not.
        why: String,
    },
}

/// Looks once, and changes nothing.
///
/// # Errors
/// When the options contradict each other, or the leases cannot be listed.
pub async fn survey(
    client: kube::Client,
    options: Options,
    clock: SharedClock,
) -> Result<Report, SurveyError> {
    let look = Look::take(&client, &options.validated()?, &clock).await?;
    Ok(look.report)
}

/// Looks once, and carries out what can be decided at this moment.
///
/// # Errors
/// When the options contradict each other, or the leases cannot be listed. A request that fails is no error but in the
/// report; see [`Report::is_done`].
pub async fn act_once(
    client: kube::Client,
    options: Options,
    clock: SharedClock,
) -> Result<Report, SurveyError> {
    // One look has no turn to wait for.
    let options = Options {
        leader_election: None,
        ..options.validated()?
    };
    let Look {
        mut report,
        requests,
        objects,
    } = Look::take(&client, &options, &clock).await?;
    let (mut notes, publisher) = notes::channel(client.clone(), &options, clock.clone());
    let mut effects = Effects::new(client, clock.clone(), &options);
    effects.objects = objects;
    for (scope, request) in requests {
        effects.send(scope, request);
    }
    let work = async {
        while !effects.is_idle() {
            let answer = effects.next().await;
            run::report(&mut notes, clock.now(), &answer.request, &answer.outcome);
            report.note(&answer.request, &answer.outcome);
        }
        // The publisher ends when nobody takes notes any more.
        drop(notes);
    };
    tokio::join!(work, publisher.run());
    Ok(report)
}

/// One look.
struct Look {
    report: Report,
    /// What would be done, with the number of its scope.
    requests: Vec<(usize, Request)>,
    objects: Objects,
}

impl Look {
    /// Waits until every scope is listed, and asks what is to be done.
    async fn take(
        client: &kube::Client,
        options: &Options,
        clock: &SharedClock,
    ) -> Result<Self, SurveyError> {
        let mut scopes = Scopes::new(client, options, clock);
        let mut objects = Objects::default();
        while scopes.iter_mut().any(|(_, scope)| !scope.elector.is_synced()) {
            let (index, event) = scopes.next().await;
            // One list of each is enough: what a watch says meanwhile, or that it may not be watched, changes nothing.
            let unlisted = scopes.get_mut(index).filter(|scope| !scope.elector.is_synced());
            match (unlisted, event) {
                (Some(_), WatchEvent::Lost(why)) => return Err(SurveyError::List { why }),
                (Some(scope), event) => {
                    objects.take(index, scope.take(clock.now(), event));
                }
                (None, _) => {}
            }
        }
        let mut look = Self {
            report: Report::default(),
            requests: Vec::new(),
            objects,
        };
        for (index, scope) in scopes.iter_mut() {
            look.ask(clock.now(), index, scope);
        }
        Ok(look)
    }

    fn ask(&mut self, now: Mono, index: usize, scope: &mut Scope) {
        let explanations = scope
            .elector
            .keys()
            .filter_map(|key| scope.elector.explain(now, key));
        let wanted = explanations.filter(|explanation| !explanation.candidates.is_empty());
        self.report
            .leases
            .extend(wanted.map(|explanation| LeaseReport::new(&explanation)));
        while let Some(output) = scope.elector.poll(now) {
            match output {
                Output::Refused { key, refusal, .. } => {
                    self.report.refused.push(RefusalReport::new(&key, &refusal));
                }
                output => self
                    .requests
                    .extend(Request::of(output).map(|request| (index, request))),
            }
        }
    }
}
