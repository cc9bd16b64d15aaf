//! Tasks and runs as stores keep them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::id::{NodeId, RunId, TaskId};
use super::seconds;
use crate::Trigger;

/// A task in a store: what it is, and where its schedule stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskRecord {
    /// What the task is.
    pub definition: Arc<TaskDefinition>,
    /// Where its schedule stands.
    pub schedule: Schedule,
    /// Occurrences that wait for a place among its runs, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Waiting>,
    /// What its store knows it by.
    #[serde(skip)]
    pub key: StoreKey,
}

/// A store's own number for a task, such as that of a row: it comes back with what is decided about the task, so that the
/// store need not look for it by its id. A hint: a key may be of a task that is gone, and a store that has no use for
/// them leaves it 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreKey(pub u64);

/// An occurrence that waits until a run of its task has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The run that it will be.
    pub run: RunId,
    /// The occurrence.
    #[serde(flatten)]
    pub occurrence: Occurrence,
    /// A retry that starts no earlier than then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<DateTime<Utc>>,
}

impl TaskRecord {
    /// The task's id.
    pub fn id(&self) -> &TaskId {
        &self.definition.id
    }

    /// When a scheduler has something to decide: when the next occurrence is due, or at once where one that waits has
    /// room. `None`: never, as things are.
    pub fn due_at(&self) -> Option<DateTime<Utc>> {
        // Nothing waits as a rule, and then the definition need not be looked at, which is far away in memory.
        let lets_in = !self.waiting.is_empty() && self.schedule.has_room(self.definition.rules.max_instances);
        if lets_in { Some(DateTime::<Utc>::MIN_UTC) } else { self.schedule.next_run_time }
    }

    /// Whether nothing is left to do: the task can be removed.
    pub fn is_over(&self) -> bool {
        self.schedule.is_over(!self.waiting.is_empty())
    }
}

/// What a task is, all defaults filled in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskDefinition {
    /// Unique in the store.
    pub id: TaskId,
    /// The handler's name: `module_path::function`.
    pub handler: Arc<str>,
    /// A description; the handler's name unless given.
    pub name: Arc<str>,
    /// When the task runs, anchored.
    #[serde(with = "trigger_json")]
    pub trigger: Arc<dyn Trigger>,
    /// Tells whether a task declared again has changed its trigger: a digest of the trigger as declared, not anchored.
    pub trigger_digest: u64,
    /// What the handler's `Args` are read from; `None`: there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Box<Value>>,
    /// The executor's alias.
    pub executor: Arc<str>,
    /// The rules of firing: tasks of equal ones share them.
    #[serde(flatten)]
    pub rules: Arc<Rules>,
    /// The release of the program that declared it: see [`AsynczConfig::release`](crate::AsynczConfig::release).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub release: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl TaskDefinition {
    /// What the handler's `Args` are read from; null where there are none.
    pub fn args(&self) -> &Value {
        self.args.as_deref().unwrap_or(&Value::Null)
    }

    pub(crate) fn set_args(&mut self, args: &Value) {
        self.args = (!args.is_null()).then(|| Box::new(args.clone()));
    }
}

/// How a task's due occurrences become runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Of several due occurrences only the latest runs.
    pub coalesce: bool,
    /// How many runs of the task may go on at once.
    pub max_instances: u32,
    /// An occurrence decided later than this after it was due is missed; `None`: it runs however late.
    #[serde(default, with = "seconds::optional")]
    pub misfire_grace_time: Option<Duration>,
    /// Without `coalesce`: how many due occurrences run at most at a time, the latest ones.
    pub max_catch_up: u32,
    /// Runs start up to this much later than due.
    #[serde(default, with = "seconds")]
    pub jitter: Duration,
    /// What becomes of an occurrence while `max_instances` runs go on.
    #[serde(default)]
    pub overlap: Overlap,
    /// With [`Overlap::QueueAll`]: so many occurrences wait at most.
    #[serde(default = "queue_limit")]
    pub queue_limit: u32,
    /// How often a failed run is tried again.
    #[serde(default)]
    pub retries: u32,
    /// From a failure to the first retry; twice as long for each further one, 5 minutes at most.
    #[serde(default, with = "seconds")]
    pub retry_backoff: Duration,
    /// A run that takes longer has failed; `None`: it may take as long as it likes.
    #[serde(default, with = "seconds::optional")]
    pub timeout: Option<Duration>,
    /// What becomes of a run whose scheduler died.
    #[serde(default)]
    pub recover: Recover,
}

fn queue_limit() -> u32 {
    super::options::QUEUE_LIMIT
}

impl Rules {
    /// How long after the failure of this attempt the next one starts; `None`: it was the last.
    pub(crate) fn retry_after(&self, attempt: u32) -> Option<Duration> {
        let doublings = attempt.saturating_sub(1).min(31);
        let wait = self.retry_backoff.saturating_mul(1 << doublings);
        (attempt <= self.retries).then(|| wait.min(LONGEST_BACKOFF))
    }
}

const LONGEST_BACKOFF: Duration = Duration::from_secs(300);

/// Where a task's schedule stands. Every claim, finish and edit adds one to `version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// One more with each change; what compare-and-swap compares. It begins anywhere, so that what was read of a task that
    /// is deleted meanwhile changes nothing of its successor.
    pub version: u64,
    /// The number of triggers the task has had before this one.
    pub generation: u32,
    /// Runs of the task that are claimed and have not ended.
    pub running: u32,
    /// The first undecided occurrence. `None`: paused, ended, or the trigger has no instants of its own.
    pub next_run_time: Option<DateTime<Utc>>,
    /// Every occurrence of this generation up to here is decided.
    pub watermark: Option<DateTime<Utc>>,
    /// Paused by a user.
    pub paused: bool,
    /// The trigger has nothing left: the task goes when its last run has ended.
    pub ended: bool,
}

impl Schedule {
    /// The schedule of a new task.
    pub(crate) fn new(next_run_time: Option<DateTime<Utc>>, paused: bool) -> Self {
        Self { version: 0, generation: 0, running: 0, next_run_time, watermark: None, paused, ended: false }
    }

    /// The first occurrence from `first` on that is not decided yet: clocks differ, so that what is to come for one may be
    /// decided by another.
    pub(crate) fn undecided(
        &self,
        first: Option<DateTime<Utc>>,
        trigger: &dyn Trigger,
    ) -> Option<DateTime<Utc>> {
        match self.watermark {
            Some(decided) if first.is_some_and(|first| first <= decided) => trigger.next_after(decided),
            _ => first,
        }
    }

    /// Whether one that waits would be let in.
    pub(crate) fn has_room(&self, max_instances: u32) -> bool {
        !self.paused && self.running < max_instances
    }

    /// Whether nothing is left to do; `waits`: an occurrence waits for a place.
    pub(crate) fn is_over(&self, waits: bool) -> bool {
        self.ended && self.running == 0 && !waits
    }

    /// The schedule of another trigger: none of its occurrences is decided.
    pub(crate) fn with_next_generation(self) -> Self {
        Self { generation: self.generation + 1, watermark: None, ..self }
    }

    /// The schedule after one of the task's runs has ended and another has taken its place.
    pub fn with_run_retried(self) -> Self {
        Self { version: self.version + 1, ..self }
    }

    /// The schedule after one of the task's runs has ended.
    pub fn with_run_ended(self) -> Self {
        Self { version: self.version + 1, running: self.running.saturating_sub(1), ..self }
    }
}

/// Which occurrence of a task a run executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occurrence {
    /// The instant of the trigger, without jitter; for a run by hand the time it was asked for.
    pub due: DateTime<Utc>,
    /// The trigger's generation.
    pub generation: u32,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// It was decided late, after time without decisions.
    pub is_catch_up: bool,
    /// It was asked for by hand, beside the schedule.
    pub by_hand: bool,
}

impl Occurrence {
    /// What tells this occurrence from all others, on every node and in every attempt.
    pub(crate) fn key(&self, task: &TaskId, run: RunId) -> String {
        if self.by_hand {
            return format!("{task}/{run}");
        }
        format!(
            "{task}/{}/{}",
            self.generation,
            self.due.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
        )
    }
}

/// An entry of a task's history: a run, or occurrences that were decided not to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunRecord {
    /// The run's id.
    pub id: RunId,
    /// The task's id.
    pub task: TaskId,
    /// The occurrence. Where the entry stands for several: the latest of them.
    #[serde(flatten)]
    pub occurrence: Occurrence,
    /// How many occurrences the entry stands for; more than one where several were coalesced or missed together.
    pub occurrences: Count,
    /// How it stands.
    pub status: RunStatus,
    /// The scheduler that has it, or had it last; `None` while it waits for a place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// A retry that starts no earlier than then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<DateTime<Utc>>,
    /// When it was decided.
    pub decided_at: DateTime<Utc>,
    /// When the handler was started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// What the handler returned, where it returned something.
    pub value: Option<Value>,
    /// What went wrong, or why it did not run.
    pub error: Option<String>,
}

impl RunRecord {
    /// Whether a scheduler has it: it is claimed and has not ended.
    pub fn is_open(&self) -> bool {
        matches!(self.status, RunStatus::Claimed | RunStatus::Running)
    }

    /// When it was due, without jitter.
    pub fn scheduled_at(&self) -> DateTime<Utc> {
        self.occurrence.due
    }

    /// How long after it was due the handler was started; `None` where it was not.
    pub fn lateness(&self) -> Option<Duration> {
        self.started_at.map(|started| (started - self.occurrence.due).to_std().unwrap_or_default())
    }
}

/// How a run, or an occurrence that did not become one, stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunStatus {
    /// It waits until a run of its task has ended: see [`Overlap`].
    Queued,
    /// Won by a scheduler; waits for a free place in its executor.
    Claimed,
    /// The handler is running.
    Running,
    /// The handler returned.
    Succeeded,
    /// The handler returned an error or panicked.
    Failed,
    /// Decided too late for the task's grace time: not run.
    Missed,
    /// The task had `max_instances` runs going on: not run.
    Skipped,
    /// A later occurrence ran in its place.
    Coalesced,
    /// Aborted at shutdown or by hand.
    Cancelled,
    /// Nobody knows how it ended: it did not stop when it was aborted, or its scheduler died and its task says
    /// [`Recover::Abandon`].
    Lost,
}

impl RunStatus {
    /// Whether nothing more will come.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Claimed | Self::Running)
    }

    /// The status in one word, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Claimed => "claimed",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Missed => "missed",
            Self::Skipped => "skipped",
            Self::Coalesced => "coalesced",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What becomes of an occurrence while `max_instances` runs of its task go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Overlap {
    /// It is skipped, and recorded as such: the default.
    #[default]
    Skip,
    /// It waits until a run has ended. Only one waits: a later occurrence takes its place.
    Queue,
    /// It waits until a run has ended, behind those that wait already, up to `queue_limit`.
    QueueAll,
    /// As `Queue`, and the runs that go on are told to stop, and aborted 2 s later.
    CancelOther,
    /// As `Queue`, and the runs that go on are aborted.
    AbortOther,
    /// It runs all the same.
    Allow,
}

/// What becomes of a run whose scheduler died while it went on, as another finds out when the run's lease has lapsed.
///
/// That takes a store that outlives the process: with what is kept in memory, tasks and runs go together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Recover {
    /// It is started again, as the next attempt, so that its occurrence is executed at least once: the default. What the
    /// dead one had done is done twice: see [`TaskContext::occurrence_id`](crate::TaskContext::occurrence_id).
    #[default]
    Rerun,
    /// It is recorded as [lost](RunStatus::Lost), so that its occurrence is executed at most once; again only where it
    /// has failed for sure, and the task asks for `retries`.
    Abandon,
}

/// A number of occurrences, counted only so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Count {
    /// At least so many.
    pub at_least: u32,
    /// And more, that were not counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

impl Count {
    /// Just one.
    pub const ONE: Self = Self { at_least: 1, more: false };
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.more { "more than " } else { "" }, self.at_least)
    }
}

mod trigger_json {
    use super::*;

    pub(super) fn serialize<S: serde::Serializer>(
        trigger: &Arc<dyn Trigger>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        (**trigger).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<dyn Trigger>, D::Error> {
        Box::<dyn Trigger>::deserialize(deserializer).map(Arc::from)
    }
}
