//! Threads of our own, for what blocks: unlike tokio's blocking pool they never hold a process's exit.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) type Work = Box<dyn FnOnce() + Send>;

/// Threads that come when there is work and go when there has been none for a while.
#[derive(Clone)]
pub(crate) struct Threads(Arc<Inner>);

struct Inner {
    name: String,
    most: usize,
    state: Mutex<State>,
    work_came: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Work>,
    threads: usize,
    idle: usize,
}

/// As many as tokio's blocking pool has.
const ELASTIC: usize = 512;
const IDLE_TIME: Duration = Duration::from_secs(10);

impl Threads {
    /// As many threads as there is work at once, up to 512.
    pub(crate) fn elastic(name: &str) -> Self {
        Self::at_most(name, ELASTIC)
    }

    /// At most so many threads; further work waits.
    pub(crate) fn at_most(name: &str, most: usize) -> Self {
        Self(Arc::new(Inner {
            name: name.to_owned(),
            most,
            state: Mutex::default(),
            work_came: Condvar::new(),
        }))
    }

    /// Runs `work` as soon as a thread is free, in the order of the calls. It must not panic.
    pub(crate) fn run(&self, work: Work) {
        let mut state = self.0.state();
        state.waiting.push_back(work);
        if state.idle >= state.waiting.len() || state.threads == self.0.most {
            drop(state);
            self.0.work_came.notify_one();
            return;
        }
        let inner = self.0.clone();
        let started = std::thread::Builder::new().name(self.0.name.clone()).spawn(move || inner.serve());
        match started {
            Ok(_) => state.threads += 1,
            // The threads there are will come to it. Where there is none, the next call tries again.
            Err(error) => tracing::error!(target: "asyncz.executors", %error, "no thread to be had"),
        }
    }

    /// Drops all work that waits.
    pub(crate) fn clear(&self) {
        let waiting = std::mem::take(&mut self.0.state().waiting);
        drop(waiting);
    }

    /// How many threads there are at most.
    pub(crate) fn most(&self) -> usize {
        self.0.most
    }

    /// Work that waits for a free thread.
    pub(crate) fn waiting(&self) -> usize {
        self.0.state().waiting.len()
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        let mut state = self.state();
        loop {
            if let Some(work) = state.waiting.pop_front() {
                drop(state);
                work();
                state = self.state();
                continue;
            }
            state.idle += 1;
            let (woken, waited) =
                self.work_came.wait_timeout(state, IDLE_TIME).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if waited.timed_out() && state.waiting.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads")
            .field("name", &self.0.name)
            .field("most", &self.0.most)
            .finish_non_exhaustive()
    }
}
