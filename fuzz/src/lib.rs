//! Nothing is in here: the targets are tests, in `tests/it`.
//!
//! `cargo test -p fuzz` gives each of them a second of random inputs; `cargo xtask fuzz` lets libFuzzer look for inputs
//! that reach new code.

// What is instrumented has to be linked with the engine, the test of nothing included.
#[cfg(test)]
use bolero as _;
