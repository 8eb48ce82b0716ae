//! Label and field selectors.

use crate::failure::Failure;
use crate::kinds::{Kind, at, check_label_value, check_qualified};
use crate::store::Stored;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a list, a watch or a collective deletion is limited to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<FieldRequirement>,
}

#[derive(Debug, Clone, PartialEq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Exists,
    Missing,
    In(Vec<String>),
    NotIn(Vec<String>),
    Greater(i64),
    Less(i64),
}

#[derive(Debug, Clone, PartialEq)]
struct FieldRequirement {
    path: String,
    value: String,
    equal: bool,
}

impl Selector {
    /// Reads the two selectors of a request; absent ones are empty.
    pub(crate) fn parse(kind: &Kind, labels: Option<&str>, fields: Option<&str>) -> Result<Self, Failure> {
        let labels = split(labels.unwrap_or_default())
            .map(|part| requirement(part).ok_or_else(|| unreadable("label", part)))
            .collect::<Result<_, _>>()?;
        let fields = split(fields.unwrap_or_default())
            .map(|part| field_requirement(kind, part))
            .collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    /// Whether everything is selected.
    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(crate) fn matches(&self, kind: &Kind, object: &Stored) -> bool {
        self.labels
            .iter()
            .all(|requirement| requirement.holds(&object.labels))
            && self.fields_match(kind, object)
    }

    fn fields_match(&self, kind: &Kind, object: &Stored) -> bool {
        let mut parsed: Option<Value> = None;
        self.fields.iter().all(|requirement| {
            let equal = match requirement.path.as_str() {
                "metadata.name" => object.key.name == requirement.value,
                "metadata.namespace" => object.key.namespace == requirement.value,
                path => {
                    let wire = parsed.get_or_insert_with(|| kind.to_wire(object.value()));
                    // `source` of an Event stands for the component in it.
                    let path = if path == "source" {
                        "source.component"
                    } else {
                        path
                    };
                    text(at(wire, path)) == requirement.value
                }
            };
            equal == requirement.equal
        })
    }
}

fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

impl Requirement {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match &self.test {
            Test::Exists => value.is_some(),
            Test::Missing => value.is_none(),
            Test::In(values) => value.is_some_and(|value| values.contains(value)),
            Test::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Test::Greater(bound) => number().is_some_and(|number| number > *bound),
            Test::Less(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

fn unreadable(which: &str, part: &str) -> Failure {
    Failure::bad_request(format!(
        "unable to parse requirement: {which} selector {part:?} cannot be read"
    ))
}

/// Splits at commas that are not inside parentheses.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    text.split(move |letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        letter == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
}

fn requirement(part: &str) -> Option<Requirement> {
    let (key, test) = if let Some(key) = part.strip_prefix('!') {
        (key, Test::Missing)
    } else if let Some((key, value)) = part.split_once("!=") {
        (key, Test::NotIn(vec![plain(value)?]))
    } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        (key, Test::In(vec![plain(value)?]))
    } else if let Some((key, bound)) = part.split_once('>') {
        (key, Test::Greater(bound.trim().parse().ok()?))
    } else if let Some((key, bound)) = part.split_once('<') {
        (key, Test::Less(bound.trim().parse().ok()?))
    } else if let Some((head, list)) = part.strip_suffix(')').and_then(|part| part.split_once('(')) {
        let values = list.split(',').map(plain).collect::<Option<Vec<_>>>()?;
        match head.trim().rsplit_once(char::is_whitespace)? {
            (key, "in") => (key, Test::In(values)),
            (key, "notin") => (key, Test::NotIn(values)),
            _ => return None,
        }
    } else {
        (part, Test::Exists)
    };
    let key = key.trim();
    let good = check_qualified(key).is_empty();
    good.then(|| Requirement {
        key: key.to_owned(),
        test,
    })
}

fn plain(value: &str) -> Option<String> {
    let value = value.trim();
    check_label_value(value).is_empty().then(|| value.to_owned())
}

fn field_requirement(kind: &Kind, part: &str) -> Result<FieldRequirement, Failure> {
    let (path, value, equal) = if let Some((path, value)) = part.split_once("!=") {
        (path, value, false)
    } else if let Some((path, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        (path, value, true)
    } else {
        return Err(Failure::bad_request(format!(
            "invalid field selector: '{part}'; can't understand '{part}'"
        )));
    };
    let always = ["metadata.name", "metadata.namespace"];
    if !always.contains(&path) && !kind.rules.selectable.iter().any(|selectable| selectable == path) {
        return Err(Failure::bad_request(
            match kind.rules.selectable.is_empty() && !kind.custom {
                true => format!(
                    "\"{path}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                ),
                false => format!("field label not supported: {path}"),
            },
        ));
    }
    Ok(FieldRequirement {
        path: path.into(),
        value: value.replace("\\=", "=").replace("\\,", ","),
        equal,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(selector: &str) -> Option<bool> {
        let labels = BTreeMap::from([
            ("app".to_owned(), "x".to_owned()),
            ("n".to_owned(), "5".to_owned()),
        ]);
        let requirements: Option<Vec<_>> = split(selector).map(requirement).collect();
        Some(requirements?.iter().all(|requirement| requirement.holds(&labels)))
    }

    #[test]
    fn the_whole_label_grammar_is_understood() {
        for (selector, expected) in [
            ("", Some(true)),
            ("app=x", Some(true)),
            ("app==x,n", Some(true)),
            ("app!=x", Some(false)),
            ("other!=x", Some(true)),
            ("app in (x, y)", Some(true)),
            ("app notin (x,y)", Some(false)),
            ("other notin (x)", Some(true)),
            ("!other", Some(true)),
            ("!app", Some(false)),
            ("n>4", Some(true)),
            ("n<4", Some(false)),
            ("app in x", None),
            ("a b", None),
            ("app=x y", None),
        ] {
            assert_eq!(holds(selector), expected, "{selector:?}");
        }
    }
}
