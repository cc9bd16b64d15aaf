//! An executor of one's own: as many handlers at once as there are places, on the application's runtime.
//!
//! `cargo run --example custom_executor --features testing`; `cargo test` in place of `cargo run` holds it to what every executor
//! promises. (`ThreadPoolExecutor` needs a thread for each place; this one does not.)

#![expect(clippy::print_stdout, reason = "it tells what happens")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use asyncz::{Args, AsynczConfig, Executor, Job, Provide, RunFilter, Task, TaskContext};
use tokio::runtime::Handle;

/// Runs at most so many handlers at once; the others wait in the order in which they came.
#[derive(Clone, Debug)]
struct Places(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    free: usize,
    waiting: VecDeque<Job>,
    runtime: Option<Handle>,
}

/// A job's place: dropped, it is free for the next. So none is lost, however a job ends.
struct Place(Places);

impl Places {
    fn new(places: usize) -> Self {
        Self(Arc::new(Mutex::new(Inner { free: places, waiting: VecDeque::new(), runtime: None })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs what waits, as far as there are places.
    fn run_next(&self) {
        loop {
            let (job, runtime) = {
                let mut inner = self.inner();
                let Some(runtime) = inner.runtime.clone() else { return };
                if inner.free == 0 {
                    return;
                }
                let Some(job) = inner.waiting.pop_front() else { return };
                inner.free -= 1;
                (job, runtime)
            };
            let place = Place(self.clone());
            if job.is_blocking() {
                // Never a thread of the runtime: the handler may hold it for long.
                std::thread::spawn(move || {
                    let (_place, _entered) = (place, runtime.enter());
                    job.run_blocking();
                });
            } else {
                runtime.spawn(async move {
                    let _place = place;
                    job.run().await;
                });
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.inner().free += 1;
        self.0.run_next();
    }
}

impl Executor for Places {
    fn start(&self, runtime: &Handle) {
        self.inner().runtime = Some(runtime.clone());
    }

    /// Returns at once: the scheduler waits for nobody.
    fn submit(&self, jobs: Vec<Job>) {
        self.inner().waiting.extend(jobs);
        self.run_next();
    }

    /// What waits is let go. A job that is dropped tells its scheduler so.
    fn shutdown(&self) {
        let waiting = std::mem::take(&mut self.inner().waiting);
        drop(waiting);
    }

    fn queued(&self) -> usize {
        self.inner().waiting.len()
    }
}

async fn download(Args(page): Args<u32>, Provide(places): Provide<Places>, ctx: TaskContext) {
    println!("page {page} begins, {} wait", places.queued());
    ctx.sleep(Duration::from_millis(200)).await;
    println!("page {page} ends");
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let places = Places::new(2);
    let config = AsynczConfig::new().executor("polite", places.clone()).provide(places);
    let scheduler = config.scheduler();
    scheduler.start().await?;
    for page in 1..=5 {
        let task = Task::from_fn("download", download).id(format!("page-{page}")).executor("polite");
        scheduler.add_task(task.args(page)?).await?;
    }
    // Waits for what runs, and for what waits for a place.
    scheduler.stop().await?;
    println!("{} pages", scheduler.runs(RunFilter::new()).await?.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Places;

    asyncz::testing::executor_conformance!(two_places, at_most(2), Places::new(2));
    asyncz::testing::executor_conformance!(one_place, at_most(1), Places::new(1));
}
