//! The sample controller: each Foo gets a Deployment, and only the leader of the election works.
//!
//! It shows how a kube-rs controller joins a coordinated election: [`cli::run`] stands for the lease, [`work::term`] runs
//! a controller with the fenced client of one term, and [`reconcile`] says what is to be done for one Foo. It is a
//! library so that tests can drive it; the program is `main.rs`.
//!
//! Nothing of the election itself is in here: that is the crate `candidate`.

#![expect(clippy::disallowed_names, reason = "the resource of the sample is called Foo")]

pub mod cli;
pub mod flags;
pub mod foo;
pub mod reconcile;
pub mod work;
