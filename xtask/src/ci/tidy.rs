//! What no other tool looks at: every source file opens with its duty, none is too long, and nothing in the repository names
//! a folder of somebody's machine.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::Outcome;

/// The most lines that a source file may have before its tests.
const LONGEST: usize = 500;
/// Files that are longer, with the length that they must not exceed. It is meant to stay empty.
const LONGER: [(&str, usize); 0] = [];

/// What is not part of the repository.
const PASSED_OVER: [&str; 2] = ["target", ".git"];
/// What is text, by its ending.
const TEXT: [&str; 10] = [
    "rs", "md", "toml", "yaml", "yml", "json", "cast", "svg", "snap", "lock",
];

pub(super) fn check(root: &Path) -> Outcome {
    let mut problems = Vec::new();
    for file in files(root)? {
        let name = file
            .strip_prefix(root)
            .unwrap_or(&file)
            .to_string_lossy()
            .replace('\\', "/");
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {name}"))?;
        problems.extend(
            problems_of(&name, &text)
                .into_iter()
                .map(|problem| format!("{name}: {problem}")),
        );
    }
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(None)
}

/// All texts of the repository, in a fixed order.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if PASSED_OVER.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path
            .extension()
            .is_some_and(|ending| TEXT.iter().any(|text| ending == *text))
            || name == "run"
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn problems_of(name: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(path) = machine_path(line) {
            problems.push(format!(
                "line {}: a path of somebody's machine: {path}",
                number + 1
            ));
        }
    }
    if name.ends_with(".rs") {
        problems.extend(source_problems(name, text));
    }
    problems
}

fn source_problems(name: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if !text.starts_with("//! ") {
        problems.push("it does not open with its duty (a module doc)".to_owned());
    }
    for (number, line) in text.lines().enumerate() {
        for left in [
            concat!("todo", "!("),
            concat!("unimplemented", "!("),
            concat!("Placeholder", "."),
        ] {
            if line.contains(left) {
                problems.push(format!("line {}: something is left to do: {left}", number + 1));
            }
        }
    }
    let own = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
    let limit = LONGER
        .iter()
        .find(|(longer, _)| *longer == name)
        .map_or(LONGEST, |(_, lines)| *lines);
    // A file of tests is as long as its stories.
    if own > limit && !name.contains("/tests/") && !name.ends_with("tests.rs") {
        problems.push(format!(
            "{own} lines before its tests, more than {limit}: it has more than one duty"
        ));
    }
    problems
}

/// A folder of somebody's machine that a line names.
fn machine_path(line: &str) -> Option<&str> {
    ["home", "root", "work", "Users"].iter().find_map(|folder| {
        let pattern = format!("/{folder}/");
        line.match_indices(&pattern).find_map(|(at, _)| {
            // Within a longer path it is somebody else's folder of that name.
            let before = line[..at].chars().next_back();
            let inner = before.is_some_and(|c| c.is_alphanumeric() || "._-~$})".contains(c));
            (!inner).then(|| {
                line[at..]
                    .split(|c: char| c.is_whitespace() || "\"'`)".contains(c))
                    .next()
                    .unwrap_or("")
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_machine_are_found_and_others_are_not() {
        let home = ["", "home", "somebody", "x"].join("/");
        assert_eq!(machine_path(&format!("see {home} there")), Some(home.as_str()));
        assert_eq!(machine_path(&format!("\"{home}\"")), Some(home.as_str()));
        for fine in [
            "https://example.org/work/x",
            "src/work/mod.rs",
            "~/.kube/config",
            "$HOME/work/x",
        ] {
            assert_eq!(machine_path(fine), None, "{fine}");
        }
    }

    #[test]
    fn a_source_file_has_a_duty_and_an_end() {
        let check = |name: &str, text: &str, count: usize| {
            let problems = problems_of(name, text);
            assert_eq!(problems.len(), count, "{problems:?}");
        };
        let long = "x\n".repeat(LONGEST);
        check("a/src/lib.rs", "//! A duty.\n", 0);
        check("a/src/lib.rs", "use std::fs;\n", 1);
        check("a/src/lib.rs", &format!("//! A duty.\n{long}"), 1);
        check("a/src/lib.rs", &format!("//! A duty.\n#[cfg(test)]\n{long}"), 0);
        check("a/tests/it/main.rs", &format!("//! A duty.\n{long}"), 0);
        check(
            "a/src/lib.rs",
            concat!("//! A duty.\nfn f() { todo", "!() }\n"),
            1,
        );
        check("notes.md", &long, 0);
    }
}
