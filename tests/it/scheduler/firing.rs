//! The firing rule: which due occurrences run, and what becomes of the others.

use asyncz::RunStatus::{Claimed, Coalesced, Missed, Running, Skipped, Succeeded};
use asyncz::{CronTrigger, IntervalTrigger, RunFilter, Task, TaskContext, TaskDefaults};

use super::{Notes, at_noon, history, ninety_seconds, nothing, seconds, started};

#[tokio::test]
async fn a_task_runs_at_each_instant_of_its_trigger() {
    let (clock, scheduler) = started().await;
    scheduler.add_task(Task::from_fn("nothing", nothing).id("t").every(seconds(10))).await.unwrap();

    clock.advance(seconds(35)).await;

    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 10), (Succeeded, 20), (Succeeded, 30)]);
}

#[tokio::test]
async fn a_cron_expression_is_read_in_the_schedulers_zone() {
    let (clock, config) = at_noon();
    let task = Task::from_fn("nothing", nothing).id("t").cron("30 13 * * *");
    let scheduler = config.timezone("Europe/Berlin").task(task).scheduler();
    scheduler.start().await.unwrap();

    clock.advance(seconds(3600)).await;

    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 1800)]);
}

#[tokio::test]
async fn a_task_without_a_trigger_runs_once_at_once_and_is_removed() {
    let (clock, scheduler) = started().await;
    scheduler.add_task(Task::from_fn("nothing", nothing).id("t")).await.unwrap();

    clock.advance(seconds(100)).await;

    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 0)]);
    assert!(scheduler.get_task("t").await.is_err());
}

#[tokio::test]
async fn a_past_date_runs_at_once() {
    let (clock, scheduler) = started().await;
    let an_hour_ago = "2026-11-23T11:00:00Z".parse().unwrap();
    scheduler.add_task(Task::from_fn("nothing", nothing).id("t").at(an_hour_ago)).await.unwrap();

    clock.settle().await;

    assert_eq!(history(&scheduler, "t").await, [(Succeeded, -3600)]);
}

#[tokio::test]
async fn of_several_due_occurrences_the_latest_runs_and_the_others_are_recorded() {
    let (clock, scheduler) = started().await;
    scheduler.add_task(Task::from_fn("nothing", nothing).id("t").every(seconds(10))).await.unwrap();
    scheduler.pause().await.unwrap();
    clock.advance(seconds(45)).await;

    scheduler.resume().await.unwrap();
    clock.settle().await;

    assert_eq!(history(&scheduler, "t").await, [(Coalesced, 30), (Succeeded, 40)]);
    let coalesced = scheduler.runs(RunFilter::new().status(Coalesced)).await.unwrap();
    assert_eq!(coalesced[0].occurrences.to_string(), "3");
}

#[tokio::test]
async fn without_coalescing_each_due_occurrence_runs() {
    let (clock, scheduler) = started().await;
    let task = Task::from_fn("nothing", nothing).id("t").every(seconds(10)).coalesce(false).max_instances(9);
    scheduler.add_task(task).await.unwrap();
    scheduler.pause().await.unwrap();
    clock.advance(seconds(35)).await;

    scheduler.resume().await.unwrap();
    clock.settle().await;

    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 10), (Succeeded, 20), (Succeeded, 30)]);
}

#[tokio::test]
async fn at_most_max_catch_up_occurrences_run_and_those_before_are_missed_as_one() {
    let (clock, scheduler) = started().await;
    let task = Task::from_fn("nothing", nothing).id("t").every(seconds(10)).coalesce(false).max_instances(9);
    scheduler.add_task(task.max_catch_up(2)).await.unwrap();
    scheduler.pause().await.unwrap();
    clock.advance(seconds(55)).await;

    scheduler.resume().await.unwrap();
    clock.settle().await;

    assert_eq!(history(&scheduler, "t").await, [(Missed, 30), (Succeeded, 40), (Succeeded, 50)]);
    let missed = scheduler.runs(RunFilter::new().status(Missed)).await.unwrap().remove(0);
    assert_eq!(missed.occurrences.to_string(), "more than 2");
    assert_eq!(missed.error.unwrap(), "more than max_catch_up = 2 were due");
}

#[tokio::test]
async fn a_year_of_seconds_is_caught_up_at_once() {
    let (clock, scheduler) = started().await;
    scheduler.add_task(Task::from_fn("nothing", nothing).id("t").every(seconds(1))).await.unwrap();
    scheduler.pause().await.unwrap();
    let year = 365 * 24 * 3600;
    clock.advance(seconds(year)).await;

    scheduler.resume().await.unwrap();
    clock.settle().await;

    let year = i64::try_from(year).unwrap();
    assert_eq!(history(&scheduler, "t").await, [(Coalesced, year - 1), (Succeeded, year)]);
    let coalesced = scheduler.runs(RunFilter::new().status(Coalesced)).await.unwrap();
    assert_eq!(coalesced[0].occurrences.to_string(), "more than 1000");
}

#[tokio::test]
async fn an_occurrence_decided_later_than_its_grace_time_is_missed() {
    let (clock, config) = at_noon();
    let scheduler = config.task_defaults(TaskDefaults::asyncz()).scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(Task::from_fn("nothing", nothing).id("late").every(seconds(10))).await.unwrap();
    let patient = Task::from_fn("nothing", nothing).id("patient").every(seconds(10));
    scheduler.add_task(patient.misfire_grace_time(seconds(5))).await.unwrap();
    scheduler.pause().await.unwrap();
    clock.advance(seconds(12)).await;

    scheduler.resume().await.unwrap();
    clock.settle().await;

    assert_eq!(history(&scheduler, "late").await, [(Missed, 10)]);
    assert_eq!(history(&scheduler, "patient").await, [(Succeeded, 10)]);
    let missed = scheduler.runs(RunFilter::new().task("late")).await.unwrap().remove(0);
    assert_eq!(missed.error.unwrap(), "decided 2 s late, misfire_grace_time is 1 s");
}

#[tokio::test]
async fn an_occurrence_is_skipped_while_max_instances_run() {
    let (clock, scheduler) = started().await;
    scheduler.add_task(Task::from_fn("slow", ninety_seconds).id("t").every(seconds(60))).await.unwrap();

    clock.advance(seconds(185)).await;

    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 60), (Skipped, 120), (Running, 180)]);
    let skipped = scheduler.runs(RunFilter::new().status(Skipped)).await.unwrap().remove(0);
    assert_eq!(skipped.error.unwrap(), "1 of its runs were going on, max_instances is 1");
}

#[tokio::test]
async fn max_instances_runs_go_on_at_once() {
    let (clock, scheduler) = started().await;
    let task = Task::from_fn("slow", ninety_seconds).id("t").every(seconds(60)).max_instances(2);
    scheduler.add_task(task).await.unwrap();

    clock.advance(seconds(125)).await;

    assert_eq!(history(&scheduler, "t").await, [(Running, 60), (Running, 120)]);
    assert_eq!(scheduler.get_task("t").await.unwrap().running, 2);
}

#[tokio::test]
async fn a_task_goes_after_its_last_run_has_ended() {
    let (clock, scheduler) = started().await;
    let noon_and_a_minute = "2026-11-23T12:01:00Z".parse().unwrap();
    scheduler.add_task(Task::from_fn("slow", ninety_seconds).id("t").at(noon_and_a_minute)).await.unwrap();

    clock.advance(seconds(61)).await;
    assert_eq!(scheduler.get_task("t").await.unwrap().state, asyncz::TaskState::Ending);

    clock.advance(seconds(90)).await;
    assert!(scheduler.get_task("t").await.is_err());
    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 60)]);
}

#[tokio::test]
async fn a_run_that_catches_up_knows_it() {
    async fn tell(ctx: TaskContext, asyncz::Provide(notes): asyncz::Provide<Notes>) {
        notes.add(format!("{} {}", super::after_noon(ctx.scheduled_at()), ctx.is_catch_up()));
    }
    let (clock, config) = at_noon();
    let notes = Notes::default();
    let scheduler = config.provide(notes.clone()).scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(Task::from_fn("tell", tell).every(seconds(10))).await.unwrap();
    clock.advance(seconds(10)).await;
    scheduler.pause().await.unwrap();
    clock.advance(seconds(15)).await;
    scheduler.resume().await.unwrap();
    clock.advance(seconds(5)).await;

    assert_eq!(notes.all(), ["10 false", "20 true", "30 false"]);
}

#[tokio::test]
async fn a_run_starts_within_its_jitter_and_its_due_time_stays() {
    let (clock, scheduler) = started().await;
    let task = Task::from_fn("nothing", nothing).id("t").every(seconds(60)).jitter(seconds(30));
    scheduler.add_task(task).await.unwrap();

    clock.advance(seconds(60 * 20 + 30)).await;

    let runs = scheduler.runs(RunFilter::new().task("t")).await.unwrap();
    assert_eq!(runs.len(), 20);
    let late: Vec<_> = runs.iter().map(|run| run.lateness().unwrap()).collect();
    assert!(late.iter().all(|late| *late <= seconds(30)), "{late:?}");
    assert!(late.iter().any(|late| *late > seconds(0)), "{late:?}");
    assert!(runs.iter().all(|run| super::after_noon(run.scheduled_at()) % 60 == 0));
}

#[tokio::test]
async fn a_trigger_that_ends_runs_its_last_instant() {
    let (clock, scheduler) = started().await;
    let end = "2026-11-23T12:00:20Z".parse().unwrap();
    let trigger = IntervalTrigger::every(seconds(10)).end_at(end);
    scheduler.add_task(Task::from_fn("nothing", nothing).id("t").trigger(trigger)).await.unwrap();

    clock.advance(seconds(60)).await;

    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 10), (Succeeded, 20)]);
    assert!(scheduler.get_task("t").await.is_err());
}

#[tokio::test]
async fn a_thousand_tasks_due_at_once_all_run_once() {
    let (clock, scheduler) = started().await;
    for n in 0..3_000 {
        let trigger = CronTrigger::new("1 12 * * *").unwrap();
        scheduler
            .add_task(Task::from_fn("nothing", nothing).id(n.to_string()).trigger(trigger))
            .await
            .unwrap();
    }

    clock.advance(seconds(120)).await;

    let runs = scheduler.runs(RunFilter::new()).await.unwrap();
    assert_eq!(runs.len(), 3_000);
    assert!(runs.iter().all(|run| run.status == Succeeded));
}

#[tokio::test]
async fn a_virtual_year_of_a_hundred_tasks_takes_seconds() {
    let (clock, scheduler) = started().await;
    for n in 0..100 {
        let task =
            Task::from_fn("nothing", nothing).id(n.to_string()).cron(&format!("{} {} * * *", n % 60, n % 24));
        scheduler.add_task(task).await.unwrap();
    }

    clock.advance(seconds(365 * 24 * 3600)).await;

    // The history keeps the newest 100 of each task.
    assert_eq!(scheduler.runs(RunFilter::new()).await.unwrap().len(), 100 * 100);
    let open = [Claimed, Running, Skipped, Missed, Coalesced];
    let filter = open.into_iter().fold(RunFilter::new(), RunFilter::status);
    assert_eq!(scheduler.runs(filter).await.unwrap(), []);
}
