//! Bearer tokens: who has which, and who a request's token says it is from.

use super::User;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a file of tokens cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// The file cannot be read, or is no CSV.
    #[error("the tokens in {path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: csv::Error,
    },
    /// A line lacks something.
    #[error("line {line} of {path} must be: token,user name,user uid[,\"group,group\"]")]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
    },
}

/// Reads a file in the form of kube-apiserver's `--token-auth-file`: on each line a token, a user's name, their uid, and
/// optionally their groups in quotes.
pub(crate) fn read_token_file(path: &Path) -> Result<Vec<(String, User)>, TokenFileError> {
    let unreadable = |source| TokenFileError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_path(path)
        .map_err(unreadable)?;
    let mut users = Vec::new();
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        let column = |index: usize| record.get(index).map(str::trim).filter(|text| !text.is_empty());
        let (Some(token), Some(name), Some(uid)) = (column(0), column(1), column(2)) else {
            return Err(TokenFileError::Incomplete {
                path: path.to_owned(),
                line: record.position().map_or(0, csv::Position::line),
            });
        };
        let groups = column(3).into_iter().flat_map(|groups| groups.split(','));
        let groups = groups.map(str::trim).filter(|group| !group.is_empty());
        users.push((token.to_owned(), User::new(name).with_uid(uid).in_groups(groups)));
    }
    Ok(users)
}

/// All tokens of a server.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Vec<(String, Arc<User>)>);

/// A token that nobody has.
#[derive(Debug)]
pub(crate) struct UnknownToken;

impl Tokens {
    pub(crate) fn new(users: impl IntoIterator<Item = (String, User)>) -> Self {
        let users = users.into_iter().map(|(token, user)| (token, Arc::new(user)));
        Self(users.collect())
    }

    /// Who a request is from. Anything but a bearer token is not looked at, and proves nothing.
    pub(crate) fn user(&self, headers: &HeaderMap) -> Result<Arc<User>, UnknownToken> {
        let Some(given) = headers
            .get(AUTHORIZATION)
            .and_then(|value| bearer(value.as_bytes()))
        else {
            return Ok(Arc::new(User::anonymous()));
        };
        let has_it = |(token, _): &&(String, Arc<User>)| same_secret(given, token.as_bytes());
        let (_, user) = self.0.iter().find(has_it).ok_or(UnknownToken)?;
        Ok(Arc::clone(user))
    }
}

/// The token in an `Authorization` header: what follows the scheme, up to the next space.
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let mut parts = header.trim_ascii().splitn(3, |byte| *byte == b' ');
    let scheme = parts.next()?;
    let token = parts.next()?;
    (scheme.eq_ignore_ascii_case(b"bearer") && !token.is_empty()).then_some(token)
}

/// Compares in a time that does not depend on where the first difference is.
fn same_secret(given: &[u8], expected: &[u8]) -> bool {
    let difference = given
        .iter()
        .zip(expected)
        .fold(0, |difference, (a, b)| difference | (a ^ b));
    given.len() == expected.len() && difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn only_a_bearer_token_is_looked_at() {
        let tokens = Tokens::new([("secret".to_owned(), User::new("jane"))]);
        for (header, name) in [
            ("Bearer secret", Some("jane")),
            ("bearer secret", Some("jane")),
            ("Bearer secret more", Some("jane")),
            ("Bearer other", None),
            ("Bearer secre", None),
            ("Bearer secrets", None),
            ("Bearer", Some("system:anonymous")),
            ("Bearer ", Some("system:anonymous")),
            ("Bearer  secret", Some("system:anonymous")),
            ("Basic secret", Some("system:anonymous")),
            ("secret", Some("system:anonymous")),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(header));
            let user = tokens.user(&headers).ok();
            assert_eq!(user.map(|user| user.name.clone()).as_deref(), name, "{header}");
        }
    }

    #[test]
    fn a_file_of_tokens_names_users_and_their_groups() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokens.csv");
        let read = |text: &str| {
            std::fs::write(&path, text).expect("a file");
            read_token_file(&path)
        };
        let users = read("t1,jane,2,\"devs,ops\"\nt2,bob,3\n").expect("tokens");
        let jane = User::new("jane").with_uid("2").in_groups(["devs", "ops"]);
        assert_eq!(
            users,
            [("t1".into(), jane), ("t2".into(), User::new("bob").with_uid("3"))]
        );
        let refused = read("t1,jane,2\nt2,bob\n").expect_err("a line lacks its uid");
        assert!(
            matches!(refused, TokenFileError::Incomplete { line: 2, .. }),
            "{refused}"
        );
    }
}
