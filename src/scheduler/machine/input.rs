//! What the machine hears.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};

use super::action::KnownRuns;
use super::desk::Terms;
use crate::stores::{Claim, ClaimOutcome, Finish, FinishOutcome, Found, NextDue, Renewal, StoreError};
use crate::task::{Report, RunId, RunRecord, TaskRecord};

/// What the machine hears: answers to its actions, ends of runs, and what users want.
#[derive(Debug)]
pub(crate) enum Input {
    /// There is a store to schedule from.
    StoreAdded(Arc<str>, Terms),
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
    /// A run is being claimed by hand.
    ClaimingByHand(RunId),
    /// It was.
    ClaimedByHand(Arc<str>, Box<Claim>),
    /// It was not, or nobody knows.
    NotClaimedByHand(Arc<str>, RunId),
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

/// Runs that a store has as this scheduler's, and that have not ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenRuns {
    /// Those that it knows.
    pub(crate) known: BTreeSet<RunId>,
    /// Those that it does not know, and their tasks.
    pub(crate) strays: Vec<(RunRecord, TaskRecord)>,
}

/// The answer to the action of the same name. Each such action is answered exactly once.
#[derive(Debug)]
pub(crate) enum Answer {
    FindDue(Result<Found, StoreError>),
    FindNextDue(Result<NextDue, StoreError>),
    Claim(Vec<Claim>, Result<Vec<ClaimOutcome>, StoreError>),
    Finish(Vec<Finish>, Result<Vec<FinishOutcome>, StoreError>),
    /// With it comes when it was asked.
    Renew(DateTime<Utc>, Result<Renewal, StoreError>),
    TakeOver(Vec<Claim>, Result<Vec<ClaimOutcome>, StoreError>),
    /// Which runs were known when it was asked, and which are open.
    FindOpen(KnownRuns, Result<OpenRuns, StoreError>),
    Prune(Result<usize, StoreError>),
}

impl Answer {
    /// Whether the store did what it was asked.
    pub(crate) fn is_ok(&self) -> bool {
        match self {
            Self::FindDue(answer) => answer.is_ok(),
            Self::FindNextDue(answer) => answer.is_ok(),
            Self::Claim(_, answer) => answer.is_ok(),
            Self::Finish(_, answer) => answer.is_ok(),
            Self::Renew(_, answer) => answer.is_ok(),
            Self::TakeOver(_, answer) => answer.is_ok(),
            Self::FindOpen(_, answer) => answer.is_ok(),
            Self::Prune(answer) => answer.is_ok(),
        }
    }
}
