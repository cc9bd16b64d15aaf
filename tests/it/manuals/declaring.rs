//! Adding tasks as a decorator: `#[task]`.

use asyncz::{Task, TaskFilter, task};

use super::{check_status, runs};
use crate::scheduler::{at_noon, seconds};

mod decorated {
    use super::task;

    #[task(trigger = super::super::newsletter_time(), id = "newsletter")]
    pub(super) async fn send_email_newsletter() {}

    #[task(every = "2m", max_instances = 1, coalesce = true)]
    pub(super) async fn collect_www_info() {}

    #[task(every = "10m", max_instances = 1, coalesce = false)]
    pub(super) async fn check_status() {}
}

#[tokio::test]
async fn a_declared_function_is_a_task_with_its_trigger_and_options() {
    let (clock, config) = at_noon();
    let config = config
        .task(decorated::send_email_newsletter::task())
        .task(decorated::collect_www_info::task())
        .task(decorated::check_status::task());
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    clock.advance(seconds(3600)).await;

    assert_eq!(runs(&scheduler, "it::manuals::declaring::decorated::collect_www_info").await, 30);
    assert_eq!(runs(&scheduler, "it::manuals::declaring::decorated::check_status").await, 6);
    let next = scheduler.preview("newsletter", 1).await.unwrap();
    assert_eq!(next[0].to_rfc3339(), "2026-11-25T08:01:05+00:00");
    let rules = scheduler.get_task("it::manuals::declaring::decorated::check_status").await.unwrap().rules;
    assert_eq!((rules.max_instances, rules.coalesce), (1, false));
}

/// `With provided id`: a task of the same id is replaced, as one is that an earlier start has left in a store.
#[tokio::test]
async fn a_declared_task_replaces_one_of_its_id() {
    let (_clock, config) = at_noon();
    let store = std::sync::Arc::new(asyncz::MemoryStore::new());
    let before = config.store("default", store.clone()).scheduler();
    before.start().await.unwrap();
    before.add_task(check_status::task().id("newsletter").every(seconds(60))).await.unwrap();
    before.stop().await.unwrap();

    let (_clock, config) = at_noon();
    let config = config.store("default", store).task(decorated::send_email_newsletter::task());
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();

    let tasks = scheduler.tasks(TaskFilter::new()).await.unwrap();
    assert_eq!(tasks.len(), 1);
    assert!(tasks[0].handler.ends_with("decorated::send_email_newsletter"), "{}", tasks[0].handler);
}

/// `asyncz_tasks`, which holds the copies that were made of a function: here a copy is had from the function.
#[tokio::test]
async fn a_function_gives_any_number_of_tasks() {
    let (clock, config) = at_noon();
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    for id in ["one", "two"] {
        scheduler.add_task(decorated::check_status::task().id(id)).await.unwrap();
    }
    clock.advance(seconds(600)).await;
    assert_eq!((runs(&scheduler, "one").await, runs(&scheduler, "two").await), (1, 1));
}

/// `Without provided id`: two tasks of one function that is not declared with a trigger have ids of their own.
#[tokio::test]
async fn without_an_id_each_added_task_has_its_own() {
    let (_clock, config) = at_noon();
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    let one = scheduler.add_task(check_status::task().every(seconds(60))).await.unwrap();
    let two = scheduler.add_task(check_status::task().every(seconds(60))).await.unwrap();
    assert_ne!(one.id(), two.id());
}

/// `scheduler.add_task can be used in a partial`
#[tokio::test]
async fn options_that_several_tasks_share_are_a_function_of_a_task() {
    let every_ten_minutes = |task: Task| task.every(seconds(600)).max_instances(1).coalesce(false);
    let (clock, config) = at_noon();
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(every_ten_minutes(check_status::task()).id("one")).await.unwrap();
    scheduler.add_task(every_ten_minutes(super::collect_www_info::task()).id("two")).await.unwrap();
    clock.advance(seconds(600)).await;
    assert_eq!((runs(&scheduler, "one").await, runs(&scheduler, "two").await), (1, 1));
}
