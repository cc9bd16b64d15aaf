//! Tell: what happens, for those who listen.

mod bus;

use chrono::{DateTime, Utc};
use serde_json::Value;
use std::sync::Arc;

use crate::task::{RunId, TaskId};

pub(crate) use bus::Bus;
pub use bus::{EventStream, ListenerId};

bitflags::bitflags! {
    /// A set of kinds of events, combined with `|`. The names and values are Asyncz's; those above `TASK_MAX_INSTANCES`
    /// are ours.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct EventMask: u32 {
        /// The scheduler has started.
        const SCHEDULER_START = 1;
        /// The scheduler has stopped.
        const SCHEDULER_SHUTDOWN = 2;
        /// The scheduler decides nothing until it is resumed.
        const SCHEDULER_PAUSED = 4;
        /// The scheduler decides again.
        const SCHEDULER_RESUMED = 8;
        /// An executor was added.
        const EXECUTOR_ADDED = 16;
        /// An executor was removed.
        const EXECUTOR_REMOVED = 32;
        /// A store was added.
        const STORE_ADDED = 64;
        /// A store was removed.
        const STORE_REMOVED = 128;
        /// All tasks were removed, of one store or of all.
        const ALL_TASKS_REMOVED = 256;
        /// A task was added.
        const TASK_ADDED = 512;
        /// A task was removed: by hand, or because its trigger has nothing left.
        const TASK_REMOVED = 1024;
        /// A task was changed, paused or resumed.
        const TASK_MODIFIED = 2048;
        /// A run ended well.
        const TASK_EXECUTED = 4096;
        /// A run ended with an error or a panic.
        const TASK_ERROR = 8192;
        /// Occurrences were decided too late to run.
        const TASK_MISSED = 16384;
        /// A run was handed to its executor.
        const TASK_SUBMITTED = 32768;
        /// An occurrence was skipped: `max_instances` runs were going on.
        const TASK_MAX_INSTANCES = 65536;
        /// A run was cancelled.
        const TASK_CANCELLED = 1 << 17;
        /// A run did not end when it was aborted.
        const TASK_LOST = 1 << 18;
        /// A run failed and is tried again.
        const TASK_RETRIED = 1 << 19;
        /// Occurrences gave way to a later one.
        const TASK_COALESCED = 1 << 20;
        /// A store could not do what it was asked; it is asked again.
        const STORE_ERROR = 1 << 21;
        /// The listener was too slow: this many events were not told to it. Every listener is told of this.
        const EVENTS_LOST = 1 << 22;
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// What: one of the flags.
    pub kind: EventMask,
    /// When.
    pub at: DateTime<Utc>,
    /// The alias of the store or the executor that it is about.
    pub alias: Option<Arc<str>>,
    /// The task.
    pub task_id: Option<TaskId>,
    /// The run.
    pub run_id: Option<RunId>,
    /// When the occurrence was due; where it is about several, the latest.
    pub scheduled_at: Option<DateTime<Utc>>,
    /// How many occurrences (or, for `EVENTS_LOST`, events) it is about.
    pub count: u64,
    /// What the handler returned.
    pub value: Option<Value>,
    /// What went wrong.
    pub error: Option<String>,
}

impl Event {
    pub(crate) fn new(kind: EventMask, at: DateTime<Utc>) -> Self {
        Self {
            kind,
            at,
            alias: None,
            task_id: None,
            run_id: None,
            scheduled_at: None,
            count: 1,
            value: None,
            error: None,
        }
    }

    pub(crate) fn alias(self, alias: &Arc<str>) -> Self {
        Self { alias: Some(alias.clone()), ..self }
    }

    pub(crate) fn task(self, id: &TaskId) -> Self {
        Self { task_id: Some(id.clone()), ..self }
    }

    pub(crate) fn run(self, id: RunId, due: DateTime<Utc>) -> Self {
        Self { run_id: Some(id), scheduled_at: Some(due), ..self }
    }

    pub(crate) fn error(self, error: impl Into<String>) -> Self {
        Self { error: Some(error.into()), ..self }
    }
}
