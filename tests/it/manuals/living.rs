//! Starting and stopping the scheduler.

use asyncz::{EventMask, RunFilter, RunStatus, Shutdown, State, Task, TaskContext};

use super::{check_status, runs};
use crate::scheduler::{Notes, at_noon, seconds, started};

/// Notes each start and each shutdown that acts.
fn acts(scheduler: &asyncz::Scheduler) -> Notes {
    let notes = Notes::default();
    let noted = notes.clone();
    scheduler.add_listener(EventMask::SCHEDULER_START | EventMask::SCHEDULER_SHUTDOWN, move |event| {
        noted.add(if event.kind == EventMask::SCHEDULER_START { "started" } else { "stopped" });
    });
    notes
}

#[tokio::test]
async fn a_scheduler_is_started_and_shut_down() {
    let (_clock, config) = at_noon();
    let scheduler = config.scheduler();
    assert_eq!(scheduler.state(), State::Stopped);
    scheduler.start().await.unwrap();
    assert_eq!(scheduler.state(), State::Running);
    scheduler.shutdown(Shutdown::Wait).await.unwrap();
    assert_eq!(scheduler.state(), State::Stopped);
}

/// `with scheduler: scheduler.start(); scheduler.stop()`
#[tokio::test]
async fn within_a_scope_further_starts_and_stops_do_nothing() {
    let (clock, config) = at_noon();
    let scheduler = config.scheduler();
    let acts = acts(&scheduler);

    let scope = scheduler.scope().await.unwrap();
    scheduler.start().await.unwrap();
    scheduler.stop().await.unwrap();
    assert_eq!(scheduler.state(), State::Running);
    scope.shutdown().await.unwrap();

    clock.settle().await;
    assert_eq!(acts.all(), ["started", "stopped"]);
}

/// `start(paused=True)`, `resume()`, a scope that is not the outermost, `shutdown(wait=False)`
#[tokio::test]
async fn by_hand_there_is_more_control() {
    let (clock, config) = at_noon();
    let scheduler = config.scheduler();
    let acts = acts(&scheduler);

    scheduler.start_paused().await.unwrap();
    assert_eq!(scheduler.state(), State::Paused);
    scheduler.resume().await.unwrap();
    assert_eq!(scheduler.state(), State::Running);
    scheduler.scope().await.unwrap().shutdown().await.unwrap();
    assert_eq!(scheduler.state(), State::Running);
    scheduler.shutdown(Shutdown::Now).await.unwrap();

    clock.settle().await;
    assert_eq!(acts.all(), ["started", "stopped"]);
}

#[tokio::test]
async fn a_shutdown_that_does_not_wait_tells_runs_to_stop() {
    async fn until_told(ctx: TaskContext) -> Result<&'static str, String> {
        ctx.cancelled().await;
        Ok("stopped early")
    }
    let (_clock, scheduler) = started().await;
    let task = Task::from_fn("until_told", until_told).every(seconds(3600));
    scheduler.add_task(task).await.unwrap().run().await.unwrap();
    while scheduler.runs(RunFilter::new().status(RunStatus::Running)).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }

    scheduler.shutdown(Shutdown::Now).await.unwrap();

    let run = &scheduler.runs(RunFilter::new()).await.unwrap()[0];
    assert_eq!((run.status, run.value.clone()), (RunStatus::Succeeded, Some("stopped early".into())));
}

#[tokio::test]
async fn a_shutdown_returns_when_it_is_done() {
    let (clock, scheduler) = started().await;
    scheduler.add_task(check_status::task().id("status").every(seconds(60))).await.unwrap();
    clock.advance(seconds(60)).await;

    scheduler.stop().await.unwrap();

    // At once, and not some turns of a loop later.
    assert_eq!(scheduler.state(), State::Stopped);
    clock.advance(seconds(600)).await;
    scheduler.start_paused().await.unwrap();
    assert_eq!(runs(&scheduler, "status").await, 1);
}
