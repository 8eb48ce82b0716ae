//! The HTTP surface: from a request to an answer.

mod accept;
mod answer;
mod apply;
mod definitions;
mod delete;
mod discovery;
mod incoming;
mod object;
mod open_api;
mod patch;
mod protobuf;
mod query;
mod read;
mod render;
mod resource;
mod review;
mod scale;
mod selector;
mod service;
mod strategic;
mod strict_json;
mod target;
mod watch;
mod write;

pub use answer::ApiBody;
pub(crate) use delete::{DeleteOptions, remove};
pub(crate) use query::{Query, percent_decode};
pub(crate) use service::Access;
pub use service::ApiService;
pub(crate) use target::Resource;
pub(crate) use write::{Intent, replace};
