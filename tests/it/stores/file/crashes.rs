//! A process dies at any place of what it writes.

use std::fs;

use super::{Directory, every_ten_seconds};
use crate::scheduler::{ninety_seconds, seconds};
use asyncz::{Overlap, Scheduler, Store, Task};

/// A directory whose scheduler has added, run, replaced and deleted tasks, and has not been stopped.
async fn lived_in(directory: &Directory) -> Scheduler {
    let (clock, scheduler) = directory.started().await;
    for id in ["a", "b", "gone"] {
        scheduler.add_task(every_ten_seconds(id)).await.unwrap();
    }
    let long = Task::from_fn("long", ninety_seconds).id("long").every(seconds(20)).overlap(Overlap::Queue);
    scheduler.add_task(long).await.unwrap();
    clock.advance(seconds(25)).await;
    scheduler.delete_task("gone").await.unwrap();
    scheduler.pause_task("b").await.unwrap();
    clock.advance(seconds(20)).await;
    scheduler
}

/// The places behind the lines of a text, the first of which is at its beginning.
fn ends_of_lines(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_is_taken_as_a_whole_or_not_at_all() {
    let directory = Directory::new();
    let _scheduler = lived_in(&directory).await;
    let journal = directory.text("journal");
    let ends = ends_of_lines(&journal);
    assert!(ends.len() > 12, "there are steps: {journal}");
    let mut seen = Vec::new();
    for end in &ends[1..] {
        let copy = directory.copy();
        copy.write("journal", &journal[..*end]);
        seen.push(copy.seen().await);
    }
    seen.dedup();
    assert!(seen.len() > 8, "each step shows, but for those of schedulers alone");

    for cut in (ends[1]..journal.len()).step_by(61) {
        let copy = directory.copy();
        let whole = ends.iter().rev().find(|end| **end <= cut).unwrap();
        copy.write("journal", &journal[..*whole]);
        let before = copy.seen().await;
        copy.write("journal", &journal[..cut]);

        assert_eq!(copy.seen().await, before, "cut off at {cut}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_after_a_step_that_was_cut_off_is_kept() {
    let directory = Directory::new();
    let _scheduler = lived_in(&directory).await;
    let cut = directory.copy();
    let journal = directory.text("journal");
    cut.write("journal", format!("{journal}0123456789abcdef [{{\"task\":"));

    let (_, next) = cut.started().await;
    next.add_task(every_ten_seconds("new")).await.unwrap();

    let after = cut.text("journal");
    assert!(after.starts_with(&journal) && !after.contains("0123456789abcdef ["), "{after}");
    assert!(cut.seen().await.contains("\"new\""));
    assert!(!cut.path("journal.damaged").exists(), "it was never a step");
    next.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_which_only_some_are_written_say_the_same_with_the_journal() {
    let directory = Directory::new();
    let _scheduler = lived_in(&directory).await;
    let before = directory.copy();
    let seen = before.seen().await;
    // A store that comes and goes brings the files up to date.
    let written = directory.copy();
    let store = written.store();
    store.start().await.unwrap();
    store.shutdown().await.unwrap();
    assert_eq!(written.seen().await, seen, "the files say what the journal said");
    let files = written.files();
    assert!(files.len() > 7 && written.text("journal").lines().count() == 1, "{files:?}");
    let files: Vec<_> = files.into_iter().filter(|file| !file.ends_with("journal")).collect();

    for order in [files.clone(), files.into_iter().rev().collect()] {
        let half = before.copy();
        for file in order {
            fs::create_dir_all(half.path(&file).parent().unwrap()).unwrap();
            // As it may be after a power cut where its directory was not synced, and then as it should be.
            half.write(&file, "");
            if !file.ends_with("store.json") {
                assert_eq!(half.seen().await, seen, "{} is empty", file.display());
            }
            half.write(&file, fs::read(written.path(&file)).unwrap());
            assert_eq!(half.seen().await, seen, "{} is written", file.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_a_power_cut_has_taken_are_in_the_journals() {
    let directory = Directory::new();
    let (clock, scheduler) = directory.started().await;
    for id in ["a", "b"] {
        scheduler.add_task(every_ten_seconds(id)).await.unwrap();
    }
    // Twice the files are written while all goes on, and are not synced.
    clock.advance(seconds(150)).await;
    let cut = directory.copy();
    let seen = cut.seen().await;
    assert!(cut.path("journal.before").exists() && cut.text("tasks/a.json").contains("12:0"));
    let files = ["tasks/a.json", "tasks/b.json", "runs/a.jsonl", "runs/b.jsonl"];

    let mut half = Vec::new();
    for file in files {
        let whole = cut.text(file);
        // Of a history that was appended to the end alone.
        let kept = if file.starts_with("runs") { whole.len() - 20 } else { whole.len() / 2 };
        cut.write(file, &whole[..kept]);
        assert_eq!(cut.seen().await, seen, "half of {file}");
        half.push((file, whole[..kept].to_owned()));
    }
    for (file, _) in &half[..2] {
        cut.write(file, "");
        assert_eq!(cut.seen().await, seen, "nothing of {file}");
    }
    for (file, text) in half {
        cut.write(file, text);
    }
    // With a journal that was begun just before it, too.
    let begun = cut.copy();
    let journal = cut.text("journal");
    begun.write("journal", &journal[..=journal.find('\n').unwrap()]);
    for (cut, seen) in [(&begun, begun.seen().await), (&cut, seen)] {
        let store = cut.store();
        store.start().await.unwrap();
        store.shutdown().await.unwrap();
        assert!(!cut.path("journal.before").exists(), "the files are whole again, and on the disk");
        assert_eq!(cut.seen().await, seen);
    }
    scheduler.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_line_of_a_history_takes_no_other_with_it() {
    let directory = Directory::new();
    let (clock, scheduler) = directory.started().await;
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    clock.advance(seconds(70)).await;
    // Another process dies while it writes there.
    let half = format!("{}{{\"run\":{{\"n\":", directory.text("runs/t.jsonl"));
    directory.write("runs/t.jsonl", half);

    clock.advance(seconds(70)).await;
    scheduler.stop().await.unwrap();

    let runs = directory.store().runs(&asyncz::RunFilter::new()).await.unwrap();
    assert_eq!(runs.len(), 14);
    assert!(!directory.path("runs/t.unreadable").exists() && !directory.path("journal.before").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_journal_is_set_aside_and_what_stands_before_is_kept() {
    let directory = Directory::new();
    let _scheduler = lived_in(&directory).await;
    let (copy, until) = (directory.copy(), directory.copy());
    let journal = directory.text("journal");
    let ends = ends_of_lines(&journal);
    let third = ends[ends.len() - 3];
    until.write("journal", &journal[..third]);
    copy.write("journal", format!("{}#{}", &journal[..third], &journal[third + 1..]));

    assert_eq!(copy.seen().await, until.seen().await);
    let (_, next) = copy.started().await;
    next.add_task(every_ten_seconds("new")).await.unwrap();

    assert!(copy.text("journal.damaged").ends_with(&journal[third + 1..]), "nothing is thrown away");
    assert!(copy.seen().await.contains("\"new\""));
    next.stop().await.unwrap();
}
