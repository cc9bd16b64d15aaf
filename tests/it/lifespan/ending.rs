//! From the signal to the end, with our own scheduler behind axum's server.

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use asyncz::{
    AsynczConfig, Event, RunFilter, RunStatus, Scheduler, ServeExt, ShutdownTrigger, State, Task, TaskContext,
};
use axum::{Router, body::Body, routing::get};
use futures_core::Stream;
use tokio::sync::Notify;

use super::fake::{panic_of, soon};
use super::http::{Broken, ask, bind, joined, signal};

const LONG: Duration = Duration::from_secs(3600);

fn config(task: Task) -> AsynczConfig {
    AsynczConfig::new().without_registry().drain_timeout(LONG).task(task)
}

async fn nothing() {}

/// Ends well when it is told to stop.
async fn until_cancelled(ctx: TaskContext) -> Result<&'static str, String> {
    ctx.cancelled().await;
    Ok("stopped in order")
}

/// Waits until a run is as it shall be.
async fn until_one_is(scheduler: &Scheduler, status: RunStatus) {
    soon(async {
        while scheduler.runs(RunFilter::new().status(status)).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn pass(time: Duration) {
    _ = tokio::time::timeout(time, pending::<()>()).await;
}

/// A line for each event of a scheduler.
struct Lines(Pin<Box<dyn Stream<Item = Event> + Send>>);

impl Stream for Lines {
    type Item = Result<String, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context).map(|event| Some(Ok(format!("{:?}\n", event?.kind))))
    }
}

#[tokio::test]
async fn a_response_of_events_ends_at_the_signal() {
    let config = config(Task::from_fn("nothing", nothing).every(Duration::from_millis(20)));
    let (scheduler, sees) = (config.scheduler(), Arc::new(Notify::new()));
    let seen = sees.clone();
    let events = move || {
        let lines = Lines(Box::pin(scheduler.events()));
        seen.notify_one();
        std::future::ready(Body::from_stream(lines))
    };
    let (listener, address) = bind().await;
    let (give, signal) = signal();
    let app = Router::new().route("/events", get(events));
    let served =
        tokio::spawn(axum::serve(listener, app).with_scheduler(config).shutdown_signal(signal).into_future());
    let answer = ask(address, "/events");
    sees.notified().await;
    give.send(()).unwrap();

    // Long before the drain timeout, and the response is whole: its last chunk is there.
    assert!(soon(answer).await.unwrap().ends_with("0\r\n\r\n"));
    joined(served).await.unwrap();
}

#[tokio::test]
async fn a_dropped_server_tells_runs_to_stop() {
    let config = config(Task::from_fn("until_cancelled", until_cancelled));
    let scheduler = config.scheduler();
    let (listener, _) = bind().await;
    tokio::select! {
        _ = axum::serve(listener, Router::new()).with_scheduler(config).shutdown_signal(pending()) => panic!(),
        () = until_one_is(&scheduler, RunStatus::Running) => {}
    }

    until_one_is(&scheduler, RunStatus::Succeeded).await;
    soon(async {
        while scheduler.state() != State::Stopped {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_panic_of_the_server_tells_runs_to_stop() {
    let config = config(Task::from_fn("until_cancelled", until_cancelled));
    let scheduler = config.scheduler();
    let begun = scheduler.clone();
    let broken = Broken::when(async move { until_one_is(&begun, RunStatus::Running).await });
    let server = axum::serve(broken, Router::<()>::new()).with_scheduler(config).shutdown_signal(pending());

    assert_eq!(panic_of(tokio::spawn(server.into_future())).await, "the listener broke");
    let run = scheduler.runs(RunFilter::new()).await.unwrap().remove(0);
    assert_eq!((run.status, scheduler.state()), (RunStatus::Succeeded, State::Stopped));
}

#[tokio::test]
async fn nothing_is_claimed_after_the_signal_while_requests_drain() {
    let config = config(Task::from_fn("nothing", nothing).every(Duration::from_millis(5)));
    let scheduler = config.scheduler();
    let (asked, open) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (is_asked, opened) = (asked.clone(), open.clone());
    let slow = async move || {
        is_asked.notify_one();
        opened.notified().await;
    };
    let (listener, address) = bind().await;
    let (give, signal) = signal();
    let app = Router::new().route("/slow", get(slow));
    let served =
        tokio::spawn(axum::serve(listener, app).with_scheduler(config).shutdown_signal(signal).into_future());
    let answer = ask(address, "/slow");
    asked.notified().await;
    until_one_is(&scheduler, RunStatus::Succeeded).await;
    give.send(()).unwrap();
    // What was claimed just before may still run.
    pass(Duration::from_millis(100)).await;
    let before = scheduler.runs(RunFilter::new()).await.unwrap().len();
    pass(Duration::from_millis(100)).await;
    let after = scheduler.runs(RunFilter::new()).await.unwrap().len();
    open.notify_one();

    assert!(soon(answer).await.unwrap().starts_with("HTTP/1.1 200"));
    joined(served).await.unwrap();
    assert_eq!((before, scheduler.runs(RunFilter::new()).await.unwrap().len()), (after, after));
}

#[tokio::test]
async fn a_run_that_a_request_starts_while_it_drains_is_waited_for() {
    async fn takes_time(ctx: TaskContext) {
        ctx.sleep(Duration::from_millis(100)).await;
    }
    let config = config(Task::from_fn("takes_time", takes_time).id("by hand").every(LONG));
    let scheduler = config.scheduler();
    let (asked, open) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (is_asked, opened, by_hand) = (asked.clone(), open.clone(), scheduler.clone());
    let run = async move || {
        is_asked.notify_one();
        opened.notified().await;
        by_hand.run_task("by hand").await.unwrap().to_string()
    };
    let (listener, address) = bind().await;
    let (give, signal) = signal();
    let app = Router::new().route("/run", get(run));
    let served =
        tokio::spawn(axum::serve(listener, app).with_scheduler(config).shutdown_signal(signal).into_future());
    let mut events = Box::pin(scheduler.events());
    let answer = ask(address, "/run");
    asked.notified().await;
    give.send(()).unwrap();
    // Which end at the signal.
    while soon(std::future::poll_fn(|context| events.as_mut().poll_next(context))).await.is_some() {}
    open.notify_one();

    assert!(soon(answer).await.unwrap().starts_with("HTTP/1.1 200"));
    joined(served).await.unwrap();
    let runs = scheduler.runs(RunFilter::new()).await.unwrap();
    assert_eq!(runs.iter().map(|run| run.status).collect::<Vec<_>>(), [RunStatus::Succeeded]);
}

#[tokio::test]
async fn a_task_of_the_shutdown_has_what_is_left_of_the_drain_timeout() {
    async fn first(ctx: TaskContext) {
        ctx.sleep(Duration::from_millis(1_500)).await;
    }
    let last = Task::from_fn("until_cancelled", until_cancelled).trigger(ShutdownTrigger);
    let config = AsynczConfig::new().without_registry().drain_timeout(Duration::from_secs(2));
    let config = config.task(Task::from_fn("first", first)).task(last);
    let scheduler = config.scheduler();
    let (listener, _) = bind().await;
    let (give, signal) = signal();
    let served = tokio::spawn(
        axum::serve(listener, Router::new()).with_scheduler(config).shutdown_signal(signal).into_future(),
    );
    until_one_is(&scheduler, RunStatus::Running).await;
    give.send(()).unwrap();
    joined(served).await.unwrap();

    let runs = scheduler.runs(RunFilter::new()).await.unwrap();
    let [last, first] = &runs[..] else { panic!("{runs:?}") };
    let took = last.finished_at.unwrap() - first.started_at.unwrap();
    assert!((1_900..3_000).contains(&took.num_milliseconds()), "they had {took} in all");
}
