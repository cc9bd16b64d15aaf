//! Two schedulers in one process, each with its own tasks in memory: one stands by.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use asyncz::RunStatus::{Skipped, Succeeded};
use asyncz::testing::TestClock;
use asyncz::{AsynczConfig, Error, MemoryStore, RunFilter, RunStatus, Scheduler, Task};

use super::Folder;
use crate::scheduler::{NOON, after_noon, history, nothing, seconds};

/// A scheduler with a task of every ten seconds and this lock.
fn config(clock: &TestClock, path: &str) -> AsynczConfig {
    let task = Task::from_fn("nothing", nothing).id("t").every(seconds(10)).replace_existing(true);
    AsynczConfig::new().clock(clock.clone()).without_registry().task(task).lock_path(path)
}

async fn start(config: AsynczConfig) -> Scheduler {
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    scheduler
}

fn stands_by(scheduler: &Scheduler) -> bool {
    scheduler.info().stores.iter().any(|store| store.stands_by)
}

/// Waits for the real time that it takes.
async fn soon(what: impl Fn() -> bool) {
    for _ in 0..200 {
        if what() {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "locks live in real time")]
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it should have happened long ago");
}

fn clocks() -> (TestClock, TestClock) {
    (TestClock::at(NOON), TestClock::at(NOON))
}

#[tokio::test]
async fn one_runs_what_is_due_and_the_other_passes_over_it() {
    let folder = Folder::new("one");
    let path = folder.path("{store}.lock");
    let (clock, other_clock) = clocks();
    let first = start(config(&clock, &path)).await;
    let second = start(config(&other_clock, &path)).await;
    assert_eq!((stands_by(&first), stands_by(&second)), (false, true));

    clock.advance(seconds(35)).await;
    other_clock.advance(seconds(35)).await;

    assert_eq!(history(&first, "t").await, [10, 20, 30].map(|due| (Succeeded, due)));
    assert_eq!(history(&second, "t").await, [10, 20, 30].map(|due| (Skipped, due)));
    let passed = &second.runs(RunFilter::new()).await.unwrap()[0];
    assert_eq!(passed.error.as_deref(), Some("another process holds the lock of this store"));
    assert_eq!(second.get_task("t").await.unwrap().next_run_time.map(after_noon), Some(40));
}

#[tokio::test]
async fn the_other_takes_over_when_the_first_stops() {
    let folder = Folder::new("takes-over");
    let path = folder.path("{store}.lock");
    let (clock, other_clock) = clocks();
    let first = start(config(&clock, &path)).await;
    let second = start(config(&other_clock, &path)).await;
    other_clock.advance(seconds(15)).await;

    first.stop().await.unwrap();
    soon(|| !stands_by(&second)).await;
    other_clock.advance(seconds(15)).await;

    assert_eq!(history(&second, "t").await, [(Skipped, 10), (Succeeded, 20), (Succeeded, 30)]);
    // And the first stands by when it comes again.
    first.start().await.unwrap();
    assert!(stands_by(&first));
    second.stop().await.unwrap();
    soon(|| !stands_by(&first)).await;
}

#[tokio::test]
async fn in_a_store_that_they_share_nothing_is_passed_over() {
    let folder = Folder::new("shared");
    let path = folder.path("{store}.lock");
    let clock = TestClock::at(NOON);
    let store = Arc::new(MemoryStore::new().leased(seconds(30)));
    let first = start(config(&clock, &path).store("default", store.clone())).await;
    let second = start(config(&clock, &path).store("default", store)).await;
    clock.advance(seconds(25)).await;
    assert_eq!((first.info().counts.executed, second.info().counts.executed), (2, 0));

    first.stop().await.unwrap();
    soon(|| !stands_by(&second)).await;
    clock.advance(seconds(10)).await;

    assert_eq!(second.info().counts.executed, 1);
    assert_eq!(history(&second, "t").await, [10, 20, 30].map(|due| (Succeeded, due)));
}

#[tokio::test]
async fn what_was_due_a_moment_before_the_first_died_is_not_lost() {
    let folder = Folder::new("moment");
    let path = folder.path("{store}.lock");
    let (clock, other_clock) = clocks();
    let first = start(config(&clock, &path)).await;
    let second = start(config(&other_clock, &path)).await;
    other_clock.advance(Duration::from_millis(10_500)).await;
    assert_eq!(history(&second, "t").await, []);

    // It had not come to it: its own clock stands before it.
    first.stop().await.unwrap();
    soon(|| !stands_by(&second)).await;
    other_clock.advance(Duration::from_millis(1)).await;

    assert_eq!(history(&second, "t").await, [(Succeeded, 10)]);
}

#[tokio::test]
async fn a_scheduler_that_drains_lets_others_take_over() {
    use asyncz::SchedulerConfig;

    let folder = Folder::new("drains");
    let path = folder.path("{store}.lock");
    let (clock, other_clock) = clocks();
    let slow = Task::from_fn("slow", crate::scheduler::ninety_seconds).id("slow").every(seconds(5));
    let first = config(&clock, &path).task(slow);
    first.start().await.unwrap();
    let second = start(config(&other_clock, &path)).await;
    clock.advance(seconds(6)).await;

    first.stop_claiming().await;
    soon(|| !stands_by(&second)).await;

    assert_eq!(first.scheduler().info().running, 1);
}

#[tokio::test]
async fn a_run_by_hand_goes_on_in_the_process_that_stands_by() {
    let folder = Folder::new("by-hand");
    let path = folder.path("{store}.lock");
    let (clock, other_clock) = clocks();
    let _first = start(config(&clock, &path)).await;
    let second = start(config(&other_clock, &path)).await;

    second.run_task("t").await.unwrap();
    other_clock.advance(seconds(1)).await;

    assert_eq!(history(&second, "t").await, [(Succeeded, 0)]);
}

#[tokio::test]
async fn a_file_that_was_left_behind_is_no_lock() {
    let folder = Folder::new("stale");
    fs::write(folder.path("default.lock"), "4242").unwrap();
    let clock = TestClock::at(NOON);
    let scheduler = start(config(&clock, &folder.path("{store}.lock"))).await;
    assert!(!stands_by(&scheduler));
    // Its name may lead elsewhere: nothing is written there.
    assert_eq!(fs::read_to_string(folder.path("default.lock")).unwrap(), "4242");
}

#[tokio::test]
async fn whoever_held_a_file_that_is_removed_stands_by_until_it_is_had_again() {
    let folder = Folder::new("removed");
    let path = folder.path("{store}.lock");
    let (clock, other_clock) = clocks();
    let first = start(config(&clock, &path)).await;
    fs::remove_file(folder.path("default.lock")).unwrap();
    let second = start(config(&other_clock, &path)).await;
    assert!(!stands_by(&second));

    soon(|| stands_by(&first)).await;

    second.stop().await.unwrap();
    soon(|| !stands_by(&first)).await;
}

#[tokio::test]
async fn each_store_has_a_lock_of_its_own() {
    let folder = Folder::new("stores");
    let path = folder.path("app_{store}.lock");
    let clock = TestClock::at(NOON);
    let scheduler = start(config(&clock, &path).store("a/b", MemoryStore::new())).await;
    scheduler.add_store("later", MemoryStore::new()).await.unwrap();
    assert_eq!(folder.names(), ["app_a_b.lock", "app_default.lock", "app_later.lock"]);

    let other = start(AsynczConfig::new().without_registry().lock_path(&path)).await;
    let standing = |scheduler: &Scheduler| {
        let stores = scheduler.info().stores.into_iter();
        stores.map(|store| (store.alias.to_string(), store.stands_by)).collect::<Vec<_>>()
    };
    assert_eq!(standing(&other), [("default".to_owned(), true)]);
    other.add_store("later", MemoryStore::new()).await.unwrap();
    assert_eq!(standing(&other), [("default".to_owned(), true), ("later".to_owned(), true)]);
    scheduler.remove_store("later").await.unwrap();
    soon(|| standing(&other)[1] == ("later".to_owned(), false)).await;
}

#[tokio::test]
async fn two_stores_need_the_store_in_the_path() {
    let folder = Folder::new("two");
    let clock = TestClock::at(NOON);
    let two = config(&clock, &folder.path("lock")).store("other", MemoryStore::new());
    let error = two.scheduler().start().await.unwrap_err();
    assert!(matches!(error, Error::Start { .. }), "{error:?}");
    assert!(error.to_string().contains("(default, other)"), "{error}");
    assert!(error.to_string().contains("write `{store}` in the path"), "{error}");

    let one = start(config(&clock, &folder.path("lock"))).await;
    let error = one.add_store("other", MemoryStore::new()).await.unwrap_err();
    assert!(error.to_string().contains("`other`"), "{error}");
}

#[tokio::test]
async fn a_lock_file_that_can_t_be_opened_is_told_at_start() {
    let folder = Folder::new("nowhere");
    let clock = TestClock::at(NOON);
    let path = folder.path("there/is/no/{store}.lock");
    let error = config(&clock, &path).scheduler().start().await.unwrap_err();
    assert!(matches!(error, Error::Lock { .. }), "{error:?}");
    assert!(error.to_string().contains("there/is/no/default.lock"), "{error}");
}

#[tokio::test]
async fn the_numbers_of_processes_are_written_as_asked_for() {
    let folder = Folder::new("numbers");
    let parent = std::os::unix::process::parent_id();
    let clock = TestClock::at(NOON);
    let path = folder.path("{{x}}-{ppid}-{ppid:x}-{ppid:#010X}-{ppid:010d}-{pgrp:b}");
    let scheduler = start(config(&clock, &path)).await;
    let expected = format!("{{x}}-{parent}-{parent:x}-0X{parent:08X}-{parent:010}-");
    let names = folder.names();
    let group = names[0].strip_prefix(&expected).unwrap_or_else(|| panic!("{names:?}"));
    assert!(i32::from_str_radix(group, 2).is_ok_and(|group| group > 0), "{names:?}");
    scheduler.stop().await.unwrap();
    // It stays: a lock on a file that is removed holds nobody back.
    assert_eq!(folder.names(), names);
}

#[tokio::test]
async fn a_wrong_path_says_what_to_write() {
    for (path, says) in [
        ("/tmp/{stroe}.lock", "there is no `{stroe}`: write `{store}`, `{ppid}` or `{pgrp}`"),
        ("/tmp/{store:x}.lock", "`{store:x}`: write `{store}`, it has no format"),
        ("/tmp/{ppid:q}", "number format `q`: write one such as `x`, `#x` or `08d`"),
        ("/tmp/{ppid:>8}", "number format `>8`: write one such as `x`, `#x` or `08d`"),
        ("/tmp/{ppid:99999999999d}", "number format `99999999999d`: write one such as `x`, `#x` or `08d`"),
        ("/tmp/{store", "a brace without the other: write `{{` or `}}` for one that stays"),
        ("/tmp/store}", "a brace without the other: write `{{` or `}}` for one that stays"),
    ] {
        let scheduler = AsynczConfig::new().without_registry().lock_path(path).scheduler();
        let error = scheduler.start().await.unwrap_err().to_string();
        assert!(error.contains(&format!("lock_path `{path}`: {says}")), "{error}");
        let error = scheduler.setup([("asyncz.lock_path", path)]).await.unwrap_err().to_string();
        assert!(error.contains(&format!("asyncz.lock_path `{path}`: {says}")), "{error}");
    }
}

#[tokio::test]
async fn with_a_lock_path_the_first_second_decides_nothing() {
    let folder = Folder::new("delay");
    let path = folder.path("{store}.lock");
    let first_run = async |config: AsynczConfig, clock: &TestClock| {
        let task =
            Task::from_fn("nothing", nothing).id("now").at(NOON.parse::<chrono::DateTime<_>>().unwrap());
        let scheduler = config.scheduler();
        scheduler.add_task(task).await.unwrap();
        scheduler.start().await.unwrap();
        clock.advance(seconds(5)).await;
        let runs = scheduler.runs(RunFilter::new().task("now").status(RunStatus::Succeeded)).await.unwrap();
        scheduler.stop().await.unwrap();
        runs[0].started_at.map(after_noon)
    };
    let clock = TestClock::at(NOON);
    assert_eq!(first_run(config(&clock, &path), &clock).await, Some(1));
    let clock = TestClock::at(NOON);
    assert_eq!(first_run(config(&clock, &path).startup_delay(seconds(3)), &clock).await, Some(3));
    let clock = TestClock::at(NOON);
    assert_eq!(first_run(config(&clock, &path).startup_delay(seconds(0)), &clock).await, Some(0));
}
