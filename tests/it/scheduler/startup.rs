//! How starts begin, and what becomes of those that don't come to their end.

use std::time::Duration;

use asyncz::RunStatus::{Coalesced, Succeeded};
use asyncz::testing::{Fault, FaultyStore, StoreCall};
use asyncz::{Error, Scheduler, State, Task, TaskFilter, TaskState};
use tokio::task::JoinHandle;

use super::{at_noon, history, nothing, seconds};

fn every_ten_seconds(id: &str) -> Task {
    Task::from_fn("nothing", nothing).id(id).every(seconds(10))
}

#[tokio::test]
async fn nothing_is_decided_before_the_startup_delay_has_passed() {
    let (clock, config) = at_noon();
    let scheduler = config.startup_delay(seconds(25)).scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    assert_eq!(scheduler.state(), State::Running);

    clock.advance(seconds(24)).await;
    assert_eq!(history(&scheduler, "t").await, []);
    clock.advance(seconds(16)).await;
    let expected = [(Coalesced, 10), (Succeeded, 20), (Succeeded, 30), (Succeeded, 40)];
    assert_eq!(history(&scheduler, "t").await, expected);
}

#[tokio::test]
async fn a_run_by_hand_does_not_wait_for_the_startup_delay() {
    let (clock, config) = at_noon();
    let scheduler = config.startup_delay(seconds(3600)).scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(every_ten_seconds("t")).await.unwrap().run().await.unwrap();
    clock.settle().await;
    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 0)]);
}

#[tokio::test]
async fn pausing_and_resuming_ends_the_startup_delay() {
    let (clock, config) = at_noon();
    let scheduler = config.startup_delay(seconds(20)).scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();

    scheduler.pause().await.unwrap();
    clock.advance(seconds(25)).await;
    assert_eq!(history(&scheduler, "t").await, []);
    scheduler.resume().await.unwrap();
    clock.settle().await;
    assert_eq!(history(&scheduler, "t").await, [(Coalesced, 10), (Succeeded, 20)]);
}

#[tokio::test]
async fn a_start_that_takes_too_long_leaves_nothing_behind_and_may_be_tried_again() {
    let (clock, config) = at_noon();
    let slow = FaultyStore::in_memory();
    slow.inject(Fault::hang().on(StoreCall::Start));
    let scheduler = config.start_timeout(Duration::from_millis(20)).store("slow", slow.clone()).scheduler();
    scheduler.add_task(every_ten_seconds("t").store("slow")).await.unwrap();

    let error = scheduler.start().await.unwrap_err();

    assert!(matches!(error, Error::StartTimeout { .. }), "{error}");
    assert_eq!(scheduler.state(), State::Stopped);
    assert_eq!(scheduler.get_task("t").await.unwrap().state, TaskState::Pending);
    slow.heal();
    scheduler.start().await.unwrap();
    clock.advance(seconds(10)).await;
    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 10)]);
    assert_eq!(scheduler.tasks(TaskFilter::new()).await.unwrap().len(), 1);
}

/// A start that has come to its store.
async fn starting(scheduler: &Scheduler, store: &FaultyStore) -> JoinHandle<Result<(), Error>> {
    let scheduler = scheduler.clone();
    let starting = tokio::spawn(async move { scheduler.start().await });
    while store.calls(StoreCall::Start) == 0 {
        tokio::task::yield_now().await;
    }
    starting
}

#[tokio::test]
async fn what_is_asked_while_it_starts_waits_for_that() {
    let (clock, config) = at_noon();
    let slow = FaultyStore::in_memory();
    slow.inject(Fault::hold().on(StoreCall::Start));
    let scheduler = config.store("slow", slow.clone()).scheduler();
    scheduler.add_task(every_ten_seconds("early").store("slow")).await.unwrap();
    let starting = starting(&scheduler, &slow).await;

    let asked = tokio::spawn({
        let scheduler = scheduler.clone();
        async move {
            scheduler.add_task(every_ten_seconds("late").store("slow")).await?;
            scheduler.get_task("early").await
        }
    });
    tokio::task::yield_now().await;
    assert!(!asked.is_finished());
    assert_eq!(slow.calls(StoreCall::Put), 0, "nothing is put into a store that has not started");

    slow.heal();
    starting.await.unwrap().unwrap();
    assert_eq!(asked.await.unwrap().unwrap().state, TaskState::Scheduled);
    clock.advance(seconds(10)).await;
    for task in ["early", "late"] {
        assert_eq!(history(&scheduler, task).await, [(Succeeded, 10)]);
    }
}

#[tokio::test]
async fn what_is_asked_while_a_start_fails_finds_it_as_it_was() {
    let (_clock, config) = at_noon();
    let slow = FaultyStore::in_memory();
    slow.inject(Fault::hang().on(StoreCall::Start));
    let limit = Duration::from_millis(50);
    let scheduler = config.start_timeout(limit).store("slow", slow.clone()).scheduler();
    scheduler.add_task(every_ten_seconds("early").store("slow")).await.unwrap();
    let starting = starting(&scheduler, &slow).await;

    scheduler.add_task(every_ten_seconds("late").store("slow")).await.unwrap();

    assert!(matches!(starting.await.unwrap(), Err(Error::StartTimeout { .. })));
    for task in ["early", "late"] {
        assert_eq!(scheduler.get_task(task).await.unwrap().state, TaskState::Pending);
    }
}

#[tokio::test]
async fn a_start_that_a_store_failed_is_undone_and_may_be_tried_again() {
    let (clock, config) = at_noon();
    let (good, bad) = (FaultyStore::in_memory(), FaultyStore::in_memory());
    bad.go_down();
    let scheduler = config.store("a", good.clone()).store("b", bad.clone()).scheduler();
    scheduler.add_task(every_ten_seconds("t").store("b")).await.unwrap();

    let error = scheduler.start().await.unwrap_err();

    assert_eq!(error.to_string(), "store `b` failed");
    assert_eq!((scheduler.state(), good.calls(StoreCall::Shutdown)), (State::Stopped, 1));
    // Not counted, so that this is no second start but the first.
    bad.heal();
    scheduler.start().await.unwrap();
    clock.advance(seconds(10)).await;
    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 10)]);
    scheduler.stop().await.unwrap();
    assert_eq!(scheduler.state(), State::Stopped);
}

#[tokio::test]
async fn a_nested_paused_start_does_not_pause_the_outer_one() {
    let (_clock, config) = at_noon();
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    scheduler.start_paused().await.unwrap();
    assert_eq!(scheduler.state(), State::Running);
    scheduler.stop().await.unwrap();
    assert_eq!(scheduler.state(), State::Running);
}

#[tokio::test]
async fn start_paused_decides_nothing_until_it_is_resumed() {
    let (clock, config) = at_noon();
    let scheduler = config.startup_delay(seconds(5)).scheduler();
    scheduler.start_paused().await.unwrap();
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    clock.advance(seconds(30)).await;
    assert_eq!((scheduler.state(), history(&scheduler, "t").await), (State::Paused, vec![]));

    scheduler.resume().await.unwrap();
    clock.settle().await;
    assert_eq!(history(&scheduler, "t").await, [(Coalesced, 20), (Succeeded, 30)]);
}

#[tokio::test]
async fn a_start_asks_a_store_a_few_times_however_many_tasks_there_are() {
    let store = FaultyStore::in_memory();
    let start = async |every: u64| {
        let (_clock, mut config) = at_noon();
        for number in 0..100 {
            let task = Task::from_fn("nothing", nothing).id(format!("t{number}")).every(seconds(every));
            config = config.task(task.replace_existing(true));
        }
        let scheduler = config.store("default", store.clone()).scheduler();
        let before = (store.calls(StoreCall::Put), store.calls(StoreCall::Load));
        scheduler.start().await.unwrap();
        let calls = (store.calls(StoreCall::Put) - before.0, store.calls(StoreCall::Load) - before.1);
        assert_eq!(scheduler.tasks(TaskFilter::new()).await.unwrap().len(), 100);
        scheduler.stop().await.unwrap();
        calls
    };

    assert_eq!(start(10).await, (1, 1), "all at once");
    assert_eq!(start(20).await, (1, 1), "they are there, and are replaced");
}
