//! How a run ended, for the scheduler that dispatched it.

use std::fmt;

use chrono::{DateTime, Utc};

use super::handler::Outcome;
use super::id::{RunId, Ticket};
use crate::clock::Busy;

/// How a run ended.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) run: RunId,
    pub(crate) ticket: Ticket,
    pub(crate) started_at: Option<DateTime<Utc>>,
    pub(crate) finished_at: DateTime<Utc>,
    pub(crate) ended: Ended,
}

/// The ways for a run to end.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "process", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum Ended {
    Returned(Outcome),
    Panicked(String),
    /// Dropped before it ended, with the reason.
    Aborted(String),
    /// Never started, with the reason.
    Refused(String),
    /// Never started, as its scheduler stopped or let its store go: another may start it.
    Unstarted(String),
}

impl Ended {
    /// It waited for its time or its place when the scheduler stopped.
    pub(crate) fn before_start() -> Self {
        Self::Unstarted("the scheduler stopped before it started".to_owned())
    }
}

/// Where reports go.
pub(crate) trait Reports: fmt::Debug + Send + Sync {
    fn report(&self, report: Report, busy: Busy);
}
