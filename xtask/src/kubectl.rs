//! What a person does with kubectl: by kubectl when it is installed, otherwise by the same requests.
//!
//! kubectl gets a cache folder of its own. Its usual one is keyed by host and port, and a local control plane of today may
//! have the port of a different one of yesterday.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Client, ResourceExt, discovery};
use tokio::process::Command;

/// How requests of a person are made.
#[derive(Clone)]
pub(crate) struct Kubectl {
    /// Where kubectl keeps its cache; `None` when it is not installed.
    cache: Option<PathBuf>,
    kubeconfig: PathBuf,
    root: PathBuf,
    client: Client,
}

impl Kubectl {
    /// Looks for kubectl, unless it is not wanted.
    pub(crate) async fn find(
        wanted: bool,
        folder: &Path,
        kubeconfig: &Path,
        root: &Path,
        client: Client,
    ) -> anyhow::Result<Self> {
        let mut cache = None;
        if wanted && runs().await {
            let folder = folder.join("kubectl-cache");
            std::fs::create_dir_all(&folder)?;
            cache = Some(folder);
        }
        Ok(Self {
            cache,
            kubeconfig: kubeconfig.to_owned(),
            root: root.to_owned(),
            client,
        })
    }

    /// Whether kubectl is there.
    pub(crate) fn is_installed(&self) -> bool {
        self.cache.is_some()
    }

    /// The flags that a person has in the environment, and the program that takes them.
    pub(crate) fn flags(&self) -> Option<Vec<String>> {
        let cache = self.cache.as_ref()?;
        Some(vec![
            format!("--kubeconfig={}", self.kubeconfig.display()),
            format!("--cache-dir={}", cache.display()),
        ])
    }

    async fn run(&self, args: &[&str]) -> anyhow::Result<Option<String>> {
        let Some(flags) = self.flags() else {
            return Ok(None);
        };
        let mut command = Command::new("kubectl");
        command
            .current_dir(&self.root)
            .args(args)
            .args(flags)
            .kill_on_drop(true);
        let output = command.output().await.context("cannot run kubectl")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "kubectl {} failed ({}): {}",
            args.join(" "),
            output.status,
            said.trim()
        );
        Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    /// `kubectl apply -f FILE`.
    pub(crate) async fn apply(&self, file: &str) -> anyhow::Result<String> {
        if let Some(output) = self.run(&["apply", "-f", file]).await? {
            return Ok(output);
        }
        let text =
            std::fs::read_to_string(self.root.join(file)).with_context(|| format!("cannot read {file}"))?;
        let objects: Vec<DynamicObject> =
            serde_yaml::from_multiple(&text).with_context(|| format!("{file} has no objects"))?;
        let mut said = String::new();
        for object in &objects {
            said += &self.apply_object(object).await?;
        }
        Ok(said)
    }

    async fn apply_object(&self, object: &DynamicObject) -> anyhow::Result<String> {
        let types = object.types.as_ref().context("an object without kind")?;
        let kind = GroupVersionKind::try_from(types).context("an object without a usable apiVersion")?;
        let name = object.name_any();
        let (resource, capabilities) = discovery::pinned_kind(&self.client, &kind)
            .await
            .with_context(|| format!("no kind {} here", kind.kind))?;
        let api: Api<DynamicObject> = match capabilities.scope {
            discovery::Scope::Cluster => Api::all_with(self.client.clone(), &resource),
            discovery::Scope::Namespaced => {
                let namespace = object.namespace().unwrap_or_else(|| "default".to_owned());
                Api::namespaced_with(self.client.clone(), &namespace, &resource)
            }
        };
        let done = if api.get_opt(&name).await?.is_some() {
            api.patch(&name, &PatchParams::default(), &Patch::Merge(object))
                .await?;
            "configured"
        } else {
            api.create(&PostParams::default(), object).await?;
            "created"
        };
        Ok(format!(
            "{}.{}/{name} {done}\n",
            kind.kind.to_lowercase(),
            kind.group
        ))
    }

    /// `kubectl get lease`.
    pub(crate) async fn get_lease(&self, namespace: &str, name: &str) -> anyhow::Result<String> {
        if let Some(output) = self
            .run(&["get", "lease", "--namespace", namespace, name])
            .await?
        {
            return Ok(output);
        }
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), namespace);
        let holder = leases
            .get(name)
            .await?
            .spec
            .and_then(|spec| spec.holder_identity)
            .unwrap_or_default();
        let width = name.len() + 3;
        Ok(format!("{:width$}HOLDER\n{name:width$}{holder}\n", "NAME"))
    }

    /// `kubectl delete lease`.
    pub(crate) async fn delete_lease(&self, namespace: &str, name: &str) -> anyhow::Result<String> {
        if let Some(output) = self
            .run(&["delete", "lease", "--namespace", namespace, name])
            .await?
        {
            return Ok(output);
        }
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), namespace);
        leases.delete(name, &DeleteParams::default()).await?;
        Ok(format!("lease.coordination.k8s.io \"{name}\" deleted\n"))
    }
}

async fn runs() -> bool {
    let mut command = Command::new("kubectl");
    command.args(["version", "--client"]).kill_on_drop(true);
    matches!(command.output().await, Ok(output) if output.status.success())
}
