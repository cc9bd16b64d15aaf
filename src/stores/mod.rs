//! Claim: where tasks, their history and the decisions about them live.

mod agenda;
mod history;
mod memory;
mod shared;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;
use smallvec::SmallVec;

use crate::task::{
    Count, Handlers, Occurrence, RunId, RunRecord, RunStatus, Schedule, StoreKey, TaskDefinition, TaskId,
    TaskRecord, Waiting,
};

pub use memory::MemoryStore;

/// Where tasks and their history live, shared by any number of schedulers.
///
/// The promises that every store keeps:
/// - **a claim is won once**: of any number of racing schedulers exactly one gets each occurrence. Every claim, finish
///   and edit adds one to the task's [`version`](Schedule::version), and a claim that was planned from an older version
///   is [lost](ClaimOutcome::Lost);
/// - **a claim is one step**: its entries and the task's new schedule are written together or not at all;
/// - **an end is written once**: a finish that is asked again, as its answer was lost, changes nothing and says again whether
///   the run is tried again;
/// - **only what can be run is found**: tasks of handlers that a scheduler lacks are not due for it;
/// - **calls are batched**: one call serves many tasks, and each outcome stands at its request's place;
/// - **a record that can't be read stops nobody**: its neighbours are served, and it is kept.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Makes the store ready; called once before all else. It may be called again after [`shutdown`](Store::shutdown).
    async fn start(&self) -> Result<(), StoreError>;

    /// Lets go of what the store holds open. What is stored stays.
    async fn shutdown(&self) -> Result<(), StoreError>;

    /// Adds, replaces and deletes tasks.
    async fn put(&self, edits: &[Edit]) -> Result<Vec<EditOutcome>, StoreError>;

    /// The tasks of these ids, in their order; `None` for one that is not there.
    async fn load(&self, ids: &[TaskId]) -> Result<Vec<Option<TaskRecord>>, StoreError>;

    /// The tasks that a query asks for.
    async fn query(&self, query: Query) -> Result<Vec<TaskRecord>, StoreError>;

    /// Writes decisions, each only where nobody has changed the task since it was read.
    async fn claim(&self, claims: &[Claim]) -> Result<Vec<ClaimOutcome>, StoreError>;

    /// Writes how runs ended, and which are tried again, each in one step. A task that [is over](TaskRecord::is_over) with
    /// its last run is removed.
    async fn finish(&self, ends: &[Finish]) -> Result<Vec<FinishOutcome>, StoreError>;

    /// The earliest [`due_at`](TaskRecord::due_at) of all tasks that these handlers can run.
    async fn next_due(&self, handlers: &Handlers) -> Result<Option<DateTime<Utc>>, StoreError>;

    /// The history, newest first.
    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError>;

    /// How many tasks there are. A store that can count without reading them does.
    async fn count(&self) -> Result<usize, StoreError> {
        self.query(Query::All).await.map(|tasks| tasks.len())
    }

    /// The name of its type, for people.
    fn type_name(&self) -> &'static str {
        std::any::type_name::<Self>()
    }
}

/// A change to a task by its owner.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Adds a task whose id nobody has.
    Insert(TaskRecord),
    /// Replaces a task whose version is one less than the record's.
    Replace(TaskRecord),
    /// Removes a task whatever its version. Its history stays, and runs of it that go on are finished as usual.
    Delete(TaskId),
}

/// What became of an [`Edit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditOutcome {
    /// It is written.
    Done,
    /// The id is taken, or the task has changed since it was read.
    Conflict,
    /// There is no such task.
    NotFound,
}

/// What to look for among the tasks.
#[derive(Clone, Debug)]
pub enum Query {
    /// Tasks with something to decide ([`TaskRecord::due_at`]) that these handlers can run, the earliest first.
    Due {
        /// The time by the caller's clock; a store with a clock of its own goes by that.
        now: DateTime<Utc>,
        /// At most so many.
        limit: usize,
        /// Tasks of other handlers are another scheduler's to decide.
        handlers: Handlers,
    },
    /// Tasks that none of these handlers can run, at most `limit`.
    Orphans {
        /// The handlers that there are.
        handlers: Handlers,
        /// At most so many.
        limit: usize,
    },
    /// Every task, in the order of ids.
    All,
}

/// Decisions about one task's due occurrences, to be written in one step or not at all.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The task's key as it was read.
    pub key: StoreKey,
    /// The task as it was read.
    pub definition: Arc<TaskDefinition>,
    /// The schedule after the decisions; its version is one more than the one they were planned from.
    pub schedule: Schedule,
    /// What waits for a place after the decisions.
    pub waiting: Vec<Waiting>,
    /// When it was decided.
    pub decided_at: DateTime<Utc>,
    /// Runs to start, and what was coalesced, missed or skipped.
    pub decisions: SmallVec<[Decision; 1]>,
}

impl Claim {
    /// The entry of the history that a decision makes, in the place of the one of the same run, where there is one.
    pub fn entry(&self, decision: &Decision) -> RunRecord {
        RunRecord {
            id: decision.run,
            task: self.definition.id.clone(),
            occurrence: decision.occurrence,
            occurrences: decision.occurrences,
            status: decision.status,
            decided_at: self.decided_at,
            started_at: None,
            finished_at: None,
            value: None,
            error: decision.reason.clone(),
        }
    }
}

/// What becomes of an occurrence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The run that it is, or would have been.
    pub run: RunId,
    /// The occurrence. Where the decision is about several: the latest of them.
    pub occurrence: Occurrence,
    /// How many occurrences it is about.
    pub occurrences: Count,
    /// Claimed or queued, or why it does not run.
    pub status: RunStatus,
    /// The reason in words, where it does not run at once.
    pub reason: Option<String>,
}

/// What became of a [`Claim`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// It is written: the occurrences are the caller's.
    Won {
        /// The task was over with it and is removed.
        removed: bool,
    },
    /// The task was changed or removed since it was read. Nothing is written.
    Lost,
}

/// The end of a run.
#[derive(Clone, Debug)]
pub struct Finish {
    /// The key of the run's task as it was read.
    pub key: StoreKey,
    /// The run's task.
    pub definition: Arc<TaskDefinition>,
    /// The run.
    pub run: RunId,
    /// The occurrence that it executed.
    pub occurrence: Occurrence,
    /// How it ended.
    pub end: RunEnd,
    /// The run that tries it again, in its place among the task's running ones.
    pub retry: Option<Retry>,
}

impl Finish {
    /// The entry of the history that the retry makes.
    pub fn entry(&self, retry: &Retry) -> RunRecord {
        RunRecord {
            id: retry.run,
            task: self.definition.id.clone(),
            occurrence: retry.occurrence,
            occurrences: Count::ONE,
            status: RunStatus::Claimed,
            decided_at: self.end.finished_at,
            started_at: None,
            finished_at: None,
            value: None,
            error: None,
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct RunEnd {
    /// How it stands, for good.
    pub status: RunStatus,
    /// When the handler was started; `None`: it was not.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// What the handler returned, where it returned something.
    pub value: Option<Value>,
    /// What went wrong.
    pub error: Option<String>,
}

impl RunEnd {
    /// Writes it on the run's entry.
    pub fn write(&self, entry: &mut RunRecord) {
        entry.status = self.status;
        entry.started_at = self.started_at;
        entry.finished_at = Some(self.finished_at);
        entry.value.clone_from(&self.value);
        entry.error.clone_from(&self.error);
    }
}

/// A run that tries a failed one again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The new run.
    pub run: RunId,
    /// The occurrence, its next attempt.
    pub occurrence: Occurrence,
}

/// What became of a run's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinishOutcome {
    /// It is tried again; a run of a task that was deleted meanwhile is not.
    pub retried: bool,
    /// Another occurrence has waited for its place.
    pub makes_room: bool,
    /// The task was over with this run and is removed.
    pub removed: bool,
}

/// A store that can't do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
    /// What the store could not do.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    /// Why it could not.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// Which entries of the history to give. All of them unless narrowed.
///
/// ```
/// use asyncz::{RunFilter, RunStatus};
///
/// let failures = RunFilter::new().task("send-digest").status(RunStatus::Failed).limit(10);
/// # let _ = failures;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    pub(crate) id: Option<RunId>,
    pub(crate) task: Option<TaskId>,
    pub(crate) statuses: Vec<RunStatus>,
    pub(crate) limit: Option<usize>,
}

impl RunFilter {
    /// The whole history.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only entries of this task.
    #[must_use]
    pub fn task(mut self, id: impl Into<TaskId>) -> Self {
        self.task = Some(id.into());
        self
    }

    /// Only entries of this status; said again, of any of the statuses.
    #[must_use]
    pub fn status(mut self, status: RunStatus) -> Self {
        self.statuses.push(status);
        self
    }

    /// At most so many, the newest.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    pub(crate) fn run(id: RunId) -> Self {
        Self { id: Some(id), ..Self::default() }
    }

    /// Whether an entry is asked for, but for the limit.
    pub fn matches(&self, run: &RunRecord) -> bool {
        self.id.is_none_or(|id| id == run.id)
            && self.task.as_ref().is_none_or(|task| *task == run.task)
            && (self.statuses.is_empty() || self.statuses.contains(&run.status))
    }
}
