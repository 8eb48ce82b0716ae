//! Runs checks side by side, and keeps what they saw.

use std::panic;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use http::Request;
use kube::client::Body;
use serde_json::json;

use crate::check::Check;
use crate::cluster::{CLUSTER_BINDINGS, CLUSTER_ROLES, Cluster, DEFINITIONS, Exchange, NAMESPACES, Target};

/// A check that takes longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(240);

/// What became of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything was as it must be.
    Passed,
    /// What was not.
    Failed(String),
    /// Why it was not made.
    Skipped(&'static str),
}

/// A check that was made.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The check.
    pub check: Check,
    /// What became of it.
    pub verdict: Verdict,
    /// What was said.
    pub exchanges: Vec<Exchange>,
    /// How long it took, in the time of the runtime.
    pub took: Duration,
}

/// What became of all checks, in their order.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One for each check.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// The checks that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Outcome> {
        let failed = |outcome: &&Outcome| matches!(outcome.verdict, Verdict::Failed(_));
        self.outcomes.iter().filter(failed)
    }

    /// The checks that were not made.
    pub fn skipped(&self) -> impl Iterator<Item = &Outcome> {
        let skipped = |outcome: &&Outcome| matches!(outcome.verdict, Verdict::Skipped(_));
        self.outcomes.iter().filter(skipped)
    }
}

/// Makes the checks, `jobs` at a time, and tells of each one when it is done.
pub async fn run(target: &Target, checks: &[Check], jobs: usize, mut told: impl FnMut(&Outcome)) -> Report {
    hear_panics();
    let mut outcomes = Vec::new();
    let mut made = stream::iter(checks.iter().copied().enumerate())
        .map(|(place, check)| {
            let target = target.clone();
            async move { (place, make(target, check).await) }
        })
        .buffer_unordered(jobs.max(1));
    while let Some((place, outcome)) = made.next().await {
        told(&outcome);
        outcomes.push((place, outcome));
    }
    outcomes.sort_by_key(|(place, _)| *place);
    Report {
        outcomes: outcomes.into_iter().map(|(_, outcome)| outcome).collect(),
    }
}

async fn make(target: Target, check: Check) -> Outcome {
    let outcome = |verdict, exchanges, took| Outcome {
        check,
        verdict,
        exchanges,
        took,
    };
    if let Some(reason) = check.needs.and_then(|need| target.lacks(need)) {
        return outcome(Verdict::Skipped(reason), Vec::new(), Duration::ZERO);
    }
    let begin = tokio::time::Instant::now();
    let cluster = Cluster::new(target);
    let said = Arc::new(Mutex::new(None));
    let story = {
        let cluster = cluster.clone();
        async move {
            move_in(&cluster).await;
            (check.run)(cluster).await;
        }
    };
    let story = tokio::spawn(SAID.scope(Arc::clone(&said), story));
    let abort = story.abort_handle();
    let verdict = match tokio::time::timeout(PATIENCE, story).await {
        Ok(Ok(())) => Verdict::Passed,
        Ok(Err(_)) => {
            let said = said.lock().unwrap_or_else(PoisonError::into_inner).take();
            Verdict::Failed(said.unwrap_or_else(|| "it panicked".to_owned()))
        }
        Err(_) => {
            abort.abort();
            Verdict::Failed(format!("it did not come to an end within {PATIENCE:?}"))
        }
    };
    let took = begin.elapsed();
    move_out(&cluster).await;
    outcome(verdict, cluster.exchanges(), took)
}

async fn move_in(cluster: &Cluster) {
    let namespace = json!({"metadata": {"name": "{ns}"}});
    cluster
        .unrecorded()
        .post(NAMESPACES, &namespace)
        .await
        .expect(201);
}

/// What is left behind goes with its namespace. A server without a controller for that keeps it, which nobody waits
/// for; nor is it a failure when the server cannot be asked any more.
async fn move_out(cluster: &Cluster) {
    for path in [
        format!("{DEFINITIONS}/foos.{{group}}"),
        format!("{CLUSTER_BINDINGS}/{{ns}}"),
        format!("{CLUSTER_ROLES}/{{ns}}"),
        format!("{NAMESPACES}/{{ns}}"),
        format!("{NAMESPACES}/{{other}}"),
    ] {
        let request = Request::delete(cluster.names(&path)).body(Body::empty());
        if let Ok(request) = request {
            let _ = cluster.target.client.send(request).await;
        }
    }
}

tokio::task_local! {
    /// What a check said when it panicked.
    static SAID: Arc<Mutex<Option<String>>>;
}

/// A check fails by a panic, like any test. What it says belongs into the report and not between other lines.
fn hear_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let heard = SAID.try_with(|said| {
                let place = info.location().map(ToString::to_string).unwrap_or_default();
                let text = info.payload_as_str().unwrap_or("it panicked");
                *said.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{text}\n  at {place}"));
            });
            if heard.is_err() {
                usual(info);
            }
        }));
    });
}
