//! Starts, shutdowns, and the order of ending.

use std::sync::mpsc;
use std::time::Duration;

use asyncz::testing::{Fault, FaultyStore, StoreCall, TestClock};
use asyncz::{
    AsynczConfig, DateTrigger, Error, Executor, Job, Lifespan, OrTrigger, Provide, RunFilter, RunRecord,
    RunStatus, Scheduler, SchedulerConfig, Shutdown, ShutdownTrigger, State, Task, TaskContext,
    ThreadPoolExecutor, Trigger,
};

use super::{Notes, at_noon, history, ninety_seconds, nothing, seconds, started};

async fn only_run(scheduler: &Scheduler) -> RunRecord {
    scheduler.runs(RunFilter::new()).await.unwrap().remove(0)
}

/// Runs until it is told to stop, and notes that it was.
async fn until_cancelled(ctx: TaskContext, Provide(notes): Provide<Notes>) {
    ctx.cancelled().await;
    notes.add("cancelled");
}

/// Never ends, whatever it is told.
async fn for_ever() {
    std::future::pending().await
}

/// A scheduler that runs a task, and what its handler notes.
async fn with_a_run(task: Task) -> (TestClock, Scheduler, Notes) {
    let (clock, config) = at_noon();
    let notes = Notes::default();
    let scheduler = config.provide(notes.clone()).scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(task.id("t")).await.unwrap();
    (clock, scheduler, notes)
}

/// Waits until the run has begun: the clock of tests does not wait for a handler that never ends.
async fn begun(scheduler: &Scheduler) {
    while scheduler.runs(RunFilter::new().status(RunStatus::Running)).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn only_the_outermost_start_and_shutdown_act() {
    let (_clock, config) = at_noon();
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    scheduler.start().await.unwrap();

    scheduler.shutdown(Shutdown::Wait).await.unwrap();
    assert_eq!(scheduler.state(), State::Running);
    scheduler.shutdown(Shutdown::Wait).await.unwrap();
    assert_eq!(scheduler.state(), State::Stopped);
}

#[tokio::test]
async fn a_shutdown_without_a_start_is_ok() {
    let (_clock, config) = at_noon();
    config.shutdown().await.unwrap();
    config.scheduler().shutdown(Shutdown::Now).await.unwrap();
}

#[tokio::test]
async fn a_scheduler_starts_again_with_its_tasks() {
    let (clock, scheduler) = started().await;
    scheduler.add_task(Task::from_fn("nothing", nothing).id("t").every(seconds(10))).await.unwrap();
    clock.advance(seconds(10)).await;
    scheduler.stop().await.unwrap();
    clock.advance(seconds(25)).await;
    scheduler.start().await.unwrap();
    clock.advance(seconds(10)).await;
    scheduler.stop().await.unwrap();

    use RunStatus::{Coalesced, Succeeded};
    let expected = [(Succeeded, 10), (Coalesced, 20), (Succeeded, 30), (Succeeded, 40)];
    assert_eq!(history(&scheduler, "t").await, expected);
}

#[tokio::test]
async fn a_start_that_failed_can_be_tried_again() {
    let (clock, config) = at_noon();
    let scheduler = config.scheduler();
    let waiting = Task::from_fn("nothing", nothing).id("t").every(seconds(10));
    scheduler.add_task(waiting).await.unwrap();
    let wrong =
        scheduler.add_task(Task::from_fn("nothing", nothing).id("wrong").store("mongo")).await.unwrap();

    assert!(matches!(scheduler.start().await, Err(Error::Start { .. })));
    assert_eq!(scheduler.state(), State::Stopped);
    wrong.delete().await.unwrap();
    scheduler.start().await.unwrap();
    clock.advance(seconds(10)).await;

    assert_eq!(history(&scheduler, "t").await.len(), 1);
    scheduler.stop().await.unwrap();
}

#[tokio::test]
async fn a_start_that_is_dropped_leaves_nothing_behind() {
    /// Starts when it is let.
    #[derive(Debug)]
    struct Gated(std::sync::Mutex<mpsc::Receiver<()>>);
    impl Executor for Gated {
        fn start(&self, _runtime: &tokio::runtime::Handle) {
            self.0.lock().unwrap().recv().unwrap_or_default();
        }
        fn submit(&self, jobs: Vec<Job>) {
            jobs.into_iter().for_each(|job| job.refuse("no run is due here"));
        }
        fn shutdown(&self) {}
    }
    let (open, opened) = mpsc::channel();
    let (_clock, config) = at_noon();
    let scheduler = config.executor("gated", Gated(std::sync::Mutex::new(opened))).scheduler();
    {
        let start = std::pin::pin!(scheduler.start());
        assert!(start.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending());
    }
    open.send(()).unwrap();
    drop(open);

    // It waits until what was begun has ended.
    scheduler.start().await.unwrap();
    assert_eq!(scheduler.state(), State::Running);
    scheduler.shutdown(Shutdown::Wait).await.unwrap();
    assert_eq!(scheduler.state(), State::Stopped);
}

#[tokio::test]
async fn a_paused_start_runs_nothing_until_it_is_resumed() {
    let (clock, config) = at_noon();
    let scheduler = config.start_paused(true).scheduler();
    scheduler.start().await.unwrap();
    assert_eq!((scheduler.state(), scheduler.running()), (State::Paused, true));
    scheduler.add_task(Task::from_fn("nothing", nothing).id("t").every(seconds(10))).await.unwrap();
    clock.advance(seconds(15)).await;
    assert_eq!(history(&scheduler, "t").await, []);

    scheduler.resume().await.unwrap();
    clock.settle().await;
    assert_eq!(history(&scheduler, "t").await.len(), 1);
}

#[tokio::test]
async fn a_stopped_scheduler_is_neither_paused_nor_run() {
    let (_clock, config) = at_noon();
    let scheduler = config.scheduler();
    assert!(matches!(scheduler.pause().await, Err(Error::NotRunning)));
    assert!(matches!(scheduler.resume().await, Err(Error::NotRunning)));
    assert!(matches!(scheduler.run_task("t").await, Err(Error::NotRunning)));
}

#[tokio::test]
async fn a_shutdown_that_waits_lets_runs_end() {
    let (clock, scheduler, _) = with_a_run(Task::from_fn("slow", ninety_seconds)).await;
    clock.settle().await;
    let shutdown = tokio::spawn({
        let scheduler = scheduler.clone();
        async move { scheduler.shutdown(Shutdown::Wait).await }
    });
    clock.advance(seconds(90)).await;

    shutdown.await.unwrap().unwrap();
    assert_eq!(only_run(&scheduler).await.status, RunStatus::Succeeded);
}

#[tokio::test]
async fn a_shutdown_with_a_limit_tells_runs_to_stop_when_it_has_passed() {
    let (_clock, scheduler, notes) = with_a_run(Task::from_fn("until_cancelled", until_cancelled)).await;
    begun(&scheduler).await;

    scheduler.shutdown(Shutdown::Within(Duration::from_millis(10))).await.unwrap();

    assert_eq!(notes.all(), ["cancelled"]);
    assert_eq!(only_run(&scheduler).await.status, RunStatus::Succeeded);
}

#[tokio::test]
async fn a_run_that_goes_on_is_aborted_two_seconds_after_it_was_told_to_stop() {
    let (_clock, scheduler, _) = with_a_run(Task::from_fn("for_ever", for_ever)).await;
    begun(&scheduler).await;

    scheduler.shutdown(Shutdown::Now).await.unwrap();

    let run = only_run(&scheduler).await;
    assert_eq!(run.status, RunStatus::Cancelled);
    assert_eq!(run.error.unwrap(), "aborted: it went on after it was told to stop");
}

#[tokio::test]
async fn a_harder_shutdown_shortens_one_that_waits() {
    let (_clock, scheduler, notes) = with_a_run(Task::from_fn("until_cancelled", until_cancelled)).await;
    begun(&scheduler).await;
    let waits = tokio::spawn({
        let scheduler = scheduler.clone();
        async move { scheduler.shutdown(Shutdown::Wait).await }
    });
    while scheduler.shutdown(Shutdown::Now).await.is_ok() && notes.all().is_empty() {
        tokio::task::yield_now().await;
    }

    waits.await.unwrap().unwrap();
    assert_eq!(notes.all(), ["cancelled"]);
}

#[tokio::test]
async fn a_stuck_thread_is_recorded_as_lost_and_does_not_hold_the_shutdown() {
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let stuck = move || released.lock().unwrap().recv().unwrap_or_default();
    let (_clock, scheduler, _) = with_a_run(Task::from_fn("stuck", stuck)).await;
    begun(&scheduler).await;

    scheduler.shutdown(Shutdown::Now).await.unwrap();

    let run = only_run(&scheduler).await;
    assert_eq!((run.status, scheduler.state()), (RunStatus::Lost, State::Stopped));
    assert_eq!(run.started_at, Some(run.scheduled_at()));
    drop(release);
}

#[tokio::test]
async fn what_waits_for_a_place_at_the_deadline_is_cancelled_and_never_starts() {
    async fn waits(Provide(notes): Provide<Notes>) {
        notes.add("started");
    }
    let (_clock, config) = at_noon();
    let notes = Notes::default();
    let scheduler = config.provide(notes.clone()).executor("narrow", ThreadPoolExecutor::new(1)).scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(Task::from_fn("holds", until_cancelled).id("holds").executor("narrow")).await.unwrap();
    begun(&scheduler).await;
    scheduler.add_task(Task::from_fn("waits", waits).id("waits").executor("narrow")).await.unwrap();
    while scheduler.runs(RunFilter::new().status(RunStatus::Claimed)).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }

    scheduler.shutdown(Shutdown::Now).await.unwrap();

    let run = scheduler.runs(RunFilter::new().task("waits")).await.unwrap().remove(0);
    assert_eq!((run.status, run.started_at), (RunStatus::Cancelled, None));
    assert_eq!(run.error.as_deref(), Some("the scheduler stopped before it started"));
    assert_eq!(notes.all(), ["cancelled"]);
}

#[tokio::test]
async fn nothing_is_claimed_after_the_shutdown_has_begun() {
    let (clock, scheduler, _) = with_a_run(Task::from_fn("slow", ninety_seconds)).await;
    scheduler.add_task(Task::from_fn("nothing", nothing).id("other").every(seconds(10))).await.unwrap();
    clock.advance(seconds(10)).await;
    let shutdown = tokio::spawn({
        let scheduler = scheduler.clone();
        async move { scheduler.shutdown(Shutdown::Wait).await }
    });
    // The shutdown has begun when the driver has heard of it: from then on `pause` has nothing to wait for.
    scheduler.pause().await.unwrap();
    clock.advance(seconds(80)).await;

    shutdown.await.unwrap().unwrap();
    assert_eq!(history(&scheduler, "other").await, [(RunStatus::Succeeded, 10)]);
}

#[tokio::test]
async fn a_claim_that_is_answered_after_the_shutdown_has_begun_does_not_hold_it() {
    let (clock, config) = at_noon();
    let slow = FaultyStore::in_memory();
    let scheduler = config.store("slow", slow.clone()).scheduler();
    scheduler.start().await.unwrap();
    // Jitter would hold the run back, and nobody would let it go any more.
    let task = Task::from_fn("nothing", nothing).id("t").store("slow").every(seconds(10));
    scheduler.add_task(task.jitter(seconds(3600))).await.unwrap();
    slow.inject(Fault::hold().on(StoreCall::Claim));
    let advance = tokio::spawn(async move { clock.advance(seconds(10)).await });
    while slow.calls(StoreCall::Claim) == 0 {
        tokio::task::yield_now().await;
    }

    let shutdown = tokio::spawn({
        let scheduler = scheduler.clone();
        async move { scheduler.shutdown(Shutdown::Wait).await }
    });
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    slow.heal();

    shutdown.await.unwrap().unwrap();
    assert!(only_run(&scheduler).await.status.is_final());
    advance.await.unwrap();
}

#[tokio::test]
async fn tasks_of_the_shutdown_run_when_the_scheduler_stops() {
    async fn note(Provide(notes): Provide<Notes>) {
        notes.add("closing");
    }
    let task = Task::from_fn("note", note).trigger(ShutdownTrigger);
    let (clock, scheduler, notes) = with_a_run(task).await;
    clock.advance(seconds(3600)).await;
    assert_eq!(notes.all(), Vec::<String>::new());

    scheduler.stop().await.unwrap();

    assert_eq!(notes.all(), ["closing"]);
    assert_eq!(only_run(&scheduler).await.status, RunStatus::Succeeded);
}

#[tokio::test]
async fn a_lifespan_is_a_start_and_a_shutdown() {
    let (clock, config) = at_noon();
    let scheduler = config.scheduler();
    let lifespan = Lifespan::start(config).await.unwrap();
    scheduler.add_task(Task::from_fn("nothing", nothing).id("t").every(seconds(10))).await.unwrap();
    clock.advance(seconds(10)).await;
    lifespan.shutdown().await.unwrap();

    assert_eq!(history(&scheduler, "t").await.len(), 1);
    assert_eq!(scheduler.state(), State::Stopped);
}

#[tokio::test]
async fn a_nested_lifespan_leaves_the_outer_one_running() {
    let (clock, config) = at_noon();
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    let inner = Lifespan::start(config).await.unwrap();
    inner.shutdown().await.unwrap();

    scheduler.add_task(Task::from_fn("nothing", nothing).id("t").every(seconds(10))).await.unwrap();
    clock.advance(seconds(10)).await;
    assert_eq!(history(&scheduler, "t").await.len(), 1);
    scheduler.stop().await.unwrap();
}

#[test]
fn a_start_without_a_runtime_says_so() {
    let config = AsynczConfig::new().without_registry();
    let mut start = std::pin::pin!(config.start());
    let polled = start.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    assert!(matches!(polled, std::task::Poll::Ready(Err(Error::NoRuntime))));
}

#[tokio::test]
async fn fewer_tasks_than_expected_are_told() {
    let (_clock, config) = at_noon();
    let error = config.expect_tasks(3).start().await.unwrap_err().to_string();
    assert!(error.contains("expect_tasks(3): 0 found"), "{error}");
    assert!(error.contains("use its_name as _;"), "{error}");
}

#[tokio::test]
async fn a_task_of_the_shutdown_that_has_instants_too_stays_when_they_are_over() {
    let (clock, scheduler) = started().await;
    let at: chrono::DateTime<chrono::Utc> = "2026-11-23T12:00:10Z".parse().unwrap();
    let triggers: [Box<dyn Trigger>; 2] = [DateTrigger::at(at).into(), ShutdownTrigger.into()];
    let or = OrTrigger::new(triggers).unwrap();
    scheduler.add_task(Task::from_fn("nothing", nothing).id("or").trigger(or)).await.unwrap();
    let first = Task::from_fn("nothing", nothing).id("first").trigger(ShutdownTrigger);
    scheduler.add_task(first.next_run_time(at)).await.unwrap();
    clock.advance(seconds(30)).await;

    scheduler.shutdown(Shutdown::Wait).await.unwrap();

    for id in ["or", "first"] {
        assert_eq!(
            history(&scheduler, id).await,
            [(RunStatus::Succeeded, 10), (RunStatus::Succeeded, 30)],
            "{id}"
        );
    }
}

#[tokio::test]
async fn what_was_due_before_a_stop_is_run() {
    // On the system's clock: mail that comes just after other mail is handled a tick later.
    let scheduler = AsynczConfig::new().without_registry().scheduler();
    scheduler.start().await.unwrap();
    for n in 0..20 {
        scheduler.add_task(Task::from_fn("nothing", nothing).id(format!("{n}"))).await.unwrap();
    }
    scheduler.stop().await.unwrap();
    let runs = scheduler.runs(RunFilter::new()).await.unwrap();
    assert_eq!(runs.len(), 20);
    assert!(runs.iter().all(|run| run.status == RunStatus::Succeeded));
}
