//! Stores and executors that come and go.

use asyncz::RunStatus::{Cancelled, Coalesced, Failed, Succeeded};
use asyncz::testing::{FaultyStore, StoreCall};
use asyncz::{
    AsyncExecutor, DebugExecutor, Error, EventMask, MemoryStore, RunFilter, RunStatus, Scheduler, Shutdown,
    State, Store, Task, TaskContext, TaskFilter, ThreadPoolExecutor,
};

use super::{Notes, after_noon, at_noon, history, ninety_seconds, nothing, seconds, started};

fn every_ten_seconds(id: &str) -> Task {
    Task::from_fn("nothing", nothing).id(id).every(seconds(10))
}

/// Notes the events of stores and executors, and of the scheduler's start and end.
fn listen(scheduler: &Scheduler) -> Notes {
    let notes = Notes::default();
    let noted = notes.clone();
    let kinds = EventMask::STORE_ADDED
        | EventMask::STORE_REMOVED
        | EventMask::EXECUTOR_ADDED
        | EventMask::EXECUTOR_REMOVED
        | EventMask::SCHEDULER_SHUTDOWN;
    scheduler.add_listener(kinds, move |event| {
        let names: Vec<_> = event.kind.iter_names().map(|(name, _)| name).collect();
        noted.add(format!("{} {}", names.join("|"), event.alias.as_deref().unwrap_or("-")));
    });
    notes
}

/// What a store remembers of a task, whoever schedules it: status and seconds after noon.
async fn kept(store: &FaultyStore, task: &str) -> Vec<(RunStatus, i64)> {
    let runs = store.inner().runs(&RunFilter::new().task(task)).await.unwrap();
    runs.into_iter().rev().map(|run| (run.status, after_noon(run.scheduled_at()))).collect()
}

#[tokio::test]
async fn a_store_that_is_added_while_running_is_scheduled_from() {
    let (clock, scheduler) = started().await;
    let notes = listen(&scheduler);

    scheduler.add_store("other", MemoryStore::new()).await.unwrap();
    scheduler.add_task(every_ten_seconds("t").store("other")).await.unwrap();
    clock.advance(seconds(10)).await;

    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 10)]);
    assert_eq!(notes.all(), ["STORE_ADDED other"]);
    assert_eq!(scheduler.info().stores.len(), 2);
}

#[tokio::test]
async fn what_is_added_before_the_start_starts_with_it() {
    let (clock, config) = at_noon();
    let scheduler = config.scheduler();
    // Nobody has this name before the start.
    scheduler.add_store("default", MemoryStore::new()).await.unwrap();
    scheduler.add_executor("default", DebugExecutor::new()).await.unwrap();
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    scheduler.start().await.unwrap();
    clock.advance(seconds(10)).await;

    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 10)]);
    assert_eq!(&*scheduler.info().executors[0].kind, "DebugExecutor");
}

#[tokio::test]
async fn a_taken_alias_is_an_error_that_names_it() {
    let (_clock, scheduler) = started().await;
    let store = scheduler.add_store("default", MemoryStore::new()).await.unwrap_err();
    let executor = scheduler.add_executor("default", AsyncExecutor::new()).await.unwrap_err();
    assert!(matches!(store, Error::AliasTaken { .. }));
    let rest = "choose another alias, or remove that one first";
    assert_eq!(store.to_string(), format!("there is a store `default` already: {rest}"));
    assert_eq!(executor.to_string(), format!("there is an executor `default` already: {rest}"));
}

#[tokio::test]
async fn a_store_that_does_not_start_is_not_added() {
    let (_clock, scheduler) = started().await;
    let down = FaultyStore::in_memory();
    down.go_down();
    let error = scheduler.add_store("other", down.clone()).await.unwrap_err();
    assert_eq!(error.to_string(), "store `other` failed");
    down.heal();
    scheduler.add_store("other", down).await.unwrap();
}

#[tokio::test]
async fn a_removed_store_keeps_its_tasks_and_they_go_on_when_it_is_added_again() {
    let (clock, config) = at_noon();
    let other = FaultyStore::in_memory();
    let scheduler = config.store("other", other.clone()).scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(every_ten_seconds("t").store("other")).await.unwrap();
    clock.advance(seconds(10)).await;
    let notes = listen(&scheduler);

    scheduler.remove_store("other").await.unwrap();
    assert_eq!(other.calls(StoreCall::Shutdown), 1);
    clock.advance(seconds(25)).await;
    assert_eq!(kept(&other, "t").await, [(Succeeded, 10)]);
    assert!(matches!(scheduler.get_task("t").await, Err(Error::TaskNotFound { .. })));
    assert!(matches!(scheduler.remove_store("other").await, Err(Error::StoreNotFound { .. })));

    scheduler.add_store("again", other.clone()).await.unwrap();
    clock.advance(seconds(5)).await;
    let expected = [(Succeeded, 10), (Coalesced, 20), (Succeeded, 30), (Succeeded, 40)];
    assert_eq!(kept(&other, "t").await, expected);
    assert_eq!(notes.all(), ["STORE_REMOVED other", "STORE_ADDED again"]);
}

#[tokio::test]
async fn a_removed_store_hears_how_its_last_runs_ended() {
    let (clock, config) = at_noon();
    let other = FaultyStore::in_memory();
    let scheduler = config.store("other", other.clone()).scheduler();
    scheduler.start().await.unwrap();
    let slow = Task::from_fn("slow", ninety_seconds).id("slow").store("other").every(seconds(60));
    scheduler.add_task(slow.max_instances(5)).await.unwrap();
    clock.advance(seconds(60)).await;

    // Whoever asked for it does not wait for it: it comes to its end all the same.
    let mut removal = Box::pin(scheduler.remove_store("other"));
    let context = &mut std::task::Context::from_waker(std::task::Waker::noop());
    assert!(removal.as_mut().poll(context).is_pending());
    drop(removal);
    // Until then the alias is taken.
    let error = scheduler.add_store("other", MemoryStore::new()).await.unwrap_err();
    assert!(matches!(error, Error::AliasTaken { .. }), "{error}");
    clock.advance(seconds(90)).await;
    while other.calls(StoreCall::Shutdown) == 0 {
        tokio::task::yield_now().await;
    }

    assert_eq!(kept(&other, "slow").await, [(Succeeded, 60)]);
    while scheduler.add_store("other", MemoryStore::new()).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_run_that_is_held_back_is_cancelled_when_its_store_is_removed() {
    async fn fails() -> Result<(), String> {
        Err("no".to_owned())
    }
    let (clock, config) = at_noon();
    let other = FaultyStore::in_memory();
    let scheduler = config.store("other", other.clone()).scheduler();
    scheduler.start().await.unwrap();
    let task = Task::from_fn("fails", fails).id("t").store("other").every(seconds(10));
    scheduler.add_task(task.retries(1).retry_backoff(seconds(60))).await.unwrap();
    clock.advance(seconds(10)).await;

    scheduler.remove_store("other").await.unwrap();

    assert_eq!(kept(&other, "t").await, [(Failed, 10), (Cancelled, 10)]);
}

#[tokio::test]
async fn a_store_that_is_down_can_be_removed() {
    let (clock, config) = at_noon();
    let other = FaultyStore::in_memory();
    let scheduler = config.store("other", other.clone()).scheduler();
    scheduler.start().await.unwrap();
    let slow = Task::from_fn("slow", ninety_seconds).id("slow").store("other").every(seconds(60));
    scheduler.add_task(slow).await.unwrap();
    clock.advance(seconds(60)).await;
    other.go_down();
    clock.advance(seconds(91)).await;

    let error = scheduler.remove_store("other").await.unwrap_err();

    // It does not close well either, but it is gone.
    assert!(matches!(error, Error::Store { .. }), "{error}");
    assert_eq!(scheduler.info().stores.len(), 1);
    // It was told all the same.
    assert_eq!(scheduler.info().counts.executed, 1);
    scheduler.shutdown(Shutdown::Wait).await.unwrap();
}

#[tokio::test]
async fn a_shutdown_ends_a_removal_that_waits() {
    let (_clock, config) = at_noon();
    let other = FaultyStore::in_memory();
    let scheduler = config.store("other", other.clone()).scheduler();
    scheduler.start().await.unwrap();
    async fn until_cancelled(ctx: TaskContext) {
        ctx.cancelled().await;
    }
    let task = Task::from_fn("until_cancelled", until_cancelled).id("t").store("other").every(seconds(10));
    scheduler.add_task(task).await.unwrap().run().await.unwrap();
    while scheduler.info().running == 0 {
        tokio::task::yield_now().await;
    }
    let removal = tokio::spawn({
        let scheduler = scheduler.clone();
        async move { scheduler.remove_store("other").await }
    });
    while scheduler.tasks(TaskFilter::new()).await.unwrap().len() == 1 {
        tokio::task::yield_now().await;
    }

    scheduler.shutdown(Shutdown::Now).await.unwrap();
    removal.await.unwrap().unwrap();

    assert_eq!(kept(&other, "t").await, [(Succeeded, 0)]);
}

#[tokio::test]
async fn without_the_default_store_tasks_that_name_none_are_refused_until_the_next_start() {
    let (_clock, scheduler) = started().await;
    scheduler.remove_store("default").await.unwrap();
    let error = scheduler.add_task(every_ten_seconds("t")).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no store `default`; there are: ");

    scheduler.stop().await.unwrap();
    scheduler.start().await.unwrap();
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();
}

#[tokio::test]
async fn an_executor_that_is_added_while_running_runs() {
    let (clock, scheduler) = started().await;
    let notes = listen(&scheduler);
    scheduler.add_executor("pool", ThreadPoolExecutor::new(1)).await.unwrap();
    scheduler.add_task(every_ten_seconds("t").executor("pool")).await.unwrap();
    clock.advance(seconds(10)).await;
    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 10)]);
    assert_eq!(notes.all(), ["EXECUTOR_ADDED pool"]);
}

#[tokio::test]
async fn a_removed_executor_ends_its_runs_and_takes_no_more() {
    let (clock, config) = at_noon();
    let scheduler = config.executor("pool", ThreadPoolExecutor::new(2)).scheduler();
    scheduler.start().await.unwrap();
    for id in ["a", "b"] {
        let slow = Task::from_fn("slow", ninety_seconds).id(id).executor("pool").every(seconds(60));
        scheduler.add_task(slow).await.unwrap().run().await.unwrap();
    }
    clock.advance(seconds(1)).await;
    let notes = listen(&scheduler);

    let removal = tokio::spawn({
        let scheduler = scheduler.clone();
        async move { scheduler.remove_executor("pool").await }
    });
    while scheduler.info().executors.len() == 2 {
        tokio::task::yield_now().await;
    }
    clock.advance(seconds(59)).await;
    assert_eq!(notes.all(), Vec::<String>::new());
    clock.advance(seconds(1000)).await;
    removal.await.unwrap().unwrap();

    assert_eq!(history(&scheduler, "a").await[0], (Succeeded, 0));
    assert_eq!(history(&scheduler, "b").await[0], (Succeeded, 0));
    clock.settle().await;
    assert_eq!(notes.all(), ["EXECUTOR_REMOVED pool"]);
}

#[tokio::test]
async fn tasks_of_a_removed_executor_fail_until_another_has_its_name() {
    let (clock, scheduler) = started().await;
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();

    scheduler.remove_executor("default").await.unwrap();
    clock.advance(seconds(10)).await;
    let refused = scheduler.add_task(every_ten_seconds("u")).await.unwrap_err();
    assert_eq!(refused.to_string(), "there is no executor `default`; there are: ");
    scheduler.add_executor("default", DebugExecutor::new()).await.unwrap();
    clock.advance(seconds(10)).await;

    assert_eq!(history(&scheduler, "t").await, [(Failed, 10), (Succeeded, 20)]);
    let failed = scheduler.runs(RunFilter::new().status(Failed)).await.unwrap().remove(0);
    assert_eq!(failed.error.as_deref(), Some("there is no executor `default`"));
    let unknown = scheduler.remove_executor("gpu").await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no executor `gpu`; there are: default");
}

#[tokio::test]
async fn what_is_removed_while_stopped_does_not_start() {
    let (_clock, config) = at_noon();
    let other = FaultyStore::in_memory();
    other.go_down();
    let config = config.store("other", other.clone()).executor("pool", ThreadPoolExecutor::new(1));
    let scheduler = config.scheduler();
    let notes = listen(&scheduler);

    scheduler.remove_store("other").await.unwrap();
    scheduler.remove_executor("pool").await.unwrap();
    scheduler.start().await.unwrap();

    assert_eq!((scheduler.state(), scheduler.info().executors.len()), (State::Running, 1));
    scheduler.stop().await.unwrap();
    assert_eq!(other.calls(StoreCall::Shutdown), 0);
    let expected = [
        "STORE_REMOVED other",
        "EXECUTOR_REMOVED pool",
        "EXECUTOR_ADDED default",
        "STORE_ADDED default",
        "SCHEDULER_SHUTDOWN -",
    ];
    while notes.all().len() < expected.len() {
        tokio::task::yield_now().await;
    }
    assert_eq!(notes.all(), expected);
}
