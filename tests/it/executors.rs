//! What runs the runs: order, bounds, and that one run harms no other.

mod broken;
mod conformance;

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use asyncz::{
    AsynczConfig, DebugExecutor, Provide, RunFilter, RunStatus, Scheduler, Shutdown, Task, TaskContext,
    ThreadPoolExecutor,
};

use crate::scheduler::{Notes, at_noon, nothing, seconds};

/// A gate that handlers wait at, holding their thread.
#[derive(Clone)]
struct Gate(Arc<Mutex<mpsc::Receiver<()>>>);

impl Gate {
    fn closed() -> (mpsc::Sender<()>, Self) {
        let (open, opened) = mpsc::channel();
        (open, Self(Arc::new(Mutex::new(opened))))
    }

    fn wait(&self) {
        // Returns when the sender is dropped.
        let _ = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv();
    }
}

/// A scheduler on the system's clock with a task `other` that says when it has run.
async fn with_another_task(
    provide: impl Clone + Send + Sync + 'static,
) -> (Scheduler, tokio::sync::mpsc::Receiver<()>) {
    let (ran, has_run) = tokio::sync::mpsc::channel(1);
    let other = move || {
        let ran = ran.clone();
        async move { ran.send(()).await.unwrap_or_default() }
    };
    let task = Task::from_fn("other", other).id("other").every(Duration::from_millis(20));
    let scheduler = AsynczConfig::new().without_registry().provide(provide).task(task).scheduler();
    scheduler.start().await.unwrap();
    (scheduler, has_run)
}

/// The other task goes on running.
async fn goes_on(has_run: &mut tokio::sync::mpsc::Receiver<()>) {
    for _ in 0..5 {
        has_run.recv().await.expect("it runs");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_its_thread_delays_no_other_task() {
    async fn blocks(Provide(gate): Provide<Gate>) {
        gate.wait();
    }
    let (open, gate) = Gate::closed();
    let (scheduler, mut has_run) = with_another_task(gate).await;
    scheduler.add_task(Task::from_fn("blocks", blocks).id("blocks")).await.unwrap();
    goes_on(&mut has_run).await;
    assert_eq!(scheduler.runs(RunFilter::new().task("blocks")).await.unwrap()[0].status, RunStatus::Running);
    drop(open);
    drop(has_run);
    scheduler.stop().await.unwrap();
}

#[tokio::test]
async fn a_sync_handler_that_blocks_delays_no_other_task_even_on_one_worker() {
    fn blocks(Provide(gate): Provide<Gate>) {
        gate.wait();
    }
    let (open, gate) = Gate::closed();
    let (scheduler, mut has_run) = with_another_task(gate).await;
    scheduler.add_task(Task::from_fn("blocks", blocks).id("blocks")).await.unwrap();
    goes_on(&mut has_run).await;
    assert_eq!(scheduler.runs(RunFilter::new().task("blocks")).await.unwrap()[0].status, RunStatus::Running);
    drop(open);
    drop(has_run);
    scheduler.stop().await.unwrap();
}

#[tokio::test]
async fn a_handler_that_never_returns_delays_no_other_task() {
    async fn never() {
        std::future::pending().await
    }
    let (scheduler, mut has_run) = with_another_task(()).await;
    scheduler.add_task(Task::from_fn("never", never).id("never")).await.unwrap();
    goes_on(&mut has_run).await;
    drop(has_run);
    scheduler.shutdown(Shutdown::Now).await.unwrap();
    assert_eq!(scheduler.runs(RunFilter::new().task("never")).await.unwrap()[0].status, RunStatus::Cancelled);
}

#[tokio::test]
async fn a_handler_that_panics_delays_no_other_task() {
    async fn panics() {
        panic!("again");
    }
    let (scheduler, mut has_run) = with_another_task(()).await;
    let task = Task::from_fn("panics", panics).id("panics").every(Duration::from_millis(10));
    scheduler.add_task(task).await.unwrap();
    goes_on(&mut has_run).await;
    drop(has_run);
    scheduler.stop().await.unwrap();
    let failed = scheduler.runs(RunFilter::new().task("panics").status(RunStatus::Failed)).await.unwrap();
    assert!(failed.len() > 1, "{failed:?}");
}

#[tokio::test]
async fn a_run_that_ends_after_the_shutdown_began_is_recorded() {
    async fn ends_when_told(ctx: TaskContext) -> Result<&'static str, String> {
        ctx.cancelled().await;
        Ok("ended in order")
    }
    let (scheduler, mut has_run) = with_another_task(()).await;
    scheduler.add_task(Task::from_fn("ends", ends_when_told).id("ends")).await.unwrap();
    goes_on(&mut has_run).await;
    drop(has_run);
    scheduler.shutdown(Shutdown::Now).await.unwrap();
    let run = scheduler.runs(RunFilter::new().task("ends")).await.unwrap().remove(0);
    assert_eq!((run.status, run.value.unwrap()), (RunStatus::Succeeded, "ended in order".into()));
}

#[tokio::test]
async fn a_pool_runs_at_most_so_many_at_once() {
    #[derive(Clone, Default)]
    struct AtOnce(Arc<Mutex<(usize, usize)>>);
    fn work(Provide(at_once): Provide<AtOnce>, ctx: TaskContext, Provide(notes): Provide<Notes>) {
        notes.add(ctx.task_id().as_str());
        {
            let mut at_once = at_once.0.lock().unwrap();
            at_once.0 += 1;
            at_once.1 = at_once.1.max(at_once.0);
        }
        std::thread::yield_now();
        at_once.0.lock().unwrap().0 -= 1;
    }
    let (clock, config) = at_noon();
    let (at_once, notes) = (AtOnce::default(), Notes::default());
    let config =
        config.executor("pool", ThreadPoolExecutor::new(2)).provide(at_once.clone()).provide(notes.clone());
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    for n in 0..50 {
        let task = Task::from_fn("work", work).id(format!("{n:02}")).executor("pool").every(seconds(1));
        scheduler.add_task(task).await.unwrap();
    }
    clock.advance(seconds(1)).await;

    assert!(at_once.0.lock().unwrap().1 <= 2);
    assert_eq!(notes.all().len(), 50);
}

#[tokio::test]
async fn what_waits_for_a_place_in_a_pool_runs_in_order() {
    fn work(ctx: TaskContext, Provide(notes): Provide<Notes>) {
        notes.add(ctx.task_id().as_str());
    }
    let (clock, config) = at_noon();
    let notes = Notes::default();
    let scheduler = config.executor("pool", ThreadPoolExecutor::new(1)).provide(notes.clone()).scheduler();
    scheduler.start().await.unwrap();
    let ids: Vec<_> = (0..50).map(|n| format!("{n:02}")).collect();
    for id in &ids {
        let task = Task::from_fn("work", work).id(id.as_str()).executor("pool").every(seconds(1));
        scheduler.add_task(task).await.unwrap();
    }
    clock.advance(seconds(1)).await;

    assert_eq!(notes.all(), ids);
}

#[tokio::test]
async fn a_pool_drives_async_handlers_too() {
    async fn work(ctx: TaskContext) -> Result<String, String> {
        ctx.sleep(seconds(5)).await;
        Ok(std::thread::current().name().unwrap_or_default().to_owned())
    }
    let (clock, config) = at_noon();
    let scheduler = config.executor("pool", ThreadPoolExecutor::new(1)).scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(Task::from_fn("work", work).executor("pool")).await.unwrap();
    clock.advance(seconds(5)).await;

    let run = scheduler.runs(RunFilter::new()).await.unwrap().remove(0);
    assert_eq!(run.value.unwrap(), "asyncz-pool");
}

#[tokio::test]
async fn the_debug_executor_runs_in_place_and_in_order() {
    async fn work(Provide(notes): Provide<Notes>, ctx: TaskContext) {
        notes.add(format!("{} begins", ctx.task_id()));
        tokio::task::yield_now().await;
        notes.add(format!("{} ends on {}", ctx.task_id(), std::thread::current().name().unwrap_or_default()));
    }
    let (clock, config) = at_noon();
    let notes = Notes::default();
    let scheduler = config.executor("default", DebugExecutor::new()).provide(notes.clone()).scheduler();
    scheduler.start().await.unwrap();
    for id in ["a", "b"] {
        scheduler.add_task(Task::from_fn("work", work).id(id).every(seconds(1))).await.unwrap();
    }
    clock.advance(seconds(1)).await;

    let expected =
        ["a begins", "a ends on asyncz-debug", "b begins", "b ends on asyncz-debug"].map(str::to_owned);
    assert_eq!(notes.all(), expected);
}

#[tokio::test]
async fn a_run_whose_runtime_is_gone_is_recorded() {
    let (clock, config) = at_noon();
    let gone =
        std::thread::spawn(|| tokio::runtime::Runtime::new().unwrap().handle().clone()).join().unwrap();
    let scheduler = config.runtime(gone).scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(Task::from_fn("nothing", nothing)).await.unwrap();
    clock.settle().await;

    let run = scheduler.runs(RunFilter::new()).await.unwrap().remove(0);
    assert_eq!((run.status, run.error.as_deref()), (RunStatus::Cancelled, Some("dropped by its executor")));
}
