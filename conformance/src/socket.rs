//! A connection to the server on which anything can be said.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use kube::Config;
use kube::client::ConfigExt;
use kube::config::{KubeConfigOptions, Kubeconfig};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::cluster::Cluster;

/// HTTP/1.1 over TLS, as the kubeconfig says.
pub(crate) struct Socket {
    stream: TlsStream<TcpStream>,
    host: String,
    token: String,
}

async fn config(cluster: &Cluster) -> Config {
    let Some(path) = &cluster.target.kubeconfig else {
        panic!("this needs a kubeconfig");
    };
    let file = Kubeconfig::read_from(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    config.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A connection on which nothing was said, not even that TLS is spoken.
pub(crate) async fn silent(cluster: &Cluster) -> TcpStream {
    connect(&config(cluster).await).await
}

async fn connect(config: &Config) -> TcpStream {
    let host = config.cluster_url.host().unwrap_or_default();
    let port = config.cluster_url.port_u16().unwrap_or(443);
    let stream = TcpStream::connect((host, port)).await;
    stream.unwrap_or_else(|error| panic!("{host}:{port}: {error}"))
}

impl Socket {
    pub(crate) async fn open(cluster: &Cluster) -> Self {
        let config = config(cluster).await;
        let tls = config.rustls_client_config();
        let tls = tls.unwrap_or_else(|error| panic!("the kubeconfig cannot be used: {error}"));
        let host = config.cluster_url.host().unwrap_or_default().to_owned();
        let name = ServerName::try_from(host.clone());
        let name = name.unwrap_or_else(|error| panic!("{host}: {error}"));
        let stream = TlsConnector::from(Arc::new(tls))
            .connect(name, connect(&config).await)
            .await;
        let auth = serde_json::to_value(&config.auth_info).unwrap_or_default();
        Self {
            stream: stream.unwrap_or_else(|error| panic!("{host}: {error}")),
            host,
            token: auth["token"].as_str().unwrap_or_default().to_owned(),
        }
    }

    /// The head of a good request with a body of so many bytes.
    pub(crate) fn head(&self, method: &str, path: &str, length: usize) -> String {
        let authorization = match self.token.as_str() {
            "" => String::new(),
            token => format!("Authorization: Bearer {token}\r\n"),
        };
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{authorization}Content-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n",
            self.host
        )
    }

    /// Writes, and waits until it is sent. That the other end closed is no failure.
    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await?;
        self.stream.flush().await
    }

    /// Says that nothing more comes.
    pub(crate) async fn finish(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// What comes next; nothing when the connection is closed.
    pub(crate) async fn hear(&mut self, patience: Duration) -> String {
        let mut bytes = [0; 16 << 10];
        let read = timeout(patience, self.stream.read(&mut bytes)).await;
        let Ok(read) = read else {
            panic!("nothing within {patience:?}");
        };
        String::from_utf8_lossy(&bytes[..read.unwrap_or_default()]).into_owned()
    }
}
