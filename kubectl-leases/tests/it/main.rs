//! The plugin from outside: what it prints about Leases, how it follows them, and what it says when something is wrong.

mod errors;
mod fixtures;
mod follow;
mod print;
mod states;
