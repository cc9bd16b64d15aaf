//! The executor with a bounded number of threads.

use tokio::runtime::Handle;

use super::runtime::GivenRuntime;
use super::{Executor, Job, Threads};

/// Runs at most `max_workers` handlers at once, each on a thread of its own; for work that blocks or computes.
///
/// What finds no free thread waits, in order; 100,000 runs at most, those beyond fail with an error that says so. An
/// async handler is driven on its thread by the application's runtime.
#[derive(Debug)]
pub struct ThreadPoolExecutor {
    runtime: GivenRuntime,
    threads: Threads,
}

const LONGEST_QUEUE: usize = 100_000;

impl ThreadPoolExecutor {
    /// An executor of at most `max_workers` threads, at least one. They are started when there is work for them.
    pub fn new(max_workers: usize) -> Self {
        Self {
            runtime: GivenRuntime::default(),
            threads: Threads::at_most("asyncz-pool", max_workers.max(1)),
        }
    }
}

impl Executor for ThreadPoolExecutor {
    fn start(&self, runtime: &Handle) {
        self.runtime.set(runtime);
    }

    fn submit(&self, jobs: Vec<Job>) {
        let Some((runtime, jobs)) = self.runtime.for_jobs(jobs) else { return };
        for job in jobs {
            if self.threads.waiting() >= LONGEST_QUEUE {
                job.refuse(format!("its executor is full: {LONGEST_QUEUE} runs wait already"));
                continue;
            }
            let runtime = runtime.clone();
            self.threads.run(Box::new(move || runtime.block_on(job.run())));
        }
    }

    fn shutdown(&self) {
        self.threads.clear();
    }

    fn queued(&self) -> usize {
        self.threads.waiting()
    }

    fn workers(&self) -> Option<usize> {
        Some(self.threads.most())
    }
}
