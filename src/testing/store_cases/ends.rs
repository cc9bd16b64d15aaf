//! Ends of runs: written once, by the scheduler that has the run, with what comes then.

use chrono::TimeDelta;

use super::run;
use super::tested::{claim, end, end_of, retry, task, waiting_of};
use crate::stores::{Finish, FinishOutcome, Then};
use crate::{RunStatus, Store, TaskId, Waiting};

/// The end of a run is written once: asked again, whatever it says then, it changes nothing.
pub fn an_end_is_written_once<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let by = tested.node().await;
        tested.add_due("task").await;
        let runs = tested.run_of(by, "task").await;
        let ended = end(&runs, RunStatus::Succeeded, Then::Over);
        let outcome = tested.finish_one(by, &ended).await;
        assert_eq!(outcome, FinishOutcome::default(), "it is written, and that is all");
        let mut entry = runs.entry(by, &runs.decisions[0]);
        ended.end.write(&mut entry);
        assert_eq!(tested.run(ended.run).await, entry, "the entry has its end");
        let schedule = tested.task("task").await.schedule;
        assert_eq!(schedule, runs.schedule.with_run_ended(), "it goes on no longer");
        let before = tested.state("task").await;
        for again in [&ended, &end(&runs, RunStatus::Failed, Then::Over)] {
            assert!(!tested.finish_one(by, again).await.refused, "it is still the scheduler's own");
            assert_eq!(tested.state("task").await, before, "asked again it changes nothing");
        }
    });
}

/// An end whose answer was lost says again whether the run is tried again, and makes no second retry.
pub fn an_end_asked_again_says_the_same<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let by = tested.node().await;
        tested.add_due("task").await;
        let runs = tested.run_of(by, "task").await;
        let failed = end(&runs, RunStatus::Failed, Then::Retry(retry(&runs)));
        assert!(tested.finish_one(by, &failed).await.retried, "it is tried again");
        let before = tested.state("task").await;
        let again = tested.finish_one(by, &failed).await;
        assert_eq!((again.refused, again.retried), (false, true), "it says the same again");
        assert_eq!(tested.state("task").await, before, "asked again it changes nothing");
        // So with what is handed on.
        tested.add_due("other").await;
        let runs = tested.run_of(by, "other").await;
        let stopped = end(&runs, RunStatus::Cancelled, Then::HandOn(retry(&runs)));
        let outcome = tested.finish_one(by, &stopped).await;
        assert_eq!((outcome.refused, outcome.retried), (false, false), "somebody else tries it again");
        let before = tested.state("other").await;
        let again = tested.finish_one(by, &stopped).await;
        assert_eq!((again.refused, again.retried), (false, false), "it says the same again");
        assert_eq!(tested.state("other").await, before, "asked again it changes nothing");
    });
}

/// The run that tries a failed one again stands in its place among the running ones, and is the same scheduler's.
pub fn a_retry_takes_its_runs_place<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let by = tested.node().await;
        tested.add_due("task").await;
        let runs = tested.run_of(by, "task").await;
        let again = retry(&runs);
        let failed = end(&runs, RunStatus::Failed, Then::Retry(again));
        tested.finish_one(by, &failed).await;
        let schedule = tested.task("task").await.schedule;
        assert_eq!(schedule, runs.schedule.with_run_retried(), "one run goes on as before");
        assert_eq!(tested.run(failed.run).await.status, RunStatus::Failed, "the first has ended");
        let entry = tested.run(again.run).await;
        assert_eq!(entry, failed.entry(by, &again, RunStatus::Claimed), "the next has its entry");
        let mut last = end(&runs, RunStatus::Succeeded, Then::Over);
        (last.run, last.occurrence) = (again.run, again.occurrence);
        assert!(!tested.finish_one(by, &last).await.refused, "the next is the scheduler's own");
        assert_eq!(tested.task("task").await.schedule.running, 0, "none goes on any more");
    });
}

/// What is handed on waits before all others, for any scheduler, and its place is free.
pub fn what_is_handed_on_waits_first<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let by = tested.node().await;
        let known = tested.add_due("task").await;
        let runs = claim(&known, &[RunStatus::Claimed, RunStatus::Queued], tested.now().await);
        tested.win(by, &runs).await;
        assert!(!tested.due().await.contains(&TaskId::from("task")), "there is no room for what waits");
        let again = retry(&runs);
        let stopped = end(&runs, RunStatus::Cancelled, Then::HandOn(again));
        assert!(tested.finish_one(by, &stopped).await.makes_room, "something waits for its place");
        let written = tested.task("task").await;
        let first = Waiting { run: again.run, occurrence: again.occurrence, starts_at: again.starts_at };
        assert_eq!(written.waiting, [first, waiting_of(&runs.decisions[1])], "it waits first");
        assert_eq!(written.schedule, runs.schedule.with_run_ended(), "its place is free");
        let entry = tested.run(again.run).await;
        assert_eq!(entry, stopped.entry(by, &again, RunStatus::Queued), "it is queued, and nobody's");
        assert!(tested.due().await.contains(&TaskId::from("task")), "it is for anybody to let in");
    });
}

/// An end says that it makes room where another occurrence waits for its place, and only then.
pub fn an_end_makes_room_for_what_waits<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let by = tested.node().await;
        let known = tested.add_due("task").await;
        let runs = claim(&known, &[RunStatus::Claimed, RunStatus::Queued], tested.now().await);
        tested.win(by, &runs).await;
        let failed = end(&runs, RunStatus::Failed, Then::Retry(retry(&runs)));
        let outcome = tested.finish_one(by, &failed).await;
        assert_eq!((outcome.retried, outcome.makes_room), (true, false), "the retry takes the place");
        let Then::Retry(again) = failed.then else { unreachable!("it was made so") };
        let mut last = end(&runs, RunStatus::Succeeded, Then::Over);
        (last.run, last.occurrence) = (again.run, again.occurrence);
        assert!(tested.finish_one(by, &last).await.makes_room, "its place is free");
    });
}

/// A task that is over with its last run is removed, and its history stays.
pub fn the_last_end_removes_a_task_that_is_over<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let by = tested.node().await;
        let known = tested.add_due("task").await;
        let mut runs = claim(&known, &[RunStatus::Claimed, RunStatus::Claimed], tested.now().await);
        (runs.schedule.ended, runs.schedule.next_run_time) = (true, None);
        tested.win(by, &runs).await;
        let first = end(&runs, RunStatus::Succeeded, Then::Over);
        assert!(!tested.finish_one(by, &first).await.removed, "one run goes on");
        assert_eq!(tested.task("task").await.schedule.running, 1, "one run goes on");
        let last = end_of(&runs, &runs.decisions[1], RunStatus::Succeeded, Then::Over);
        assert!(tested.finish_one(by, &last).await.removed, "nothing is left to do");
        assert!(tested.find("task").await.is_none(), "it is removed");
        let statuses: Vec<_> = tested.runs_of("task").await.into_iter().map(|run| run.status).collect();
        assert_eq!(statuses, [RunStatus::Succeeded; 2], "its history stays");
        assert!(!tested.finish_one(by, &last).await.refused, "asked again it is still the scheduler's own");
    });
}

/// A run of a deleted task ends as usual, is not tried again, and leaves a successor of its id alone.
pub fn a_deleted_tasks_run_ends_as_usual<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let by = tested.node().await;
        for (id, has_successor) in [("gone", false), ("anew", true)] {
            tested.add_due(id).await;
            let runs = tested.run_of(by, id).await;
            tested.delete(id).await;
            if has_successor {
                let mut successor = task(id, tested.now().await);
                (successor.schedule.version, successor.schedule.running) = (5_000_000, 1);
                tested.add([successor]).await;
            }
            let before = tested.find(id).await.map(|task| (task.schedule, task.waiting));
            let failed = end(&runs, RunStatus::Failed, Then::Retry(retry(&runs)));
            let outcome = tested.finish_one(by, &failed).await;
            assert_eq!(outcome, FinishOutcome::default(), "it is written, and nothing comes then");
            assert_eq!(tested.run(failed.run).await.status, RunStatus::Failed, "its end is written");
            assert_eq!(tested.runs_of(id).await.len(), 1, "it is not tried again");
            let after = tested.find(id).await.map(|task| (task.schedule, task.waiting));
            assert_eq!(after, before, "its successor is left alone");
        }
    });
}

/// Only the scheduler that has a run writes its end: that of any other is refused, and changes nothing.
pub fn only_its_scheduler_ends_a_run<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let (by, other) = (tested.node().await, tested.node().await);
        tested.add_due("task").await;
        let runs = tested.run_of(by, "task").await;
        let before = tested.state("task").await;
        for then in [Then::Over, Then::Retry(retry(&runs)), Then::HandOn(retry(&runs))] {
            let outcome = tested.finish_one(other, &end(&runs, RunStatus::Succeeded, then)).await;
            assert!(outcome.refused && !outcome.retried, "the run is another's: {outcome:?}");
            assert_eq!(tested.state("task").await, before, "what is refused changes nothing");
        }
        let ended = end(&runs, RunStatus::Failed, Then::Over);
        assert!(!tested.finish_one(by, &ended).await.refused, "its own scheduler ends it");
        let late = tested.finish_one(other, &end(&runs, RunStatus::Succeeded, Then::Over)).await;
        assert!(late.refused, "nor does another write it later");
        assert_eq!(tested.run(ended.run).await.status, RunStatus::Failed, "it stays as it was written");
    });
}

/// Many ends are written in a call, several of one task among them, and each outcome stands at its end's place.
pub fn ends_are_batched<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let (by, other, now) = (tested.node().await, tested.node().await, tested.now().await);
        let due = now - TimeDelta::seconds(10);
        tested.add((0..100).map(|n| task(&format!("task-{n:03}"), due))).await;
        let ids: Vec<_> = (0..100).map(|n| TaskId::from(format!("task-{n:03}"))).collect();
        let tasks = tested.load(&ids).await.into_iter().flatten();
        let claims: Vec<_> = tasks.map(|task| claim(&task, &[RunStatus::Claimed; 2], now)).collect();
        for (n, claim) in claims.iter().enumerate() {
            // Each third is another's.
            tested.win(if n % 3 == 0 { other } else { by }, claim).await;
        }
        let first: Vec<_> = claims.iter().map(|claim| end(claim, RunStatus::Succeeded, Then::Over)).collect();
        let second: Vec<_> = claims
            .iter()
            .map(|claim| end_of(claim, &claim.decisions[1], RunStatus::Failed, Then::Retry(retry(claim))))
            .collect();
        let ends: Vec<Finish> = first.into_iter().chain(second).collect();
        let outcomes = tested.finish(by, &ends).await;
        for (n, outcome) in outcomes.iter().enumerate() {
            let (refused, retried) = (n % 100 % 3 == 0, n % 100 % 3 != 0 && n >= 100);
            assert_eq!((outcome.refused, outcome.retried), (refused, retried), "end {n} has its own outcome");
        }
        for (n, task) in tested.load(&ids).await.into_iter().enumerate() {
            let schedule = task.map(|task| task.schedule);
            let (before, ours) = (claims[n].schedule, n % 3 != 0);
            let after = if ours { before.with_run_ended().with_run_retried() } else { before };
            assert_eq!(schedule, Some(after), "what is written of {n} is as its outcomes say");
        }
    });
}

/// Ends that are written at the same time are all counted.
pub fn ends_at_the_same_time_are_all_counted<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let by = tested.node().await;
        let runs = claim(&tested.add_due("task").await, &[RunStatus::Claimed; 16], tested.now().await);
        tested.win(by, &runs).await;
        let mut racers = Vec::new();
        for decision in runs.decisions.iter().take(15) {
            let (tested, ended) = (tested.clone(), end_of(&runs, decision, RunStatus::Succeeded, Then::Over));
            racers.push(tokio::spawn(async move { tested.finish_one(by, &ended).await.refused }));
        }
        for racer in racers {
            assert!(!racer.await.expect("no racer panics"), "each end is written");
        }
        let schedule = tested.task("task").await.schedule;
        assert_eq!(schedule.running, 1, "each end is counted, once");
        assert_eq!(schedule.version, runs.schedule.version + 15, "each end makes the version one more");
        let left = tested.runs_of("task").await.into_iter().filter(|run| !run.status.is_final()).count();
        assert_eq!(left, 1, "each end is written");
    });
}
