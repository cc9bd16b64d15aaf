//! What: tasks and what they are made of.

#[cfg(feature = "process")]
mod assignment;
mod context;
mod extract;
mod handler;
mod handlers;
mod id;
mod live;
mod mistake;
mod options;
mod provided;
mod record;
mod registry;
mod report;
mod seconds;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use crate::triggers::{CronTrigger, DateTrigger, IntervalTrigger};
use crate::{Error, Trigger, Zone};

pub use context::{Run, TaskContext};
pub use extract::{Args, FromTask, Provide, Rejection, Typed};
pub use handler::{TaskFn, TaskResult};
pub use handlers::Handlers;
pub use id::{NodeId, RunId, TaskId};
pub use options::TaskDefaults;
pub use provided::{Missing, Provided};
pub use record::{
    Count, Occurrence, Overlap, Recover, Rules, RunRecord, RunStatus, Schedule, StoreKey, TaskDefinition,
    TaskRecord, Waiting,
};
pub use registry::{Function, Returned, TaskEntry, Unkept, argument, async_task, blocking_task, outcome};

pub(crate) use crate::triggers::Digest;
#[cfg(feature = "process")]
pub(crate) use assignment::Assignment;
pub(crate) use context::{Batch, Surroundings};
pub(crate) use handler::{BlockingCall, BoxFuture, Call, Handler, Outcome, in_words};
pub(crate) use id::Ticket;
pub(crate) use mistake::Mistake;
pub(crate) use options::{Options, option_methods};
pub(crate) use registry::declared_tasks;
pub(crate) use report::{Ended, Report, Reports};

/// A handler bound to a trigger, arguments and options: what [`Scheduler::add_task`](crate::Scheduler::add_task) takes.
///
/// `#[task]` on a function `send` gives one as `send::task()`; [`Task::from_fn`] makes one of any function. What an option
/// leaves unsaid comes from the scheduler's [`TaskDefaults`]. A mistake in an option is kept and told when the task is
/// added.
#[must_use = "a task does nothing until it is added to a scheduler"]
#[derive(Debug)]
pub struct Task {
    pub(crate) handler: Handler,
    pub(crate) id: Option<TaskId>,
    /// The id was made up, and tells people nothing.
    has_random_id: bool,
    pub(crate) name: Option<String>,
    pub(crate) trigger: Option<Box<dyn Trigger>>,
    pub(crate) args: Value,
    pub(crate) options: Options,
    pub(crate) store: Arc<str>,
    pub(crate) executor: Arc<str>,
    pub(crate) next_run_time: NextRunTime,
    pub(crate) replace_existing: Option<bool>,
    pub(crate) enabled: bool,
    pub(crate) mistake: Option<String>,
}

option_methods!(Task);

/// The alias of stores and executors unless another is given: one text for all tasks.
static DEFAULT: LazyLock<Arc<str>> = LazyLock::new(|| "default".into());

/// When a new task runs first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextRunTime {
    FromTrigger,
    Paused,
    At(DateTime<Utc>),
}

impl Task {
    /// A task that runs `function`, whose arguments are made as in axum: see [`FromTask`].
    ///
    /// `handler` names the function in stores and messages, and so must be the same after each deploy. Without a trigger
    /// the task runs once, as soon as it is added.
    ///
    /// ```
    /// use std::time::Duration;
    /// use asyncz::{Args, Task};
    ///
    /// async fn greet(Args(name): Args<String>) {
    ///     println!("hello {name}");
    /// }
    ///
    /// # fn main() -> Result<(), asyncz::Error> {
    /// let task = Task::from_fn("greet", greet).args("world")?.every(Duration::from_secs(60));
    /// # let _ = task;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_fn<F, M>(handler: impl Into<Arc<str>>, function: F) -> Self
    where
        F: TaskFn<Provided, M>,
    {
        Self::with_handler(Handler::new(handler, function))
    }

    pub(crate) fn with_handler(handler: Handler) -> Self {
        Self {
            handler,
            id: None,
            has_random_id: false,
            name: None,
            trigger: None,
            args: Value::Null,
            options: Options::default(),
            store: DEFAULT.clone(),
            executor: DEFAULT.clone(),
            next_run_time: NextRunTime::FromTrigger,
            replace_existing: None,
            enabled: true,
            mistake: None,
        }
    }

    /// The id, unique in the task's store. Default: the handler's name for declared tasks, a UUID for added ones.
    pub fn id(mut self, id: impl Into<TaskId>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The id that an added task has from now on: a UUID where it says none.
    pub(crate) fn settle_id(&mut self) -> TaskId {
        self.has_random_id |= self.id.is_none();
        self.id.get_or_insert_with(TaskId::random).clone()
    }

    /// A description for people. Default: the handler's name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// When the task runs. Default: once, as soon as it is added.
    pub fn trigger(mut self, trigger: impl Into<Box<dyn Trigger>>) -> Self {
        self.trigger = Some(trigger.into());
        self
    }

    /// Runs the task by a cron expression, see [`CronTrigger::new`]; its zone is the scheduler's.
    pub fn cron(self, expression: &str) -> Self {
        self.try_trigger(|| CronTrigger::new(expression).map(Into::into))
    }

    /// Runs the task each time this much time has gone by, first after one such time.
    pub fn every(self, interval: Duration) -> Self {
        self.trigger(IntervalTrigger::every(interval))
    }

    /// Runs the task once, at `instant`; at once where that is past.
    pub fn at(self, instant: DateTime<Utc>) -> Self {
        self.trigger(DateTrigger::at(instant))
    }

    /// As [`trigger`](Self::trigger), for a trigger that may be wrong: the mistake is told when the task is added.
    #[doc(hidden)]
    pub fn try_trigger(mut self, trigger: impl FnOnce() -> Result<Box<dyn Trigger>, Error>) -> Self {
        match trigger() {
            Ok(trigger) => self.trigger = Some(trigger),
            Err(error) => self.mistake = Some(error.to_string()),
        }
        self
    }

    /// What the handler's [`Args`] are read from; whatever serialises as what they expect.
    ///
    /// # Errors
    /// [`Error::InvalidArguments`] where `args` does not serialise, or not to what the handler's [`Args`] read.
    pub fn args(mut self, args: impl Serialize) -> Result<Self, Error> {
        let wrong = |message: String| Error::InvalidArguments { task: self.label(), message };
        let args = serde_json::to_value(args).map_err(|error| wrong(format!("arguments: {error}")))?;
        self.handler.check_args(&args).map_err(|rejection| wrong(rejection.to_string()))?;
        self.args = args;
        Ok(self)
    }

    /// The alias of the store that keeps the task. Default: `default`.
    pub fn store(mut self, alias: impl Into<String>) -> Self {
        self.store = alias.into().into();
        self
    }

    /// The alias of the executor that runs the task. Default: `default`.
    pub fn executor(mut self, alias: impl Into<String>) -> Self {
        self.executor = alias.into().into();
        self
    }

    /// When the task runs first, whatever the trigger says; `None` adds it paused. Default: the trigger's first instant.
    pub fn next_run_time(mut self, at: impl Into<Option<DateTime<Utc>>>) -> Self {
        self.next_run_time = at.into().map_or(NextRunTime::Paused, NextRunTime::At);
        self
    }

    /// Whether a task of the same id is replaced. Default: true for declared tasks, else false and
    /// [`Error::ConflictId`].
    pub fn replace_existing(mut self, replace: bool) -> Self {
        self.replace_existing = Some(replace);
        self
    }

    /// Whether the task is added at all. Default: true.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// The task in messages: its id or else its handler, and where it is declared.
    pub(crate) fn label(&self) -> String {
        let said = self.id.as_ref().filter(|_| !self.has_random_id);
        let name = said.map_or(&*self.handler.name, TaskId::as_str);
        match self.handler.location {
            Some((file, line)) => format!("`{name}` ({file}:{line})"),
            None => format!("`{name}`"),
        }
    }

    /// Whether it says nothing of when to run: declared so, it is there to be added later.
    pub(crate) fn is_only_a_handler(&self) -> bool {
        self.trigger.is_none() && self.mistake.is_none() && self.next_run_time == NextRunTime::FromTrigger
    }

    /// The task as a store keeps it, from `now` on: defaults filled in, its trigger anchored.
    pub(crate) fn record(
        &self,
        declared: bool,
        defaults: &TaskDefaults,
        now: DateTime<Utc>,
        zone: &Zone,
    ) -> Result<TaskRecord, Mistake> {
        if let Some(mistake) = &self.mistake {
            return Err(Mistake::Option(mistake.clone()));
        }
        self.handler.check_args(&self.args).map_err(|rejection| Mistake::Arguments(rejection.to_string()))?;
        let at_once = DateTrigger::at(now);
        let given = self.trigger.as_deref().unwrap_or(&at_once);
        let trigger_digest = self.digest(given)?;
        let trigger: Arc<dyn Trigger> = given.anchored(now, zone).into();
        let rules = self.options.rules(defaults, &*trigger).map_err(Mistake::Option)?;
        let next_run_time = match self.next_run_time {
            NextRunTime::FromTrigger => trigger.first(now),
            NextRunTime::Paused => None,
            NextRunTime::At(instant) => Some(instant),
        };
        let paused = self.next_run_time == NextRunTime::Paused;
        if next_run_time.is_none() && !paused && !trigger.at_shutdown() {
            return Err(Mistake::no_instant(given, zone));
        }
        let id = match &self.id {
            Some(id) => id.clone(),
            None if declared => self.handler.name.clone().into(),
            None => TaskId::random(),
        };
        let mut definition = TaskDefinition {
            id,
            handler: self.handler.name.clone(),
            name: self.name.as_deref().map_or_else(|| self.handler.name.clone(), Arc::from),
            trigger,
            trigger_digest,
            args: None,
            executor: self.executor.clone(),
            rules: Arc::new(rules),
            release: 0,
        };
        definition.set_args(&self.args);
        Ok(TaskRecord {
            definition: Arc::new(definition),
            schedule: Schedule::new(next_run_time, paused),
            waiting: Vec::new(),
            key: StoreKey::default(),
        })
    }

    /// What tells whether the task, declared again, has another trigger. Without one it is the first run that is declared:
    /// "at once" is another instant at each start, but a time that was said, or none at all, stays what it is.
    fn digest(&self, given: &dyn Trigger) -> Result<u64, Mistake> {
        match (&self.trigger, self.next_run_time) {
            (None, NextRunTime::Paused) => Ok(Digest::of(b"no trigger")),
            (None, NextRunTime::At(instant)) => digest_of(&DateTrigger::at(instant)),
            _ => digest_of(given),
        }
    }
}

/// A digest of a trigger, of its JSON form as a rule. One that can't be written can't be stored, and is not told from others.
pub(crate) fn digest_of(trigger: &dyn Trigger) -> Result<u64, Mistake> {
    if let Some(fingerprint) = trigger.fingerprint() {
        return Ok(fingerprint);
    }
    let mut digest = Digest::default();
    serde_json::to_writer(&mut digest, trigger).map_err(|error| {
        Mistake::Option(format!("its trigger can't be written as JSON, so no store can keep it: {error}"))
    })?;
    Ok(digest.value())
}
