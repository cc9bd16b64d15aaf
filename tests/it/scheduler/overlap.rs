//! What becomes of an occurrence while as many runs of its task go on as may.

use asyncz::RunStatus::{self, Cancelled, Claimed, Queued, Running, Skipped, Succeeded};
use asyncz::{Overlap, Provide, RunFilter, Scheduler, Task, TaskContext};

use super::{Notes, at_noon, history, ninety_seconds, seconds, started};

/// A task of every minute that runs for a minute and a half.
async fn overlapping(overlap: Overlap) -> (asyncz::testing::TestClock, Scheduler) {
    let (clock, scheduler) = started().await;
    let task = Task::from_fn("slow", ninety_seconds).id("t").every(seconds(60)).overlap(overlap);
    scheduler.add_task(task).await.unwrap();
    (clock, scheduler)
}

async fn reasons(scheduler: &Scheduler, status: RunStatus) -> Vec<String> {
    let runs = scheduler.runs(RunFilter::new().status(status)).await.unwrap();
    runs.into_iter().rev().map(|run| run.error.unwrap_or_default()).collect()
}

#[tokio::test]
async fn one_waits_and_the_newest_wins() {
    let (clock, scheduler) = started().await;
    let task = Task::from_fn("slow", ninety_seconds).id("t").every(seconds(20)).overlap(Overlap::Queue);
    scheduler.add_task(task).await.unwrap();
    clock.advance(seconds(105)).await;
    let before = [(Running, 20), (Skipped, 40), (Skipped, 60), (Skipped, 80), (Queued, 100)];
    assert_eq!(history(&scheduler, "t").await, before);
    assert_eq!(reasons(&scheduler, Skipped).await, ["a later occurrence took its place in the queue"; 3]);

    clock.advance(seconds(10)).await;
    let after = [(Succeeded, 20), (Skipped, 40), (Skipped, 60), (Skipped, 80), (Running, 100)];
    assert_eq!(history(&scheduler, "t").await, after);
}

#[tokio::test]
async fn all_wait_in_order_up_to_the_limit() {
    let (clock, scheduler) = started().await;
    let task = Task::from_fn("slow", ninety_seconds).id("t").every(seconds(20));
    scheduler.add_task(task.overlap(Overlap::QueueAll).queue_limit(2)).await.unwrap();
    clock.advance(seconds(85)).await;
    let before = [(Running, 20), (Queued, 40), (Queued, 60), (Skipped, 80)];
    assert_eq!(history(&scheduler, "t").await, before);
    assert_eq!(reasons(&scheduler, Skipped).await, ["2 of its occurrences wait already, queue_limit is 2"]);

    scheduler.pause_task("t").await.unwrap();
    clock.advance(seconds(90)).await;
    assert_eq!(history(&scheduler, "t").await[..3], [(Succeeded, 20), (Queued, 40), (Queued, 60)]);

    scheduler.resume_task("t").await.unwrap();
    clock.settle().await;
    assert_eq!(history(&scheduler, "t").await[..3], [(Succeeded, 20), (Running, 40), (Queued, 60)]);
}

#[tokio::test]
async fn allowed_runs_go_on_beside_each_other() {
    let (clock, scheduler) = overlapping(Overlap::Allow).await;
    clock.advance(seconds(125)).await;
    assert_eq!(history(&scheduler, "t").await, [(Running, 60), (Running, 120)]);
}

#[tokio::test]
async fn the_other_run_is_told_to_stop() {
    async fn until_told(ctx: TaskContext, Provide(notes): Provide<Notes>) {
        // Sleeping between looks, as the clock of tests waits for whoever waits for anything else.
        while !ctx.is_cancelled() {
            ctx.sleep(std::time::Duration::from_millis(1_700)).await;
        }
        notes.add(format!(
            "{} stopped at {}",
            super::after_noon(ctx.scheduled_at()),
            super::after_noon(ctx.now())
        ));
    }
    let (clock, config) = at_noon();
    let notes = Notes::default();
    let scheduler = config.provide(notes.clone()).scheduler();
    scheduler.start().await.unwrap();
    let task =
        Task::from_fn("until_told", until_told).id("t").every(seconds(60)).overlap(Overlap::CancelOther);
    scheduler.add_task(task).await.unwrap();
    clock.advance(seconds(125)).await;

    assert_eq!(notes.all(), ["60 stopped at 121"]);
    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 60), (Running, 120)]);
}

#[tokio::test]
async fn the_other_run_is_aborted_two_seconds_after_it_was_told_to_stop() {
    let (clock, scheduler) = overlapping(Overlap::CancelOther).await;
    clock.advance(seconds(121)).await;
    assert_eq!(history(&scheduler, "t").await, [(Running, 60), (Queued, 120)]);
    clock.advance(seconds(1)).await;
    assert_eq!(history(&scheduler, "t").await, [(Cancelled, 60), (Running, 120)]);
}

#[tokio::test]
async fn the_other_run_is_aborted_at_once() {
    let (clock, scheduler) = overlapping(Overlap::AbortOther).await;
    clock.advance(seconds(120)).await;
    assert_eq!(history(&scheduler, "t").await, [(Cancelled, 60), (Running, 120)]);
}

#[tokio::test]
async fn what_waits_when_the_trigger_ends_runs_before_the_task_goes() {
    let (clock, scheduler) = started().await;
    let end = "2026-11-23T12:02:00Z".parse().unwrap();
    let trigger = asyncz::IntervalTrigger::every(seconds(60)).end_at(end);
    let task = Task::from_fn("slow", ninety_seconds).id("t").trigger(trigger).overlap(Overlap::Queue);
    scheduler.add_task(task).await.unwrap();
    clock.advance(seconds(155)).await;
    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 60), (Running, 120)]);
    clock.advance(seconds(100)).await;
    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 60), (Succeeded, 120)]);
    assert!(scheduler.get_task("t").await.is_err());
}

#[tokio::test]
async fn what_waits_goes_with_its_task() {
    let (clock, scheduler) = overlapping(Overlap::Queue).await;
    clock.advance(seconds(125)).await;
    scheduler.delete_task("t").await.unwrap();
    clock.advance(seconds(200)).await;
    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 60), (Cancelled, 120)]);
}

#[tokio::test]
async fn a_run_is_cancelled_by_hand() {
    let (clock, scheduler) = overlapping(Overlap::Skip).await;
    clock.advance(seconds(60)).await;
    let run = scheduler.runs(RunFilter::new()).await.unwrap().remove(0).id;

    scheduler.cancel_run(run).await.unwrap();
    clock.advance(seconds(2)).await;
    assert_eq!(history(&scheduler, "t").await, [(Cancelled, 60)]);

    // It has ended: nothing is left to cancel.
    scheduler.cancel_run(run).await.unwrap();
    let unknown = "0".repeat(32).parse().unwrap();
    assert!(matches!(scheduler.cancel_run(unknown).await, Err(asyncz::Error::RunNotFound { .. })));
}

#[tokio::test]
async fn a_run_that_waits_for_its_time_is_cancelled_at_once() {
    let (clock, scheduler) = started().await;
    let task = Task::from_fn("slow", ninety_seconds).id("t").every(seconds(3600)).jitter(seconds(600));
    scheduler.add_task(task).await.unwrap();
    clock.advance(seconds(3600)).await;
    assert_eq!(history(&scheduler, "t").await, [(Claimed, 3600)]);
    let run = scheduler.runs(RunFilter::new()).await.unwrap().remove(0).id;

    scheduler.cancel_run(run).await.unwrap();
    clock.settle().await;

    assert_eq!(history(&scheduler, "t").await, [(Cancelled, 3600)]);
}
