//! What the machine wants done.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::events::Event;
use crate::stores::{Claim, Finish};
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
}

/// A run to be executed.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub(crate) definition: Arc<TaskDefinition>,
    pub(crate) run: RunId,
    pub(crate) ticket: Ticket,
    pub(crate) occurrence: Occurrence,
}
