//! What can go wrong, grouped by what a caller can do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::TaskId;
use crate::stores::StoreError;

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

    /// Several stores have a task of this id: ask one of them, with [`Scheduler::in_store`](crate::Scheduler::in_store).
    #[error("several stores have a task `{id}`: {}; say which with `in_store`", stores.join(", "))]
    Ambiguous {
        /// The id that was asked for.
        id: TaskId,
        /// The stores' aliases.
        stores: Vec<String>,
    },

    /// No entry of the history has this id.
    #[error("there is no run `{id}`")]
    RunNotFound {
        /// The id that was asked for.
        id: String,
    },

    /// The run is not its scheduler's any more: stop, and undo what can be undone.
    #[error(
        "run `{id}` of task `{task}` was taken over by another scheduler, as the lease of its own had lapsed"
    )]
    RunLost {
        /// The run.
        id: crate::task::RunId,
        /// Its task.
        task: crate::task::TaskId,
    },

    /// The id is taken: choose another, or replace the task with `replace_existing(true)`.
    #[error("store `{store}` has a task `{id}` already: choose another id, or say `replace_existing(true)`")]
    ConflictId {
        /// The id.
        id: TaskId,
        /// The store's alias.
        store: String,
    },

    /// The alias is taken: choose another, or remove the one that has it.
    #[error("there is {kind} `{alias}` already: choose another alias, or remove that one first")]
    AliasTaken {
        /// `a store` or `an executor`.
        kind: &'static str,
        /// The alias.
        alias: String,
    },

    /// The task's handler is not in this program, which so can't run it.
    #[error("task `{id}` can't be run here: its handler `{handler}` is not in this program")]
    HandlerNotFound {
        /// The task.
        id: TaskId,
        /// The handler's name.
        handler: String,
    },

    /// The task has as many runs going on as its `max_instances` allows.
    #[error("task `{id}` is not run now: {reason}")]
    MaxInstances {
        /// The task.
        id: TaskId,
        /// How many runs are going on, and how many may.
        reason: String,
    },

    /// The task's arguments are not what its handler takes.
    #[error("task {task}: {message}")]
    InvalidArguments {
        /// The task's id or handler, and where it is declared.
        task: String,
        /// Where in the arguments what is wrong.
        message: String,
    },

    /// An option of a task that can't be.
    #[error("task {task}: {message}")]
    InvalidTask {
        /// The task's id or handler, and where it is declared.
        task: String,
        /// Which option, which value, and what to write instead.
        message: String,
    },

    /// A trigger that can't be: a wrong expression, zone, duration or date, or fields that exclude each other.
    ///
    /// The message names the field, quotes the value and says what to write instead.
    #[error("{message}")]
    InvalidTrigger {
        /// Which field, which value, and what to write instead.
        message: String,
    },

    /// The configuration names no such store.
    #[error("there is no store `{alias}`; there are: {}", known.join(", "))]
    StoreNotFound {
        /// The alias that was asked for.
        alias: String,
        /// The aliases there are.
        known: Vec<String>,
    },

    /// The configuration names no such executor.
    #[error("there is no executor `{alias}`; there are: {}", known.join(", "))]
    ExecutorNotFound {
        /// The alias that was asked for.
        alias: String,
        /// The aliases there are.
        known: Vec<String>,
    },

    /// The scheduler is not running: start it first.
    #[error("the scheduler is not running")]
    NotRunning,

    /// The scheduler is running, and is set up only before its start or after its shutdown.
    #[error("the scheduler is running: it can be set up before its start or after its shutdown")]
    AlreadyRunning,

    /// A configuration of keys and values that can't be; everything that is wrong, at once. Nothing was set up.
    #[error("the configuration can't be used:{}", ListOf(problems))]
    Configuration {
        /// What is wrong.
        problems: Vec<StartProblem>,
    },

    /// A store's lock file can't be opened: look at its folder, and whether this process may write there.
    #[error("the lock file `{}` can't be opened", path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },

    /// There is no tokio runtime to run tasks on: start the scheduler in one, or give one with `AsynczConfig::runtime`.
    #[error(
        "there is no tokio runtime here: start the scheduler in one, or give it one with `AsynczConfig::runtime`"
    )]
    NoRuntime,

    /// The scheduler's own thread can't be had.
    #[error("the scheduler's thread can't be started")]
    NoThread(#[source] io::Error),

    /// What the scheduler was given does not fit together; everything that is wrong, at once.
    #[error("the scheduler can't start:{}", ListOf(problems))]
    Start {
        /// What is wrong.
        problems: Vec<StartProblem>,
    },

    /// The start took longer than [`AsynczConfig::start_timeout`](crate::AsynczConfig::start_timeout): a store or an
    /// executor does not answer.
    #[error("the scheduler did not start within {limit:?}: a store or an executor does not answer")]
    StartTimeout {
        /// How long it was allowed to take.
        limit: Duration,
    },

    /// What was to be imported can't be; everything that is wrong, at once. Nothing was imported.
    #[error("the tasks can't be imported:{}", ListOf(problems))]
    Import {
        /// What is wrong.
        problems: Vec<StartProblem>,
    },

    /// A store can't do what it was asked.
    #[error("store `{store}` failed")]
    Store {
        /// The store's alias.
        store: Arc<str>,
        /// What went wrong.
        source: StoreError,
    },

    /// A configuration that can't work; the message says what is missing or wrong.
    #[error("{0}")]
    ImproperlyConfigured(String),

    /// The listener or the server failed.
    #[error("the server failed")]
    Serve(#[source] io::Error),

    /// The process can't listen for SIGINT and SIGTERM.
    #[error("signals can't be heard; give `.shutdown_signal(future)` to stop by something else")]
    Signal(#[source] io::Error),

    /// A worker process can't reach the scheduler that has started it: that may be gone.
    #[cfg(feature = "process")]
    #[error("the worker process can't reach its scheduler")]
    Worker(#[source] io::Error),

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

/// One of the reasons why a scheduler can't start or be set up, or tasks can't be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartProblem {
    task: Option<String>,
    message: String,
}

impl StartProblem {
    pub(crate) fn new(task: String, message: String) -> Self {
        Self { task: Some(task), message }
    }

    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self { task: None, message: message.into() }
    }

    /// The task that it is about, and where that is declared.
    pub fn task(&self) -> Option<&str> {
        self.task.as_deref()
    }

    /// What is wrong, and what to do about it.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for StartProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.task {
            Some(task) => write!(f, "task {task}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

struct ListOf<'a>(&'a [StartProblem]);

impl fmt::Display for ListOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|problem| write!(f, "\n- {problem}"))
    }
}
