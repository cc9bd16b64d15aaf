//! What is worth a line for people.

use tracing::Level;

use super::shared::Shared;
use crate::events::{Event, EventMask};
use crate::log::{self, Line, Target};

impl Shared {
    /// Tells an event in words.
    pub(super) fn log(&self, event: &Event) {
        let (level, message) = words(event.kind);
        let name = self.setup().logger_name.clone();
        let (scheduler, alias) = (name.as_deref(), event.alias.as_deref());
        let target = match (event.kind, alias) {
            (EventMask::STORE_ADDED | EventMask::STORE_REMOVED | EventMask::STORE_ERROR, Some(alias)) => {
                Target::Store(alias)
            }
            (EventMask::EXECUTOR_ADDED | EventMask::EXECUTOR_REMOVED, Some(alias)) => Target::Executor(alias),
            _ => Target::Scheduler(scheduler),
        };
        let store = alias.filter(|_| !matches!(target, Target::Executor(_)));
        let line = Line {
            scheduler,
            store,
            task: event.task_id.as_ref().map(|id| id as _),
            run: event.run_id.as_ref().map(|id| id as _),
            // Most are about one thing, and say so by themselves.
            count: Some(event.count).filter(|count| *count != 1),
            error: event.error.as_ref().map(|error| error as _),
        };
        log::tell(level, target, message, line);
    }

    /// Tells a line about something that is no event.
    pub(super) fn log_line(&self, level: Level, target: Target<'_>, message: &str, line: Line<'_>) {
        let name = self.setup().logger_name.clone();
        log::tell(level, target, message, Line { scheduler: name.as_deref(), ..line });
    }

    /// Whether somebody hears of each run in the log.
    pub(super) fn logs_runs(&self) -> bool {
        // Asked for often, and nearly always none does.
        if Level::DEBUG > tracing::level_filters::LevelFilter::current() {
            return false;
        }
        let name = self.setup().logger_name.clone();
        log::is_heard(Level::DEBUG, Target::Scheduler(name.as_deref()))
    }
}

/// The kinds that are told above DEBUG, and those that are rare: they may be heard under another target than the scheduler's.
pub(super) const ABOVE_DEBUG: EventMask = EventMask::TASK_RETRIED
    .union(EventMask::TASK_ERROR)
    .union(EventMask::TASK_LOST)
    .union(EventMask::TASK_MISSED)
    .union(EventMask::TASK_MAX_INSTANCES)
    .union(EventMask::STORE_ERROR)
    .union(EventMask::STORE_ADDED)
    .union(EventMask::STORE_REMOVED)
    .union(EventMask::EXECUTOR_ADDED)
    .union(EventMask::EXECUTOR_REMOVED)
    .union(EventMask::SCHEDULER_START)
    .union(EventMask::SCHEDULER_SHUTDOWN)
    .union(EventMask::SCHEDULER_PAUSED)
    .union(EventMask::SCHEDULER_RESUMED);

fn words(kind: EventMask) -> (Level, &'static str) {
    match kind {
        EventMask::SCHEDULER_START => (Level::INFO, "scheduler started"),
        EventMask::SCHEDULER_SHUTDOWN => (Level::INFO, "scheduler stopped"),
        EventMask::SCHEDULER_PAUSED => (Level::INFO, "scheduler paused"),
        EventMask::SCHEDULER_RESUMED => (Level::INFO, "scheduler resumed"),
        EventMask::EXECUTOR_ADDED => (Level::DEBUG, "executor added"),
        EventMask::EXECUTOR_REMOVED => (Level::DEBUG, "executor removed"),
        EventMask::STORE_ADDED => (Level::DEBUG, "store added"),
        EventMask::STORE_REMOVED => (Level::DEBUG, "store removed"),
        EventMask::STORE_ERROR => (Level::ERROR, "store failed, asking again later"),
        EventMask::ALL_TASKS_REMOVED => (Level::DEBUG, "all tasks removed"),
        EventMask::TASK_ADDED => (Level::DEBUG, "task added"),
        EventMask::TASK_REMOVED => (Level::DEBUG, "task removed"),
        EventMask::TASK_MODIFIED => (Level::DEBUG, "task changed"),
        EventMask::TASK_SUBMITTED => (Level::DEBUG, "run submitted"),
        EventMask::TASK_EXECUTED => (Level::DEBUG, "run succeeded"),
        EventMask::TASK_COALESCED => (Level::DEBUG, "occurrence coalesced into a later one"),
        EventMask::TASK_CANCELLED => (Level::DEBUG, "run cancelled"),
        EventMask::TASK_MISSED => (Level::WARN, "occurrence missed"),
        EventMask::TASK_MAX_INSTANCES => (Level::WARN, "occurrence skipped"),
        EventMask::TASK_RETRIED => (Level::WARN, "run failed, trying again"),
        EventMask::TASK_ERROR => (Level::ERROR, "run failed"),
        EventMask::TASK_LOST => (Level::ERROR, "run lost"),
        _ => (Level::DEBUG, "something happened"),
    }
}
