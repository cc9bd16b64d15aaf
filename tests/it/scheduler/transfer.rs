//! Tasks as text.

use asyncz::RunStatus::{Coalesced, Succeeded};
use asyncz::testing::{Fault, FaultyStore, StoreCall};
use asyncz::{Args, Error, MemoryStore, Scheduler, Task, TaskFilter, TaskImport, TaskState};
use serde_json::Value;

use super::{after_noon, at_noon, history, nothing, seconds, started};

async fn greet(Args(_name): Args<String>) {}

fn every_ten_seconds(id: &str) -> Task {
    Task::from_fn("nothing", nothing).id(id).every(seconds(10))
}

fn greeting(id: &str) -> Task {
    Task::from_fn("greet", greet).id(id).args("world").unwrap().cron("30 12 * * *").name("at half past")
}

async fn ids(scheduler: &Scheduler) -> Vec<String> {
    let tasks = scheduler.tasks(TaskFilter::new()).await.unwrap();
    tasks.into_iter().map(|task| format!("{} in {}", task.id, task.store)).collect()
}

/// An export with one place changed.
fn changed(json: &str, pointer: &str, value: impl Into<Value>) -> String {
    let mut export: Value = serde_json::from_str(json).unwrap();
    *export.pointer_mut(pointer).unwrap() = value.into();
    export.to_string()
}

#[tokio::test]
async fn an_export_can_be_read_by_people() {
    let (_clock, scheduler) = started().await;
    scheduler.add_task(greeting("g")).await.unwrap();

    let export: Value = serde_json::from_str(&scheduler.export_tasks().await.unwrap()).unwrap();

    assert_eq!(export["v"], 1);
    let task = &export["tasks"][0];
    assert_eq!((&task["store"], &task["definition"]["id"]), (&"default".into(), &"g".into()));
    assert_eq!(task["definition"]["handler"], "greet");
    assert_eq!(task["definition"]["args"], "world");
    assert_eq!(task["definition"]["trigger"]["expression"], "30 12 * * *");
    assert_eq!(task["schedule"]["next_run_time"], "2026-11-23T12:30:00Z");
}

#[tokio::test]
async fn durations_are_numbers_of_seconds_and_read_back_the_same() {
    let (_clock, scheduler) = started().await;
    let task = every_ten_seconds("t").timeout(seconds(90)).jitter(seconds(3) / 2);
    scheduler.add_task(task.retries(1).retry_backoff(std::time::Duration::MAX)).await.unwrap();
    let rules = scheduler.get_task("t").await.unwrap().rules;

    let export = scheduler.export_tasks().await.unwrap();
    let definition = serde_json::from_str::<Value>(&export).unwrap()["tasks"][0]["definition"].take();
    scheduler.delete_task("t").await.unwrap();
    scheduler.import_tasks(&export).await.unwrap();

    assert_eq!((&definition["timeout"], &definition["jitter"]), (&90.into(), &1.5.into()));
    assert_eq!(definition["misfire_grace_time"], Value::Null);
    assert_eq!(scheduler.get_task("t").await.unwrap().rules, rules);
    let negative = export.replace("\"timeout\": 90", "\"timeout\": -1");
    let wrong = scheduler.import_tasks(&*negative).await.unwrap_err();
    assert!(wrong.to_string().contains("-1 is no duration"), "{wrong}");
}

#[tokio::test]
async fn an_imported_task_goes_on_where_it_stood() {
    let (clock, scheduler) = started().await;
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    scheduler.add_task(every_ten_seconds("paused").next_run_time(None)).await.unwrap();
    clock.advance(seconds(15)).await;
    let export = scheduler.export_tasks().await.unwrap();
    scheduler.remove_all_tasks(None).await.unwrap();
    clock.advance(seconds(20)).await;

    assert_eq!(scheduler.import_tasks(&export).await.unwrap(), 2);
    clock.advance(seconds(10)).await;

    let expected = [(Succeeded, 10), (Coalesced, 20), (Succeeded, 30), (Succeeded, 40)];
    assert_eq!(history(&scheduler, "t").await, expected);
    assert_eq!(scheduler.get_task("paused").await.unwrap().state, TaskState::Paused);
}

#[tokio::test]
async fn tasks_move_from_store_to_store() {
    let (clock, config) = at_noon();
    let scheduler = config.store("other", MemoryStore::new()).scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    scheduler.add_task(greeting("g").store("other")).await.unwrap();
    clock.advance(seconds(5)).await;

    let export = scheduler.in_store("default").export_tasks().await.unwrap();
    assert_eq!(scheduler.in_store("other").import_tasks(&export).await.unwrap(), 1);
    scheduler.remove_all_tasks("default").await.unwrap();

    assert_eq!(ids(&scheduler).await, ["g in other", "t in other"]);
    let moved = scheduler.get_task("t").await.unwrap();
    assert_eq!(moved.next_run_time.map(after_noon), Some(10));
}

#[tokio::test]
async fn a_taken_id_is_a_conflict_and_nothing_is_imported() {
    let (_clock, scheduler) = started().await;
    scheduler.add_task(every_ten_seconds("a")).await.unwrap();
    scheduler.add_task(every_ten_seconds("b")).await.unwrap();
    let export = scheduler.export_tasks().await.unwrap();
    scheduler.delete_task("a").await.unwrap();

    let error = scheduler.import_tasks(&export).await.unwrap_err();

    assert!(matches!(&error, Error::ConflictId { id, .. } if *id == "b"), "{error}");
    assert_eq!(ids(&scheduler).await, ["b in default"]);
}

#[tokio::test]
async fn what_is_replaced_takes_the_imported_place_in_time() {
    let (clock, scheduler) = started().await;
    let task = scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    let export = scheduler.export_tasks().await.unwrap();
    task.pause().await.unwrap();
    clock.advance(seconds(25)).await;

    let import = TaskImport::new(export).replace_existing(true);
    assert_eq!(scheduler.import_tasks(import).await.unwrap(), 1);
    clock.settle().await;

    assert_eq!(history(&scheduler, "t").await, [(Coalesced, 10), (Succeeded, 20)]);
}

#[tokio::test]
async fn what_was_decided_since_the_export_is_not_decided_again() {
    let (clock, scheduler) = started().await;
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    let export = scheduler.export_tasks().await.unwrap();
    clock.advance(seconds(25)).await;

    scheduler.import_tasks(TaskImport::new(export).replace_existing(true)).await.unwrap();
    clock.advance(seconds(10)).await;

    assert_eq!(history(&scheduler, "t").await, [(Succeeded, 10), (Succeeded, 20), (Succeeded, 30)]);
}

#[tokio::test]
async fn all_that_is_wrong_with_an_import_is_told_at_once() {
    let (_clock, scheduler) = started().await;
    scheduler.add_task(greeting("g")).await.unwrap();
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    let export = scheduler.export_tasks().await.unwrap();
    scheduler.remove_all_tasks(None).await.unwrap();

    let wrong = changed(&export, "/tasks/0/definition/args", 7);
    let wrong = changed(&wrong, "/tasks/0/definition/executor", "gpu");
    let wrong = changed(&wrong, "/tasks/1/definition/handler", "app::gone");
    let wrong = changed(&wrong, "/tasks/1/definition/max_instances", 0);
    let wrong = changed(&wrong, "/tasks/1/store", "mongo");
    let error = scheduler.import_tasks(wrong).await.unwrap_err().to_string();

    let expected = [
        "the tasks can't be imported:",
        "- task `g`: ",
        "- task `g`: there is no executor `gpu`; there are: default",
        "- task `t`: its handler `app::gone` is not in this program",
        "- task `t`: there is no store `mongo`; there are: default",
        "- task `t`: max_instances 0: write 1 or more",
    ];
    for (line, expected) in error.lines().zip(expected) {
        assert!(line.starts_with(expected), "{line}\n{expected}");
    }
    assert_eq!(error.lines().count(), expected.len(), "{error}");
    assert_eq!(ids(&scheduler).await, Vec::<String>::new());
}

#[tokio::test]
async fn text_that_is_no_export_is_refused() {
    let (_clock, scheduler) = started().await;
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    let export = scheduler.export_tasks().await.unwrap();
    let told = async |json: String| scheduler.import_tasks(json).await.unwrap_err().to_string();

    assert!(told("[]".to_owned()).await.contains("this is no export of tasks"));
    assert!(told(changed(&export, "/v", 2)).await.contains("this export is of version 2"));
    let wrong = told(changed(&export, "/tasks/0/definition/trigger/type", "moon")).await;
    assert!(wrong.contains("task `t`: definition.trigger") && wrong.contains("moon"), "{wrong}");
    let twice = export.replace("\"tasks\": [", "\"tasks\": [ {},");
    assert!(told(twice).await.contains("task 1 of the list: "));
}

#[tokio::test]
async fn an_import_that_a_store_fails_is_taken_back() {
    let (_clock, config) = at_noon();
    let faulty = FaultyStore::in_memory();
    let scheduler = config.store("faulty", faulty.clone()).scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(every_ten_seconds("a")).await.unwrap();
    scheduler.add_task(every_ten_seconds("b").store("faulty")).await.unwrap();
    let export = scheduler.export_tasks().await.unwrap();
    scheduler.remove_all_tasks(None).await.unwrap();

    faulty.inject(Fault::error("the disk is full").on(StoreCall::Put));
    let error = scheduler.import_tasks(export).await.unwrap_err();

    assert_eq!(error.to_string(), "store `faulty` failed");
    assert_eq!(ids(&scheduler).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_stopped_scheduler_neither_exports_nor_imports() {
    let (_clock, config) = at_noon();
    let scheduler = config.scheduler();
    assert!(matches!(scheduler.export_tasks().await, Err(Error::NotRunning)));
    assert!(matches!(scheduler.import_tasks("{}").await, Err(Error::NotRunning)));
}
