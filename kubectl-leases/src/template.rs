//! `-o jsonpath=…` and `-o custom-columns=…`, kubectl's templates around JSONPath expressions, and `-o go-template=…`.
//!
//! A template is text with `{…}` in it: an expression like `{.items[*].name}`, a text like `{"\n"}`, or `{range …}` up to
//! `{end}`. The expressions themselves are evaluated by a library, and so are Go's templates, without the functions that only kubectl adds.

use std::io::{self, Write};

use jsonpath_rust::JsonPath;
use serde_json::Value;

/// A template of `-o go-template=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoTemplate(String);

impl std::str::FromStr for GoTemplate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = gtmpl_ng::Template::default().parse(text);
        parsed.map_err(|error| format!("{text:?} is no Go template: {error}"))?;
        Ok(Self(text.to_owned()))
    }
}

impl GoTemplate {
    /// Prints an object by the template, without a line end of its own.
    ///
    /// # Errors
    /// When the template asks for something that the object cannot have, or `out` cannot be written.
    pub fn print(&self, out: &mut impl Write, object: Value) -> io::Result<()> {
        let value: gtmpl_value_ng::Value = serde_json::from_value(object).map_err(io::Error::other)?;
        let mut template = gtmpl_ng::Template::default();
        let text = template
            .parse(&self.0)
            .map_err(|error| error.to_string())
            .and_then(|()| {
                let context = gtmpl_ng::Context::from(value);
                template.render(&context).map_err(|error| error.to_string())
            });
        write!(out, "{}", text.map_err(io::Error::other)?)
    }
}

/// A template of `-o jsonpath=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Expression(String),
    Range(String, Vec<Self>),
}

impl std::str::FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut rest = text;
        let parts = parts(&mut rest, false)?;
        Ok(Self(parts))
    }
}

/// Reads parts up to the end, or up to `{end}`.
fn parts(rest: &mut &str, within: bool) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    loop {
        let Some(open) = rest.find('{') else {
            if within {
                return Err("a {range …} has no {end}".to_owned());
            }
            if !rest.is_empty() {
                parts.push(Part::Text((*rest).to_owned()));
            }
            return Ok(parts);
        };
        if open > 0 {
            parts.push(Part::Text(rest[..open].to_owned()));
        }
        let inner = inner(&rest[open + 1..])?;
        *rest = &rest[open + 1 + inner.len() + 1..];
        let inner = inner.trim();
        if inner == "end" {
            return if within {
                Ok(parts)
            } else {
                Err("{end} without {range …}".to_owned())
            };
        } else if let Some(over) = inner.strip_prefix("range ") {
            let over = expression(over)?;
            parts.push(Part::Range(over, self::parts(rest, true)?));
        } else if inner.starts_with('"') {
            let text = serde_json::from_str::<String>(inner);
            parts.push(Part::Text(
                text.map_err(|error| format!("{inner} is no text: {error}"))?,
            ));
        } else {
            parts.push(Part::Expression(expression(inner)?));
        }
    }
}

/// What stands before the closing brace; braces within quotes do not count.
fn inner(text: &str) -> Result<&str, String> {
    let mut quote = None;
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), close) if open == close => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (None, '}') => return Ok(&text[..at]),
            _ => {}
        }
    }
    Err("a { is not closed".to_owned())
}

/// An expression in the form of the library: kubectl lets the `$` out, and the dot as well in columns.
fn expression(text: &str) -> Result<String, String> {
    let text = text.trim().trim_start_matches('$').trim_start_matches('@');
    let rooted = match text.chars().next() {
        None => "$".to_owned(),
        Some('.') if text == "." => "$".to_owned(),
        Some('.' | '[') => format!("${text}"),
        Some(_) => format!("$.{text}"),
    };
    jsonpath_rust::parser::parse_json_path(&rooted)
        .map(|_| rooted)
        .map_err(|error| format!("{text} is no JSONPath: {error}"))
}

impl Template {
    /// Prints an object by the template, without a line end of its own.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn print(&self, out: &mut impl Write, object: &Value) -> io::Result<()> {
        let mut text = String::new();
        fill(&mut text, &self.0, object);
        write!(out, "{text}")
    }

    /// Everything that its expressions find, for `-o jsonpath-as-json=`; texts are nothing that is found.
    #[must_use]
    pub fn values(&self, object: &Value) -> Vec<Value> {
        let mut values = Vec::new();
        gather(&mut values, &self.0, object);
        values
    }
}

fn gather(values: &mut Vec<Value>, parts: &[Part], object: &Value) {
    for part in parts {
        match part {
            Part::Text(_) => {}
            Part::Expression(path) => {
                values.extend(object.query(path).unwrap_or_default().into_iter().cloned());
            }
            Part::Range(path, parts) => {
                for each in object.query(path).unwrap_or_default() {
                    gather(values, parts, each);
                }
            }
        }
    }
}

fn fill(text: &mut String, parts: &[Part], object: &Value) {
    for part in parts {
        match part {
            Part::Text(part) => text.push_str(part),
            Part::Expression(path) => text.push_str(&found(path, object).join(" ")),
            Part::Range(path, parts) => {
                for each in object.query(path).unwrap_or_default() {
                    fill(text, parts, each);
                }
            }
        }
    }
}

/// What an expression finds, in words.
fn found(path: &str, object: &Value) -> Vec<String> {
    let values = object.query(path).unwrap_or_default();
    let in_words = |value: &Value| match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    values.into_iter().map(in_words).collect()
}

/// The columns of `-o custom-columns=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns(Vec<(String, String)>);

impl std::str::FromStr for Columns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let column = |column: &str| {
            let (name, path) = column
                .split_once(':')
                .ok_or_else(|| format!("write {column} as NAME:.path"))?;
            Ok((name.to_owned(), expression(path)?))
        };
        text.split(',')
            .map(column)
            .collect::<Result<_, String>>()
            .map(Self)
    }
}

impl Columns {
    /// From a line of names and a line of paths below it, as `-o custom-columns-file=` has them.
    ///
    /// # Errors
    /// When there are no two lines, or they do not fit.
    pub fn from_lines(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let (Some(names), Some(paths), None) = (lines.next(), lines.next(), lines.next()) else {
            return Err("write a line of names, and a line of paths below it".to_owned());
        };
        let (names, paths): (Vec<_>, Vec<_>) = (
            names.split_whitespace().collect(),
            paths.split_whitespace().collect(),
        );
        if names.len() != paths.len() {
            return Err(format!(
                "there are {} names and {} paths",
                names.len(),
                paths.len()
            ));
        }
        let column = |(name, path): (&str, &str)| Ok((name.to_owned(), expression(path)?));
        let columns: Result<_, String> = names.into_iter().zip(paths).map(column).collect();
        columns.map(Self)
    }

    /// The line of names.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The line of an object.
    #[must_use]
    pub fn cells(&self, object: &Value) -> Vec<String> {
        let cell = |(_, path): &(String, String)| {
            let found = found(path, object).join(",");
            if found.is_empty() {
                "<none>".to_owned()
            } else {
                found
            }
        };
        self.0.iter().map(cell).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn printed(template: &str) -> String {
        let list = json!({"items": [
            {"name": "a", "state": "Held", "term": 3, "conditions": ["Expired"]},
            {"name": "b", "state": "Offered", "conditions": []},
        ]});
        let mut out = Vec::new();
        let template: Template = template.parse().unwrap();
        template.print(&mut out, &list).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn templates_are_those_of_kubectl() {
        assert_eq!(printed("{.items[*].name}"), "a b");
        assert_eq!(printed("{$.items[0].term}"), "3");
        assert_eq!(printed("{.items[?(@.state==\"Held\")].name}"), "a");
        assert_eq!(printed("{.items[?(@.state=='Offered')].name}"), "b");
        assert_eq!(
            printed(r#"{range .items[*]}{.name}={.state}{"\n"}{end}done"#),
            "a=Held\nb=Offered\ndone"
        );
        assert_eq!(printed("{.nothing}"), "");
        assert_eq!(
            printed(r#"{"a \"}\" b"}"#),
            "a \"}\" b",
            "a brace in a text is none"
        );
    }

    #[test]
    fn what_a_template_finds_can_be_json() {
        let object = json!({"items": [{"name": "a", "term": 3}, {"name": "b"}]});
        let values = |template: &str| template.parse::<Template>().unwrap().values(&object);
        assert_eq!(
            values("{.items[*].name} {.items[0].term}"),
            [json!("a"), json!("b"), json!(3)]
        );
        assert_eq!(values("{range .items[*]}{.name}{end}"), [json!("a"), json!("b")]);
        assert!(values("{.nothing}").is_empty());
    }

    #[test]
    fn columns_come_from_a_file_as_well() {
        let columns = Columns::from_lines("LEASE   TERM\n.name   .term\n").unwrap();
        assert_eq!(Ok(columns), "LEASE:.name,TERM:.term".parse());
        for bad in ["", "LEASE", "LEASE TERM\n.name", "A\n.a\n.b"] {
            assert!(Columns::from_lines(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn go_templates_are_those_of_go() {
        let printed = |template: &str| {
            let list = json!({"items": [{"name": "a", "term": 3}, {"name": "b", "holder": null}]});
            let mut out = Vec::new();
            let template: GoTemplate = template.parse().unwrap();
            template
                .print(&mut out, list)
                .map(|()| String::from_utf8(out).unwrap())
        };
        let lines =
            r#"{{range .items}}{{.name}}: {{if .term}}{{printf "%v" .term}}{{else}}-{{end}}{{"\n"}}{{end}}"#;
        assert_eq!(printed(lines).unwrap(), "a: 3\nb: -\n");
        assert_eq!(
            printed("{{(index .items 1).name}}{{.nothing}}").unwrap(),
            "b<no value>"
        );
        assert!(printed("{{.items.name}}").is_err());
        for bad in ["{{", "{{range .items}}", "{{nothing .}}"] {
            assert!(bad.parse::<GoTemplate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for bad in ["{", "{.a", "{range .items[*]}", "{end}", "{.items[}", "{\"open}"] {
            assert!(bad.parse::<Template>().is_err(), "{bad}");
        }
        for bad in ["NAME", "NAME:.a[", ""] {
            assert!(bad.parse::<Columns>().is_err(), "{bad}");
        }
    }

    #[test]
    fn columns_show_none_for_what_is_absent() {
        let columns: Columns = "N:.name,T:term,C:.conditions[*]".parse().unwrap();
        assert_eq!(columns.names(), ["N", "T", "C"]);
        let object = json!({"name": "a", "conditions": ["x", "y"]});
        assert_eq!(columns.cells(&object), ["a", "<none>", "x,y"]);
    }
}
