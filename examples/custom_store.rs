//! A store of one's own: all that a scheduler asks of one, as briefly as it can be said.
//!
//! `cargo run --example custom_store --features testing`; `cargo test` in place of `cargo run` holds it to what every store
//! promises. It keeps its maps in memory and looks through all of them; put your database in their place, where a lock is a
//! transaction and each search an index.

#![expect(clippy::print_stdout, reason = "it tells what happens")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use asyncz::chrono::{DateTime, TimeDelta, Utc};
use asyncz::stores::{
    Beat, Claim, ClaimOutcome, Edit, EditOutcome, Finish, FinishOutcome, Found, LapsedRun, NextDue,
    NodeRecord, Prune, Query, Renewal, RunFilter, Then,
};
use asyncz::{
    AsynczConfig, Clock, Handlers, NodeId, RunId, RunRecord, RunStatus, Store, StoreError, SystemClock, Task,
    TaskContext, TaskId, TaskRecord, async_trait,
};

/// Tasks, their history, and who shares them.
#[derive(Debug, Default)]
struct Shelf(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    tasks: BTreeMap<TaskId, TaskRecord>,
    /// From old to new.
    history: Vec<RunRecord>,
    nodes: BTreeMap<NodeId, NodeRecord>,
    /// Runs that are to be cancelled.
    cancelled: BTreeSet<RunId>,
    /// Runs that go on of tasks that were deleted.
    orphans: BTreeSet<RunId>,
}

impl Shelf {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each call locks once, so that it is one step for everybody else. The store has no clock: it goes by the times it is told.
#[async_trait]
impl Store for Shelf {
    async fn start(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn shutdown(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn put(&self, edits: &[Edit]) -> Result<Vec<EditOutcome>, StoreError> {
        let mut kept = self.kept();
        Ok(edits.iter().map(|edit| kept.edit(edit)).collect())
    }

    async fn load(&self, ids: &[TaskId]) -> Result<Vec<Option<TaskRecord>>, StoreError> {
        let kept = self.kept();
        Ok(ids.iter().map(|id| kept.tasks.get(id).cloned()).collect())
    }

    async fn query(&self, query: Query) -> Result<Found, StoreError> {
        let kept = self.kept();
        let tasks = kept.tasks.values();
        let found: Vec<_> = match query {
            Query::Due { now, limit, handlers } => {
                let is_due = |task: &&TaskRecord| task.due_at().is_some_and(|due| due <= now);
                let mut due: Vec<_> =
                    tasks.filter(is_due).filter(|task| handlers.has(&task.definition.handler)).collect();
                due.sort_by_key(|task| task.due_at());
                due.into_iter().take(limit).cloned().collect()
            }
            Query::Orphans { handlers, limit } => {
                tasks.filter(|task| !handlers.has(&task.definition.handler)).take(limit).cloned().collect()
            }
            Query::All => tasks.cloned().collect(),
        };
        Ok(found.into())
    }

    async fn claim(&self, by: NodeId, claims: &[Claim]) -> Result<Vec<ClaimOutcome>, StoreError> {
        let mut kept = self.kept();
        Ok(claims.iter().map(|claim| kept.claim(by, claim)).collect())
    }

    async fn finish(&self, by: NodeId, ends: &[Finish]) -> Result<Vec<FinishOutcome>, StoreError> {
        let mut kept = self.kept();
        Ok(ends.iter().map(|end| kept.finish(by, end)).collect())
    }

    async fn renew(&self, beat: &Beat) -> Result<Renewal, StoreError> {
        Ok(self.kept().renew(beat))
    }

    async fn next_due(&self, by: NodeId, handlers: &Handlers) -> Result<NextDue, StoreError> {
        let kept = self.kept();
        let tasks = kept.tasks.values().filter(|task| handlers.has(&task.definition.handler));
        let at = tasks.filter_map(TaskRecord::due_at).min();
        let ours = kept.history.iter().filter(|run| run.is_open() && run.node == Some(by));
        let cancelled = ours.map(|run| run.id).filter(|run| kept.cancelled.contains(run)).collect();
        Ok(NextDue { at, now: None, cancelled })
    }

    async fn cancel(&self, run: RunId) -> Result<bool, StoreError> {
        let mut kept = self.kept();
        let is_open = kept.run(run).is_some_and(|run| run.is_open());
        if is_open {
            kept.cancelled.insert(run);
        }
        Ok(is_open)
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
        let kept = self.kept();
        let newest_first = kept.history.iter().rev().filter(|run| filter.matches(run));
        Ok(newest_first.take(filter.limit.unwrap_or(usize::MAX)).cloned().collect())
    }

    async fn prune(&self, prune: &Prune) -> Result<usize, StoreError> {
        let mut kept = self.kept();
        let mut newer: BTreeMap<TaskId, usize> = BTreeMap::new();
        let mut old = BTreeSet::new();
        for run in kept.history.iter().rev() {
            let newer = newer.entry(run.task.clone()).or_default();
            let is_old = prune.before.is_some_and(|before| run.decided_at < before)
                || prune.a_task.is_some_and(|most| *newer >= most);
            *newer += 1;
            if is_old && run.status.is_final() && old.len() < prune.limit {
                old.insert(run.id);
            }
        }
        kept.history.retain(|run| !old.contains(&run.id));
        Ok(old.len())
    }
}

impl Kept {
    fn run(&mut self, id: RunId) -> Option<&mut RunRecord> {
        self.history.iter_mut().rfind(|run| run.id == id)
    }

    /// Writes an entry, in the place of the one of the same run where there is one.
    fn note(&mut self, entry: RunRecord) {
        match self.run(entry.id) {
            Some(known) => *known = entry,
            None => self.history.push(entry),
        }
    }

    fn edit(&mut self, edit: &Edit) -> EditOutcome {
        match edit {
            Edit::Insert(task) => {
                if self.tasks.contains_key(task.id()) {
                    return EditOutcome::Conflict;
                }
                self.tasks.insert(task.id().clone(), task.clone());
            }
            Edit::Replace(task) => {
                let Some(known) = self.tasks.get_mut(task.id()) else { return EditOutcome::NotFound };
                if known.schedule.version + 1 != task.schedule.version {
                    return EditOutcome::Conflict;
                }
                *known = task.clone();
            }
            Edit::Delete(id) => {
                if self.tasks.remove(id).is_none() {
                    return EditOutcome::NotFound;
                }
                for run in self.history.iter_mut().filter(|run| run.task == *id) {
                    if run.status == RunStatus::Queued {
                        run.status = RunStatus::Cancelled;
                        run.error = Some("its task was deleted while it waited".to_owned());
                    } else if run.is_open() {
                        self.orphans.insert(run.id);
                    }
                }
            }
        }
        EditOutcome::Done
    }

    fn claim(&mut self, by: NodeId, claim: &Claim) -> ClaimOutcome {
        let id = &claim.definition.id;
        if claim.claims_runs() && !self.is_held(by, claim.decided_at) {
            return ClaimOutcome::Lapsed;
        }
        // Whoever was to be taken over lives after all.
        if claim.taken_from.is_some_and(|node| self.is_held(node, claim.decided_at)) {
            return ClaimOutcome::Lost;
        }
        let Some(task) = self.tasks.get_mut(id) else { return ClaimOutcome::Lost };
        if task.schedule.version + 1 != claim.schedule.version {
            return ClaimOutcome::Lost;
        }
        task.schedule = claim.schedule;
        task.waiting.clone_from(&claim.waiting);
        for decision in &claim.decisions {
            match self.run(decision.run) {
                Some(run) if decision.status == RunStatus::Lost => claim.write_loss(by, decision, run),
                _ => self.note(claim.entry(by, decision)),
            }
        }
        ClaimOutcome::Won { removed: self.remove_if_over(id) }
    }

    fn finish(&mut self, by: NodeId, finish: &Finish) -> FinishOutcome {
        let id = &finish.definition.id;
        let Some(run) = self.run(finish.run).filter(|run| run.node == Some(by)) else {
            // It was taken over: whoever has it now says how it ends.
            return FinishOutcome { refused: true, ..FinishOutcome::default() };
        };
        if !run.is_open() {
            // It is asked again, as the answer was lost.
            let retry = finish.next().and_then(|(retry, _)| self.run(retry.run));
            let retried = retry.is_some_and(|retry| retry.is_open() && retry.node == Some(by));
            return FinishOutcome { retried, ..FinishOutcome::default() };
        }
        finish.end.write(run);
        self.cancelled.remove(&finish.run);
        if self.orphans.remove(&finish.run) {
            return FinishOutcome::default();
        }
        if let Some((retry, status)) = finish.next() {
            self.note(finish.entry(by, &retry, status));
        }
        let mut outcome = FinishOutcome::default();
        if let Some(task) = self.tasks.get_mut(id) {
            task.schedule = match finish.then {
                Then::Retry(_) => task.schedule.with_run_retried(),
                Then::HandOn(_) | Then::Over => task.schedule.with_run_ended(),
            };
            if let Then::HandOn(retry) = finish.then {
                task.waiting.insert(0, retry.waiting());
            }
            outcome.retried = matches!(finish.then, Then::Retry(_));
            outcome.makes_room = !outcome.retried && !task.waiting.is_empty();
        }
        outcome.removed = self.remove_if_over(id);
        outcome
    }

    fn remove_if_over(&mut self, id: &TaskId) -> bool {
        let is_over = self.tasks.get(id).is_some_and(TaskRecord::is_over);
        if is_over {
            self.tasks.remove(id);
        }
        is_over
    }

    /// Whether a scheduler is believed alive.
    fn is_held(&self, node: NodeId, now: DateTime<Utc>) -> bool {
        self.nodes.get(&node).is_some_and(|record| record.leased_until > now)
    }

    fn renew(&mut self, beat: &Beat) -> Renewal {
        let (me, now) = (beat.node.id, beat.now);
        let had_lapsed = !self.is_held(me, now);
        self.nodes.insert(me, beat.record(now));
        let mut renewal = Renewal { had_lapsed, ..Renewal::default() };
        let mut with_runs = BTreeSet::from([me]);
        let Self { tasks, history, nodes, cancelled, orphans } = self;
        for run in history.iter_mut().filter(|run| run.is_open() && run.node != Some(me)) {
            let Some(record) = run.node.and_then(|node| nodes.get(&node)) else { continue };
            with_runs.insert(record.node.id);
            let leased_until = record.leased_until;
            if leased_until > now {
                let first = renewal.next_lapse.map_or(leased_until, |first| first.min(leased_until));
                renewal.next_lapse = Some(first);
            } else if orphans.remove(&run.id) {
                // Nobody would take it over.
                cancelled.remove(&run.id);
                (run.status, run.node, run.finished_at) = (RunStatus::Lost, Some(me), Some(now));
                run.error = Some("its task was deleted, and its scheduler is gone".to_owned());
            } else if let Some(task) = tasks.get(&run.task)
                && beat.handlers.has(&task.definition.handler)
                && renewal.lapsed.len() < beat.limit
            {
                renewal.lapsed.push(LapsedRun { task: task.clone(), run: run.clone(), leased_until });
            }
        }
        // Who has gone, and has left nothing, is forgotten.
        nodes.retain(|node, record| record.leased_until > now || with_runs.contains(node));
        renewal.nodes = nodes.values().cloned().collect();
        renewal
    }
}

async fn greet(ctx: TaskContext) {
    println!("hello from {}", ctx.task_id());
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shelf = Arc::new(Shelf::default());
    let task = Task::from_fn("greet", greet).id("often").every(Duration::from_millis(200));
    let scheduler = AsynczConfig::new().store("default", shelf.clone()).task(task).scheduler();
    scheduler.start().await?;
    SystemClock.sleep_until(SystemClock.now() + TimeDelta::seconds(1)).await;
    scheduler.stop().await?;
    println!("{} runs are in the history", shelf.runs(&RunFilter::new()).await?.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Shelf;

    asyncz::testing::store_conformance!(shelf, Shelf::default());
}
