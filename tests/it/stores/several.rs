//! Several stores at once, as in Asyncz's manual, and tasks that move from one to another.

use asyncz::stores::{FileStore, SqlStore};
use asyncz::testing::FaultyStore;
use asyncz::{MongoStore, RedisStore, RunFilter, RunStatus, Scheduler, Task, TaskFilter};

use super::file::Directory;
use super::{MongoPlace, RedisPlace, sql};
use crate::scheduler::{at_noon, history, nothing, seconds};

use RunStatus::Succeeded;

fn in_redis() -> RedisStore {
    RedisPlace::server().store()
}

fn in_mongo() -> MongoStore {
    MongoPlace::new().told()
}

fn every_ten_seconds(id: &str) -> Task {
    Task::from_fn("nothing", nothing).id(id).every(seconds(10))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_mongo_fails_the_tasks_in_redis_go_on_and_nothing_is_lost() {
    let (clock, config) = at_noon();
    let mongo = FaultyStore::new(in_mongo());
    let config = config.store("mongo", mongo.clone()).store("default", in_redis());
    let scheduler = config.store_retry_interval(seconds(5)).scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(every_ten_seconds("here")).await.unwrap();
    scheduler.add_task(every_ten_seconds("there").store("mongo")).await.unwrap();
    clock.advance(seconds(10)).await;

    mongo.go_down();
    clock.advance(seconds(20)).await;
    assert_eq!(history(&scheduler.in_store("default"), "here").await.len(), 3);
    mongo.heal();
    clock.advance(seconds(10)).await;

    let all = [10, 20, 30, 40].map(|second| (Succeeded, second));
    assert_eq!(history(&scheduler, "here").await, all);
    let there = history(&scheduler, "there").await;
    assert_eq!((there.first(), there.last()), (Some(&(Succeeded, 10)), Some(&(Succeeded, 40))));
    let runs = scheduler.runs(RunFilter::new().task("there")).await.unwrap();
    let decided: usize = runs.iter().map(|run| run.occurrences.at_least as usize).sum();
    assert_eq!(decided, 4, "each occurrence is decided: {there:?}");
    scheduler.stop().await.unwrap();
}

/// Moves all tasks; what is left behind is the history.
async fn moved(scheduler: &Scheduler, from: &str, to: &str) {
    let tasks = scheduler.in_store(from).export_tasks().await.unwrap();
    assert_eq!(scheduler.in_store(to).import_tasks(tasks).await.unwrap(), 2);
    scheduler.remove_all_tasks(from).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_tasks_move_from_one_store_to_the_next_and_their_history_is_kept() {
    let (clock, config) = at_noon();
    let (directory, place) = (Directory::new(), sql::Place::sqlite());
    let sqlite = SqlStore::new(&place.url).table_prefix(&place.prefix);
    let config = config.store("file", FileStore::new(&directory.0)).store("sqlite", sqlite);
    let scheduler = config.store("redis", in_redis()).store("mongo", in_mongo()).scheduler();
    scheduler.start().await.unwrap();
    for id in ["a", "b"] {
        scheduler.add_task(every_ten_seconds(id).store("file")).await.unwrap();
    }
    clock.advance(seconds(10)).await;

    for (from, to) in [("file", "sqlite"), ("sqlite", "redis"), ("redis", "mongo"), ("mongo", "file")] {
        moved(&scheduler, from, to).await;
        clock.advance(seconds(10)).await;
        assert_eq!(scheduler.in_store(to).tasks(TaskFilter::new()).await.unwrap().len(), 2, "{from} to {to}");
        assert!(
            scheduler.in_store(from).tasks(TaskFilter::new()).await.unwrap().is_empty(),
            "{from} to {to}"
        );
    }

    for id in ["a", "b"] {
        let runs = scheduler.runs(RunFilter::new().task(id)).await.unwrap();
        let mut seen: Vec<_> =
            runs.iter().map(|run| (run.status, crate::scheduler::after_noon(run.occurrence.due))).collect();
        seen.sort_unstable_by_key(|(_, second)| *second);
        assert_eq!(seen, [10, 20, 30, 40, 50].map(|second| (Succeeded, second)));
    }
    scheduler.stop().await.unwrap();
}
