//! What to run: a program, its arguments, and what its environment tells about the term.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;

use super::RunError;

/// What to run, and what it finds in its environment beside the wrapper's own.
#[derive(Debug, Clone)]
pub struct ProgramSpec {
    /// A path, or a name to be found in `PATH`.
    pub program: OsString,
    /// Its arguments, without its own name.
    pub args: Vec<OsString>,
    /// Variables to add or replace; see [`election_env`].
    pub env: Vec<(String, String)>,
}

impl ProgramSpec {
    /// Says early whether the program can be started, as far as its file tells: a candidate that cannot run its
    /// program would only find out when it leads, and perhaps nobody is left then.
    pub fn check(&self) -> Result<(), RunError> {
        let missing = Err(Errno::NOENT);
        let found = self
            .places()
            .into_iter()
            .fold(missing, |best, place| match (best, runnable(&place)) {
                (Err(Errno::NOENT), next) => next,
                (Err(_), Ok(())) => Ok(()),
                (best, _) => best,
            });
        found.map_err(|errno| RunError::Program {
            program: self.program.clone(),
            source: errno.into(),
        })
    }

    /// Where exec will look.
    fn places(&self) -> Vec<PathBuf> {
        let program = PathBuf::from(&self.program);
        if self.program.as_encoded_bytes().contains(&b'/') {
            return vec![program];
        }
        let own = self
            .env
            .iter()
            .rev()
            .find(|(name, _)| name == "PATH")
            .map(|(_, path)| path.into());
        let path = own
            .or_else(|| env::var_os("PATH"))
            .unwrap_or_else(|| "/bin:/usr/bin".into());
        env::split_paths(&path)
            .map(|directory| directory.join(&program))
            .collect()
    }
}

fn runnable(path: &Path) -> Result<(), Errno> {
    access(path, Access::EXEC_OK)?;
    // A directory may be executable, but not run.
    if path.is_dir() { Err(Errno::ACCESS) } else { Ok(()) }
}

/// The variables that tell a program about the term it runs in.
///
/// `lease` is `namespace/name`; `token` is the fencing token, constant for the term and rising over terms;
/// `transitions` counts the grants, for people.
pub fn election_env(lease: &str, identity: &str, token: &str, transitions: i32) -> Vec<(String, String)> {
    vec![
        ("ELECTION_LEASE".to_owned(), lease.to_owned()),
        ("ELECTION_IDENTITY".to_owned(), identity.to_owned()),
        ("ELECTION_TOKEN".to_owned(), token.to_owned()),
        ("ELECTION_TERM".to_owned(), transitions.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn program_is_looked_for_where_exec_does() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        for (place, mode) in [("plain", 0o644), ("good", 0o755)] {
            fs::create_dir(at(place)).unwrap();
            fs::write(at(place).join("tool"), "").unwrap();
            fs::set_permissions(at(place).join("tool"), Permissions::from_mode(mode)).unwrap();
        }
        let check = |program: &str, path: &[&str], want: Result<(), Errno>| {
            let path = env::join_paths(path.iter().map(|place| at(place))).unwrap();
            let env = vec![("PATH".to_owned(), path.into_string().unwrap())];
            let got = ProgramSpec {
                program: program.into(),
                args: Vec::new(),
                env,
            }
            .check();
            let got = got.map_err(|error| match error {
                RunError::Program { source, .. } => Errno::from_io_error(&source).unwrap(),
                other => panic!("{other}"),
            });
            assert_eq!(got, want, "{program}");
        };
        check("tool", &["nowhere", "good"], Ok(()));
        // A file that cannot be run does not hide one behind it that can.
        check("tool", &["plain", "good", "nowhere"], Ok(()));
        check("tool", &["plain", "nowhere"], Err(Errno::ACCESS));
        check("tool", &["nowhere"], Err(Errno::NOENT));
        // A path is no matter of PATH, and a directory no program.
        check(at("good/tool").to_str().unwrap(), &["nowhere"], Ok(()));
        check(at("good").to_str().unwrap(), &["good"], Err(Errno::ACCESS));
        check(at("good/other").to_str().unwrap(), &["good"], Err(Errno::NOENT));
    }
}
