//! The checks of the model and of the bugs that it is to find.

use std::path::Path;

use super::{Outcome, cargo};
use crate::bugs;

/// All configurations. What they find when a rule is broken is `cargo xtask bugs`, which takes longer.
pub(super) fn explore(root: &Path) -> Outcome {
    cargo::xtask(root, &["model"])
}

/// Whoever changes a rule brings the patches that break it along.
pub(super) fn bugs(root: &Path) -> Outcome {
    let count = bugs::check(root)?;
    Ok(Some(format!("{count} patches")))
}
