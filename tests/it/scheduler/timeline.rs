//! What comes, of all tasks together.

use asyncz::{MemoryStore, Scheduler, Task};

use super::{after_noon, at_noon, nothing, seconds, started};

fn every(interval: u64, id: &str) -> Task {
    Task::from_fn("nothing", nothing).id(id).every(seconds(interval))
}

/// Seconds after noon, and the task.
async fn timeline(scheduler: &Scheduler, until: u64) -> Vec<(i64, String)> {
    let noon = chrono::DateTime::parse_from_rfc3339(super::NOON).unwrap().to_utc();
    let row = scheduler.timeline(noon + seconds(until)).await.unwrap();
    row.into_iter().map(|entry| (after_noon(entry.at), entry.task_id.to_string())).collect()
}

fn row<const N: usize>(row: [(i64, &str); N]) -> Vec<(i64, String)> {
    row.map(|(at, task)| (at, task.to_owned())).to_vec()
}

#[tokio::test]
async fn a_timeline_has_all_tasks_in_order_and_changes_nothing() {
    let (clock, scheduler) = started().await;
    scheduler.add_task(every(20, "twenty")).await.unwrap();
    scheduler.add_task(every(30, "thirty")).await.unwrap();
    scheduler.add_task(every(1, "paused").next_run_time(None)).await.unwrap();

    let expected = row([(20, "twenty"), (30, "thirty"), (40, "twenty"), (60, "thirty"), (60, "twenty")]);
    assert_eq!(timeline(&scheduler, 60).await, expected);
    assert_eq!(timeline(&scheduler, 60).await, expected);
    clock.advance(seconds(20)).await;
    assert_eq!(timeline(&scheduler, 39).await, row([(30, "thirty")]));
}

#[tokio::test]
async fn a_timeline_tells_once_what_is_due_already() {
    let (clock, scheduler) = started().await;
    scheduler.pause().await.unwrap();
    scheduler.add_task(every(10, "t")).await.unwrap();
    clock.advance(seconds(35)).await;
    assert_eq!(timeline(&scheduler, 55).await, row([(10, "t"), (40, "t"), (50, "t")]));
}

#[tokio::test]
async fn a_timeline_has_ten_thousand_entries_at_most() {
    let (_clock, scheduler) = started().await;
    scheduler.add_task(every(1, "t")).await.unwrap();
    let all = timeline(&scheduler, 365 * 24 * 3600).await;
    assert_eq!((all.len(), all.last().map(|last| last.0)), (10_000, Some(10_000)));
}

#[tokio::test]
async fn a_timeline_is_of_one_store_where_that_is_asked() {
    let (_clock, config) = at_noon();
    let scheduler = config.store("other", MemoryStore::new()).scheduler();
    // Tasks that wait for the start are in it, too.
    scheduler.add_task(every(10, "a")).await.unwrap();
    scheduler.add_task(every(10, "b").store("other")).await.unwrap();
    assert_eq!(timeline(&scheduler.in_store("other"), 10).await, row([(10, "b")]));
    scheduler.start().await.unwrap();
    assert_eq!(timeline(&scheduler.in_store("other"), 10).await, row([(10, "b")]));
    assert_eq!(timeline(&scheduler, 10).await, row([(10, "a"), (10, "b")]));
}
