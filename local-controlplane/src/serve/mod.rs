//! A control plane on a socket: TLS on loopback, a kubeconfig to reach it with, and the program around it.

mod identity;
mod kubeconfig;
mod server;
mod up;

pub use server::{ServeError, ServeOptions, Server};
pub use up::{UpError, UpOptions, up};
