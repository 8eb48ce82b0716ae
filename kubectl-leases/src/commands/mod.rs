//! The commands, a file each: flags, which requests, and what is printed. What is said is found out elsewhere.

pub(crate) mod candidates;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod forget;
pub(crate) mod misc;
pub(crate) mod status;
pub(crate) mod steer;
pub(crate) mod steering;
pub(crate) mod timeline;
pub(crate) mod top;
pub(crate) mod watch;
