//! What can go wrong, grouped by what a caller can do about it.

use crate::TaskId;

/// Everything that asyncz tells a caller has gone wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No task has this id.
    #[error("there is no task `{id}`")]
    TaskNotFound {
        /// The id that was asked for.
        id: TaskId,
    },

    /// A trigger that can't be: a wrong expression, zone, duration or date, or fields that exclude each other.
    ///
    /// The message names the field, quotes the value and says what to write instead.
    #[error("{message}")]
    InvalidTrigger {
        /// Which field, which value, and what to write instead.
        message: String,
    },

    /// A configuration that can't work; the message says what is missing or wrong.
    #[error("{0}")]
    ImproperlyConfigured(String),

    /// The listener or the server failed.
    #[error("the server failed")]
    Serve(#[source] std::io::Error),

    /// The process can't listen for SIGINT and SIGTERM.
    #[error("signals can't be heard; give `.shutdown_signal(future)` to stop by something else")]
    Signal(#[source] std::io::Error),

    /// A third signal came while `shutdown` was running, which goes on in the background until the process ends.
    #[error("a third signal came before the scheduler had shut down")]
    ShutdownCutShort,

    /// A scheduler of your own failed; made by [`Error::other`].
    #[error("the scheduler failed")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Wraps an error of your own, for a [`SchedulerConfig`](crate::SchedulerConfig) of your own.
    ///
    /// ```
    /// let error = asyncz::Error::other("the queue is gone");
    /// assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the queue is gone");
    /// ```
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }
}
