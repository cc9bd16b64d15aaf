//! Tasks from a user's hand.

use std::time::Duration;

use asyncz::RunStatus::Succeeded;
use asyncz::{
    CronTrigger, DateTrigger, Error, IntervalTrigger, MemoryStore, Overlap, Recover, Rules, RunFilter, Task,
    TaskDefaults, TaskFilter, TaskSort, TaskState, TaskUpdate, Trigger, Zone,
};
use chrono::{DateTime, Utc};

use super::{after_noon, at_noon, history, ninety_seconds, nothing, seconds, started};

fn every_ten_seconds(id: &str) -> Task {
    Task::from_fn("nothing", nothing).id(id).every(seconds(10))
}

async fn ids(scheduler: &asyncz::Scheduler, filter: TaskFilter) -> Vec<String> {
    scheduler.tasks(filter).await.unwrap().into_iter().map(|task| task.id.to_string()).collect()
}

#[tokio::test]
async fn an_added_task_can_be_looked_at() {
    let (_clock, scheduler) = started().await;
    let handle = scheduler.add_task(every_ten_seconds("t").name("ten by ten")).await.unwrap();

    let task = scheduler.get_task(&handle).await.unwrap();

    assert_eq!(task.id, "t");
    assert_eq!(&*task.name, "ten by ten");
    assert_eq!(&*task.handler, "nothing");
    assert_eq!(task.state, TaskState::Scheduled);
    assert_eq!(task.next_run_time.map(after_noon), Some(10));
    assert!(task.trigger.to_string().contains("10 seconds"), "{}", task.trigger);
}

#[tokio::test]
async fn an_id_of_its_own_is_given_where_none_is_said() {
    let (_clock, scheduler) = started().await;
    let one = scheduler.add_task(Task::from_fn("nothing", nothing).every(seconds(1))).await.unwrap();
    let two = scheduler.add_task(Task::from_fn("nothing", nothing).every(seconds(1))).await.unwrap();
    assert_ne!(one.id(), two.id());
}

#[tokio::test]
async fn a_taken_id_is_a_conflict_unless_it_is_to_be_replaced() {
    let (clock, scheduler) = started().await;
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();

    let refused = scheduler.add_task(every_ten_seconds("t")).await.unwrap_err();
    assert!(matches!(refused, Error::ConflictId { .. }), "{refused}");

    clock.advance(seconds(5)).await;
    scheduler.add_task(every_ten_seconds("t").replace_existing(true)).await.unwrap();
    let same_trigger = scheduler.get_task("t").await.unwrap();
    assert_eq!((same_trigger.next_run_time.map(after_noon), same_trigger.generation), (Some(10), 0));

    let slower = Task::from_fn("nothing", nothing).id("t").every(seconds(60)).replace_existing(true);
    scheduler.add_task(slower).await.unwrap();
    let other_trigger = scheduler.get_task("t").await.unwrap();
    assert_eq!((other_trigger.next_run_time.map(after_noon), other_trigger.generation), (Some(65), 1));
}

#[tokio::test]
async fn an_unknown_id_is_told_by_every_method() {
    let (_clock, scheduler) = started().await;
    let not_found = |error: Error| matches!(error, Error::TaskNotFound { id } if id == "nobody");
    assert!(not_found(scheduler.get_task("nobody").await.unwrap_err()));
    assert!(not_found(scheduler.pause_task("nobody").await.unwrap_err()));
    assert!(not_found(scheduler.resume_task("nobody").await.unwrap_err()));
    assert!(not_found(scheduler.delete_task("nobody").await.unwrap_err()));
    assert!(not_found(scheduler.run_task("nobody").await.unwrap_err()));
    assert!(not_found(scheduler.preview("nobody", 3).await.unwrap_err()));
    assert!(not_found(scheduler.update_task("nobody", TaskUpdate::new()).await.unwrap_err()));
}

#[tokio::test]
async fn a_paused_task_does_not_run_and_misses_nothing() {
    let (clock, scheduler) = started().await;
    let task = scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    clock.advance(seconds(10)).await;

    task.pause().await.unwrap();
    clock.advance(seconds(30)).await;
    assert_eq!(scheduler.get_task("t").await.unwrap().state, TaskState::Paused);
    assert!(scheduler.preview("t", 3).await.unwrap().is_empty());

    task.resume().await.unwrap();
    clock.advance(seconds(10)).await;
    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 10), (Succeeded, 40), (Succeeded, 50)]);
}

#[tokio::test]
async fn a_task_added_paused_runs_when_it_is_resumed() {
    let (clock, scheduler) = started().await;
    scheduler.add_task(every_ten_seconds("t").next_run_time(None)).await.unwrap();
    clock.advance(seconds(30)).await;
    assert_eq!(history(&scheduler, "t").await, []);

    scheduler.resume_task("t").await.unwrap();
    clock.advance(seconds(10)).await;
    assert_eq!(history(&scheduler, "t").await.len(), 2);
}

#[tokio::test]
async fn a_paused_task_whose_trigger_has_ended_goes_when_it_is_resumed() {
    let (clock, scheduler) = started().await;
    let end = "2026-11-23T12:00:20Z".parse().unwrap();
    let trigger = IntervalTrigger::every(seconds(10)).end_at(end);
    scheduler.add_task(Task::from_fn("nothing", nothing).id("t").trigger(trigger)).await.unwrap();
    scheduler.pause_task("t").await.unwrap();
    clock.advance(seconds(60)).await;

    scheduler.resume_task("t").await.unwrap();

    assert!(matches!(scheduler.get_task("t").await, Err(Error::TaskNotFound { .. })));
}

#[tokio::test]
async fn a_first_run_can_be_set_apart_from_the_trigger() {
    let (clock, scheduler) = started().await;
    let at = "2026-11-23T12:00:03Z".parse().ok();
    scheduler.add_task(every_ten_seconds("t").next_run_time(at)).await.unwrap();

    clock.advance(seconds(25)).await;

    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 3), (Succeeded, 10), (Succeeded, 20)]);
}

#[tokio::test]
async fn a_deleted_task_does_not_run_and_keeps_its_history() {
    let (clock, scheduler) = started().await;
    let task = scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    clock.advance(seconds(10)).await;

    task.delete().await.unwrap();
    clock.advance(seconds(30)).await;

    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 10)]);
}

#[tokio::test]
async fn a_task_deleted_and_added_again_while_it_runs_counts_only_its_own_runs() {
    let (clock, scheduler) = started().await;
    let slow = || Task::from_fn("slow", ninety_seconds).id("t").every(seconds(60));
    scheduler.add_task(slow()).await.unwrap();
    clock.advance(seconds(60)).await;
    scheduler.delete_task("t").await.unwrap();
    scheduler.add_task(slow()).await.unwrap();
    clock.advance(seconds(60)).await;

    // The first run ends after 150 s, the second after 210.
    assert_eq!(scheduler.get_task("t").await.unwrap().running, 1);
    clock.advance(seconds(40)).await;
    assert_eq!(scheduler.get_task("t").await.unwrap().running, 1);
}

#[tokio::test]
async fn a_run_by_hand_leaves_the_schedule_as_it_is() {
    let (clock, scheduler) = started().await;
    let task = scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    clock.advance(seconds(3)).await;

    let run = task.run().await.unwrap();
    clock.settle().await;

    let run = scheduler.run(run).await.unwrap();
    assert_eq!((run.status, after_noon(run.scheduled_at()), run.occurrence.by_hand), (Succeeded, 3, true));
    assert_eq!(scheduler.get_task("t").await.unwrap().next_run_time.map(after_noon), Some(10));
}

#[tokio::test]
async fn a_paused_task_runs_by_hand_and_stays_paused() {
    let (clock, scheduler) = started().await;
    scheduler.add_task(every_ten_seconds("t").next_run_time(None)).await.unwrap();

    scheduler.run_task("t").await.unwrap();
    clock.advance(seconds(30)).await;

    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 0)]);
    assert_eq!(scheduler.get_task("t").await.unwrap().state, TaskState::Paused);
}

#[tokio::test]
async fn a_run_by_hand_respects_max_instances() {
    let (clock, scheduler) = started().await;
    scheduler.add_task(Task::from_fn("slow", ninety_seconds).id("t").every(seconds(600))).await.unwrap();
    scheduler.run_task("t").await.unwrap();
    clock.settle().await;

    let refused = scheduler.run_task("t").await.unwrap_err();

    assert!(matches!(refused, Error::MaxInstances { .. }), "{refused}");
    clock.advance(seconds(90)).await;
    scheduler.run_task("t").await.unwrap();
}

#[tokio::test]
async fn tasks_are_listed_by_filter_in_order_and_in_pages() {
    let (_clock, scheduler) = started().await;
    scheduler
        .add_task(Task::from_fn("nothing", nothing).id("b").every(seconds(20)).name("Zeppelin"))
        .await
        .unwrap();
    scheduler
        .add_task(Task::from_fn("nothing", nothing).id("a").every(seconds(30)).name("Apple"))
        .await
        .unwrap();
    scheduler
        .add_task(Task::from_fn("nothing", nothing).id("c").cron("0 9 * * *").next_run_time(None))
        .await
        .unwrap();

    assert_eq!(ids(&scheduler, TaskFilter::new()).await, ["a", "b", "c"]);
    assert_eq!(ids(&scheduler, TaskFilter::new().sort(TaskSort::NextRunTime)).await, ["b", "a", "c"]);
    assert_eq!(ids(&scheduler, TaskFilter::new().state(TaskState::Paused)).await, ["c"]);
    assert_eq!(ids(&scheduler, TaskFilter::new().trigger("interval")).await, ["a", "b"]);
    assert_eq!(ids(&scheduler, TaskFilter::new().text("zepp")).await, ["b"]);
    assert_eq!(ids(&scheduler, TaskFilter::new().offset(1).limit(1)).await, ["b"]);
    assert_eq!(ids(&scheduler, TaskFilter::new().executor("other")).await, Vec::<String>::new());
}

#[tokio::test]
async fn preview_tells_the_coming_times_and_changes_nothing() {
    let (_clock, scheduler) = started().await;
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    for _ in 0..2 {
        let coming = scheduler.preview("t", 3).await.unwrap();
        assert_eq!(coming.into_iter().map(after_noon).collect::<Vec<_>>(), [10, 20, 30]);
    }
}

#[tokio::test]
async fn a_rescheduled_task_runs_by_its_new_trigger() {
    let (clock, scheduler) = started().await;
    let task = scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    clock.advance(seconds(15)).await;

    task.reschedule(IntervalTrigger::every(seconds(30))).await.unwrap();
    clock.advance(seconds(60)).await;

    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 10), (Succeeded, 45), (Succeeded, 75)]);
    assert_eq!(scheduler.get_task("t").await.unwrap().generation, 1);
}

#[tokio::test]
async fn an_update_is_all_or_nothing() {
    let (_clock, scheduler) = started().await;
    let task = scheduler.add_task(every_ten_seconds("t")).await.unwrap();

    let refused = task.update(TaskUpdate::new().name("renamed").max_instances(0)).await.unwrap_err();
    assert_eq!(refused.to_string(), "task `t`: max_instances 0: write 1 or more");
    let refused = task.update(TaskUpdate::new().name("renamed").executor("gpu")).await.unwrap_err();
    assert_eq!(refused.to_string(), "there is no executor `gpu`; there are: default");
    assert_eq!(&*scheduler.get_task("t").await.unwrap().name, "nothing");

    task.update(TaskUpdate::new().name("renamed").max_instances(3)).await.unwrap();
    let task = scheduler.get_task("t").await.unwrap();
    assert_eq!((&*task.name, task.rules.max_instances), ("renamed", 3));
}

/// A trigger that can't be written: JSON has no maps whose keys are lists.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Unwritable(std::collections::BTreeMap<Vec<u8>, u8>);

#[asyncz::typetag::serde(name = "unwritable")]
impl Trigger for Unwritable {
    fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        Some(after + seconds(10))
    }

    fn anchored(&self, _: DateTime<Utc>, _: &Zone) -> Box<dyn Trigger> {
        Box::new(self.clone())
    }
}

#[tokio::test]
async fn a_trigger_that_no_store_can_keep_is_refused() {
    let (_clock, scheduler) = started().await;
    let unwritable = || Box::new(Unwritable([(vec![1], 1)].into())) as Box<dyn Trigger>;
    let told = "task `t`: its trigger can't be written as JSON, so no store can keep it: ";

    let task = Task::from_fn("f", nothing).id("t").trigger(unwritable());
    let refused = scheduler.add_task(task).await.unwrap_err().to_string();
    assert!(refused.starts_with(told), "{refused}");
    let task = scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    let refused = task.reschedule(unwritable()).await.unwrap_err().to_string();
    assert!(refused.starts_with(told), "{refused}");
}

#[tokio::test]
async fn a_grace_time_of_zero_is_refused() {
    let told = "task `t`: misfire_grace_time 0: write a time above 0, or none";
    let (_clock, scheduler) = started().await;
    let refused = scheduler.add_task(every_ten_seconds("t").misfire_grace_time(Duration::ZERO)).await;
    assert_eq!(refused.unwrap_err().to_string(), told);
    let task = scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    let refused = task.update(TaskUpdate::new().misfire_grace_time(Duration::ZERO)).await;
    assert_eq!(refused.unwrap_err().to_string(), told);

    let (_clock, config) = at_noon();
    let config = config.task_defaults(TaskDefaults::new().misfire_grace_time(Duration::ZERO));
    let refused = config.task(every_ten_seconds("t")).scheduler().start().await.unwrap_err();
    assert!(refused.to_string().contains(told.trim_start_matches("task ")), "{refused}");
}

#[tokio::test]
async fn a_record_from_before_queues_had_a_limit_gets_the_default() {
    let (_clock, scheduler) = started().await;
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    let rules = scheduler.get_task("t").await.unwrap().rules.clone();
    let mut json = serde_json::to_value(&rules).unwrap();
    json.as_object_mut().unwrap().remove("queue_limit");
    assert_eq!(serde_json::from_value::<Rules>(json).unwrap(), rules);
}

#[tokio::test]
async fn a_task_declared_without_a_trigger_is_the_same_at_each_start() {
    let noon: DateTime<Utc> = "2030-01-01T12:00:00Z".parse().unwrap();
    let generation_after = async |first: Option<DateTime<Utc>>, second: Option<DateTime<Utc>>| {
        let (clock, scheduler) = started().await;
        let add = async |at| {
            let task = Task::from_fn("f", nothing).id("t").next_run_time(at).replace_existing(true);
            scheduler.add_task(task).await.unwrap();
        };
        add(first).await;
        clock.advance(seconds(10)).await;
        add(second).await;
        scheduler.get_task("t").await.unwrap().generation
    };
    assert_eq!(generation_after(None, None).await, 0);
    assert_eq!(generation_after(Some(noon), Some(noon)).await, 0);
    assert_eq!(generation_after(Some(noon), Some(noon + seconds(1))).await, 1);
    assert_eq!(generation_after(None, Some(noon)).await, 1);
}

#[tokio::test]
async fn what_is_wrong_with_a_task_is_told_when_it_is_added() {
    let (_clock, scheduler) = started().await;
    let told = async |task: Task| scheduler.add_task(task.id("t")).await.unwrap_err().to_string();

    assert!(told(Task::from_fn("f", nothing).cron("0 25 * * *")).await.starts_with("task `t`: "));
    assert_eq!(
        told(Task::from_fn("f", nothing).max_instances(0)).await,
        "task `t`: max_instances 0: write 1 or more"
    );
    assert_eq!(
        told(Task::from_fn("f", nothing).store("mongo")).await,
        "there is no store `mongo`; there are: default"
    );
    assert_eq!(
        told(Task::from_fn("f", nothing).executor("gpu")).await,
        "there is no executor `gpu`; there are: default"
    );
    assert_eq!(scheduler.tasks(TaskFilter::new()).await.unwrap().len(), 0);
}

#[tokio::test]
async fn an_option_that_would_do_nothing_is_refused() {
    let (_clock, scheduler) = started().await;
    let plain = || Task::from_fn("f", nothing).every(seconds(10));
    for (task, told) in [
        (plain().queue_limit(5), "queue_limit has no use without overlap `queue_all`"),
        (
            plain().queue_limit(5).overlap(Overlap::Queue),
            "queue_limit has no use without overlap `queue_all`",
        ),
        (plain().retry_backoff(seconds(5)), "retry_backoff has no use without retries"),
        (plain().retry_backoff(seconds(5)).retries(0), "retry_backoff has no use without retries"),
        (plain().max_catch_up(5), "max_catch_up has no use while coalesce is true"),
    ] {
        let error = scheduler.add_task(task).await.unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[tokio::test]
async fn what_an_option_needs_may_have_been_said_before() {
    let (_clock, config) = at_noon();
    let scheduler = config.task_defaults(TaskDefaults::new().coalesce(false)).scheduler();
    scheduler.start().await.unwrap();
    let task = every_ten_seconds("t").overlap(Overlap::QueueAll).retries(1).max_catch_up(5);
    let task = scheduler.add_task(task).await.unwrap();

    task.update(TaskUpdate::new().queue_limit(5).retry_backoff(seconds(5))).await.unwrap();
    // What is not said anew may become idle.
    task.update(TaskUpdate::new().overlap(Overlap::Skip).retries(0).coalesce(true)).await.unwrap();

    let refused = task.update(TaskUpdate::new().queue_limit(6)).await.unwrap_err().to_string();
    assert!(refused.contains("queue_limit has no use"), "{refused}");
    assert_eq!(scheduler.get_task("t").await.unwrap().rules.queue_limit, 5);
}

#[tokio::test]
async fn a_mistake_in_a_task_without_id_is_told_of_its_handler() {
    let wrong = || Task::from_fn("app::wrong", nothing).max_instances(0);
    let (_clock, config) = at_noon();
    let scheduler = config.scheduler();
    scheduler.add_task(wrong()).await.unwrap();
    let at_start = scheduler.start().await.unwrap_err().to_string();
    assert!(at_start.contains("`app::wrong`: max_instances 0"), "{at_start}");

    let (_clock, scheduler) = started().await;
    let added = scheduler.add_task(wrong()).await.unwrap_err().to_string();
    assert_eq!(added, "task `app::wrong`: max_instances 0: write 1 or more");
}

#[tokio::test]
async fn a_trigger_without_instants_is_told_alike_when_it_is_new_and_when_it_replaces_one() {
    let (_clock, scheduler) = started().await;
    let task = scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    let year = |year| CronTrigger::fields().year(year).build().unwrap();
    let never = || CronTrigger::new("0 0 30 2 *").unwrap();
    let added = |trigger| scheduler.add_task(Task::from_fn("f", nothing).id("t").trigger(trigger));
    for (message, added, rescheduled) in [
        ("has ended", added(year(2020)).await, task.reschedule(year(2020)).await),
        ("never matches", added(never()).await, task.reschedule(never()).await),
    ] {
        let (added, rescheduled) = (added.unwrap_err().to_string(), rescheduled.unwrap_err().to_string());
        assert!(added.contains(message), "{added}");
        assert_eq!(added, rescheduled);
    }
}

#[tokio::test]
async fn a_task_that_is_not_enabled_is_not_added() {
    let (_clock, scheduler) = started().await;
    scheduler.add_task(every_ten_seconds("t").enabled(false)).await.unwrap();
    assert_eq!(scheduler.tasks(TaskFilter::new()).await.unwrap().len(), 0);
}

#[tokio::test]
async fn each_store_has_ids_of_its_own() {
    let (clock, config) = at_noon();
    let scheduler = config.store("other", MemoryStore::new()).scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    scheduler.add_task(every_ten_seconds("t").store("other")).await.unwrap();

    let ambiguous = scheduler.get_task("t").await.unwrap_err();
    assert_eq!(
        ambiguous.to_string(),
        "several stores have a task `t`: default, other; say which with `in_store`"
    );

    scheduler.in_store("other").delete_task("t").await.unwrap();
    clock.advance(seconds(10)).await;
    assert_eq!(&*scheduler.get_task("t").await.unwrap().store, "default");
    assert_eq!(scheduler.runs(RunFilter::new()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_task_added_before_the_start_waits_for_it() {
    let (clock, config) = at_noon();
    let scheduler = config.scheduler();
    let task = scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    assert_eq!(scheduler.get_task(&task).await.unwrap().state, TaskState::Pending);
    assert_eq!(ids(&scheduler, TaskFilter::new()).await, ["t"]);
    let coming = scheduler.preview(&task, 2).await.unwrap();
    assert_eq!(coming.into_iter().map(after_noon).collect::<Vec<_>>(), [10, 20]);

    scheduler.start().await.unwrap();
    clock.advance(seconds(10)).await;

    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 10)]);
}

#[tokio::test]
async fn a_one_time_task_runs_once() {
    let (clock, scheduler) = started().await;
    let at = "2026-11-23T12:00:30Z".parse().unwrap();
    scheduler.add_task(Task::from_fn("nothing", nothing).id("t").trigger(DateTrigger::at(at))).await.unwrap();
    clock.advance(seconds(120)).await;
    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 30)]);
}

#[tokio::test]
async fn what_becomes_of_a_run_whose_scheduler_died_is_said_and_stored() {
    let (_, scheduler) = started().await;
    let task = scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    let rules = || async { scheduler.get_task("t").await.unwrap().rules };
    assert_eq!(rules().await.recover, Recover::Rerun);

    task.update(TaskUpdate::new().recover(Recover::Abandon)).await.unwrap();
    let abandoned = rules().await;
    let mut json = serde_json::to_value(&abandoned).unwrap();
    assert_eq!(json["recover"], "abandon");
    assert_eq!(serde_json::from_value::<Rules>(json.clone()).unwrap(), abandoned);

    // A record of the time before there was the option.
    json.as_object_mut().unwrap().remove("recover");
    assert_eq!(serde_json::from_value::<Rules>(json).unwrap().recover, Recover::Rerun);
}

#[tokio::test]
async fn what_a_task_does_not_say_of_a_dead_scheduler_the_defaults_say() {
    let (_, config) = at_noon();
    let scheduler = config.task_defaults(TaskDefaults::new().recover(Recover::Abandon)).scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(every_ten_seconds("abandoned")).await.unwrap();
    scheduler.add_task(every_ten_seconds("rerun").recover(Recover::Rerun)).await.unwrap();
    for (id, recover) in [("abandoned", Recover::Abandon), ("rerun", Recover::Rerun)] {
        assert_eq!(scheduler.get_task(id).await.unwrap().rules.recover, recover);
    }
}
