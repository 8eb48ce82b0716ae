//! What the server has noted about who wrote what, and when: `metadata.managedFields`.
//!
//! These times are the server's own, so they tell whether the clock of a holder is right. They are of whole seconds, and
//! two writers that call themselves the same share one.

use election_core::{Wall, wire};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// What the server has noted about a Lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Noted {
    /// The last write, whoever made it.
    pub(crate) written: Option<Wall>,
    /// The last write of whoever has set the renew time.
    pub(crate) renewed: Option<Wall>,
    /// When the hold that stands was asked for, or a little later if whoever asked has written something else as well.
    pub(crate) hold: Option<Wall>,
    /// The same for the end of the term.
    pub(crate) end_of_term: Option<Wall>,
}

impl Noted {
    pub(crate) fn of(lease: &Lease) -> Self {
        let entries = || lease.metadata.managed_fields.iter().flatten();
        let times_of = |field: String| {
            let writing = entries().filter(move |entry| {
                let fields = entry.fields_v1.as_ref();
                fields.is_some_and(|fields| fields.0.pointer(&field).is_some())
            });
            writing.filter_map(|entry| entry.time.as_ref()).map(wall)
        };
        Self {
            written: entries().filter_map(|entry| entry.time.as_ref()).map(wall).max(),
            renewed: times_of("/f:spec/f:renewTime".to_owned()).max(),
            // Who has written the same later owns it as well, and has changed nothing.
            hold: times_of(annotation(wire::HOLD)).min(),
            end_of_term: times_of(annotation(wire::END_OF_TERM)).min(),
        }
    }
}

/// Where an annotation stands among the fields; `~1` is a slash within a name.
fn annotation(key: &str) -> String {
    format!("/f:metadata/f:annotations/f:{}", key.replace('/', "~1"))
}

fn wall(time: &Time) -> Wall {
    Wall::from_micros(time.0.as_microsecond())
}
