//! What is due, when, for whom; and what a scheduler is told beside it.

use chrono::{DateTime, TimeDelta, Utc};

use super::run;
use super::tested::{HANDLER, Tested, claim, defined, end, handlers, ids, new_run, task};
use crate::stores::{NextDue, Query, Then};
use crate::{Handlers, NodeId, RunStatus, Store, TaskId, TaskRecord};

impl Tested {
    async fn next_due(&self, by: NodeId, handlers: &Handlers) -> NextDue {
        self.store.next_due(by, handlers).await.expect("it tells what is due")
    }

    async fn due_for(&self, now: DateTime<Utc>, limit: usize, handlers: Handlers) -> Vec<TaskId> {
        ids(&self.query(Query::Due { now, limit, handlers }).await.tasks)
    }

    pub(super) async fn cancelled(&self, by: NodeId) -> Vec<crate::RunId> {
        self.next_due(by, &handlers([HANDLER])).await.cancelled
    }
}

fn of_handler(handler: &'static str, task: TaskRecord) -> TaskRecord {
    defined(task, |definition| definition.handler = handler.into())
}

/// What is due is found, the earliest first and no more than asked for; what is to come, paused or ended is not.
pub fn what_is_due_is_found_earliest_first<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let now = tested.now().await;
        let due = |id, seconds| task(id, now - TimeDelta::seconds(seconds));
        let mut paused = due("paused", 50);
        (paused.schedule.paused, paused.schedule.next_run_time) = (true, None);
        let mut ended = due("ended", 50);
        (ended.schedule.ended, ended.schedule.next_run_time, ended.schedule.running) = (true, None, 1);
        let to_come = due("to come", -3_600);
        tested.add([due("c", 30), paused, due("a", 20), ended, due("b", 40), to_come, due("d", 10)]).await;
        assert_eq!(tested.due_for(now, 100, handlers([HANDLER])).await, ["b", "c", "a", "d"]);
        assert_eq!(
            tested.due_for(now, 2, handlers([HANDLER])).await,
            ["b", "c"],
            "the limit takes the earliest"
        );
        let claim = claim(&tested.task("b").await, &[RunStatus::Claimed], now);
        tested.win(tested.node().await, &claim).await;
        assert_eq!(
            tested.due_for(now, 2, handlers([HANDLER])).await,
            ["c", "a"],
            "what is decided is not due"
        );
    });
}

/// What waits for a place is due at once when there is one, before all else, unless its task is paused.
pub fn what_waits_is_due_when_it_has_room<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let (by, now) = (tested.node().await, tested.now().await);
        tested.add_due("earlier").await;
        let runs = claim(&tested.add_due("task").await, &[RunStatus::Claimed, RunStatus::Queued], now);
        tested.win(by, &runs).await;
        assert_eq!(tested.due().await, ["earlier"], "there is no room");
        tested.finish_one(by, &end(&runs, RunStatus::Succeeded, Then::Over)).await;
        assert_eq!(tested.due().await, ["task", "earlier"], "it has room, and comes first");
        tested.delete("earlier").await;
        let next = tested.next_due(by, &handlers([HANDLER])).await;
        assert!(next.at.is_some_and(|at| at <= now), "it is due at once: {next:?}");
        let mut paused = tested.task("task").await;
        paused.schedule.version += 1;
        (paused.schedule.paused, paused.schedule.next_run_time) = (true, None);
        tested.edit(&[crate::stores::Edit::Replace(paused)]).await;
        assert_eq!(tested.due().await, [] as [&str; 0], "nothing of a paused task is due");
        assert_eq!(
            tested.next_due(by, &handlers([HANDLER])).await.at,
            None,
            "nothing of a paused task is due"
        );
    });
}

/// A scheduler is given only tasks whose handlers it has; those that none can run are found as orphans.
pub fn only_what_can_be_run_is_due<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let (by, now) = (tested.node().await, tested.now().await);
        let due = |n: i64| now - TimeDelta::seconds(100 - n);
        // More of others than are asked for, and all of them earlier.
        tested.add((0..20).map(|n| of_handler("others", task(&format!("other-{n:02}"), due(n))))).await;
        tested.add([task("ours", due(50)), of_handler("older name", task("renamed", due(60)))]).await;
        let ours = || handlers([HANDLER, "older name", "no task's"]);
        assert_eq!(tested.due_for(now, 2, ours()).await, ["ours", "renamed"], "others don't count");
        assert_eq!(
            tested.due_for(now, 2, handlers([])).await,
            [] as [&str; 0],
            "without handlers nothing is due"
        );
        assert_eq!(tested.next_due(by, &ours()).await.at, Some(due(50)), "others don't count");
        assert_eq!(tested.next_due(by, &handlers(["no task's"])).await.at, None, "nothing is due");
        let orphans = tested.query(Query::Orphans { handlers: ours(), limit: 100 }).await.tasks;
        assert_eq!(orphans.len(), 20, "those of others are orphans");
        assert!(orphans.iter().all(|task| &*task.definition.handler == "others"), "{:?}", ids(&orphans));
        let orphans = tested.query(Query::Orphans { handlers: ours(), limit: 3 }).await.tasks;
        assert_eq!(orphans.len(), 3, "no more than asked for");
    });
}

/// It says when the next task is due, past or to come.
pub fn the_next_due_time_is_known<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let (by, now) = (tested.node().await, tested.now().await);
        let all = handlers([HANDLER]);
        assert_eq!(tested.next_due(by, &all).await.at, None, "there is nothing");
        let due = |minutes| now + TimeDelta::minutes(minutes);
        tested.add([task("later", due(20)), task("next", due(10))]).await;
        assert_eq!(tested.next_due(by, &all).await.at, Some(due(10)), "the next is to come");
        tested.add([task("past", due(-10))]).await;
        assert_eq!(tested.next_due(by, &all).await.at, Some(due(-10)), "one is due");
        tested.win(by, &claim(&tested.task("past").await, &[RunStatus::Missed], now)).await;
        assert_eq!(tested.next_due(by, &all).await.at, Some(due(10)), "it is decided");
        tested.delete("next").await;
        assert_eq!(tested.next_due(by, &all).await.at, Some(due(20)), "it is deleted");
    });
}

/// Where the store has a clock, that decides what is due, whatever a scheduler's own says; and each answer tells its time.
pub fn the_stores_clock_decides_what_is_due<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let Some(time) = tested.store.now().await.expect("it tells its time") else { return };
        tested
            .add([task("due", time - TimeDelta::minutes(10)), task("to come", time + TimeDelta::minutes(10))])
            .await;
        let by = tested.node().await;
        for skew in [TimeDelta::hours(-1), TimeDelta::zero(), TimeDelta::hours(1)] {
            let (now, handlers) = (time + skew, handlers([HANDLER]));
            let found = tested.query(Query::Due { now, limit: 10, handlers: handlers.clone() }).await;
            assert_eq!(ids(&found.tasks), ["due"], "it is as the store's clock says, not one off by {skew}");
            let told = [found.now, tested.next_due(by, &handlers).await.now];
            for told in told {
                let told = told.expect("a store with a clock tells its time");
                assert!(
                    (told - time).abs() < TimeDelta::minutes(1),
                    "it is the store's time: {told}, {time}"
                );
            }
        }
    });
}

/// That a run is to be cancelled is told to the scheduler that has it, and forgotten when it has ended.
pub fn a_cancellation_is_told_to_the_runs_scheduler<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let (by, other) = (tested.node().await, tested.node().await);
        let (now, cancel) =
            (tested.now().await, async |run| tested.store.cancel(run).await.expect("it notes it"));
        let runs = claim(&tested.add_due("task").await, &[RunStatus::Claimed, RunStatus::Queued], now);
        tested.win(by, &runs).await;
        let [running, queued] = [runs.decisions[0].run, runs.decisions[1].run];
        assert!(!cancel(new_run()).await, "nobody has a run that is not");
        assert!(!cancel(queued).await, "nobody has a run that waits");
        assert_eq!(tested.cancelled(by).await, [], "nothing is to be cancelled");
        assert!(cancel(running).await, "a scheduler has it");
        assert!(cancel(running).await, "and again");
        assert_eq!(tested.cancelled(other).await, [], "others are told nothing");
        assert_eq!(tested.cancelled(by).await, [running], "its scheduler is told");
        assert_eq!(
            tested.run(running).await.status,
            RunStatus::Claimed,
            "it goes on until its scheduler ends it"
        );
        tested.finish_one(by, &end(&runs, RunStatus::Cancelled, Then::Over)).await;
        assert_eq!(tested.cancelled(by).await, [], "it has ended");
        assert!(!cancel(running).await, "nobody has it any more");
    });
}
