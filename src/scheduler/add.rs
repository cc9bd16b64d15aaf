//! Tasks added by a user's hand.

use std::future::Future;
use std::sync::Arc;

use tracing::Level;

use super::edit::TaskHandle;
use super::setup::Setup;
use super::startup::replacement;
use super::tasks::failed;
use super::{Scheduler, Shared};
use crate::events::{Event, EventMask};
use crate::log::{Line, Target};
use crate::stores::{Edit, EditOutcome, Store};
use crate::task::{Task, TaskDefinition, TaskRecord, in_words};
use crate::{Error, StartProblem};

/// Tasks on their way into their store.
#[derive(Default)]
struct Additions {
    edits: Vec<Edit>,
    /// Whether they replace those that are there.
    replace: Vec<bool>,
}

impl Scheduler {
    /// Adds a task. Before the scheduler's start it waits for that; an [`enabled(false)`](Task::enabled) one is not added,
    /// and its handle finds no task.
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
            let Some(tasks) = shared.keep_until_start(tasks) else { return Ok(handles) };
            let known = shared.handlers();
            let has_new_handlers = tasks.iter().any(|task| !known.has(&task.handler.name));
            drop(known);
            let additions = shared.prepare(tasks)?;
            let mut done = Vec::with_capacity(handles.len());
            for (alias, additions) in additions {
                if let Err(error) = shared.write(&alias, additions, &mut done).await {
                    shared.undo(&done).await;
                    return Err(error);
                }
            }
            shared.tell_of(&done);
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

/// What was done for a task: its store, the task, and what it was.
type Done = (Arc<str>, Arc<TaskDefinition>, EventMask);

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
    fn prepare(&self, tasks: Vec<Task>) -> Result<Vec<(Arc<str>, Additions)>, Error> {
        let setup = self.setup();
        let now = setup.clock.now();
        let mut stores: Vec<(Arc<str>, Additions)> = Vec::with_capacity(1);
        for task in tasks {
            let at = match stores.iter().position(|(alias, _)| *alias == task.store) {
                Some(at) => at,
                None => {
                    self.known_store(&task.store)?;
                    stores.push((task.store.clone(), Additions::default()));
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
            let additions = &mut stores[at].1;
            additions.edits.push(Edit::Insert(record));
            additions.replace.push(task.replace_existing == Some(true));
        }
        Ok(stores)
    }

    /// Writes the tasks of one store: first the new ones, then those that are in the place of others.
    async fn write(&self, alias: &Arc<str>, additions: Additions, done: &mut Vec<Done>) -> Result<(), Error> {
        let store = self.known_store(alias)?;
        let Additions { edits, replace } = additions;
        let outcomes = self.put(alias, &*store, &edits).await.map_err(|source| failed(alias, source))?;
        let mut replacing = Vec::new();
        let mut taken = None;
        for ((edit, replace), outcome) in edits.into_iter().zip(replace).zip(outcomes) {
            let (Edit::Insert(record) | Edit::Replace(record)) = edit else { continue };
            match (outcome, replace) {
                (EditOutcome::Done, _) => {
                    done.push((alias.clone(), record.definition, EventMask::TASK_ADDED))
                }
                (_, true) => replacing.push(record),
                (_, false) => taken = taken.or(Some(record)),
            }
        }
        if let Some(taken) = taken {
            return Err(Error::ConflictId { id: taken.id().clone(), store: alias.to_string() });
        }
        for record in replacing {
            let kind = self.replace(&*store, alias, &record).await?;
            done.push((alias.clone(), record.definition, kind));
        }
        Ok(())
    }

    /// Takes out again what was added.
    async fn undo(&self, done: &[Done]) {
        for (alias, task, _) in done.iter().filter(|(.., kind)| *kind == EventMask::TASK_ADDED) {
            let Some(store) = self.store(alias) else { continue };
            if let Err(error) = self.put(alias, &*store, &[Edit::Delete(task.id.clone())]).await {
                let line = Line { task: Some(&task.id), error: Some(&in_words(&error)), ..Line::default() };
                self.log_line(Level::ERROR, Target::Store(alias), "the task was added alone", line);
            }
        }
    }

    /// Puts a task in the place of the one of its id, or adds it where that is gone by now; answers which.
    async fn replace(
        &self,
        store: &dyn Store,
        alias: &Arc<str>,
        record: &TaskRecord,
    ) -> Result<EventMask, Error> {
        let failed = |source| failed(alias, source);
        loop {
            let known = store.load(std::slice::from_ref(record.id())).await.map_err(failed)?.pop().flatten();
            let (edit, kind) = match known {
                None => (Edit::Insert(record.clone()), EventMask::TASK_ADDED),
                Some(known) => (Edit::Replace(replacement(&known, record)), EventMask::TASK_MODIFIED),
            };
            if self.put(alias, store, &[edit]).await.map_err(failed)? == [EditOutcome::Done] {
                return Ok(kind);
            }
        }
    }

    fn tell_of(&self, done: &[Done]) {
        let heard = self.heard_events();
        for (alias, task, kind) in done.iter().filter(|(.., kind)| heard.contains(*kind)) {
            let now = self.clock().now();
            self.emit(&Event::new(*kind, now).alias(alias).task(&task.id));
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
