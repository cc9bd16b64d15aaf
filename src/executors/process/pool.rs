//! Jobs that wait for a worker, and the places that workers have.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::runtime::{Builder, Handle};
use tokio::sync::{Notify, mpsc, watch};

use super::super::Job;
use super::Settings;
use super::child::Process;
use crate::clock::RealDeadline;
use crate::task::Ended;

/// The workers from one start of the executor to its shutdown.
#[derive(Debug)]
pub(super) struct Pool {
    settings: Arc<Settings>,
    state: Mutex<State>,
    work_came: Notify,
    closed: watch::Sender<bool>,
    /// A runtime on a thread of our own: an application that blocks its workers delays no job and no kill.
    home: OnceLock<Result<Handle, String>>,
    /// Each place holds one: when all are gone, so are the places.
    places: Mutex<Option<mpsc::Sender<Infallible>>>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Job>,
    places: usize,
    idle: usize,
}

const LONGEST_QUEUE: usize = 100_000;

impl Pool {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            state: Mutex::default(),
            work_came: Notify::new(),
            closed: watch::Sender::new(false),
            home: OnceLock::new(),
            places: Mutex::default(),
        }
    }

    /// Takes a job over.
    pub(super) fn take(self: &Arc<Self>, job: Job) {
        let home = match self.home.get_or_init(|| self.settle()) {
            Ok(home) => home,
            Err(error) => return job.refuse(format!("no thread for worker processes is to be had: {error}")),
        };
        let mut state = self.state();
        if state.waiting.len() >= LONGEST_QUEUE {
            drop(state);
            return job.refuse(format!("its executor is full: {LONGEST_QUEUE} runs wait already"));
        }
        state.waiting.push_back(job);
        if state.idle >= state.waiting.len() || state.places == self.settings.max_workers {
            drop(state);
            // The one that was at work last: the others' idle time goes on.
            return self.work_came.notify_last();
        }
        let holds = self.places.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(holds) = holds {
            state.places += 1;
            drop(home.spawn(Place { pool: self.clone(), process: None, _holds: holds }.serve()));
        }
    }

    /// How many jobs wait.
    pub(super) fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// Lets go of what waits; idle workers leave, those at work are killed.
    pub(super) fn close(&self) {
        self.closed.send_replace(true);
        *self.places.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let waiting = std::mem::take(&mut self.state().waiting);
        drop(waiting);
    }

    /// Starts the thread, which ends when the pool is closed and the last worker has gone.
    fn settle(&self) -> Result<Handle, String> {
        let in_words = |error: std::io::Error| error.to_string();
        let runtime = Builder::new_current_thread().enable_all().build().map_err(in_words)?;
        let handle = runtime.handle().clone();
        let (holds, mut held) = mpsc::channel(1);
        let live = move || _ = runtime.block_on(held.recv());
        std::thread::Builder::new().name("asyncz-processes".to_owned()).spawn(live).map_err(in_words)?;
        *self.places.lock().unwrap_or_else(PoisonError::into_inner) = Some(holds);
        Ok(handle)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job, in order.
    ///
    /// Dropping the future loses nothing.
    async fn next_job(&self) -> Job {
        loop {
            let mut came = std::pin::pin!(self.work_came.notified());
            // Before the queue is looked at, so that no job comes in between.
            came.as_mut().enable();
            let _idle = {
                let mut state = self.state();
                if let Some(job) = state.waiting.pop_front() {
                    return job;
                }
                state.idle += 1;
                Idle(self)
            };
            came.await;
        }
    }

    /// Gives a place back, unless there is work for it.
    fn give_back(&self) -> bool {
        let mut state = self.state();
        let is_free = state.waiting.is_empty();
        state.places -= usize::from(is_free);
        is_free
    }

    async fn closed(&self) {
        // The sender lives in `self`.
        drop(self.closed.subscribe().wait_for(|closed| *closed).await);
    }

    /// How runs end when the pool is closed. Whoever closes it has aborted all that it knows of.
    async fn shut_down(&self) -> Ended {
        self.closed().await;
        Ended::Aborted("its executor was shut down".to_owned())
    }
}

/// A place that waits for a job.
struct Idle<'a>(&'a Pool);

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.state().idle -= 1;
    }
}

/// Room for one worker.
#[derive(Debug)]
struct Place {
    pool: Arc<Pool>,
    process: Option<Process>,
    _holds: mpsc::Sender<Infallible>,
}

/// What a place has to do next.
enum Next {
    Run(Job),
    StartAnew,
    GiveUp,
    Close,
}

impl Place {
    /// Runs one job after the other, until there has been none for a while.
    async fn serve(mut self) {
        let pool = self.pool.clone();
        loop {
            match self.next().await {
                Next::Run(job) => self.process = run(&pool, self.process.take(), job).await,
                Next::StartAnew => self.dismiss().await,
                Next::GiveUp if pool.give_back() => return self.dismiss().await,
                Next::GiveUp => {}
                Next::Close => return self.dismiss().await,
            }
        }
    }

    async fn next(&mut self) -> Next {
        let idle_time = RealDeadline::after(self.pool.settings.idle_time);
        let lost = async {
            match &mut self.process {
                Some(process) => process.lost().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.pool.closed() => Next::Close,
            () = lost => Next::StartAnew,
            job = self.pool.next_job() => Next::Run(job),
            () = idle_time.passed() => Next::GiveUp,
        }
    }

    async fn dismiss(&mut self) {
        if let Some(process) = self.process.take() {
            process.dismiss().await;
        }
    }
}

/// Runs a job in a process, a new one where there is none; answers the process where it still lives.
async fn run(pool: &Pool, process: Option<Process>, job: Job) -> Option<Process> {
    let (ended, process) = run_to_its_end(pool, process, &job).await;
    job.end_elsewhere(ended);
    process
}

async fn run_to_its_end(pool: &Pool, process: Option<Process>, job: &Job) -> (Ended, Option<Process>) {
    let live = job.what().live();
    let aborted = || Ended::Aborted("aborted before it started".to_owned());
    let halt = async {
        tokio::select! {
            () = live.aborted() => aborted(),
            ended = pool.shut_down() => ended,
        }
    };
    let process = match process {
        // While it waited.
        Some(process) if live.is_aborted() => return (aborted(), Some(process)),
        Some(process) => process,
        None => match Process::start(&pool.settings, halt).await {
            Ok(process) => process,
            Err(ended) => return (ended, None),
        },
    };
    if !job.begin_elsewhere() {
        return (Ended::before_start(), Some(process));
    }
    process.run(job, pool.shut_down()).await
}
