//! One look at a cluster: what an elector would decide for each lease at this moment, and, if wished, does.
//!
//! An elector that has just started knows no age of anything, so it waits where a running one may act at once. That is
//! said as it is: what is waited for, and for how long.

use std::collections::BTreeMap;

use candidate::clock::SharedClock;
use candidate::watch::WatchEvent;
use election_core::LeaseKey;
use election_core::elector::{Outcome, Output};

use crate::effects::{Effects, Request};
use crate::notes;
use crate::options::{Error, Options};
use crate::report::{LeaseReport, RefusalReport, Report};
use crate::run;
use crate::scopes::Scopes;

/// Why there was nothing to look at.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The options contradict each other.
    #[error(transparent)]
    Options(#[from] Error),
    /// The leases cannot be listed.
    #[error(
        "leases cannot be listed: {why}; an elector needs `list` and `watch` on leases in coordination.k8s.io"
    )]
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
    let options = options.validated()?;
    let mut effects = Effects::new(
        client.clone(),
        clock.clone(),
        options.request_deadline,
        options.concurrency,
    );
    let mut scopes = Scopes::new(&client, &options, &clock);
    list(&mut scopes, &clock, &mut effects).await?;
    let (report, _) = look(&mut scopes, &clock);
    Ok(report)
}

/// Looks once, and carries out what can be decided at this moment.
///
/// # Errors
/// When the options contradict each other, or the leases cannot be listed.
pub async fn act_once(
    client: kube::Client,
    options: Options,
    clock: SharedClock,
) -> Result<Report, SurveyError> {
    let options = options.validated()?;
    let mut effects = Effects::new(
        client.clone(),
        clock.clone(),
        options.request_deadline,
        options.concurrency,
    );
    let mut scopes = Scopes::new(&client, &options, &clock);
    list(&mut scopes, &clock, &mut effects).await?;
    let (mut report, requests) = look(&mut scopes, &clock);
    let (notes, publisher) = notes::channel(client, &options.instance, clock, options.request_deadline);
    for (scope, request) in requests {
        effects.send(scope, request);
    }
    let mut outcomes = BTreeMap::new();
    while !effects.is_idle() {
        let answer = effects.next().await;
        run::report(&notes, &answer.request, &answer.outcome);
        outcomes.insert(
            answer.request.key().to_string(),
            in_words(&answer.request, &answer.outcome),
        );
    }
    drop(notes);
    publisher.run().await;
    for lease in &mut report.leases {
        lease.outcome = outcomes.remove(&lease.lease);
    }
    Ok(report)
}

/// Waits until every scope is listed.
async fn list(scopes: &mut Scopes, clock: &SharedClock, effects: &mut Effects) -> Result<(), SurveyError> {
    while scopes.iter_mut().any(|(_, scope)| !scope.elector.is_synced()) {
        let (index, event) = scopes.next().await;
        match event {
            Some(WatchEvent::Lost(why)) => return Err(SurveyError::List { why }),
            Some(event) => {
                if let Some(scope) = scopes.get_mut(index) {
                    let news = scope.take(clock.now(), event);
                    effects.remember(index, news);
                }
            }
            None => {}
        }
    }
    Ok(())
}

/// What there is, and which requests follow from it.
fn look(scopes: &mut Scopes, clock: &SharedClock) -> (Report, Vec<(usize, Request)>) {
    let now = clock.now();
    let mut report = Report::default();
    let mut requests = Vec::new();
    for (index, scope) in scopes.iter_mut() {
        let keys: Vec<LeaseKey> = scope.elector.keys().cloned().collect();
        let explanations = keys.iter().filter_map(|key| scope.elector.explain(now, key));
        let wanted = explanations.filter(|explanation| !explanation.candidates.is_empty());
        report
            .leases
            .extend(wanted.map(|explanation| LeaseReport::new(&explanation)));
        while let Some(output) = scope.elector.poll(now) {
            match output {
                Output::Refused { key, refusal, .. } => {
                    report.refused.push(RefusalReport::new(&key, &refusal))
                }
                output => requests.extend(Request::of(output).map(|request| (index, request))),
            }
        }
    }
    (report, requests)
}

fn in_words(request: &Request, outcome: &Outcome) -> String {
    let verb = request.verb();
    match outcome {
        Outcome::Done(_) => format!("{verb}: done"),
        Outcome::Conflict => format!("{verb}: not done, the lease has changed meanwhile"),
        Outcome::Refused(why) => format!("{verb}: refused: {why}"),
        Outcome::Unknown(why) => format!("{verb}: may have been done or not: {why}"),
    }
}
