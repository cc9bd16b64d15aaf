//! `FileStore`: what stands in its directory, and what it does about what others put there.

mod conformance;
mod crashes;
mod files;
mod refused;
mod sharing;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use asyncz::stores::{FileStore, Query};
use asyncz::testing::{Simulation, TestClock};
use asyncz::{AsynczConfig, RunFilter, RunStatus, Scheduler, Store, Task};

use crate::scheduler::{at_noon, history, nothing, seconds};

/// A directory that is made by whoever uses it, and gone with the test.
#[derive(Debug)]
pub(super) struct Directory(pub(super) PathBuf);

impl Directory {
    pub(super) fn new() -> Self {
        static DIRECTORIES: AtomicU64 = AtomicU64::new(0);
        let number = DIRECTORIES.fetch_add(1, Ordering::Relaxed);
        let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros();
        Self(std::env::temp_dir().join(format!("asyncz-file-{}-{since:x}-{number}", std::process::id())))
    }

    /// Another one with the same files.
    fn copy(&self) -> Self {
        let copy = Self::new();
        for file in self.files() {
            let to = copy.0.join(&file);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(self.0.join(&file), to).unwrap();
        }
        copy
    }

    /// The paths of all files in it, in order.
    fn files(&self) -> Vec<PathBuf> {
        fn below(directory: &Path, files: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { below(&path, files) } else { files.push(path) }
            }
        }
        let mut files = Vec::new();
        below(&self.0, &mut files);
        files.sort();
        files.into_iter().map(|file| file.strip_prefix(&self.0).unwrap().to_owned()).collect()
    }

    fn path(&self, file: impl AsRef<Path>) -> PathBuf {
        self.0.join(file)
    }

    fn text(&self, file: impl AsRef<Path>) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    fn write(&self, file: impl AsRef<Path>, text: impl AsRef<[u8]>) {
        fs::write(self.path(file), text).unwrap();
    }

    fn store(&self) -> FileStore {
        FileStore::new(&self.0)
    }

    /// All tasks and entries that a store finds here which has not been here before.
    async fn seen(&self) -> String {
        let store = self.store();
        let tasks = store.query(Query::All).await.unwrap();
        let runs = store.runs(&RunFilter::new()).await.unwrap();
        format!("{}\n{runs:?}\n{:?}", serde_json::to_string(&tasks.tasks).unwrap(), tasks.unreadable)
    }

    /// A scheduler at noon whose default store is here.
    async fn started(&self) -> (TestClock, Scheduler) {
        let (clock, config) = at_noon();
        let scheduler = config.store("default", self.store()).scheduler();
        scheduler.start().await.unwrap();
        (clock, scheduler)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Where it was not made there is none.
        _ = fs::remove_dir_all(&self.0);
    }
}

fn every_ten_seconds(id: &str) -> Task {
    Task::from_fn("nothing", nothing).id(id).every(seconds(10))
}

#[tokio::test]
async fn tasks_and_history_outlive_the_process() {
    let directory = Directory::new();
    let (clock, scheduler) = directory.started().await;
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    clock.advance(seconds(20)).await;
    scheduler.stop().await.unwrap();
    drop(scheduler);

    let next = AsynczConfig::new().clock(clock.clone()).without_registry();
    let next = next.task(every_ten_seconds("t").replace_existing(true));
    let next = next.store("default", directory.store()).scheduler();
    next.start().await.unwrap();
    clock.advance(seconds(10)).await;

    let entries = history(&next, "t").await;
    assert_eq!(entries, [(RunStatus::Succeeded, 10), (RunStatus::Succeeded, 20), (RunStatus::Succeeded, 30)]);
    next.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_simulation_of_many_schedulers_holds() {
    let runtime = tokio::runtime::Handle::current();
    let simulate = move || {
        let _entered = runtime.enter();
        for seed in [1, 2, 4, 5, 6] {
            let directory = Directory::new();
            let simulation = Simulation::new(seed).schedulers(1 + (seed % 4) as usize).minutes(20);
            simulation.store(directory.store()).run().unwrap();
        }
    };
    std::thread::spawn(simulate).join().unwrap();
}
