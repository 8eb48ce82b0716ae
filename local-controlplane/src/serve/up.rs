//! The program: a control plane with its controllers, until somebody ends it.

use super::{ServeError, ServeOptions};
use crate::access::read_token_file;
use crate::world;
use crate::{ControlPlane, OpenError, TokenFileError, User};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What the program is to do.
#[derive(Debug, Clone, Default)]
pub struct UpOptions {
    /// The port on 127.0.0.1; zero takes any that is free.
    pub port: u16,
    /// Where to write the kubeconfig. Without it, into a temporary folder that is removed at the end.
    pub kubeconfig: Option<PathBuf>,
    /// Users beside the administrator: on each line a token, a name, a uid, and optionally groups in quotes, as for
    /// kube-apiserver's `--token-auth-file`.
    pub token_auth_file: Option<PathBuf>,
    /// Where objects are kept. Without it, they are gone at the end.
    pub data_dir: Option<PathBuf>,
    /// Print nothing.
    pub quiet: bool,
}

/// Why the program cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// The data folder.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The users.
    #[error(transparent)]
    Tokens(#[from] TokenFileError),
    /// The socket.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The kubeconfig.
    #[error("the kubeconfig {path} cannot be written")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Signals cannot be waited for.
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
}

/// Runs a control plane until SIGINT or SIGTERM. Besides the administrator and those of the token file it has a user
/// `guest`, who may do nothing until a role is bound.
///
/// # Errors
/// The data folder, the port or the kubeconfig cannot be used.
pub async fn up(options: UpOptions) -> Result<(), UpError> {
    let end = end_signal()?;
    let mut tokens = match &options.token_auth_file {
        Some(file) => read_token_file(file)?,
        None => Vec::new(),
    };
    tokens.push((world::secret(), User::new("guest")));
    let plane = match &options.data_dir {
        Some(dir) => ControlPlane::open(dir)?,
        None => ControlPlane::new(),
    };
    let port = options.port;
    let server = plane.serve(ServeOptions { port, tokens }).await?;
    let place = Kubeconfig::new(options.kubeconfig.clone());
    let written = server.write_kubeconfig(&place.path);
    written.map_err(|source| UpError::Kubeconfig {
        path: place.path.clone(),
        source,
    })?;
    if !options.quiet {
        announce(server.addr(), &place.path, options.data_dir.as_deref());
    }
    tokio::select! {
        () = plane.run_controllers() => {}
        () = end => {}
    }
    server.shutdown().await;
    Ok(())
}

/// Nobody may be listening, which is no reason to stop.
fn announce(addr: std::net::SocketAddr, kubeconfig: &Path, data_dir: Option<&Path>) {
    let kept = match data_dir {
        Some(dir) => format!("Objects are kept in {}.", dir.display()),
        None => "Objects are gone when it ends.".to_owned(),
    };
    let text = format!(
        "A control plane is ready on https://{addr}. {kept} Ctrl-C ends it.\n\n  export KUBECONFIG={}\n\n",
        kubeconfig.display()
    );
    let _ = io::stdout().write_all(text.as_bytes());
    let _ = io::stdout().flush();
}

#[cfg(unix)]
fn end_signal() -> Result<impl Future<Output = ()>, UpError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).map_err(UpError::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(UpError::Signals)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn end_signal() -> Result<impl Future<Output = ()>, UpError> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// Where the kubeconfig is. A folder that was made for it goes with it.
struct Kubeconfig {
    path: PathBuf,
    temporary: Option<PathBuf>,
}

impl Kubeconfig {
    fn new(wanted: Option<PathBuf>) -> Self {
        match wanted {
            Some(path) => Self {
                path,
                temporary: None,
            },
            None => {
                let folder = std::env::temp_dir().join(format!("local-controlplane-{}", std::process::id()));
                Self {
                    path: folder.join("kubeconfig"),
                    temporary: Some(folder),
                }
            }
        }
    }
}

impl Drop for Kubeconfig {
    fn drop(&mut self) {
        if let Some(folder) = &self.temporary {
            // What cannot be removed is of no use to anybody: its token is worthless now.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}
