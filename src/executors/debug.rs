//! The executor that runs in place.

use std::sync::{Mutex, PoisonError};

use tokio::runtime::Handle;

use super::{Executor, Job};

/// Runs each handler to its end on the scheduler's own thread, one after the other, before anything else is decided.
///
/// For debugging and for tests of order: a handler that blocks holds back the whole scheduler.
#[derive(Debug, Default)]
pub struct DebugExecutor {
    runtime: Mutex<Option<Handle>>,
}

impl DebugExecutor {
    /// An executor that runs in place.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Executor for DebugExecutor {
    fn start(&self, runtime: &Handle) {
        *self.runtime.lock().unwrap_or_else(PoisonError::into_inner) = Some(runtime.clone());
    }

    fn submit(&self, jobs: Vec<Job>) {
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // The scheduler's thread has a runtime of its own: handlers are to find the application's.
        let _entered = runtime.as_ref().map(Handle::enter);
        for job in jobs {
            pollster::block_on(job.run());
        }
    }

    fn shutdown(&self) {}
}
