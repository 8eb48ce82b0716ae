//! A real control plane as processes of its own: etcd, kube-apiserver with RBAC, and kube-controller-manager where it is
//! asked for. Everything listens on loopback.
//!
//! There is no kubelet and no scheduler: no Pod runs.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::{Api, Client};

use super::Access;
use super::assets::{API_SERVER, Assets, CONTROLLER_MANAGER, ETCD};
use super::credentials::{Credentials, Files, write_private};
use crate::processes::Processes;
use crate::shell;

/// How long each of them may take until it works. It takes 4 s where nothing else runs.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often other ports are tried when somebody else took one of those that were free a moment ago.
const ATTEMPTS: usize = 5;
const GLANCE: Duration = Duration::from_millis(20);
/// What every program says of a port that is not free.
const TAKEN: &str = "address already in use";
/// The namespaces of a cluster's own. The API server makes them soon after it says that it is ready.
const NAMESPACES: [&str; 2] = ["default", "kube-system"];

/// A real control plane, and how it is to be.
#[derive(Clone, Debug)]
pub(crate) struct Real {
    pub(crate) assets: Assets,
    /// Whether kube-controller-manager runs.
    pub(crate) controllers: bool,
    /// More arguments for kube-apiserver.
    pub(crate) api_server_args: Vec<String>,
    /// The port of kube-apiserver; 0 takes any that is free.
    pub(crate) port: u16,
    /// Where etcd keeps everything; without it, beside the rest.
    pub(crate) data_dir: Option<PathBuf>,
    /// Where the kubeconfig is; without it, beside the rest.
    pub(crate) kubeconfig: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ports {
    etcd: u16,
    etcd_peers: u16,
    api_server: u16,
}

impl Real {
    /// Without controllers, and with nothing that a server does not do by itself.
    pub(super) fn new(assets: Assets) -> Self {
        Self {
            assets,
            controllers: false,
            api_server_args: Vec::new(),
            port: 0,
            data_dir: None,
            kubeconfig: None,
        }
    }

    pub(super) async fn start(&self, processes: &mut Processes, folder: &Path) -> anyhow::Result<Access> {
        self.start_on(processes, folder, || Ports::free(self.port)).await
    }

    async fn start_on(
        &self,
        processes: &mut Processes,
        folder: &Path,
        mut ports: impl FnMut() -> anyhow::Result<Ports>,
    ) -> anyhow::Result<Access> {
        let site = Site::make(folder)?;
        let before = processes.count();
        let mut attempts = 1..ATTEMPTS;
        loop {
            let ports = ports()?;
            let started = self.start_api_server(processes, &site, ports).await;
            let [etcd, api_server] = [ETCD, API_SERVER].map(|name| processes.log(name).contains(TAKEN));
            // A port that was asked for does not become free by asking again.
            let others_help = etcd || (api_server && self.port == 0);
            if started.is_err() && others_help && attempts.next().is_some() {
                for name in [API_SERVER, ETCD] {
                    // At once: who took the port may be the etcd of another control plane, which ours would write to.
                    // An error means that it has ended already.
                    let _ = processes.kill(name);
                    processes.forget_log(name);
                }
                processes.end_down_to(before).await;
                continue;
            }
            let access = started?;
            if self.controllers {
                self.start_controllers(processes, &site, ports, &access).await?;
            }
            return Ok(access);
        }
    }

    async fn start_api_server(
        &self,
        processes: &mut Processes,
        site: &Site,
        ports: Ports,
    ) -> anyhow::Result<Access> {
        let data = self.data_dir.clone();
        let data = data.unwrap_or_else(|| site.folder.join("etcd"));
        processes.start_server(ETCD, &self.assets.program(ETCD)?, &etcd_args(&data, ports))?;
        let args = [api_server_args(&site.files, ports), self.api_server_args.clone()].concat();
        processes.start_server(API_SERVER, &self.assets.program(API_SERVER)?, &args)?;
        let kubeconfig = self.kubeconfig.clone();
        let kubeconfig = kubeconfig.unwrap_or_else(|| site.folder.join("kubeconfig"));
        let users = [&site.credentials.admin, &site.credentials.guest];
        write_private(
            &kubeconfig,
            &site.credentials.kubeconfig(ports.api_server, &users)?,
        )?;
        let access = Access::when_ready(&kubeconfig, processes, API_SERVER, PATIENCE).await?;
        let made = namespaces_are_there(access.client.clone());
        processes.until(API_SERVER, PATIENCE, made).await?;
        Ok(access)
    }

    async fn start_controllers(
        &self,
        processes: &mut Processes,
        site: &Site,
        ports: Ports,
        access: &Access,
    ) -> anyhow::Result<()> {
        let kubeconfig = site.folder.join("pki/controller-manager.kubeconfig");
        let user = &site.credentials.controller_manager;
        write_private(
            &kubeconfig,
            &site.credentials.kubeconfig(ports.api_server, &[user])?,
        )?;
        let args = controller_manager_args(&kubeconfig, &site.files);
        processes.start_server(
            CONTROLLER_MANAGER,
            &self.assets.program(CONTROLLER_MANAGER)?,
            &args,
        )?;
        let work = controllers_work(access.client.clone());
        processes.until(CONTROLLER_MANAGER, PATIENCE, work).await
    }
}

/// Where one control plane has its files, and what it proves itself with.
struct Site {
    folder: PathBuf,
    credentials: Credentials,
    files: Files,
}

impl Site {
    fn make(folder: &Path) -> anyhow::Result<Self> {
        let credentials = Credentials::generate().context("cannot make certificates")?;
        Ok(Self {
            files: credentials.write(&folder.join("pki"))?,
            folder: folder.to_owned(),
            credentials,
        })
    }
}

impl Ports {
    /// Ports that nobody listens on at this moment. They are all held until the last one is known, so that they differ.
    fn free(api_server: u16) -> anyhow::Result<Self> {
        let held = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let (etcd, peers, server) = (held()?, held()?, held()?);
        let number = |held: &TcpListener| held.local_addr().map(|address| address.port());
        Ok(Self {
            etcd: number(&etcd)?,
            etcd_peers: number(&peers)?,
            api_server: if api_server == 0 {
                number(&server)?
            } else {
                api_server
            },
        })
    }
}

fn etcd_args(data: &Path, ports: Ports) -> Vec<String> {
    let clients = format!("http://127.0.0.1:{}", ports.etcd);
    let peers = format!("http://127.0.0.1:{}", ports.etcd_peers);
    vec![
        format!("--data-dir={}", data.display()),
        format!("--listen-client-urls={clients}"),
        format!("--advertise-client-urls={clients}"),
        format!("--listen-peer-urls={peers}"),
        format!("--initial-advertise-peer-urls={peers}"),
        format!("--initial-cluster=default={peers}"),
    ]
}

fn api_server_args(files: &Files, ports: Ports) -> Vec<String> {
    vec![
        format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", ports.api_server),
        "--advertise-address=127.0.0.1".to_owned(),
        // Otherwise an address on loopback, which no Pod could reach, is refused.
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--tls-cert-file={}", files.certificate.display()),
        format!("--tls-private-key-file={}", files.key.display()),
        format!(
            "--service-account-key-file={}",
            files.account_public_key.display()
        ),
        format!(
            "--service-account-signing-key-file={}",
            files.account_key.display()
        ),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        format!("--token-auth-file={}", files.tokens.display()),
        // It refuses Pods as long as no controller has made the service account of their namespace.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
    ]
}

/// Its rights are those of each controller's service account, as in other clusters.
fn controller_manager_args(kubeconfig: &Path, files: &Files) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        "--leader-elect=false".to_owned(),
        "--use-service-account-credentials=true".to_owned(),
        format!(
            "--service-account-private-key-file={}",
            files.account_key.display()
        ),
        format!("--root-ca-file={}", files.authority.display()),
        // It needs no port, so none can be taken.
        "--secure-port=0".to_owned(),
    ]
}

async fn namespaces_are_there(client: Client) -> anyhow::Result<()> {
    let namespaces: Api<Namespace> = Api::all(client);
    for name in NAMESPACES {
        while namespaces.get_opt(name).await?.is_none() {
            shell::sleep(GLANCE).await;
        }
    }
    Ok(())
}

/// The service account of a namespace is among the first things that controllers make.
async fn controllers_work(client: Client) -> anyhow::Result<()> {
    let accounts: Api<ServiceAccount> = Api::default_namespaced(client);
    while accounts.get_opt("default").await?.is_none() {
        shell::sleep(GLANCE).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_lost_race_for_a_port_is_run_again_with_other_ports() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let root = crate::workspace::root().unwrap();
            let assets = match Assets::find(&root, None) {
                Ok(assets) => assets,
                Err(why) => {
                    // Not by a macro: what a test that passes says by one is not shown.
                    let _ = writeln!(std::io::stderr(), "a test of ports was SKIPPED: {why}");
                    return;
                }
            };
            let folder = tempfile::tempdir().unwrap();
            let mut processes = Processes::new(folder.path().join("logs")).unwrap();
            // What kills servers with their parent is in another program than this test.
            processes.let_servers_outlive(true);
            let somebody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let taken = somebody.local_addr().unwrap().port();
            let mut asked = 0;
            let ports = || {
                asked += 1;
                let free = Ports::free(0)?;
                Ok(match asked {
                    1 => Ports { etcd: taken, ..free },
                    2 => Ports {
                        api_server: taken,
                        ..free
                    },
                    _ => free,
                })
            };
            let real = Real::new(assets);
            let access = real.start_on(&mut processes, folder.path(), ports).await.unwrap();
            assert_eq!(asked, 3);
            assert!(access.is_ready().await);
            processes.end_down_to(0).await;
        });
    }

    #[test]
    fn ports_differ_and_one_that_was_asked_for_is_used() {
        let ports = Ports::free(0).unwrap();
        assert_ne!(ports.etcd, ports.etcd_peers);
        assert_ne!(ports.etcd, ports.api_server);
        assert_eq!(Ports::free(6443).unwrap().api_server, 6443);
    }

    #[test]
    fn servers_listen_on_loopback_only() {
        let ports = Ports::free(0).unwrap();
        for argument in etcd_args(Path::new("data"), ports) {
            assert!(
                !argument.contains("url") || argument.contains("=http://127.0.0.1:"),
                "{argument}"
            );
        }
        let folder = tempfile::tempdir().unwrap();
        let site = Site::make(folder.path()).unwrap();
        let args = api_server_args(&site.files, ports);
        for expected in [
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", ports.api_server),
            format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
            "--authorization-mode=RBAC".to_owned(),
        ] {
            assert!(args.contains(&expected), "{expected}");
        }
        let args = controller_manager_args(Path::new("kubeconfig"), &site.files);
        assert!(args.contains(&"--secure-port=0".to_owned()));
    }
}
