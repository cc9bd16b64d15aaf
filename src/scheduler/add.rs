//! Tasks added by a user's hand.

use std::future::Future;

use tracing::Level;

use super::edit::TaskHandle;
use super::placing::{Placed, Placements};
use super::setup::Setup;
use super::{Scheduler, Shared};
use crate::events::{Event, EventMask};
use crate::log::{Line, Target};
use crate::stores::Edit;
use crate::task::{Task, in_words};
use crate::{Error, StartProblem};

impl Scheduler {
    /// Adds a task. Before the scheduler's start the task waits for that; while it starts, the call does. An
    /// [`enabled(false)`](Task::enabled) one is not added, and its handle finds no task.
    ///
    /// Dropping the future adds the task or does not.
    ///
    /// # Errors
    /// [`Error::InvalidTask`], [`Error::InvalidArguments`] and [`Error::Start`] (state is missing) tell what is wrong with
    /// it; [`Error::ConflictId`]: the id is taken; [`Error::StoreNotFound`], [`Error::ExecutorNotFound`],
    /// [`Error::Store`].
    pub async fn add_task(&self, task: Task) -> Result<TaskHandle, Error> {
        let mut handles = self.add_tasks([task]).await?;
        Ok(handles.swap_remove(0))
    }

    /// Adds many tasks, which costs a store as much as a few calls; the handles are in their order. Where something is
    /// wrong with one, or its id is taken, none is added.
    ///
    /// Dropping the future adds them, or some of them, or none.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use asyncz::{Args, AsynczConfig, Task};
    /// # async fn remind(Args(user): Args<u64>) {}
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), asyncz::Error> {
    /// # let scheduler = AsynczConfig::new().without_registry().scheduler();
    /// let mut reminders = Vec::new();
    /// for user in 0..1_000 {
    ///     let task = Task::from_fn("remind", remind).args(user)?;
    ///     reminders.push(task.id(format!("remind-{user}")).every(Duration::from_secs(3_600)));
    /// }
    /// assert_eq!(scheduler.add_tasks(reminders).await?.len(), 1_000);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`add_task`](Self::add_task), about the first task that can't be added.
    pub fn add_tasks(
        &self,
        tasks: impl IntoIterator<Item = Task>,
    ) -> impl Future<Output = Result<Vec<TaskHandle>, Error>> + Send {
        let mut tasks: Vec<_> = tasks.into_iter().collect();
        let handles: Vec<_> = tasks.iter_mut().map(|task| self.handle_for(task)).collect();
        tasks.retain(|task| task.enabled);
        async move {
            let shared = &self.shared;
            shared.require_own_tasks()?;
            shared.started_or_not().await;
            let Some(tasks) = shared.keep_until_start(tasks) else { return Ok(handles) };
            let known = shared.handlers();
            let has_new_handlers = tasks.iter().any(|task| !known.has(&task.handler.name));
            drop(known);
            let tasks = shared.prepare(tasks)?;
            let mut placed = Vec::with_capacity(handles.len());
            for tasks in tasks {
                if let Err(error) = shared.place(tasks, &mut placed).await {
                    shared.undo(&placed).await;
                    return Err(error);
                }
            }
            shared.tell_of(&placed);
            if has_new_handlers {
                // Others of their tasks may have waited for them.
                shared.stores().keys().for_each(|store| shared.changed(store));
            }
            Ok(handles)
        }
    }

    fn handle_for(&self, task: &mut Task) -> TaskHandle {
        let id = task.settle_id();
        if let Some(only) = &self.only {
            task.store = only.clone();
        }
        TaskHandle::new(self.in_store(task.store.clone()), id)
    }
}

impl Shared {
    /// Keeps tasks for the start; while running it gives them back, for their stores.
    fn keep_until_start(&self, tasks: Vec<Task>) -> Option<Vec<Task>> {
        let mut pending = self.pending();
        match &mut *pending {
            None => Some(tasks),
            Some(pending) => {
                pending.extend(tasks);
                None
            }
        }
    }

    /// The tasks as their stores keep them, all of them checked, by their stores.
    fn prepare(&self, tasks: Vec<Task>) -> Result<Vec<Placements>, Error> {
        let setup = self.setup();
        let now = setup.clock.now();
        let mut stores: Vec<Placements> = Vec::with_capacity(1);
        for task in tasks {
            let at = match stores.iter().position(|of_store| of_store.alias == task.store) {
                Some(at) => at,
                None => {
                    let store = self.known_store(&task.store)?;
                    stores.push(Placements::new(task.store.clone(), store));
                    stores.len() - 1
                }
            };
            let record = task.record(false, &setup.task_defaults, now, &setup.zone);
            let mut record = record.map_err(|mistake| mistake.of_task(task.label()))?;
            check_state(&task, &setup)?;
            self.known_executor(&record.definition.executor)?;
            self.add_handler(task.handler);
            self.share_parts(&mut record);
            record.schedule.version = self.first_version();
            stores[at].push(record, task.replace_existing == Some(true));
        }
        Ok(stores)
    }

    /// Takes out again what was added.
    async fn undo(&self, placed: &[Placed]) {
        for Placed { store: alias, task, .. } in
            placed.iter().filter(|placed| placed.kind == EventMask::TASK_ADDED)
        {
            let Some(store) = self.store(alias) else { continue };
            if let Err(error) = self.put(alias, &*store, &[Edit::Delete(task.id.clone())]).await {
                let line = Line { task: Some(&task.id), error: Some(&in_words(&error)), ..Line::default() };
                self.log_line(Level::ERROR, Target::Store(alias), "the task was added alone", line);
            }
        }
    }

    fn tell_of(&self, placed: &[Placed]) {
        let heard = self.heard_events();
        for Placed { store, task, kind } in placed.iter().filter(|placed| heard.contains(placed.kind)) {
            let now = self.clock().now();
            self.emit(&Event::new(*kind, now).alias(store).task(&task.id));
        }
    }
}

/// An error where a task's handler needs state that nobody has given.
fn check_state(task: &Task, setup: &Setup) -> Result<(), Error> {
    let missing = task.handler.missing(&setup.provided);
    if missing.is_empty() {
        return Ok(());
    }
    let problem = |missing| {
        let message = format!("needs {missing}: give it with `AsynczConfig::state` or `provide`");
        StartProblem::new(task.label(), message)
    };
    Err(Error::Start { problems: missing.into_iter().map(problem).collect() })
}
