//! A proxy between one process and the API server that counts what goes through: requests, and bytes as they are on the
//! wire, encrypted, in both directions.
//!
//! It ends TLS, because only so a request can be told from the next one, and speaks to the server with the credentials of
//! the kubeconfig; whatever the process says is passed on as it is. Only what is idle runs behind it: it would cost the
//! latencies a fraction of a millisecond.

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context as TaskContext, Poll, ready};

use anyhow::Context;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use kube::Client;
use kube::client::Body;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::shell;

/// What went through so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl Counts {
    /// Requests and bytes.
    pub(super) fn now(&self) -> (u64, u64) {
        (
            self.requests.load(Ordering::Relaxed),
            self.bytes.load(Ordering::Relaxed),
        )
    }
}

/// Starts a proxy that runs as long as the runtime; returns a kubeconfig that leads to it, and what it counts.
pub(super) async fn start(
    kubeconfig: &Path,
    folder: &Path,
    name: &str,
) -> anyhow::Result<(PathBuf, Arc<Counts>)> {
    let config = candidate::client::load(Some(kubeconfig), None).await?;
    let client = candidate::client::lease_client(config)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let tls = TlsAcceptor::from(Arc::new(tls()?));
    let counts = Arc::new(Counts::default());
    let counted = Arc::clone(&counts);
    shell::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            shell::spawn(connection(
                stream,
                tls.clone(),
                client.clone(),
                Arc::clone(&counted),
            ));
        }
    });
    let file = folder.join(format!("{name}.kubeconfig"));
    std::fs::write(&file, kubeconfig_text(port))
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok((file, counts))
}

/// The server is this process, on loopback: nothing is won by a proof of that.
fn kubeconfig_text(port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: proxy\n\
         clusters: [{{name: proxy, cluster: {{server: \"https://127.0.0.1:{port}\", insecure-skip-tls-verify: true}}}}]\n\
         users: [{{name: proxy, user: {{}}}}]\n\
         contexts: [{{name: proxy, context: {{cluster: proxy, user: proxy}}}}]\n"
    )
}

fn tls() -> anyhow::Result<ServerConfig> {
    let own = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
    let mut tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, client: Client, counts: Arc<Counts>) {
    // Without it small answers would wait for each other.
    let _ = stream.set_nodelay(true);
    let stream = Counted {
        stream,
        counts: Arc::clone(&counts),
    };
    let Ok(stream) = tls.accept(stream).await else {
        return;
    };
    let service = service_fn(move |request| {
        counts.requests.fetch_add(1, Ordering::Relaxed);
        forward(client.clone(), request)
    });
    // How a connection ends is the business of the two that talk.
    let _ = Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn forward(client: Client, request: Request<Incoming>) -> anyhow::Result<Response<Body>> {
    let (mut parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().context("a request without a path")?;
    parts.uri = Uri::from(target.clone());
    // What belongs to the connection, and to whom it leads.
    for header in [AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING] {
        parts.headers.remove(header);
    }
    parts.version = http::Version::default();
    let body = body.collect().await?.to_bytes();
    match client
        .send(Request::from_parts(parts, Body::from(body.to_vec())))
        .await
    {
        Ok(response) => {
            let (mut parts, body) = response.into_parts();
            parts.headers.remove(CONNECTION);
            parts.headers.remove(TRANSFER_ENCODING);
            parts.version = http::Version::default();
            Ok(Response::from_parts(parts, body))
        }
        Err(error) => {
            let mut response = Response::new(Body::from(error.to_string().into_bytes()));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            Ok(response)
        }
    }
}

/// A connection whose bytes are counted.
struct Counted {
    stream: TcpStream,
    counts: Arc<Counts>,
}

impl Counted {
    fn add(&self, bytes: usize) {
        self.counts.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.add(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.add(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::coordination::v1::Lease;
    use kube::Api;
    use kube::api::{ListParams, PostParams};
    use local_controlplane::{ControlPlane, ServeOptions};

    #[tokio::test]
    async fn a_request_goes_through_and_is_counted() {
        let server = ControlPlane::new().serve(ServeOptions::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("kubeconfig");
        server.write_kubeconfig(&own).unwrap();
        let (kubeconfig, counts) = start(&own, folder.path(), "alpha").await.unwrap();
        let client = crate::plane::Access::to(&kubeconfig).await.unwrap().client;
        let leases: Api<Lease> = Api::namespaced(client, "default");
        let mut lease = Lease::default();
        lease.metadata.name = Some("lease".to_owned());
        leases.create(&PostParams::default(), &lease).await.unwrap();
        assert_eq!(leases.list(&ListParams::default()).await.unwrap().items.len(), 1);
        let (requests, bytes) = counts.now();
        assert_eq!(requests, 2);
        assert!(bytes > 1_000, "{bytes}");
        server.shutdown().await;
    }
}
