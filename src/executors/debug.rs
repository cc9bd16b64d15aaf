//! The executor that runs in place.

use tokio::runtime::Handle;

use super::runtime::GivenRuntime;
use super::{Executor, Job};

/// Runs each handler to its end while the scheduler waits, one after the other, before anything else is decided.
///
/// For debugging and for tests of order: a handler that blocks holds back the whole scheduler.
#[derive(Debug, Default)]
pub struct DebugExecutor {
    runtime: GivenRuntime,
}

impl DebugExecutor {
    /// An executor that runs in place.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Executor for DebugExecutor {
    fn start(&self, runtime: &Handle) {
        self.runtime.set(runtime);
    }

    fn submit(&self, jobs: Vec<Job>) {
        let Some((runtime, jobs)) = self.runtime.for_jobs(jobs) else { return };
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
