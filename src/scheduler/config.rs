//! The plug between a scheduler and an application's life.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::Error;

/// Kubernetes kills 30 s after its signal: this leaves 5 for cancelling, closing and leaving.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(25);

/// Starts a scheduler with an application and stops it with it.
///
/// [`AsynczConfig`](crate::AsynczConfig) is the built-in implementation; implement it yourself to plug in any other
/// scheduler. [`start`](Self::start) and [`shutdown`](Self::shutdown) are all that it takes. The other methods are
/// steps on the way out, for a scheduler that can stop in steps; each does nothing unless you write it:
///
/// 1. [`stop_claiming`](Self::stop_claiming), at the signal to stop, while requests are still being answered;
/// 2. [`drain`](Self::drain), when the last request has been answered;
/// 3. [`cancel_runs`](Self::cancel_runs), only if 1 and 2 took longer than [`drain_timeout`](Self::drain_timeout),
///    or were cut short;
/// 4. [`shutdown`](Self::shutdown), always, and once.
///
/// ```
/// use asyncz::{Error, Lifespan, SchedulerConfig, async_trait};
/// use std::sync::{Arc, Mutex};
///
/// struct Mine(Arc<Mutex<Vec<&'static str>>>);
///
/// #[async_trait]
/// impl SchedulerConfig for Mine {
///     async fn start(&self) -> Result<(), Error> {
///         self.0.lock().map_err(|e| Error::other(e.to_string()))?.push("started");
///         Ok(())
///     }
///
///     async fn shutdown(&self) -> Result<(), Error> {
///         self.0.lock().map_err(|e| Error::other(e.to_string()))?.push("stopped");
///         Ok(())
///     }
/// }
///
/// # #[tokio::main] async fn main() -> Result<(), Error> {
/// let seen = Arc::default();
/// let lifespan = Lifespan::start(Mine(Arc::clone(&seen))).await?;
/// lifespan.shutdown().await?;
/// assert_eq!(*seen.lock().unwrap(), ["started", "stopped"]);
/// # Ok(()) }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no scheduler configuration",
    note = "use `asyncz::AsynczConfig`, or implement `start` and `shutdown` of `asyncz::SchedulerConfig`"
)]
#[async_trait]
pub trait SchedulerConfig: Send + Sync + 'static {
    /// Starts the scheduler. It runs before the first request is answered, and an error here ends the application.
    ///
    /// # Errors
    ///
    /// Whatever keeps the scheduler from running; [`Error::other`] wraps an error of your own. A start that failed
    /// gets no [`shutdown`](Self::shutdown), so it leaves nothing behind.
    ///
    /// # Cancel safety
    ///
    /// A signal to stop that arrives meanwhile drops the future; `shutdown` follows then, as it does after a panic.
    async fn start(&self) -> Result<(), Error>;

    /// Stops the scheduler. It runs once, on every way out of the application: after the steps before it, after
    /// a server that failed, after a panic, after a start that was cut short.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; on a scheduler that never started it is `Ok`.
    ///
    /// # Cancel safety
    ///
    /// The future is never dropped half-way while the runtime lives: whoever stops waiting for it leaves it to
    /// finish in the background.
    async fn shutdown(&self) -> Result<(), Error>;

    /// Lets no new run begin by the schedule from here on; those that run go on.
    ///
    /// Called at the signal to stop, before the server is told. Whether it has returned or not, requests drain.
    async fn stop_claiming(&self) {}

    /// Waits until no run is left.
    ///
    /// Called after the last request, so that runs which a request started are waited for too. It only waits:
    /// what runs has been going on beside the requests, and the one [`drain_timeout`](Self::drain_timeout) holds
    /// for both. Dropped when that is over.
    async fn drain(&self) {}

    /// Tells what still runs to end, and ends it if it does not: the draining took too long or a second signal came,
    /// or there was none because of a panic, a dropped future, or a start that was cut short. It may have nothing to
    /// end.
    ///
    /// At Kubernetes' default about 5 s remain, for this and `shutdown`: it is dropped after 3 s.
    async fn cancel_runs(&self) {}

    /// How long requests and runs together may take to end after the signal to stop: 25 s unless you say otherwise.
    ///
    /// Too long, and whoever stops the process kills it before [`shutdown`](Self::shutdown) has run.
    fn drain_timeout(&self) -> Duration {
        DRAIN_TIMEOUT
    }
}

/// All of the trait by the value behind a pointer, so that no step is lost in a `Box<dyn SchedulerConfig>`.
macro_rules! forward {
    ($pointer:ident) => {
        #[async_trait]
        impl<C: SchedulerConfig + ?Sized> SchedulerConfig for $pointer<C> {
            async fn start(&self) -> Result<(), Error> {
                (**self).start().await
            }

            async fn shutdown(&self) -> Result<(), Error> {
                (**self).shutdown().await
            }

            async fn stop_claiming(&self) {
                (**self).stop_claiming().await;
            }

            async fn drain(&self) {
                (**self).drain().await;
            }

            async fn cancel_runs(&self) {
                (**self).cancel_runs().await;
            }

            fn drain_timeout(&self) -> Duration {
                (**self).drain_timeout()
            }
        }
    };
}

forward!(Box);
forward!(Arc);

/// `None` starts nothing.
#[async_trait]
impl<C: SchedulerConfig> SchedulerConfig for Option<C> {
    async fn start(&self) -> Result<(), Error> {
        match self {
            Some(config) => config.start().await,
            None => Ok(()),
        }
    }

    async fn shutdown(&self) -> Result<(), Error> {
        match self {
            Some(config) => config.shutdown().await,
            None => Ok(()),
        }
    }

    async fn stop_claiming(&self) {
        if let Some(config) = self {
            config.stop_claiming().await;
        }
    }

    async fn drain(&self) {
        if let Some(config) = self {
            config.drain().await;
        }
    }

    async fn cancel_runs(&self) {
        if let Some(config) = self {
            config.cancel_runs().await;
        }
    }

    fn drain_timeout(&self) -> Duration {
        self.as_ref().map_or(DRAIN_TIMEOUT, SchedulerConfig::drain_timeout)
    }
}
