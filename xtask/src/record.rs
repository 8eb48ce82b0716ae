//! Parts of documents that commands write: what stands between two markers.

use std::ops::Range;
use std::path::Path;

use anyhow::Context;

/// Where the model and the bugs are told about, below the root.
pub(crate) const SAFETY_MODEL: &str = "docs/safety-model.md";

/// Replaces what stands in a file between the markers `<!-- NAME: … -->` and `<!-- NAME: end -->`.
///
/// # Errors
/// When the file has not both.
pub(crate) fn between(file: &Path, name: &str, part: &str) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let new = replaced(&text, name, part).with_context(|| missing(file, name))?;
    std::fs::write(file, new).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(())
}

/// What stands there now.
///
/// # Errors
/// When the file has not both markers.
pub(crate) fn known(file: &Path, name: &str) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let range = place(&text, name).with_context(|| missing(file, name))?;
    Ok(text[range].to_owned())
}

fn missing(file: &Path, name: &str) -> String {
    format!(
        "{} has not both markers, <!-- {name}: … --> and <!-- {name}: end -->",
        file.display()
    )
}

fn place(text: &str, name: &str) -> Option<Range<usize>> {
    let begin = format!("<!-- {name}: ");
    let end = format!("<!-- {name}: end -->");
    let begun = text.find(&begin)?;
    let from = begun + text[begun..].find("-->\n")? + 4;
    let to = from + text[from..].find(&end)?;
    Some(from..to)
}

fn replaced(text: &str, name: &str, part: &str) -> Option<String> {
    let place = place(text, name)?;
    Some(format!("{}{part}{}", &text[..place.start], &text[place.end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let text = "above\n<!-- x: written by y -->\nold\n<!-- x: end -->\nbelow\n";
        let new = replaced(text, "x", "new\n").unwrap();
        assert_eq!(
            new,
            "above\n<!-- x: written by y -->\nnew\n<!-- x: end -->\nbelow\n"
        );
        assert_eq!(replaced(&new, "x", "new\n").unwrap(), new);
        for other in ["no markers", "<!-- x: end -->\n", "<!-- x: begin -->\n"] {
            assert_eq!(replaced(other, "x", "new"), None);
        }
    }
}
