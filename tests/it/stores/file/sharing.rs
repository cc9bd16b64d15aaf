//! Several stores, and several processes, on one directory.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use asyncz::stores::{Edit, EditOutcome, Query};
use asyncz::{AsynczConfig, Store, TaskId, TaskRecord};

use super::{Directory, every_ten_seconds};
use crate::lifespan::fake::say;
use crate::scheduler::{at_noon, history, seconds};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_schedulers_share_the_runs_of_a_directory() {
    let directory = Directory::new();
    let (clock, config) = at_noon();
    let (_, other) = at_noon();
    let schedulers = [config, other.clock(clock.clone())].map(|config| {
        let tasks = ["a", "b", "c"].map(|id| every_ten_seconds(id).replace_existing(true));
        let config = config.store("default", directory.store());
        tasks.into_iter().fold(config, AsynczConfig::task).scheduler()
    });
    for scheduler in &schedulers {
        scheduler.start().await.unwrap();
    }

    for _ in 0..12 {
        clock.advance(seconds(10)).await;
    }

    for id in ["a", "b", "c"] {
        let entries = history(&schedulers[0], id).await;
        let due: Vec<_> = entries.iter().map(|(_, due)| *due).collect();
        assert_eq!(due, (1..=12).map(|n| n * 10).collect::<Vec<_>>(), "{entries:?}");
    }
    for scheduler in schedulers {
        scheduler.stop().await.unwrap();
    }
}

/// A record to be added under other ids.
async fn record(directory: &Directory) -> TaskRecord {
    let (_, scheduler) = directory.started().await;
    scheduler.add_task(every_ten_seconds("first")).await.unwrap();
    scheduler.stop().await.unwrap();
    directory.store().load(&[TaskId::from("first")]).await.unwrap().remove(0).unwrap()
}

fn named(record: &TaskRecord, id: &str) -> Edit {
    let mut record = record.clone();
    std::sync::Arc::make_mut(&mut record.definition).id = id.into();
    Edit::Insert(record)
}

async fn ids(store: &impl Store) -> Vec<String> {
    store.query(Query::All).await.unwrap().tasks.iter().map(|task| task.id().to_string()).collect()
}

#[tokio::test]
async fn a_store_that_has_missed_a_journal_reads_all_anew() {
    let directory = Directory::new();
    let record = record(&directory).await;
    let (follows, sleeps, writes) = (directory.store(), directory.store(), directory.store());
    assert_eq!(ids(&sleeps).await, ["first"]);
    for id in ["b", "c", "d"] {
        assert_eq!(writes.put(&[named(&record, id)]).await.unwrap(), [EditOutcome::Done]);
        assert!(ids(&follows).await.contains(&id.to_owned()), "read to its end");
        // Another journal is begun.
        writes.shutdown().await.unwrap();
    }
    writes.put(&[Edit::Delete("first".into())]).await.unwrap();

    assert_eq!(ids(&follows).await, ["b", "c", "d"]);
    assert_eq!(ids(&sleeps).await, ["b", "c", "d"]);
    // What one has read in another's journal it writes into the files.
    follows.shutdown().await.unwrap();
    assert!(!directory.path("tasks/first.json").exists() && directory.path("tasks/d.json").exists());
}

#[tokio::test]
async fn a_lock_that_was_removed_holds_nobody_back_unnoticed() {
    let directory = Directory::new();
    let record = record(&directory).await;
    let store = directory.store();
    store.start().await.unwrap();
    std::fs::remove_file(directory.path("lock")).unwrap();

    let error = store.put(&[named(&record, "b")]).await.unwrap_err().to_string();

    assert!(error.contains("its lock file was removed or replaced"), "{error}");
    assert_eq!(store.put(&[named(&record, "b")]).await.unwrap(), [EditOutcome::Done]);
    assert_eq!(ids(&directory.store()).await, ["b", "first"]);
}

const PATH: &str = "ASYNCZ_FILE_TEST_DIRECTORY";

/// The child: adds tasks until it is killed, and says which; does nothing where nobody asks.
#[tokio::test]
async fn scene() {
    let Ok(path) = std::env::var(PATH) else { return };
    let store = asyncz::FileStore::new(path);
    let record = store.load(&[TaskId::from("first")]).await.unwrap().remove(0).unwrap();
    for number in 0..100_000 {
        let id = format!("{}-{number}", std::process::id());
        if number % 50 == 49 {
            store.shutdown().await.unwrap();
        }
        assert_eq!(store.put(&[named(&record, &id)]).await.unwrap(), [EditOutcome::Done]);
        say(&id);
    }
}

/// A process that is killed with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[tokio::test]
async fn what_a_process_was_told_is_written_stays_when_it_is_killed() {
    let directory = Directory::new();
    record(&directory).await;
    let start = |_| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["stores::file::sharing::scene", "--exact", "--nocapture"]).env(PATH, &directory.0);
        Process(child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
    };
    let mut processes: Vec<Process> = (0..3).map(start).collect();
    let mut told = Vec::new();
    for (number, process) in processes.iter_mut().enumerate() {
        let lines = BufReader::new(process.0.stderr.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        told.extend(lines.by_ref().take(70 + number));
        process.0.kill().unwrap();
        // What it had said before.
        told.extend(lines);
    }

    let found = ids(&directory.store()).await;

    assert!(told.len() > 200, "{told:?}");
    for id in &told {
        assert!(found.contains(id), "{id} is lost");
    }
    assert!(found.len() <= told.len() + 1 + 3, "at most one of each was not told of");
}
