//! The executor that runs in place.

use std::sync::{Mutex, PoisonError};

use tokio::runtime::Handle;

use super::{Executor, Job};

/// Runs each handler to its end while the scheduler waits, one after the other, before anything else is decided.
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
        let Some(runtime) = runtime else { return };
        // Not on the scheduler's thread itself: its runtime stands still meanwhile, and a handler is to find the
        // application's.
        let in_order = || jobs.into_iter().for_each(|job| runtime.block_on(job.run()));
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("asyncz-debug".to_owned());
            if let Err(error) = thread.spawn_scoped(scope, in_order) {
                tracing::error!(target: "asyncz.executors", %error, "no thread to be had");
            }
        });
    }

    fn shutdown(&self) {}

    fn workers(&self) -> Option<usize> {
        Some(1)
    }
}
