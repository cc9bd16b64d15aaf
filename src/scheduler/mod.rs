//! Decides, then does: the handle that users hold, and what stands behind it.
//!
//! The machine decides (pure), the driver does what it says (on a thread of its own), stores and executors are called by
//! the driver alone. The handle changes tasks straight in their stores and tells the driver to look again.

mod add;
mod asyncz_config;
pub mod blocking;
mod bulk;
mod check;
mod config;
mod configuration;
mod driver;
mod edit;
mod guarded;
mod holding;
mod info;
mod life;
mod lines;
mod listen;
mod lock;
mod machine;
mod mailbox;
mod parts;
mod placing;
#[cfg(feature = "axum")]
mod running;
mod runtime;
mod scope;
mod settings;
mod setup;
mod shared;
mod shutdown;
#[cfg(feature = "testing")]
mod simulated;
mod snapshot;
mod startup;
mod tasks;
mod timeline;
mod transfer;
#[cfg(feature = "process")]
mod worker;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use shared::Shared;

pub use asyncz_config::AsynczConfig;
pub use config::SchedulerConfig;
pub use configuration::{Configuration, TypeOptions};
pub use edit::{TaskHandle, TaskUpdate};
pub use info::{ExecutorInfo, SchedulerInfo, StoreInfo};
pub use life::Shutdown;
pub use machine::RunCounts;
pub use scope::Scope;
pub use settings::Settings;
pub(crate) use settings::chosen;
#[cfg(feature = "testing")]
pub(crate) use simulated::{Deed, Heard, Simulated};
pub use snapshot::{TaskFilter, TaskSnapshot, TaskSort, TaskState};
pub use timeline::TimelineEntry;
pub use transfer::TaskImport;

use crate::Error;
use crate::events::{Event, EventMask};
use machine::Input;

/// The handle of a scheduler: a cheap clone, the same before, during and after running.
///
/// It comes from [`AsynczConfig::scheduler`], as an argument of a handler, or as an argument of an axum handler.
///
/// Every method that takes a task's id takes anything that can be one: text, a [`TaskId`](crate::TaskId), a
/// [`TaskHandle`]. The id is looked for in all stores, or in the one of [`in_store`](Self::in_store).
#[derive(Clone)]
pub struct Scheduler {
    shared: Arc<Shared>,
    /// The only store that is asked.
    only: Option<Arc<str>>,
}

/// Whether a scheduler decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It has not started, or it has stopped. Tasks that are added wait for its start.
    Stopped = 0,
    /// It runs tasks when they are due.
    Running = 1,
    /// It takes tasks but runs none by schedule, until it is resumed.
    Paused = 2,
}

impl Scheduler {
    pub(crate) fn of(shared: Arc<Shared>) -> Self {
        Self { shared, only: None }
    }

    /// Starts, each `start` having its [`shutdown`](Self::shutdown): only the outermost acts.
    ///
    /// Executors and stores start, declared and waiting tasks are put in their stores, and occurrences are claimed from
    /// now on. Tasks run on the tokio runtime in which this is called, unless another was given.
    ///
    /// A start that fails leaves nothing behind and may be tried again; so does one whose future is dropped.
    ///
    /// # Errors
    /// [`Error::Start`] tells everything that is wrong with the configuration and its tasks at once; [`Error::ConflictId`]
    /// and [`Error::Store`] what a store refused.
    pub async fn start(&self) -> Result<(), Error> {
        let paused = self.shared.setup().start_paused;
        self.shared.start(paused).await
    }

    /// As [`start`](Self::start), but [paused](State::Paused).
    ///
    /// # Errors
    /// As `start`.
    pub async fn start_paused(&self) -> Result<(), Error> {
        self.shared.start(true).await
    }

    /// Runs nothing by schedule from now on, until [`resume`](Self::resume). Runs that are going on go on. When this
    /// returns, nothing more is claimed.
    ///
    /// # Errors
    /// [`Error::NotRunning`].
    pub async fn pause(&self) -> Result<(), Error> {
        self.shared.require_running()?;
        if self.shared.state() == State::Paused {
            return Ok(());
        }
        self.shared.set_state(State::Paused);
        self.tell(Input::Pause);
        let mut progress = self.shared.progress.subscribe();
        let paused = progress.wait_for(|progress| !progress.deciding || self.state() == State::Stopped);
        drop(paused.await);
        self.emit(EventMask::SCHEDULER_PAUSED);
        Ok(())
    }

    /// Runs tasks by schedule again. What fell due meanwhile meets the rules for late occurrences.
    ///
    /// # Errors
    /// [`Error::NotRunning`].
    pub async fn resume(&self) -> Result<(), Error> {
        self.shared.require_running()?;
        if self.shared.state() == State::Running {
            return Ok(());
        }
        self.shared.set_state(State::Running);
        self.tell(Input::Resume);
        self.emit(EventMask::SCHEDULER_RESUMED);
        Ok(())
    }

    /// Whether it decides.
    pub fn state(&self) -> State {
        self.shared.state()
    }

    /// Whether it has started and not stopped; true while paused, too.
    pub fn running(&self) -> bool {
        self.state() != State::Stopped
    }

    /// Looks at once whether something is due. Never needed: every change is noticed by itself.
    pub fn wakeup(&self) {
        for store in self.shared.stores().keys() {
            self.shared.changed(store);
        }
    }

    /// The same scheduler, its methods asking only one store.
    #[must_use]
    pub fn in_store(&self, alias: impl Into<Arc<str>>) -> Self {
        Self { shared: self.shared.clone(), only: Some(alias.into()) }
    }

    fn tell(&self, input: Input) {
        self.shared.mailbox.post(input, self.shared.clock().busy());
    }

    fn emit(&self, kind: EventMask) {
        self.shared.emit(&Event::new(kind, self.shared.clock().now()));
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler")
            .field("state", &self.state())
            .field("only", &self.only)
            .finish_non_exhaustive()
    }
}
