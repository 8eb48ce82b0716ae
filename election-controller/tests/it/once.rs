//! One look, as `--once` does it.
