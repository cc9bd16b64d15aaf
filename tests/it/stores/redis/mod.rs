//! `RedisStore` on real servers, which `tests/servers` starts.

mod backlog;
mod between;
mod conformance;
mod cut;
#[cfg(feature = "encryption")]
mod encryption;
mod history;
mod opening;
mod place;
mod sharing;
mod strange;
mod unreadable;

pub(crate) use place::Place;

use asyncz::testing::{Simulation, TestClock};
use asyncz::{AsynczConfig, RedisStore, RunStatus, Scheduler, Store, Task};

use crate::scheduler::{at_noon, history, nothing, seconds};

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

async fn started(place: &Place) -> RedisStore {
    let store = place.store();
    store.start().await.unwrap();
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_and_history_outlive_the_process() {
    let place = Place::server();
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

/// `ASYNCZ_STORE_SEEDS=200` asks for so many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_simulation_of_many_schedulers_holds() {
    let seeds = match std::env::var("ASYNCZ_STORE_SEEDS") {
        Ok(count) => (0..count.parse().expect("ASYNCZ_STORE_SEEDS is a number")).collect(),
        Err(_) => vec![1, 2, 4, 5, 6],
    };
    let (place, runtime) = (Place::server(), tokio::runtime::Handle::current());
    let simulate = move || {
        let _entered = runtime.enter();
        for seed in seeds {
            let store = place.store().tasks_key(format!("s{seed}"));
            Simulation::new(seed).schedulers(1 + (seed % 4) as usize).minutes(20).store(store).run().unwrap();
        }
    };
    std::thread::spawn(simulate).join().unwrap();
}
