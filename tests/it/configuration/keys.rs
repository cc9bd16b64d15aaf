//! Each key does what its method does.

use std::time::Duration;

use asyncz::testing::{Fault, FaultyStore, StoreCall, TestClock};
use asyncz::{AsynczConfig, Error, MemoryStore, Provide, Recover, RunFilter, State, Task};
use chrono::TimeDelta;
use serde_json::json;

use crate::lifespan::fake::Messages;
use crate::scheduler::{NOON, Notes, at_noon, nothing, seconds};

async fn start_error(config: AsynczConfig) -> Error {
    config.scheduler().start().await.expect_err("it can't start")
}

#[tokio::test]
async fn start_paused_and_task_defaults() {
    let (_clock, config) = at_noon();
    let scheduler = config
        .configuration(json!({"asyncz": {
            "start_paused": "true",
            "task_defaults": {"misfire_grace_time": "1m", "max_instances": "3", "recover": "abandon"},
        }}))
        .scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(Task::from_fn("nothing", nothing).id("t").every(seconds(10))).await.unwrap();

    let rules = scheduler.get_task("t").await.unwrap().rules;
    assert_eq!(scheduler.state(), State::Paused);
    assert_eq!((rules.max_instances, rules.recover), (3, Recover::Abandon));
    assert_eq!(rules.misfire_grace_time, Some(seconds(60)));
}

#[tokio::test]
async fn expect_tasks_and_tasks() {
    let (_clock, config) = at_noon();
    let config =
        config.configuration([("asyncz.expect_tasks", "5"), ("asyncz.tasks", "no::such, none::either")]);
    let error = start_error(config).await.to_string();
    for part in ["expect_tasks(5)", "no handler `no::such`", "no handler `none::either`"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[tokio::test]
async fn start_timeout() {
    let store = FaultyStore::in_memory();
    store.inject(Fault::hang().on(StoreCall::Start));
    let (_clock, config) = at_noon();
    let config = config.store("default", store).configuration([("asyncz.start_timeout", "50ms")]);
    let error = start_error(config).await;
    assert!(
        matches!(error, Error::StartTimeout { limit } if limit == Duration::from_millis(50)),
        "{error:?}"
    );
}

#[tokio::test]
async fn store_retry_interval() {
    let store = FaultyStore::in_memory();
    let (clock, config) = at_noon();
    let config = config.store("default", store.clone()).configuration([("asyncz.store_retry_interval", 2.5)]);
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(Task::from_fn("nothing", nothing).every(seconds(10))).await.unwrap();
    store.inject(Fault::error("the disk is full").on(StoreCall::Claim).times(1));
    clock.advance(seconds(15)).await;

    let run = &scheduler.runs(RunFilter::new()).await.unwrap()[0];
    let late = run.started_at.unwrap() - run.scheduled_at();
    assert_eq!(late, TimeDelta::milliseconds(2_500));
}

#[tokio::test]
async fn isolated_runtime_under_both_its_names() {
    async fn tell_thread(Provide(notes): Provide<Notes>) {
        notes.add(std::thread::current().name().unwrap_or("none"));
    }
    for (key, value, is_own) in [
        ("isolated_runtime", "true", true),
        ("isolated_event_loop", "true", true),
        ("isolated_runtime", "false", false),
    ] {
        let notes = Notes::default();
        let clock = TestClock::at(NOON);
        let config = AsynczConfig::new().clock(clock.clone()).without_registry().provide(notes.clone());
        let scheduler = config.configuration([(format!("asyncz.{key}"), value)]).scheduler();
        scheduler.start().await.unwrap();
        scheduler.add_task(Task::from_fn("tell_thread", tell_thread).every(seconds(10))).await.unwrap();
        clock.advance(seconds(10)).await;
        scheduler.stop().await.unwrap();
        assert_eq!(notes.all()[0].starts_with("asyncz-worker"), is_own, "{key} {value}");
    }
}

#[tokio::test]
async fn logger_name_and_identity() {
    let (messages, _guard) = Messages::here();
    let (_clock, config) = at_noon();
    let config = config.configuration([("asyncz.logger_name", "mail"), ("asyncz.identity", "mailer-1")]);
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    scheduler.pause().await.unwrap();
    assert!(messages.has("scheduler=\"mail\""));
    assert_eq!(&*scheduler.info().identity, "mailer-1");
}

#[tokio::test]
async fn stores_by_their_aliases() {
    let (clock, config) = at_noon();
    let kept = std::sync::Arc::new(MemoryStore::new());
    let config = config.store("archive", kept).configuration([("asyncz.stores.mongo.type", "memory")]);
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    let aliases: Vec<_> = scheduler.info().stores.into_iter().map(|store| store.alias.to_string()).collect();
    assert_eq!(aliases, ["archive", "default", "mongo"]);
    scheduler
        .add_task(Task::from_fn("nothing", nothing).id("t").store("mongo").every(seconds(5)))
        .await
        .unwrap();
    clock.advance(seconds(5)).await;
    assert_eq!(scheduler.in_store("mongo").runs(RunFilter::new()).await.unwrap().len(), 1);
}

#[cfg(all(feature = "lock", unix))]
#[tokio::test]
async fn lock_path() {
    let path = std::env::temp_dir().join(format!("asyncz-{}-{{store}}.lock", std::process::id()));
    let configured = || {
        let (_clock, config) = at_noon();
        config.configuration([("asyncz.lock_path", path.to_str().unwrap())]).scheduler()
    };
    let (first, second) = (configured(), configured());
    first.start().await.unwrap();
    second.start().await.unwrap();
    let standing = [&first, &second].map(|scheduler| scheduler.info().stores[0].stands_by);
    std::fs::remove_file(path.to_str().unwrap().replace("{store}", "default")).unwrap();
    assert_eq!(standing, [false, true]);
}
