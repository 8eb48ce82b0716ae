//! `kubectl leases`: who leads, and why.
//!
//! A plugin sees one moment: [`cluster`] reads the Leases, [`survey`] asks the rules of `election-core` about them, and
//! [`table`], [`describe`] and [`output`] print what came out. No rule of the election is written down here a second time.
//!
//! It is a library so that tests can drive it; the program is `main.rs`.

pub mod choice;
pub mod cli;
pub mod cluster;
mod commands;
pub mod complete;
pub mod config;
pub mod connection;
pub mod describe;
pub mod doctor;
pub mod electors;
pub mod explain;
pub mod follow;
pub mod forecast;
pub mod happenings;
pub mod moment;
pub mod noted;
pub mod output;
mod steer;
pub mod survey;
pub mod svg;
pub mod table;
pub mod template;
pub mod timeline;
pub mod top;
pub mod view;
mod words;
