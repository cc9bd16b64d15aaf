//! Definitions that were read or written lately, so that no task is parsed each time it is due; and records that can't be read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mongodb::bson::{Document, doc};

use crate::task::{TaskDefinition, TaskId};

/// So many are remembered.
const MOST: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct Definitions {
    known: Mutex<HashMap<TaskId, Known>>,
    /// What tells each record that can't be read, and was told of already, from every other, by the task's id.
    unreadable: Mutex<HashMap<TaskId, Document>>,
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
    pub(super) fn find(&self, id: &str, edited: i64) -> Option<Arc<TaskDefinition>> {
        let known = lock(&self.known);
        known.get(id).filter(|known| known.edited == edited).map(|known| known.definition.clone())
    }

    pub(super) fn keep(&self, edited: i64, definition: Arc<TaskDefinition>) {
        let mut known = lock(&self.known);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(definition.id.clone(), Known { edited, definition });
    }

    pub(super) fn forget(&self, id: &TaskId) {
        lock(&self.known).remove(id);
    }

    /// Sets a record aside; answers whether that is new. `which`: what tells it from every other, also from what it is when it
    /// was mended.
    pub(super) fn set_aside(&self, id: TaskId, which: Document) -> bool {
        let mut unreadable = lock(&self.unreadable);
        let is_new = unreadable.get(&id) != Some(&which);
        unreadable.insert(id, which);
        is_new
    }

    /// A condition that leaves out what is set aside; empty where nothing is.
    pub(super) fn readable(&self) -> Document {
        let unreadable = lock(&self.unreadable);
        match unreadable.is_empty() {
            true => Document::new(),
            false => doc! { "$nor": unreadable.values().cloned().collect::<Vec<_>>() },
        }
    }
}
