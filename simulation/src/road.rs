//! The way between one process and the API server, on which requests and answers are late, lost or refused.
//!
//! A request that has left goes on when nobody waits for it any more. What happens to open watches is in `stream`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use kube::client::Body;
use serde_json::json;
use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, oneshot};
use tower::BoxError;

use crate::class::{Class, PerClass};
use crate::dice::Dice;
use crate::host::Process;
use crate::ledger::Pid;
use crate::shared::{Answer, Call, Outage, Shared, Subject};
use crate::stream;
use crate::time::{spawn, wait};
use crate::writes::Author;

pub(crate) type RoadBody = UnsyncBoxBody<Bytes, BoxError>;

/// How a road is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    /// The longest time of one way, in microseconds.
    pub(crate) latency: u64,
    /// How often a request meets this fate, in percent.
    pub(crate) chance: PerClass<u64>,
    /// Nothing passes.
    pub(crate) parted: bool,
    /// Watches tell this much late.
    pub(crate) lag: Duration,
    /// Watches hold everything back and send bookmarks.
    pub(crate) held: bool,
    /// How often watches were cut.
    pub(crate) cuts: u32,
    /// How often watches were told that their revision is gone.
    pub(crate) gone: u32,
    /// The process crashes at a write: before it lands, or after it.
    pub(crate) crash: Option<(Class, Crash)>,
}

/// The conditions of a road, and who waits for others. A `watch` channel would wake watches in an order of chance.
#[derive(Debug, Default)]
pub(crate) struct Weather {
    now: Mutex<Conditions>,
    changed: Arc<Notify>,
}

impl Weather {
    pub(crate) fn new(now: Conditions) -> Arc<Self> {
        Arc::new(Self {
            now: Mutex::new(now),
            changed: Arc::default(),
        })
    }

    /// What holds now.
    pub(crate) fn now(&self) -> MutexGuard<'_, Conditions> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Conditions)) {
        change(&mut self.now());
        self.changed.notify_waiters();
    }

    /// Resolves at the next change after this call.
    pub(crate) fn changed(&self) -> OwnedNotified {
        self.changed.clone().notified_owned()
    }
}

/// When a process crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    BeforeLanding,
    AfterLanding,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Passes,
    /// It does not arrive; whether the client learns that the connection is broken.
    Lost(Told),
    Unanswered(Told),
    Refused(Refusal, Carried),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carried {
    Never,
    First,
    Later(Duration),
}

type Refusal = (Class, u16, &'static str);

const CONFLICT: Refusal = (Class::Conflicts, 409, "Conflict");
const THROTTLED: Refusal = (Class::TooManyRequests, 429, "TooManyRequests");
const ERROR: Refusal = (Class::InternalError, 500, "InternalError");
const UNAVAILABLE: Refusal = (Class::Unavailable, 503, "ServiceUnavailable");

/// The road of one process.
pub(crate) struct Road {
    pub(crate) shared: Arc<Shared>,
    pub(crate) name: Arc<str>,
    pid: Pid,
    author: Author,
    process: Process,
    pub(crate) weather: Arc<Weather>,
    dice: Mutex<Dice>,
}

/// Who travels.
pub(crate) struct Traveller {
    pub(crate) name: Arc<str>,
    pub(crate) pid: Pid,
    pub(crate) author: Author,
    pub(crate) process: Process,
}

impl Road {
    pub(crate) fn new(shared: Arc<Shared>, who: Traveller, weather: Arc<Weather>, dice: Dice) -> Arc<Self> {
        Arc::new(Self {
            shared,
            name: who.name,
            pid: who.pid,
            author: who.author,
            process: who.process,
            weather,
            dice: Mutex::new(dice),
        })
    }

    /// A client that reaches the server on this road only.
    pub(crate) fn client(self: &Arc<Self>) -> kube::Client {
        let road = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| road.clone().call(request));
        kube::Client::new(service, "default")
    }

    pub(crate) fn dice(&self) -> MutexGuard<'_, Dice> {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long one way takes now.
    pub(crate) fn latency(&self) -> Duration {
        let longest = self.weather.now().latency;
        if longest == 0 {
            return Duration::ZERO;
        }
        let took = Duration::from_micros(self.dice().within(longest / 8, longest));
        if took > Duration::from_millis(5) {
            self.shared.count(Class::Latency);
        }
        took
    }

    fn fate(&self, call: &Call) -> Fate {
        let conditions = self.weather.now();
        let mut dice = self.dice();
        let mut meets = |class| dice.percent(conditions.chance.get(class));
        let lost = meets(Class::LostRequest);
        let unanswered = meets(Class::LostAnswer);
        let conflict = meets(Class::Conflicts) && call.writes_lease();
        let refused = [THROTTLED, ERROR, UNAVAILABLE].map(|refusal| meets(refusal.0).then_some(refusal));
        let told = match dice.percent(50) {
            true => Told::Nothing,
            false => Told::Broken,
        };
        let how = dice.below(3);
        let later = Duration::from_millis(dice.below(3000));
        if lost {
            return Fate::Lost(told);
        }
        if unanswered {
            return Fate::Unanswered(told);
        }
        if conflict {
            // A proxy that repeats a request whose answer was lost makes a conflict with itself.
            let carried = if how == 0 { Carried::First } else { Carried::Never };
            return Fate::Refused(CONFLICT, carried);
        }
        match refused.into_iter().flatten().next() {
            Some(ERROR) if call.is_write() => {
                let carried = [Carried::Never, Carried::First, Carried::Later(later)];
                Fate::Refused(ERROR, carried[usize::try_from(how).unwrap_or_default()])
            }
            Some(refusal) => Fate::Refused(refusal, Carried::Never),
            None => Fate::Passes,
        }
    }

    /// Sends a request and waits for its answer; polled by the process.
    async fn call(self: Arc<Self>, request: Request<Body>) -> Result<Response<RoadBody>, BoxError> {
        let call = self.shared.read(request).await?;
        if call.subject == Subject::Event {
            // What people are told is tested elsewhere, and has the real time in it.
            return Ok(whole(refusal((Class::Unavailable, 403, "Forbidden"))));
        }
        self.shared.sent(&self.author, &self.name, self.pid, &call);
        let fate = self.fate(&call);
        let crash = self.crashes_at(&call);
        if let Some((class, Crash::BeforeLanding)) = crash {
            self.crash(class);
            return std::future::pending().await;
        }
        let after = call.query("resourceVersion").unwrap_or_default().to_owned();
        let (reply, answer) = oneshot::channel();
        let road = self.clone();
        spawn(async move {
            // Dropped without a reply, the other end waits for ever, as for a dead connection.
            if let Some(answer) = road.carry(call, fate, crash).await {
                let _ = reply.send(answer);
            }
        });
        match answer.await {
            Ok(Ok(Answer::Whole(answer))) => Ok(whole(answer)),
            Ok(Ok(Answer::Watch(answer))) => {
                Ok(answer.map(|body| stream::body(self.clone(), body, after).boxed_unsync()))
            }
            Ok(Err(error)) => Err(error),
            Err(_) => std::future::pending().await,
        }
    }

    /// What happens to a request after it has left; nothing when nobody hears of it.
    async fn carry(
        self: Arc<Self>,
        call: Call,
        fate: Fate,
        crash: Option<(Class, Crash)>,
    ) -> Option<Result<Answer, BoxError>> {
        wait(self.latency()).await;
        if let Some(answer) = self.blocked() {
            self.shared.lost(&call);
            return answer;
        }
        match fate {
            Fate::Lost(told) => {
                self.meets(Class::LostRequest, &call);
                self.shared.lost(&call);
                return broken(told);
            }
            Fate::Refused(refusal, carried) => return self.refuse(call, refusal, carried).await,
            Fate::Passes | Fate::Unanswered(_) => {}
        }
        if call.is_write() && !self.shared.server().slow.is_zero() {
            self.shared.count(Class::SlowServer);
        }
        let answer = self.shared.deliver(&self.author, &self.name, &call).await;
        if let Some((class, Crash::AfterLanding)) = crash {
            self.crash(class);
        }
        if let Fate::Unanswered(told) = fate {
            self.meets(Class::LostAnswer, &call);
            return broken(told);
        }
        wait(self.latency()).await;
        if let Some(answer) = self.blocked() {
            return answer;
        }
        Some(answer)
    }

    async fn refuse(
        self: Arc<Self>,
        call: Call,
        (class, code, reason): Refusal,
        carried: Carried,
    ) -> Option<Result<Answer, BoxError>> {
        self.meets(class, &call);
        let call = Arc::new(call);
        let created = call.method == Method::POST;
        match carried {
            Carried::Never => {}
            Carried::First => drop(self.shared.deliver(&self.author, &self.name, &call).await),
            Carried::Later(by) => {
                let (road, call) = (self.clone(), call.clone());
                spawn(async move {
                    wait(by).await;
                    drop(road.shared.deliver(&road.author, &road.name, &call).await);
                });
            }
        }
        wait(self.latency()).await;
        // Answered is answered. What the server does afterwards with what it refused, only a receiver that checks the token
        // can stop.
        self.shared.lost(&call);
        let reason = match (code, created) {
            (409, true) => "AlreadyExists",
            _ => reason,
        };
        Some(Ok(Answer::Whole(refusal((class, code, reason)))))
    }

    /// How a request or an answer ends that cannot pass now.
    fn blocked(&self) -> Option<Option<Result<Answer, BoxError>>> {
        if self.weather.now().parted {
            self.shared.count(Class::Partition);
            return Some(None);
        }
        let outage = self.shared.server().outage?;
        self.shared.count(Class::Outage);
        Some(match outage {
            Outage::Silent => None,
            Outage::Refuses => Some(Ok(Answer::Whole(refusal(UNAVAILABLE)))),
        })
    }

    fn meets(&self, class: Class, call: &Call) {
        self.shared.count(class);
        self.shared.say(format_args!("{class}: {call} of {}", self.name));
    }

    /// Whether this process is to crash at this request, and when.
    fn crashes_at(&self, call: &Call) -> Option<(Class, Crash)> {
        let (class, crash) = self.weather.now().crash?;
        let met = match (&call.subject, &self.author) {
            _ if !call.writes_lease() => false,
            (Subject::Lease(key), Author::Elector) => {
                self.shared.ledger().kind_of_write(&call.method, key, &call.body) == Some(class)
            }
            _ => class == Class::CandidateCrash,
        };
        met.then_some((class, crash))
    }

    fn crash(&self, class: Class) {
        if self.process.has_ended() {
            return;
        }
        self.shared.count(class);
        self.shared.say(format_args!("{} crashes: {class}", self.name));
        if class == Class::CrashAtCollection {
            // Whoever starts again waits for ten durations, and once is enough.
            self.weather.now().crash = None;
        }
        self.process.crash();
    }
}

fn broken(told: Told) -> Option<Result<Answer, BoxError>> {
    (told == Told::Broken).then(|| Err("the connection was reset".into()))
}

fn whole(answer: Response<Bytes>) -> Response<RoadBody> {
    answer.map(|bytes| {
        let body = Full::new(bytes).map_err(|never| match never {});
        body.boxed_unsync()
    })
}

fn refusal((_, code, reason): Refusal) -> Response<Bytes> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "a fault of the simulation", "reason": reason, "code": code,
    });
    let mut response = Response::new(Bytes::from(status.to_string()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert("content-type", http::HeaderValue::from_static("application/json"));
    if code == 429 {
        headers.insert("retry-after", http::HeaderValue::from_static("1"));
    }
    response
}
