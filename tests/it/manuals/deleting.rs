//! Deleting tasks.

use asyncz::{Error, MemoryStore, Scheduler, TaskFilter, task};

use super::{add_both, check_status, each_hour, runs, send_email_newsletter};
use crate::scheduler::{at_noon, seconds, started};

async fn ids(scheduler: &Scheduler) -> Vec<String> {
    let tasks = scheduler.tasks(TaskFilter::new()).await.unwrap();
    tasks.into_iter().map(|task| task.id.to_string()).collect()
}

#[tokio::test]
async fn by_id_or_by_handle() {
    let (clock, scheduler) = started().await;
    let status = add_both(&scheduler).await;

    scheduler.delete_task("send_newsletter").await.unwrap();
    assert_eq!(ids(&scheduler).await, ["status"]);
    scheduler.delete_task(&status).await.unwrap();
    assert_eq!(ids(&scheduler).await, [""; 0]);

    clock.advance(seconds(7200)).await;
    assert_eq!(runs(&scheduler, "status").await, 0);
}

#[tokio::test]
async fn by_the_handle_itself() {
    let (_clock, scheduler) = started().await;
    let task = scheduler.add_task(send_email_newsletter::task().trigger(each_hour())).await.unwrap();
    task.delete().await.unwrap();
    let task = scheduler.add_task(check_status::task().trigger(each_hour())).await.unwrap();
    task.delete().await.unwrap();

    assert_eq!(ids(&scheduler).await, [""; 0]);
    assert!(matches!(task.delete().await, Err(Error::TaskNotFound { .. })));
}

/// Asyncz's note: what the decorator has scheduled is deleted by `delete_task` alone.
#[tokio::test]
async fn a_declared_task_is_deleted_by_its_id() {
    #[task(every = "1m", id = "declared")]
    async fn declared() {}
    let (_clock, config) = at_noon();
    let scheduler = config.task(declared::task()).scheduler();
    scheduler.start().await.unwrap();

    scheduler.delete_task("declared").await.unwrap();

    assert_eq!(ids(&scheduler).await, [""; 0]);
}

/// The optional store of `delete_task`, `pause_task` and `resume_task`.
#[tokio::test]
async fn in_the_store_that_is_named() {
    let (_clock, config) = at_noon();
    let scheduler = config.store("mongo", MemoryStore::new()).scheduler();
    scheduler.start().await.unwrap();
    for store in ["default", "mongo"] {
        let task = check_status::task().id("status").trigger(each_hour()).store(store);
        scheduler.add_task(task).await.unwrap();
    }

    let error = scheduler.delete_task("status").await.unwrap_err();
    assert!(matches!(error, Error::Ambiguous { .. }), "{error:?}");
    scheduler.in_store("mongo").pause_task("status").await.unwrap();
    scheduler.in_store("mongo").resume_task("status").await.unwrap();
    scheduler.in_store("mongo").delete_task("status").await.unwrap();

    assert_eq!(&*scheduler.get_task("status").await.unwrap().store, "default");
}
