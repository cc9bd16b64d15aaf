//! The history, and how it is pruned.

use asyncz::stores::{Claim, Prune};
use asyncz::{NodeId, RunFilter, RunStatus, Store, TaskContext, redis};
use chrono::{DateTime, TimeDelta, Utc};

use super::backlog::{add, claim};
use super::{Place, at_noon_in, every_ten_seconds, started, with_a_history};
use crate::scheduler::{NOON, history, seconds};

fn noon_and(seconds: i64) -> DateTime<Utc> {
    NOON.parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(seconds)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_entries_are_pruned_a_few_at_a_time_and_the_watermark_stays() {
    let place = Place::server();
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
    let place = Place::server();
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
    // From now on entries are counted as they come.
    clock.advance(seconds(20)).await;
    assert_eq!(store.prune(&prune).await.unwrap(), 2);
    assert_eq!(history(&scheduler, "t").await, [(RunStatus::Succeeded, 70), (RunStatus::Succeeded, 80)]);
    scheduler.stop().await.unwrap();
}

async fn waits(ctx: TaskContext) {
    ctx.sleep(seconds(1_000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_of_a_run_that_goes_on_is_not_pruned() {
    let place = Place::server();
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
async fn what_is_pruned_leaves_no_keys_behind() {
    let place = Place::server();
    let (_clock, scheduler) = with_a_history(&place).await;
    scheduler.delete_task("t").await.unwrap();
    let store = started(&place).await;
    assert_eq!(store.count().await.unwrap(), 0);
    assert_eq!(history(&scheduler, "t").await.len(), 2);

    store.prune(&Prune { before: Some(noon_and(100)), a_task: None, limit: 100 }).await.unwrap();

    let keys: Vec<String> = place.ask(redis::cmd("KEYS").arg(format!("*{}*", place.prefix))).await;
    let mut names: Vec<_> = keys.iter().map(|key| key.rsplit_once("tasks").unwrap().1).collect();
    names.sort_unstable();
    // What is left is of the scheduler, of handlers, and the last numbers given.
    assert_eq!(names, [":handlers", ":last_handler", ":last_key", ":nodes"]);
    scheduler.stop().await.unwrap();
}

/// Claims that decide `each` occurrences of each of these tasks, all at the same time.
fn misses(tasks: &[asyncz::TaskRecord], each: usize, first_run: usize) -> Vec<Claim> {
    let one =
        |(n, task): (usize, &asyncz::TaskRecord)| claim(task, RunStatus::Missed, each, first_run + n * each);
    tasks.iter().enumerate().map(one).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_histories_are_read_and_pruned_page_by_page() {
    let place = Place::server();
    let store = started(&place).await;
    let tasks = add(&store, 0..3).await;
    let claims = misses(&tasks, 700, 0);
    store.claim(NodeId::from(1), &claims).await.unwrap();
    let made: Vec<_> =
        claims.iter().flat_map(|claim| claim.decisions.iter().map(|decision| decision.run)).collect();

    // All were decided at the same time, so that they come by their ids.
    let all = store.runs(&RunFilter::new()).await.unwrap();
    let ids: Vec<_> = all.iter().map(|run| run.id).collect();
    assert_eq!(ids, made.iter().rev().copied().collect::<Vec<_>>());
    let of_one = store.runs(&RunFilter::new().task(tasks[1].id()).limit(450)).await.unwrap();
    let ids: Vec<_> = of_one.iter().map(|run| run.id).collect();
    assert_eq!(ids, made[950..1_400].iter().rev().copied().collect::<Vec<_>>());

    let prune = Prune { before: None, a_task: Some(100), limit: 1_000 };
    assert_eq!(store.prune(&prune).await.unwrap(), 1_000);
    assert_eq!(store.prune(&prune).await.unwrap(), 800);
    assert_eq!(store.prune(&prune).await.unwrap(), 0);
    let left = store.runs(&RunFilter::new()).await.unwrap();
    let left: Vec<_> = left.iter().rev().map(|run| run.id).collect();
    let newest = |n: usize| made[700 * n + 600..700 * (n + 1)].iter().copied();
    assert_eq!(left, (0..3).flat_map(newest).collect::<Vec<_>>());
}
