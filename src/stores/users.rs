//! How many schedulers of the process have a store open.

use std::sync::atomic::{AtomicUsize, Ordering};

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Users(AtomicUsize);

impl Users {
    /// Counts one that starts the store.
    pub(super) fn enter(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts one no longer; answers whether it was the last.
    pub(super) fn leave(&self) -> bool {
        let left =
            self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |users| Some(users.saturating_sub(1)));
        left.is_ok_and(|users| users <= 1)
    }
}
