//! Our own scheduler behind axum's server: what a user's tasks go through.

use std::time::Duration;

use super::http::{ask, bind, joined, signal};
use asyncz::{
    AsynczConfig, Error, RunFilter, RunStatus, Scheduler, ServeExt, State, Task, TaskContext, TaskFilter,
};
use axum::{Extension, Router, routing::get};

/// Ends well when it is told to stop.
async fn until_cancelled(ctx: TaskContext) -> Result<&'static str, String> {
    ctx.cancelled().await;
    Ok("stopped in order")
}

async fn for_ever() {
    std::future::pending().await
}

/// Waits until the run has begun.
async fn begun(scheduler: &Scheduler) {
    while scheduler.runs(RunFilter::new().status(RunStatus::Running)).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
}

/// Serves with a task that is going on, gives the signal, and tells what became of the task.
async fn signalled_while_running(task: Task, drain: Duration) -> (RunStatus, Option<String>, State) {
    let config = AsynczConfig::new().without_registry().drain_timeout(drain).task(task);
    let scheduler = config.scheduler();
    let (listener, _) = bind().await;
    let (give, signal) = signal();
    let served = tokio::spawn(
        axum::serve(listener, Router::new()).with_scheduler(config).shutdown_signal(signal).into_future(),
    );
    begun(&scheduler).await;
    give.send(()).unwrap();
    joined(served).await.unwrap();
    let run = scheduler.runs(RunFilter::new()).await.unwrap().remove(0);
    (run.status, run.error, scheduler.state())
}

#[tokio::test]
async fn a_run_that_ends_within_the_drain_timeout_ends_well() {
    async fn short(ctx: TaskContext) {
        ctx.sleep(Duration::from_millis(50)).await;
    }
    let task = Task::from_fn("short", short);
    let ended = signalled_while_running(task, Duration::from_secs(20)).await;
    assert_eq!(ended, (RunStatus::Succeeded, None, State::Stopped));
}

#[tokio::test]
async fn at_the_drain_timeout_a_run_is_told_to_stop() {
    let task = Task::from_fn("until_cancelled", until_cancelled);
    let ended = signalled_while_running(task, Duration::from_millis(50)).await;
    assert_eq!(ended, (RunStatus::Succeeded, None, State::Stopped));
}

#[tokio::test]
async fn a_run_that_does_not_stop_is_aborted() {
    let (status, error, state) =
        signalled_while_running(Task::from_fn("for_ever", for_ever), Duration::ZERO).await;
    assert_eq!((status, state), (RunStatus::Cancelled, State::Stopped));
    assert_eq!(error.unwrap(), "aborted: it went on after it was told to stop");
}

#[tokio::test]
async fn a_scheduler_that_can_not_start_serves_nothing() {
    let wrong = Task::from_fn("for_ever", for_ever).cron("every now and then");
    let config = AsynczConfig::new().without_registry().task(wrong);
    let (listener, address) = bind().await;

    let error = axum::serve(listener, Router::new()).with_scheduler(config).await.unwrap_err();

    assert!(matches!(error, Error::Start { .. }), "{error}");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_handler_of_requests_is_given_the_scheduler_of_its_router() {
    async fn ids(scheduler: Scheduler) -> String {
        let tasks = scheduler.tasks(TaskFilter::new()).await.unwrap();
        tasks.iter().map(|task| task.id.as_str()).collect::<Vec<_>>().join(" ")
    }
    // Other tests run schedulers in this process, too: so the router is told which.
    let task = Task::from_fn("for_ever", for_ever).id("mine").every(Duration::from_secs(3600));
    let config = AsynczConfig::new().without_registry().task(task);
    let app = Router::new().route("/ids", get(ids)).layer(Extension(config.scheduler()));
    let (listener, address) = bind().await;
    let (give, signal) = signal();
    let served =
        tokio::spawn(axum::serve(listener, app).with_scheduler(config).shutdown_signal(signal).into_future());

    assert!(ask(address, "/ids").await.unwrap().ends_with("mine"));
    give.send(()).unwrap();
    joined(served).await.unwrap();
}
