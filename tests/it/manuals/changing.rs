//! Updating and rescheduling tasks.

use asyncz::{CronTrigger, IntervalTrigger, Scheduler, Task, TaskUpdate};

use super::{add_both, check_status, newsletter_time, send_email_newsletter};
use crate::scheduler::{after_noon, at_noon, seconds};

/// `Task(id="my-task", fn=check_status, name="my-func", trigger=…, max_instances=3, coalesce=True)`
fn my_task() -> Task {
    let every_day = CronTrigger::fields().day_of_week("mon,tue,wed,thu,fri,sat,sun").hour(8).minute(1);
    let task = check_status::task().id("my-task").name("my-func").trigger(every_day.build().unwrap());
    task.max_instances(3).coalesce(true)
}

async fn rules(scheduler: &Scheduler, id: &str) -> (bool, u32) {
    let rules = scheduler.get_task(id).await.unwrap().rules;
    (rules.coalesce, rules.max_instances)
}

async fn next(scheduler: &Scheduler, id: &str) -> String {
    scheduler.preview(id, 1).await.unwrap()[0].to_rfc3339()
}

#[tokio::test]
async fn a_handle_updates_its_task() {
    let (_clock, config) = at_noon();
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    let task = scheduler.add_task(my_task()).await.unwrap();

    let update = TaskUpdate::new().name("my-new-task-id").max_instances(5).coalesce(false);
    task.update(update).await.unwrap();

    let updated = scheduler.get_task("my-task").await.unwrap();
    assert_eq!(&*updated.name, "my-new-task-id");
    assert_eq!(rules(&scheduler, "my-task").await, (false, 5));
    // The id is immutable, and what was not named stays.
    assert_eq!((updated.id.as_str(), task.id().as_str()), ("my-task", "my-task"));
    assert_eq!(next(&scheduler, "my-task").await, "2026-11-24T08:01:00+00:00");
}

#[tokio::test]
async fn a_task_is_updated_by_id_or_by_handle() {
    let (_clock, config) = at_noon();
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    let newsletter = send_email_newsletter::task().id("send_email_newsletter").trigger(newsletter_time());
    scheduler.add_task(newsletter).await.unwrap();
    let status = check_status::task().id("check_status").every(seconds(600));
    let status = status.max_instances(1).replace_existing(true).coalesce(false);
    let status = scheduler.add_task(status).await.unwrap();

    let update = TaskUpdate::new().coalesce(false).max_instances(4);
    scheduler.update_task("send_email_newsletter", update).await.unwrap();
    scheduler.update_task(&status, TaskUpdate::new().coalesce(true).max_instances(3)).await.unwrap();

    assert_eq!(rules(&scheduler, "send_email_newsletter").await, (false, 4));
    assert_eq!(rules(&scheduler, "check_status").await, (true, 3));
}

/// `task.reschedule("my-task", trigger="cron", hour=10, minute=5)`
#[tokio::test]
async fn a_handle_reschedules_its_task() {
    let (_clock, config) = at_noon();
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    let task = scheduler.add_task(my_task()).await.unwrap();

    task.reschedule(CronTrigger::fields().hour(10).minute(5).build().unwrap()).await.unwrap();

    assert_eq!(next(&scheduler, "my-task").await, "2026-11-24T10:05:00+00:00");
    // Only the trigger has changed.
    assert_eq!(rules(&scheduler, "my-task").await, (true, 3));
    assert_eq!(&*scheduler.get_task("my-task").await.unwrap().name, "my-func");
}

/// `reschedule_task(…, trigger="cron", day_of_week="mon", hour="1")` and `(…, trigger="interval", minutes=20)`
#[tokio::test]
async fn a_task_is_rescheduled_by_id_or_by_handle() {
    let (clock, config) = at_noon();
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    let status = add_both(&scheduler).await;

    let mondays = CronTrigger::fields().day_of_week("mon").hour("1").build().unwrap();
    scheduler.reschedule_task("send_newsletter", mondays).await.unwrap();
    let twenty_minutes = IntervalTrigger::builder().minutes(20).build().unwrap();
    scheduler.reschedule_task(&status, twenty_minutes).await.unwrap();

    assert_eq!(next(&scheduler, "send_newsletter").await, "2026-11-30T01:00:00+00:00");
    clock.advance(seconds(3600)).await;
    let runs = crate::scheduler::history(&scheduler, "status").await;
    assert_eq!(runs.iter().map(|(_, due)| *due).collect::<Vec<_>>(), [1200, 2400, 3600]);
    let coming = scheduler.preview("status", 1).await.unwrap();
    assert_eq!(after_noon(coming[0]), 4800);
}
