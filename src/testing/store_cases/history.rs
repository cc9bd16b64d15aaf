//! The history: what it gives, in which order, and what of it may go.

use chrono::TimeDelta;

use super::run;
use super::tested::{Tested, claim, end, new_run, retry};
use crate::stores::{Prune, Then};
use crate::{RunFilter, RunId, RunStatus, Store};

/// The history comes newest first, of all tasks and of each.
pub fn the_history_comes_newest_first<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let by = tested.node().await;
        let mut made: Vec<RunId> = Vec::new();
        for id in ["a", "b"] {
            tested.add_due(id).await;
        }
        let began = tested.now().await;
        for n in 0..10 {
            let id = if n % 3 == 0 { "b" } else { "a" };
            let at = began + TimeDelta::milliseconds(n);
            let claim = claim(&tested.task(id).await, &[RunStatus::Coalesced, RunStatus::Missed], at);
            tested.win(by, &claim).await;
            made.extend(claim.decisions.iter().map(|decision| decision.run));
        }
        made.reverse();
        let found = |runs: Vec<crate::RunRecord>| runs.iter().map(|run| run.id).collect::<Vec<_>>();
        assert_eq!(found(tested.runs(RunFilter::new()).await), made, "newest first");
        assert_eq!(
            found(tested.runs(RunFilter::new().limit(3)).await),
            made[..3],
            "the limit takes the newest"
        );
        assert_eq!(found(tested.runs(RunFilter::new().limit(0)).await), [], "none is asked for");
        let of_a: Vec<_> = tested.runs_of("a").await;
        assert_eq!(of_a.len(), 12, "those of one task");
        assert!(of_a.iter().all(|run| run.task == "a"), "those of one task");
        let newest = found(tested.runs(RunFilter::new().task("a").limit(5)).await);
        assert_eq!(newest, found(of_a)[..5], "the limit takes the newest of the task");
    });
}

/// Entries are found by task, by status, by run, by who has them, and by all of these together.
pub fn the_history_is_found_by_what_is_asked<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let (by, other) = (tested.node().await, tested.node().await);
        let statuses = [RunStatus::Missed, RunStatus::Claimed, RunStatus::Queued];
        for (id, node) in [("a", by), ("b", by), ("c", other)] {
            tested.win(node, &claim(&tested.add_due(id).await, &statuses, tested.now().await)).await;
        }
        let count = async |filter| tested.runs(filter).await.len();
        let all = RunFilter::new;
        assert_eq!(count(all()).await, 9);
        assert_eq!(count(all().task("a")).await, 3);
        assert_eq!(count(all().task("no such task")).await, 0);
        assert_eq!(count(all().status(RunStatus::Missed)).await, 3);
        assert_eq!(count(all().status(RunStatus::Missed).status(RunStatus::Queued)).await, 6, "any of these");
        assert_eq!(count(all().status(RunStatus::Succeeded)).await, 0);
        assert_eq!(count(all().task("b").status(RunStatus::Claimed)).await, 1, "all of these");
        assert_eq!(count(RunFilter::run(new_run())).await, 0, "there is no such run");
        let run = tested.runs(all().task("b").status(RunStatus::Queued)).await.remove(0);
        assert_eq!(
            tested.runs(RunFilter::run(run.id)).await,
            std::slice::from_ref(&run),
            "the entry of one run"
        );
        assert_eq!(count(RunFilter::run(run.id).task("a")).await, 0, "it is another task's");
        // What goes on at a scheduler: neither what waits nor what was only decided.
        assert_eq!(open_of(tested, by).await, ["b", "a"]);
        assert_eq!(open_of(tested, other).await, ["c"]);
        let runs = tested.runs(all().task("a").status(RunStatus::Claimed)).await.remove(0);
        let mut claim = claim(&tested.task("a").await, &[RunStatus::Claimed], runs.decided_at);
        (claim.decisions[0].run, claim.decisions[0].occurrence) = (runs.id, runs.occurrence);
        let again = retry(&claim);
        tested.finish_one(by, &end(&claim, RunStatus::Failed, Then::Retry(again))).await;
        let open = tested.runs(RunFilter::open_of(by).task("a")).await;
        assert_eq!(open.iter().map(|run| run.id).collect::<Vec<_>>(), [again.run], "the retry goes on");
        tested.delete("b").await;
        assert!(open_of(tested, by).await.contains(&"b".to_owned()), "a deleted task's run goes on");
    });
}

async fn open_of(tested: &Tested, node: crate::NodeId) -> Vec<String> {
    tested.runs(RunFilter::open_of(node)).await.iter().map(|run| run.task.to_string()).collect()
}

/// Old entries are removed a few at a time; runs that go on or wait stay, and so does what is decided: the watermark.
///
/// A store that bounds its history by itself answers that it has removed none.
pub fn only_old_entries_that_are_over_are_removed<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let (by, now) = (tested.node().await, tested.now().await);
        let old = now - TimeDelta::days(10);
        let statuses =
            [RunStatus::Claimed, RunStatus::Queued, RunStatus::Missed, RunStatus::Missed, RunStatus::Skipped];
        let first = claim(&tested.add_due("task").await, &statuses, old);
        tested.win(by, &first).await;
        tested.win(by, &claim(&tested.add_due("gone").await, &[RunStatus::Missed; 3], old)).await;
        tested.delete("gone").await;
        for minutes in 1..=3 {
            let at = now - TimeDelta::minutes(10 - minutes);
            tested.win(by, &claim(&tested.task("task").await, &[RunStatus::Missed], at)).await;
        }
        let schedule = tested.task("task").await.schedule;
        let prune = async |prune| tested.store.prune(&prune).await.expect("it removes old entries");
        let week = Prune { before: Some(now - TimeDelta::days(7)), a_task: None, limit: 4 };
        let removed = prune(week).await;
        let left = tested.runs(RunFilter::new()).await.len();
        assert_eq!(left, 11 - removed, "it tells how many");
        if removed == 0 {
            return;
        }
        assert_eq!(removed, 4, "at most so many at a time");
        assert_eq!([prune(week).await, prune(week).await], [2, 0], "and then the rest");
        assert_eq!(tested.runs_of("gone").await, [], "those of deleted tasks go, too");
        let left: Vec<_> = tested.runs_of("task").await.into_iter().map(|run| run.status).collect();
        let new = [RunStatus::Missed; 3];
        assert_eq!(left[..3], new, "the new ones stay");
        assert_eq!(left[3..], [RunStatus::Queued, RunStatus::Claimed], "what goes on or waits stays");
        let most = Prune { before: None, a_task: Some(2), limit: 100 };
        assert_eq!(prune(most).await, 1, "one has two newer ones, and is over");
        let left: Vec<_> = tested.runs_of("task").await.into_iter().map(|run| run.status).collect();
        assert_eq!(left[..2], new[..2], "the newest stay");
        assert_eq!(left[2..], [RunStatus::Queued, RunStatus::Claimed], "what goes on or waits stays");
        assert_eq!(prune(Prune { before: None, a_task: None, limit: 100 }).await, 0, "nothing is asked for");
        assert_eq!(tested.task("task").await.schedule, schedule, "the task is as it was, its watermark too");
        let ended = end(&first, RunStatus::Succeeded, Then::Over);
        assert!(tested.finish_one(by, &ended).await.makes_room, "what goes on ends as usual");
    });
}
