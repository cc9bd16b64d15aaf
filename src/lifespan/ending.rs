//! The last steps of a lifespan, which happen even when nobody waits for them.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::{Context, Poll},
    thread,
};

use tokio::runtime::Handle;

use crate::Error;

/// How the last steps went, a panic included.
pub(super) type Ended = thread::Result<Result<(), Error>>;

/// The last steps of a lifespan. Dropped before they are done, it spawns the rest.
///
/// Resumed, not called again: `shutdown` runs once, even if whoever waited for it went away in the middle.
pub(super) struct Ending {
    rest: Option<Pin<Box<dyn Future<Output = Ended> + Send>>>,
    runtime: Option<Handle>,
}

impl Ending {
    pub(super) fn new(runtime: Option<Handle>, steps: impl Future<Output = Ended> + Send + 'static) -> Self {
        Self { rest: Some(Box::pin(steps)), runtime }
    }

    pub(super) fn nothing() -> Self {
        Self { rest: None, runtime: None }
    }
}

impl Future for Ending {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended> {
        let Some(rest) = &mut self.rest else {
            return Poll::Ready(Ok(Ok(())));
        };
        let ended = rest.as_mut().poll(cx);
        if ended.is_ready() {
            self.rest = None;
        }
        ended
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let Some(rest) = self.rest.take() else {
            return;
        };
        // First the one it began on: what the scheduler opened may live there.
        let Some(runtime) = self.runtime.take().or_else(|| Handle::try_current().ok()) else {
            tracing::error!("the scheduler was not shut down: there is no runtime to do it on");
            return;
        };
        let unheard = Unheard;
        runtime.spawn(async move {
            let ended = rest.await;
            std::mem::forget(unheard);
            log(ended);
        });
    }
}

/// Tells of a spawned ending that the runtime dropped.
struct Unheard;

impl Drop for Unheard {
    fn drop(&mut self) {
        tracing::error!("the scheduler was not shut down: the runtime ended first");
    }
}

/// For an ending whose outcome nobody gets, as something worse is told, or nobody is left.
pub(super) fn log(ended: Ended) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the scheduler failed to shut down");
        }
        Err(_) => tracing::error!("the scheduler panicked while it shut down"),
    }
}

/// Waits for the future, or for its panic.
pub(super) async fn caught<F: Future>(future: F) -> thread::Result<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(payload) => Poll::Ready(Err(payload)),
    })
    .await
}
