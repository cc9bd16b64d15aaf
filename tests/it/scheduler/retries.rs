//! Runs that fail are tried again, and runs that take too long fail.

use std::time::Duration;

use asyncz::RunStatus::{Cancelled, Claimed, Failed, Succeeded};
use asyncz::{EventMask, Provide, RunFilter, RunStatus, Scheduler, Task, TaskContext};

use super::{Notes, after_noon, at_noon, history, seconds, started};

/// Succeeds in its third attempt.
async fn third_time_lucky(ctx: TaskContext, Provide(notes): Provide<Notes>) -> Result<(), String> {
    notes.add(format!(
        "{} at {} for {}",
        ctx.attempt(),
        after_noon(ctx.now()),
        after_noon(ctx.scheduled_at())
    ));
    if ctx.attempt() < 3 { Err(format!("attempt {} failed", ctx.attempt())) } else { Ok(()) }
}

async fn fail() -> Result<(), String> {
    Err("no luck".to_owned())
}

async fn an_hour(ctx: TaskContext) {
    ctx.sleep(seconds(3600)).await;
}

async fn statuses(scheduler: &Scheduler) -> Vec<(u32, RunStatus)> {
    let runs = scheduler.runs(RunFilter::new()).await.unwrap();
    runs.into_iter().rev().map(|run| (run.occurrence.attempt, run.status)).collect()
}

#[tokio::test]
async fn a_failed_run_is_tried_again_after_a_time_that_doubles() {
    let (clock, config) = at_noon();
    let notes = Notes::default();
    let scheduler = config.provide(notes.clone()).scheduler();
    scheduler.start().await.unwrap();
    let told = Notes::default();
    let noted = told.clone();
    let kinds =
        EventMask::TASK_RETRIED | EventMask::TASK_ERROR | EventMask::TASK_EXECUTED | EventMask::TASK_REMOVED;
    scheduler.add_listener(kinds, move |event| noted.add(format!("{:?} {:?}", event.kind, event.error)));
    let task = Task::from_fn("lucky", third_time_lucky).retries(5).retry_backoff(seconds(10));
    scheduler.add_task(task).await.unwrap();
    clock.advance(seconds(100)).await;

    assert_eq!(notes.all(), ["1 at 0 for 0", "2 at 10 for 0", "3 at 30 for 0"]);
    assert_eq!(statuses(&scheduler).await, [(1, Failed), (2, Failed), (3, Succeeded)]);
    let expected = [
        (EventMask::TASK_RETRIED, Some("attempt 1 failed")),
        (EventMask::TASK_RETRIED, Some("attempt 2 failed")),
        (EventMask::TASK_EXECUTED, None),
        (EventMask::TASK_REMOVED, None),
    ];
    assert_eq!(told.all(), expected.map(|(kind, error)| format!("{kind:?} {error:?}")));
}

#[tokio::test]
async fn the_last_retry_fails_for_good() {
    let (clock, scheduler) = started().await;
    scheduler.add_task(Task::from_fn("fail", fail).id("t").retries(2)).await.unwrap();
    clock.advance(seconds(100)).await;

    assert_eq!(statuses(&scheduler).await, [(1, Failed), (2, Failed), (3, Failed)]);
    assert!(scheduler.get_task("t").await.is_err(), "its only occurrence is over");
}

#[tokio::test]
async fn a_retry_waits_five_minutes_at_most() {
    let (clock, scheduler) = started().await;
    let task = Task::from_fn("fail", fail).id("t").retries(40).retry_backoff(seconds(200));
    scheduler.add_task(task).await.unwrap();
    clock.advance(seconds(200 + 300 * 3)).await;

    assert_eq!(statuses(&scheduler).await.iter().filter(|(_, status)| *status == Failed).count(), 5);
}

#[tokio::test]
async fn a_run_that_waits_for_its_retry_counts_as_running() {
    let (clock, scheduler) = started().await;
    let task = Task::from_fn("fail", fail).id("t").every(seconds(60)).retries(1).retry_backoff(seconds(90));
    scheduler.add_task(task).await.unwrap();
    clock.advance(seconds(120)).await;

    assert_eq!(scheduler.get_task("t").await.unwrap().running, 1);
    assert_eq!(history(&scheduler, "t").await, [(Failed, 60), (Claimed, 60), (RunStatus::Skipped, 120)]);
}

#[tokio::test]
async fn no_retry_runs_while_the_scheduler_is_paused() {
    let (clock, scheduler) = started().await;
    let failing = |id: &str| {
        Task::from_fn("fail", fail).id(id).every(seconds(60)).retries(1).retry_backoff(seconds(10))
    };
    scheduler.add_task(failing("paused")).await.unwrap();
    clock.advance(seconds(60)).await;
    scheduler.pause().await.unwrap();
    clock.advance(seconds(30)).await;
    assert_eq!(history(&scheduler, "paused").await, [(Failed, 60), (Claimed, 60)]);

    scheduler.resume().await.unwrap();
    clock.settle().await;
    assert_eq!(history(&scheduler, "paused").await, [(Failed, 60), (Failed, 60)]);
}

#[tokio::test]
async fn a_shutdown_waits_for_no_retry() {
    let (clock, scheduler) = started().await;
    scheduler
        .add_task(Task::from_fn("fail", fail).id("t").retries(1).retry_backoff(seconds(250)))
        .await
        .unwrap();
    clock.settle().await;

    scheduler.stop().await.unwrap();

    assert_eq!(statuses(&scheduler).await, [(1, Failed), (2, Cancelled)]);
}

#[tokio::test]
async fn a_run_that_takes_too_long_has_failed() {
    let (clock, scheduler) = started().await;
    let task =
        Task::from_fn("an_hour", an_hour).id("t").timeout(seconds(5)).retries(1).retry_backoff(seconds(10));
    scheduler.add_task(task).await.unwrap();
    clock.advance(seconds(60)).await;

    assert_eq!(statuses(&scheduler).await, [(1, Failed), (2, Failed)]);
    let run = scheduler.runs(RunFilter::new()).await.unwrap().remove(0);
    assert_eq!(run.error.as_deref(), Some("timed out: it took longer than 5s"));
    assert_eq!(run.finished_at.map(after_noon), Some(20));
}

#[tokio::test]
async fn a_sync_handler_is_told_that_its_time_is_over() {
    let until_told = |ctx: TaskContext| {
        while !ctx.is_cancelled() {
            std::thread::yield_now();
        }
    };
    // On the system's clock: that of tests stands still while a handler works.
    let scheduler = asyncz::AsynczConfig::new().without_registry().scheduler();
    scheduler.start().await.unwrap();
    let task = Task::from_fn("until_told", until_told).timeout(Duration::from_millis(5));
    scheduler.add_task(task).await.unwrap();
    while scheduler.runs(RunFilter::new().status(Failed)).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let run = scheduler.runs(RunFilter::new()).await.unwrap().remove(0);
    assert_eq!(run.error.as_deref(), Some("timed out: it took longer than 5ms"));
    scheduler.stop().await.unwrap();
}
