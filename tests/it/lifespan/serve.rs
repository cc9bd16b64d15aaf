//! `axum::serve(..).with_scheduler(..)`: from the start to the signal.

use std::{future::pending, sync::Arc};

use asyncz::{Error, SchedulerConfig, ServeExt};
use axum::{Router, serve::ListenerExt};
use tokio::{net::TcpStream, sync::Notify};

use super::{
    fake::{Act, Fake, Messages, panic_of, soon},
    http::{Broken, app, ask, bind, joined, request, signal, talk},
};

#[tokio::test]
async fn no_request_is_answered_before_the_scheduler_has_started() {
    let (fake, log) = Fake::new();
    let (listener, address) = bind().await;
    let started = Arc::new(Notify::new());
    let app = app(&log, &Arc::default());
    let (stop, stopped) = signal();

    let server = axum::serve(listener, app)
        .with_scheduler(fake.on("start", Act::Until(Arc::clone(&started))))
        .shutdown_signal(stopped);
    let server = tokio::spawn(server.into_future());
    let answer = ask(address, "/hello");
    log.until("start").await;
    started.notify_one();

    assert!(soon(answer).await.expect("no panic").ends_with("hello"));
    stop.send(()).expect("the server listens");
    joined(server).await.expect("an orderly end");
    assert_eq!(log.all(), ["start", "start ended", "request", "stop_claiming", "drain", "shutdown"]);
}

#[tokio::test]
async fn a_failed_start_ends_the_call_and_nothing_is_served() {
    let (fake, log) = Fake::new();
    let (listener, address) = bind().await;
    let early = TcpStream::connect(address).await.expect("the listener's backlog takes it");
    let app = app(&log, &Arc::default());

    let server = axum::serve(listener, app).with_scheduler(fake.on("start", Act::Fail));
    let error = soon(server.into_future()).await.expect_err("it fails");

    assert!(matches!(error, Error::Other(_)), "{error:?}");
    assert_eq!(soon(talk(early, &request("/hello"))).await, "");
    TcpStream::connect(address).await.expect_err("the port is closed");
    assert_eq!(log.all(), ["start"]);
}

#[tokio::test]
async fn a_panic_in_start_is_shut_down_and_resumed() {
    let (fake, log) = Fake::new();
    let (listener, _) = bind().await;

    let server = axum::serve(listener, Router::<()>::new()).with_scheduler(fake.on("start", Act::Panic));

    assert_eq!(panic_of(tokio::spawn(server.into_future())).await, "start panicked");
    assert_eq!(log.all(), ["start", "cancel_runs", "shutdown"]);
}

#[tokio::test]
async fn a_signal_during_start_ends_it_and_nothing_is_served() {
    let (fake, log) = Fake::new();
    let (listener, address) = bind().await;
    let early = TcpStream::connect(address).await.expect("the listener's backlog takes it");
    let app = app(&log, &Arc::default());
    let (stop, stopped) = signal();

    let server =
        axum::serve(listener, app).with_scheduler(fake.on("start", Act::Hang)).shutdown_signal(stopped);
    let server = tokio::spawn(server.into_future());
    log.until("start").await;
    stop.send(()).expect("the server listens");

    joined(server).await.expect("an orderly end");
    assert_eq!(soon(talk(early, &request("/hello"))).await, "");
    assert_eq!(log.all(), ["start", "cancel_runs", "shutdown"]);
}

#[tokio::test]
async fn a_signal_that_has_come_before_still_starts_and_stops() {
    let (fake, log) = Fake::new();
    let (listener, _) = bind().await;

    let server = axum::serve(listener, Router::<()>::new()).with_scheduler(fake).shutdown_signal(async {});

    soon(server.into_future()).await.expect("an orderly end");
    assert_eq!(log.all(), ["start", "stop_claiming", "drain", "shutdown"]);
}

#[tokio::test]
async fn a_dropped_future_shuts_down_in_the_background() {
    let (fake, log) = Fake::new();
    let (listener, address) = bind().await;
    let app = app(&log, &Arc::default());

    let server = axum::serve(listener, app).with_scheduler(fake).shutdown_signal(pending());
    tokio::select! {
        _ = server => panic!("nobody stops it"),
        answer = ask(address, "/hello") => assert!(answer.expect("no panic").ends_with("hello")),
    }

    log.until("shutdown").await;
    assert_eq!(log.all(), ["start", "request", "cancel_runs", "shutdown"]);
}

#[tokio::test]
async fn a_future_dropped_before_it_was_polled_has_started_nothing() {
    let (fake, log) = Fake::new();
    let (listener, _) = bind().await;

    drop(axum::serve(listener, Router::<()>::new()).with_scheduler(fake).into_future());

    tokio::task::yield_now().await;
    assert!(log.all().is_empty());
}

#[tokio::test]
async fn a_panic_of_the_server_is_shut_down_and_resumed() {
    let (fake, log) = Fake::new();

    let server =
        axum::serve(Broken::now(), Router::<()>::new()).with_scheduler(fake).shutdown_signal(pending());

    assert_eq!(panic_of(tokio::spawn(server.into_future())).await, "the listener broke");
    assert_eq!(log.all(), ["start", "cancel_runs", "shutdown"]);
}

#[tokio::test]
async fn a_panic_wins_over_the_error_of_shutdown_which_is_logged() {
    let (messages, _guard) = Messages::here();
    let (fake, _) = Fake::new();
    let server = axum::serve(Broken::now(), Router::<()>::new())
        .with_graceful_shutdown(pending())
        .with_scheduler(fake.on("shutdown", Act::Fail));

    assert_eq!(panic_of(tokio::spawn(server.into_future())).await, "the listener broke");
    assert!(messages.has("the scheduler failed to shut down"));
}

#[tokio::test]
async fn a_panic_of_the_signal_is_shut_down_and_resumed() {
    let (fake, log) = Fake::new();
    let (listener, _) = bind().await;

    let server = axum::serve(listener, Router::<()>::new())
        .with_scheduler(fake)
        .shutdown_signal(async { panic!("no signal") });

    assert_eq!(panic_of(tokio::spawn(server.into_future())).await, "no signal");
    assert_eq!(log.all(), ["start", "cancel_runs", "shutdown"]);
}

#[tokio::test]
async fn an_error_of_shutdown_is_told() {
    let (fake, _) = Fake::new();
    let (listener, _) = bind().await;

    let server = axum::serve(listener, Router::<()>::new())
        .with_scheduler(fake.on("shutdown", Act::Fail))
        .shutdown_signal(async {});

    let error = soon(server.into_future()).await.expect_err("it fails");
    assert!(matches!(error, Error::Other(_)), "{error:?}");
}

#[tokio::test]
async fn a_disabled_scheduler_is_neither_started_nor_shut_down() {
    let (fake, log) = Fake::new();
    let (listener, address) = bind().await;
    let app = app(&log, &Arc::default());
    let (stop, stopped) = signal();

    let server =
        axum::serve(listener, app).with_scheduler(fake).enable_scheduler(false).shutdown_signal(stopped);
    let server = tokio::spawn(server.into_future());

    assert!(soon(ask(address, "/hello")).await.expect("no panic").ends_with("hello"));
    stop.send(()).expect("the server listens");
    joined(server).await.expect("an orderly end");
    assert_eq!(log.all(), ["request"]);
}

#[tokio::test]
async fn none_serves_without_a_scheduler() {
    let (_, log) = Fake::new();
    let (listener, address) = bind().await;
    let app = app(&log, &Arc::default());
    let (stop, stopped) = signal();

    let server = axum::serve(listener, app).with_scheduler(None::<Fake>).shutdown_signal(stopped);
    let server = tokio::spawn(server.into_future());

    assert!(soon(ask(address, "/hello")).await.expect("no panic").ends_with("hello"));
    stop.send(()).expect("the server listens");
    joined(server).await.expect("an orderly end");
}

#[tokio::test]
async fn a_boxed_configuration_keeps_every_step() {
    let (fake, log) = Fake::new();
    let (listener, _) = bind().await;
    let config: Box<dyn SchedulerConfig> = Box::new(fake);

    let server = axum::serve(listener, Router::<()>::new()).with_scheduler(config).shutdown_signal(async {});

    soon(server.into_future()).await.expect("an orderly end");
    assert_eq!(log.all(), ["start", "stop_claiming", "drain", "shutdown"]);
}

#[cfg(unix)]
#[tokio::test]
async fn it_serves_on_unix_sockets() {
    use tokio::net::{UnixListener, UnixStream};

    let (fake, log) = Fake::new();
    let path = std::env::temp_dir().join(format!("asyncz-lifespan-{}.sock", std::process::id()));
    _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).expect("a free path");
    let app = app(&log, &Arc::default());
    let (stop, stopped) = signal();

    let server = axum::serve(listener, app).with_scheduler(fake).shutdown_signal(stopped);
    let server = tokio::spawn(server.into_future());
    let client = UnixStream::connect(&path).await.expect("the socket is open");

    assert!(soon(talk(client, &request("/hello"))).await.ends_with("hello"));
    stop.send(()).expect("the server listens");
    joined(server).await.expect("an orderly end");
    assert_eq!(log.all(), ["start", "request", "stop_claiming", "drain", "shutdown"]);
    std::fs::remove_file(&path).expect("the socket's file");
}

#[tokio::test]
async fn it_serves_on_tapped_listeners_and_made_services() {
    let (fake, log) = Fake::new();
    let (listener, address) = bind().await;
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).expect("a TCP stream"));
    let app = app(&log, &Arc::default()).into_make_service();
    let (stop, stopped) = signal();

    let server = axum::serve(listener, app).with_scheduler(fake).shutdown_signal(stopped);
    let server = tokio::spawn(server.into_future());

    assert!(soon(ask(address, "/hello")).await.expect("no panic").ends_with("hello"));
    stop.send(()).expect("the server listens");
    joined(server).await.expect("an orderly end");
}

#[tokio::test]
async fn what_is_plugged_together_can_be_printed() {
    let (fake, _) = Fake::new();
    let (listener, _) = bind().await;
    let server = axum::serve(listener, Router::<()>::new()).with_scheduler(fake);

    assert!(format!("{server:?}").contains("WithScheduler"));
}
