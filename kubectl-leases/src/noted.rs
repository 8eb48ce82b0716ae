//! What the server has noted about who wrote what, and when: `metadata.managedFields`.
//!
//! These times are the server's own, so they tell whether the clock of a holder is right. They are of whole seconds, and
//! two writers that call themselves the same share one.

use election_core::Wall;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// What the server has noted about a Lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Noted {
    /// The last write, whoever made it.
    pub(crate) written: Option<Wall>,
    /// The last write of whoever has set the renew time.
    pub(crate) renewed: Option<Wall>,
}

impl Noted {
    pub(crate) fn of(lease: &Lease) -> Self {
        let entries = || lease.metadata.managed_fields.iter().flatten();
        let renewing = entries().filter(|entry| {
            let fields = entry.fields_v1.as_ref();
            fields.is_some_and(|fields| fields.0.pointer("/f:spec/f:renewTime").is_some())
        });
        Self {
            written: entries().filter_map(|entry| entry.time.as_ref()).map(wall).max(),
            renewed: renewing.filter_map(|entry| entry.time.as_ref()).map(wall).max(),
        }
    }
}

fn wall(time: &Time) -> Wall {
    Wall::from_micros(time.0.as_microsecond())
}
