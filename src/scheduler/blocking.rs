//! The scheduler for programs without a runtime: the same methods, each waiting for its end.
//!
//! ```
//! use asyncz::{AsynczConfig, Error, Task, blocking};
//!
//! fn clean_up() {}
//!
//! fn main() -> Result<(), Error> {
//!     let scheduler = blocking::Scheduler::new(AsynczConfig::new().without_registry())?;
//!     scheduler.start()?;
//!     let task = scheduler.add_task(Task::from_fn("clean_up", clean_up).cron("@daily"))?;
//!     task.run()?;
//!     scheduler.stop()
//! }
//! ```

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_core::Stream;
use tokio::task::unconstrained;

use super::runtime::{OwnRuntime, RunOn};
use super::{
    AsynczConfig, Configuration, SchedulerInfo, Shutdown, State, TaskFilter, TaskImport, TaskSnapshot,
    TaskUpdate, TimelineEntry,
};
use crate::clock::block_on;
use crate::events::{Event, EventMask, ListenerId};
use crate::executors::Executor;
use crate::stores::{RunFilter, Store};
use crate::task::{RunId, RunRecord, Task, TaskId};
use crate::{Error, Trigger};

/// The handle of a scheduler that brings its own runtime: a cheap clone, the same before, during and after running.
///
/// Its methods are those of [`Scheduler`](crate::Scheduler), and hold their thread until they have come to their end. They
/// may be called anywhere, on a tokio runtime's thread too, which stands still meanwhile; but see
/// [`DebugExecutor`](crate::DebugExecutor), whose handlers hold back the scheduler that they would wait for.
///
/// With the last clone the scheduler goes: one that is running is shut down as [`Shutdown::Now`] says, and the drop waits
/// for that.
#[derive(Clone)]
pub struct Scheduler {
    scheduler: super::Scheduler,
    owned: Arc<Owned>,
}

/// What goes with the last handle.
struct Owned {
    scheduler: super::Scheduler,
    runtime: OwnRuntime,
}

impl Owned {
    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        let runtime = self.runtime.handle();
        // Stores find their runtime here.
        let _entered = runtime.enter();
        // Inside a task of tokio, what we wait for would share the task's budget, which is not renewed while we wait.
        block_on(unconstrained(future))
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // Starts are counted: as many as there were are ended.
        while self.scheduler.running() {
            // A shutdown can't fail.
            _ = self.wait(self.scheduler.shutdown(Shutdown::Now));
        }
    }
}

/// Writes methods that wait for those of the same name.
macro_rules! waiting {
    ($target:ident, $field:ident: $($(#[$doc:meta])* fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        impl $target {
            $(
                $(#[$doc])*
                ///
                #[doc = concat!(
                    "It is [`", stringify!($target), "::", stringify!($name), "`](crate::", stringify!($target), "::",
                    stringify!($name), ") and waits for its end."
                )]
                ///
                /// # Errors
                /// As there.
                pub fn $name(&self, $($argument: $type),*) -> Result<$result, Error> {
                    self.owned.wait(self.$field.$name($($argument),*))
                }
            )*
        }
    };
}

waiting! { Scheduler, scheduler:
    /// Sets the scheduler up by a map of keys to values, while it is stopped.
    fn setup(configuration: impl Into<Configuration>) -> ();
    /// Starts, each `start` having its `shutdown`: only the outermost acts.
    fn start() -> ();
    /// Starts paused.
    fn start_paused() -> ();
    /// Stops; runs that are going on end as `how` says.
    fn shutdown(how: Shutdown) -> ();
    /// Stops when all runs have ended.
    fn stop() -> ();
    /// Runs nothing by schedule from now on, until it is resumed.
    fn pause() -> ();
    /// Runs tasks by schedule again.
    fn resume() -> ();
    /// A task as it is now.
    fn get_task(id: impl Into<TaskId>) -> TaskSnapshot;
    /// The tasks that a filter asks for, as they are now.
    fn tasks(filter: TaskFilter) -> Vec<TaskSnapshot>;
    /// Changes a task, all or nothing.
    fn update_task(id: impl Into<TaskId>, update: TaskUpdate) -> ();
    /// Gives a task another trigger.
    fn reschedule_task(id: impl Into<TaskId>, trigger: impl Into<Box<dyn Trigger>>) -> ();
    /// Lets a task run by hand only, until it is resumed.
    fn pause_task(id: impl Into<TaskId>) -> ();
    /// Lets a paused task run by schedule again, from now on.
    fn resume_task(id: impl Into<TaskId>) -> ();
    /// Removes a task.
    fn delete_task(id: impl Into<TaskId>) -> ();
    /// Runs a task now, beside its schedule.
    fn run_task(id: impl Into<TaskId>) -> RunId;
    /// Tells a run to stop.
    fn cancel_run(id: RunId) -> ();
    /// When a task will run, the next `n` times at most.
    fn preview(id: impl Into<TaskId>, n: usize) -> Vec<DateTime<Utc>>;
    /// The coming occurrences of all tasks, in order.
    fn timeline(until: DateTime<Utc>) -> Vec<TimelineEntry>;
    /// The history, newest first.
    fn runs(filter: RunFilter) -> Vec<RunRecord>;
    /// One entry of the history.
    fn run(id: RunId) -> RunRecord;
    /// Adds a store.
    fn add_store(alias: impl Into<Arc<str>>, store: impl Store) -> ();
    /// Removes a store, when its last runs have ended.
    fn remove_store(alias: impl AsRef<str>) -> ();
    /// Adds an executor.
    fn add_executor(alias: impl Into<Arc<str>>, executor: impl Executor) -> ();
    /// Removes an executor, when its last runs have ended.
    fn remove_executor(alias: impl AsRef<str>) -> ();
    /// All tasks as JSON.
    fn export_tasks() -> String;
    /// Adds the tasks of an export, all of them or none.
    fn import_tasks(tasks: impl Into<TaskImport>) -> usize;
}

impl Scheduler {
    /// A scheduler with a runtime of as many workers as there are cores. Async handlers run on it, unless the
    /// configuration gives another one.
    ///
    /// # Errors
    /// [`Error::NoThread`].
    pub fn new(config: AsynczConfig) -> Result<Self, Error> {
        let runtime = OwnRuntime::new("asyncz-runtime")?;
        let scheduler = config.scheduler();
        {
            let mut setup = scheduler.shared.setup();
            if matches!(setup.run_on, RunOn::Callers) {
                setup.run_on = RunOn::Given(runtime.handle());
            }
        }
        Ok(Self { owned: Arc::new(Owned { scheduler: scheduler.clone(), runtime }), scheduler })
    }

    /// The same scheduler's handle for async code. It does not keep the runtime.
    pub fn handle(&self) -> super::Scheduler {
        self.scheduler.clone()
    }

    /// Adds a task.
    ///
    /// It is [`Scheduler::add_task`](crate::Scheduler::add_task) and waits for its end.
    ///
    /// # Errors
    /// As there.
    pub fn add_task(&self, task: Task) -> Result<TaskHandle, Error> {
        let handle = self.owned.wait(self.scheduler.add_task(task))?;
        Ok(TaskHandle { handle, owned: self.owned.clone() })
    }

    /// Adds many tasks, or none of them.
    ///
    /// It is [`Scheduler::add_tasks`](crate::Scheduler::add_tasks) and waits for its end.
    ///
    /// # Errors
    /// As there.
    pub fn add_tasks(&self, tasks: impl IntoIterator<Item = Task>) -> Result<Vec<TaskHandle>, Error> {
        let handles = self.owned.wait(self.scheduler.add_tasks(tasks))?;
        let handle = |handle| TaskHandle { handle, owned: self.owned.clone() };
        Ok(handles.into_iter().map(handle).collect())
    }

    /// Removes all tasks of a store, or with `None` of all stores; answers how many they were.
    ///
    /// It is [`Scheduler::remove_all_tasks`](crate::Scheduler::remove_all_tasks) and waits for its end.
    ///
    /// # Errors
    /// As there.
    pub fn remove_all_tasks<'a>(&self, store: impl Into<Option<&'a str>>) -> Result<usize, Error> {
        self.owned.wait(self.scheduler.remove_all_tasks(store))
    }

    /// Starts, until the scope that is returned ends.
    ///
    /// It is [`Scheduler::scope`](crate::Scheduler::scope) and waits for its end.
    ///
    /// # Errors
    /// As there.
    pub fn scope(&self) -> Result<Scope, Error> {
        let scope = self.owned.wait(self.scheduler.scope())?;
        Ok(Scope { scope, owned: self.owned.clone() })
    }

    /// Whether it decides.
    pub fn state(&self) -> State {
        self.scheduler.state()
    }

    /// Whether it has started and not stopped; true while paused, too.
    pub fn running(&self) -> bool {
        self.scheduler.running()
    }

    /// What the scheduler is and how it stands: [`Scheduler::info`](crate::Scheduler::info).
    pub fn info(&self) -> SchedulerInfo {
        self.scheduler.info()
    }

    /// Looks at once whether something is due. Never needed: every change is noticed by itself.
    pub fn wakeup(&self) {
        self.scheduler.wakeup();
    }

    /// The same scheduler, its methods asking only one store.
    #[must_use]
    pub fn in_store(&self, alias: impl Into<Arc<str>>) -> Self {
        Self { scheduler: self.scheduler.in_store(alias), owned: self.owned.clone() }
    }

    /// Calls `listener` with each event of these kinds: [`Scheduler::add_listener`](crate::Scheduler::add_listener).
    pub fn add_listener(
        &self,
        kinds: EventMask,
        listener: impl Fn(&Event) + Send + Sync + 'static,
    ) -> ListenerId {
        self.scheduler.add_listener(kinds, listener)
    }

    /// Removes a listener; answers whether it was there.
    pub fn remove_listener(&self, id: ListenerId) -> bool {
        self.scheduler.remove_listener(id)
    }

    /// All events from now on, until the scheduler stops: [`Scheduler::events`](crate::Scheduler::events). Each `next`
    /// waits for one.
    pub fn events(&self) -> impl Iterator<Item = Event> + Send + use<> {
        let mut events = self.scheduler.events();
        std::iter::from_fn(move || {
            let next = poll_fn(|context| Pin::new(&mut events).poll_next(context));
            block_on(unconstrained(next))
        })
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.scheduler.fmt(f)
    }
}

/// A task that was added, by its id: the scheduler's methods on it.
#[derive(Clone)]
pub struct TaskHandle {
    handle: super::TaskHandle,
    owned: Arc<Owned>,
}

waiting! { TaskHandle, handle:
    /// Changes the task, all or nothing.
    fn update(update: TaskUpdate) -> ();
    /// Gives the task another trigger.
    fn reschedule(trigger: impl Into<Box<dyn Trigger>>) -> ();
    /// Lets the task run by hand only, until it is resumed.
    fn pause() -> ();
    /// Lets the task run by schedule again, from now on.
    fn resume() -> ();
    /// Removes the task.
    fn delete() -> ();
    /// Runs the task now, beside its schedule.
    fn run() -> RunId;
}

impl TaskHandle {
    /// The task's id.
    pub fn id(&self) -> &TaskId {
        self.handle.id()
    }
}

impl From<&TaskHandle> for TaskId {
    fn from(task: &TaskHandle) -> Self {
        task.id().clone()
    }
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}

/// A start that is ended by [`shutdown`](Self::shutdown), or else when this is dropped; from [`Scheduler::scope`].
///
/// As [`asyncz::Scope`](crate::Scope): dropped, it is a [`Shutdown::Now`] that nobody waits for.
#[must_use = "the scheduler is shut down when its scope is dropped"]
pub struct Scope {
    scope: super::Scope,
    owned: Arc<Owned>,
}

impl Scope {
    /// Ends the scope as [`Scheduler::stop`] does: runs that are going on come to their end, however long that takes.
    ///
    /// # Errors
    /// As [`Scheduler::shutdown`].
    pub fn shutdown(self) -> Result<(), Error> {
        self.owned.wait(self.scope.shutdown())
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.scope.fmt(f)
    }
}
