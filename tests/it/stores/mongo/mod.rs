//! `MongoStore` on a real server, which `tests/servers` starts.

mod conformance;
mod cut;
#[cfg(feature = "encryption")]
mod encryption;
mod held;
mod history;
mod opening;
mod place;
mod plans;
mod set;
mod sharing;
mod unreadable;

pub(crate) use place::Place;

use asyncz::testing::{Simulation, TestClock};
use asyncz::{AsynczConfig, MongoStore, RunStatus, Scheduler, Store, Task};

use crate::scheduler::{at_noon, history, nothing, seconds};

/// A scheduler at noon whose default store is here.
fn at_noon_in(place: &Place) -> (TestClock, AsynczConfig) {
    let (clock, config) = at_noon();
    (clock, config.store("default", place.told()))
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

/// Starts a store that goes by the clock of the test.
async fn started(place: &Place) -> MongoStore {
    let store = place.told();
    store.start().await.unwrap();
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_and_history_outlive_the_process() {
    let place = Place::new();
    let (clock, scheduler) = with_a_history(&place).await;
    scheduler.stop().await.unwrap();
    drop(scheduler);

    let next = AsynczConfig::new().clock(clock.clone()).without_registry();
    let next =
        next.task(every_ten_seconds("t").replace_existing(true)).store("default", place.told()).scheduler();
    next.start().await.unwrap();
    clock.advance(seconds(10)).await;

    let entries = history(&next, "t").await;
    assert_eq!(entries, [(RunStatus::Succeeded, 10), (RunStatus::Succeeded, 20), (RunStatus::Succeeded, 30)]);
    next.stop().await.unwrap();
}

/// Two unless `ASYNCZ_STORE_SEEDS` says how many: each of their steps waits for a disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_simulation_of_many_schedulers_holds() {
    let place = Place::new();
    let seeds: Vec<u64> = match std::env::var("ASYNCZ_STORE_SEEDS") {
        Ok(count) => (0..count.parse().expect("ASYNCZ_STORE_SEEDS is a number")).collect(),
        Err(_) => vec![1, 4],
    };
    let runtime = tokio::runtime::Handle::current();
    let simulate = move || {
        let _entered = runtime.enter();
        for seed in seeds {
            let store = place.told().collection(format!("{}s{seed}", place.collection));
            Simulation::new(seed).schedulers(1 + (seed % 4) as usize).minutes(20).store(store).run().unwrap();
        }
    };
    std::thread::spawn(simulate).join().unwrap();
}
