//! Tasks as users see them.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::Trigger;
use crate::task::{Handlers, Rules, TaskId, TaskRecord};

/// A task as it was when it was asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskSnapshot {
    /// Unique in its store.
    pub id: TaskId,
    /// A description; the handler's name unless given.
    pub name: Arc<str>,
    /// The handler's name: `module_path::function`.
    pub handler: Arc<str>,
    /// When the task runs; as text in plain words.
    pub trigger: Arc<dyn Trigger>,
    /// What the handler's `Args` are read from.
    pub args: Value,
    /// The store's alias.
    pub store: Arc<str>,
    /// The executor's alias.
    pub executor: Arc<str>,
    /// How its due occurrences become runs.
    pub rules: Rules,
    /// Where it stands.
    pub state: TaskState,
    /// When it runs next; `None` while it is paused or at its end.
    pub next_run_time: Option<DateTime<Utc>>,
    /// How many runs of it are going on.
    pub running: u32,
    /// How many triggers it has had before this one.
    pub generation: u32,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskState {
    /// It waits for the scheduler's start.
    Pending,
    /// It runs when it is due.
    Scheduled,
    /// It runs by hand only.
    Paused,
    /// Its trigger has nothing left; it goes with its last run.
    Ending,
    /// Its handler is not in this program: it is kept, and another scheduler that has the handler may run it.
    Orphaned,
}

impl TaskState {
    /// The state in one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Scheduled => "scheduled",
            Self::Paused => "paused",
            Self::Ending => "ending",
            Self::Orphaned => "orphaned",
        }
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TaskSnapshot {
    pub(super) fn new(store: Arc<str>, record: &TaskRecord, handlers: &Handlers) -> Self {
        let TaskRecord { definition, schedule, .. } = record;
        let state = match (schedule.paused, schedule.ended) {
            _ if !handlers.has(&definition.handler) => TaskState::Orphaned,
            (true, _) => TaskState::Paused,
            (false, true) => TaskState::Ending,
            (false, false) => TaskState::Scheduled,
        };
        Self {
            id: definition.id.clone(),
            name: definition.name.clone(),
            handler: definition.handler.clone(),
            trigger: definition.trigger.clone(),
            args: definition.args().clone(),
            store,
            executor: definition.executor.clone(),
            rules: (*definition.rules).clone(),
            state,
            next_run_time: schedule.next_run_time,
            running: schedule.running,
            generation: schedule.generation,
        }
    }

    pub(super) fn pending(store: Arc<str>, record: &TaskRecord) -> Self {
        Self { state: TaskState::Pending, ..Self::new(store, record, &Handlers::default()) }
    }
}

/// Which tasks to give, and in which order. All of them by id unless said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskFilter {
    state: Option<TaskState>,
    executor: Option<String>,
    trigger: Option<String>,
    text: Option<String>,
    sort: TaskSort,
    offset: usize,
    limit: Option<usize>,
}

/// An order of tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskSort {
    /// By id.
    #[default]
    Id,
    /// By name, then by id.
    Name,
    /// The next to run first; those that don't run last.
    NextRunTime,
}

impl TaskFilter {
    /// All tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only tasks in this state.
    #[must_use]
    pub fn state(mut self, state: TaskState) -> Self {
        self.state = Some(state);
        self
    }

    /// Only tasks of this executor, by its alias.
    #[must_use]
    pub fn executor(mut self, alias: impl Into<String>) -> Self {
        self.executor = Some(alias.into());
        self
    }

    /// Only tasks whose trigger is of this type, as in JSON: `cron`, `interval`, `date` …
    #[must_use]
    pub fn trigger(mut self, type_name: impl Into<String>) -> Self {
        self.trigger = Some(type_name.into());
        self
    }

    /// Only tasks whose id, name or handler contains this text, in either case.
    #[must_use]
    pub fn text(mut self, text: impl AsRef<str>) -> Self {
        self.text = Some(text.as_ref().to_lowercase());
        self
    }

    /// In this order.
    #[must_use]
    pub fn sort(mut self, sort: TaskSort) -> Self {
        self.sort = sort;
        self
    }

    /// Without the first so many.
    #[must_use]
    pub fn offset(mut self, tasks: usize) -> Self {
        self.offset = tasks;
        self
    }

    /// At most so many.
    #[must_use]
    pub fn limit(mut self, tasks: usize) -> Self {
        self.limit = Some(tasks);
        self
    }

    pub(super) fn choose(&self, mut tasks: Vec<TaskSnapshot>) -> Vec<TaskSnapshot> {
        tasks.retain(|task| self.matches(task));
        match self.sort {
            TaskSort::Id => tasks.sort_by(|a, b| a.id.cmp(&b.id)),
            TaskSort::Name => tasks.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id))),
            TaskSort::NextRunTime => {
                tasks.sort_by_key(|task| (task.next_run_time.is_none(), task.next_run_time, task.id.clone()));
            }
        }
        tasks.into_iter().skip(self.offset).take(self.limit.unwrap_or(usize::MAX)).collect()
    }

    fn matches(&self, task: &TaskSnapshot) -> bool {
        let contains = |field: &str, text: &str| field.to_lowercase().contains(text);
        self.state.is_none_or(|state| state == task.state)
            && self.executor.as_ref().is_none_or(|alias| **alias == *task.executor)
            && self.trigger.as_ref().is_none_or(|name| name == task.trigger.typetag_name())
            && self.text.as_ref().is_none_or(|text| {
                contains(task.id.as_str(), text)
                    || contains(&task.name, text)
                    || contains(&task.handler, text)
            })
    }
}
