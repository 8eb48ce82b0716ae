//! The sample controller from outside: its manifests, its work against an API server, and its process.

mod manifests;
mod process;
mod work;
