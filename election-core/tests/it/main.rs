//! The rules of the elector, held by tables, stories, a second implementation and random inputs.

mod back_off;
mod choice;
mod cluster;
mod controls;
mod explanations;
mod properties;
mod rules;
mod scenarios;
#[cfg(feature = "wire")]
mod wire;
