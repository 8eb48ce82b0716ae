//! `kubectl_complete-leases`: what kubectl asks for when somebody presses Tab behind `kubectl leases`.
//!
//! kubectl runs a program of that name with the words so far, the one under the cursor last, and reads a candidate with its
//! description from each line; the last line is a number that says what the shell may do on its own (cobra's
//! `ShellCompDirective`). The names of leases come from the cluster.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{ArgMatches, CommandFactory, FromArgMatches};
use clap_complete::engine::complete;
use election_core::{IdentityLease, LeaseKey};

use crate::cli::Cli;
use crate::connection::{Connection, Place};
use crate::moment::Moment;
use crate::survey::Survey;

/// The name under which kubectl looks for it.
pub const PROGRAM: &str = "kubectl_complete-leases";

/// The shell shall not offer files.
const NO_FILES: &str = ":4";
/// The shell may do what it does by default.
const DEFAULT: &str = ":0";

/// Whether the program was called by the name of the completion.
#[must_use]
pub fn is_called(program: &OsStr) -> bool {
    Path::new(program).file_stem().is_some_and(|name| name == PROGRAM)
}

/// Prints what could stand where the last of these words does.
pub async fn run(words: Vec<OsString>, out: &mut impl Write) -> ExitCode {
    let current = words.last().cloned().unwrap_or_default();
    let before = &words[..words.len().saturating_sub(1)];
    let mut args = vec![OsString::from("kubectl-leases")];
    args.extend(words.iter().cloned());
    if words.is_empty() {
        args.push(current.clone());
    }
    let index = args.len() - 1;
    let mut command = Cli::command();
    let mut lines: Vec<String> = complete(&mut command, args, index, None)
        .unwrap_or_default()
        .into_iter()
        .filter(|candidate| !candidate.is_hide_set())
        .map(|candidate| {
            let value = candidate.get_value().to_string_lossy().into_owned();
            match candidate.get_help() {
                Some(help) => format!("{value}\t{}", help.to_string().lines().next().unwrap_or_default()),
                None => value,
            }
        })
        .collect();
    let prefix = current.to_string_lossy().into_owned();
    // At an empty word flags are not what somebody looks for.
    if prefix.is_empty() {
        lines.retain(|line| !line.starts_with('-'));
    }
    if !prefix.starts_with('-') {
        lines.extend(names(before, &prefix).await.unwrap_or_default());
    }
    let directive = if wants_file(before) { DEFAULT } else { NO_FILES };
    lines.push(directive.to_owned());
    // Whoever does not read this has no use for it.
    let _ = lines.iter().try_for_each(|line| writeln!(out, "{line}"));
    ExitCode::SUCCESS
}

/// Whether the word is the value of a flag that names a file.
fn wants_file(before: &[OsString]) -> bool {
    let flag = before.last().and_then(|word| word.to_str()).unwrap_or_default();
    matches!(flag, "--kubeconfig" | "--certificate-authority" | "--svg")
}

/// The names of leases or of candidates, where one is asked for; nothing when the cluster does not say.
async fn names(before: &[OsString], prefix: &str) -> Option<Vec<String>> {
    let command = Cli::command().ignore_errors(true);
    let program = [OsString::from("kubectl-leases")];
    let matches = command.try_get_matches_from(program.iter().chain(before)).ok()?;
    let (name, matches) = matches.subcommand()?;
    let of = Cli::command().find_subcommand(name)?.clone();
    if before.last().is_some_and(|word| word == "--to") {
        return candidates(matches, prefix).await;
    }
    // A flag whose value is still to come swallows the word, and what is named already is enough.
    if expects_value(&of, before) {
        return None;
    }
    let open = of.get_positionals().find(|arg| {
        let given = matches.value_source(arg.get_id().as_str()).is_some();
        !given || arg.get_id() == "names"
    })?;
    match open.get_id().as_str() {
        "name" => leases(matches, prefix).await,
        "identity" | "names" => candidates(matches, prefix).await,
        _ => None,
    }
}

fn expects_value(command: &clap::Command, before: &[OsString]) -> bool {
    let Some(last) = before.last().and_then(|word| word.to_str()) else {
        return false;
    };
    let is = |arg: &clap::Arg| {
        arg.get_long().is_some_and(|long| last == format!("--{long}"))
            || arg.get_short().is_some_and(|short| last == format!("-{short}"))
    };
    command
        .get_arguments()
        .any(|arg| is(arg) && arg.get_action().takes_values())
}

async fn survey(matches: &ArgMatches) -> Option<(Survey, String)> {
    let connection = Connection::from_arg_matches(matches).ok()?;
    let place = Place {
        namespace: matches.get_one::<String>("namespace").cloned(),
        all_namespaces: false,
    };
    let session = connection.open(&place).await.ok()?;
    let leases = session.cluster.leases().await.ok()?;
    let moment = Moment::of(session.cluster.clock.now(), &leases);
    let survey = Survey::new(&leases, moment, election_core::Strategy::default());
    Some((survey, session.namespace))
}

async fn leases(matches: &ArgMatches, prefix: &str) -> Option<Vec<String>> {
    let (survey, _) = survey(matches).await?;
    let names = survey
        .coordinated()
        .into_iter()
        .filter(|status| status.name.starts_with(prefix));
    let line = |status: crate::view::LeaseStatus| {
        let holder = status.holder.as_deref().unwrap_or("nobody");
        format!("{}\t{} by {holder}", status.name, status.state_words())
    };
    Some(names.map(line).collect())
}

/// Those of the lease that is named, or all.
async fn candidates(matches: &ArgMatches, prefix: &str) -> Option<Vec<String>> {
    let (survey, namespace) = survey(matches).await?;
    let name = matches.try_get_one::<String>("name").ok().flatten();
    let lease = name.map(|name| LeaseKey::new(&namespace, name));
    let stands = |identity: &IdentityLease| match &lease {
        Some(lease) => identity.leads.contains(lease),
        None => true,
    };
    let found = survey
        .identities()
        .filter(|identity| stands(identity) && identity.key.name().starts_with(prefix));
    let line = |identity: &Arc<IdentityLease>| {
        let versions = identity.versions.as_ref().map(ToString::to_string);
        format!(
            "{}\t{}",
            identity.key.name(),
            versions.unwrap_or_else(|why| why.to_string())
        )
    };
    Some(found.map(line).collect())
}
