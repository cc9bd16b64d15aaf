//! What becomes of runs whose schedulers are gone. A store that gives no leases keeps these promises as it is.

use chrono::{DateTime, TimeDelta, Utc};

use super::leases::lapsed_tasks;
use super::run;
use super::tested::{LONG, Tested, WON, claim, end, retry, task};
use crate::stores::{Claim, ClaimOutcome, Edit, EditOutcome, LapsedRun, Node, Then};
use crate::{RunStatus, Store};

/// A scheduler has claimed a run of `task` and left, and another has found that.
struct Left {
    holder: Node,
    other: Node,
    runs: Claim,
    lapsed: Vec<LapsedRun>,
}

/// Runs a case that begins so, where the store gives leases.
fn run_left<S: Store>(new: impl AsyncFnOnce() -> S, case: impl AsyncFnOnce(&Tested, Left) + Send + 'static) {
    run(new, async move |tested: &Tested| {
        if !tested.has_leases() {
            return;
        }
        let (holder, other) = (tested.holder(LONG).await, tested.holder(LONG).await);
        let runs = tested.run_at(&holder, "task").await;
        tested.leave(&holder).await;
        let lapsed = tested.beat(&other, LONG).await.lapsed;
        assert_eq!(lapsed_tasks(&lapsed), ["task"], "what it has left is found at once");
        case(tested, Left { holder, other, runs, lapsed }).await;
    });
}

/// Takes a lapsed run over: it is lost, and its next attempt is claimed in its place.
fn takeover(lapsed: &LapsedRun, now: DateTime<Utc>) -> Claim {
    let LapsedRun { task, run, .. } = lapsed;
    let mut takeover = claim(task, &[RunStatus::Lost, RunStatus::Claimed], now);
    takeover.schedule = task.schedule.with_run_retried();
    takeover.decisions[0].run = run.id;
    for decision in &mut takeover.decisions {
        decision.occurrence = run.occurrence;
    }
    takeover.decisions[1].occurrence.attempt += 1;
    takeover.taken_from = run.node;
    takeover
}

/// Runs of a scheduler that has left are found at once, and taken over; their entries keep what they said.
pub fn what_was_left_is_taken_over_at_once<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        if !tested.has_leases() {
            return;
        }
        let (holder, other) = (tested.holder(LONG).await, tested.holder(LONG).await);
        let mut runs = claim(&tested.add_due("task").await, &[RunStatus::Claimed], tested.now().await);
        runs.decisions[0].starts_at = Some(runs.decided_at + TimeDelta::milliseconds(1));
        tested.win(holder.id, &runs).await;
        tested.leave(&holder).await;
        let lapsed = tested.beat(&other, LONG).await.lapsed;
        assert_eq!(lapsed_tasks(&lapsed), ["task"], "what it has left is found at once");
        let takeover = takeover(&lapsed[0], tested.now().await);
        tested.win(other.id, &takeover).await;
        let mut lost = runs.entry(holder.id, &runs.decisions[0]);
        takeover.write_loss(other.id, &takeover.decisions[0], &mut lost);
        assert_eq!(tested.run(runs.decisions[0].run).await, lost, "a loss keeps what the entry said before");
        let again = &takeover.decisions[1];
        assert_eq!(
            tested.run(again.run).await,
            takeover.entry(other.id, again),
            "the next attempt is its own"
        );
        assert_eq!(tested.task("task").await.schedule, takeover.schedule, "one run goes on");
        let lapsed = tested.beat(&other, LONG).await.lapsed;
        assert_eq!(lapsed_tasks(&lapsed), [] as [&str; 0], "it is taken over once");
        let mut last = end(&takeover, RunStatus::Succeeded, Then::Over);
        (last.run, last.occurrence) = (again.run, again.occurrence);
        assert!(!tested.finish_one(other.id, &last).await.refused, "the next attempt is its own");
        assert_eq!(tested.task("task").await.schedule.running, 0, "none goes on any more");
    });
}

/// Of many who take a run over at the same time one does.
pub fn a_run_is_taken_over_once<S: Store>(new: impl AsyncFnOnce() -> S) {
    run_left(new, async |tested, _| {
        let mut takeovers = Vec::new();
        for _ in 0..6 {
            let other = tested.holder(LONG).await;
            let lapsed = tested.beat(&other, LONG).await.lapsed;
            assert_eq!(lapsed_tasks(&lapsed), ["task"], "each finds it");
            takeovers.push((other.id, takeover(&lapsed[0], tested.now().await)));
        }
        let race = |(by, takeover)| {
            let tested = tested.clone();
            tokio::spawn(async move { tested.claim(by, &[takeover]).await[0] })
        };
        let racers: Vec<_> = takeovers.into_iter().map(race).collect();
        let mut outcomes = Vec::new();
        for racer in racers {
            outcomes.push(racer.await.expect("no racer panics"));
        }
        assert_eq!(
            outcomes.iter().filter(|outcome| **outcome == WON).count(),
            1,
            "one takes it: {outcomes:?}"
        );
        let runs = tested.runs_of("task").await;
        assert_eq!(runs.len(), 2, "one run takes its place: {runs:?}");
    });
}

/// A run is taken over with the task that it was found with: where that has changed meanwhile nothing is written, and the run is
/// found again.
pub fn a_run_is_taken_over_with_its_task_as_it_was_found<S: Store>(new: impl AsyncFnOnce() -> S) {
    run_left(new, async |tested, Left { other, lapsed, .. }| {
        let early = takeover(&lapsed[0], tested.now().await);
        let mut changed = tested.task("task").await;
        changed.schedule.version += 1;
        changed.schedule.paused = true;
        assert_eq!(tested.edit(&[Edit::Replace(changed)]).await, [EditOutcome::Done]);
        let before = tested.state("task").await;
        assert_eq!(tested.claim(other.id, &[early]).await, [ClaimOutcome::Lost], "its task has changed");
        assert_eq!(tested.state("task").await, before, "nothing is written");
        let lapsed = tested.beat(&other, LONG).await.lapsed;
        assert_eq!(lapsed_tasks(&lapsed), ["task"], "it is found again");
        let task = &lapsed[0].task;
        assert!(task.schedule.paused, "with its task as it is now");
        tested.win(other.id, &takeover(&lapsed[0], tested.now().await)).await;
    });
}

/// A run whose task was deleted meanwhile is not taken over into another of its id.
pub fn a_run_is_not_taken_over_into_another_task<S: Store>(new: impl AsyncFnOnce() -> S) {
    run_left(new, async |tested, Left { other, runs, lapsed, .. }| {
        let late = takeover(&lapsed[0], tested.now().await);
        tested.delete("task").await;
        let mut successor = task("task", tested.now().await - TimeDelta::seconds(10));
        successor.schedule.version = 5_000_000;
        tested.add([successor]).await;
        let before = tested.task("task").await.schedule;
        assert_eq!(tested.claim(other.id, &[late]).await, [ClaimOutcome::Lost], "its task is gone");
        assert_eq!(tested.task("task").await.schedule, before, "its successor is left alone");
        let known = tested.runs_of("task").await;
        assert!(known.iter().all(|run| run.id == runs.decisions[0].run), "nothing runs: {known:?}");
    });
}

/// Nothing is taken from a scheduler whose lease is held after all, and nothing is written.
pub fn nothing_is_taken_from_a_held_lease<S: Store>(new: impl AsyncFnOnce() -> S) {
    run_left(new, async |tested, Left { holder, other, lapsed, .. }| {
        let takeover = takeover(&lapsed[0], tested.now().await);
        // It was only slow.
        tested.beat(&holder, LONG).await;
        let before = tested.state("task").await;
        assert_eq!(tested.claim(other.id, &[takeover]).await, [ClaimOutcome::Lost], "it lives after all");
        assert_eq!(tested.state("task").await, before, "nothing is written");
    });
}

/// An end that comes from one whose run was taken over is refused, and changes nothing, also when it lives again.
pub fn an_end_of_what_was_taken_over_is_refused<S: Store>(new: impl AsyncFnOnce() -> S) {
    run_left(new, async |tested, Left { holder, other, runs, lapsed }| {
        tested.win(other.id, &takeover(&lapsed[0], tested.now().await)).await;
        let before = tested.state("task").await;
        for lives_again in [false, true] {
            if lives_again {
                tested.beat(&holder, LONG).await;
            }
            for then in [Then::Over, Then::Retry(retry(&runs)), Then::HandOn(retry(&runs))] {
                let outcome = tested.finish_one(holder.id, &end(&runs, RunStatus::Succeeded, then)).await;
                assert!(outcome.refused && !outcome.retried, "it is another's by now: {outcome:?}");
            }
            assert_eq!(tested.state("task").await, before, "what is refused changes nothing");
        }
    });
}

/// An end that is late is written as long as nobody has taken the run over, and then nobody does.
pub fn an_end_is_written_until_its_run_is_taken_over<S: Store>(new: impl AsyncFnOnce() -> S) {
    run_left(new, async |tested, Left { holder, other, runs, lapsed }| {
        let ended = end(&runs, RunStatus::Succeeded, Then::Over);
        assert!(!tested.finish_one(holder.id, &ended).await.refused, "it is still its own");
        let before = tested.state("task").await;
        let late = takeover(&lapsed[0], tested.now().await);
        assert_eq!(tested.claim(other.id, &[late]).await, [ClaimOutcome::Lost], "it has ended meanwhile");
        assert_eq!(tested.state("task").await, before, "nothing is written");
        let lapsed = tested.beat(&other, LONG).await.lapsed;
        assert_eq!(lapsed_tasks(&lapsed), [] as [&str; 0], "what has ended is not taken over");
    });
}

/// Runs of deleted tasks, which nobody would take over, are closed as lost when their schedulers have lapsed.
pub fn runs_of_deleted_tasks_are_closed_with_the_lease<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        if !tested.has_leases() {
            return;
        }
        let (holder, other) = (tested.holder(LONG).await, tested.holder(LONG).await);
        let gone = tested.run_at(&holder, "gone").await;
        let held = tested.run_at(&other, "held").await;
        tested.delete("gone").await;
        tested.delete("held").await;
        tested.beat(&other, LONG).await;
        assert_eq!(tested.run(gone.decisions[0].run).await.status, RunStatus::Claimed, "its scheduler lives");
        tested.leave(&holder).await;
        let third = tested.holder(LONG).await;
        let lapsed = tested.beat(&third, LONG).await.lapsed;
        assert_eq!(lapsed_tasks(&lapsed), [] as [&str; 0], "there is nothing to run again");
        let closed = tested.run(gone.decisions[0].run).await;
        assert_eq!(closed.status, RunStatus::Lost, "nobody knows how it ended");
        assert!(closed.finished_at.is_some() && closed.error.is_some(), "and it says so: {closed:?}");
        let late = end(&gone, RunStatus::Succeeded, Then::Over);
        tested.finish_one(holder.id, &late).await;
        assert_eq!(tested.run(late.run).await, closed, "it stays lost");
        assert_eq!(
            tested.run(held.decisions[0].run).await.status,
            RunStatus::Claimed,
            "one that is held goes on"
        );
    });
}

/// What was to be cancelled is forgotten with the run, when it is taken over.
pub fn a_cancellation_ends_with_its_run<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        if !tested.has_leases() {
            return;
        }
        let (holder, other) = (tested.holder(LONG).await, tested.holder(LONG).await);
        let runs = tested.run_at(&holder, "task").await;
        assert!(tested.store.cancel(runs.decisions[0].run).await.expect("it notes it"), "it goes on");
        tested.leave(&holder).await;
        let lapsed = tested.beat(&other, LONG).await.lapsed;
        tested.win(other.id, &takeover(&lapsed[0], tested.now().await)).await;
        for node in [&holder, &other] {
            assert_eq!(
                tested.cancelled(node.id).await,
                [],
                "the run is over, and its next attempt is another"
            );
        }
    });
}
