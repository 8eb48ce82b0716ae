//! What the parts of a real control plane and its users prove themselves with: certificates, keys and tokens, made for
//! one control plane and worthless after it.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use serde_json::json;

use crate::shell;

/// Names that the API server is reached by.
const NAMES: [&str; 2] = ["127.0.0.1", "localhost"];
const CLUSTER: &str = "control-plane";

/// Somebody who makes requests.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) name: &'static str,
    /// What RBAC knows them by, beside the name; none gives no rights.
    groups: &'static str,
    token: String,
}

/// Everything secret of one control plane.
pub(super) struct Credentials {
    authority: String,
    certificate: String,
    key: String,
    account_key: KeyPair,
    pub(super) admin: User,
    /// May do nothing, as long as nobody gives them a role.
    pub(super) guest: User,
    pub(super) controller_manager: User,
}

/// Where the API server finds its share.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) authority: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    /// Signs the tokens of service accounts.
    pub(super) account_key: PathBuf,
    pub(super) account_public_key: PathBuf,
    pub(super) tokens: PathBuf,
}

impl Credentials {
    /// The certificate of the server is not the authority's own: clients on rustls refuse that.
    pub(super) fn generate() -> anyhow::Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params
            .distinguished_name
            .push(DnType::CommonName, "control-plane authority");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(NAMES.map(str::to_owned).to_vec())?;
        params
            .distinguished_name
            .push(DnType::CommonName, "kube-apiserver");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &authority)?;
        let user = |name, groups| User {
            name,
            groups,
            token: shell::secret(),
        };
        Ok(Self {
            authority: authority.pem(),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            account_key: KeyPair::generate()?,
            admin: user("admin", "system:masters"),
            guest: user("guest", ""),
            controller_manager: user("system:kube-controller-manager", ""),
        })
    }

    /// Writes what the API server needs into a folder.
    pub(super) fn write(&self, folder: &Path) -> anyhow::Result<Files> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let write = |name: &str, text: &str| {
            let file = folder.join(name);
            write_private(&file, text).map(|()| file)
        };
        Ok(Files {
            authority: write("ca.crt", &self.authority)?,
            certificate: write("kube-apiserver.crt", &self.certificate)?,
            key: write("kube-apiserver.key", &self.key)?,
            account_key: write("service-accounts.key", &self.account_key.serialize_pem())?,
            account_public_key: write("service-accounts.pub", &self.account_key.public_key_pem())?,
            tokens: write("tokens.csv", &self.tokens())?,
        })
    }

    /// In the format of `--token-auth-file`: token, name, uid, groups.
    fn tokens(&self) -> String {
        [&self.admin, &self.guest, &self.controller_manager]
            .map(|user| {
                let groups = match user.groups {
                    "" => String::new(),
                    groups => format!(",\"{groups}\""),
                };
                format!("{},{},{}{groups}\n", user.token, user.name, user.name)
            })
            .concat()
    }

    /// A kubeconfig with a context for each user, named like them; the first one is the current context.
    pub(super) fn kubeconfig(&self, port: u16, users: &[&User]) -> anyhow::Result<String> {
        let cluster = json!({
            "server": format!("https://127.0.0.1:{port}"),
            "certificate-authority-data": STANDARD.encode(&self.authority),
        });
        let context = |user: &&User| {
            let context = json!({"cluster": CLUSTER, "user": user.name, "namespace": "default"});
            json!({"name": user.name, "context": context})
        };
        let user = |user: &&User| json!({"name": user.name, "user": {"token": user.token}});
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": users.first().map(|user| user.name),
            "clusters": [{"name": CLUSTER, "cluster": cluster}],
            "users": users.iter().map(user).collect::<Vec<_>>(),
            "contexts": users.iter().map(context).collect::<Vec<_>>(),
        });
        serde_yaml::to_string(&config).context("a kubeconfig cannot be written as YAML")
    }
}

/// Writes a file that only its owner can read, in one step: nobody ever sees half of it.
pub(super) fn write_private(file: &Path, text: &str) -> anyhow::Result<()> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let written = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        new.write_all(text.as_bytes())?;
        new.persist(file)?;
        Ok(())
    };
    written().with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::config::{KubeConfigOptions, Kubeconfig};
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn a_kubeconfig_has_a_context_for_each_user() {
        let credentials = Credentials::generate().unwrap();
        let text = credentials
            .kubeconfig(6443, &[&credentials.admin, &credentials.guest])
            .unwrap();
        let file = Kubeconfig::from_yaml(&text).unwrap();
        assert_eq!(file.current_context.as_deref(), Some("admin"));
        let guest = KubeConfigOptions {
            context: Some("guest".to_owned()),
            ..KubeConfigOptions::default()
        };
        let config = kube::Config::from_custom_kubeconfig(file, &guest).await.unwrap();
        assert_eq!(config.cluster_url.to_string(), "https://127.0.0.1:6443/");
        assert_eq!(config.root_cert.map(|certificates| certificates.len()), Some(1));
        assert!(text.contains(&credentials.guest.token));
        assert!(!text.contains(&credentials.controller_manager.token));
    }

    #[test]
    fn secrets_are_for_their_owner_alone_and_different_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (Credentials::generate().unwrap(), Credentials::generate().unwrap());
        let files = one.write(&folder.path().join("pki")).unwrap();
        for file in [&files.key, &files.account_key, &files.tokens] {
            let mode = file.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", file.display());
        }
        let tokens = std::fs::read_to_string(&files.tokens).unwrap();
        assert_eq!(tokens.lines().count(), 3);
        assert!(tokens.contains(",admin,admin,\"system:masters\"\n"));
        assert!(tokens.contains(",guest,guest\n"));
        assert_ne!(one.admin.token, one.guest.token);
        assert_ne!(one.admin.token, other.admin.token);
        assert_ne!(one.key, other.key);
    }
}
