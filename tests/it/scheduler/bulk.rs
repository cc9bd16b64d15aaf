//! All tasks at once.

use asyncz::{Error, EventMask, MemoryStore, Scheduler, Task, TaskFilter};

use super::{Notes, at_noon, history, nothing, seconds};

fn every_ten_seconds(id: &str) -> Task {
    Task::from_fn("nothing", nothing).id(id).every(seconds(10))
}

async fn ids(scheduler: &Scheduler) -> Vec<String> {
    let tasks = scheduler.tasks(TaskFilter::new()).await.unwrap();
    tasks.into_iter().map(|task| task.id.to_string()).collect()
}

#[tokio::test]
async fn all_tasks_of_a_store_or_of_all_stores_are_removed() {
    let (clock, config) = at_noon();
    let scheduler = config.store("other", MemoryStore::new()).scheduler();
    scheduler.start().await.unwrap();
    let notes = Notes::default();
    scheduler.add_listener(EventMask::ALL_TASKS_REMOVED | EventMask::TASK_REMOVED, {
        let notes = notes.clone();
        move |event| notes.add(format!("{:?} {:?}", event.kind, event.alias))
    });
    for id in ["a", "b"] {
        scheduler.add_task(every_ten_seconds(id)).await.unwrap();
        scheduler.add_task(every_ten_seconds(id).store("other")).await.unwrap();
    }

    assert_eq!(scheduler.remove_all_tasks("other").await.unwrap(), 2);
    clock.advance(seconds(10)).await;
    assert_eq!(ids(&scheduler).await, ["a", "b"]);
    assert_eq!(scheduler.in_store("default").remove_all_tasks(None).await.unwrap(), 2);
    assert_eq!(scheduler.remove_all_tasks(None).await.unwrap(), 0);
    clock.advance(seconds(60)).await;

    // Their history stays.
    assert_eq!(history(&scheduler, "a").await.len(), 1);
    let told = ["other", "default", ""].map(|alias| {
        let alias = (!alias.is_empty()).then_some(alias);
        format!("EventMask(ALL_TASKS_REMOVED) {alias:?}")
    });
    assert_eq!(notes.all(), told);
}

#[tokio::test]
async fn tasks_that_wait_for_the_start_are_removed_with_all_others() {
    let (_clock, config) = at_noon();
    let scheduler = config.store("other", MemoryStore::new()).scheduler();
    scheduler.add_task(every_ten_seconds("a")).await.unwrap();
    scheduler.add_task(every_ten_seconds("b").store("other")).await.unwrap();

    assert_eq!(scheduler.remove_all_tasks("other").await.unwrap(), 1);
    scheduler.start().await.unwrap();

    assert_eq!(ids(&scheduler).await, ["a"]);
}

#[tokio::test]
async fn tasks_of_a_store_that_is_not_there_are_not_removed() {
    let (_clock, scheduler) = super::started().await;
    let error = scheduler.remove_all_tasks("mongo").await.unwrap_err();
    assert!(matches!(error, Error::StoreNotFound { .. }), "{error}");
}
