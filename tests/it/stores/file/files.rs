//! The files, for people and against accidents.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use asyncz::stores::{Edit, EditOutcome, Query};
use asyncz::{RunFilter, RunStatus, Store, TaskId};
use serde_json::{Value, json};

use super::{Directory, every_ten_seconds};
use crate::scheduler::{history, seconds};

/// A directory with these tasks, that have run twice.
async fn with_tasks(ids: &[&str]) -> Directory {
    let directory = Directory::new();
    let (clock, scheduler) = directory.started().await;
    for id in ids {
        scheduler.add_task(every_ten_seconds(id)).await.unwrap();
    }
    clock.advance(seconds(20)).await;
    scheduler.stop().await.unwrap();
    directory
}

#[tokio::test]
async fn people_can_read_the_files() {
    let directory = with_tasks(&["app::send"]).await;

    let task: Value = serde_json::from_str(&directory.text("tasks/app::send.json")).unwrap();
    let runs = directory.text("runs/app::send.jsonl");
    let about: Value = serde_json::from_str(&directory.text("store.json")).unwrap();

    assert_eq!((&task["definition"]["v"], &task["definition"]["handler"]), (&json!(1), &json!("nothing")));
    assert_eq!(task["definition"]["trigger"]["type"], "interval");
    assert_eq!(task["schedule"]["next_run_time"], "2026-11-23T12:00:30Z");
    let runs: Vec<Value> = runs.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(runs.iter().all(|run| run["run"]["task"] == "app::send" && run["run"]["status"] == "succeeded"));
    assert_eq!((about["v"].as_u64(), about.get("key")), (Some(1), None));
}

#[tokio::test]
async fn the_directory_is_its_owners_alone() {
    let directory = with_tasks(&["t"]).await;
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;

    for inside in ["", "tasks", "runs"] {
        assert_eq!(mode(directory.path(inside)), 0o700, "{inside}");
    }
    for file in directory.files() {
        assert_eq!(mode(directory.path(&file)), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn ids_are_names_of_files_whatever_they_are() {
    let long = "é".repeat(400);
    let longer = format!("{long}!");
    let ids = ["a.b-c_d:1", "Send Mail", ".hidden", "../up", "a/b", "100%", "täsk", &long, &longer];
    let directory = with_tasks(&ids).await;

    let files = directory.files();
    let names: Vec<_> = files.iter().filter_map(|file| file.strip_prefix("tasks").ok()?.to_str()).collect();

    for name in ["%2e.%2fup", "%2ehidden", "%53end%20%4dail", "100%25", "a%2fb", "a.b-c_d:1", "t%c3%a4sk"] {
        assert!(names.contains(&&*format!("{name}.json")), "{name}: {names:?}");
    }
    assert_eq!(names.len(), ids.len());
    assert!(names.iter().all(|name| name.len() < 200), "{names:?}");
    let store = directory.store();
    for id in ids {
        assert!(store.load(&[TaskId::from(id)]).await.unwrap()[0].is_some(), "{id}");
        assert_eq!(store.runs(&RunFilter::new().task(id)).await.unwrap().len(), 2, "{id}");
    }
}

#[tokio::test]
async fn a_file_that_cant_be_read_stops_nobody_is_told_of_once_and_kept() {
    let newer = r#"{"definition":{"v":2,"id":"broken"},"schedule":{}}"#;
    for (text, why) in [
        ("{\"definition\": {\"v\": 1, \"id\": \"bro", "its file is no JSON"),
        ("", "its file is no JSON"),
        ("[1, 2]", "its file is none of a task"),
        (newer, "its file is none of a task"),
        ("a copy of whole.json", "its file is `broken.json`, and that of task `whole` would be `whole.json`"),
        ("a newer form", "a newer program wrote it"),
    ] {
        let directory = with_tasks(&["broken", "whole"]).await;
        let whole = directory.text("tasks/whole.json");
        let text = match text {
            "a newer form" => directory.text("tasks/broken.json").replace("\"v\": 1", "\"v\": 2"),
            "a copy of whole.json" => whole,
            text => text.to_owned(),
        };
        directory.write("tasks/broken.json", &text);
        directory.write("tasks/notes.txt", "nobody's business");
        let store = directory.store();

        let found = store.query(Query::All).await.unwrap();

        assert_eq!(found.tasks.iter().map(|task| task.id().as_str()).collect::<Vec<_>>(), ["whole"]);
        let [told] = &found.unreadable[..] else { panic!("{found:?}") };
        assert!(told.reason.contains(why), "{}", told.reason);
        assert!(store.query(Query::All).await.unwrap().unreadable.is_empty(), "it is told once");
        assert_eq!(store.count().await.unwrap(), 2);
        let mut again = found.tasks[0].clone();
        std::sync::Arc::make_mut(&mut again.definition).id = "broken".into();
        let taken = store.put(&[Edit::Insert(again)]).await.unwrap();
        assert_eq!(taken, [EditOutcome::Conflict], "its name is taken");
        store.shutdown().await.unwrap();

        let (clock, scheduler) = directory.started().await;
        scheduler.add_task(every_ten_seconds("whole").replace_existing(true)).await.unwrap();
        clock.advance(seconds(30)).await;
        assert_eq!(history(&scheduler, "whole").await.len(), 3, "its neighbour is run");
        scheduler.stop().await.unwrap();
        assert_eq!(directory.text("tasks/broken.json"), text, "it is kept");
        assert_eq!(directory.text("tasks/notes.txt"), "nobody's business");

        let store = directory.store();
        assert_eq!(store.put(&[Edit::Delete("broken".into())]).await.unwrap(), [EditOutcome::Done]);
        store.shutdown().await.unwrap();
        assert!(!directory.path("tasks/broken.json").exists(), "it can be deleted");
    }
}

#[tokio::test]
async fn a_file_that_was_mended_is_read_again() {
    let directory = with_tasks(&["t"]).await;
    let text = directory.text("tasks/t.json");
    directory.write("tasks/t.json", &text[..100]);
    assert_eq!(directory.store().query(Query::All).await.unwrap().unreadable.len(), 1);

    directory.write("tasks/t.json", &text);

    let found = directory.store().query(Query::All).await.unwrap();
    assert_eq!((found.tasks.len(), found.unreadable.len()), (1, 0));
}

#[tokio::test]
async fn lines_of_a_history_that_cant_be_read_are_kept_beside() {
    let directory = with_tasks(&["t"]).await;
    let lines = directory.text("runs/t.jsonl");
    directory.write("runs/t.jsonl", format!("no JSON\n{lines}{{\"run\":"));

    let (clock, scheduler) = directory.started().await;
    scheduler.add_task(every_ten_seconds("t").replace_existing(true)).await.unwrap();
    assert_eq!(history(&scheduler, "t").await, [(RunStatus::Succeeded, 10), (RunStatus::Succeeded, 20)]);
    clock.advance(seconds(30)).await;
    scheduler.stop().await.unwrap();

    assert_eq!(directory.text("runs/t.unreadable"), "no JSON\n");
    assert_eq!(directory.text("runs/t.jsonl").lines().count(), 3);
    assert_eq!(directory.store().runs(&RunFilter::new()).await.unwrap().len(), 3);
}

#[tokio::test]
async fn old_entries_leave_the_files_too() {
    let directory = with_tasks(&["t", "gone"]).await;
    let store = directory.store();
    store.put(&[Edit::Delete("gone".into())]).await.unwrap();
    let prune = asyncz::stores::Prune { before: None, a_task: Some(1), limit: 100 };

    assert_eq!(store.prune(&prune).await.unwrap(), 2);
    store.shutdown().await.unwrap();
    assert_eq!(directory.store().runs(&RunFilter::new()).await.unwrap().len(), 2, "what is gone stays so");
    assert_eq!(store.prune(&asyncz::stores::Prune { a_task: Some(0), ..prune }).await.unwrap(), 2);
    store.shutdown().await.unwrap();

    let files: Vec<_> = directory.files().into_iter().filter(|file| file.starts_with("runs")).collect();
    assert!(files.is_empty(), "{files:?}");
    assert_eq!(directory.store().count().await.unwrap(), 1);
}
