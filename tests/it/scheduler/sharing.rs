//! Schedulers that share a store: leases, and what is left by those that go.

use std::sync::Arc;

use asyncz::RunStatus::{Cancelled, Lost, Queued, Running, Succeeded};
use asyncz::testing::{Fault, FaultyStore, StoreCall, TestClock};
use asyncz::{
    AsynczConfig, EventMask, IntervalTrigger, MemoryStore, OrTrigger, Recover, RunFilter, RunRecord,
    Scheduler, Shutdown, ShutdownTrigger, Store, Task, TaskContext, TaskUpdate, Trigger,
};
use tokio::sync::Notify;

use super::{NOON, Notes, history, nothing, seconds};

/// A store that gives leases of half a minute, and schedulers on it.
struct Shared {
    clock: TestClock,
    store: Arc<MemoryStore>,
}

impl Shared {
    fn new() -> Self {
        Self { clock: TestClock::at(NOON), store: Arc::new(MemoryStore::new().leased(seconds(30))) }
    }

    fn config(&self, name: &str, store: impl Store) -> AsynczConfig {
        let config = AsynczConfig::new().clock(self.clock.clone()).without_registry();
        config.identity(name).store("default", store)
    }

    /// A scheduler that has these tasks, all of one handler, and declares them.
    async fn start(&self, name: &str, tasks: impl IntoIterator<Item = Task>) -> Scheduler {
        start(self.config(name, self.store.clone()), tasks).await
    }

    /// One that is near and decides nothing.
    async fn start_paused(&self, tasks: impl IntoIterator<Item = Task>) -> Scheduler {
        let near = self.start("near", tasks).await;
        near.pause().await.unwrap();
        near
    }

    /// One that can be cut off from the store.
    async fn start_far(
        &self,
        tasks: impl IntoIterator<Item = Task>,
    ) -> (Scheduler, FaultyStore<Arc<MemoryStore>>) {
        let line = FaultyStore::new(self.store.clone());
        (start(self.config("far", line.clone()), tasks).await, line)
    }
}

async fn start(config: AsynczConfig, tasks: impl IntoIterator<Item = Task>) -> Scheduler {
    let config = tasks.into_iter().fold(config, AsynczConfig::task);
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    scheduler
}

async fn five_minutes(ctx: TaskContext) {
    ctx.sleep(seconds(300)).await;
}

/// Runs for five minutes, once, from a minute past noon.
fn long(id: &str) -> Task {
    let at = NOON.parse::<chrono::DateTime<chrono::Utc>>().unwrap() + chrono::TimeDelta::seconds(60);
    Task::from_fn("long", five_minutes).id(id).at(at).replace_existing(true)
}

fn hourly() -> Task {
    Task::from_fn("nothing", nothing).id("t").every(seconds(3_600)).replace_existing(true)
}

/// The task has another interval.
fn every(time: u64) -> TaskUpdate {
    TaskUpdate::new().trigger(IntervalTrigger::every(seconds(time)))
}

async fn runs(scheduler: &Scheduler, task: &str) -> Vec<RunRecord> {
    let mut runs = scheduler.runs(RunFilter::new().task(task)).await.unwrap();
    runs.reverse();
    runs
}

#[tokio::test]
async fn a_run_whose_scheduler_is_gone_is_run_again_within_the_lease() {
    let shared = Shared::new();
    let (far, line) = shared.start_far([long("t")]).await;
    shared.clock.advance(seconds(60)).await;
    assert_eq!(runs(&far, "t").await.len(), 1);
    let near = shared.start("near", [long("t")]).await;
    line.inject(Fault::error("cut off"));

    shared.clock.advance(seconds(31)).await;

    let [lost, again] = &runs(&near, "t").await[..] else { panic!("a run, and one in its place") };
    assert_eq!((lost.status, lost.occurrence.attempt), (Lost, 1));
    assert!(lost.error.as_ref().unwrap().contains("it is run again, as attempt 2"), "{:?}", lost.error);
    assert_eq!((again.occurrence.attempt, again.occurrence.is_catch_up), (2, true));
    assert_eq!(again.occurrence.due, lost.occurrence.due);
    assert_ne!(again.node, lost.started_at.and(None));
    shared.clock.advance(seconds(300)).await;
    assert_eq!(history(&near, "t").await, [(Lost, 60), (Succeeded, 60)]);
}

#[tokio::test]
async fn a_run_that_was_taken_over_is_not_completed_by_who_had_it() {
    let shared = Shared::new();
    let (far, line) = shared.start_far([long("t")]).await;
    let notes = Notes::default();
    let told = notes.clone();
    far.add_listener(EventMask::TASK_LOST | EventMask::TASK_EXECUTED, move |event| {
        told.add(format!("{:?} {}", event.kind, event.error.as_deref().unwrap_or_default()));
    });
    shared.clock.advance(seconds(60)).await;
    let near = shared.start("near", [long("t")]).await;
    line.inject(Fault::error("cut off"));
    shared.clock.advance(seconds(40)).await;
    line.heal();

    // It hears that the run is somebody else's, and stops it.
    shared.clock.advance(seconds(60)).await;

    let told = notes.all();
    assert!(matches!(&told[..], [one] if one.contains("LOST") && one.contains("taken over")), "{told:?}");
    shared.clock.advance(seconds(300)).await;
    assert_eq!(history(&near, "t").await, [(Lost, 60), (Succeeded, 60)]);
    assert_eq!(notes.all().len(), 1);
}

#[tokio::test]
async fn a_handler_can_ask_whether_its_run_is_still_its_own() {
    let shared = Shared::new();
    let notes = Notes::default();
    let told = notes.clone();
    let ask = move |ctx: TaskContext| {
        let told = told.clone();
        async move {
            for _ in 0..2 {
                let said = ctx.heartbeat().await;
                told.add(said.map_or_else(|error| error.to_string(), |()| "its own".to_owned()));
                ctx.sleep(seconds(60)).await;
            }
        }
    };
    let task = Task::from_fn("long", ask).id("t").every(seconds(3_600)).replace_existing(true);
    let (far, line) = shared.start_far([task]).await;
    let near = shared.start("near", [Task::from_fn("long", nothing).id("other").every(seconds(9_000))]).await;
    near.pause().await.unwrap();
    shared.clock.advance(seconds(3_600)).await;
    assert_eq!(notes.all(), ["its own"]);
    near.resume().await.unwrap();
    line.inject(Fault::error("cut off").on(StoreCall::Renew));

    shared.clock.advance(seconds(61)).await;

    let told = notes.all().pop().unwrap();
    assert!(told.contains("of task `t` was taken over by another scheduler"), "{told}");
    drop(far);
}

#[tokio::test]
async fn a_run_that_abandons_is_lost_with_its_scheduler_and_counts_no_more() {
    let shared = Shared::new();
    let task = || long("t").recover(Recover::Abandon);
    let (_far, line) = shared.start_far([task()]).await;
    shared.clock.advance(seconds(60)).await;
    let near = shared.start("near", [task()]).await;
    line.inject(Fault::error("cut off"));

    shared.clock.advance(seconds(400)).await;

    assert_eq!(history(&near, "t").await, [(Lost, 60)]);
    assert_eq!(near.info().counts.lost, 1);
    assert!(near.get_task("t").await.is_err(), "it is over with its only run");
}

#[tokio::test]
async fn a_run_of_a_shutdown_is_not_run_again_by_those_that_go_on() {
    let shared = Shared::new();
    let begun = Arc::new(Notify::new());
    let task = || {
        let begun = begun.clone();
        let last = move |ctx: TaskContext| {
            begun.notify_one();
            five_minutes(ctx)
        };
        Task::from_fn("long", last).id("t").trigger(ShutdownTrigger).replace_existing(true)
    };
    let (far, line) = shared.start_far([task()]).await;
    let near = shared.start("near", [task()]).await;
    let stopping = tokio::spawn(async move { far.shutdown(Shutdown::Wait).await });
    begun.notified().await;
    line.inject(Fault::error("cut off"));

    shared.clock.advance(seconds(60)).await;

    let [lost] = &runs(&near, "t").await[..] else { panic!("one run") };
    assert_eq!(lost.status, Lost);
    assert!(
        lost.error.as_ref().unwrap().contains("belonged to that scheduler's shutdown"),
        "{:?}",
        lost.error
    );
    stopping.abort();
}

#[tokio::test]
async fn a_run_by_schedule_is_run_again_though_its_trigger_knows_the_shutdown_too() {
    let shared = Shared::new();
    let task = || {
        let members: [Box<dyn Trigger>; 2] =
            [IntervalTrigger::every(seconds(60)).into(), ShutdownTrigger.into()];
        let trigger = OrTrigger::new(members).unwrap();
        Task::from_fn("long", five_minutes).id("t").trigger(trigger).replace_existing(true)
    };
    let (_far, line) = shared.start_far([task()]).await;
    shared.clock.advance(seconds(60)).await;
    let near = shared.start("near", [task()]).await;
    line.inject(Fault::error("cut off"));

    shared.clock.advance(seconds(31)).await;

    let runs = runs(&near, "t").await;
    let found: Vec<_> = runs.iter().map(|run| (run.status, run.occurrence.attempt)).collect();
    assert_eq!(found, [(Lost, 1), (Running, 2)]);
}

#[tokio::test]
async fn a_lease_that_is_renewed_is_not_taken() {
    let shared = Shared::new();
    let far = shared.start("far", [long("t")]).await;
    let near = shared.start("near", [long("t")]).await;

    shared.clock.advance(seconds(400)).await;

    assert_eq!(history(&near, "t").await, [(Succeeded, 60)]);
    assert_eq!(near.info().counts.submitted + far.info().counts.submitted, 1);
}

#[tokio::test]
async fn what_has_not_started_is_handed_on_at_once_by_an_orderly_stop() {
    let shared = Shared::new();
    // Held back by up to an hour: it is claimed and does not start.
    let held =
        || Task::from_fn("held", nothing).id("t").every(seconds(60)).jitter(seconds(3_600)).max_instances(9);
    let far = shared.start("far", [held()]).await;
    shared.clock.advance(seconds(60)).await;
    let claimed = runs(&far, "t").await[0].clone();
    assert!(claimed.started_at.is_none());
    let near = shared.start("near", [held().replace_existing(true)]).await;

    far.shutdown(Shutdown::Wait).await.unwrap();
    shared.clock.settle().await;

    let [before, after] = &runs(&near, "t").await[..] else { panic!("a run, and one in its place") };
    assert_eq!((before.status, after.occurrence.attempt), (Cancelled, 1));
    assert_eq!(after.occurrence.due, before.occurrence.due);
    assert!(after.is_open() || after.status == Queued, "{after:?}");
    shared.clock.advance(seconds(1)).await;
    assert!(
        runs(&near, "t")
            .await
            .iter()
            .any(|run| run.node == near.info().stores[0].nodes.last().map(|n| n.node.id))
    );
}

#[tokio::test]
async fn what_is_cut_short_at_the_deadline_is_run_again_elsewhere() {
    let shared = Shared::new();
    let far = shared.start("far", [long("t"), long("once").recover(Recover::Abandon)]).await;
    shared.clock.advance(seconds(60)).await;
    let near = shared.start("near", [long("t"), long("once").recover(Recover::Abandon)]).await;

    far.shutdown(Shutdown::Now).await.unwrap();
    shared.clock.advance(seconds(300)).await;

    assert_eq!(history(&near, "t").await, [(Cancelled, 60), (Succeeded, 60)]);
    assert_eq!(history(&near, "once").await, [(Cancelled, 60)]);
}

#[tokio::test]
async fn a_failed_run_is_tried_again_by_another_where_its_own_has_stopped() {
    async fn fail(ctx: TaskContext) -> Result<(), String> {
        if ctx.attempt() == 1 { Err("the first time".to_owned()) } else { Ok(()) }
    }
    let shared = Shared::new();
    let task = || {
        let task = Task::from_fn("fail", fail).id("t").every(seconds(3_600)).replace_existing(true);
        task.retries(1).retry_backoff(seconds(120))
    };
    let far = shared.start("far", [task()]).await;
    let near = shared.start("near", [task()]).await;
    near.pause().await.unwrap();
    shared.clock.advance(seconds(3_600)).await;
    near.resume().await.unwrap();

    far.shutdown(Shutdown::Wait).await.unwrap();
    shared.clock.advance(seconds(60)).await;
    let waits = runs(&near, "t").await;
    assert!(waits.iter().all(|run| run.started_at.is_none() || run.occurrence.attempt == 1), "{waits:?}");
    shared.clock.advance(seconds(61)).await;

    let last = runs(&near, "t").await.pop().unwrap();
    assert_eq!((last.status, last.occurrence.attempt), (Succeeded, 2));
}

#[tokio::test]
async fn a_run_can_be_cancelled_from_anywhere() {
    let shared = Shared::new();
    let far = shared.start("far", [long("t")]).await;
    shared.clock.advance(seconds(60)).await;
    let near = shared.start("near", [long("t")]).await;
    let run = runs(&near, "t").await[0].id;

    near.cancel_run(run).await.unwrap();
    shared.clock.advance(seconds(3)).await;

    assert_eq!(history(&near, "t").await, [(Cancelled, 60)]);
    assert_eq!(far.info().counts.cancelled, 1);
}

#[tokio::test]
async fn what_one_changes_the_others_hear_at_once() {
    let shared = Shared::new();
    let far = shared.start("far", [hourly()]).await;
    let near = shared.start_paused([hourly()]).await;

    near.update_task("t", every(10)).await.unwrap();
    shared.clock.advance(seconds(10)).await;

    assert_eq!(history(&near, "t").await, [(Succeeded, 10)]);
    assert_eq!((far.info().counts.executed, near.info().counts.executed), (1, 0));
}

#[tokio::test]
async fn who_is_told_before_its_start_has_come_to_its_end_goes_on_hearing() {
    let shared = Shared::new();
    // Its store tells at once, and forgets whoever says that nobody hears it.
    let (far, _line) = shared.start_far([hourly()]).await;
    let near = shared.start_paused([hourly()]).await;

    near.update_task("t", every(10)).await.unwrap();
    shared.clock.advance(seconds(10)).await;

    assert_eq!(history(&near, "t").await, [(Succeeded, 10)]);
    far.stop().await.unwrap();
    far.start().await.unwrap();
    near.update_task("t", every(5)).await.unwrap();
    shared.clock.advance(seconds(5)).await;
    assert_eq!(history(&near, "t").await, [(Succeeded, 10), (Succeeded, 15)]);
}

#[tokio::test]
async fn whoever_is_told_nothing_looks_once_a_lease() {
    let shared = Shared::new();
    let (far, line) = shared.start_far([hourly()]).await;
    let near = shared.start_paused([hourly()]).await;
    line.inject(Fault::error("lost").on(StoreCall::Changes));

    near.update_task("t", every(1)).await.unwrap();
    shared.clock.advance(seconds(31)).await;

    let ran = history(&far, "t").await;
    assert_eq!(ran.last(), Some(&(Succeeded, 31)), "{ran:?}");
}

#[tokio::test]
async fn all_who_share_a_store_are_known() {
    let shared = Shared::new();
    let far = shared.start("far", []).await;
    let near = shared.start("near", []).await;
    shared.clock.advance(seconds(10)).await;

    let info = near.info();
    let names: Vec<_> = info.stores[0].nodes.iter().map(|known| &*known.node.identity).collect();
    assert!(names.contains(&"far") && names.contains(&"near"), "{names:?}");
    let far_record = info.stores[0].nodes.iter().find(|known| &*known.node.identity == "far").unwrap();
    assert_eq!(
        (far_record.node.pid, &*far_record.node.version),
        (std::process::id(), env!("CARGO_PKG_VERSION"))
    );
    far.shutdown(Shutdown::Wait).await.unwrap();
    shared.clock.advance(seconds(10)).await;
    assert_eq!(near.info().stores[0].nodes.len(), 1, "one that has left in order is known no more");
}

#[tokio::test]
async fn an_older_release_leaves_alone_what_a_newer_one_declares() {
    let shared = Shared::new();
    let declared = |every| {
        let task = Task::from_fn("nothing", nothing).id("t").every(seconds(every));
        task.replace_existing(true)
    };
    let newer = shared.config("newer", shared.store.clone()).release(2).task(declared(20));
    let newer = newer.scheduler();
    newer.start().await.unwrap();
    let older = shared.config("older", shared.store.clone()).release(1).task(declared(10)).scheduler();
    older.start().await.unwrap();

    shared.clock.advance(seconds(40)).await;

    assert_eq!(history(&older, "t").await, [(Succeeded, 20), (Succeeded, 40)]);
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_run_all_the_same() {
    let shared = Shared::new();
    let every = Task::from_fn("nothing", nothing).id("t").every(seconds(60));
    let (far, line) = shared.start_far([every]).await;
    line.inject(Fault::lost_answer("cut off").on(StoreCall::Claim).times(1));

    shared.clock.advance(seconds(90)).await;

    assert_eq!(history(&far, "t").await, [(Cancelled, 60), (Succeeded, 60)]);
}

#[tokio::test]
async fn a_call_that_takes_too_long_has_failed() {
    let shared = Shared::new();
    let line = FaultyStore::new(shared.store.clone());
    let config = shared.config("far", line.clone()).store_timeout(std::time::Duration::from_millis(50));
    let far = start(config, [Task::from_fn("nothing", nothing).id("t").every(seconds(60))]).await;
    let notes = Notes::default();
    let told = notes.clone();
    far.add_listener(EventMask::STORE_ERROR, move |event| {
        told.add(event.error.as_deref().unwrap_or_default())
    });
    line.inject(Fault::hang().on(StoreCall::Query).times(1));

    shared.clock.advance(seconds(60)).await;

    assert!(matches!(&notes.all()[..], [one] if one.contains("no answer within 50ms")), "{:?}", notes.all());
    shared.clock.advance(seconds(10)).await;
    assert_eq!(history(&far, "t").await, [(Succeeded, 60)]);
    far.get_task("t").await.unwrap();
}
