//! Changes to tasks, each a compare-and-swap on the task's version.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::tasks::failed;
use super::{Scheduler, Shared};
use crate::events::{Event, EventMask};
use crate::stores::{Edit, EditOutcome};
use crate::task::{
    Mistake, Options, Overlap, Recover, RunId, Schedule, TaskDefinition, TaskId, TaskRecord, digest_of,
    option_methods,
};
use crate::{Error, Trigger};

/// A change to a task: what it does not name stays.
#[must_use = "a change does nothing until it is given to `Scheduler::update_task`"]
#[derive(Debug, Default)]
pub struct TaskUpdate {
    name: Option<String>,
    trigger: Option<Box<dyn Trigger>>,
    args: Option<Value>,
    executor: Option<String>,
    options: Options,
    next_run_time: Option<Option<DateTime<Utc>>>,
}

impl TaskUpdate {
    /// No change.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new description.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// A new trigger: a new generation, whose `next_run_time` is computed anew.
    pub fn trigger(mut self, trigger: impl Into<Box<dyn Trigger>>) -> Self {
        self.trigger = Some(trigger.into());
        self
    }

    /// New arguments; they are checked when the change is made.
    ///
    /// # Errors
    /// [`Error::InvalidArguments`] where they don't serialise.
    pub fn args(mut self, args: impl Serialize) -> Result<Self, Error> {
        let wrong = |error: serde_json::Error| Error::InvalidArguments {
            task: "to be updated".to_owned(),
            message: format!("arguments: {error}"),
        };
        self.args = Some(serde_json::to_value(args).map_err(wrong)?);
        Ok(self)
    }

    /// The alias of another executor.
    pub fn executor(mut self, alias: impl Into<String>) -> Self {
        self.executor = Some(alias.into());
        self
    }

    /// Another first run; `None` pauses the task.
    pub fn next_run_time(mut self, at: impl Into<Option<DateTime<Utc>>>) -> Self {
        self.next_run_time = Some(at.into());
        self
    }

    /// The task with the change made.
    fn apply(&self, known: &TaskRecord, shared: &Shared) -> Result<TaskRecord, Error> {
        let id = known.id();
        let old = &*known.definition;
        let mistake = |message| Error::InvalidTask { task: format!("`{id}`"), message };
        let mut schedule = Schedule { version: known.schedule.version + 1, ..known.schedule };
        let rules = self.options.change(&old.rules).map_err(mistake)?;
        let mut definition = TaskDefinition { rules: Arc::new(rules), ..old.clone() };
        if let Some(name) = &self.name {
            definition.name = name.as_str().into();
        }
        if let Some(args) = &self.args {
            if let Some(handler) = shared.handler(&old.handler) {
                handler.check_args(args).map_err(|rejection| Error::InvalidArguments {
                    task: format!("`{id}`"),
                    message: rejection.to_string(),
                })?;
            }
            definition.set_args(args);
        }
        if let Some(executor) = &self.executor {
            shared.known_executor(executor)?;
            definition.executor = executor.as_str().into();
        }
        if let Some(trigger) = &self.trigger {
            let (now, zone) = {
                let setup = shared.setup();
                (setup.clock.now(), setup.zone)
            };
            definition.trigger_digest =
                digest_of(&**trigger).map_err(|mistake| mistake.of_task(format!("`{id}`")))?;
            definition.trigger = trigger.anchored(now, &zone).into();
            schedule = schedule.with_next_generation();
            schedule.ended = false;
            if !schedule.paused {
                schedule.next_run_time = definition.trigger.first(now);
                if schedule.next_run_time.is_none() && !definition.trigger.at_shutdown() {
                    return Err(Mistake::no_instant(&**trigger, &zone).of_task(format!("`{id}`")));
                }
            }
        }
        if let Some(at) = self.next_run_time {
            // What is decided stays so: who asks for it again asks for other occurrences.
            if at.is_some_and(|at| schedule.watermark.is_some_and(|decided| at <= decided)) {
                schedule = schedule.with_next_generation();
            }
            schedule.next_run_time = at;
            schedule.paused = at.is_none();
            schedule.ended &= at.is_none();
        }
        Ok(TaskRecord {
            definition: Arc::new(definition),
            schedule,
            waiting: known.waiting.clone(),
            key: known.key,
        })
    }
}

option_methods!(TaskUpdate);

impl Scheduler {
    /// Changes a task, all or nothing. Its id stays; a new trigger recomputes its `next_run_time`.
    ///
    /// # Errors
    /// [`Error::InvalidTask`], [`Error::InvalidArguments`], [`Error::ExecutorNotFound`]: the change can't be.
    /// [`Error::TaskNotFound`], [`Error::Ambiguous`], [`Error::Store`].
    pub async fn update_task(&self, id: impl Into<TaskId>, update: TaskUpdate) -> Result<(), Error> {
        self.edit(id.into(), |known| update.apply(known, &self.shared).map(Some)).await
    }

    /// Gives a task another trigger, and recomputes its `next_run_time`.
    ///
    /// # Errors
    /// As [`update_task`](Self::update_task).
    pub async fn reschedule_task(
        &self,
        id: impl Into<TaskId>,
        trigger: impl Into<Box<dyn Trigger>>,
    ) -> Result<(), Error> {
        self.update_task(id, TaskUpdate::new().trigger(trigger)).await
    }

    /// Lets a task run by hand only, until it is resumed. Occurrences in between are neither run nor missed.
    ///
    /// # Errors
    /// [`Error::TaskNotFound`], [`Error::Ambiguous`], [`Error::Store`].
    pub async fn pause_task(&self, id: impl Into<TaskId>) -> Result<(), Error> {
        self.edit(id.into(), |known| {
            let Schedule { version, paused, .. } = known.schedule;
            let schedule =
                Schedule { version: version + 1, paused: true, next_run_time: None, ..known.schedule };
            Ok((!paused).then(|| TaskRecord { schedule, ..known.clone() }))
        })
        .await
    }

    /// Lets a paused task run by schedule again, from now on. One whose trigger has nothing left is removed.
    ///
    /// # Errors
    /// As [`pause_task`](Self::pause_task).
    pub async fn resume_task(&self, id: impl Into<TaskId>) -> Result<(), Error> {
        let id = id.into();
        self.edit(id.clone(), |known| {
            if !known.schedule.paused {
                return Ok(None);
            }
            let trigger = &known.definition.trigger;
            let first = trigger.first(self.shared.clock().now());
            let next_run_time = known.schedule.undecided(first, &**trigger);
            let ended = next_run_time.is_none() && !trigger.at_shutdown();
            let version = known.schedule.version + 1;
            let schedule = Schedule { version, paused: false, next_run_time, ended, ..known.schedule };
            Ok(Some(TaskRecord { schedule, ..known.clone() }))
        })
        .await?;
        match self.find(id.clone()).await {
            Ok((_, _, record)) if record.is_over() => self.delete_task(id).await,
            _ => Ok(()),
        }
    }

    /// Changes a task as `change` says, which is asked again where somebody else was quicker; `None`: nothing to change.
    async fn edit(
        &self,
        id: TaskId,
        change: impl Fn(&TaskRecord) -> Result<Option<TaskRecord>, Error>,
    ) -> Result<(), Error> {
        loop {
            let (alias, store, known) = self.find(id.clone()).await?;
            let Some(changed) = change(&known)? else { return Ok(()) };
            let put = self.shared.put(&alias, &*store, &[Edit::Replace(changed)]).await;
            let outcome = put.map_err(|source| failed(&alias, source))?;
            match outcome[..] {
                [EditOutcome::Conflict] => {}
                [EditOutcome::NotFound] => return Err(Error::TaskNotFound { id }),
                _ => {
                    let now = self.shared.clock().now();
                    self.shared.emit(&Event::new(EventMask::TASK_MODIFIED, now).alias(&alias).task(&id));
                    return Ok(());
                }
            }
        }
    }
}

/// A task that was added, by its id: the scheduler's methods on it.
#[derive(Clone)]
pub struct TaskHandle {
    scheduler: Scheduler,
    id: TaskId,
}

impl TaskHandle {
    pub(super) fn new(scheduler: Scheduler, id: TaskId) -> Self {
        Self { scheduler, id }
    }

    /// The task's id.
    pub fn id(&self) -> &TaskId {
        &self.id
    }

    /// See [`Scheduler::update_task`].
    ///
    /// # Errors
    /// As there.
    pub async fn update(&self, update: TaskUpdate) -> Result<(), Error> {
        self.scheduler.update_task(&self.id, update).await
    }

    /// See [`Scheduler::reschedule_task`].
    ///
    /// # Errors
    /// As there.
    pub async fn reschedule(&self, trigger: impl Into<Box<dyn Trigger>>) -> Result<(), Error> {
        self.scheduler.reschedule_task(&self.id, trigger).await
    }

    /// See [`Scheduler::pause_task`].
    ///
    /// # Errors
    /// As there.
    pub async fn pause(&self) -> Result<(), Error> {
        self.scheduler.pause_task(&self.id).await
    }

    /// See [`Scheduler::resume_task`].
    ///
    /// # Errors
    /// As there.
    pub async fn resume(&self) -> Result<(), Error> {
        self.scheduler.resume_task(&self.id).await
    }

    /// See [`Scheduler::delete_task`].
    ///
    /// # Errors
    /// As there.
    pub async fn delete(&self) -> Result<(), Error> {
        self.scheduler.delete_task(&self.id).await
    }

    /// See [`Scheduler::run_task`].
    ///
    /// # Errors
    /// As there.
    pub async fn run(&self) -> Result<RunId, Error> {
        self.scheduler.run_task(&self.id).await
    }
}

impl From<&TaskHandle> for TaskId {
    fn from(handle: &TaskHandle) -> Self {
        handle.id.clone()
    }
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskHandle").field(&self.id).finish()
    }
}
