//! What a scheduler tells of itself.

use asyncz::testing::FaultyStore;
use asyncz::{DebugExecutor, Scheduler, State, StoreInfo, Task, ThreadPoolExecutor, Zone};

use super::{after_noon, at_noon, ninety_seconds, nothing, seconds, started};
use crate::lifespan::fake::Messages;

fn store(scheduler: &Scheduler, alias: &str) -> StoreInfo {
    scheduler.info().stores.into_iter().find(|store| &*store.alias == alias).unwrap()
}

#[tokio::test]
async fn a_stopped_scheduler_tells_what_it_is_made_of() {
    let (_clock, config) = at_noon();
    let config = config.store("other", FaultyStore::in_memory()).executor("pool", ThreadPoolExecutor::new(3));
    let scheduler = config.identity("mailer").timezone("Europe/Berlin").scheduler();
    scheduler.add_task(Task::from_fn("nothing", nothing).every(seconds(10))).await.unwrap();

    let info = scheduler.info();

    assert_eq!((&*info.identity, info.state, info.tasks), ("mailer", State::Stopped, 1));
    assert_eq!((info.timezone.name(), info.zone_rules), ("Europe/Berlin", Zone::rules_version()));
    assert_eq!((info.started_at, info.uptime, info.next_wakeup), (None, None, None));
    let kinds: Vec<_> = info.stores.iter().map(|store| (&*store.alias, &*store.kind, store.tasks)).collect();
    assert_eq!(kinds, [("other", "FaultyStore", None)]);
    let kinds: Vec<_> = info.executors.iter().map(|e| (&*e.alias, &*e.kind, e.workers)).collect();
    assert_eq!(kinds, [("pool", "ThreadPoolExecutor", Some(3))]);
}

#[tokio::test]
async fn a_running_scheduler_tells_how_it_stands() {
    let (clock, config) = at_noon();
    let scheduler = config.executor("debug", DebugExecutor::new()).scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(Task::from_fn("nothing", nothing).id("quick").every(seconds(10))).await.unwrap();
    scheduler.add_task(Task::from_fn("slow", ninety_seconds).id("slow").every(seconds(60))).await.unwrap();
    clock.advance(seconds(125)).await;

    let info = scheduler.info();

    assert_eq!(
        (info.state, info.uptime, info.started_at.map(after_noon)),
        (State::Running, Some(seconds(125)), Some(0))
    );
    assert_eq!((info.tasks, info.running, info.next_wakeup.map(after_noon)), (2, 1, Some(130)));
    // `slow` was due twice, and still went on at the second time.
    let counts = info.counts;
    assert_eq!((counts.submitted, counts.executed, counts.skipped, counts.failed), (13, 12, 1, 0));
    let default =
        (&*info.stores[0].alias, &*info.stores[0].kind, info.stores[0].tasks, &info.stores[0].error);
    assert_eq!(default, ("default", "MemoryStore", Some(2), &None));
    let running: Vec<_> = info.executors.iter().map(|e| (&*e.kind, e.running, e.queued)).collect();
    assert_eq!(running, [("DebugExecutor", 0, 0), ("AsyncExecutor", 1, 0)]);
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_told_until_it_does() {
    let (clock, config) = at_noon();
    let faulty = FaultyStore::in_memory();
    let scheduler = config.store("faulty", faulty.clone()).store_retry_interval(seconds(5)).scheduler();
    scheduler.start().await.unwrap();
    let task = Task::from_fn("nothing", nothing).id("t").store("faulty").every(seconds(10));
    scheduler.add_task(task).await.unwrap();
    assert_eq!(store(&scheduler, "faulty").tasks, Some(1));

    faulty.go_down();
    clock.advance(seconds(12)).await;
    let down = store(&scheduler, "faulty");
    // What it said last.
    assert_eq!((down.error.as_deref(), down.tasks), (Some("connection refused"), Some(1)));
    assert_eq!(store(&scheduler, "default").error, None);

    faulty.heal();
    clock.advance(seconds(5)).await;
    assert_eq!(store(&scheduler, "faulty").error, None);
}

#[tokio::test]
async fn each_scheduler_has_an_identity_of_its_own() {
    let (_clock, one) = started().await;
    let (_clock, other) = started().await;
    assert_ne!(one.info().identity, other.info().identity);
    assert_eq!(one.info().identity, one.info().identity);
}

#[tokio::test]
async fn info_can_be_written_as_json() {
    let (clock, scheduler) = started().await;
    clock.advance(seconds(90)).await;
    let json = serde_json::to_value(scheduler.info()).unwrap();
    assert_eq!((&json["state"], &json["uptime"]), (&"running".into(), &90.0.into()));
    assert_eq!((&json["timezone"], &json["counts"]["executed"]), (&"UTC".into(), &0.into()));
}

#[tokio::test]
async fn log_lines_carry_the_loggers_name() {
    let (messages, _guard) = Messages::here();
    for (name, is_named) in [(None, false), (Some("mail"), true)] {
        let (_clock, config) = at_noon();
        let config = if let Some(name) = name { config.logger_name(name) } else { config };
        let scheduler = config.scheduler();
        scheduler.start().await.unwrap();
        scheduler.pause().await.unwrap();
        assert_eq!(messages.has("scheduler=\"mail\""), is_named);
    }
    assert!(messages.has("message=scheduler paused"));
}
