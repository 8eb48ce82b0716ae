//! What could stand where somebody presses Tab, behind `kubectl leases` and behind `kubectl-leases`.
//!
//! kubectl runs a program `kubectl_complete-leases` with the words so far, the one under the cursor last, and reads a candidate
//! with its description from each line; the last line is a number that says what the shell may do on its own (cobra's
//! `ShellCompDirective`). The scripts of `kubectl-leases completion` ask in the same way, with `kubectl-leases __complete`.
//! The names of leases, candidates and namespaces come from the cluster, those of contexts from the kubeconfig.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{ArgMatches, CommandFactory, FromArgMatches, ValueHint};
use clap_complete::CompletionCandidate;
use clap_complete::engine::complete;
use election_core::{IdentityLease, LeaseKey};
use kube::config::Kubeconfig;

use crate::cli::Cli;
use crate::config::{clusters, contexts, users};
use crate::connection::{Connection, Place};
use crate::moment::Moment;
use crate::output::FORMATS;
use crate::survey::Survey;
use crate::words::plain;

/// The name under which kubectl looks for it.
pub const PROGRAM: &str = "kubectl_complete-leases";

/// The word with which the scripts ask.
pub(crate) const ASKED: &str = "__complete";

/// The shell shall not offer files.
const NO_FILES: &str = ":4";
/// The shell may do what it does by default.
const DEFAULT: &str = ":0";

/// Whether the program was called by the name of the completion.
#[must_use]
pub fn is_called(program: &OsStr) -> bool {
    Path::new(program).file_stem().is_some_and(|name| name == PROGRAM)
}

/// Who asks, which makes a difference for the value in a word like `--flag=value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// kubectl, which wants the value alone.
    Kubectl,
    /// A script of this program, which wants the whole word.
    Script,
}

/// Prints what could stand where the last of these words does.
pub async fn run(asker: Asker, words: Vec<OsString>, out: &mut impl Write) -> ExitCode {
    let current = words.last().cloned().unwrap_or_default();
    let before = &words[..words.len().saturating_sub(1)];
    let prefix = current.to_string_lossy().into_owned();
    let place = Word::of(before, &prefix);
    let mut lines = match &place {
        Some(word) => word.values().await,
        None => None,
    };
    if lines.is_none() {
        let mut known = syntax(&words, &current);
        // At an empty word flags are not what somebody looks for.
        if prefix.is_empty() {
            known.retain(|line| !line.starts_with('-'));
        }
        if !prefix.starts_with('-') {
            known.extend(names(before, &prefix).await.unwrap_or_default());
        }
        lines = Some(known);
    }
    let mut lines = lines.unwrap_or_default();
    if let Some(word) = place.as_ref().filter(|_| asker == Asker::Kubectl) {
        for line in &mut lines {
            *line = line.strip_prefix(&word.glued).unwrap_or(line).to_owned();
        }
    }
    let wants_file = place.is_some_and(|word| word.wants_file());
    lines.push(if wants_file { DEFAULT } else { NO_FILES }.to_owned());
    // Whoever does not read this has no use for it.
    let _ = lines.iter().try_for_each(|line| writeln!(out, "{line}"));
    ExitCode::SUCCESS
}

/// What the command line itself knows: commands, flags, and values that are always the same.
fn syntax(words: &[OsString], current: &OsString) -> Vec<String> {
    let mut args = vec![OsString::from("kubectl-leases")];
    args.extend(words.iter().cloned());
    if words.is_empty() {
        args.push(current.clone());
    }
    let index = args.len() - 1;
    let line = |candidate: CompletionCandidate| {
        let value = candidate.get_value().to_string_lossy().into_owned();
        match candidate.get_help() {
            Some(help) => format!("{value}\t{}", help.to_string().lines().next().unwrap_or_default()),
            None => value,
        }
    };
    complete(&mut Cli::command(), args, index, None)
        .unwrap_or_default()
        .into_iter()
        .filter(|candidate| !candidate.is_hide_set())
        .map(line)
        .collect()
}

/// A word that is the value of a flag.
struct Word<'a> {
    before: &'a [OsString],
    flag: clap::Arg,
    /// What stands before the value in the same word: `--flag=`, or nothing.
    glued: String,
    value: &'a str,
}

impl<'a> Word<'a> {
    fn of(before: &'a [OsString], current: &'a str) -> Option<Self> {
        let command = command_of(before)?;
        let find = |is: &dyn Fn(&clap::Arg) -> bool| {
            let mut flags = command.get_arguments();
            flags
                .find(|arg| is(arg) && arg.get_action().takes_values())
                .cloned()
        };
        if let Some((long, value)) = current.strip_prefix("--").and_then(|word| word.split_once('=')) {
            return Some(Self {
                before,
                flag: find(&|arg| arg.get_long() == Some(long))?,
                glued: format!("--{long}="),
                value,
            });
        }
        let last = before.last()?.to_str()?;
        let flag = find(&|arg| !arg.is_require_equals_set() && is_named(arg, last))?;
        Some(Self {
            before,
            flag,
            glued: String::new(),
            value: current,
        })
    }

    /// Whether the last word is a flag whose value is still to come.
    fn flag_alone(before: &[OsString]) -> bool {
        Word::of(before, "").is_some()
    }

    /// What the value may be, where that is not for the command line itself to say.
    async fn values(&self) -> Option<Vec<String>> {
        let own_form = self.flag.get_possible_values().is_empty();
        let found = match self.flag.get_id().as_str() {
            "context" => self.configured(contexts)?,
            "cluster" => self.configured(clusters)?,
            "credentials" => self.configured(users)?,
            "output" if own_form => FORMATS.map(str::to_owned).to_vec(),
            "namespace" => self.namespaces().await.unwrap_or_default(),
            "to" => {
                let (_, matches) = matches_of(self.before)?;
                candidates(&matches, self.value).await.unwrap_or_default()
            }
            _ => return None,
        };
        let fits = found.into_iter().filter(|line| line.starts_with(self.value));
        Some(fits.map(|line| format!("{}{line}", self.glued)).collect())
    }

    fn configured(&self, of: fn(&Kubeconfig) -> Vec<String>) -> Option<Vec<String>> {
        let (_, matches) = matches_of(self.before)?;
        let connection = Connection::from_arg_matches(&matches).ok()?;
        Some(connection.source().names(of))
    }

    async fn namespaces(&self) -> Option<Vec<String>> {
        let (_, matches) = matches_of(self.before)?;
        let connection = Connection::from_arg_matches(&matches).ok()?;
        let session = connection.open(&Place::default()).await.ok()?;
        session.cluster.namespaces().await.ok()
    }

    fn wants_file(&self) -> bool {
        matches!(
            self.flag.get_value_hint(),
            ValueHint::FilePath | ValueHint::AnyPath
        ) || self
            .value
            .split_once('=')
            .is_some_and(|(form, _)| form.ends_with("-file"))
    }
}

/// The words before, as far as they make sense.
fn matches_of(before: &[OsString]) -> Option<(String, ArgMatches)> {
    // A flag without its value would swallow the whole command.
    let whole = match Word::flag_alone(before) {
        true => &before[..before.len() - 1],
        false => before,
    };
    let command = Cli::command().ignore_errors(true);
    let program = [OsString::from("kubectl-leases")];
    let mut matches = command.try_get_matches_from(program.iter().chain(whole)).ok()?;
    matches.remove_subcommand()
}

fn command_of(before: &[OsString]) -> Option<clap::Command> {
    let mut command = Cli::command();
    command.build();
    let name = before.first()?.to_str()?;
    command.find_subcommand(name).cloned()
}

fn is_named(arg: &clap::Arg, word: &str) -> bool {
    arg.get_long().is_some_and(|long| word == format!("--{long}"))
        || arg.get_short().is_some_and(|short| word == format!("-{short}"))
}

/// The names of leases or of candidates, where one is asked for; nothing when the cluster does not say.
async fn names(before: &[OsString], prefix: &str) -> Option<Vec<String>> {
    // A flag whose value is still to come swallows the word, and what is named already is enough.
    if Word::flag_alone(before) {
        return None;
    }
    let (name, matches) = matches_of(before)?;
    let of = Cli::command().find_subcommand(name)?.clone();
    let open = of.get_positionals().find(|arg| {
        let given = matches.value_source(arg.get_id().as_str()).is_some();
        !given || arg.get_id() == "names"
    })?;
    match open.get_id().as_str() {
        "name" => leases(&matches, prefix).await,
        "identity" | "names" => candidates(&matches, prefix).await,
        _ => None,
    }
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
        let said = format!("{} by {holder}", status.state_words());
        format!("{}\t{}", status.name, plain(&said))
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
