//! A configuration in a worker process: its handlers and what they are given, but no schedule.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::runtime::OwnRuntime;
use super::{AsynczConfig, Scheduler, Shared};
use crate::Error;
use crate::executors::Worker;
use crate::panics::note_places;
use crate::task::{Surroundings, declared_tasks};

impl Worker {
    /// Runs handlers for the scheduler that has started this process, until that lets go of it.
    ///
    /// `config` says which handlers there are and what they are given (`state`, `provide`), as it does for the scheduler:
    /// it is best made by the same function. Nothing in it starts, and its tasks' triggers mean nothing here.
    ///
    /// When this returns, `main` is to return: 2 s later the process ends in any case. Where the scheduler's process dies
    /// in the middle of a run, this one ends at once.
    ///
    /// # Errors
    /// [`Error::Worker`]: the scheduler can't be reached. [`Error::NoRuntime`].
    ///
    /// # Cancel safety
    /// Dropped, the worker is none any more, and the run that it had has failed.
    pub async fn run(self, config: AsynczConfig) -> Result<(), Error> {
        note_places();
        let shared = config.scheduler().shared;
        shared.let_work();
        let run_on = shared.setup().run_on.clone();
        let runtimes = run_on.runtimes()?;
        let handlers = shared.clone();
        let surroundings = |reports| {
            let (provided, clock) = {
                let setup = shared.setup();
                (Arc::new(setup.provided.clone()), setup.clock.clone())
            };
            Surroundings {
                provided,
                node: shared.node_id(),
                scheduler: Scheduler::of(shared.clone()),
                clock,
                reports,
            }
        };
        let served = self.serve(runtimes.handlers.clone(), move |name| handlers.handler(name), surroundings);
        served.await.map_err(Error::Worker)
    }

    /// The same for programs without a runtime, as those that use [`blocking::Scheduler`](crate::blocking::Scheduler).
    ///
    /// # Errors
    /// As [`run`](Self::run); [`Error::NoThread`].
    ///
    /// # Panics
    /// Inside of a tokio runtime.
    pub fn run_blocking(self, config: AsynczConfig) -> Result<(), Error> {
        let runtime = OwnRuntime::new("asyncz-worker")?;
        runtime.handle().block_on(self.run(config))
    }
}

impl Shared {
    /// Lets the handlers be found, and nothing else from here on.
    fn let_work(&self) {
        self.works_for_another.store(true, Ordering::Release);
        let waiting = self.pending().take().unwrap_or_default();
        let setup = self.setup();
        let declared = if setup.registry { declared_tasks() } else { Vec::new() };
        let tasks = declared.iter().chain(&setup.tasks).chain(&waiting);
        let handlers: Vec<_> = tasks.map(|task| task.handler.clone()).collect();
        drop(setup);
        self.install(BTreeMap::new(), handlers);
    }
}
