//! The executor with processes of its own.

mod child;
mod pool;
mod wire;
mod worker;

use std::ffi::OsString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

use self::pool::Pool;
use super::{Executor, Job};

pub use self::worker::Worker;

pub(crate) use self::worker::is_worker;

/// Runs each handler in a process of its own, at most `max_workers` at once: a crash or a kill costs one run.
///
/// For handlers that may take the whole program with them (code in C, too much memory, `abort`) and for those that must
/// be stopped for sure: a `fn` that never returns is killed when its `timeout` is over or somebody cancels it.
///
/// The processes are this very program, started again. So the program's `main` begins with the question whether it is
/// one of them:
///
/// ```no_run
/// use asyncz::{Args, AsynczConfig, Error, Lifespan, ProcessPoolExecutor, Task, Worker};
///
/// fn resize(Args(picture): Args<String>) -> Result<u64, std::io::Error> {
///     // Whatever a library in C does to this process: the server goes on.
///     Ok(std::fs::metadata(picture)?.len())
/// }
///
/// /// The same for the server and its workers: both look for handlers and state here.
/// fn config() -> AsynczConfig {
///     let task = Task::from_fn("resize", resize).id("resize").executor("processes").cron("0 3 * * *");
///     AsynczConfig::new()
///         .executor("processes", ProcessPoolExecutor::new(4))
///         .task(task.args("cat.png").expect("a text"))
/// }
///
/// #[tokio::main]
/// async fn main() -> Result<(), Error> {
///     if let Some(worker) = Worker::from_env() {
///         return worker.run(config()).await;
///     }
///     let lifespan = Lifespan::start(config()).await?;
///     // … serve …
///     lifespan.shutdown().await
/// }
/// ```
///
/// Those lines must come first: what stands before them each worker does, too. Where they are missing the runs fail with
/// an error that says so, and nothing worse happens: in a process that is to be a worker no scheduler starts.
///
/// # What a handler finds in its process
///
/// - Its [`Args`](crate::Args) and its [`TaskContext`](crate::TaskContext): `cancelled` hears of a cancellation; `now` and
///   `sleep` go by the clock of the worker's own configuration.
/// - What that configuration was given with `state` and `provide`. Each process makes its own: connections and memory
///   can't be shared. A handler that lacks something fails; the others run.
/// - A [`Scheduler`](crate::Scheduler) that has stopped: its methods fail with [`Error::NotRunning`](crate::Error::NotRunning).
/// - The standard output of the application, and its environment with one variable more. Standard input is empty.
///
/// Its result goes back as JSON and is recorded as always, an error and a panic too.
///
/// # How processes come and go
///
/// A process is started when there is work and no other is free, runs one handler at a time, and goes when it has had
/// nothing to do [for a while](Self::idle_time). What finds none free waits, in order; 100,000 runs at most, those beyond
/// fail with an error that says so.
///
/// One that dies costs the run that it had, which fails with `the worker process died: signal 9` or its exit code, and is
/// tried again as its task says. A run that is aborted, or takes longer than its `timeout`, is ended as in other executors
/// where it is an async handler that awaits; 0.1 s later its process is killed. What a handler has started itself is not
/// killed with it.
///
/// Workers are told to go when the scheduler stops, and go by themselves when it is no more, in the middle of a run, too.
/// Signals to stop (SIGINT, SIGTERM) they leave to the scheduler, which lets runs come to their end.
#[derive(Debug)]
pub struct ProcessPoolExecutor {
    settings: Arc<Settings>,
    pool: Mutex<Option<Arc<Pool>>>,
}

#[derive(Clone, Debug)]
struct Settings {
    max_workers: usize,
    args: Vec<OsString>,
    idle_time: Duration,
    start_limit: Duration,
}

const IDLE_TIME: Duration = Duration::from_secs(60);
const START_LIMIT: Duration = Duration::from_secs(10);

impl ProcessPoolExecutor {
    /// An executor of at most `max_workers` processes, at least one.
    pub fn new(max_workers: usize) -> Self {
        let settings = Settings {
            max_workers: max_workers.max(1),
            args: Vec::new(),
            idle_time: IDLE_TIME,
            start_limit: START_LIMIT,
        };
        Self { settings: Arc::new(settings), pool: Mutex::default() }
    }

    /// The arguments of the workers' command line. Default: none, whatever those of this process are.
    #[must_use]
    pub fn args<A: Into<OsString>>(self, args: impl IntoIterator<Item = A>) -> Self {
        self.set(|settings| settings.args = args.into_iter().map(Into::into).collect())
    }

    /// How long a worker without work stays. Default: 60 s.
    #[must_use]
    pub fn idle_time(self, time: Duration) -> Self {
        self.set(|settings| settings.idle_time = time)
    }

    /// How long a new worker may take until it has its configuration; the run that waits for it fails then. Default: 10 s.
    #[must_use]
    pub fn start_limit(self, limit: Duration) -> Self {
        self.set(|settings| settings.start_limit = limit)
    }

    fn set(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(Arc::make_mut(&mut self.settings));
        self
    }

    fn pool(&self) -> MutexGuard<'_, Option<Arc<Pool>>> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Executor for ProcessPoolExecutor {
    fn start(&self, _: &Handle) {
        let before = self.pool().replace(Arc::new(Pool::new(self.settings.clone())));
        if let Some(before) = before {
            before.close();
        }
    }

    fn submit(&self, jobs: Vec<Job>) {
        let pool = self.pool().clone();
        for job in jobs {
            match &pool {
                Some(pool) => pool.take(job),
                None => job.refuse("its executor is not started"),
            }
        }
    }

    fn shutdown(&self) {
        let pool = self.pool().take();
        if let Some(pool) = pool {
            pool.close();
        }
    }

    fn queued(&self) -> usize {
        self.pool().as_ref().map_or(0, |pool| pool.waiting())
    }

    fn workers(&self) -> Option<usize> {
        Some(self.settings.max_workers)
    }
}

impl Drop for ProcessPoolExecutor {
    fn drop(&mut self) {
        self.shutdown();
    }
}
