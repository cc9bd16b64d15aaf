//! What the machine hears.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

use crate::stores::{Claim, ClaimOutcome, Finish, FinishOutcome, StoreError};
use crate::task::{Report, RunId, TaskRecord};

/// What the machine hears: answers to its actions, ends of runs, and what users want.
#[derive(Debug)]
pub(crate) enum Input {
    /// There is a store to schedule from.
    StoreAdded(Arc<str>),
    /// A store is to be scheduled from no longer; what is going on comes to its end.
    StoreRemoved(Arc<str>),
    /// Somebody has changed tasks of a store.
    Changed(Arc<str>),
    /// Decide from then on.
    BeginAt(DateTime<Utc>),
    /// Decide from now on.
    Resume,
    /// Decide nothing from now on; runs that are going on go on.
    Pause,
    /// A run was claimed by hand.
    ClaimedByHand(Arc<str>, Box<Claim>),
    /// A run is to stop.
    Cancel(RunId),
    /// Runs that were dispatched have ended.
    Ended(Vec<Report>),
    /// Decide nothing more, for good: what has not started will not.
    Stop,
    /// Runs that have not ended by now never will: they are lost. With it comes when they were started.
    GiveUp(BTreeMap<RunId, DateTime<Utc>>),
    /// What an action came to.
    Answer(Arc<str>, Answer),
}

/// The answer to the action of the same name. Each such action is answered exactly once.
#[derive(Debug)]
pub(crate) enum Answer {
    FindDue(Result<Vec<TaskRecord>, StoreError>),
    FindNextDue(Result<Option<DateTime<Utc>>, StoreError>),
    Claim(Vec<Claim>, Result<Vec<ClaimOutcome>, StoreError>),
    Finish(Vec<Finish>, Result<Vec<FinishOutcome>, StoreError>),
}

impl Answer {
    /// Whether the store did what it was asked.
    pub(crate) fn is_ok(&self) -> bool {
        match self {
            Self::FindDue(answer) => answer.is_ok(),
            Self::FindNextDue(answer) => answer.is_ok(),
            Self::Claim(_, answer) => answer.is_ok(),
            Self::Finish(_, answer) => answer.is_ok(),
        }
    }
}
