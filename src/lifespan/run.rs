//! The order of an application's life: start, serve, drain, shut down.

use std::{io, panic, pin::Pin, sync::Arc, thread};

use tokio::{sync::oneshot, time::timeout};

use super::{
    Lifespan,
    ending::{self, Ended, caught},
    stop::Stop,
};
use crate::{Error, SchedulerConfig};

/// Ends when the server shall stop accepting, or when nobody is left to tell it.
pub(super) type Told = oneshot::Receiver<()>;

/// Whether a scheduler runs at all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Switch {
    On,
    Off,
}

/// A server that has not begun.
///
/// Boxed, so that the order below is compiled once and not for every listener.
pub(super) type Serve = Box<dyn FnOnce(Told) -> Serving + Send>;
pub(super) type Serving = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// Serves with the scheduler running. The server is dropped before anything is cancelled.
pub(super) async fn run(
    config: Arc<dyn SchedulerConfig>,
    switch: Switch,
    mut stop: Stop,
    serve: Serve,
) -> Result<(), Error> {
    let mut lifespan = Lifespan::new(config);
    let lived = caught(live(&mut lifespan, switch, &mut stop, serve)).await;

    let mut ending = lifespan.end();
    let ended = tokio::select! {
        biased;
        ended = &mut ending => ended,
        () = stop.third() => {
            tracing::warn!("a third signal: not waiting for the scheduler to shut down");
            Ok(Err(Error::ShutdownCutShort))
        }
    };
    settle(lived, ended)
}

async fn live(lifespan: &mut Lifespan, switch: Switch, stop: &mut Stop, serve: Serve) -> Result<(), Error> {
    if switch == Switch::On {
        tokio::select! {
            biased;
            started = lifespan.begin() => started?,
            () = stop.next() => {
                tracing::info!("told to stop before the scheduler had started");
                return Ok(());
            }
        }
    }

    let (tell, told) = oneshot::channel();
    let mut server = serve(told);
    let mut served = tokio::select! {
        biased;
        served = &mut server => Some(served),
        () = stop.next() => None,
    };

    let limit = lifespan.drain_timeout();
    let drained = timeout(limit, async {
        let drain = async {
            let requests = async {
                drop(tell);
                if served.is_none() {
                    served = Some(server.await);
                }
            };
            // Together, the scheduler first: it claims nothing more, and if it hangs, requests end all the same.
            tokio::join!(biased; lifespan.stop_claiming(), requests);
            lifespan.drain().await;
        };
        tokio::select! {
            biased;
            () = drain => {}
            () = stop.next() => tracing::warn!("a further signal: cancelling what still runs"),
        }
    });
    if drained.await.is_err() {
        tracing::warn!(
            ?limit,
            "requests or tasks still run at the end of the drain timeout: cancelling them"
        );
    }
    served.unwrap_or(Ok(())).map_err(Error::Serve)
}

/// One outcome out of two: a panic over an error, and the earlier over the later, which is logged.
fn settle(lived: thread::Result<Result<(), Error>>, ended: Ended) -> Result<(), Error> {
    match (lived, ended) {
        (Ok(Ok(())), Ok(ended)) => ended,
        (Ok(lived), Err(payload)) => {
            if let Err(error) = lived {
                tracing::error!(error = &error as &dyn std::error::Error, "the application ends in a panic");
            }
            panic::resume_unwind(payload)
        }
        (Ok(Err(error)), ended) => {
            ending::log(ended);
            Err(error)
        }
        (Err(payload), ended) => {
            ending::log(ended);
            panic::resume_unwind(payload)
        }
    }
}

// Here, not in `tests/`: the servers of axum 0.8 can't fail, so that no test through the public door would see it.
#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::atomic::{AtomicBool, Ordering},
    };

    use super::*;

    #[derive(Default)]
    struct Fake {
        down: AtomicBool,
        fails: bool,
    }

    #[crate::async_trait]
    impl SchedulerConfig for Fake {
        async fn start(&self) -> Result<(), Error> {
            Ok(())
        }

        async fn shutdown(&self) -> Result<(), Error> {
            self.down.store(true, Ordering::SeqCst);
            if self.fails { Err(Error::other("the shutdown failed too")) } else { Ok(()) }
        }
    }

    async fn fail_with(fake: Arc<Fake>) -> Result<(), Error> {
        let serve: Serve = Box::new(|_| Box::pin(async { Err(io::Error::other("the port is gone")) }));
        run(fake, Switch::On, Stop::given(Box::pin(pending())), serve).await
    }

    #[tokio::test]
    async fn a_failed_server_is_shut_down() {
        let fake = Arc::new(Fake::default());

        let error = fail_with(Arc::clone(&fake)).await.expect_err("the server failed");

        assert!(matches!(error, Error::Serve(_)), "{error:?}");
        assert!(fake.down.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn the_servers_error_wins_over_that_of_shutdown() {
        let fake = Arc::new(Fake { fails: true, ..Fake::default() });

        let error = fail_with(Arc::clone(&fake)).await.expect_err("the server failed");

        assert!(matches!(error, Error::Serve(_)), "{error:?}");
        assert!(fake.down.load(Ordering::SeqCst));
    }
}
