//! The part of JSONPath that printer columns use: fields, quoted fields, indexes and equality filters.

use serde_json::Value;

/// A parsed path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JsonPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    /// `[?(@.type=="Ready")]`
    Where {
        field: Vec<String>,
        equals: Value,
    },
}

impl JsonPath {
    /// Reads `.status.conditions[?(@.type=="Ready")].status`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut rest = text.trim().trim_start_matches('{').trim_end_matches('}');
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('[') {
                let end = closing_bracket(inner).ok_or_else(|| format!("unterminated [ in {text:?}"))?;
                steps.push(bracket(&inner[..end]).ok_or_else(|| format!("cannot read [{}]", &inner[..end]))?);
                rest = &inner[end + 1..];
            } else {
                let (field, after) = field(rest.strip_prefix('.').unwrap_or(rest));
                if !field.is_empty() {
                    steps.push(if field == "*" {
                        Step::All
                    } else {
                        Step::Field(field)
                    });
                }
                rest = after;
            }
        }
        Ok(Self(steps))
    }

    /// The first value that the path leads to.
    pub(crate) fn first<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        let mut found = vec![object];
        for step in &self.0 {
            found = found.into_iter().flat_map(|value| take(step, value)).collect();
        }
        found.into_iter().find(|value| !value.is_null())
    }
}

fn take<'a>(step: &Step, value: &'a Value) -> Vec<&'a Value> {
    match (step, value) {
        (Step::Field(name), _) => value.get(name).into_iter().collect(),
        (Step::Index(index), Value::Array(items)) => {
            let index = if *index < 0 {
                *index + items.len() as i64
            } else {
                *index
            };
            usize::try_from(index)
                .ok()
                .and_then(|index| items.get(index))
                .into_iter()
                .collect()
        }
        (Step::All, Value::Array(items)) => items.iter().collect(),
        (Step::All, Value::Object(map)) => map.values().collect(),
        (Step::Where { field, equals }, Value::Array(items)) => {
            let reach = |item: &'a Value| field.iter().try_fold(item, |value, part| value.get(part));
            items.iter().filter(|item| reach(item) == Some(equals)).collect()
        }
        _ => Vec::new(),
    }
}

/// A field name up to the next unescaped dot or bracket.
fn field(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '.' | '[' => return (name, &text[at..]),
            '\\' => name.extend(letters.next().map(|(_, escaped)| escaped)),
            letter => name.push(letter),
        }
    }
    (name, "")
}

fn closing_bracket(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (None, ']') => return Some(at),
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            _ => {}
        }
    }
    None
}

fn bracket(inner: &str) -> Option<Step> {
    let inner = inner.trim();
    if inner == "*" {
        return Some(Step::All);
    }
    if let Some(filter) = inner
        .strip_prefix("?(")
        .and_then(|filter| filter.strip_suffix(')'))
    {
        let (left, right) = filter.split_once("==")?;
        let field = left
            .trim()
            .strip_prefix("@.")?
            .split('.')
            .map(str::to_owned)
            .collect();
        return Some(Step::Where {
            field,
            equals: literal(right.trim())?,
        });
    }
    match literal(inner)? {
        Value::String(name) => Some(Step::Field(name)),
        number => number.as_i64().map(Step::Index),
    }
}

fn literal(text: &str) -> Option<Value> {
    match text.strip_prefix('\'').and_then(|inner| inner.strip_suffix('\'')) {
        Some(inner) => Some(inner.into()),
        None => serde_json::from_str(text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_of_printer_columns_find_their_values() {
        let object = json!({
            "metadata": {"annotations": {"example.com/x": "dotted"}},
            "status": {"conditions": [{"type": "A", "status": "no"}, {"type": "Ready", "status": "yes"}], "n": 3},
        });
        for (path, found) in [
            (".status.n", json!(3)),
            (".status.conditions[0].type", json!("A")),
            (".status.conditions[-1].type", json!("Ready")),
            (".status.conditions[?(@.type==\"Ready\")].status", json!("yes")),
            (".metadata.annotations['example.com/x']", json!("dotted")),
            (".metadata.annotations.example\\.com/x", json!("dotted")),
        ] {
            assert_eq!(
                JsonPath::parse(path).unwrap().first(&object),
                Some(&found),
                "{path}"
            );
        }
        assert_eq!(JsonPath::parse(".status.missing").unwrap().first(&object), None);
        assert!(JsonPath::parse(".status[").is_err());
    }
}
