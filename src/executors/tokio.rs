//! The executor on the application's runtime.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::runtime::Handle;

use super::runtime::GivenRuntime;
use super::{Executor, Job, Threads};

/// Runs async handlers on the application's runtime, and each `fn` on a thread of our own: the default.
///
/// Nothing waits for a place: there are as many runs at once as are due.
#[derive(Debug)]
pub struct AsyncExecutor {
    runtime: GivenRuntime,
    waiting: Arc<Waiting>,
    threads: Threads,
}

/// Jobs that no runner has come to yet.
#[derive(Debug, Default)]
struct Waiting(Mutex<VecDeque<Job>>);

/// After so many jobs a runner lets others have its worker.
const STRETCH: usize = 32;

impl AsyncExecutor {
    /// An executor on the runtime in which the scheduler is started.
    pub fn new() -> Self {
        Self {
            runtime: GivenRuntime::default(),
            waiting: Arc::default(),
            threads: Threads::elastic("asyncz-blocking"),
        }
    }

    fn run_blocking(&self, job: Job, runtime: &Handle) {
        let runtime = runtime.clone();
        self.threads.run(Box::new(move || {
            // So that the handler can use tokio's handles, as in `spawn_blocking`.
            let _entered = runtime.enter();
            job.run_blocking();
        }));
    }
}

impl Default for AsyncExecutor {
    fn default() -> Self {
        Self::new()
    }
}

impl Executor for AsyncExecutor {
    fn start(&self, runtime: &Handle) {
        self.runtime.set(runtime);
    }

    fn submit(&self, jobs: Vec<Job>) {
        let Some((runtime, mut jobs)) = self.runtime.for_jobs(jobs) else { return };
        jobs.extract_if(.., |job| job.is_blocking()).for_each(|job| self.run_blocking(job, &runtime));

        // A task for each job would cost more than most handlers do. A runner for each worker pulls jobs from one queue
        // and spawns only those that wait for something. So one that blocks its worker holds back nobody: it has taken
        // only itself from the queue, and the other workers' runners go on.
        let runners = jobs.len().min(runtime.metrics().num_workers());
        self.waiting.jobs().extend(jobs);
        for _ in 0..runners {
            drop(runtime.spawn(Runner { waiting: self.waiting.clone(), is_done: false }.run()));
        }
    }

    fn shutdown(&self) {
        self.waiting.clear();
    }

    fn queued(&self) -> usize {
        self.waiting.jobs().len() + self.threads.waiting()
    }
}

impl Waiting {
    fn jobs(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Job> {
        self.jobs().pop_front()
    }

    /// Lets go of all jobs, which report that.
    fn clear(&self) {
        let waiting = std::mem::take(&mut *self.jobs());
        drop(waiting);
    }
}

/// Runs jobs until none waits.
struct Runner {
    waiting: Arc<Waiting>,
    is_done: bool,
}

impl Runner {
    async fn run(mut self) {
        while poll_fn(|context| Poll::Ready(self.run_some(context))).await {
            tokio::task::yield_now().await;
        }
        self.is_done = true;
    }

    /// Runs a stretch of jobs; answers whether there may be more.
    fn run_some(&self, context: &mut Context<'_>) -> bool {
        let mut now = None;
        for _ in 0..STRETCH {
            let Some(job) = self.waiting.next() else { return false };
            let start = now.unwrap_or_else(|| job.now());
            let (rest, end) = job.begin(start, context);
            if let Some(rest) = rest {
                drop(tokio::spawn(rest));
            }
            now = Some(end);
        }
        true
    }
}

impl Drop for Runner {
    /// A runner that goes while jobs wait goes with its runtime: no other will come for them.
    fn drop(&mut self) {
        if !self.is_done {
            self.waiting.clear();
        }
    }
}
