//! Claims: won once, in one step, many in a call.

use chrono::TimeDelta;

use super::run;
use super::tested::{WON, claim, decision, new_run, task, waiting_of};
use crate::stores::{Claim, ClaimOutcome, Query};
use crate::{Count, RunFilter, RunStatus, Schedule, Store, TaskId};

/// Of any number of racing schedulers exactly one wins each occurrence, and the others write nothing.
pub fn a_claim_is_won_once<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let due = tested.now().await - TimeDelta::seconds(10);
        for round in 0..3 {
            tested.add((0..20).map(|n| task(&format!("{round}-{n}"), due))).await;
            let ids: Vec<_> = (0..20).map(|n| TaskId::from(format!("{round}-{n}"))).collect();
            let tasks: Vec<_> = tested.load(&ids).await.into_iter().flatten().collect();
            let mut racers = Vec::new();
            for racer in 0..8 {
                let (tested, mut tasks) = (tested.clone(), tasks.clone());
                // Each begins elsewhere.
                tasks.rotate_left(2 * racer);
                racers.push(tokio::spawn(async move {
                    let (by, now) = (tested.node().await, tested.now().await);
                    let claims: Vec<_> =
                        tasks.iter().map(|task| claim(task, &[RunStatus::Claimed], now)).collect();
                    let outcomes = tested.claim(by, &claims).await;
                    let won = claims.into_iter().zip(outcomes).filter(|(_, outcome)| *outcome == WON);
                    won.map(|(claim, _)| (claim.definition.id.clone(), by, claim.decisions[0].run))
                        .collect::<Vec<_>>()
                }));
            }
            let mut won = Vec::new();
            for racer in racers {
                won.extend(racer.await.expect("no racer panics"));
            }
            for task in &ids {
                let winners: Vec<_> = won.iter().filter(|(id, ..)| id == task).collect();
                assert_eq!(winners.len(), 1, "one scheduler wins `{task}`: {winners:?}");
                let (_, by, run) = winners[0];
                let entries = tested.runs_of(task.as_str()).await;
                assert_eq!(entries.len(), 1, "only the winner writes: {entries:?}");
                assert_eq!((entries[0].id, entries[0].node), (*run, Some(*by)), "it is the winner's");
                assert_eq!(tested.task(task.as_str()).await.schedule.running, 1, "one run goes on");
            }
        }
    });
}

/// A claim's entries, the schedule and what waits are all written.
pub fn a_claim_writes_entries_and_schedule<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let by = tested.node().await;
        let known = tested.add_due("task").await;
        let statuses = [
            RunStatus::Coalesced,
            RunStatus::Missed,
            RunStatus::Claimed,
            RunStatus::Queued,
            RunStatus::Queued,
        ];
        let mut claim = claim(&known, &statuses, tested.now().await);
        claim.decisions[0].occurrences = Count { at_least: 1_000, more: true };
        claim.decisions[2].occurrence.is_catch_up = true;
        claim.decisions[3].starts_at = Some(claim.decided_at + TimeDelta::minutes(1));
        claim.waiting = claim.decisions[3..].iter().map(waiting_of).collect();
        tested.win(by, &claim).await;
        let written = tested.task("task").await;
        assert_eq!(written.schedule, claim.schedule, "the schedule is the claim's");
        assert_eq!(written.waiting, claim.waiting, "what waits is the claim's");
        for decision in &claim.decisions {
            assert_eq!(tested.run(decision.run).await, claim.entry(by, decision), "the entry is the claim's");
        }
        assert_eq!(tested.runs_of("task").await.len(), 5, "there are no others");
    });
}

/// Whoever looks while claims are made sees all of each or nothing of it.
pub fn nobody_sees_half_a_claim<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let by = tested.node().await;
        let first = tested.add_due("task").await.schedule.version;
        let claimer = tested.clone();
        let claims = tokio::spawn(async move {
            for _ in 0..30 {
                let (task, now) = (claimer.task("task").await, claimer.now().await);
                claimer.win(by, &claim(&task, &[RunStatus::Coalesced, RunStatus::Missed], now)).await;
            }
        });
        // Each claim makes the version one more, and the entries two more.
        while !claims.is_finished() {
            let version = tested.task("task").await.schedule.version;
            let entries = tested.runs_of("task").await.len() as u64;
            assert!(entries >= 2 * (version - first), "a schedule comes with its entries");
            assert!(entries.is_multiple_of(2), "both entries of a claim come at once");
            let version = tested.task("task").await.schedule.version;
            assert!(entries <= 2 * (version - first), "entries come with their schedule");
        }
        claims.await.expect("each claim is won");
    });
}

/// Many claims are written in a call: each outcome stands at its claim's place, and losers harm no winners.
pub fn claims_are_batched<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let (by, now) = (tested.node().await, tested.now().await);
        let due = now - TimeDelta::seconds(10);
        tested.add((0..200).map(|n| task(&format!("task-{n:03}"), due))).await;
        let mut claims: Vec<Claim> = Vec::new();
        for task in tested.query(Query::All).await.tasks {
            claims.push(claim(&task, &[RunStatus::Missed, RunStatus::Claimed], now));
        }
        assert_eq!(claims.len(), 200, "all tasks are there");
        for stale in claims.iter_mut().step_by(3) {
            stale.schedule.version -= 1;
        }
        let outcomes = tested.claim(by, &claims).await;
        for (n, (claim, outcome)) in claims.iter().zip(outcomes).enumerate() {
            let expected = if n % 3 == 0 { ClaimOutcome::Lost } else { WON };
            assert_eq!(outcome, expected, "claim {n} has its own outcome");
            let running = tested.task(claim.definition.id.as_str()).await.schedule.running;
            assert_eq!(running, u32::from(outcome == WON), "claim {n} is written if it was won");
        }
        let entries = tested.runs(RunFilter::new()).await;
        assert_eq!(entries.len(), 2 * 133, "each that was won has its entries");
    });
}

/// A claim that was planned from an older version of the task is lost, and writes nothing.
pub fn a_claim_from_an_older_version_is_lost<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let (by, now) = (tested.node().await, tested.now().await);
        let read = tested.add_due("task").await;
        tested.win(by, &claim(&read, &[RunStatus::Claimed], now)).await;
        let before = tested.state("task").await;
        let stale = claim(&read, &[RunStatus::Missed, RunStatus::Claimed], now);
        assert_eq!(
            tested.claim(by, &[stale]).await,
            [ClaimOutcome::Lost],
            "it was planned from an older version"
        );
        let mut ahead = claim(&tested.task("task").await, &[RunStatus::Claimed], now);
        ahead.schedule.version += 1;
        assert_eq!(tested.claim(by, &[ahead]).await, [ClaimOutcome::Lost], "no version is left out");
        assert_eq!(tested.state("task").await, before, "a lost claim writes nothing");
    });
}

/// A claim of a task that is gone is lost, and brings it not back.
pub fn a_claim_of_a_deleted_task_is_lost<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let by = tested.node().await;
        let read = tested.add_due("task").await;
        tested.delete("task").await;
        let late = claim(&read, &[RunStatus::Claimed], tested.now().await);
        assert_eq!(tested.claim(by, &[late]).await, [ClaimOutcome::Lost], "the task is gone");
        assert!(tested.find("task").await.is_none(), "it stays gone");
        assert_eq!(tested.runs_of("task").await, [], "nothing is written");
    });
}

/// What was read of a task that is deleted meanwhile changes nothing of its successor, nor of a task that has its place.
pub fn a_deleted_tasks_successor_is_left_alone<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let (by, now) = (tested.node().await, tested.now().await);
        let read = tested.add_due("task").await;
        tested.delete("task").await;
        // It may be given the key of the deleted one, and has its version.
        tested.add_due("other").await;
        let mut successor = task("task", now - TimeDelta::seconds(10));
        successor.schedule.version = 5_000_000;
        tested.add([successor]).await;
        let before = (tested.state("task").await, tested.state("other").await);
        let late = claim(&read, &[RunStatus::Claimed], now);
        assert_eq!(
            tested.claim(by, &[late]).await,
            [ClaimOutcome::Lost],
            "the task it was planned from is gone"
        );
        let after = (tested.state("task").await, tested.state("other").await);
        assert_eq!(after, before, "nothing is written");
    });
}

/// A decision about a run that waits stands in the place of its entry.
pub fn what_waited_keeps_its_entry<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let by = tested.node().await;
        let queues =
            claim(&tested.add_due("task").await, &[RunStatus::Queued, RunStatus::Queued], tested.now().await);
        tested.win(by, &queues).await;
        assert_eq!(tested.run(queues.decisions[0].run).await.node, None, "nobody has what waits");
        let mut lets_in =
            claim(&tested.task("task").await, &[RunStatus::Claimed, RunStatus::Skipped], tested.now().await);
        for (decision, waited) in lets_in.decisions.iter_mut().zip(&queues.decisions) {
            (decision.run, decision.occurrence) = (waited.run, waited.occurrence);
        }
        lets_in.waiting.clear();
        tested.win(by, &lets_in).await;
        assert_eq!(tested.task("task").await.waiting, [], "nothing waits any more");
        for decision in &lets_in.decisions {
            assert_eq!(
                tested.run(decision.run).await,
                lets_in.entry(by, decision),
                "it is what was decided last"
            );
        }
        assert_eq!(tested.runs_of("task").await.len(), 2, "each run has one entry");
    });
}

/// A task that is over with a claim, as its last occurrences don't run, is removed with it; its history stays.
pub fn a_claim_removes_a_task_that_is_over<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let by = tested.node().await;
        let mut last = claim(&tested.add_due("task").await, &[RunStatus::Missed], tested.now().await);
        (last.schedule.ended, last.schedule.next_run_time) = (true, None);
        let outcomes = tested.claim(by, std::slice::from_ref(&last)).await;
        assert_eq!(outcomes, [ClaimOutcome::Won { removed: true }], "nothing is left to do");
        assert!(tested.find("task").await.is_none(), "it is removed");
        assert_eq!(tested.run(last.decisions[0].run).await.status, RunStatus::Missed, "its history stays");
        // One with a run that goes on is not over.
        let mut runs = claim(&tested.add_due("runs").await, &[RunStatus::Claimed], tested.now().await);
        (runs.schedule.ended, runs.schedule.next_run_time) = (true, None);
        tested.win(by, &runs).await;
        assert!(tested.task("runs").await.schedule.ended, "it stays until its run has ended");
    });
}

/// A run by hand is claimed beside the schedule.
pub fn a_run_by_hand_leaves_the_schedule<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let (by, now) = (tested.node().await, tested.now().await);
        let known = tested.add_due("task").await;
        let mut by_hand = claim(&known, &[], now);
        let mut decision = decision(now, RunStatus::Claimed);
        decision.run = new_run();
        decision.occurrence.by_hand = true;
        by_hand.decisions.push(decision);
        let version = known.schedule.version + 1;
        by_hand.schedule = Schedule { version, running: 1, ..known.schedule };
        tested.win(by, &by_hand).await;
        assert_eq!(tested.task("task").await.schedule, by_hand.schedule, "it is due as before");
        let entry = tested.run(by_hand.decisions[0].run).await;
        assert_eq!(entry.occurrence, by_hand.decisions[0].occurrence, "it is by hand");
    });
}
