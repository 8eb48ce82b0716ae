//! The control plane on a socket: TLS, tokens, and a clean end.

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use local_controlplane::{ControlPlane, ServeError, ServeOptions, Server};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The value of a key in a kubeconfig.
fn field<'a>(kubeconfig: &'a str, key: &str) -> &'a str {
    let line = kubeconfig
        .lines()
        .find(|line| line.trim().starts_with(key))
        .expect(key);
    let value = line.trim().trim_start_matches(key).trim_start_matches(':');
    value.trim().trim_matches('"')
}

struct Client {
    addr: std::net::SocketAddr,
    config: Arc<ClientConfig>,
}

impl Client {
    fn new(server: &Server) -> Self {
        Self::of(server.kubeconfig(), server.addr())
    }

    fn of(kubeconfig: &str, addr: std::net::SocketAddr) -> Self {
        use base64::Engine as _;
        let authority = field(kubeconfig, "certificate-authority-data");
        let pem = base64::engine::general_purpose::STANDARD
            .decode(authority)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            addr,
            config: Arc::new(config),
        }
    }

    /// Whether the server answers; its port may be another one's by now.
    async fn reaches_its_server(&self) -> bool {
        let Ok(tcp) = TcpStream::connect(self.addr).await else {
            return false;
        };
        let name = ServerName::from(self.addr.ip());
        let connecting = TlsConnector::from(self.config.clone()).connect(name, tcp);
        let connected = tokio::time::timeout(Duration::from_secs(10), connecting).await;
        matches!(connected, Ok(Ok(_)))
    }

    async fn get(
        &self,
        protocol: &str,
        path: &str,
        token: Option<&str>,
    ) -> http::Response<hyper::body::Incoming> {
        let mut config = (*self.config).clone();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let tcp = TcpStream::connect(self.addr).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let tls = TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
            .unwrap();
        assert_eq!(tls.get_ref().1.alpn_protocol(), Some(protocol.as_bytes()));
        let mut request = Request::builder()
            .uri(format!("https://localhost{path}"))
            .header("host", "localhost");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Empty::<bytes::Bytes>::new()).unwrap();
        if protocol == "h2" {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tls))
                    .await
                    .unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tls))
                .await
                .unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        }
    }
}

#[tokio::test]
async fn the_token_opens_everything_and_its_absence_only_health_and_version() {
    let server = ControlPlane::new().serve(ServeOptions::default()).await.unwrap();
    let client = Client::new(&server);
    let token = field(server.kubeconfig(), "token");
    for protocol in ["h2", "http/1.1"] {
        for (path, token, code) in [
            ("/apis", Some(token), StatusCode::OK),
            ("/api/v1/namespaces", Some(token), StatusCode::OK),
            ("/apis", Some("wrong"), StatusCode::UNAUTHORIZED),
            ("/healthz", Some("wrong"), StatusCode::UNAUTHORIZED),
            ("/apis", None, StatusCode::FORBIDDEN),
            ("/api/v1/namespaces", None, StatusCode::FORBIDDEN),
            ("/healthz", None, StatusCode::OK),
            ("/readyz", None, StatusCode::OK),
            ("/livez", None, StatusCode::OK),
            ("/version", None, StatusCode::OK),
        ] {
            assert_eq!(
                client.get(protocol, path, token).await.status(),
                code,
                "{protocol} {path} {token:?}"
            );
        }
    }
    server.shutdown().await;
}

#[tokio::test]
async fn watches_end_cleanly_at_once_when_the_server_stops() {
    let plane = ControlPlane::new();
    let server = plane.serve(ServeOptions::default()).await.unwrap();
    let client = Client::new(&server);
    let start = crate::support::Server::of(&plane)
        .get("/api/v1/namespaces")
        .await
        .version();
    let path = &format!("/api/v1/namespaces?watch=true&resourceVersion={start}");
    let mut watches = Vec::new();
    for protocol in ["h2", "http/1.1"] {
        watches.push(
            client
                .get(protocol, path, Some(field(server.kubeconfig(), "token")))
                .await,
        );
    }
    assert!(client.reaches_its_server().await);
    let stopping = tokio::spawn(server.shutdown());
    for watch in watches {
        assert!(watch.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
    stopping.await.unwrap();
    assert!(!client.reaches_its_server().await);
    assert!(
        plane.client().list_api_groups().await.is_ok(),
        "in-process use goes on"
    );
}

#[tokio::test]
async fn a_port_in_use_is_said_so() {
    let plane = ControlPlane::new();
    let server = plane.serve(ServeOptions::default()).await.unwrap();
    let error = plane
        .serve(ServeOptions {
            port: server.addr().port(),
            ..ServeOptions::default()
        })
        .await
        .unwrap_err();
    assert!(matches!(error, ServeError::Listen { port, .. } if port == server.addr().port()));
}

#[cfg(unix)]
#[tokio::test]
async fn the_kubeconfig_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sub/kubeconfig");
    let server = ControlPlane::new().serve(ServeOptions::default()).await.unwrap();
    server.write_kubeconfig(&path).unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), server.kubeconfig());
    assert_eq!(
        std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
        1,
        "nothing is left over"
    );
}

/// As a process of its own, whose sockets can be counted.
#[tokio::test]
async fn watches_that_were_left_are_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kubeconfig");
    let program = tokio::process::Command::new(env!("CARGO_BIN_EXE_local-controlplane"))
        .arg("--quiet")
        .arg("--kubeconfig")
        .arg(&path)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    eventually("it is ready", || path.is_file()).await;
    let kubeconfig = std::fs::read_to_string(&path).unwrap();
    let addr = field(&kubeconfig, "server")
        .trim_start_matches("https://")
        .parse();
    let client = Client::of(&kubeconfig, addr.unwrap());
    let token = field(&kubeconfig, "token");
    let files = format!("/proc/{}/fd", program.id().unwrap());
    let count = || std::fs::read_dir(&files).unwrap().count();
    let before = count();
    let mut watches = Vec::new();
    for _ in 0..300 {
        let watch = client
            .get("http/1.1", "/api/v1/namespaces?watch=true", Some(token))
            .await;
        assert_eq!(watch.status(), StatusCode::OK);
        watches.push(watch);
    }
    assert!(count() >= before + 300);
    drop(watches);
    eventually("the sockets are closed", || count() <= before + 5).await;
}

async fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let begin = std::time::Instant::now();
    while !so() {
        assert!(begin.elapsed().as_secs() < 60, "not within a minute: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
