//! Definitions that were read or written lately, so that no task is parsed each time it is due; and records that can't be read.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::task::TaskDefinition;

/// So many are remembered.
const MOST: usize = 100_000;

/// By the keys `K` of tasks. `W` tells a record that can't be read from what it is when it was mended.
pub(super) struct Definitions<K, W, S> {
    known: Mutex<HashMap<K, Known, S>>,
    /// Records that can't be read, and were told of already.
    unreadable: Mutex<HashMap<K, W>>,
}

struct Known {
    edited: i64,
    definition: Arc<TaskDefinition>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing here panics half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K, W, S> fmt::Debug for Definitions<K, W, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (known, unreadable) = (lock(&self.known).len(), lock(&self.unreadable).len());
        f.debug_struct("Definitions").field("known", &known).field("unreadable", &unreadable).finish()
    }
}

impl<K, W, S: Default> Default for Definitions<K, W, S> {
    fn default() -> Self {
        Self { known: Mutex::default(), unreadable: Mutex::default() }
    }
}

impl<K: Clone + Eq + Hash, W: Clone + PartialEq, S: BuildHasher> Definitions<K, W, S> {
    /// The definition of a task that was edited last then.
    pub(super) fn find(&self, key: &K, edited: i64) -> Option<Arc<TaskDefinition>> {
        let known = lock(&self.known);
        known.get(key).filter(|known| known.edited == edited).map(|known| known.definition.clone())
    }

    pub(super) fn keep(&self, key: K, edited: i64, definition: Arc<TaskDefinition>) {
        let mut known = lock(&self.known);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key, Known { edited, definition });
    }

    pub(super) fn forget(&self, key: &K) {
        lock(&self.known).remove(key);
    }

    /// Sets a record aside; answers whether that is new.
    pub(super) fn set_aside(&self, key: K, which: W) -> bool {
        let mut unreadable = lock(&self.unreadable);
        let is_new = unreadable.get(&key) != Some(&which);
        unreadable.insert(key, which);
        is_new
    }

    /// What is set aside.
    pub(super) fn unreadable(&self) -> Vec<(K, W)> {
        lock(&self.unreadable).iter().map(|(key, which)| (key.clone(), which.clone())).collect()
    }
}
