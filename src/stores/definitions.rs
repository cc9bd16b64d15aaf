//! Definitions that were read or written lately, so that no task is parsed each time it is due; and records that can't be read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;

use crate::task::TaskDefinition;

/// So many are remembered.
const MOST: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct Definitions {
    known: Mutex<FxHashMap<i64, Known>>,
    /// Records that can't be read, by their keys and edits, and told of already.
    unreadable: Mutex<HashMap<i64, i64>>,
}

#[derive(Debug)]
struct Known {
    edited: i64,
    definition: Arc<TaskDefinition>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing here panics half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Definitions {
    /// The definition of a task that was edited last then.
    pub(super) fn find(&self, key: i64, edited: i64) -> Option<Arc<TaskDefinition>> {
        let known = lock(&self.known);
        known.get(&key).filter(|known| known.edited == edited).map(|known| known.definition.clone())
    }

    pub(super) fn keep(&self, key: i64, edited: i64, definition: Arc<TaskDefinition>) {
        let mut known = lock(&self.known);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key, Known { edited, definition });
    }

    pub(super) fn forget(&self, key: i64) {
        lock(&self.known).remove(&key);
    }

    /// Sets a record aside; answers whether that is new.
    pub(super) fn set_aside(&self, key: i64, edited: i64) -> bool {
        lock(&self.unreadable).insert(key, edited) != Some(edited)
    }

    /// What is set aside: keys and edits.
    pub(super) fn unreadable(&self) -> Vec<(i64, i64)> {
        lock(&self.unreadable).iter().map(|(key, edited)| (*key, *edited)).collect()
    }
}
