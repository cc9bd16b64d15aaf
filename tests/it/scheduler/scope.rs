//! Scopes: starts that end with a value.

use asyncz::{AsynczConfig, RunFilter, RunStatus, State, Task};

use super::{at_noon, nothing, seconds, started};

#[tokio::test]
async fn a_scope_is_counted_as_start_and_shutdown() {
    let (_clock, config) = at_noon();
    let scheduler = config.scheduler();
    let outer = scheduler.scope().await.unwrap();
    let inner = scheduler.scope().await.unwrap();

    inner.shutdown().await.unwrap();
    assert_eq!(scheduler.state(), State::Running);
    outer.shutdown().await.unwrap();
    assert_eq!(scheduler.state(), State::Stopped);
}

#[tokio::test]
async fn a_scope_that_is_shut_down_lets_runs_end() {
    let (_clock, config) = at_noon();
    let scheduler = config.scheduler();
    let scope = scheduler.scope().await.unwrap();
    let task = Task::from_fn("nothing", nothing).every(seconds(10));
    scheduler.add_task(task).await.unwrap().run().await.unwrap();

    scope.shutdown().await.unwrap();

    assert_eq!(scheduler.runs(RunFilter::new()).await.unwrap()[0].status, RunStatus::Succeeded);
}

#[tokio::test]
async fn a_scope_that_is_dropped_stops_its_runs_and_waits_for_nobody() {
    async fn until_cancelled(ctx: asyncz::TaskContext) {
        ctx.cancelled().await;
    }
    let scheduler = AsynczConfig::new().without_registry().scheduler();
    let scope = scheduler.scope().await.unwrap();
    let task = Task::from_fn("until_cancelled", until_cancelled).every(seconds(3600));
    scheduler.add_task(task).await.unwrap().run().await.unwrap();
    while scheduler.info().running == 0 {
        tokio::task::yield_now().await;
    }
    let mut events = scheduler.events();

    drop(scope);

    // The stream ends with the scheduler.
    while std::future::poll_fn(|context| next(&mut events, context)).await.is_some() {}
    assert_eq!(scheduler.state(), State::Stopped);
    assert_eq!(scheduler.runs(RunFilter::new()).await.unwrap()[0].status, RunStatus::Succeeded);
}

#[tokio::test]
async fn a_dropped_inner_scope_leaves_the_outer_start_alone() {
    let (_clock, scheduler) = started().await;
    drop(scheduler.scope().await.unwrap());
    // It takes its turn among starts and shutdowns.
    scheduler.start().await.unwrap();
    scheduler.stop().await.unwrap();
    assert_eq!(scheduler.state(), State::Running);
}

fn next<S: futures_core::Stream + Unpin>(
    stream: &mut S,
    context: &mut std::task::Context<'_>,
) -> std::task::Poll<Option<S::Item>> {
    std::pin::Pin::new(stream).poll_next(context)
}
