//! Stores that are down, and answers that don't come back.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use asyncz::RunStatus::{Coalesced, Failed, Succeeded};
use asyncz::testing::{Fault, FaultyStore, StoreCall, TestClock};
use asyncz::{
    AsynczConfig, Busy, Clock, DateTrigger, Error, EventMask, OrTrigger, Overlap, RunFilter, Scheduler,
    Store, Task, TaskUpdate, Trigger,
};
use chrono::{DateTime, TimeDelta, Utc};

use super::{NOON, Notes, at_noon, history, ninety_seconds, nothing, seconds};

fn every_ten_seconds(id: &str) -> Task {
    Task::from_fn("nothing", nothing).id(id).every(seconds(10))
}

fn noon_and(seconds: i64) -> DateTime<Utc> {
    NOON.parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(seconds)
}

/// A started scheduler, whose default store is faulty; it is asked again after 5 s.
async fn faulty() -> (TestClock, FaultyStore, Scheduler) {
    let (clock, config) = at_noon();
    let store = FaultyStore::in_memory();
    let scheduler = asking_again(config).store("default", store.clone()).scheduler();
    scheduler.start().await.unwrap();
    (clock, store, scheduler)
}

fn asking_again(config: AsynczConfig) -> AsynczConfig {
    config.store_retry_interval(seconds(5))
}

#[tokio::test]
async fn a_store_that_is_down_at_start_fails_the_start_and_nothing_else() {
    let (clock, config) = at_noon();
    let store = FaultyStore::in_memory();
    let scheduler = config.store("default", store.clone()).task(every_ten_seconds("t")).scheduler();
    store.go_down();

    let error = scheduler.start().await.unwrap_err();

    assert!(matches!(error, Error::Store { .. }), "{error}");
    store.heal();
    scheduler.start().await.unwrap();
    clock.advance(seconds(10)).await;
    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 10)]);
}

#[tokio::test]
async fn while_a_store_is_down_the_tasks_of_others_go_on_and_nothing_is_lost() {
    let (clock, config) = at_noon();
    let store = FaultyStore::in_memory();
    let scheduler = asking_again(config).store("down", store.clone()).scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(every_ten_seconds("here")).await.unwrap();
    scheduler.add_task(every_ten_seconds("there").store("down")).await.unwrap();
    let errors = Notes::default();
    let noted = errors.clone();
    scheduler.add_listener(EventMask::STORE_ERROR, move |event| {
        noted.add(event.error.clone().unwrap_or_default());
    });
    clock.advance(seconds(15)).await;

    store.go_down();
    clock.advance(seconds(20)).await;
    store.heal();
    clock.advance(seconds(10)).await;

    let here = history(&scheduler.in_store("default"), "here").await;
    assert_eq!(here, [(Succeeded, 10), (Succeeded, 20), (Succeeded, 30), (Succeeded, 40)]);
    let there = history(&scheduler.in_store("down"), "there").await;
    // 20 and 30 are one entry.
    assert_eq!(there, [(Succeeded, 10), (Coalesced, 30), (Succeeded, 40)]);
    // At 20, and every 5 s from then on.
    assert_eq!(errors.all(), ["connection refused"; 4]);
}

#[tokio::test]
async fn an_end_that_could_not_be_written_is_written_later() {
    let (clock, store, scheduler) = faulty().await;
    store.inject(Fault::error("the disk is full").on(StoreCall::Finish).times(2));
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();

    clock.advance(seconds(12)).await;
    assert!(!scheduler.runs(RunFilter::new()).await.unwrap()[0].status.is_final());
    clock.advance(seconds(8)).await;

    assert_eq!(history(&scheduler, "t").await[0], (Succeeded, 10));
}

#[tokio::test]
async fn a_retry_whose_answer_was_lost_is_made_all_the_same() {
    static ATTEMPTS: AtomicUsize = AtomicUsize::new(0);
    async fn fails_at_first() -> Result<(), &'static str> {
        if ATTEMPTS.fetch_add(1, Ordering::SeqCst) == 0 { Err("not yet") } else { Ok(()) }
    }
    let (clock, store, scheduler) = faulty().await;
    store.inject(Fault::lost_answer("connection reset").on(StoreCall::Finish).times(1));
    let task = Task::from_fn("fails_at_first", fails_at_first).id("t").at(noon_and(10));
    scheduler.add_task(task.retries(1)).await.unwrap();

    clock.advance(seconds(30)).await;

    assert_eq!(history(&scheduler, "t").await, [(Failed, 10), (Succeeded, 10)]);
    // Nothing of it is left to be waited for.
    assert!(matches!(scheduler.get_task("t").await, Err(Error::TaskNotFound { .. })));
}

#[tokio::test]
async fn what_waits_for_a_place_is_let_in_though_the_answer_was_lost() {
    let (clock, store, scheduler) = faulty().await;
    let dates = [10, 20].map(|at| Box::new(DateTrigger::at(noon_and(at))) as Box<dyn Trigger>);
    let task = Task::from_fn("ninety_seconds", ninety_seconds).id("t").overlap(Overlap::Queue);
    scheduler.add_task(task.trigger(OrTrigger::new(dates).unwrap())).await.unwrap();
    store.inject(Fault::lost_answer("connection reset").on(StoreCall::Finish).times(1));

    clock.advance(seconds(200)).await;

    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 10), (Succeeded, 20)]);
}

#[tokio::test]
async fn an_edit_whose_answer_was_lost_is_noticed() {
    let (clock, store, scheduler) = faulty().await;
    store.inject(Fault::lost_answer("connection reset").on(StoreCall::Put).times(1));

    let error = scheduler.add_task(every_ten_seconds("t")).await.unwrap_err();

    assert!(matches!(error, Error::Store { .. }), "{error}");
    clock.advance(seconds(10)).await;
    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 10)]);
}

#[tokio::test]
async fn what_is_planned_from_a_deleted_task_changes_nothing_of_its_successor() {
    let (_clock, store, scheduler) = faulty().await;
    let version = async || store.load(&["t".into()]).await.unwrap()[0].as_ref().unwrap().schedule.version;
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    let first = version().await;
    scheduler.delete_task("t").await.unwrap();
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    assert_ne!(version().await, first);
}

#[tokio::test]
async fn a_date_that_is_running_is_not_run_again_when_its_task_is_resumed() {
    let (clock, _store, scheduler) = faulty().await;
    let task = Task::from_fn("ninety_seconds", ninety_seconds).id("t").at(noon_and(10));
    let handle = scheduler.add_task(task.max_instances(2)).await.unwrap();
    clock.advance(seconds(20)).await;

    handle.pause().await.unwrap();
    handle.resume().await.unwrap();

    clock.advance(seconds(200)).await;
    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 10)]);
}

#[tokio::test]
async fn who_sets_a_task_back_gets_other_occurrences() {
    let (clock, _store, scheduler) = faulty().await;
    let handle = scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    clock.advance(seconds(15)).await;

    handle.update(TaskUpdate::new().next_run_time(noon_and(10))).await.unwrap();
    clock.advance(seconds(10)).await;

    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 10), (Succeeded, 10), (Succeeded, 20)]);
    let runs = scheduler.runs(RunFilter::new()).await.unwrap();
    let generations: Vec<_> = runs.iter().rev().map(|run| run.occurrence.generation).collect();
    assert_eq!(generations, [0, 1, 1]);
}

/// A clock of tests that can be set back.
#[derive(Clone, Debug)]
struct Settable(TestClock, Arc<AtomicI64>);

impl Settable {
    fn back(&self) -> TimeDelta {
        TimeDelta::seconds(self.1.load(Ordering::SeqCst))
    }
}

impl Clock for Settable {
    fn now(&self) -> DateTime<Utc> {
        self.0.now() - self.back()
    }

    fn sleep_until(&self, deadline: DateTime<Utc>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        // As the system's clock does, so that it is noticed that it was set.
        let longest = self.now() + TimeDelta::seconds(30);
        self.0.sleep_until(deadline.min(longest) + self.back())
    }

    fn granularity(&self) -> Duration {
        self.0.granularity()
    }

    fn busy(&self) -> Busy {
        self.0.busy()
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_keeps_no_store_waiting() {
    let (store, clock) = (FaultyStore::in_memory(), Settable(TestClock::at(NOON), Arc::default()));
    let config = asking_again(AsynczConfig::new().clock(clock.clone())).without_registry();
    let scheduler = config.store("default", store.clone()).scheduler();
    scheduler.start().await.unwrap();
    let retried = Task::from_fn("fails", async || Err::<(), _>("no")).id("retried").at(noon_and(10));
    scheduler.add_task(retried.retries(1).retry_backoff(seconds(15))).await.unwrap();
    scheduler.add_task(Task::from_fn("nothing", nothing).id("t").at(noon_and(11))).await.unwrap();
    clock.0.advance(seconds(10)).await;
    store.inject(Fault::error("connection refused").on(StoreCall::Finish).times(1));
    clock.0.advance(seconds(1)).await;

    clock.1.store(3_600, Ordering::SeqCst);
    clock.0.advance(seconds(60)).await;

    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 11)]);
    assert_eq!(history(&scheduler, "retried").await, [(Failed, 10), (Failed, 10)]);
}
