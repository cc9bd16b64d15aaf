//! Which entries of the history to give.

use crate::task::{NodeId, RunId, RunRecord, RunStatus, TaskId};

/// Which entries of the history to give. All of them unless narrowed.
///
/// ```
/// use asyncz::{RunFilter, RunStatus};
///
/// let failures = RunFilter::new().task("send-digest").status(RunStatus::Failed).limit(10);
/// # let _ = failures;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunFilter {
    /// Only the entry of this run.
    pub id: Option<RunId>,
    /// Only entries of this task.
    pub task: Option<TaskId>,
    /// Only entries of these statuses; none given: of any.
    pub statuses: Vec<RunStatus>,
    /// Only runs that this scheduler has and that have not ended.
    pub open_of: Option<NodeId>,
    /// At most so many, the newest.
    pub limit: Option<usize>,
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

    /// The entry of one run.
    pub fn run(id: RunId) -> Self {
        Self { id: Some(id), ..Self::default() }
    }

    /// The runs that a scheduler has and that have not ended.
    pub fn open_of(node: NodeId) -> Self {
        Self { open_of: Some(node), ..Self::default() }
    }

    /// Whether an entry is asked for, but for the limit.
    pub fn matches(&self, run: &RunRecord) -> bool {
        self.id.is_none_or(|id| id == run.id)
            && self.task.as_ref().is_none_or(|task| *task == run.task)
            && self.open_of.is_none_or(|node| run.node == Some(node) && run.is_open())
            && (self.statuses.is_empty() || self.statuses.contains(&run.status))
    }
}
