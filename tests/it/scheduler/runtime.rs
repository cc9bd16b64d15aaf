//! On which runtime handlers run.

use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};

use asyncz::{AsynczConfig, Provide, RunFilter, RunStatus, Task};

use super::{Notes, seconds};

/// Blocks its worker until the test lets it go on.
async fn blocks(Provide(gate): Provide<Arc<Mutex<mpsc::Receiver<()>>>>) {
    gate.lock().unwrap().recv().unwrap_or_default();
}

async fn tell_thread(Provide(notes): Provide<Notes>) {
    notes.add(std::thread::current().name().unwrap_or("none"));
}

#[tokio::test]
async fn a_handler_that_blocks_an_isolated_worker_does_not_hold_back_the_application() {
    let (open, gate) = mpsc::channel();
    let config = AsynczConfig::new().without_registry().isolated_runtime();
    let scheduler = config.provide(Arc::new(Mutex::new(gate))).scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(Task::from_fn("blocks", blocks)).await.unwrap();
    while scheduler.runs(RunFilter::new().status(RunStatus::Running)).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }

    // This runtime has one thread, so that only the application's going on brings us here.
    open.send(()).unwrap();
    scheduler.stop().await.unwrap();

    assert_eq!(scheduler.runs(RunFilter::new()).await.unwrap()[0].status, RunStatus::Succeeded);
}

#[test]
fn an_isolated_scheduler_needs_no_runtime_and_starts_again() {
    let notes = Notes::default();
    let config = AsynczConfig::new().without_registry().isolated_runtime().provide(notes.clone());
    let scheduler = config.scheduler();
    for _ in 0..2 {
        wait_for(scheduler.start()).unwrap();
        let task = Task::from_fn("tell_thread", tell_thread).id("t").every(seconds(3600));
        let task = wait_for(scheduler.add_task(task.replace_existing(true))).unwrap();
        wait_for(task.run()).unwrap();
        wait_for(scheduler.stop()).unwrap();
    }
    assert_eq!(notes.all(), ["asyncz-worker", "asyncz-worker"]);
}

#[tokio::test]
async fn a_given_runtime_runs_handlers() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let given = builder.worker_threads(1).thread_name("given").enable_all().build().unwrap();
    let notes = Notes::default();
    let config = AsynczConfig::new().without_registry().runtime(given.handle().clone());
    let scheduler = config.provide(notes.clone()).scheduler();
    scheduler.start().await.unwrap();
    let task = Task::from_fn("tell_thread", tell_thread).every(seconds(3600));
    scheduler.add_task(task).await.unwrap().run().await.unwrap();
    scheduler.stop().await.unwrap();

    assert_eq!(notes.all(), ["given"]);
    given.shutdown_background();
}

/// Polls a future until it is ready, without any runtime.
fn wait_for<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return result;
        }
        std::thread::yield_now();
    }
}
