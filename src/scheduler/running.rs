//! The schedulers that are running in this process, so that a handler of a request can be given the only one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Scheduler;
use super::shared::Shared;

static RUNNING: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

fn running() -> MutexGuard<'static, Vec<Weak<Shared>>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a scheduler among the running ones until this is dropped.
#[derive(Debug)]
pub(super) struct AmongTheRunning(Weak<Shared>);

impl AmongTheRunning {
    pub(super) fn enter(shared: &Arc<Shared>) -> Self {
        let entry = Arc::downgrade(shared);
        running().push(entry.clone());
        Self(entry)
    }
}

impl Drop for AmongTheRunning {
    fn drop(&mut self) {
        running().retain(|entry| !entry.ptr_eq(&self.0));
    }
}

impl Scheduler {
    /// The scheduler that is running in this process, where it is just one.
    pub(crate) fn only_running() -> Option<Self> {
        match running().as_slice() {
            [only] => only.upgrade().map(Self::of),
            _ => None,
        }
    }
}
