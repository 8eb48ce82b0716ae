//! Tests of the candidate's state machine against a server of one leader lease, whose answers and news a test delivers as
//! it likes. Each rule of the protocol has a test, named after the behaviour; [`rig::Rig`] checks the write table and the
//! invariants at each step of all of them.

mod accepting;
mod deleted;
mod direct;
mod handover;
mod leaving;
mod presence;
mod random;
mod renewing;
mod requests;
mod rig;
mod rows;
mod server;
mod shell;
mod stopping;
