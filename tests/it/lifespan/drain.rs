//! From the signal to the end.

use std::{
    convert::Infallible,
    io::{Read, Write},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use asyncz::ServeExt;
use axum::{
    Router,
    serve::{IncomingStream, Listener},
};
use tokio::sync::Notify;

use super::{
    fake::{Act, Fake, Log, Messages, soon},
    http::{app, ask, bind, joined, request, signal, talk},
};

const SHORT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn claiming_stops_at_the_signal_and_tasks_drain_after_the_last_request() {
    let (fake, log) = Fake::new();
    let (listener, address) = bind().await;
    let slow = Arc::new(Notify::new());
    let app = app(&log, &slow);
    let (stop, stopped) = signal();

    let server = axum::serve(listener, app).with_scheduler(fake).shutdown_signal(stopped);
    let server = tokio::spawn(server.into_future());
    let answer = ask(address, "/slow");
    log.until("request").await;
    stop.send(()).expect("the server listens");
    log.until("stop_claiming").await;
    slow.notify_one();

    assert!(soon(answer).await.expect("no panic").ends_with("slow"));
    joined(server).await.expect("an orderly end");
    assert_eq!(log.all(), ["start", "request", "stop_claiming", "answer", "drain", "shutdown"]);
}

#[tokio::test]
async fn no_connection_is_accepted_after_the_signal() {
    let (fake, log) = Fake::new();
    let (listener, address) = bind().await;
    let drained = Arc::new(Notify::new());
    let (stop, stopped) = signal();

    let server = axum::serve(listener, Router::<()>::new())
        .with_scheduler(fake.on("drain", Act::Until(Arc::clone(&drained))))
        .shutdown_signal(stopped);
    let server = tokio::spawn(server.into_future());
    stop.send(()).expect("the server listens");
    log.until("drain").await;

    tokio::net::TcpStream::connect(address).await.expect_err("the port is closed");
    drained.notify_one();
    joined(server).await.expect("an orderly end");
}

#[tokio::test]
async fn tasks_that_outlast_the_drain_timeout_are_cancelled() {
    let (messages, _guard) = Messages::here();
    let (fake, log) = Fake::new();
    let (listener, _) = bind().await;

    let server = axum::serve(listener, Router::<()>::new())
        .with_scheduler(fake.on("drain", Act::Hang).drain_timeout(SHORT))
        .shutdown_signal(async {});
    soon(server.into_future()).await.expect("an orderly end");

    assert_eq!(log.all(), ["start", "stop_claiming", "drain", "cancel_runs", "shutdown"]);
    assert!(messages.has("the end of the drain timeout"));
}

/// Tells when the server it makes services for is dropped.
struct Made(Router, Log);

impl<L: Listener> tower_service::Service<IncomingStream<'_, L>> for Made {
    type Response = Router;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Router, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: IncomingStream<'_, L>) -> Self::Future {
        std::future::ready(Ok(self.0.clone()))
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        self.1.push("server dropped");
    }
}

#[tokio::test]
async fn at_the_deadline_the_server_is_dropped_then_tasks_are_cancelled_then_shutdown_runs() {
    let (fake, log) = Fake::new();
    let (listener, address) = bind().await;
    let app = Made(app(&log, &Arc::default()), log.clone());
    let (stop, stopped) = signal();

    let server =
        axum::serve(listener, app).with_scheduler(fake.drain_timeout(SHORT)).shutdown_signal(stopped);
    let server = tokio::spawn(server.into_future());
    let _stuck = ask(address, "/stuck");
    log.until("request").await;
    stop.send(()).expect("the server listens");

    joined(server).await.expect("an orderly end");
    assert_eq!(log.all(), ["start", "request", "stop_claiming", "server dropped", "cancel_runs", "shutdown"]);
}

#[tokio::test]
async fn requests_drain_even_where_the_scheduler_hangs() {
    let (fake, log) = Fake::new();
    let (listener, address) = bind().await;
    let app = app(&log, &Arc::default());
    let (stop, stopped) = signal();

    let server = axum::serve(listener, app)
        .with_scheduler(fake.on("stop_claiming", Act::Hang))
        .shutdown_signal(stopped);
    let server = tokio::spawn(server.into_future());
    let client = tokio::net::TcpStream::connect(address).await.expect("the port is open");
    let kept_alive = tokio::spawn(talk(client, b"GET /hello HTTP/1.1\r\nhost: test\r\n\r\n"));
    log.until("request").await;
    stop.send(()).expect("the server listens");

    // Only a server that was told to stop closes such a connection.
    assert!(soon(kept_alive).await.expect("no panic").ends_with("hello"));
    assert_eq!(log.all(), ["start", "request", "stop_claiming"]);
    server.abort();
    log.until("shutdown").await;
}

#[tokio::test]
async fn a_future_dropped_while_it_drains_cancels_in_the_background() {
    let (fake, log) = Fake::new();
    let (listener, _) = bind().await;

    let server = axum::serve(listener, Router::<()>::new())
        .with_scheduler(fake.on("drain", Act::Hang))
        .shutdown_signal(async {});
    tokio::select! {
        _ = server => panic!("it hangs"),
        () = log.until("drain") => {}
    }

    log.until("shutdown").await;
    assert_eq!(log.all(), ["start", "stop_claiming", "drain", "cancel_runs", "shutdown"]);
}

#[tokio::test]
async fn after_with_graceful_shutdown_claiming_stops_when_the_connections_have_drained() {
    let (fake, log) = Fake::new();
    let (listener, address) = bind().await;
    let slow = Arc::new(Notify::new());
    let app = app(&log, &slow);
    let (stop, stopped) = signal();

    let server = axum::serve(listener, app).with_graceful_shutdown(stopped).with_scheduler(fake);
    let server = tokio::spawn(server.into_future());
    let answer = ask(address, "/slow");
    log.until("request").await;
    stop.send(()).expect("the server listens");
    slow.notify_one();

    assert!(soon(answer).await.expect("no panic").ends_with("slow"));
    joined(server).await.expect("an orderly end");
    assert_eq!(log.all(), ["start", "request", "answer", "stop_claiming", "drain", "shutdown"]);
}

#[tokio::test]
async fn after_with_graceful_shutdown_tasks_get_the_drain_timeout() {
    let (fake, log) = Fake::new();
    let (listener, _) = bind().await;

    let server = axum::serve(listener, Router::<()>::new())
        .with_graceful_shutdown(async {})
        .with_scheduler(fake.on("drain", Act::Hang).drain_timeout(SHORT));
    soon(server.into_future()).await.expect("an orderly end");

    assert_eq!(log.all(), ["start", "stop_claiming", "drain", "cancel_runs", "shutdown"]);
}

#[test]
fn a_handler_still_streaming_does_not_hold_the_exit() {
    let (fake, log) = Fake::new();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (listener, address) = runtime.block_on(bind());
    let mut client = std::net::TcpStream::connect(address).expect("the port is open");
    let (stop, stopped) = signal();

    let app = app(&log, &Arc::default());
    let server =
        axum::serve(listener, app).with_scheduler(fake.drain_timeout(SHORT)).shutdown_signal(stopped);
    let server = runtime.spawn(server.into_future());
    client.write_all(&request("/stream")).expect("an open connection");
    let mut answer = Vec::new();
    while !answer.ends_with(b"first\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).expect("the stream has begun");
        answer.extend(byte);
    }
    stop.send(()).expect("the server listens");

    runtime.block_on(joined(server)).expect("an orderly end");
    assert_eq!(log.all(), ["start", "stop_claiming", "cancel_runs", "shutdown"]);
    drop(runtime);
    // Returns, with an error or without: the connection is gone with the runtime.
    _ = client.read_to_end(&mut answer);
}
