//! Just enough of a client and of a server.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use asyncz::Error;
use axum::{Router, body::Body, routing::get};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream},
    net::{TcpListener, TcpStream},
    sync::{Notify, oneshot},
    task::JoinHandle,
};

use super::fake::{Log, soon};

pub(crate) async fn bind() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    (listener, address)
}

/// Answers `/hello` at once and `/slow` when told to; `/stuck` never. Each request is written down.
pub(crate) fn app(log: &Log, slow: &Arc<Notify>) -> Router {
    let (hello, slow_log, stuck) = (log.clone(), log.clone(), log.clone());
    let slow = Arc::clone(slow);
    Router::new()
        .route(
            "/hello",
            get(async move || {
                hello.push("request");
                "hello"
            }),
        )
        .route(
            "/slow",
            get(async move || {
                slow_log.push("request");
                slow.notified().await;
                slow_log.push("answer");
                "slow"
            }),
        )
        .route(
            "/stuck",
            get(async move || {
                stuck.push("request");
                std::future::pending::<&str>().await
            }),
        )
        .route("/stream", get(async || Body::from_stream(Endless(false))))
}

pub(crate) fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").into_bytes()
}

/// Asks on a connection of its own, in the background; what comes is all that comes.
pub(crate) fn ask(address: SocketAddr, path: &str) -> JoinHandle<String> {
    let request = request(path);
    tokio::spawn(async move {
        let stream = TcpStream::connect(address).await.expect("the port is open");
        talk(stream, &request).await
    })
}

pub(crate) async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> String {
    let mut answer = Vec::new();
    // A reset is an answer too: none.
    _ = stream.write_all(request).await;
    _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).expect("text")
}

/// One chunk, and then no end.
pub(crate) struct Endless(pub(crate) bool);

impl futures_core::Stream for Endless {
    type Item = Result<String, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok("first".to_owned())))
    }
}

/// A listener that breaks at its first connection, or when something has come to be.
pub(crate) struct Broken(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Broken {
    pub(crate) fn now() -> Self {
        Self::when(async {})
    }

    pub(crate) fn when(has_come: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Box::pin(has_come))
    }
}

impl axum::serve::Listener for Broken {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        self.0.as_mut().await;
        panic!("the listener broke")
    }

    fn local_addr(&self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A signal to give, and the future that hears it.
pub(crate) fn signal() -> (oneshot::Sender<()>, impl Future<Output = ()> + Send + 'static) {
    let (give, hear) = oneshot::channel();
    (give, async move { hear.await.expect("the test holds the sender") })
}

pub(crate) async fn joined(server: JoinHandle<Result<(), Error>>) -> Result<(), Error> {
    soon(server).await.expect("no panic")
}
