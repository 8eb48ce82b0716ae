//! The elector against a whole API server in this process, under paused time.

mod elections;
mod once;
mod schedules;
mod weather;
mod world;
