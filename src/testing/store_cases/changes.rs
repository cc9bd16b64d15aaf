//! What others have changed: told, or asked for often enough; and schedulers that share the store.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;

use super::run;
use super::tested::{SHORT, Tested, claim, defined, end, retry, task};
use crate::clock::RealDeadline;
use crate::stores::{ChangeListener, Changes, Edit, Then};
use crate::{
    AsynczConfig, Clock, RunFilter, RunStatus, Scheduler, Shutdown, Store, SystemClock, Task, TaskContext,
    TaskId,
};

/// The longest time until a scheduler hears of what another has changed.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A listener hears within a second of tasks that others change, of runs that are handed on, and of what is to be cancelled;
/// a store that can't tell says to be asked as often.
pub fn others_hear_of_changes<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let heard: Arc<[AtomicUsize; 2]> = Arc::default();
        for listener in 0..2 {
            let heard = heard.clone();
            let listener = ChangeListener::new(move || {
                heard[listener].fetch_add(1, Ordering::SeqCst);
                true
            });
            if let Changes::Ask(every) = tested.store.changes(listener) {
                assert!(every <= AT_ONCE, "it is to be asked each second or more often: {every:?}");
                return;
            }
        }
        let by = tested.node().await;
        let known = tested.add_due("task").await;
        let runs = claim(&known, &[RunStatus::Claimed], tested.now().await);
        tested.win(by, &runs).await;
        let hears = async |what: &str| {
            let mut is_late = std::pin::pin!(RealDeadline::after(AT_ONCE).passed());
            while heard.iter().any(|heard| heard.load(Ordering::SeqCst) == 0) {
                tokio::select! {
                    () = &mut is_late => panic!("not told within {AT_ONCE:?}: {what}"),
                    () = RealDeadline::after(Duration::from_millis(5)).passed() => {}
                }
            }
            // What is told late is not taken for the next.
            RealDeadline::after(Duration::from_millis(300)).passed().await;
            heard.iter().for_each(|heard| heard.store(0, Ordering::SeqCst));
        };
        hears("a task is added").await;
        tested.store.cancel(runs.decisions[0].run).await.expect("it notes it");
        hears("a run is to be cancelled").await;
        tested.finish_one(by, &end(&runs, RunStatus::Cancelled, Then::HandOn(retry(&runs)))).await;
        hears("a run is handed on").await;
        let mut edited = tested.task("task").await;
        edited.schedule.version += 1;
        tested.edit(&[Edit::Replace(edited)]).await;
        hears("a task is replaced").await;
        tested.delete("task").await;
        hears("a task is deleted").await;
    });
}

/// A scheduler on the tested store, which all of a case share. It knows the task's handler; the task itself is paused.
async fn scheduler(tested: &Tested, task: Task) -> Scheduler {
    let known = task.id("paused").next_run_time(None).replace_existing(true);
    let config = AsynczConfig::new().without_registry().store("default", tested.store.clone());
    let scheduler = config.task(known).scheduler();
    scheduler.start().await.expect("it starts");
    scheduler
}

async fn stop(schedulers: Vec<Scheduler>) {
    for scheduler in schedulers {
        scheduler.shutdown(Shutdown::Now).await.expect("it stops");
    }
}

/// Tasks that many schedulers share are run by one of them, once.
pub fn schedulers_share_tasks<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let runs: Arc<Mutex<BTreeMap<TaskId, usize>>> = Arc::default();
        let count = || {
            let runs = runs.clone();
            Task::from_fn("count", move |ctx: TaskContext| {
                *lock(&runs).entry(ctx.task_id().clone()).or_default() += 1;
            })
        };
        let mut schedulers = Vec::new();
        for _ in 0..3 {
            schedulers.push(scheduler(tested, count()).await);
        }
        let due = tested.now().await + TimeDelta::milliseconds(500);
        for n in 0..30 {
            let one = count().id(format!("task-{n}")).at(due + TimeDelta::milliseconds(n % 3));
            schedulers[n as usize % 3].add_task(one).await.expect("it is added");
        }
        let succeeded = async || tested.runs(RunFilter::new().status(RunStatus::Succeeded)).await.len();
        tested.until("all have run", async || succeeded().await >= 30).await;
        stop(schedulers).await;
        let entries = tested.runs(RunFilter::new()).await;
        assert_eq!(entries.len(), 30, "each has one entry: {entries:?}");
        let runs = lock(&runs);
        assert_eq!((runs.len(), runs.values().sum::<usize>()), (30, 30), "each is run once: {runs:?}");
    });
}

/// Of all schedulers together no more runs of a task go on at once than it allows.
pub fn max_instances_counts_over_all_schedulers<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let (at_once, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let slow = || {
            let (at_once, most) = (at_once.clone(), most.clone());
            Task::from_fn("slow", move || {
                let (at_once, most) = (at_once.clone(), most.clone());
                async move {
                    most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    RealDeadline::after(Duration::from_millis(100)).passed().await;
                    at_once.fetch_sub(1, Ordering::SeqCst);
                }
            })
        };
        let mut schedulers = Vec::new();
        for _ in 0..3 {
            schedulers.push(scheduler(tested, slow()).await);
        }
        let often = slow().id("often").every(Duration::from_millis(20)).max_instances(2);
        schedulers[0].add_task(often).await.expect("it is added");
        let succeeded = RunFilter::new().status(RunStatus::Succeeded);
        tested.until("some have run", async || tested.runs(succeeded.clone()).await.len() >= 20).await;
        stop(schedulers).await;
        let most = most.load(Ordering::SeqCst);
        assert!(most <= 2, "{most} runs went on at once, max_instances is 2");
    });
}

/// Puts a task of the handler `hears` into the store when all schedulers have looked at all there is, and wait; answers how
/// much later it was started.
async fn put_for_hears(tested: &Tested) -> TimeDelta {
    RealDeadline::after(Duration::from_millis(500)).passed().await;
    let put = SystemClock.now();
    let due = tested.now().await;
    tested.add([defined(task("task", due), |definition| definition.handler = "hears".into())]).await;
    let succeeded = RunFilter::new().status(RunStatus::Succeeded);
    tested.until("it has run", async || !tested.runs(succeeded.clone()).await.is_empty()).await;
    tested.runs(succeeded).await[0].started_at.expect("it was started") - put
}

/// A scheduler that has nothing to do hears of a task that is put into the store, and runs it.
pub fn a_scheduler_hears_of_anothers_task<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let hears = scheduler(tested, Task::from_fn("hears", || ())).await;
        let other = scheduler(tested, Task::from_fn("another", || ())).await;
        let late = put_for_hears(tested).await;
        assert!(late < TimeDelta::seconds(3), "it is heard of within a second: {late}");
        stop(vec![hears, other]).await;
    });
}

/// A run can be cancelled from any scheduler.
pub fn a_run_is_cancelled_from_another_scheduler<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let runs =
            scheduler(tested, Task::from_fn("for ever", async |ctx: TaskContext| ctx.cancelled().await))
                .await;
        let other = scheduler(tested, Task::from_fn("another", || ())).await;
        runs.add_task(Task::from_fn("for ever", async |ctx: TaskContext| ctx.cancelled().await).id("task"))
            .await
            .expect("it is added");
        let mut entries = Vec::new();
        tested
            .until("it runs", async || {
                entries = tested.runs_of("task").await;
                !entries.is_empty()
            })
            .await;
        other.cancel_run(entries[0].id).await.expect("it goes on");
        tested.until("it has ended", async || tested.run(entries[0].id).await.status.is_final()).await;
        stop(vec![runs, other]).await;
    });
}

/// A store is closed by the last scheduler that leaves it: the others go on, and hear of changes.
pub fn a_store_is_closed_by_the_last_that_leaves_it<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let stays = scheduler(tested, Task::from_fn("hears", || ())).await;
        let leaves = scheduler(tested, Task::from_fn("another", || ())).await;
        stop(vec![leaves]).await;
        let comes = scheduler(tested, Task::from_fn("another", || ())).await;
        put_for_hears(tested).await;
        stop(vec![stays, comes]).await;
    });
}

/// What a scheduler left that died is run again by another as soon as its lease has lapsed.
pub fn a_scheduler_takes_over_from_a_dead_one<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        if !tested.has_leases() {
            return;
        }
        let dead = tested.holder(SHORT).await;
        let due = tested.now().await - TimeDelta::seconds(1);
        tested.add([defined(task("task", due), |definition| definition.handler = "again".into())]).await;
        let left = tested.run_of(dead.id, "task").await;
        let lives = scheduler(tested, Task::from_fn("again", || ())).await;
        let succeeded = RunFilter::new().status(RunStatus::Succeeded);
        tested.until("it is run again", async || !tested.runs(succeeded.clone()).await.is_empty()).await;
        let again = tested.runs(succeeded.clone()).await.remove(0);
        assert_eq!(again.occurrence.due, due, "it is the same occurrence");
        assert_eq!(
            (again.occurrence.attempt, again.occurrence.is_catch_up),
            (2, true),
            "it is the next attempt"
        );
        assert_eq!(tested.run(left.decisions[0].run).await.status, RunStatus::Lost, "the first is lost");
        stop(vec![lives]).await;
    });
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
