//! The sample controller from outside: its manifests, its work against an API server, and its process.

#![expect(clippy::disallowed_names, reason = "the resource of the sample is called Foo")]
#![expect(clippy::unwrap_used, reason = "what fails in a test is meant to")]

mod manifests;
mod process;
mod work;
