//! How many lease writes a second one core carries: 10,000 leases in a data folder, 100 watches on all of them.
//!
//! `cargo run --release -p local-controlplane --example lease_writes [WATCHES]`
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement reads the clock and prints"
)]

use anyhow::{Context, ensure};
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use local_controlplane::{ApiBody, ApiService, ControlPlane};
use serde_json::{Value, json};
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::LocalSet;
use tower::ServiceExt;

const LEASES: usize = 10_000;
const WRITERS: usize = 64;
const WATCHES: usize = 100;
const MEASURED: Duration = Duration::from_secs(10);
const PATH: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases";

async fn send(
    service: &ApiService,
    method: Method,
    path: &str,
    body: &Value,
) -> anyhow::Result<Response<ApiBody>> {
    let bytes = if body.is_null() {
        Vec::new()
    } else {
        body.to_string().into_bytes()
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json");
    Ok(service.clone().oneshot(request.body(Body::from(bytes))?).await?)
}

async fn write(service: &ApiService, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
    let response = send(service, method, path, body).await?;
    ensure!(response.status().is_success(), "{}", response.status());
    Ok(serde_json::from_slice(
        &response.into_body().collect().await?.to_bytes(),
    )?)
}

fn lease(number: usize) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {
            "name": format!("candidate-{number:05}"),
            "annotations": {
                "coordination.k8s.io/can-lead-leases": "default/sample-controller",
                "coordination.k8s.io/binary-version": "1.30.0",
                "coordination.k8s.io/compatibility-version": "1.29.0",
            },
        },
        "spec": {"holderIdentity": format!("candidate-{number:05}"), "leaseDurationSeconds": 15},
    })
}

/// Renews its share of the leases, one after the other, until the time is over. Returns the time each write took.
async fn renew(service: ApiService, mut leases: Vec<Value>, until: Instant) -> anyhow::Result<Vec<Duration>> {
    let mut took = Vec::new();
    let mut turn = 0;
    while Instant::now() < until {
        let index = turn % leases.len();
        let lease = &mut leases[index];
        lease["spec"]["renewTime"] = format!("2026-01-01T00:00:00.{:06}Z", turn % 1_000_000).into();
        let path = format!("{PATH}/{}", lease["metadata"]["name"].as_str().context("a name")?);
        let begin = Instant::now();
        *lease = write(&service, Method::PUT, &path, lease).await?;
        took.push(begin.elapsed());
        turn += 1;
    }
    Ok(took)
}

async fn drain(mut body: ApiBody, seen: Rc<Cell<u64>>) {
    while let Some(Ok(frame)) = body.frame().await {
        let events = frame
            .data_ref()
            .map_or(0, |data| data.iter().filter(|byte| **byte == b'\n').count());
        seen.set(seen.get() + events as u64);
    }
}

async fn measure(watches: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let service = ControlPlane::open(folder.path())?.service();
    let mut leases = Vec::new();
    for chunk in (0..LEASES).collect::<Vec<_>>().chunks(WRITERS) {
        let created = chunk.iter().map(|number| {
            let service = &service;
            async move { write(service, Method::POST, PATH, &lease(*number)).await }
        });
        leases.extend(futures::future::try_join_all(created).await?);
    }
    let list = write(&service, Method::GET, PATH, &Value::Null).await?;
    let version = list["metadata"]["resourceVersion"]
        .as_str()
        .context("a version")?
        .to_owned();
    let seen = Rc::new(Cell::new(0));
    for _ in 0..watches {
        let path = format!("{PATH}?watch=true&resourceVersion={version}");
        let watch = send(&service, Method::GET, &path, &Value::Null).await?;
        tokio::task::spawn_local(drain(watch.into_body(), Rc::clone(&seen)));
    }
    let begin = Instant::now();
    let shares = leases.chunks(LEASES.div_ceil(WRITERS)).map(<[Value]>::to_vec);
    let writers: Vec<_> = shares
        .map(|share| tokio::task::spawn_local(renew(service.clone(), share, begin + MEASURED)))
        .collect();
    let mut took = Vec::new();
    for writer in writers {
        took.extend(writer.await??);
    }
    let elapsed = begin.elapsed().as_secs_f64();
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    println!(
        "{LEASES} leases, {watches} watches on all of them, {WRITERS} writers, every answer after its fdatasync"
    );
    println!("{:8.0} writes/s", took.len() as f64 / elapsed);
    println!("{:8.0} events/s delivered", seen.get() as f64 / elapsed);
    println!(
        "{:8.1?} median, {:.1?} 99th percentile, {:.1?} longest",
        at(0.5),
        at(0.99),
        at(1.0)
    );
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let watches = std::env::args().nth(1).map_or(Ok(WATCHES), |text| text.parse())?;
    LocalSet::new().run_until(measure(watches)).await
}
