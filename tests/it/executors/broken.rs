//! The suite finds what it is for: executors that break one promise each, and the case that must fail.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Waker};

use std::time::Duration;

use asyncz::testing::executor_cases::{self as cases, Places};
use asyncz::{AsyncExecutor, Executor, Job, ThreadPoolExecutor};
use tokio::runtime::Handle;

/// A pool, and what is done in its place.
#[derive(Debug)]
struct Broken {
    pool: ThreadPoolExecutor,
    how: How,
    runtime: Mutex<Option<Handle>>,
    jobs: AtomicUsize,
    was_shut_down: AtomicBool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    /// Lets go of every job after the third.
    GivesUp,
    /// Runs jobs while it takes them over.
    RunsInPlace,
    /// Takes the last of many first.
    Reverses,
    /// Has no runtime on its threads.
    HasNoRuntime,
    /// Polls a handler once and never again.
    PollsOnce,
    /// Says that nothing waits.
    CountsNothing,
    /// Waits at its end until its threads are done.
    WaitsForThreads,
    /// Takes nothing any more after its first end.
    EndsForEver,
}

impl Broken {
    fn new(how: How) -> Self {
        Self {
            pool: ThreadPoolExecutor::new(2),
            how,
            runtime: Mutex::default(),
            jobs: AtomicUsize::default(),
            was_shut_down: AtomicBool::default(),
        }
    }

    fn runtime(&self) -> Handle {
        self.runtime.lock().unwrap().clone().unwrap()
    }
}

impl Executor for Broken {
    fn start(&self, runtime: &Handle) {
        *self.runtime.lock().unwrap() = Some(runtime.clone());
        self.pool.start(runtime);
    }

    fn submit(&self, mut jobs: Vec<Job>) {
        match self.how {
            How::GivesUp => {
                jobs.retain(|_| self.jobs.fetch_add(1, Ordering::SeqCst) < 3);
                self.pool.submit(jobs);
            }
            How::RunsInPlace => {
                let runtime = self.runtime();
                std::thread::scope(|scope| {
                    scope.spawn(|| jobs.into_iter().for_each(|job| runtime.block_on(job.run())));
                });
            }
            How::Reverses => {
                jobs.reverse();
                self.pool.submit(jobs);
            }
            How::HasNoRuntime => {
                for job in jobs {
                    std::thread::spawn(|| block_on(job.run()));
                }
            }
            How::PollsOnce => {
                for job in jobs {
                    // Here and now, on the thread that would tell the run to stop: by then it waits for sure.
                    let mut run = Box::pin(job.run());
                    _ = run.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                    std::mem::forget(run);
                }
            }
            How::EndsForEver if self.was_shut_down.load(Ordering::SeqCst) => drop(jobs),
            _ => self.pool.submit(jobs),
        }
    }

    fn shutdown(&self) {
        self.was_shut_down.store(true, Ordering::SeqCst);
        match self.how {
            How::WaitsForThreads => {
                // For ever, as a handler is stuck.
                let (done, is_done) = std::sync::mpsc::channel::<()>();
                std::mem::forget(done);
                _ = is_done.recv();
            }
            _ => self.pool.shutdown(),
        }
    }

    fn queued(&self) -> usize {
        if self.how == How::CountsNothing { 0 } else { self.pool.queued() }
    }
}

fn block_on(run: impl Future<Output = ()>) {
    let mut run = std::pin::pin!(run);
    let mut context = Context::from_waker(Waker::noop());
    while run.as_mut().poll(&mut context).is_pending() {
        std::thread::yield_now();
    }
}

/// What the case says of an executor that is broken so.
fn said<E: Executor>(case: fn(E, Places), executor: E) -> String {
    // More than the 2 s that a run is given to stop, twice.
    let limit = Duration::from_secs(8);
    let places = Places::AtMost(2);
    let outcome = catch_unwind(AssertUnwindSafe(|| cases::with_limit(limit, || case(executor, places))));
    let payload = outcome.expect_err("the case finds what is broken");
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// The case and what it says, for each way to be broken.
macro_rules! each_is_caught {
    ($($how:ident => { $($case:ident: $says:literal,)* })*) => {$($(
        #[test]
        fn $case() {
            let said = said(cases::$case, Broken::new(How::$how));
            assert!(said.contains($says), "{said}");
        }
    )*)*};
}

each_is_caught! {
    GivesUp => {
        every_job_is_run_once: "every job is run",
        a_panic_harms_only_its_run: "each panic is told",
        what_waits_runs_before_an_orderly_end: "it ends before the scheduler",
    }
    RunsInPlace => {
        as_many_run_at_once_as_there_are_places: "in vain until all have ended",
        handing_over_never_waits: "in vain until so many run",
    }
    Reverses => { what_waits_runs_in_order: "in the order in which they were handed over", }
    HasNoRuntime => {
        handlers_find_the_runtime: "finds no runtime",
        no_more_run_at_once_than_there_are_places: "ran at once, in 2 places",
    }
    PollsOnce => {
        a_run_can_be_told_to_stop: "in vain until all have ended",
        a_run_that_goes_on_is_aborted: "in vain until all have ended",
    }
    CountsNothing => { what_waits_is_counted: "in vain until 5 are counted as waiting", }
    EndsForEver => { it_can_be_started_again: "dropped by its executor", }
}

#[test]
fn an_end_that_waits_for_its_threads_is_caught_too() {
    let said = said(cases::a_stuck_thread_does_not_hold_the_end, Broken::new(How::WaitsForThreads));
    assert!(said.contains("has not come to its end"), "{said}");
}

#[test]
fn an_executor_without_bounds_is_not_taken_for_a_bounded_one() {
    let said = said(cases::no_more_run_at_once_than_there_are_places, AsyncExecutor::new());
    assert!(said.contains("ran at once, in 2 places"), "{said}");
}
