//! The history, and how it is pruned.

use asyncz::mongodb::bson::doc;
use asyncz::stores::Prune;
use asyncz::{RunFilter, RunStatus, Store, TaskContext};
use chrono::{DateTime, Utc};

use super::{Place, at_noon_in, every_ten_seconds, started, with_a_history};
use crate::scheduler::{NOON, history, seconds};

fn noon_and(seconds: i64) -> DateTime<Utc> {
    NOON.parse::<DateTime<Utc>>().unwrap() + chrono::TimeDelta::seconds(seconds)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_entries_are_pruned_a_few_at_a_time_and_the_watermark_stays() {
    let place = Place::new();
    let (clock, scheduler) = with_a_history(&place).await;
    clock.advance(seconds(30)).await;
    let store = started(&place).await;
    let prune = Prune { before: Some(noon_and(35)), a_task: None, limit: 2 };

    assert_eq!(store.prune(&prune).await.unwrap(), 2);
    assert_eq!(store.prune(&prune).await.unwrap(), 1);
    assert_eq!(store.prune(&prune).await.unwrap(), 0);

    assert_eq!(history(&scheduler, "t").await, [(RunStatus::Succeeded, 40), (RunStatus::Succeeded, 50)]);
    let task = store.load(&["t".into()]).await.unwrap().pop().flatten().unwrap();
    assert_eq!(task.schedule.watermark, Some(noon_and(50)));
    scheduler.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_of_a_task_that_has_newer_ones_are_pruned() {
    let place = Place::new();
    let (clock, scheduler) = with_a_history(&place).await;
    scheduler.add_task(every_ten_seconds("seldom")).await.unwrap();
    clock.advance(seconds(10)).await;
    scheduler.delete_task("seldom").await.unwrap();
    clock.advance(seconds(30)).await;
    let store = started(&place).await;
    let prune = Prune { before: None, a_task: Some(2), limit: 3 };

    assert_eq!(store.prune(&prune).await.unwrap(), 3);
    assert_eq!(store.prune(&prune).await.unwrap(), 1);
    assert_eq!(store.prune(&prune).await.unwrap(), 0);

    assert_eq!(history(&scheduler, "t").await, [(RunStatus::Succeeded, 50), (RunStatus::Succeeded, 60)]);
    assert_eq!(history(&scheduler, "seldom").await, [(RunStatus::Succeeded, 30)]);
    scheduler.stop().await.unwrap();
}

async fn waits(ctx: TaskContext) {
    ctx.sleep(seconds(1_000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_of_a_run_that_goes_on_is_not_pruned() {
    let place = Place::new();
    let (clock, config) = at_noon_in(&place);
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    let task = asyncz::Task::from_fn("waits", waits).id("t").every(seconds(10));
    scheduler.add_task(task).await.unwrap();
    clock.advance(seconds(30)).await;
    let store = started(&place).await;

    // The run of 10 goes on, those of 20 and 30 were skipped.
    let pruned =
        store.prune(&Prune { before: Some(noon_and(100)), a_task: Some(0), limit: 100 }).await.unwrap();

    assert_eq!(pruned, 2);
    let left = store.runs(&RunFilter::new()).await.unwrap();
    assert_eq!(left.iter().map(|run| run.status).collect::<Vec<_>>(), [RunStatus::Claimed]);
    scheduler.shutdown(asyncz::Shutdown::Now).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_of_a_deleted_task_stays_until_it_is_pruned() {
    let place = Place::new();
    let (_clock, scheduler) = with_a_history(&place).await;
    scheduler.delete_task("t").await.unwrap();
    let store = started(&place).await;
    assert_eq!(store.count().await.unwrap(), 0);
    assert_eq!(history(&scheduler, "t").await.len(), 2);

    store.prune(&Prune { before: Some(noon_and(100)), a_task: None, limit: 100 }).await.unwrap();

    for what in ["tasks", "runs"] {
        assert_eq!(place.collection(what).await.count_documents(doc! {}).await.unwrap(), 0, "{what}");
    }
    scheduler.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_no_document_can_hold_is_not_kept_and_said_so() {
    let place = Place::new();
    let (clock, config) = at_noon_in(&place);
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    let task =
        asyncz::Task::from_fn("large", || anyhow::Ok("x".repeat(17_000_000))).id("t").every(seconds(10));
    scheduler.add_task(task).await.unwrap();

    clock.advance(seconds(10)).await;

    let run = scheduler.runs(RunFilter::new().task("t")).await.unwrap().remove(0);
    assert_eq!((run.status, run.value), (RunStatus::Succeeded, None));
    assert!(run.error.is_some_and(|error| error.contains("17000002 bytes")), "it says why");
    scheduler.stop().await.unwrap();
}
