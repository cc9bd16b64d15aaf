//! What the machine wants done.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::events::Event;
use crate::stores::{Claim, Finish, Prune};
use crate::task::{Occurrence, RunId, TaskDefinition, Ticket};

/// What the machine wants done.
#[derive(Debug)]
pub(crate) enum Action {
    /// To be asked of a store and answered.
    Ask(Arc<str>, Question),
    /// Hand these runs to their executors; each ends with an [`Input::Ended`](super::Input::Ended).
    Dispatch(Vec<Dispatch>),
    /// Tell these runs to stop.
    Cancel(Vec<Ticket>),
    /// Drop the handlers of these runs.
    Abort(Vec<Ticket>),
    /// The store that was removed is needed no more.
    Left(Arc<str>),
    /// Tell those who listen.
    Emit(Event),
}

/// What a store is asked; the [`Answer`](super::Answer) has the same name.
#[derive(Debug)]
pub(crate) enum Question {
    /// Tasks that are due at `now`, at most `limit`.
    FindDue { now: DateTime<Utc>, limit: usize },
    /// When the next task is due.
    FindNextDue,
    /// Write decisions.
    Claim(Vec<Claim>),
    /// Write how runs ended.
    Finish(Vec<Finish>),
    /// Renew the lease, for so long from now on, and find runs that are to be taken over, at most `limit`.
    Renew { now: DateTime<Utc>, lease: Duration, skew: Option<TimeDelta>, limit: usize },
    /// Write what becomes of runs that are taken over.
    TakeOver(Vec<Claim>),
    /// Which of this scheduler's runs are open, those that it knows and others.
    FindOpen(KnownRuns),
    /// Remove old entries of the history.
    Prune(Prune),
}

/// Runs that a scheduler believes to be its own.
#[derive(Clone, Debug)]
pub(crate) struct KnownRuns {
    pub(crate) running: Vec<(Ticket, RunId)>,
    /// Those that have ended, are about to try one again, or are being claimed by a user.
    pub(crate) others: BTreeSet<RunId>,
}

impl KnownRuns {
    pub(crate) fn ids(&self) -> BTreeSet<RunId> {
        self.running.iter().map(|(_, run)| *run).chain(self.others.iter().copied()).collect()
    }
}

/// A run to be executed.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub(crate) definition: Arc<TaskDefinition>,
    pub(crate) run: RunId,
    pub(crate) ticket: Ticket,
    pub(crate) occurrence: Occurrence,
}
