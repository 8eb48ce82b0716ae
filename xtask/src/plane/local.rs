//! The local control plane as a process of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Access;
use crate::processes::Processes;

/// The program, and its process.
pub(crate) const PROGRAM: &str = "local-controlplane";

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A local control plane, with the controllers that it has.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub(super) program: PathBuf,
}

impl Local {
    pub(super) async fn start(&self, processes: &mut Processes, folder: &Path) -> anyhow::Result<Access> {
        let kubeconfig = folder.join("kubeconfig");
        let args = [format!("--kubeconfig={}", kubeconfig.display())];
        processes.start_server(PROGRAM, &self.program, &args)?;
        Access::when_ready(&kubeconfig, processes, PROGRAM, PATIENCE).await
    }
}
