//! A store in this process's memory.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rustc_hash::FxHashSet;

use super::history::History;
use super::{
    Claim, ClaimOutcome, Edit, EditOutcome, Finish, FinishOutcome, Query, RunFilter, Store, StoreError,
};
use crate::task::{RunId, RunRecord, RunStatus, TaskId, TaskRecord};

/// Keeps tasks in memory: fast, and gone with the process.
///
/// Its history has the newest 100 entries of each task and 100,000 in all; the entries of a removed task stay until newer
/// ones take their place. What it keeps outlives a scheduler's shutdown and start.
#[derive(Debug)]
pub struct MemoryStore {
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    tasks: HashMap<TaskId, TaskRecord>,
    due: BTreeSet<(DateTime<Utc>, TaskId)>,
    /// The runs that the tasks' schedules count: those of a deleted task are no longer among them.
    running: FxHashSet<RunId>,
    history: History,
}

const ENTRIES_A_TASK: usize = 100;
const ENTRIES_IN_ALL: usize = 100_000;

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        let history = History::new(ENTRIES_A_TASK, ENTRIES_IN_ALL);
        Self {
            kept: Mutex::new(Kept {
                tasks: HashMap::new(),
                due: BTreeSet::new(),
                running: FxHashSet::default(),
                history,
            }),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing below panics half-way through a change.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Store for MemoryStore {
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

    async fn query(&self, query: Query) -> Result<Vec<TaskRecord>, StoreError> {
        let kept = self.kept();
        Ok(match query {
            Query::Due { now, limit } => {
                let due = kept.due.iter().take_while(|(at, _)| *at <= now).take(limit);
                due.map(|(_, id)| kept.tasks[id].clone()).collect()
            }
            Query::All => {
                let mut tasks: Vec<_> = kept.tasks.values().cloned().collect();
                tasks.sort_by(|a, b| a.id().cmp(b.id()));
                tasks
            }
        })
    }

    async fn claim(&self, claims: &[Claim]) -> Result<Vec<ClaimOutcome>, StoreError> {
        let mut kept = self.kept();
        Ok(claims.iter().map(|claim| kept.claim(claim)).collect())
    }

    async fn finish(&self, ends: &[Finish]) -> Result<Vec<FinishOutcome>, StoreError> {
        let mut kept = self.kept();
        Ok(ends.iter().map(|end| kept.finish(end)).collect())
    }

    async fn next_due(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        Ok(self.kept().due.first().map(|(at, _)| *at))
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
        Ok(self.kept().history.find(filter))
    }
}

impl Kept {
    fn edit(&mut self, edit: &Edit) -> EditOutcome {
        match edit {
            Edit::Insert(record) => {
                if self.tasks.contains_key(record.id()) {
                    return EditOutcome::Conflict;
                }
                self.index(record.id(), None, record.due_at());
                self.tasks.insert(record.id().clone(), record.clone());
            }
            Edit::Replace(record) => {
                let Some(old) = self.tasks.get_mut(record.id()) else { return EditOutcome::NotFound };
                if old.schedule.version + 1 != record.schedule.version {
                    return EditOutcome::Conflict;
                }
                let before = old.due_at();
                *old = record.clone();
                self.index(record.id(), before, record.due_at());
            }
            Edit::Delete(id) => {
                let Some(old) = self.tasks.remove(id) else { return EditOutcome::NotFound };
                self.forget_waiting(&old);
                self.index(id, old.due_at(), None);
                if old.schedule.running > 0 {
                    let of_task = RunFilter::new().task(id);
                    for run in self.history.find(&of_task) {
                        self.running.remove(&run.id);
                    }
                }
            }
        }
        EditOutcome::Done
    }

    /// What waits for a place among the runs of a deleted task never gets one.
    fn forget_waiting(&mut self, deleted: &TaskRecord) {
        for waiting in &deleted.waiting {
            for mut entry in self.history.find(&RunFilter::run(waiting.run)) {
                entry.status = RunStatus::Cancelled;
                entry.error = Some("its task was deleted while it waited".to_owned());
                self.history.put(&entry);
            }
        }
    }

    fn claim(&mut self, claim: &Claim) -> ClaimOutcome {
        match self.tasks.get(&claim.definition.id) {
            Some(record) if record.schedule.version + 1 == claim.schedule.version => {}
            _ => return ClaimOutcome::Lost,
        }
        for entry in &claim.entries {
            self.history.put(entry);
            if entry.status == RunStatus::Claimed {
                self.running.insert(entry.id);
            }
        }
        let removed = self.change(&claim.definition.id, |record| {
            record.schedule = claim.schedule;
            record.waiting.clone_from(&claim.waiting);
        });
        ClaimOutcome::Won { removed }
    }

    fn finish(&mut self, Finish { run, retry }: &Finish) -> FinishOutcome {
        self.history.put(run);
        let counted = self.running.remove(&run.id);
        if let (Some(retry), true) = (retry, counted) {
            self.history.put(retry);
            self.running.insert(retry.id);
            self.change(&run.task, |record| record.schedule = record.schedule.with_run_retried());
            return FinishOutcome { retried: true, makes_room: false, removed: false };
        }
        let mut makes_room = false;
        let removed = counted
            && self.change(&run.task, |record| {
                record.schedule = record.schedule.with_run_ended();
                makes_room = !record.waiting.is_empty();
            });
        FinishOutcome { retried: false, makes_room, removed }
    }

    /// Changes a task and removes it where that was the last of it: then it answers true.
    fn change(&mut self, id: &TaskId, change: impl FnOnce(&mut TaskRecord)) -> bool {
        let Some(record) = self.tasks.get_mut(id) else { return false };
        let before = record.due_at();
        change(record);
        let over = record.is_over();
        let after = record.due_at().filter(|_| !over);
        if over {
            self.tasks.remove(id);
        }
        self.index(id, before, after);
        over
    }

    /// Moves a task to its new place among the due ones.
    fn index(&mut self, id: &TaskId, before: Option<DateTime<Utc>>, after: Option<DateTime<Utc>>) {
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.due.remove(&(before, id.clone()));
        }
        self.due.extend(after.map(|after| (after, id.clone())));
    }
}
