//! A scheduler that runs as long as a value lives.

use std::mem;

use super::{Scheduler, Shutdown};
use crate::Error;

/// A start that is ended by [`shutdown`](Self::shutdown), or else when this is dropped; from [`Scheduler::scope`].
///
/// Dropped without a shutdown (an early `?`, a panic), it is a [`Shutdown::Now`] that nobody waits for: runs are told to
/// stop, and aborted 2 s later.
#[must_use = "the scheduler is shut down when its scope is dropped"]
#[derive(Debug)]
pub struct Scope {
    scheduler: Scheduler,
    is_open: bool,
}

impl Scheduler {
    /// Starts, until the scope that is returned ends: counted as [`start`](Self::start) and
    /// [`shutdown`](Self::shutdown).
    ///
    /// ```
    /// use asyncz::{AsynczConfig, Task};
    ///
    /// async fn clean_up() {}
    ///
    /// # #[tokio::main] async fn main() -> Result<(), asyncz::Error> {
    /// let scheduler = AsynczConfig::new().without_registry().scheduler();
    /// let scope = scheduler.scope().await?;
    /// scheduler.add_task(Task::from_fn("clean_up", clean_up)).await?;
    /// scope.shutdown().await?;
    /// assert!(!scheduler.running());
    /// # Ok(()) }
    /// ```
    ///
    /// Dropping the future ends what was started.
    ///
    /// # Errors
    /// As `start`.
    pub async fn scope(&self) -> Result<Scope, Error> {
        self.start().await?;
        Ok(Scope { scheduler: self.clone(), is_open: true })
    }
}

impl Scope {
    /// Ends the scope as [`Scheduler::stop`] does: runs that are going on come to their end, however long that takes.
    ///
    /// Dropping the future does not stop the stopping; one that is dropped before it was polled is a dropped scope.
    ///
    /// # Errors
    /// As [`Scheduler::shutdown`].
    pub async fn shutdown(mut self) -> Result<(), Error> {
        self.is_open = false;
        self.scheduler.stop().await
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        if mem::replace(&mut self.is_open, false) {
            self.scheduler.shared.shutdown_unheard(Shutdown::Now);
        }
    }
}
