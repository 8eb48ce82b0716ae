//! What is known of one object, ordered by revision: older news are dropped, wherever they come from.

use super::message::Seen;

/// The newest that is known of one object.
#[derive(Clone, Debug, Hash)]
pub(super) struct Knowledge<T> {
    newest: Option<Seen<T>>,
}

impl<T> Default for Knowledge<T> {
    fn default() -> Self {
        Self { newest: None }
    }
}

impl<T> Knowledge<T> {
    /// Takes news in; `false` when they are not newer than what is known.
    pub(super) fn learn(&mut self, seen: Seen<T>) -> bool {
        let newer = self
            .newest
            .as_ref()
            .is_none_or(|newest| seen.as_of > newest.as_of);
        if newer {
            self.newest = Some(seen);
        }
        newer
    }

    /// Whether anything is known at all.
    pub(super) fn known(&self) -> bool {
        self.newest.is_some()
    }

    /// The object, if it is known to exist.
    pub(super) fn object(&self) -> Option<&T> {
        self.newest.as_ref()?.object.as_ref()
    }
}
