//! Stories: files of prose and commands, with what the elector says to them.
//!
//! A paragraph without `----` is prose. Otherwise the lines above are commands and those below what is expected.
//! `UPDATE_SCENARIOS=1 cargo test -p election-core scenarios` writes what happened into the files, to be read as code.

use std::path::{Path, PathBuf};
use std::time::Duration;

use election_core::elector::Rules;
use election_core::{Identity, Incarnation, LeaseSeconds, Refusal, Strategy};

use crate::cluster::{Cluster, Server, key, versions};

#[test]
fn stories_end_as_they_are_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 12, "the stories are gone");
    let update = std::env::var_os("UPDATE_SCENARIOS").is_some();
    for file in files {
        let told = std::fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let happened = tell(&told, &name);
        assert!(
            happened.lines().count() <= 60,
            "{name} is longer than a story should be:\n{happened}"
        );
        if update {
            std::fs::write(&file, &happened).unwrap();
        } else {
            let differs = told
                .lines()
                .zip(happened.lines())
                .position(|(left, right)| left != right);
            let line = differs.map_or(told.lines().count(), |index| index + 1);
            assert_eq!(
                told, happened,
                "{name} goes another way at line {line}; UPDATE_SCENARIOS=1 rewrites it"
            );
        }
    }
}

/// The same story, with what happens in it now.
fn tell(told: &str, name: &str) -> String {
    let mut cluster = Cluster::new(Rules::default());
    let paragraphs: Vec<String> = told
        .trim_end()
        .split("\n\n")
        .map(|paragraph| match paragraph.split_once("\n----") {
            None => paragraph.to_owned(),
            Some((commands, _)) => {
                for command in commands.lines() {
                    obey(&mut cluster, command)
                        .unwrap_or_else(|| panic!("{name}: cannot be understood: {command:?}"));
                }
                format!("{commands}\n----\n{}", std::mem::take(&mut cluster.log))
                    .trim_end()
                    .to_owned()
            }
        })
        .collect();
    paragraphs.join("\n\n") + "\n"
}

/// The commands of the stories. All are about the leader lease `default/demo`.
fn obey(cluster: &mut Cluster, command: &str) -> Option<()> {
    let words: Vec<&str> = command.split_whitespace().collect();
    match words.as_slice() {
        [time] if time.starts_with("t+") => cluster.until(duration(time.strip_prefix("t+")?)?),
        ["list"] | ["relist"] => cluster.list(),
        ["assume", "unheld"] => {
            cluster.elector = election_core::Elector::new(Rules::default()).assuming_unheld();
        }
        ["watch", "lost"] => cluster.lose(),
        ["watch", "resumed"] => cluster.resume(),
        ["watch", "lags"] => cluster.lag(),
        ["watch", "catches", "up"] => cluster.catch_up(),
        ["frozen", "for", time] => {
            cluster.freeze(duration(time)?);
            cluster.drain();
        }
        ["server", "answers"] => cluster.server = Server::Answers,
        ["server", "is", "silent"] => cluster.server = Server::Silent,
        ["server", "refuses", why @ ..] => cluster.server = Server::Refuses(why.join(" ")),
        ["request", "fails", why @ ..] => {
            let outcome = election_core::elector::Outcome::Unknown(why.join(" "));
            cluster.answer(&key("demo"), outcome);
            cluster.drain();
        }
        ["candidate", name, rest @ ..] => candidate(cluster, name, rest)?,
        ["alive", names @ ..] => {
            for name in names {
                let stamp = cluster.next_stamp();
                cluster.candidate(name, |lease| lease.renew_time = Some(stamp));
            }
        }
        ["label", name] => cluster.candidate(name, |_| {}),
        ["gone", name] => cluster.delete(name),
        ["explain"] => {
            let explanation = cluster.explain("demo")?.to_string();
            cluster.log.push_str(&explanation);
            cluster.log.push('\n');
        }
        ["lease", rest @ ..] => lease(cluster, rest)?,
        _ => return None,
    }
    Some(())
}

fn candidate(cluster: &mut Cluster, name: &str, words: &[&str]) -> Option<()> {
    let fields: Vec<(&str, &str)> = words
        .iter()
        .map(|word| word.split_once('=').unwrap_or((word, "")))
        .collect();
    let get = |name: &str| {
        fields
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    };
    let seconds = match get("duration") {
        Some(text) => Some(LeaseSeconds::new(duration(text)?.as_secs().try_into().ok()?)?),
        None => None,
    };
    cluster.candidate(name, |lease| {
        if let Some(emulation) = get("emulation") {
            lease.versions = Ok(versions(emulation, get("binary").unwrap_or(emulation)));
        }
        if get("unreadable").is_some() {
            lease.versions = Err(Refusal::VersionUnreadable {
                which: "binary",
                why: "\"latest\" is not a version".into(),
            });
        }
        if get("hand-written").is_some() {
            (lease.incarnation, lease.renew_time) = (None, None);
        }
        if get("restarted").is_some() {
            lease.incarnation = Some(format!("process-{name}-again").into());
        }
        if get("leads-nothing").is_some() {
            lease.leads.clear();
        }
        if let Some(named) = get("also-leads") {
            lease.refused = vec![Refusal::OtherNamespace {
                lease: named.parse().expect("a lease key"),
            }];
        }
        lease.duration = seconds.unwrap_or(lease.duration);
        lease.owned_by_pod |= get("in-a-pod").is_some();
    });
    Some(())
}

fn lease(cluster: &mut Cluster, words: &[&str]) -> Option<()> {
    let incarnation = |name: &str| Incarnation::from(format!("process-{name}"));
    match words {
        // What others find when they come.
        ["held", "by", holder, rest @ ..] => cluster.edit("demo", |record, stamp| {
            record.holder = Some(Identity::new(holder));
            record.acquire_time = Some(stamp);
            record.renew_time = Some(stamp);
            record.transitions += 1;
            record.incarnation = (!rest.contains(&"ordinary")).then(|| incarnation(holder));
            record.end_of_term = false;
        }),
        ["renewed"] => cluster.edit("demo", |record, stamp| record.renew_time = Some(stamp)),
        ["annotated"] => cluster.edit("demo", |_, _| {}),
        ["duration", text] => {
            let seconds = LeaseSeconds::new(duration(text)?.as_secs().try_into().ok()?);
            cluster.edit("demo", |record, _| record.duration = seconds);
        }
        ["fresh"] => cluster.edit("demo", |record, _| {
            *record = election_core::Record {
                duration: record.duration,
                ..Default::default()
            };
        }),
        ["blanked"] => cluster.edit("demo", |record, _| record.holder = None),
        ["deleted"] => cluster.delete("demo"),
        // What candidates do.
        ["accepted", "by", name] => cluster.write("demo", |lease, stamp| {
            lease.accept(
                &Identity::new(name),
                &incarnation(name),
                LeaseSeconds::LEADER,
                stamp,
            )
        }),
        ["end", "of", "term", "by", name] => {
            cluster.write("demo", |lease, _| lease.end_of_term(&Identity::new(name)))
        }
        ["handed", "over", "to", name] => {
            cluster.write("demo", |lease, _| lease.hand_over(&Identity::new(name)))
        }
        ["released"] => cluster.write("demo", |lease, stamp| {
            lease.release(lease.record.transitions, stamp)
        }),
        ["declined"] => cluster.write("demo", |lease, stamp| lease.decline(stamp)),
        ["asks", "for", text] => {
            let strategy = text.parse::<Strategy>().map_err(|_| (*text).to_owned());
            cluster.ask_for("demo", strategy);
        }
        _ => return None,
    }
    Some(())
}

fn duration(text: &str) -> Option<Duration> {
    for (suffix, unit) in [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)] {
        if let Some(number) = text.strip_suffix(suffix)
            && let Ok(number) = number.parse::<f64>()
        {
            return Some(Duration::from_millis((number * unit * 1000.0).round() as u64));
        }
    }
    None
}
