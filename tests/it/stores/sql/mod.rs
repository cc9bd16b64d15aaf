//! `SqlStore` on real databases: SQLite, and the servers that `tests/servers` starts.

mod completing;
mod conformance;
mod cut;
#[cfg(feature = "encryption")]
mod encryption;
mod history;
mod many;
mod opening;
mod place;
mod plans;
mod retention;
mod sharing;
mod unreadable;

pub(crate) use place::Place;

use asyncz::testing::{Simulation, TestClock};
use asyncz::{AsynczConfig, RunStatus, Scheduler, Store, Task};

use crate::scheduler::{at_noon, history, nothing, seconds};

/// Writes each test once for each database.
macro_rules! on_each_database {
    ($($test:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(super::Place::sqlite()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(super::Place::postgres()).await;
            })*
        }
        mod mysql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(super::Place::mysql()).await;
            })*
        }
    };
}
pub(crate) use on_each_database;

on_each_database! {
    tasks_and_history_outlive_the_process
    a_simulation_of_many_schedulers_holds
}

/// A scheduler at noon whose default store is here.
fn at_noon_in(place: &Place) -> (TestClock, AsynczConfig) {
    let (clock, config) = at_noon();
    (clock, config.store("default", place.store()))
}

fn every_ten_seconds(id: &str) -> Task {
    Task::from_fn("nothing", nothing).id(id).every(seconds(10))
}

/// A started scheduler that has run a task twice.
async fn with_a_history(place: &Place) -> (TestClock, Scheduler) {
    let (clock, config) = at_noon_in(place);
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    clock.advance(seconds(20)).await;
    (clock, scheduler)
}

async fn tasks_and_history_outlive_the_process(place: Place) {
    let (clock, scheduler) = with_a_history(&place).await;
    scheduler.stop().await.unwrap();
    drop(scheduler);

    let next = AsynczConfig::new().clock(clock.clone()).without_registry();
    let next =
        next.task(every_ten_seconds("t").replace_existing(true)).store("default", place.store()).scheduler();
    next.start().await.unwrap();
    clock.advance(seconds(10)).await;

    let entries = history(&next, "t").await;
    assert_eq!(entries, [(RunStatus::Succeeded, 10), (RunStatus::Succeeded, 20), (RunStatus::Succeeded, 30)]);
    next.stop().await.unwrap();
}

async fn a_simulation_of_many_schedulers_holds(place: Place) {
    let runtime = tokio::runtime::Handle::current();
    let simulate = move || {
        let _entered = runtime.enter();
        for seed in place.seeds() {
            let store = place.store().table_prefix(format!("{}s{seed}_", place.prefix));
            Simulation::new(seed).schedulers(1 + (seed % 4) as usize).minutes(20).store(store).run().unwrap();
        }
    };
    std::thread::spawn(simulate).join().unwrap();
}

/// Starts a store and has it make its tables.
async fn started(place: &Place) -> asyncz::stores::SqlStore {
    let store = place.store();
    store.start().await.unwrap();
    store
}
