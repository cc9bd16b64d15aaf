//! How many of each there were.

use serde::Serialize;

use crate::task::{Count, RunStatus};

/// What became of occurrences since the scheduler's start, by its own decisions. A declared date that was past at the start
/// is not among them: that is recorded before it decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RunCounts {
    /// Runs that were handed to executors, retries among them.
    pub submitted: u64,
    /// Runs that ended well.
    pub executed: u64,
    /// Runs that ended with an error or a panic, for good.
    pub failed: u64,
    /// Failed runs that were tried again.
    pub retried: u64,
    /// Occurrences that were decided too late to run.
    pub missed: u64,
    /// Occurrences that were skipped: `max_instances` runs were going on.
    pub skipped: u64,
    /// Occurrences that gave way to a later one.
    pub coalesced: u64,
    /// Runs that were cancelled.
    pub cancelled: u64,
    /// Runs that did not end when they were aborted.
    pub lost: u64,
}

impl RunCounts {
    pub(super) fn note(&mut self, status: RunStatus, occurrences: Count) {
        let count = match status {
            RunStatus::Queued | RunStatus::Claimed | RunStatus::Running => return,
            RunStatus::Succeeded => &mut self.executed,
            RunStatus::Failed => &mut self.failed,
            RunStatus::Missed => &mut self.missed,
            RunStatus::Skipped => &mut self.skipped,
            RunStatus::Coalesced => &mut self.coalesced,
            RunStatus::Cancelled => &mut self.cancelled,
            RunStatus::Lost => &mut self.lost,
        };
        *count += u64::from(occurrences.at_least);
    }
}
