//! `Lifespan`, without any server.

use std::{sync::Arc, thread, time::Duration};

use asyncz::{Error, Lifespan};
use tokio::sync::Notify;

use super::fake::{Act, Fake, Messages, panic_of, soon};

#[tokio::test]
async fn start_and_shutdown_take_every_step_in_order() {
    let (fake, log) = Fake::new();

    let lifespan = Lifespan::start(fake).await.expect("it starts");
    assert_eq!(log.all(), ["start"]);
    lifespan.shutdown().await.expect("it stops");

    assert_eq!(log.all(), ["start", "stop_claiming", "drain", "shutdown"]);
}

#[tokio::test]
async fn a_failed_start_gets_no_shutdown() {
    let (fake, log) = Fake::new();

    let error = Lifespan::start(fake.on("start", Act::Fail)).await.expect_err("it fails");

    assert!(matches!(error, Error::Other(_)), "{error:?}");
    tokio::task::yield_now().await;
    assert_eq!(log.all(), ["start"]);
}

#[tokio::test]
async fn an_error_of_shutdown_is_told() {
    let (fake, _) = Fake::new();
    let lifespan = Lifespan::start(fake.on("shutdown", Act::Fail)).await.expect("it starts");

    let error = lifespan.shutdown().await.expect_err("it fails");

    let source = std::error::Error::source(&error).expect("the cause is its source");
    assert_eq!(source.to_string(), "shutdown went wrong");
}

#[tokio::test]
async fn a_panic_in_start_is_shut_down_and_resumed() {
    let (fake, log) = Fake::new();

    let start = tokio::spawn(Lifespan::start(fake.on("start", Act::Panic)));

    assert_eq!(panic_of(start).await, "start panicked");
    assert_eq!(log.all(), ["start", "cancel_runs", "shutdown"]);
}

#[tokio::test]
async fn a_panic_while_draining_is_shut_down_and_resumed() {
    let (fake, log) = Fake::new();
    let lifespan = Lifespan::start(fake.on("drain", Act::Panic)).await.expect("it starts");

    let shutdown = tokio::spawn(lifespan.shutdown());

    assert_eq!(panic_of(shutdown).await, "drain panicked");
    assert_eq!(log.all(), ["start", "stop_claiming", "drain", "cancel_runs", "shutdown"]);
}

#[tokio::test]
async fn a_panic_in_cancel_runs_does_not_keep_shutdown_from_running() {
    let (fake, log) = Fake::new();
    let fake = fake.on("drain", Act::Hang).on("cancel_runs", Act::Panic).drain_timeout(Duration::ZERO);
    let lifespan = Lifespan::start(fake).await.expect("it starts");

    let shutdown = tokio::spawn(lifespan.shutdown());

    assert_eq!(panic_of(shutdown).await, "cancel_runs panicked");
    assert_eq!(log.all().last().map(String::as_str), Some("shutdown"));
}

#[tokio::test(start_paused = true)]
async fn cancel_runs_that_hangs_does_not_keep_shutdown_from_running() {
    let (fake, log) = Fake::new();
    let fake = fake.on("drain", Act::Hang).on("cancel_runs", Act::Hang);
    let lifespan = Lifespan::start(fake).await.expect("it starts");

    lifespan.shutdown().await.expect("it stops");

    assert_eq!(log.all(), ["start", "stop_claiming", "drain", "cancel_runs", "shutdown"]);
}

#[tokio::test]
async fn a_start_dropped_half_way_is_shut_down_in_the_background() {
    let (fake, log) = Fake::new();

    tokio::select! {
        biased;
        _ = Lifespan::start(fake.on("start", Act::Hang)) => panic!("it hangs"),
        () = log.until("start") => {}
    }

    log.until("shutdown").await;
    assert_eq!(log.all(), ["start", "cancel_runs", "shutdown"]);
}

#[tokio::test]
async fn a_dropped_lifespan_is_shut_down_in_the_background() {
    let (fake, log) = Fake::new();

    drop(Lifespan::start(fake).await.expect("it starts"));

    log.until("shutdown").await;
    assert_eq!(log.all(), ["start", "cancel_runs", "shutdown"]);
}

#[tokio::test]
async fn a_lifespan_dropped_outside_a_runtime_is_shut_down_on_its_own() {
    let (fake, log) = Fake::new();
    let lifespan = Lifespan::start(fake).await.expect("it starts");

    thread::spawn(move || drop(lifespan)).join().expect("no panic");

    log.until("shutdown").await;
}

#[test]
fn a_lifespan_that_outlives_its_runtime_says_so() {
    let (messages, _guard) = Messages::here();
    let (fake, log) = Fake::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let lifespan = runtime.block_on(Lifespan::start(fake)).expect("it starts");

    drop(runtime);
    drop(lifespan);

    assert!(messages.has("the runtime ended first"));
    assert_eq!(log.all(), ["start"]);
}

#[tokio::test]
async fn a_failure_in_the_background_is_logged() {
    let (messages, _guard) = Messages::here();
    let (fake, log) = Fake::new();
    let lifespan = Lifespan::start(fake.on("shutdown", Act::Fail)).await.expect("it starts");

    drop(lifespan);

    log.until("shutdown").await;
    tokio::task::yield_now().await;
    assert!(messages.has("the scheduler failed to shut down"));
    assert!(!messages.has("the runtime ended first"));
}

#[tokio::test]
async fn tasks_that_outlast_the_drain_timeout_are_cancelled() {
    let (messages, _guard) = Messages::here();
    let (fake, log) = Fake::new();
    let fake = fake.on("drain", Act::Hang).drain_timeout(Duration::from_millis(30));
    let lifespan = Lifespan::start(fake).await.expect("it starts");

    soon(lifespan.shutdown()).await.expect("it stops");

    assert_eq!(log.all(), ["start", "stop_claiming", "drain", "cancel_runs", "shutdown"]);
    assert!(messages.has("the end of the drain timeout"));
}

#[tokio::test]
async fn a_shutdown_dropped_while_draining_cancels_in_the_background() {
    let (fake, log) = Fake::new();
    let lifespan = Lifespan::start(fake.on("drain", Act::Hang)).await.expect("it starts");

    tokio::select! {
        biased;
        _ = lifespan.shutdown() => panic!("it hangs"),
        () = log.until("drain") => {}
    }

    log.until("shutdown").await;
    assert_eq!(log.all(), ["start", "stop_claiming", "drain", "cancel_runs", "shutdown"]);
}

#[tokio::test]
async fn a_shutdown_dropped_in_its_middle_is_finished_and_not_repeated() {
    let (fake, log) = Fake::new();
    let open = Arc::new(Notify::new());
    let fake = fake.on("shutdown", Act::Until(Arc::clone(&open)));
    let lifespan = Lifespan::start(fake).await.expect("it starts");

    tokio::select! {
        biased;
        _ = lifespan.shutdown() => panic!("it waits"),
        () = log.until("shutdown") => {}
    }
    open.notify_one();

    log.until("shutdown ended").await;
    assert_eq!(log.all(), ["start", "stop_claiming", "drain", "shutdown", "shutdown ended"]);
}
