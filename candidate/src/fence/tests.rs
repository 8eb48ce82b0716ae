//! The fenced client against a scripted server under paused time: what it lets through, and until when.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use election_core::Wall;
use futures::FutureExt;
use http::StatusCode;
use tokio::sync::oneshot;

use super::*;
use crate::clock::{Clock, TokioClock};

/// What the scripted server does with a write; reads it answers at once.
enum Reply {
    Now(StatusCode),
    When(oneshot::Receiver<StatusCode>),
    Broken,
}

#[derive(Default)]
struct Server {
    replies: Mutex<VecDeque<Reply>>,
    seen: Mutex<Vec<Method>>,
}

impl Server {
    fn client(self: &Arc<Self>) -> kube::Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                server.seen.lock().unwrap().push(request.method().clone());
                let reply = match *request.method() {
                    Method::GET => Some(Reply::Now(StatusCode::OK)),
                    _ => server.replies.lock().unwrap().pop_front(),
                };
                let status = match reply.expect("a write that the script does not know") {
                    Reply::Now(status) => status,
                    Reply::When(status) => status.await.map_err(|_| "the server went away")?,
                    Reply::Broken => return Err("connection reset"),
                };
                Ok::<_, &str>(Response::builder().status(status).body(Body::empty()).unwrap())
            }
        });
        kube::Client::new(service, "work")
    }

    fn seen(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

struct Term {
    clock: SharedClock,
    fence: Arc<Fence>,
    client: kube::Client,
    server: Arc<Server>,
}

const DEADLINE: Duration = Duration::from_secs(12);

fn term(replies: impl IntoIterator<Item = Reply>) -> Term {
    let clock: SharedClock = Arc::new(TokioClock::new(Wall::from_micros(0)));
    let server = Arc::new(Server {
        replies: Mutex::new(replies.into_iter().collect()),
        ..Server::default()
    });
    let fence = Fence::open(
        clock.clone(),
        TokioClock::ORIGIN + DEADLINE,
        Duration::ZERO,
        DEADLINE,
    );
    Term {
        client: fenced(server.client(), fence.clone()),
        clock,
        fence,
        server,
    }
}

/// A reply that the test gives later.
fn later() -> (oneshot::Sender<StatusCode>, Reply) {
    let (sender, receiver) = oneshot::channel();
    (sender, Reply::When(receiver))
}

impl Term {
    async fn at(&self, seconds: u64) {
        self.clock
            .sleep_until(TokioClock::ORIGIN + Duration::from_secs(seconds))
            .await;
    }

    fn request(&self, method: Method) -> BoxFuture<'static, Result<StatusCode, kube::Error>> {
        let client = self.client.clone();
        let request = Request::builder()
            .method(method)
            .uri("/x")
            .body(Body::empty())
            .unwrap();
        Box::pin(async move { client.send(request).await.map(|answer| answer.status()) })
    }

    fn write(&self) -> BoxFuture<'static, Result<StatusCode, kube::Error>> {
        self.request(Method::PUT)
    }

    /// Whether the fence counts as drained now, and cleanly so.
    async fn clean(&self) -> bool {
        self.fence.drained().now_or_never().expect("drained").clean
    }
}

fn closed(result: Result<StatusCode, kube::Error>) -> FenceClosed {
    match result {
        Err(kube::Error::Service(error)) => *error.downcast::<FenceClosed>().expect("an error of the fence"),
        other => panic!("the fence should have stopped it: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_within_the_term_passes_and_counts_as_answered() {
    let term = term([Reply::Now(StatusCode::CREATED)]);
    assert_eq!(term.write().await.unwrap(), StatusCode::CREATED);
    assert_eq!(term.fence.in_flight(), 0);
    assert!(term.clean().await);
}

#[tokio::test(start_paused = true)]
async fn no_write_is_sent_after_the_deadline_and_reads_still_pass() {
    let term = term([]);
    term.at(12).await;
    assert_eq!(closed(term.write().await), FenceClosed::NotSent);
    assert_eq!(term.server.seen(), 0);
    assert_eq!(term.request(Method::GET).await.unwrap(), StatusCode::OK);
    assert!(term.clean().await, "what was never sent cannot land");
}

#[tokio::test(start_paused = true)]
async fn a_closed_fence_stays_closed_whatever_is_renewed() {
    let term = term([]);
    term.fence.close();
    term.fence.extend(TokioClock::ORIGIN + Duration::from_secs(100));
    assert_eq!(closed(term.write().await), FenceClosed::NotSent);
    assert_eq!(term.server.seen(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_write_under_way_is_cancelled_at_the_deadline() {
    let (_answer, reply) = later();
    let term = term([reply]);
    assert_eq!(closed(term.write().await), FenceClosed::Cancelled);
    assert_eq!(term.clock.now(), TokioClock::ORIGIN + DEADLINE);
    assert_eq!(term.fence.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_gives_a_write_under_way_more_time() {
    let (_answer, reply) = later();
    let term = term([reply]);
    let renewal = async {
        term.at(4).await;
        assert_eq!(term.fence.in_flight(), 1);
        term.fence.extend(TokioClock::ORIGIN + Duration::from_secs(16));
    };
    let (result, ()) = tokio::join!(term.write(), renewal);
    assert_eq!(closed(result), FenceClosed::Cancelled);
    assert_eq!(term.clock.now(), TokioClock::ORIGIN + Duration::from_secs(16));
}

#[tokio::test(start_paused = true)]
async fn a_limit_cancels_before_the_deadline_and_no_renewal_lifts_it() {
    let (_answer, reply) = later();
    let term = term([reply]);
    let stop = async {
        term.at(2).await;
        term.fence.limit(TokioClock::ORIGIN + Duration::from_secs(3));
        term.fence.extend(TokioClock::ORIGIN + Duration::from_secs(14));
    };
    let (result, ()) = tokio::join!(term.write(), stop);
    assert_eq!(closed(result), FenceClosed::Cancelled);
    assert_eq!(term.clock.now(), TokioClock::ORIGIN + Duration::from_secs(3));
    assert!(!term.clean().await, "it may land until the term's own deadline");
    term.at(14).await;
    assert!(term.clean().await);
}

/// Invariant S1: a renewal that writes a shorter duration may have landed, whatever became of its answer.
#[tokio::test(start_paused = true)]
async fn a_deadline_that_moves_back_moves_the_fence_back() {
    let (_answer, reply) = later();
    let term = term([reply]);
    let renewal = async {
        term.at(4).await;
        term.fence.extend(TokioClock::ORIGIN + Duration::from_secs(6));
    };
    let (result, ()) = tokio::join!(term.write(), renewal);
    assert_eq!(closed(result), FenceClosed::Cancelled);
    assert_eq!(term.clock.now(), TokioClock::ORIGIN + Duration::from_secs(6));
    assert_eq!(closed(term.write().await), FenceClosed::NotSent);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_never_answered_does_not_hold_up_the_end_of_a_term_for_ever() {
    let (_answer, reply) = later();
    let term = term([reply]);
    let renewals = async {
        term.at(1).await;
        term.fence.close();
        for second in [4, 8, 12, 16, 20] {
            term.at(second).await;
            term.fence
                .extend(TokioClock::ORIGIN + Duration::from_secs(second + 12));
        }
    };
    let drain = async {
        term.at(2).await;
        let drained = term.fence.drained().await;
        (drained.clean, term.clock.now())
    };
    let (result, drained, ()) = tokio::join!(term.write(), drain, renewals);
    assert_eq!(closed(result), FenceClosed::Cancelled);
    assert_eq!(drained, (true, TokioClock::ORIGIN + DEADLINE));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_nobody_polls_any_more_does_not_hold_up_the_end_of_a_term() {
    let (_answer, reply) = later();
    let term = term([reply]);
    let mut write = term.write();
    assert!((&mut write).now_or_never().is_none());
    tokio::task::yield_now().await;
    assert!((&mut write).now_or_never().is_none());
    assert_eq!(term.fence.in_flight(), 1);
    term.fence.limit(TokioClock::ORIGIN + Duration::from_secs(2));
    term.fence.close();
    assert!(!term.fence.drained().await.clean, "it may have been sent");
    assert_eq!(term.clock.now(), TokioClock::ORIGIN + Duration::from_secs(2));
    assert_eq!(closed(write.await), FenceClosed::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn the_last_write_ends_a_margin_before_the_watchdog_looks() {
    let (_answer, reply) = later();
    let server = Arc::new(Server {
        replies: Mutex::new([reply].into()),
        ..Server::default()
    });
    let clock: SharedClock = Arc::new(TokioClock::new(Wall::from_micros(0)));
    let margin = Duration::from_millis(250);
    let fence = Fence::open(clock.clone(), TokioClock::ORIGIN + DEADLINE, margin, DEADLINE);
    let request = Request::put("/x").body(Body::empty()).unwrap();
    let result = fenced(server.client(), fence.clone()).send(request).await;
    assert_eq!(
        closed(result.map(|answer| answer.status())),
        FenceClosed::Cancelled
    );
    assert_eq!(clock.now(), (TokioClock::ORIGIN + DEADLINE).before(margin));
    fence.close();
    let drained = fence.drained().now_or_never().expect("drained");
    assert!(!drained.clean, "it may land until the deadline itself");
}

#[tokio::test(start_paused = true)]
async fn a_kill_at_the_deadline_moves_with_the_deadline() {
    let term = term([Reply::Now(StatusCode::OK)]);
    term.fence.limit(TokioClock::ORIGIN + DEADLINE);
    term.fence.extend(TokioClock::ORIGIN + Duration::from_secs(16));
    term.at(13).await;
    assert_eq!(term.write().await.unwrap(), StatusCode::OK);
}

/// Invariant S6: the requests of the old leader are answered before a new one begins.
#[tokio::test(start_paused = true)]
async fn closing_lets_a_write_under_way_be_answered_before_it_counts_as_drained() {
    let (answer, reply) = later();
    let term = term([reply]);
    let drain = async {
        term.at(1).await;
        term.fence.close();
        term.fence.drained().await
    };
    let server = async {
        term.at(2).await;
        answer.send(StatusCode::OK).unwrap();
    };
    let (result, drained, ()) = tokio::join!(term.write(), drain, server);
    assert_eq!(result.unwrap(), StatusCode::OK);
    assert_eq!(drained, Drained { clean: true });
    assert_eq!(term.clock.now(), TokioClock::ORIGIN + Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_given_up_is_uncertain_until_the_deadline() {
    let (_answer, reply) = later();
    let term = term([reply]);
    tokio::select! {
        result = term.write() => panic!("nobody answers: {result:?}"),
        () = term.at(1) => {}
    }
    assert_eq!((term.server.seen(), term.fence.in_flight()), (1, 0));
    assert!(!term.clean().await);
    term.at(12).await;
    assert!(
        term.clean().await,
        "another leader could be there by now in any case"
    );
}

/// Invariant S6: a renewal just after it does not make a write that was given up any older.
#[tokio::test(start_paused = true)]
async fn renewals_do_not_shorten_the_time_that_a_write_which_was_given_up_has_to_land() {
    let (_answer, reply) = later();
    let term = term([reply]);
    tokio::select! {
        result = term.write() => panic!("nobody answers: {result:?}"),
        () = term.at(11) => {}
    }
    term.fence.extend(TokioClock::ORIGIN + Duration::from_secs(23));
    term.at(22).await;
    assert!(!term.clean().await);
    term.at(23).await;
    assert!(term.clean().await);
    // Later renewals do not make it wait for ever.
    term.fence.extend(TokioClock::ORIGIN + Duration::from_secs(35));
    assert!(term.clean().await);
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_is_not_known_is_uncertain() {
    for reply in [
        Reply::Broken,
        Reply::Now(StatusCode::GATEWAY_TIMEOUT),
        Reply::Now(StatusCode::INTERNAL_SERVER_ERROR),
    ] {
        let term = term([reply]);
        let _ = term.write().await;
        assert!(!term.clean().await);
    }
    for status in [
        StatusCode::CONFLICT,
        StatusCode::FORBIDDEN,
        StatusCode::TOO_MANY_REQUESTS,
    ] {
        let term = term([Reply::Now(status)]);
        assert_eq!(term.write().await.unwrap(), status);
        assert!(term.clean().await, "{status} is an answer");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_hangs_does_not_hold_up_reads() {
    let (_answer, reply) = later();
    let term = term([reply]);
    let read = async {
        term.at(1).await;
        term.request(Method::GET).await.unwrap();
        term.clock.now()
    };
    let (_, read_at) = tokio::join!(term.write(), read);
    assert_eq!(read_at, TokioClock::ORIGIN + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nothing_could_end_at_the_deadline_is_refused() {
    let term = term([]);
    let request = Request::get("/exec")
        .header(header::UPGRADE, "websocket")
        .body(Body::empty())
        .unwrap();
    let result = term.client.send(request).await.map(|answer| answer.status());
    assert_eq!(closed(result), FenceClosed::Stream);
    assert_eq!(term.server.seen(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_fenced_client_keeps_its_default_namespace() {
    assert_eq!(term([]).client.default_namespace(), "work");
}

/// A clock that jumps, as one does while the process is stopped, without waking anybody.
#[derive(Debug)]
struct Jumping {
    now: Mutex<Mono>,
}

impl Clock for Jumping {
    fn now(&self) -> Mono {
        *self.now.lock().unwrap()
    }

    fn wall(&self) -> Wall {
        Wall::from_micros(0)
    }

    fn sleep_until(&self, _: Mono) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn the_clock_is_read_at_each_step_and_not_only_awaited() {
    let clock = Arc::new(Jumping {
        now: Mutex::new(Mono::from_nanos(1)),
    });
    let (answer, reply) = later();
    let server = Arc::new(Server {
        replies: Mutex::new([reply].into()),
        ..Server::default()
    });
    let fence = Fence::open(clock.clone(), Mono::from_nanos(10), Duration::ZERO, DEADLINE);
    let client = fenced(server.client(), fence);
    let request = Request::put("/x").body(Body::empty()).unwrap();
    let jump = async {
        while server.seen() == 0 {
            tokio::task::yield_now().await;
        }
        *clock.now.lock().unwrap() = Mono::from_nanos(11);
        answer.send(StatusCode::OK).unwrap();
    };
    let (result, ()) = tokio::join!(client.send(request), jump);
    assert_eq!(
        closed(result.map(|answer| answer.status())),
        FenceClosed::Cancelled
    );
}
