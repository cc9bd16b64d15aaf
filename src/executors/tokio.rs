//! The executor on the application's runtime.

use std::sync::{Mutex, PoisonError};

use tokio::runtime::Handle;

use super::{Executor, Job, Threads};

/// Runs each async handler as a task of the application's runtime, and each `fn` on a thread of our own: the default.
///
/// Nothing waits: there are as many runs at once as are due.
#[derive(Debug)]
pub struct AsyncExecutor {
    runtime: Mutex<Option<Handle>>,
    threads: Threads,
}

impl AsyncExecutor {
    /// An executor on the runtime in which the scheduler is started.
    pub fn new() -> Self {
        Self { runtime: Mutex::new(None), threads: Threads::elastic("asyncz-blocking") }
    }
}

impl Default for AsyncExecutor {
    fn default() -> Self {
        Self::new()
    }
}

impl Executor for AsyncExecutor {
    fn start(&self, runtime: &Handle) {
        *self.runtime.lock().unwrap_or_else(PoisonError::into_inner) = Some(runtime.clone());
    }

    fn submit(&self, jobs: Vec<Job>) {
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for job in jobs {
            match &runtime {
                _ if job.is_blocking() => {
                    let runtime = runtime.clone();
                    self.threads.run(Box::new(move || {
                        // So that the handler can use tokio's handles, as in `spawn_blocking`.
                        let _entered = runtime.as_ref().map(Handle::enter);
                        job.run_blocking();
                    }));
                }
                Some(runtime) => drop(runtime.spawn(job.run())),
                None => job.refuse("its executor is not started"),
            }
        }
    }

    fn shutdown(&self) {}

    fn queued(&self) -> usize {
        self.threads.waiting()
    }
}
