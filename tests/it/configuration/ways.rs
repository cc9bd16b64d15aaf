//! Builder calls, a map and `setup`: three ways to equal schedulers.

use std::collections::BTreeMap;

use asyncz::testing::TestClock;
use asyncz::{
    AsyncExecutor, AsynczConfig, Configuration, DebugExecutor, Error, MemoryStore, RunFilter, Scheduler,
    SchedulerConfig, Task, TaskDefaults, TaskFilter, ThreadPoolExecutor, TypeOptions, blocking,
};
use serde_json::{Value, json};

use super::problems_of;
use crate::scheduler::{NOON, nothing, seconds};

/// The manual's example, its stores in memory.
fn manual() -> Value {
    json!({
        "asyncz.stores.mongo": {"type": "memory"},
        "asyncz.stores.default": {"type": "memory"},
        "asyncz.executors.pool": {
            "max_workers": "20",
            "class": "asyncz.executors.pool:ThreadPoolExecutor",
        },
        "asyncz.executors.default": {"class": "asyncz.executors.asyncio:AsyncIOExecutor"},
        "asyncz.task_defaults.coalesce": "false",
        "asyncz.task_defaults.max_instances": "3",
        "asyncz.task_defaults.timezone": "Europe/Berlin",
    })
}

fn rest() -> Value {
    json!({
        "asyncz": {
            "task_defaults": {"misfire_grace_time": "20", "recover": "abandon"},
            "identity": "mailer",
            "startup_delay": 5,
            "drain_timeout": "1m",
            "store_retry_interval": 2.5,
            "store_timeout": "7s",
            "keep_history_for": "none",
            "keep_runs_a_task": "500",
            "release": 7,
            "start_timeout": "30s",
            "start_paused": "false",
            "expect_tasks": 0,
        }
    })
}

fn built(clock: &TestClock) -> AsynczConfig {
    let defaults = TaskDefaults::new().coalesce(false).max_instances(3).misfire_grace_time(seconds(20));
    bare(clock)
        .store("mongo", MemoryStore::new())
        .store("default", MemoryStore::new())
        .executor("default", AsyncExecutor::new())
        .executor("pool", ThreadPoolExecutor::new(20))
        .task_defaults(defaults.recover(asyncz::Recover::Abandon))
        .timezone("Europe/Berlin")
        .identity("mailer")
        .startup_delay(seconds(5))
        .drain_timeout(seconds(60))
        .store_retry_interval(std::time::Duration::from_millis(2_500))
        .start_timeout(seconds(30))
        .store_timeout(seconds(7))
        .keep_history_for(None)
        .keep_runs_a_task(500)
        .release(7)
        .start_paused(false)
        .expect_tasks(0)
}

fn bare(clock: &TestClock) -> AsynczConfig {
    AsynczConfig::new().clock(clock.clone()).without_registry()
}

/// Everything that a scheduler tells of itself and of what it does.
async fn portrait(clock: &TestClock, config: AsynczConfig) -> Value {
    let scheduler = config.scheduler();
    let stopped = scheduler.info();
    for (id, store, executor) in [("a", "default", "default"), ("b", "mongo", "pool")] {
        let task = Task::from_fn("nothing", nothing).id(id).cron("* * * * *").store(store).executor(executor);
        scheduler.add_task(task).await.unwrap();
    }
    scheduler.start().await.unwrap();
    let started = scheduler.info();
    clock.advance(seconds(3)).await;
    let delayed = scheduler.runs(RunFilter::new()).await.unwrap().len();
    // Late by less than the grace, by more, and by a lot.
    scheduler.pause().await.unwrap();
    clock.advance(seconds(136)).await;
    scheduler.resume().await.unwrap();
    clock.advance(seconds(60)).await;
    let mut runs = Vec::new();
    for run in scheduler.runs(RunFilter::new()).await.unwrap() {
        runs.push(format!("{} {} {:?}", run.task, run.scheduled_at(), run.status));
    }
    // Two stores are asked one after the other, in no order that anybody promises.
    runs.sort();
    let tasks = scheduler.tasks(TaskFilter::new()).await.unwrap();
    scheduler.stop().await.unwrap();
    json!({
        "drain_timeout": SchedulerConfig::drain_timeout(&config),
        "stopped": stopped,
        "started": started,
        "delayed": delayed,
        "runs": runs,
        "tasks": format!("{tasks:?}"),
    })
}

#[tokio::test]
async fn builder_calls_a_map_and_setup_give_equal_schedulers() {
    let clock = || TestClock::at(NOON);
    let (one, two, three) = (clock(), clock(), clock());

    let by_calls = portrait(&one, built(&one)).await;
    let by_map = portrait(&two, bare(&two).configuration(manual()).configuration(rest())).await;
    let config = bare(&three);
    config.scheduler().setup(Configuration::from(manual()).values(rest())).await.unwrap();
    let by_setup = portrait(&three, config).await;

    assert_eq!(by_calls, by_map);
    assert_eq!(by_calls, by_setup);
    assert_eq!(by_calls["stopped"]["timezone"], "Europe/Berlin");
    assert_eq!(by_calls["stopped"]["executors"][1]["workers"], 20);
    assert!(by_calls["runs"].as_array().unwrap().iter().any(|run| run.as_str().unwrap().ends_with("Missed")));
    // And others are told from them.
    let clock = clock();
    assert_ne!(by_calls, portrait(&clock, built(&clock).task_defaults(TaskDefaults::new())).await);
}

#[tokio::test]
async fn dotted_and_nested_keys_and_pairs_are_one() {
    let nested = json!({"asyncz": {"timezone": "Asia/Tokyo", "executors": {"pool": {"type": "debug"}}}});
    let mixed = json!({"asyncz.timezone": "Asia/Tokyo", "asyncz": {"executors.pool": {"type": "debug"}}});
    let flat = BTreeMap::from([("asyncz.timezone", "Asia/Tokyo"), ("asyncz.executors.pool.type", "debug")]);
    let pairs = [("asyncz.timezone", "Asia/Tokyo"), ("asyncz.executors.pool.type", "debug")];
    let ways: [Configuration; 4] = [nested.into(), mixed.into(), flat.into(), pairs.into()];
    for configuration in ways {
        let config = AsynczConfig::new().configuration(configuration);
        let info = config.scheduler().info();
        assert_eq!((info.timezone.name(), &*info.executors[0].kind), ("Asia/Tokyo", "DebugExecutor"));
    }
}

#[tokio::test]
async fn of_a_map_and_calls_the_last_one_holds() {
    let map = [("asyncz.timezone", "Asia/Tokyo"), ("asyncz.executors.pool.type", "debug")];
    let map_last = AsynczConfig::new().timezone("Europe/Berlin").configuration(map);
    assert_eq!(map_last.scheduler().info().timezone.name(), "Asia/Tokyo");

    let call_last = AsynczConfig::new().configuration(map).timezone("Europe/Berlin");
    let call_last = call_last.executor("pool", ThreadPoolExecutor::new(3));
    let info = call_last.scheduler().info();
    assert_eq!((info.timezone.name(), info.executors[0].workers), ("Europe/Berlin", Some(3)));
}

#[tokio::test]
async fn a_map_says_only_what_it_says() {
    let defaults = TaskDefaults::new().max_instances(7);
    let clock = TestClock::at(NOON);
    let config = bare(&clock).task_defaults(defaults).executor("mine", DebugExecutor::new());
    let config = config.configuration([("asyncz.task_defaults.coalesce", "false")]);
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(Task::from_fn("nothing", nothing).id("t").every(seconds(10))).await.unwrap();

    let rules = scheduler.get_task("t").await.unwrap().rules;
    assert_eq!((rules.max_instances, rules.coalesce), (7, false));
    assert_eq!(scheduler.info().executors.len(), 2);
}

#[tokio::test]
async fn setup_is_for_a_stopped_scheduler() {
    let clock = TestClock::at(NOON);
    let scheduler = bare(&clock).scheduler();
    scheduler.add_task(Task::from_fn("nothing", nothing).id("waits").every(seconds(10))).await.unwrap();
    scheduler.setup([("asyncz.timezone", "Asia/Tokyo")]).await.unwrap();
    scheduler.start().await.unwrap();
    let zone = |scheduler: &Scheduler| scheduler.info().timezone.name();

    let error = scheduler.setup([("asyncz.timezone", "UTC")]).await.unwrap_err();
    assert!(matches!(error, Error::AlreadyRunning), "{error:?}");
    assert_eq!(zone(&scheduler), "Asia/Tokyo");
    assert_eq!(scheduler.get_task("waits").await.unwrap().id.as_str(), "waits");

    scheduler.stop().await.unwrap();
    scheduler.setup([("asyncz.timezone", "UTC")]).await.unwrap();
    assert_eq!(zone(&scheduler), "UTC");
}

#[tokio::test]
async fn a_wrong_setup_changes_nothing() {
    let scheduler = AsynczConfig::new().scheduler();
    let half_wrong = [("asyncz.timezone", "Asia/Tokyo"), ("asyncz.task_defaults.coalesce", "perhaps")];

    let problems = problems_of(scheduler.setup(half_wrong).await);

    assert_eq!(problems, ["asyncz.task_defaults.coalesce `perhaps`: write true or false"]);
    assert_eq!(scheduler.info().timezone.name(), "UTC");
}

#[test]
fn a_scheduler_without_a_runtime_is_set_up_alike() {
    let scheduler = blocking::Scheduler::new(AsynczConfig::new().without_registry()).unwrap();
    scheduler.setup([("asyncz.timezone", "Asia/Tokyo")]).unwrap();
    assert_eq!(scheduler.info().timezone.name(), "Asia/Tokyo");
}

#[tokio::test]
async fn stores_and_executors_of_ones_own_are_named_by_their_types() {
    fn store(options: &mut TypeOptions) -> Result<MemoryStore, &'static str> {
        assert_eq!(options.alias(), "mine");
        options.secret("url").filter(|url| url == "mine://host").ok_or("its `url` is missing")?;
        Ok(MemoryStore::new())
    }
    fn executor(options: &mut TypeOptions) -> Result<ThreadPoolExecutor, std::convert::Infallible> {
        let threads = options.whole_number("threads").unwrap_or(1);
        let doubled = options.flag("doubled").unwrap_or(false);
        Ok(ThreadPoolExecutor::new(threads as usize * if doubled { 2 } else { 1 }))
    }
    let config =
        AsynczConfig::new().register_store_type("my", store).register_executor_type("mine", executor);

    let config = config.configuration(json!({"asyncz": {
        "stores": {"mine": {"type": "my", "url": "mine://host"}},
        "executors": {"mine": {"type": "mine", "threads": "3", "doubled": "yes"}},
    }}));

    let info = config.scheduler().info();
    assert_eq!((&*info.stores[0].alias, info.executors[0].workers), ("mine", Some(6)));
}
