//! Tasks whose handler is not in this program.

use std::sync::Arc;

use asyncz::RunStatus::{Missed, Succeeded};
use asyncz::testing::TestClock;
use asyncz::{AsynczConfig, Error, MemoryStore, Scheduler, Shutdown, Task, TaskState};

use super::{NOON, after_noon, history, nothing, seconds};

async fn somebody(clock: &TestClock, store: &Arc<MemoryStore>) -> Scheduler {
    let config = AsynczConfig::new().clock(clock.clone()).without_registry();
    let scheduler = config.store("default", store.clone()).scheduler();
    scheduler.start().await.unwrap();
    scheduler
}

fn task_of(handler: &str) -> Task {
    Task::from_fn(handler, nothing).id(handler).every(seconds(10))
}

#[tokio::test]
async fn each_of_two_schedulers_runs_what_it_has_the_handlers_for() {
    let (clock, store) = (TestClock::at(NOON), Arc::new(MemoryStore::new()));
    let (here, there) = (somebody(&clock, &store).await, somebody(&clock, &store).await);
    here.add_task(task_of("ours")).await.unwrap();
    there.add_task(task_of("theirs")).await.unwrap();

    clock.advance(seconds(20)).await;

    for scheduler in [&here, &there] {
        for task in ["ours", "theirs"] {
            assert_eq!(history(scheduler, task).await, [(Succeeded, 10), (Succeeded, 20)]);
        }
    }
    assert_eq!(here.get_task("theirs").await.unwrap().state, TaskState::Orphaned);
    assert_eq!(there.get_task("theirs").await.unwrap().state, TaskState::Scheduled);
}

#[tokio::test]
async fn an_orphan_is_kept_and_holds_back_nobody() {
    let (clock, store) = (TestClock::at(NOON), Arc::new(MemoryStore::new()));
    let before = somebody(&clock, &store).await;
    // More than are looked for at once, all of them due before those of the other handler.
    let many = (0..500).map(|n| Task::from_fn("old", nothing).id(format!("old-{n}")).every(seconds(1)));
    before.add_tasks(many.collect::<Vec<_>>()).await.unwrap();
    before.shutdown(Shutdown::Wait).await.unwrap();

    let after = somebody(&clock, &store).await;
    after.add_task(task_of("new")).await.unwrap();
    clock.advance(seconds(30)).await;

    assert_eq!(history(&after, "new").await, [(Succeeded, 10), (Succeeded, 20), (Succeeded, 30)]);
    assert_eq!(history(&after, "old-7").await, []);
    let orphan = after.get_task("old-7").await.unwrap();
    assert_eq!((orphan.state, orphan.next_run_time.map(after_noon)), (TaskState::Orphaned, Some(1)));
}

#[tokio::test]
async fn an_orphan_is_not_run_by_hand_either() {
    let (clock, store) = (TestClock::at(NOON), Arc::new(MemoryStore::new()));
    let (here, there) = (somebody(&clock, &store).await, somebody(&clock, &store).await);
    there.add_task(task_of("theirs")).await.unwrap();

    let refused = here.run_task("theirs").await.unwrap_err();

    assert!(matches!(&refused, Error::HandlerNotFound { handler, .. } if handler == "theirs"), "{refused}");
    assert_eq!(here.get_task("theirs").await.unwrap().running, 0);
}

#[tokio::test]
async fn an_orphan_is_decided_as_soon_as_its_handler_comes() {
    let (clock, store) = (TestClock::at(NOON), Arc::new(MemoryStore::new()));
    let before = somebody(&clock, &store).await;
    let hasty = task_of("hasty").misfire_grace_time(seconds(1));
    before.add_tasks([task_of("patient"), hasty]).await.unwrap();
    before.shutdown(Shutdown::Wait).await.unwrap();

    let after = somebody(&clock, &store).await;
    clock.advance(seconds(15)).await;
    // Another task of the same handler brings it in.
    for handler in ["patient", "hasty"] {
        after.add_task(Task::from_fn(handler, nothing).every(seconds(3600))).await.unwrap();
    }
    clock.settle().await;

    assert_eq!(history(&after, "patient").await, [(Succeeded, 10)]);
    assert_eq!(history(&after, "hasty").await, [(Missed, 10)]);
}
