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
}
