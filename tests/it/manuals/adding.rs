//! Adding tasks.

use std::marker::PhantomData;

use asyncz::{
    Args, Error, IntervalTrigger, Provide, RunFilter, Scheduler, Task, TaskFilter, TaskState, Trigger,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{check_status, collect_www_info, each_hour, newsletter_time, runs, send_email_newsletter, state};
use crate::scheduler::{Notes, after_noon, at_noon, seconds, started};

fn minutes(minutes: u64) -> IntervalTrigger {
    IntervalTrigger::builder().minutes(minutes).build().unwrap()
}

/// `max_instances=1, replace_existing=True, coalesce=…`, as most of the manual's tasks have.
fn with_options(task: Task, coalesce: bool) -> Task {
    task.max_instances(1).replace_existing(true).coalesce(coalesce)
}

async fn send(Args((feed,)): Args<(String,)>, Provide(notes): Provide<Notes>) {
    notes.add(feed);
}

#[tokio::test]
async fn tasks_are_added_with_their_triggers_and_run_after_the_start() {
    let (clock, config) = at_noon();
    let scheduler = config.scheduler();
    let newsletter = send_email_newsletter::task().id("newsletter").trigger(newsletter_time());
    scheduler.add_task(newsletter).await.unwrap();
    let collect = collect_www_info::task().id("collect").trigger(minutes(2));
    scheduler.add_task(with_options(collect, true)).await.unwrap();
    let status = check_status::task().id("status").trigger(minutes(10));
    scheduler.add_task(with_options(status, false)).await.unwrap();
    assert_eq!(state(&scheduler, "collect").await, TaskState::Pending);

    scheduler.start().await.unwrap();
    // From Monday noon to Wednesday noon.
    clock.advance(seconds(48 * 3600)).await;

    assert_eq!(runs(&scheduler, "newsletter").await, 1, "Wednesday, 08:01:05");
    assert_eq!(scheduler.info().counts.executed, 1 + 48 * 30 + 48 * 6);
}

#[tokio::test]
async fn a_task_has_arguments() {
    let (clock, config) = at_noon();
    let notes = Notes::default();
    let scheduler = config.provide(notes.clone()).scheduler();
    scheduler.start().await.unwrap();
    // `feed_data = collect_www_info()`: what is declared is a function still.
    collect_www_info().await;
    let task = Task::from_fn("send", send).args(("feed",)).unwrap().trigger(minutes(10));
    scheduler.add_task(with_options(task, false)).await.unwrap();

    clock.advance(seconds(600)).await;

    assert_eq!(notes.all(), ["feed"]);
}

#[tokio::test]
async fn keyword_arguments_are_a_struct() {
    #[derive(Serialize, Deserialize)]
    struct Mail {
        to: String,
        copies: u8,
    }
    async fn mail(Args(mail): Args<Mail>, Provide(notes): Provide<Notes>) {
        notes.add(format!("{} to {}", mail.copies, mail.to));
    }
    let (clock, config) = at_noon();
    let notes = Notes::default();
    let scheduler = config.provide(notes.clone()).scheduler();
    scheduler.start().await.unwrap();

    let task = Task::from_fn("mail", mail).args(json!({"to": "you", "copies": 3})).unwrap();
    scheduler.add_task(task).await.unwrap();
    clock.settle().await;

    assert_eq!(notes.all(), ["3 to you"]);
}

/// `task = Task(fn=…); scheduler.add_task(task)`
#[tokio::test]
async fn a_task_is_built_first_and_changed_until_it_is_added() {
    let (_clock, scheduler) = started().await;
    let task = with_options(check_status::task().trigger(minutes(10)), false).name("first");

    let task = scheduler.add_task(task.name("second").id("given").max_instances(5)).await.unwrap();

    let task = scheduler.get_task(task.id()).await.unwrap();
    assert_eq!((&*task.name, task.id.as_str(), task.rules.max_instances), ("second", "given", 5));
}

struct Probe<T>(PhantomData<T>);

impl<T: Clone> Probe<T> {
    fn is_clone(&self) -> bool {
        true
    }
}

/// What is asked where the type is not `Clone`, as a type's own methods come first.
trait Otherwise {
    fn is_clone(&self) -> bool {
        false
    }
}

impl<T> Otherwise for Probe<T> {}

/// To add a task is to give it away, and there is no second one: the compiler sees to it.
#[test]
fn a_task_is_submitted_once() {
    assert!(!Probe::<Task>(PhantomData).is_clone());
    assert!(Probe::<Scheduler>(PhantomData).is_clone());
}

/// `next_run_time=None`
#[tokio::test]
async fn a_task_is_added_paused() {
    let (clock, scheduler) = started().await;
    let task = check_status::task().id("status").trigger(minutes(10)).next_run_time(None);

    let task = scheduler.add_task(with_options(task, false)).await.unwrap();
    clock.advance(seconds(1230)).await;
    assert_eq!((state(&scheduler, "status").await, runs(&scheduler, "status").await), (TaskState::Paused, 0));

    task.resume().await.unwrap();
    clock.advance(seconds(600)).await;
    assert_eq!(runs(&scheduler, "status").await, 1);
}

#[tokio::test]
async fn tasks_are_added_in_any_order_at_any_time() {
    let (clock, config) = at_noon();
    let scheduler = config.scheduler();
    let add = async |id: &str| {
        scheduler.add_task(check_status::task().id(id).trigger(minutes(1))).await.unwrap();
    };
    add("z, before the start").await;
    scheduler.start().await.unwrap();
    add("a, while it runs").await;
    scheduler.pause().await.unwrap();
    add("m, while it is paused").await;
    scheduler.resume().await.unwrap();
    clock.advance(seconds(60)).await;

    assert_eq!(scheduler.runs(RunFilter::new()).await.unwrap().len(), 3);
}

#[tokio::test]
async fn every_parameter_is_kept() {
    let (_clock, config) = at_noon();
    let config = config.executor("pool", asyncz::ThreadPoolExecutor::new(2)).provide(Notes::default());
    let scheduler = config.store("other", asyncz::MemoryStore::new()).scheduler();
    scheduler.start().await.unwrap();
    let first = "2026-11-23T12:00:30Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap();

    let task = Task::from_fn("send", send)
        .id("id")
        .name("description")
        .args(("feed",))
        .unwrap()
        .coalesce(false)
        .trigger(minutes(10))
        .executor("pool")
        .misfire_grace_time(seconds(45))
        .max_instances(3)
        .next_run_time(first)
        .store("other")
        .replace_existing(true);
    scheduler.add_task(task).await.unwrap();

    let kept = scheduler.get_task("id").await.unwrap();
    assert_eq!((kept.id.as_str(), &*kept.name, &*kept.handler), ("id", "description", "send"));
    assert_eq!(kept.args, json!(["feed"]));
    assert_eq!((&*kept.executor, &*kept.store), ("pool", "other"));
    assert_eq!(kept.trigger.describe(), "every 10 minutes, from 2026-11-23 12:10:00 UTC");
    assert_eq!((kept.rules.coalesce, kept.rules.max_instances), (false, 3));
    assert_eq!(kept.rules.misfire_grace_time, Some(seconds(45)));
    assert_eq!(kept.next_run_time.map(after_noon), Some(30));
}

#[tokio::test]
async fn what_is_added_again_is_a_conflict_or_replaces_the_first() {
    let (_clock, scheduler) = started().await;
    let task = || check_status::task().id("status").trigger(minutes(10));
    scheduler.add_task(task()).await.unwrap();

    let error = scheduler.add_task(task()).await.unwrap_err();
    assert!(matches!(error, Error::ConflictId { .. }), "{error:?}");
    scheduler.add_task(task().replace_existing(true).max_instances(7)).await.unwrap();

    let tasks = scheduler.tasks(TaskFilter::new()).await.unwrap();
    assert_eq!((tasks.len(), tasks[0].rules.max_instances), (1, 7));
}

/// `scheduler.add_task(fn, "cron", hour="0-23", minute="1")`
#[tokio::test]
async fn a_trigger_may_be_named_by_its_alias() {
    let alias = json!({"type": "cron", "fields": {"hour": "0-23", "minute": "1"}});
    let by_alias: Box<dyn Trigger> = serde_json::from_value(alias).unwrap();
    let (_clock, scheduler) = started().await;
    let task = |id: &str| check_status::task().id(id);
    scheduler.add_task(task("by alias").trigger(by_alias)).await.unwrap();
    scheduler.add_task(task("by builder").trigger(each_hour())).await.unwrap();

    let coming = scheduler.preview("by alias", 3).await.unwrap();
    assert_eq!(coming.iter().map(|at| after_noon(*at)).collect::<Vec<_>>(), [60, 3660, 7260]);
    assert_eq!(coming, scheduler.preview("by builder", 3).await.unwrap());
}
