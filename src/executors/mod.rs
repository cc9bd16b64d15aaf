//! Run: what executes the runs that a scheduler has won.

mod debug;
mod job;
mod pool;
#[cfg(feature = "process")]
mod process;
mod runtime;
mod threads;
mod tokio;

use std::fmt;

pub use self::debug::DebugExecutor;
pub use self::job::Job;
pub use self::pool::ThreadPoolExecutor;
#[cfg(feature = "process")]
pub use self::process::{ProcessPoolExecutor, Worker};
pub use self::tokio::AsyncExecutor;

#[cfg(feature = "process")]
pub(crate) use self::process::is_worker;
pub(crate) use self::threads::Threads;

/// Runs the runs that a scheduler has won.
///
/// What every executor promises:
/// - **handing over never waits**: [`submit`](Executor::submit) returns at once; what finds no free place waits in the
///   executor's own queue;
/// - **a run harms only itself**: a [`Job`] catches its handler's panics, and a handler that blocks or never returns
///   delays no other run as long as a place is free;
/// - **every job is run or dropped**: either way it reports how it ended.
///
/// With feature `testing`, `asyncz::testing::executor_conformance!` holds an executor of your own to them.
pub trait Executor: fmt::Debug + Send + Sync + 'static {
    /// Makes the executor ready; `runtime` is where async handlers run. Called at each start of the scheduler.
    fn start(&self, runtime: &::tokio::runtime::Handle);

    /// Takes jobs over, in their order.
    fn submit(&self, jobs: Vec<Job>);

    /// Lets go of all that waits; jobs that are running are the scheduler's to abort.
    fn shutdown(&self);

    /// How many jobs wait for a free place.
    fn queued(&self) -> usize {
        0
    }

    /// How many handlers it runs at once at most; `None`: as many as there are.
    fn workers(&self) -> Option<usize> {
        None
    }

    /// The name of its type, for people.
    fn type_name(&self) -> &'static str {
        std::any::type_name::<Self>()
    }
}
