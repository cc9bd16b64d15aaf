//! Many tasks, and much history.

use asyncz::RunStatus::{Claimed, Running, Succeeded};
use asyncz::{DebugExecutor, Error, Provide, RunFilter, Scheduler, Task, TaskFilter};

use super::{Notes, after_noon, at_noon, history, ninety_seconds, nothing, seconds, started};

fn every_second(id: &str) -> Task {
    Task::from_fn("nothing", nothing).id(id).every(seconds(1))
}

#[tokio::test]
async fn tasks_added_together_have_handles_in_their_order() {
    let (clock, scheduler) = started().await;

    let handles = scheduler.add_tasks(["c", "a", "b"].map(every_second)).await.unwrap();
    clock.advance(seconds(2)).await;

    let ids: Vec<_> = handles.iter().map(|handle| handle.id().to_string()).collect();
    assert_eq!(ids, ["c", "a", "b"]);
    for id in ids {
        assert_eq!(history(&scheduler, &id).await, [(Succeeded, 1), (Succeeded, 2)]);
    }
}

#[tokio::test]
async fn tasks_added_together_are_added_all_or_not_at_all() {
    let (_clock, scheduler) = started().await;
    scheduler.add_task(every_second("taken")).await.unwrap();

    let taken = scheduler.add_tasks(["new", "taken", "newer"].map(every_second)).await.unwrap_err();
    assert!(matches!(&taken, Error::ConflictId { id, .. } if *id == "taken"), "{taken}");
    let twice = scheduler.add_tasks(["new", "new"].map(every_second)).await.unwrap_err();
    assert!(matches!(&twice, Error::ConflictId { id, .. } if *id == "new"), "{twice}");
    let wrong = [every_second("new"), every_second("wrong").executor("none")];
    let wrong = scheduler.add_tasks(wrong).await.unwrap_err();
    assert!(matches!(&wrong, Error::ExecutorNotFound { .. }), "{wrong}");

    let tasks = scheduler.tasks(TaskFilter::new()).await.unwrap();
    assert_eq!(tasks.iter().map(|task| task.id.as_str()).collect::<Vec<_>>(), ["taken"]);
}

#[tokio::test]
async fn tasks_added_together_replace_only_where_they_may() {
    let (_clock, scheduler) = started().await;
    scheduler.add_task(every_second("known")).await.unwrap();

    let slow = Task::from_fn("nothing", nothing).id("known").every(seconds(60)).replace_existing(true);
    scheduler.add_tasks([every_second("new"), slow]).await.unwrap();

    let known = scheduler.get_task("known").await.unwrap();
    assert_eq!((known.next_run_time.map(after_noon), known.generation), (Some(60), 1));
    assert!(scheduler.get_task("new").await.is_ok());
}

#[tokio::test]
async fn tasks_added_together_before_the_start_wait_for_it() {
    let (clock, config) = at_noon();
    let scheduler = config.scheduler();
    scheduler.add_tasks(["a", "b"].map(every_second)).await.unwrap();

    scheduler.start().await.unwrap();
    clock.advance(seconds(1)).await;

    assert_eq!(scheduler.runs(RunFilter::new()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn ends_are_written_while_more_is_due() {
    async fn count_open(scheduler: Scheduler, Provide(notes): Provide<Notes>) {
        let open = scheduler.runs(RunFilter::new().status(Claimed).status(Running)).await.unwrap();
        notes.add(open.len().to_string());
    }
    let (clock, config) = at_noon();
    let notes = Notes::default();
    // Each run ends before more is decided.
    let scheduler = config.executor("default", DebugExecutor::new()).provide(notes.clone()).scheduler();
    scheduler.start().await.unwrap();
    let herd = (0..5_000).map(|n| every_second(&n.to_string()));
    let last = Task::from_fn("count_open", count_open).id("last").every(seconds(1));
    scheduler.add_tasks(herd.chain([last])).await.unwrap();

    clock.advance(seconds(1)).await;

    let open: usize = notes.all()[0].parse().unwrap();
    assert!(open <= 2_000, "{open} of 5,001 runs had no end when the last of them ran");
    assert_eq!(scheduler.runs(RunFilter::new().status(Succeeded)).await.unwrap().len(), 5_001);
}

#[tokio::test]
async fn a_task_keeps_its_newest_hundred_runs() {
    let (clock, scheduler) = started().await;
    scheduler.add_tasks(["busy", "idle"].map(every_second)).await.unwrap();
    clock.advance(seconds(1)).await;
    scheduler.pause_task("idle").await.unwrap();
    clock.advance(seconds(249)).await;

    let busy = history(&scheduler, "busy").await;
    assert_eq!(busy, (151..=250).map(|second| (Succeeded, second)).collect::<Vec<_>>());
    assert_eq!(history(&scheduler, "idle").await, [(Succeeded, 1)]);
    assert_eq!(scheduler.runs(RunFilter::new()).await.unwrap().len(), 101);
}

#[tokio::test]
async fn a_run_that_goes_on_stays_in_the_history_however_old() {
    let (clock, scheduler) = started().await;
    let task = Task::from_fn("ninety_seconds", ninety_seconds).id("t").every(seconds(1) / 2);
    scheduler.add_task(task.max_instances(2)).await.unwrap();

    // Two runs go on for a minute and a half; meanwhile 178 are skipped, with an entry each.
    clock.advance(seconds(90)).await;
    let runs = scheduler.runs(RunFilter::new().status(Running)).await.unwrap();
    let mut due: Vec<_> = runs.iter().map(|run| after_noon(run.scheduled_at())).collect();
    due.sort_unstable();
    assert_eq!(due, [0, 1]);
    clock.advance(seconds(1)).await;
    let ended = scheduler.runs(RunFilter::new().status(Succeeded)).await.unwrap();
    assert_eq!(ended.len(), 2, "their ends are written, too");
}

#[tokio::test]
async fn a_task_of_a_deleted_ones_id_has_its_history_but_not_its_runs() {
    let (clock, scheduler) = started().await;
    let slow = || Task::from_fn("ninety_seconds", ninety_seconds).id("t").every(seconds(60));
    scheduler.add_task(slow()).await.unwrap();
    clock.advance(seconds(70)).await;
    scheduler.delete_task("t").await.unwrap();
    scheduler.add_task(slow()).await.unwrap();

    assert_eq!(scheduler.get_task("t").await.unwrap().running, 0);
    clock.advance(seconds(65)).await;
    assert_eq!(history(&scheduler, "t").await, [(Running, 60), (Running, 130)]);
    clock.advance(seconds(20)).await;
    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 60), (Running, 130)]);
    assert_eq!(scheduler.get_task("t").await.unwrap().running, 1);
}

#[tokio::test]
async fn numbers_of_deleted_tasks_are_given_to_others() {
    let (clock, scheduler) = started().await;
    for round in 0..50 {
        let tasks = (0..20).map(|n| every_second(&format!("{round}-{n}")));
        scheduler.add_tasks(tasks.collect::<Vec<_>>()).await.unwrap();
        clock.advance(seconds(1)).await;
        for n in 0..20 {
            scheduler.delete_task(format!("{round}-{n}")).await.unwrap();
        }
    }
    assert!(scheduler.tasks(TaskFilter::new()).await.unwrap().is_empty());
    let runs = scheduler.runs(RunFilter::new()).await.unwrap();
    assert_eq!(runs.len(), 1_000);
    assert!(runs.iter().all(|run| run.status == Succeeded));
}
