//! Configuring the scheduler: by default, by calls, by a map, and by `setup`. That the three are equal is shown beside the
//! configuration's other tests, in `configuration/ways.rs`.

use asyncz::{
    AsyncExecutor, AsynczConfig, Configuration, Error, MemoryStore, Scheduler, TaskDefaults,
    ThreadPoolExecutor,
};
use serde_json::json;

use super::{check_status, collect_www_info, runs, send_email_newsletter};
use crate::scheduler::{at_noon, seconds};

/// The rows that `info` has of stores and of executors: their aliases and what they are.
fn parts(scheduler: &Scheduler) -> Vec<(String, String)> {
    let info = scheduler.info();
    let stores = info.stores.into_iter().map(|store| (store.alias.to_string(), store.kind));
    let executors = info.executors.into_iter().map(|executor| (executor.alias.to_string(), executor.kind));
    stores.chain(executors).collect()
}

fn named(parts: &[(&str, &str)]) -> Vec<(String, String)> {
    parts.iter().map(|(alias, kind)| ((*alias).to_owned(), (*kind).to_owned())).collect()
}

#[tokio::test]
async fn a_scheduler_that_is_told_nothing_has_a_store_in_memory() {
    let scheduler = AsynczConfig::new().without_registry().scheduler();
    scheduler.start().await.unwrap();

    assert_eq!(parts(&scheduler), named(&[("default", "MemoryStore"), ("default", "AsyncExecutor")]));
    assert_eq!(scheduler.info().timezone.name(), "UTC");
    scheduler.stop().await.unwrap();
}

#[tokio::test]
async fn the_first_option_is_calls() {
    let (clock, config) = at_noon();
    let scheduler = config
        .store("mongo", MemoryStore::new())
        .store("default", MemoryStore::new())
        .executor("default", AsyncExecutor::new())
        .executor("threadpool", ThreadPoolExecutor::new(20))
        .task_defaults(TaskDefaults::new().coalesce(false).max_instances(4))
        .timezone("UTC")
        .scheduler();
    scheduler.start().await.unwrap();
    // A task for each part, and one that names none.
    let every = |task: asyncz::Task| task.every(seconds(60));
    for task in [
        every(send_email_newsletter::task()).id("newsletter").store("mongo"),
        every(collect_www_info::task()).id("collect").executor("threadpool"),
        every(check_status::task()).id("status"),
    ] {
        scheduler.add_task(task).await.unwrap();
    }
    clock.advance(seconds(60)).await;

    for id in ["newsletter", "collect", "status"] {
        let task = scheduler.get_task(id).await.unwrap();
        assert_eq!((task.rules.coalesce, task.rules.max_instances), (false, 4), "{id}");
        assert_eq!(runs(&scheduler, id).await, 1, "{id}");
    }
    assert_eq!(&*scheduler.get_task("newsletter").await.unwrap().store, "mongo");
    assert_eq!(&*scheduler.get_task("status").await.unwrap().store, "default");
    assert_eq!(scheduler.info().executors[1].workers, Some(20));
}

#[tokio::test]
async fn the_second_option_is_a_map() {
    let config = AsynczConfig::new().configuration(json!({
        "asyncz.stores.mongo": {"type": "memory"},
        "asyncz.stores.default": {"type": "memory"},
        "asyncz.executors.pool": {
            "max_workers": "20",
            "class": "asyncz.executors.pool:ThreadPoolExecutor",
        },
        "asyncz.executors.default": {"class": "asyncz.executors.asyncio:AsyncIOExecutor"},
        "asyncz.task_defaults.coalesce": "false",
        "asyncz.task_defaults.max_instances": "3",
        "asyncz.task_defaults.timezone": "UTC",
    }));
    let scheduler = config.without_registry().scheduler();
    let task = scheduler.add_task(check_status::task().every(seconds(60))).await.unwrap();

    let expected = named(&[
        ("default", "MemoryStore"),
        ("mongo", "MemoryStore"),
        ("default", "AsyncExecutor"),
        ("pool", "ThreadPoolExecutor"),
    ]);
    assert_eq!(parts(&scheduler), expected);
    assert_eq!(scheduler.info().executors[1].workers, Some(20));
    let rules = scheduler.get_task(&task).await.unwrap().rules;
    assert_eq!((rules.coalesce, rules.max_instances), (false, 3));
}

/// `{"type": "mongodb"}`, `{"type": "redis", "database": "0"}`: where they are is a matter of the start.
#[tokio::test]
async fn the_stores_of_the_manual_are_known_by_name() {
    let scheduler = AsynczConfig::new().without_registry().scheduler();
    let set_up = scheduler.setup(json!({
        "asyncz.stores.mongo": {"type": "mongodb"},
        "asyncz.stores.default": {"type": "redis", "database": "0"},
    }));
    match set_up.await {
        Ok(()) => {
            assert_eq!(parts(&scheduler), named(&[("default", "RedisStore"), ("mongo", "MongoStore")]));
        }
        // All that can be wrong is that they were not built in.
        Err(Error::Configuration { problems }) => {
            for problem in problems {
                assert!(problem.message().contains("needs the cargo feature"), "{problem}");
            }
        }
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn the_third_option_is_setup_and_tasks_may_come_before_it() {
    let (_clock, config) = at_noon();
    let scheduler = config.scheduler();
    let three = [send_email_newsletter::task(), collect_www_info::task(), check_status::task()];
    let mut tasks = Vec::new();
    for task in three {
        tasks
            .push(scheduler.add_task(task.every(seconds(60)).store("mongo").executor("pool")).await.unwrap());
    }
    let configuration = Configuration::from(json!({
        "asyncz.stores": {"mongo": {"type": "memory"}, "default": {"type": "memory"}},
        "asyncz.executors": {"pool": {"type": "threadpool", "max_workers": 20}},
    }));

    scheduler
        .setup(configuration.values(json!({"asyncz.task_defaults": {"coalesce": false, "max_instances": 4}})))
        .await
        .unwrap();
    scheduler.start().await.unwrap();

    for task in &tasks {
        let task = scheduler.get_task(task).await.unwrap();
        assert_eq!((&*task.store, task.rules.coalesce, task.rules.max_instances), ("mongo", false, 4));
    }
}
