//! The built-in configuration.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;

use super::runtime::RunOn;
use super::setup::Setup;
use super::{Configuration, Scheduler, SchedulerConfig, Shared, Shutdown, TypeOptions};
use crate::clock::{Clock, RealDeadline};
use crate::executors::Executor;
use crate::stores::Store;
use crate::task::{Task, TaskDefaults};
use crate::{Error, Zone};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Configures a scheduler and plugs it into an application's life.
///
/// Without further ado it finds all tasks that `#[task]` declares, keeps them in memory, reads cron expressions in UTC,
/// and runs on the application's runtime.
///
/// ```
/// use asyncz::{AsynczConfig, Lifespan};
///
/// # #[tokio::main] async fn main() -> Result<(), asyncz::Error> {
/// let config = AsynczConfig::new().timezone("Europe/Berlin").provide(String::from("shared by tasks"));
/// # let config = config.without_registry();
/// let scheduler = config.scheduler();
/// let lifespan = Lifespan::start(config).await?;
/// assert!(scheduler.running());
/// lifespan.shutdown().await
/// # }
/// ```
#[must_use = "a configuration does nothing until it is plugged in"]
#[derive(Debug)]
pub struct AsynczConfig {
    scheduler: Scheduler,
    /// Its own starts: a shutdown after a start that was cut short must not end somebody else's.
    starts: AtomicUsize,
    /// When the draining that goes on shall be over.
    draining: Mutex<Option<RealDeadline>>,
}

impl AsynczConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            scheduler: Scheduler::of(Shared::new()),
            starts: AtomicUsize::new(0),
            draining: Mutex::default(),
        }
    }

    /// The scheduler: it can be used before, during and after its run.
    pub fn scheduler(&self) -> Scheduler {
        self.scheduler.clone()
    }

    /// The time zone of triggers that name none: a [`Zone`], a `chrono_tz::Tz` or a name. Default: UTC.
    ///
    /// A name that is no zone is told at start.
    pub fn timezone<Z>(self, zone: Z) -> Self
    where
        Z: TryInto<Zone>,
        Z::Error: Into<Error>,
    {
        self.set(|setup| match zone.try_into() {
            Ok(zone) => setup.zone = zone,
            Err(error) => setup.mistakes.push(format!("timezone: {}", error.into())),
        })
    }

    /// A store, by an alias that tasks name. Default: a [`MemoryStore`](crate::MemoryStore) as `default`.
    pub fn store(self, alias: impl Into<Arc<str>>, store: impl Store) -> Self {
        self.set(|setup| drop(setup.stores.insert(alias.into(), Arc::new(store))))
    }

    /// An executor, by an alias that tasks name. Default: an [`AsyncExecutor`](crate::AsyncExecutor) as `default`.
    pub fn executor(self, alias: impl Into<Arc<str>>, executor: impl Executor) -> Self {
        self.set(|setup| drop(setup.executors.insert(alias.into(), Arc::new(executor))))
    }

    /// What a map of keys to values says, in Asyncz's words: see [`Configuration`] for the keys.
    ///
    /// Of this and the other methods the one said last holds, so that what comes before it are the application's own
    /// defaults, and what comes after it nobody can configure. What is wrong with it is told at start, all of it at once.
    ///
    /// ```
    /// # use asyncz::AsynczConfig;
    /// let config = AsynczConfig::new().configuration([
    ///     ("asyncz.executors.pool.type", "threadpool"),
    ///     ("asyncz.executors.pool.max_workers", "20"),
    /// ]);
    /// ```
    pub fn configuration(self, values: impl Into<Configuration>) -> Self {
        let configuration = values.into();
        self.set(|setup| match configuration.changes(&setup.own_kinds) {
            Ok(changes) => changes.make(setup),
            Err(problems) => setup.mistakes.extend(problems),
        })
    }

    /// A type of stores that configurations given from now on may name: `asyncz.stores.<alias>.type`.
    ///
    /// `make` reads its options and makes a store that opens nothing yet: that comes with its
    /// [`start`](crate::Store::start).
    ///
    /// ```
    /// use asyncz::{AsynczConfig, MemoryStore, TypeOptions};
    ///
    /// fn make(options: &mut TypeOptions) -> Result<MemoryStore, &'static str> {
    ///     let url = options.secret("url").ok_or("its `url` is missing")?;
    ///     let connections = options.whole_number("connections").unwrap_or(4);
    ///     # let _ = (url, connections);
    ///     Ok(MemoryStore::new())
    /// }
    ///
    /// let config = AsynczConfig::new()
    ///     .register_store_type("mine", make)
    ///     .configuration([("asyncz.stores.default.type", "mine"), ("asyncz.stores.default.url", "mine://host")]);
    /// assert_eq!(config.scheduler().info().stores.len(), 1);
    /// ```
    pub fn register_store_type<S: Store, E: Into<BoxError>>(
        self,
        name: impl Into<String>,
        make: impl Fn(&mut TypeOptions) -> Result<S, E> + Send + Sync + 'static,
    ) -> Self {
        self.set(|setup| setup.own_kinds.add_store(name.into(), make))
    }

    /// A type of executors that configurations given from now on may name: `asyncz.executors.<alias>.type`. It is made as
    /// [a store](Self::register_store_type) is.
    pub fn register_executor_type<X: Executor, E: Into<BoxError>>(
        self,
        name: impl Into<String>,
        make: impl Fn(&mut TypeOptions) -> Result<X, E> + Send + Sync + 'static,
    ) -> Self {
        self.set(|setup| setup.own_kinds.add_executor(name.into(), make))
    }

    /// What tasks' options are where a task does not say.
    pub fn task_defaults(self, defaults: TaskDefaults) -> Self {
        self.set(|setup| setup.task_defaults = defaults)
    }

    /// Of the tasks that `#[task]` declares only these, by their handlers' names: `module_path::function`.
    pub fn tasks<T: Into<String>>(self, handlers: impl IntoIterator<Item = T>) -> Self {
        self.set(|setup| setup.only = Some(handlers.into_iter().map(Into::into).collect()))
    }

    /// One more task. One that `#[task]` makes (`send::task()`) is treated as if it had been found by itself: its id is its
    /// handler's name unless it says otherwise, and without a trigger it is only known, to be added later.
    pub fn task(self, task: Task) -> Self {
        self.set(|setup| setup.tasks.push(task))
    }

    /// Leaves out the tasks that `#[task]` declares.
    pub fn without_registry(self) -> Self {
        self.set(|setup| setup.registry = false)
    }

    /// Fails the start where fewer declared tasks are found: a crate that nobody names is not linked, and its tasks are
    /// missing without a word.
    pub fn expect_tasks(self, tasks: usize) -> Self {
        self.set(|setup| setup.expect_tasks = tasks)
    }

    /// The application's state: what handlers take as `State<T>`. Cloned for each run.
    pub fn state<S: Clone + Send + Sync + 'static>(self, state: S) -> Self {
        self.provide(state)
    }

    /// A value that handlers take as `State<T>` or [`Provide<T>`](crate::Provide), found by its type. Cloned for each run.
    pub fn provide<T: Clone + Send + Sync + 'static>(self, value: T) -> Self {
        self.set(|setup| setup.provided.insert(value))
    }

    /// Whether the scheduler is paused after its start. Default: false.
    pub fn start_paused(self, paused: bool) -> Self {
        self.set(|setup| setup.start_paused = paused)
    }

    /// How long after its start the scheduler decides nothing, by its clock. Default: no time, or with a lock path one
    /// second.
    ///
    /// The start itself returns at once, and tasks can be added, changed and run by hand. What falls due meanwhile meets
    /// the rules for late occurrences when the time has passed. Pausing and resuming ends the delay.
    pub fn startup_delay(self, delay: Duration) -> Self {
        self.set(|setup| setup.startup_delay = Some(delay))
    }

    /// Of several processes lets one schedule each store at a time: whoever has locked the file at this path. The others
    /// stand by, and one of them takes over within a second when that process dies or its scheduler stops. Default: none,
    /// every process schedules.
    ///
    /// ```
    /// # use asyncz::AsynczConfig;
    /// let config = AsynczConfig::new().lock_path("/tmp/app_{store}_{pgrp:x}.lock");
    /// ```
    ///
    /// `{store}` is the store's alias, and must be there where there are several stores; `{ppid}` the number of the process
    /// that has started this one; `{pgrp}` the one of its group of processes; the two may have a format, as `{ppid:08x}`. A
    /// brace that is to stay is doubled.
    ///
    /// It is for workers of one machine that each start a scheduler of the same tasks. Stores that processes share don't
    /// need it: there each occurrence is run once, whoever schedules. Where each process has its tasks in memory, one that
    /// stands by passes over what is due and writes that in its history; what was due in the last second before it takes
    /// over, it runs, and the other process may have begun it, too.
    ///
    /// [`run_task`](Scheduler::run_task) runs a task in the process in which it is called, whoever holds the lock. A
    /// scheduler that is paused keeps its locks. One that stops lets go of them as soon as it claims nothing more, while its
    /// last runs go on.
    ///
    /// The lock is the system's (`flock`): it ends with its process however that ends, and a file that is left behind is no
    /// lock. Don't remove the file while anybody uses it: whoever held it notices that within a second, and stands by; but
    /// meanwhile there may be two.
    #[cfg(all(feature = "lock", unix))]
    pub fn lock_path(self, path: impl AsRef<str>) -> Self {
        self.set(|setup| match path.as_ref().parse() {
            Ok(path) => setup.lock_path = Some(path),
            Err(mistake) => setup.mistakes.push(format!("lock_path `{}`: {mistake}", path.as_ref())),
        })
    }

    /// How long a start may take, in real time; one that takes longer fails with [`Error::StartTimeout`]. Default: as
    /// long as it likes, which is for ever where a store never answers.
    ///
    /// A store or an executor that blocks its thread can't be cut short.
    pub fn start_timeout(self, timeout: Duration) -> Self {
        self.set(|setup| setup.start_timeout = Some(timeout))
    }

    /// How long runs (and an application's requests) may go on when the application stops. Default: 25 s, as Kubernetes
    /// kills after 30.
    pub fn drain_timeout(self, timeout: Duration) -> Self {
        self.set(|setup| setup.drain_timeout = timeout)
    }

    /// How long to wait before a store that failed is asked again. Default: 10 s.
    pub fn store_retry_interval(self, interval: Duration) -> Self {
        self.set(|setup| setup.store_retry_interval = interval)
    }

    /// How long a store may take to answer before that counts as a failure, in real time. Default: 10 s.
    ///
    /// A store that has not answered may do what it was asked all the same: asking again is harmless.
    pub fn store_timeout(self, timeout: Duration) -> Self {
        self.set(|setup| setup.store_timeout = timeout)
    }

    /// How long entries of the history are kept in stores that outlive the process; `None`: for good. Default: 7 days.
    ///
    /// What is decided stays decided, however old: a task's watermark is not part of its history.
    pub fn keep_history_for(self, time: impl Into<Option<Duration>>) -> Self {
        self.set(|setup| setup.retention.keep_for = time.into())
    }

    /// How many entries of the history are kept of each task, in stores that outlive the process; `None`: all.
    /// Default: 10,000.
    pub fn keep_runs_a_task(self, entries: impl Into<Option<usize>>) -> Self {
        self.set(|setup| setup.retention.a_task = entries.into())
    }

    /// The number of this release of the program, such as that of its build. Default: 0.
    ///
    /// While an older release still runs beside a newer one, a task that both put in a store when they start is as the newer one
    /// says: the older one leaves it alone, and says so in the log. Of equal releases the one that was started last declares it.
    pub fn release(self, number: u64) -> Self {
        self.set(|setup| setup.release = number)
    }

    /// The scheduler's name among all schedulers, as [`Scheduler::info`] tells it. Default: `asyncz-` and 12 digits that
    /// are others each time; a name that stays the same over restarts tells more.
    pub fn identity(self, identity: impl Into<Arc<str>>) -> Self {
        self.set(|setup| setup.identity = Some(identity.into()))
    }

    /// What tells the log lines of several schedulers apart: the target `asyncz.scheduler.<name>` and the field `scheduler`.
    /// Default: the target is `asyncz.scheduler`, and there is no such field.
    ///
    /// Lines come by [tracing](https://docs.rs/tracing). Those about a store have the target `asyncz.stores.<alias>`, those
    /// about an executor `asyncz.executors.<alias>`, so that a filter such as `asyncz=info,asyncz.stores.archive=off` has
    /// them apart. The start and the stop are told at INFO, what becomes of each run at DEBUG, missed and skipped
    /// occurrences at WARN, and what failed at ERROR.
    ///
    /// Each run is a span `run` at INFO, of its executor's target, in which the handler's own lines stand: its `task`, `run`
    /// and `attempt`, when it was `due`, and how many milliseconds later it has started (`late_ms`).
    pub fn logger_name(self, name: impl Into<Arc<str>>) -> Self {
        self.set(|setup| setup.logger_name = Some(name.into()))
    }

    /// How the scheduler knows the time. Default: [`SystemClock`](crate::SystemClock).
    pub fn clock(self, clock: impl Clock) -> Self {
        self.set(|setup| setup.clock = Arc::new(clock))
    }

    /// The tokio runtime that runs async handlers. Default: the one in which the scheduler is started.
    ///
    /// It must outlive the scheduler. Of this and [`isolated_runtime`](Self::isolated_runtime) the one said last holds.
    pub fn runtime(self, runtime: Handle) -> Self {
        self.set(|setup| setup.run_on = RunOn::Given(runtime))
    }

    /// Runs async handlers on a runtime of the scheduler's own, with as many workers as there are cores: handlers that
    /// block their workers hold back each other and never the application's requests.
    ///
    /// It comes with the start and goes with the shutdown, and with it what handlers have spawned. What is bound to the
    /// application's runtime, as its sockets are, works in handlers all the same.
    pub fn isolated_runtime(self) -> Self {
        self.set(|setup| setup.run_on = RunOn::Own)
    }

    fn draining(&self) -> MutexGuard<'_, Option<RealDeadline>> {
        self.draining.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(self, set: impl FnOnce(&mut Setup)) -> Self {
        set(&mut self.scheduler.shared.setup());
        self
    }
}

impl Default for AsynczConfig {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl SchedulerConfig for AsynczConfig {
    async fn start(&self) -> Result<(), Error> {
        self.scheduler.start().await?;
        self.starts.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn shutdown(&self) -> Result<(), Error> {
        let draining = self.draining().take();
        let one_less = |starts: usize| starts.checked_sub(1);
        if self.starts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_err() {
            return Ok(());
        }
        // What has been drained before counts, or tasks of the shutdown would have as long again.
        let limit = draining.map_or_else(|| self.drain_timeout(), RealDeadline::left);
        self.scheduler.shutdown(Shutdown::Within(limit)).await
    }

    async fn stop_claiming(&self) {
        *self.draining() = Some(RealDeadline::after(self.drain_timeout()));
        self.scheduler.shared.stop_claiming().await;
    }

    async fn drain(&self) {
        self.scheduler.shared.drained().await;
    }

    async fn cancel_runs(&self) {
        self.scheduler.shared.cancel_runs().await;
    }

    fn drain_timeout(&self) -> Duration {
        self.scheduler.shared.setup().drain_timeout
    }
}
