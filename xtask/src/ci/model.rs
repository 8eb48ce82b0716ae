//! The checks of the model and of the bugs that it is to find.

use std::path::Path;

use super::{Outcome, cargo};
use crate::bugs;

/// All configurations, the large ones as far as a check may take; `cargo xtask model` explores them whole. What they find when a rule
/// is broken is `cargo xtask bugs`, which takes longer.
pub(super) fn explore(root: &Path) -> Outcome {
    cargo::xtask(root, &["model", "--", "--states", STATES])
}

/// Of each configuration.
const STATES: &str = "1000000";

/// Whoever changes a rule brings the patches that break it along.
pub(super) fn bugs(root: &Path) -> Outcome {
    let count = bugs::check(root)?;
    Ok(Some(format!("{count} patches")))
}
