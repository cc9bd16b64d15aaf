//! Changes to tasks by their owners.

use crate::task::{TaskId, TaskRecord};

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
