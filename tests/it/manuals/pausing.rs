//! Pausing and resuming, a task and all of them.

use asyncz::{State, TaskState};

use super::{add_both, check_status, each_hour, runs, send_email_newsletter, state};
use crate::scheduler::{at_noon, seconds, started};

#[tokio::test]
async fn a_task_is_paused_by_id_or_by_handle() {
    let (clock, scheduler) = started().await;
    let status = add_both(&scheduler).await;

    scheduler.pause_task("send_newsletter").await.unwrap();
    scheduler.pause_task(&status).await.unwrap();
    clock.advance(seconds(48 * 3600)).await;

    for id in ["send_newsletter", "status"] {
        assert_eq!((state(&scheduler, id).await, runs(&scheduler, id).await), (TaskState::Paused, 0), "{id}");
        // No next time to run.
        assert_eq!(scheduler.get_task(id).await.unwrap().next_run_time, None);
    }
}

#[tokio::test]
async fn a_task_is_resumed_by_id_or_by_handle() {
    let (clock, scheduler) = started().await;
    let status = add_both(&scheduler).await;
    scheduler.pause_task("send_newsletter").await.unwrap();
    scheduler.pause_task(&status).await.unwrap();
    clock.advance(seconds(3600)).await;

    scheduler.resume_task("send_newsletter").await.unwrap();
    scheduler.resume_task(&status).await.unwrap();
    // One that was not paused stays as it is.
    scheduler.resume_task(&status).await.unwrap();
    clock.advance(seconds(47 * 3600)).await;

    assert_eq!(runs(&scheduler, "send_newsletter").await, 1);
    assert_eq!(runs(&scheduler, "status").await, 47);
}

#[tokio::test]
async fn a_handle_pauses_and_resumes_its_task() {
    let (clock, scheduler) = started().await;
    let one = scheduler.add_task(send_email_newsletter::task().id("one").trigger(each_hour())).await.unwrap();
    let two = scheduler.add_task(check_status::task().id("two").trigger(each_hour())).await.unwrap();

    one.pause().await.unwrap();
    two.pause().await.unwrap();
    clock.advance(seconds(3600)).await;
    one.resume().await.unwrap();
    clock.advance(seconds(3600)).await;

    assert_eq!((runs(&scheduler, "one").await, runs(&scheduler, "two").await), (1, 0));
}

#[tokio::test]
async fn all_tasks_are_paused_and_resumed() {
    let (clock, scheduler) = started().await;
    add_both(&scheduler).await;

    scheduler.pause().await.unwrap();
    clock.advance(seconds(7200)).await;
    assert_eq!((scheduler.state(), runs(&scheduler, "status").await), (State::Paused, 0));
    // The tasks are not: it is the scheduler that is.
    assert_eq!(state(&scheduler, "status").await, TaskState::Scheduled);

    scheduler.resume().await.unwrap();
    clock.settle().await;
    // Of the two that were due the latest.
    assert_eq!((scheduler.state(), runs(&scheduler, "status").await), (State::Running, 1));
}

#[tokio::test]
async fn a_scheduler_that_starts_paused_runs_nothing_until_it_is_resumed() {
    let (clock, config) = at_noon();
    let scheduler = config.scheduler();
    add_both(&scheduler).await;

    scheduler.start_paused().await.unwrap();
    clock.advance(seconds(3600)).await;
    assert_eq!(runs(&scheduler, "status").await, 0);
    assert_eq!(state(&scheduler, "status").await, TaskState::Scheduled);

    scheduler.resume().await.unwrap();
    clock.settle().await;
    assert_eq!(runs(&scheduler, "status").await, 1);
}
