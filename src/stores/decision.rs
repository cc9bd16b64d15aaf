//! What a scheduler has decided, and how its runs ended.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;
use smallvec::SmallVec;

use crate::task::{
    Count, NodeId, Occurrence, RunId, RunRecord, RunStatus, Schedule, StoreKey, TaskDefinition, Waiting,
};

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
    /// The scheduler whose runs are taken over by it. It is lost where that one's lease has not lapsed.
    pub taken_from: Option<NodeId>,
}

impl Claim {
    /// Whether it claims runs: for that the scheduler's own lease must not have lapsed.
    pub fn claims_runs(&self) -> bool {
        self.decisions.iter().any(|decision| decision.status == RunStatus::Claimed)
    }

    /// Whether the task is [over](crate::TaskRecord::is_over) with it, and to be removed.
    pub fn is_over(&self) -> bool {
        self.schedule.is_over(!self.waiting.is_empty())
    }

    /// The entry of the history that a decision of this scheduler makes, in the place of the one of the same run, where there
    /// is one; a [lost](RunStatus::Lost) run's entry is [kept](Self::write_loss).
    pub fn entry(&self, by: NodeId, decision: &Decision) -> RunRecord {
        RunRecord {
            id: decision.run,
            task: self.definition.id.clone(),
            occurrence: decision.occurrence,
            occurrences: decision.occurrences,
            status: decision.status,
            node: (decision.status != RunStatus::Queued).then_some(by),
            starts_at: decision.starts_at,
            decided_at: self.decided_at,
            started_at: None,
            finished_at: None,
            value: None,
            error: decision.reason.clone(),
        }
    }
}

impl Claim {
    /// Writes a decision that a run is [lost](RunStatus::Lost) on the run's entry, which keeps what it says of the time before.
    pub fn write_loss(&self, by: NodeId, decision: &Decision, entry: &mut RunRecord) {
        entry.status = decision.status;
        entry.node = Some(by);
        entry.finished_at = Some(self.decided_at);
        entry.error.clone_from(&decision.reason);
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
    /// A retry that starts no earlier than then.
    pub starts_at: Option<DateTime<Utc>>,
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
    /// The task was changed or removed since it was read, or the lease of the scheduler whose runs were to be taken over has
    /// not lapsed. Nothing is written.
    Lost,
    /// The scheduler's own lease has lapsed: it is to renew it first. Nothing is written.
    Lapsed,
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
    /// What comes then.
    pub then: Then,
}

/// What comes after a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing: it has ended.
    Over,
    /// Another run tries it again, in its place among the task's running ones.
    Retry(Retry),
    /// Another run tries it again, or starts it where it was not started, by whichever scheduler lets it in: it waits for a place
    /// before all others.
    HandOn(Retry),
}

impl Finish {
    /// The run that tries it again, and how it stands at first: claimed by the same scheduler, or queued for any.
    pub fn next(&self) -> Option<(Retry, RunStatus)> {
        match self.then {
            Then::Retry(retry) => Some((retry, RunStatus::Claimed)),
            Then::HandOn(retry) => Some((retry, RunStatus::Queued)),
            Then::Over => None,
        }
    }

    /// The entry of the history that the run makes which tries it again.
    pub fn entry(&self, by: NodeId, retry: &Retry, status: RunStatus) -> RunRecord {
        let is_queued = status == RunStatus::Queued;
        RunRecord {
            id: retry.run,
            task: self.definition.id.clone(),
            occurrence: retry.occurrence,
            occurrences: Count::ONE,
            status,
            node: (!is_queued).then_some(by),
            starts_at: retry.starts_at,
            decided_at: self.end.finished_at,
            started_at: None,
            finished_at: None,
            value: None,
            error: is_queued.then(|| HANDED_ON.to_owned()),
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
    /// It starts no earlier than then.
    pub starts_at: Option<DateTime<Utc>>,
}

impl Retry {
    /// As it waits for a place.
    pub fn waiting(self) -> Waiting {
        Waiting { run: self.run, occurrence: self.occurrence, starts_at: self.starts_at }
    }
}

const HANDED_ON: &str = "handed on by a scheduler that has stopped";

/// What became of a run's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FinishOutcome {
    /// The run is not the scheduler's any more: it was taken over when the lease had lapsed. Nothing is written.
    pub refused: bool,
    /// It is tried again; a run of a task that was deleted meanwhile is not.
    pub retried: bool,
    /// Another occurrence has waited for its place.
    pub makes_room: bool,
    /// The task was over with this run and is removed.
    pub removed: bool,
}
