//! Edits: tasks are added once, replaced by version, and deleted but for their history.

use chrono::TimeDelta;

use super::run;
use super::tested::{Tested, claim, ids, task};
use crate::stores::{Edit, EditOutcome, Query};
use crate::{RunStatus, Store, TaskId};

/// An id is taken once: of any number who add it at the same time one does.
pub fn an_id_is_taken_once<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let due = tested.now().await;
        let added = race(tested, 8, move |n| {
            let mut one = task("task", due + TimeDelta::minutes(n as i64));
            one.schedule.version += n as u64;
            Edit::Insert(one)
        })
        .await;
        let done: Vec<_> = (0..8).filter(|n| added[*n] == EditOutcome::Done).collect();
        assert_eq!(done.len(), 1, "one adds it: {added:?}");
        assert_eq!(added.iter().filter(|outcome| **outcome == EditOutcome::Conflict).count(), 7, "{added:?}");
        let due = Some(due + TimeDelta::minutes(done[0] as i64));
        assert_eq!(tested.task("task").await.schedule.next_run_time, due, "it is the winner's");
    });
}

/// An edit is done only where nobody has changed the task since it was read: of any number at the same time one is.
pub fn an_edit_from_an_older_version_conflicts<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let read = tested.add_due("task").await;
        let edited = move |n: usize| {
            let mut edited = read.clone();
            edited.schedule.version += 1;
            edited.schedule.generation = n as u32;
            Edit::Replace(edited)
        };
        let outcomes = race(tested, 8, edited.clone()).await;
        let done: Vec<_> = (0..8).filter(|n| outcomes[*n] == EditOutcome::Done).collect();
        assert_eq!(done.len(), 1, "one is done: {outcomes:?}");
        assert_eq!(
            outcomes.iter().filter(|outcome| **outcome == EditOutcome::Conflict).count(),
            7,
            "{outcomes:?}"
        );
        assert_eq!(tested.task("task").await.schedule.generation, done[0] as u32, "it is the winner's");
        // A claim changes it, too.
        let known = tested.task("task").await;
        tested.win(tested.node().await, &claim(&known, &[RunStatus::Claimed], tested.now().await)).await;
        let before = tested.state("task").await;
        let mut late = known;
        late.schedule.version += 1;
        assert_eq!(
            tested.edit(&[Edit::Replace(late)]).await,
            [EditOutcome::Conflict],
            "it was claimed meanwhile"
        );
        assert_eq!(tested.state("task").await, before, "nothing is written");
    });
}

/// Edits at the same time, each on a task of its own.
async fn race(
    tested: &Tested,
    racers: usize,
    edit: impl Fn(usize) -> Edit + Clone + Send + 'static,
) -> Vec<EditOutcome> {
    let race = |n| {
        let (tested, edit) = (tested.clone(), edit.clone());
        tokio::spawn(async move { tested.edit(&[edit(n)]).await[0] })
    };
    let racers: Vec<_> = (0..racers).map(race).collect();
    let mut outcomes = Vec::new();
    for racer in racers {
        outcomes.push(racer.await.expect("no racer panics"));
    }
    outcomes
}

/// A deleted task is gone whatever its version; its history stays, what waits never runs, and what runs goes on.
pub fn a_deletion_keeps_the_history<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let (by, now) = (tested.node().await, tested.now().await);
        let statuses = [RunStatus::Missed, RunStatus::Claimed, RunStatus::Queued];
        let claim = claim(&tested.add_due("task").await, &statuses, now);
        tested.win(by, &claim).await;
        tested.delete("task").await;
        assert!(tested.find("task").await.is_none(), "it is gone");
        assert_eq!(tested.due().await, [] as [&str; 0], "it is due no more");
        assert_eq!(tested.runs_of("task").await.len(), 3, "its history stays");
        let [missed, claimed, queued] = [0, 1, 2].map(|n| claim.decisions[n].run);
        assert_eq!(tested.run(missed).await.status, RunStatus::Missed);
        assert_eq!(tested.run(claimed).await.status, RunStatus::Claimed, "what runs goes on");
        let queued = tested.run(queued).await;
        assert_eq!(queued.status, RunStatus::Cancelled, "what waits never runs");
        assert!(queued.error.is_some(), "and says why");
        assert_eq!(tested.edit(&[Edit::Delete("task".into())]).await, [EditOutcome::NotFound], "it is gone");
        let anew = task("task", now);
        assert_eq!(tested.edit(&[Edit::Insert(anew)]).await, [EditOutcome::Done], "its id is free");
    });
}

/// Many edits of all kinds are made in a call, and each outcome stands at its edit's place.
pub fn edits_are_batched<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let due = tested.now().await + TimeDelta::hours(1);
        tested.add((0..100).map(|n| task(&format!("old-{n:02}"), due))).await;
        let (mut edits, mut expected) = (Vec::new(), Vec::new());
        for n in 0..100 {
            let old = format!("old-{n:02}");
            let mut replacement = task(&old, due + TimeDelta::minutes(1));
            replacement.schedule.version += 1 + u64::from(n % 5 == 4);
            let (edit, outcome) = match n % 5 {
                0 => (Edit::Delete(old.into()), EditOutcome::Done),
                1 => (Edit::Insert(task(&old, due)), EditOutcome::Conflict),
                2 => (Edit::Delete(format!("new-{n}").into()), EditOutcome::NotFound),
                3 => (Edit::Replace(replacement), EditOutcome::Done),
                _ => (Edit::Replace(replacement), EditOutcome::Conflict),
            };
            edits.extend([edit, Edit::Insert(task(&format!("also-new-{n}"), due))]);
            expected.extend([outcome, EditOutcome::Done]);
        }
        let mut none = task("no such task", due);
        none.schedule.version += 1;
        edits.push(Edit::Replace(none));
        expected.push(EditOutcome::NotFound);
        assert_eq!(tested.edit(&edits).await, expected, "each has its own outcome");
        assert_eq!(tested.store.count().await.expect("it counts"), 180, "each is done as its outcome says");
        let moved = tested.task("old-03").await.schedule;
        assert_eq!(moved.next_run_time, Some(due + TimeDelta::minutes(1)), "it is replaced");
        assert_eq!(tested.task("old-04").await.schedule.next_run_time, Some(due), "it is not");
    });
}

/// Tasks are loaded in the order in which they are asked for, all of them come in the order of ids, and are counted.
pub fn tasks_come_in_order<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let due = tested.now().await;
        assert_eq!(tested.store.count().await.expect("it counts"), 0, "the expression gives an empty store");
        tested.add(["b", "é", "B", "a", "10", "9", "ab"].map(|id| task(id, due))).await;
        let all = tested.query(Query::All).await.tasks;
        assert_eq!(ids(&all), ["10", "9", "B", "a", "ab", "b", "é"], "in the order of ids");
        let asked = ["ab", "none", "9", "b"].map(TaskId::from);
        let found = tested.load(&asked).await;
        let found: Vec<_> = found.iter().map(|task| task.as_ref().map(|task| task.id().as_str())).collect();
        assert_eq!(found, [Some("ab"), None, Some("9"), Some("b")], "each at its place");
        assert_eq!(tested.store.count().await.expect("it counts"), 7, "all are counted");
        tested.delete("é").await;
        assert_eq!(tested.store.count().await.expect("it counts"), 6, "what is deleted is not");
    });
}
