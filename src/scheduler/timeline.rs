//! What comes, of all tasks together.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Scheduler, TaskFilter, TaskSnapshot};
use crate::Error;
use crate::task::TaskId;

/// An occurrence that comes, as [`Scheduler::timeline`] tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TimelineEntry {
    /// When it is due, without jitter.
    pub at: DateTime<Utc>,
    /// The task.
    pub task_id: TaskId,
    /// The task's name.
    pub name: Arc<str>,
    /// The alias of the task's store.
    pub store: Arc<str>,
}

/// Enough for a page, and no more work than a moment's.
const LONGEST: usize = 10_000;

impl Scheduler {
    /// The coming occurrences of all tasks up to `until`, in order; 10,000 at most, the earliest. It changes nothing.
    ///
    /// Of what is due already (the scheduler is paused, say) each task's first occurrence is told, and then what comes from
    /// now on. Paused tasks and those of the shutdown have none.
    ///
    /// Dropping the future is harmless.
    ///
    /// # Errors
    /// [`Error::StoreNotFound`], [`Error::Store`].
    pub async fn timeline(&self, until: DateTime<Utc>) -> Result<Vec<TimelineEntry>, Error> {
        let tasks = self.tasks(TaskFilter::new()).await?;
        let now = self.shared.clock().now();
        Ok(merge(&tasks, now, until))
    }
}

/// The occurrences of all tasks in one row. Those of one instant stand in the order of the tasks.
fn merge(tasks: &[TaskSnapshot], now: DateTime<Utc>, until: DateTime<Utc>) -> Vec<TimelineEntry> {
    let first = |(place, task): (usize, &TaskSnapshot)| Some(Reverse((task.next_run_time?, place)));
    let mut next: BinaryHeap<_> = tasks.iter().enumerate().filter_map(first).collect();
    let mut row = Vec::new();
    while row.len() < LONGEST
        && let Some(Reverse((at, place))) = next.pop()
        && at <= until
    {
        let TaskSnapshot { id, name, store, trigger, .. } = &tasks[place];
        row.push(TimelineEntry { at, task_id: id.clone(), name: name.clone(), store: store.clone() });
        next.extend(trigger.next_after(at.max(now)).map(|at| Reverse((at, place))));
    }
    row
}
