//! The processes of the watchdog tests: a leader whose work blocks its thread (`stuck`), and one whose runtime ends before
//! its deadline does (`gone`).

use std::io::Write;
use std::process::ExitCode;

use candidate::{Candidate, Leadership, LeaseKey, LeaseSeconds, Timing};
use election_core::{LeaseCreate, wire};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::PostParams;
use local_controlplane::ControlPlane;
use rustix::time::Timespec;

fn main() -> ExitCode {
    #[cfg(feature = "cli")]
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    // One thread: whoever blocks it blocks the election task, too.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (candidate, leadership) = runtime.block_on(lead());
    match std::env::args().nth(1).as_deref() {
        Some("stuck") => {
            // Nobody reads it: this blocks with the lock on what the log is written to.
            let flood = vec![b'x'; 4 << 20];
            let work = async { std::io::stderr().lock().write_all(&flood) };
            runtime.block_on(leadership.run(work));
        }
        Some("gone") => {
            drop(runtime);
            drop((candidate, leadership));
        }
        _ => return ExitCode::from(2),
    }
    // Longer than any deadline here.
    let while_nothing = Timespec {
        tv_sec: 2,
        tv_nsec: 0,
    };
    let _ = rustix::event::poll(&mut [], Some(&while_nothing));
    ExitCode::SUCCESS
}

/// Leads, with a deadline of 0.8 s.
async fn lead() -> (Candidate, Leadership) {
    let server = ControlPlane::new();
    let second = LeaseSeconds::new(1).expect("a second");
    let key = LeaseKey::new("kube-system", "demo");
    let mut candidate = Candidate::builder(server.client(), key.clone())
        .identity("alpha")
        .binary_version("1.30".parse().expect("a version"))
        .timing(Timing::for_lease_duration(second))
        .join()
        .await
        .expect("joined");
    let leases: Api<Lease> = Api::namespaced(server.client(), "kube-system");
    let create = wire::create(&LeaseCreate {
        key,
        duration: second,
    });
    let params = PostParams::default();
    let offer = async {
        while leases.get_opt("alpha").await.expect("an answer").is_none() {
            tokio::task::yield_now().await;
        }
        let base = leases.create(&params, &create).await.expect("created");
        let write = wire::read_leader(&base)
            .expect("a lease")
            .offer(&"alpha".into(), second);
        let offer = wire::update(&base, &write);
        leases.replace("demo", &params, &offer).await.expect("offered");
    };
    let (leadership, ()) = tokio::join!(candidate.lead(), offer);
    let leadership = leadership.expect("no error").expect("a term");
    (candidate, leadership)
}
