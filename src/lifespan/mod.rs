//! The plug: a scheduler that lives as long as its application.

mod ending;
#[cfg(feature = "axum")]
mod extract;
#[cfg(feature = "axum")]
mod run;
#[cfg(feature = "axum")]
mod serve;
#[cfg(feature = "axum")]
mod stop;

use std::{fmt, panic, sync::Arc, time::Duration};

use tokio::{runtime::Handle, time::timeout};

use self::ending::{Ending, caught};
use crate::{Error, SchedulerConfig, Settings, scheduler::chosen};

#[cfg(feature = "axum")]
pub use self::serve::{ServeExt, WithScheduler};

/// Runs are aborted 2 s after they were told; who takes longer shall not keep `shutdown` from running.
const CANCEL_LIMIT: Duration = Duration::from_secs(3);

/// A running scheduler, for programs without axum's server: other frameworks, workers, command lines.
///
/// With axum, [`ServeExt`](crate::ServeExt) does all this. `Lifespan` is for the rest, and for an axum application
/// whose port must not open before its scheduler runs: start first, then bind.
///
/// Dropped without [`shutdown`](Self::shutdown), it spawns one on the runtime it was started on, without draining.
///
/// ```no_run
/// # use asyncz::{Error, Lifespan, SchedulerConfig};
/// # async fn work() {}
/// # async fn worker(config: impl SchedulerConfig) -> Result<(), Error> {
/// let lifespan = Lifespan::start(config).await?;
/// work().await;
/// lifespan.shutdown().await?;
/// # Ok(()) }
/// ```
#[must_use = "the scheduler is shut down when its lifespan is dropped"]
pub struct Lifespan {
    config: Arc<dyn SchedulerConfig>,
    stage: Stage,
    /// Where a shutdown can still be spawned when the drop happens on a thread without a runtime.
    runtime: Option<Handle>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// Nothing to shut down.
    Down,
    /// Started, or in the middle of it.
    Up,
    /// Claims nothing and runs nothing.
    Drained,
}

impl Lifespan {
    /// Starts the scheduler.
    ///
    /// # Errors
    ///
    /// What [`SchedulerConfig::start`] said; there is nothing to shut down then.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, it spawns the shutdown. A panic in `start` is shut down and resumed.
    pub async fn start(config: impl SchedulerConfig) -> Result<Self, Error> {
        let mut lifespan = Self::new(Arc::new(config));
        match caught(lifespan.begin()).await {
            Ok(started) => started.map(|()| lifespan),
            Err(payload) => {
                ending::log(lifespan.end().await);
                panic::resume_unwind(payload)
            }
        }
    }

    /// Starts the scheduler that the settings name, or none where they disable it.
    ///
    /// # Errors
    ///
    /// [`Error::ImproperlyConfigured`] where they enable it without naming one; otherwise as [`start`](Self::start).
    pub async fn start_with_settings(settings: &(impl Settings + ?Sized)) -> Result<Self, Error> {
        // Not held over the await: settings need not be `Send` for the future to be.
        let config = chosen(settings);
        Self::start(config?).await
    }

    /// Stops the scheduler: it claims nothing more, what runs may end within
    /// [`drain_timeout`](SchedulerConfig::drain_timeout), what still runs then is cancelled.
    ///
    /// # Errors
    ///
    /// What [`SchedulerConfig::shutdown`] said.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it drains, it cancels and shuts down in the background; dropped later, the rest happens there.
    pub async fn shutdown(mut self) -> Result<(), Error> {
        let limit = self.drain_timeout();
        let draining = async {
            self.stop_claiming().await;
            self.drain().await;
        };
        let drained = caught(async { timeout(limit, draining).await }).await;
        if let Ok(Err(_)) = drained {
            tracing::warn!(?limit, "tasks still run at the end of the drain timeout: cancelling them");
        }
        let ended = self.end().await;
        match drained {
            Ok(_) => ended.unwrap_or_else(|payload| panic::resume_unwind(payload)),
            Err(payload) => {
                ending::log(ended);
                panic::resume_unwind(payload)
            }
        }
    }

    fn new(config: Arc<dyn SchedulerConfig>) -> Self {
        Self { config, stage: Stage::Down, runtime: Handle::try_current().ok() }
    }

    async fn begin(&mut self) -> Result<(), Error> {
        // Up before it is: a start that is dropped or panics may have left something behind.
        self.stage = Stage::Up;
        let started = self.config.start().await;
        if started.is_err() {
            self.stage = Stage::Down;
        }
        started
    }

    fn drain_timeout(&self) -> Duration {
        self.config.drain_timeout()
    }

    async fn stop_claiming(&self) {
        if self.stage == Stage::Up {
            self.config.stop_claiming().await;
        }
    }

    async fn drain(&mut self) {
        if self.stage == Stage::Up {
            self.config.drain().await;
            self.stage = Stage::Drained;
        }
    }

    /// What is left to do from where we are.
    fn end(&mut self) -> Ending {
        let config = Arc::clone(&self.config);
        let runtime = self.runtime.clone();
        match std::mem::replace(&mut self.stage, Stage::Down) {
            Stage::Down => Ending::nothing(),
            Stage::Up => Ending::new(runtime, async move {
                let cancelled = caught(async { timeout(CANCEL_LIMIT, config.cancel_runs()).await }).await;
                if let Ok(Err(_)) = cancelled {
                    tracing::warn!("cancelling takes longer than {CANCEL_LIMIT:?}: shutting down");
                }
                let ended = caught(async { config.shutdown().await }).await;
                cancelled.and(ended)
            }),
            Stage::Drained => {
                Ending::new(runtime, async move { caught(async { config.shutdown().await }).await })
            }
        }
    }
}

impl Drop for Lifespan {
    fn drop(&mut self) {
        // An `Ending` that nobody awaits spawns itself.
        drop(self.end());
    }
}

impl fmt::Debug for Lifespan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifespan").field("stage", &self.stage).finish_non_exhaustive()
    }
}
