//! The kubeconfig: how clients find a server and prove themselves to it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;

const NAME: &str = "local-controlplane";
/// Whose context has the name of the cluster.
pub(super) const ADMIN: &str = "admin";

/// The text of a kubeconfig: a user and a context for each name and token, the first one the current.
pub(super) fn text(addr: SocketAddr, authority: &str, users: &[(&str, &str)]) -> String {
    let authority = STANDARD.encode(authority);
    let context = |name: &str| {
        if name == ADMIN {
            NAME.to_owned()
        } else {
            name.to_owned()
        }
    };
    let mut text = format!(
        "apiVersion: v1\n\
         kind: Config\n\
         current-context: {NAME}\n\
         clusters:\n\
         - name: {NAME}\n\
         \x20 cluster:\n\
         \x20   server: https://{addr}\n\
         \x20   certificate-authority-data: {authority}\n\
         users:\n"
    );
    for (name, token) in users {
        text += &format!(
            "- name: {name:?}\n\
             \x20 user:\n\
             \x20   token: {token:?}\n"
        );
    }
    text += "contexts:\n";
    for (name, _) in users {
        text += &format!(
            "- name: {:?}\n\
             \x20 context:\n\
             \x20   cluster: {NAME}\n\
             \x20   user: {name:?}\n\
             \x20   namespace: default\n",
            context(name)
        );
    }
    text
}

/// Writes a file that only its owner can read, in one step: nobody ever sees half of it.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let mut name = path
        .file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?
        .to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let new = path.with_file_name(name);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}
