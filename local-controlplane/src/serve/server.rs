//! The server: connections, TLS, and a clean end. The one file of this crate that spawns tasks.
#![expect(
    clippy::disallowed_methods,
    reason = "a server has a task for each connection"
)]

use super::identity::Identity;
use super::kubeconfig;
use crate::access::{Tokens, User};
use crate::api::{Access, ApiService};
use crate::plane::{Closing, Plane};
use crate::world;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// A client that has not finished its handshake by then is not a client.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long no connection is accepted after one could not be, unless another one ends before.
const REFUSED: Duration = Duration::from_millis(50);
/// How long requests that are under way may take to finish when the server stops.
const GRACE: Duration = Duration::from_secs(2);

/// How to serve.
#[derive(Debug, Clone, Default)]
pub struct ServeOptions {
    /// The port on 127.0.0.1; zero takes any that is free.
    pub port: u16,
    /// Bearer tokens, and whose they are. The kubeconfig has a context for each, named like the user, besides that of
    /// the administrator.
    pub tokens: Vec<(String, User)>,
}

/// Why a control plane cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port cannot be had.
    #[error("cannot listen on 127.0.0.1:{port}; choose another port, or 0 for any that is free")]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No certificate could be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// The certificate that was made cannot be used.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
}

/// A control plane that is being served. Dropping it stops the server without waiting; [`Server::shutdown`] waits.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    kubeconfig: String,
    closing: Closing,
    task: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) async fn start(plane: Arc<Plane>, options: ServeOptions) -> Result<Self, ServeError> {
        let port = options.port;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.map_err(|source| ServeError::Listen { port, source })?;
        let addr = listener
            .local_addr()
            .map_err(|source| ServeError::Listen { port, source })?;
        let identity = Identity::generate()?;
        let token = world::secret();
        let administrator = (token, User::administrator());
        let tokens: Vec<(String, User)> = [administrator].into_iter().chain(options.tokens).collect();
        let users: Vec<(&str, &str)> = tokens
            .iter()
            .map(|(token, user)| (user.name.as_str(), token.as_str()))
            .collect();
        let kubeconfig = kubeconfig::text(addr, &identity.authority, &users);
        let tokens = Tokens::new(tokens);
        let closing = Closing::new();
        let service = ApiService::new(plane, Access::Tokens(Arc::new(tokens)), closing.clone());
        let task = tokio::spawn(accept(
            listener,
            TlsAcceptor::from(identity.tls),
            service,
            closing.clone(),
        ));
        Ok(Self {
            addr,
            kubeconfig,
            closing,
            task: Some(task),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The text of a kubeconfig for it.
    #[must_use]
    pub fn kubeconfig(&self) -> &str {
        &self.kubeconfig
    }

    /// Writes the kubeconfig to a file that only its owner can read.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_kubeconfig(&self, path: &Path) -> io::Result<()> {
        kubeconfig::write(path, &self.kubeconfig)
    }

    /// Stops: takes no more connections, ends watches cleanly at once, and lets other requests finish.
    pub async fn shutdown(mut self) {
        self.closing.close();
        if let Some(task) = self.task.take() {
            // A task that panicked has nothing left to be waited for.
            let _ = task.await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.closing.close();
    }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, service: ApiService, closing: Closing) {
    let mut connections = JoinSet::new();
    let mut closed = pin!(closing.closed());
    loop {
        tokio::select! {
            () = &mut closed => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, tls.clone(), service.clone(), closing.clone()));
                }
                // A connection that died before it was accepted, or too many open files. The next may do better once a
                // connection has ended; files that something else holds open tell nobody when they are closed.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    let one_ended = async {
                        if connections.join_next().await.is_none() {
                            std::future::pending().await
                        }
                    };
                    let _ = tokio::time::timeout(REFUSED, one_ended).await;
                }
            },
        }
    }
    drop(listener);
    let all_finished = async { while connections.join_next().await.is_some() {} };
    // Whoever has not finished by then is cut off when the set is dropped.
    let _ = tokio::time::timeout(GRACE, all_finished).await;
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, service: ApiService, closing: Closing) {
    // Watch events are small and wanted at once.
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await else {
        return;
    };
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder.http2().timer(TokioTimer::new());
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
    let result = tokio::select! {
        result = serving.as_mut() => result,
        () = closing.closed() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(error, "a connection ended early");
    }
}
