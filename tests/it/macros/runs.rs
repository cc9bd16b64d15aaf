//! Declared tasks are found and run.

use std::time::Duration;

use asyncz::testing::TestClock;
use asyncz::{Args, AsynczConfig, RunStatus, Scheduler, TaskFilter, TaskHandle, task};
use axum::extract::State;

use crate::scheduler::{NOON, Notes, history};

#[task(every = "1m", id = "counts", args = "tick")]
async fn counts(State(notes): State<Notes>, Args(what): Args<String>) -> Result<usize, String> {
    notes.add(what);
    Ok(notes.all().len())
}

#[task(every = "1m", enabled = false)]
async fn sleeps(_: State<Notes>) {}

#[task(state = Notes)]
fn greets(State(notes): State<Notes>, Args(name): Args<String>) {
    notes.add(format!("hello {name}"));
}

const HANDLERS: [&str; 3] =
    ["it::macros::runs::counts", "it::macros::runs::sleeps", "it::macros::runs::greets"];

async fn start() -> (TestClock, Scheduler, Notes) {
    let (clock, notes) = (TestClock::at(NOON), Notes::default());
    let config =
        AsynczConfig::new().clock(clock.clone()).tasks(HANDLERS).expect_tasks(3).state(notes.clone());
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    (clock, scheduler, notes)
}

#[tokio::test]
async fn declared_tasks_run_when_they_say() {
    let (clock, scheduler, notes) = start().await;
    let ids: Vec<_> =
        scheduler.tasks(TaskFilter::new()).await.unwrap().into_iter().map(|task| task.id).collect();
    assert_eq!(ids, ["counts"]);
    clock.advance(Duration::from_secs(120)).await;
    assert_eq!(notes.all(), ["tick", "tick"]);
    let executed = (RunStatus::Succeeded, 60);
    assert_eq!(history(&scheduler, "counts").await[0], executed);
}

#[tokio::test]
async fn a_handler_without_trigger_is_added_at_run_time() {
    let (clock, scheduler, notes) = start().await;
    let task: TaskHandle = scheduler.add_task(greets::task().args("you").unwrap()).await.unwrap();
    clock.advance(Duration::from_secs(1)).await;
    assert_eq!(notes.all(), ["hello you"]);
    assert_ne!(task.id().as_str(), "it::macros::runs::greets");
}
