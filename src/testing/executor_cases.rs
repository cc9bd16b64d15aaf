//! The cases of [`executor_conformance!`](super::executor_conformance): what every executor promises, seen through a scheduler.
//!
//! Each is named after its promise, takes the number of places that the executor has, and panics where it is broken.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};

use crate::clock::RealDeadline;
use crate::{
    AsyncExecutor, AsynczConfig, Executor, Job, RunFilter, RunId, RunRecord, RunStatus, Scheduler, Shutdown,
    Task, TaskContext,
};

/// How many jobs an executor runs at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Places {
    /// As many as there are.
    Unbounded,
    /// At most so many, the others wait.
    AtMost(usize),
    /// One after the other while it takes them over.
    InPlace,
}

impl Places {
    /// As many as a case takes to fill an executor, or to see several go on at once.
    fn some(self) -> usize {
        match self {
            Self::Unbounded => 8,
            Self::AtMost(most) => most,
            Self::InPlace => 1,
        }
    }
}

thread_local! {
    /// A broken promise must not hang the tests.
    static LIMIT: Cell<Duration> = const { Cell::new(Duration::from_secs(20)) };
}

/// Runs a case with another limit than 20 s, for those who expect that it fails.
pub fn with_limit<T>(limit: Duration, case: impl FnOnce() -> T) -> T {
    LIMIT.set(limit);
    case()
}

/// Every job is run, once, an async handler and one that blocks.
pub fn every_job_is_run_once<E: Executor>(executor: E, _: Places) {
    within_limit(executor, async move |tested| {
        let counts: Arc<Vec<AtomicUsize>> = Arc::new((0..100).map(|_| AtomicUsize::new(0)).collect());
        for n in 0..counts.len() {
            let counts = counts.clone();
            let count = move || {
                counts[n].fetch_add(1, Ordering::SeqCst);
            };
            let task = if n % 2 == 0 {
                Task::from_fn(format!("blocking-{n}"), count)
            } else {
                Task::from_fn(format!("async-{n}"), move || {
                    count();
                    async { tokio::task::yield_now().await }
                })
            };
            tested.add(task).await;
        }
        tested.all_ended(100).await;
        for run in tested.runs().await {
            assert_eq!(run.status, RunStatus::Succeeded, "every job is run: {run:?}");
        }
        for (n, count) in counts.iter().enumerate() {
            assert_eq!(count.load(Ordering::SeqCst), 1, "job {n} is run once");
        }
    });
}

/// Handing a job over never waits: with all places taken the scheduler goes on with what other executors run.
pub fn handing_over_never_waits<E: Executor>(executor: E, places: Places) {
    within_limit(executor, async move |tested| {
        let gate = Gate::default();
        tested.fill(places, &gate).await;
        tested.add(Task::from_fn("one more", || ())).await;
        let (ran, has_run) = tokio::sync::oneshot::channel();
        let ran = Mutex::new(Some(ran));
        let elsewhere = move || {
            if let Some(ran) = lock(&ran).take() {
                _ = ran.send(());
            }
        };
        tested
            .scheduler
            .add_task(Task::from_fn("elsewhere", elsewhere).executor("beside"))
            .await
            .expect(ADDED);
        has_run.await.expect("it is run");
        gate.open();
    });
}

/// No more jobs run at once than there are places.
pub fn no_more_run_at_once_than_there_are_places<E: Executor>(executor: E, places: Places) {
    within_limit(executor, async move |tested| {
        let at_once = Arc::new(AtMost::default());
        for n in 0..20 * places.some() {
            let at_once = at_once.clone();
            let task = if n % 2 == 0 {
                Task::from_fn(format!("blocking-{n}"), move || {
                    at_once.come();
                    std::thread::yield_now();
                    at_once.go();
                })
            } else {
                Task::from_fn(format!("async-{n}"), move || {
                    let at_once = at_once.clone();
                    async move {
                        at_once.come();
                        tokio::task::yield_now().await;
                        at_once.go();
                    }
                })
            };
            tested.add(task).await;
        }
        tested.all_ended(20 * places.some()).await;
        let most = at_once.most.load(Ordering::SeqCst);
        assert!(most <= places.some(), "{most} ran at once, in {} places", places.some());
    });
}

/// As many jobs run at once as there are places: one that takes long holds back no other while a place is free.
pub fn as_many_run_at_once_as_there_are_places<E: Executor>(executor: E, places: Places) {
    within_limit(executor, async move |tested| {
        // Each waits for all.
        let all = Arc::new(std::sync::Barrier::new(places.some()));
        for n in 0..places.some() {
            let all = all.clone();
            tested.add(Task::from_fn(format!("blocking-{n}"), move || _ = all.wait())).await;
        }
        tested.all_ended(places.some()).await;
        let all = Arc::new(tokio::sync::Barrier::new(places.some()));
        for n in 0..places.some() {
            let all = all.clone();
            let wait = move || {
                let all = all.clone();
                async move { _ = all.wait().await }
            };
            tested.add(Task::from_fn(format!("async-{n}"), wait)).await;
        }
        tested.all_ended(2 * places.some()).await;
    });
}

/// What waits for a place runs in the order in which it came.
pub fn what_waits_runs_in_order<E: Executor>(executor: E, places: Places) {
    within_limit(executor, async move |tested| {
        let gates: Vec<Gate> = (0..places.some()).map(|_| Gate::default()).collect();
        // In place nothing waits: what is added next comes when this has run.
        if places != Places::InPlace {
            for gate in &gates {
                tested.fill(Places::AtMost(1), gate).await;
            }
        }
        let began = Arc::new(Mutex::new(Vec::new()));
        for n in 0..50 {
            let began = began.clone();
            let note = move |ctx: TaskContext| lock(&began).push(ctx.task_id().clone());
            tested.add(Task::from_fn(format!("note-{n}"), note)).await;
        }
        // One place only, so that there is one order.
        gates[0].open();
        tested.until("all have run", async || lock(&began).len() == 50).await;
        let runs = tested.runs().await;
        let task = |id| runs.iter().find(|run| run.id == id).map(|run| run.task.clone());
        let handed_over = lock(&tested.handed_over).iter().filter_map(|id| task(*id)).collect::<Vec<_>>();
        let began = lock(&began).clone();
        let expected: Vec<_> = handed_over.into_iter().filter(|task| began.contains(task)).collect();
        assert_eq!(began, expected, "they run in the order in which they were handed over");
        gates.iter().for_each(Gate::open);
    });
}

/// A handler that panics harms only its own run.
pub fn a_panic_harms_only_its_run<E: Executor>(executor: E, places: Places) {
    fn at_once() {
        panic!("again")
    }
    async fn later() {
        tokio::task::yield_now().await;
        panic!("again")
    }
    within_limit(executor, async move |tested| {
        // More than there are threads to be lost.
        let panics = 2 * places.some();
        for n in 0..panics {
            tested.add(Task::from_fn(format!("blocking-{n}"), at_once)).await;
            tested.add(Task::from_fn(format!("async-{n}"), later)).await;
        }
        tested.add(Task::from_fn("well", || ())).await;
        tested.add(Task::from_fn("well too", || async { tokio::task::yield_now().await })).await;
        tested.all_ended(2 * panics + 2).await;
        let (failed, others): (Vec<_>, Vec<_>) =
            tested.runs().await.into_iter().partition(|run| run.status == RunStatus::Failed);
        assert_eq!(failed.len(), 2 * panics, "each panic is told");
        assert!(failed.iter().all(|run| run.error.as_deref().is_some_and(|error| error.contains("again"))));
        assert!(others.iter().all(|run| run.status == RunStatus::Succeeded), "the others run well");
    });
}

/// A handler finds the application's tokio runtime, the one that blocks as well.
pub fn handlers_find_the_runtime<E: Executor>(executor: E, _: Places) {
    within_limit(executor, async move |tested| {
        let found = |what| match Handle::try_current() {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("{what} handler finds no runtime")),
        };
        tested.add(Task::from_fn("blocking", move || found("a blocking"))).await;
        tested.add(Task::from_fn("async", move || async move { found("an async") })).await;
        tested.all_ended(2).await;
        for run in tested.runs().await {
            assert_eq!(run.error, None, "it finds the application's runtime");
        }
    });
}

/// A run that is told to stop can do so in order.
pub fn a_run_can_be_told_to_stop<E: Executor>(executor: E, _: Places) {
    within_limit(executor, async move |tested| {
        async fn stops(ctx: TaskContext) -> Result<&'static str, String> {
            ctx.cancelled().await;
            Ok("in order")
        }
        tested.add(Task::from_fn("stops", stops)).await;
        let run = tested.running(1).await.remove(0);
        tested.scheduler.cancel_run(run.id).await.expect("it runs");
        tested.all_ended(1).await;
        let run = tested.runs().await.remove(0);
        assert_eq!((run.status, run.value), (RunStatus::Succeeded, Some("in order".into())));
    });
}

/// A run that goes on after it was told to stop is aborted, and its place is free again.
pub fn a_run_that_goes_on_is_aborted<E: Executor>(executor: E, places: Places) {
    within_limit(executor, async move |tested| {
        for n in 0..places.some() {
            tested.add(Task::from_fn(format!("for ever {n}"), std::future::pending::<()>)).await;
        }
        for run in tested.running(places.some()).await {
            tested.scheduler.cancel_run(run.id).await.expect("it runs");
        }
        tested.all_ended(places.some()).await;
        for run in tested.runs().await {
            assert_eq!(run.status, RunStatus::Cancelled, "it is aborted");
        }
        tested.add(Task::from_fn("next", || ())).await;
        tested.all_ended(places.some() + 1).await;
    });
}

/// `queued` tells how many jobs wait for a place.
pub fn what_waits_is_counted<E: Executor>(executor: E, places: Places) {
    within_limit(executor, async move |tested| {
        let gate = Gate::default();
        tested.fill(places, &gate).await;
        for n in 0..5 {
            tested.add(Task::from_fn(format!("waits-{n}"), || ())).await;
        }
        tested.until("5 are counted as waiting", async || tested.executor.queued() == 5).await;
        gate.open();
        tested.all_ended(places.some() + 5).await;
        assert_eq!(tested.executor.queued(), 0, "nothing waits any more");
    });
}

/// An orderly end waits for what waits for a place.
pub fn what_waits_runs_before_an_orderly_end<E: Executor>(executor: E, places: Places) {
    within_limit(executor, async move |tested| {
        let gate = Gate::default();
        tested.fill(places, &gate).await;
        for n in 0..5 {
            tested.add(Task::from_fn(format!("waits-{n}"), || ())).await;
        }
        tested.until("all are handed over", async || tested.runs().await.len() == places.some() + 5).await;
        let scheduler = tested.scheduler.clone();
        let stop = tokio::spawn(async move { scheduler.shutdown(Shutdown::Wait).await });
        gate.open();
        stop.await.expect("no panic").expect("it stops");
        for run in tested.runs().await {
            assert_eq!(run.status, RunStatus::Succeeded, "it ends before the scheduler: {run:?}");
        }
    });
}

/// At the deadline of an end a thread that is stuck holds up nobody, and what waits is let go: it is told and never runs.
pub fn a_stuck_thread_does_not_hold_the_end<E: Executor>(executor: E, places: Places) {
    within_limit(executor, async move |tested| {
        let gate = Gate::default();
        tested.fill(places, &gate).await;
        let ran = Arc::new(AtomicUsize::new(0));
        let waiting = if places == Places::Unbounded { 0 } else { 5 };
        for n in 0..waiting {
            let ran = ran.clone();
            let count = move || {
                ran.fetch_add(1, Ordering::SeqCst);
            };
            tested.add(Task::from_fn(format!("waits-{n}"), count)).await;
        }
        tested
            .until("all are handed over", async || tested.runs().await.len() == places.some() + waiting)
            .await;
        tested.scheduler.shutdown(Shutdown::Now).await.expect("it stops");
        for run in tested.runs().await {
            assert!(matches!(run.status, RunStatus::Lost | RunStatus::Cancelled), "it is told: {run:?}");
        }
        gate.open();
        // Those that were stuck have ended when the executor can run something again.
        tested.scheduler.start().await.expect("it starts again");
        tested.add(Task::from_fn("next", || ())).await;
        tested.all_ended(places.some() + waiting + 1).await;
        assert_eq!(ran.load(Ordering::SeqCst), 0, "what was let go never runs");
    });
}

/// It can be started again after it was shut down, as its scheduler can.
pub fn it_can_be_started_again<E: Executor>(executor: E, _: Places) {
    within_limit(executor, async move |tested| {
        for round in 1..=3 {
            tested.add(Task::from_fn(format!("round {round}"), || ())).await;
            tested.all_ended(round).await;
            tested.scheduler.stop().await.expect("it stops");
            tested.scheduler.start().await.expect("it starts");
        }
        for run in tested.runs().await {
            assert_eq!(run.status, RunStatus::Succeeded, "{run:?}");
        }
    });
}

const ADDED: &str = "the task is right";

/// A running scheduler, whose executor is the one that is tested.
struct Tested {
    scheduler: Scheduler,
    executor: Arc<dyn Executor>,
    /// What the executor was given, in order.
    handed_over: Arc<Mutex<Vec<RunId>>>,
    limit: Duration,
}

impl Tested {
    /// Adds a task that runs now.
    async fn add(&self, task: Task) {
        self.scheduler.add_task(task).await.expect(ADDED);
    }

    /// Takes all places, by handlers that hold their thread until the gate is opened.
    async fn fill(&self, places: Places, gate: &Gate) {
        let before = self.running(0).await.len();
        for n in 0..places.some() {
            let gate = gate.clone();
            self.add(Task::from_fn(format!("fills-{before}-{n}"), move || gate.wait())).await;
        }
        self.running(before + places.some()).await;
    }

    async fn runs(&self) -> Vec<RunRecord> {
        self.scheduler.runs(RunFilter::new()).await.expect("a store in memory")
    }

    /// The runs that are going on, as soon as there are so many.
    async fn running(&self, at_least: usize) -> Vec<RunRecord> {
        let mut running = Vec::new();
        self.until("so many run", async || {
            running = self.runs().await;
            running.retain(|run| run.status == RunStatus::Running);
            running.len() >= at_least
        })
        .await;
        running
    }

    /// Returns when so many runs have ended.
    async fn all_ended(&self, count: usize) {
        self.until("all have ended", async || {
            self.runs().await.iter().filter(|run| run.status.is_final()).count() >= count
        })
        .await;
    }

    /// Looks until it is so. What it looks at changes on other threads, without a word to this one.
    async fn until(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let mut is_over = std::pin::pin!(RealDeadline::after(self.limit / 2).passed());
        while !is_so().await {
            tokio::select! {
                () = &mut is_over => panic!("waited in vain until {what}"),
                () = RealDeadline::after(Duration::from_millis(1)).passed() => {}
            }
        }
    }
}

/// Runs a case on a thread of its own, beside a runtime of two workers with a scheduler; panics where it fails or takes too
/// long, whatever it holds.
fn within_limit<E: Executor>(executor: E, case: impl AsyncFnOnce(Tested) + Send + 'static) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let handle = runtime.handle().clone();
    let limit = LIMIT.get();
    let steps = async move || {
        let executor: Arc<dyn Executor> = Arc::new(executor);
        let handed_over = Arc::default();
        let watched = Watched { executor: executor.clone(), handed_over: Arc::clone(&handed_over) };
        let config = AsynczConfig::new().without_registry().executor("default", watched);
        let scheduler = config.executor("beside", AsyncExecutor::new()).scheduler();
        scheduler.start().await.expect("it starts");
        case(Tested { scheduler: scheduler.clone(), executor, handed_over, limit }).await;
        scheduler.shutdown(Shutdown::Now).await.expect("it stops");
    };
    let (ended, has_ended) = mpsc::channel();
    std::thread::spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| handle.block_on(steps())));
        drop(ended.send(outcome));
    });
    let ended = has_ended.recv_timeout(limit);
    runtime.shutdown_background();
    match ended {
        Ok(outcome) => outcome.unwrap_or_else(|payload| resume_unwind(payload)),
        Err(_) => panic!("the case has not come to its end in {limit:?}"),
    }
}

/// The one executor, in the scheduler and in the hands of the case.
#[derive(Debug)]
struct Watched {
    executor: Arc<dyn Executor>,
    handed_over: Arc<Mutex<Vec<RunId>>>,
}

impl Executor for Watched {
    fn start(&self, runtime: &Handle) {
        self.executor.start(runtime);
    }

    fn submit(&self, jobs: Vec<Job>) {
        lock(&self.handed_over).extend(jobs.iter().map(Job::run_id));
        self.executor.submit(jobs);
    }

    fn shutdown(&self) {
        self.executor.shutdown();
    }

    fn queued(&self) -> usize {
        self.executor.queued()
    }
}

/// Holds threads until it is opened, or nobody is left to do so.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn wait(&self) {
        let (is_open, opened) = &*self.0;
        drop(opened.wait_while(lock(is_open), |is_open| !*is_open));
    }

    fn open(&self) {
        let (is_open, opened) = &*self.0;
        *lock(is_open) = true;
        opened.notify_all();
    }
}

/// How many are there, and have been at most.
#[derive(Default)]
struct AtMost {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl AtMost {
    fn come(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
    }

    fn go(&self) {
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
