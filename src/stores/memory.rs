//! A store in this process's memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::agenda::Agenda;
use super::history::History;
use super::{
    Claim, ClaimOutcome, Edit, EditOutcome, Finish, FinishOutcome, Query, Retry, RunFilter, Store, StoreError,
};
use crate::task::{Handlers, RunId, RunRecord, RunStatus, StoreKey, TaskDefinition, TaskId, TaskRecord};

/// Keeps tasks in memory: fast, and gone with the process.
///
/// Its history has the newest 100 entries of each task and 100,000 in all; the entries of a removed task stay until newer
/// ones take their place. What it keeps outlives a scheduler's shutdown and start.
#[derive(Debug)]
pub struct MemoryStore {
    kept: Mutex<Kept>,
}

/// Each task stands at a number, which is its [`StoreKey`]: what a scheduler has read comes back with it, and nothing need be
/// looked for.
#[derive(Debug)]
struct Kept {
    places: Vec<Place>,
    numbers: HashMap<TaskId, u32>,
    free: Vec<u32>,
    agenda: Agenda,
    history: History,
    /// Runs of deleted tasks that go on, and their entries.
    orphans: FxHashMap<RunId, u32>,
}

/// A task, or one that is gone while its history is not.
#[derive(Debug)]
struct Place {
    id: TaskId,
    record: Option<TaskRecord>,
    /// Its entries that are not final.
    open: SmallVec<[Open; 1]>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    run: RunId,
    /// Where it stands in the history.
    entry: u32,
}

const ENTRIES_A_TASK: usize = 100;
const ENTRIES_IN_ALL: usize = 100_000;

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::keeping(ENTRIES_A_TASK, ENTRIES_IN_ALL)
    }

    /// An empty store whose history has so many entries of each task, and so many in all.
    pub(crate) fn keeping(a_task: usize, in_all: usize) -> Self {
        Self {
            kept: Mutex::new(Kept {
                places: Vec::new(),
                numbers: HashMap::new(),
                free: Vec::new(),
                agenda: Agenda::default(),
                history: History::new(a_task, in_all),
                orphans: FxHashMap::default(),
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
        let record = |id| kept.places[*kept.numbers.get(id)? as usize].record.clone();
        Ok(ids.iter().map(record).collect())
    }

    async fn query(&self, query: Query) -> Result<Vec<TaskRecord>, StoreError> {
        let kept = &mut *self.kept();
        Ok(match query {
            Query::Due { now, limit, handlers } => {
                let Kept { places, agenda, .. } = kept;
                let due = agenda.due(now, limit, can_be_run(places, &handlers));
                due.into_iter().filter_map(|number| places[number as usize].record.clone()).collect()
            }
            Query::Orphans { handlers, limit } => {
                let tasks = kept.places.iter().filter_map(|place| place.record.as_ref());
                let orphans = tasks.filter(|task| !handlers.has(&task.definition.handler));
                orphans.take(limit).cloned().collect()
            }
            Query::All => {
                let mut tasks: Vec<_> = kept.places.iter().filter_map(|place| place.record.clone()).collect();
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

    async fn next_due(&self, handlers: &Handlers) -> Result<Option<DateTime<Utc>>, StoreError> {
        let Kept { places, agenda, .. } = &mut *self.kept();
        Ok(agenda.first(can_be_run(places, handlers)))
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
        Ok(self.kept().find(filter))
    }

    async fn count(&self) -> Result<usize, StoreError> {
        Ok(self.kept().places.iter().filter(|place| place.record.is_some()).count())
    }
}

/// Tells of tasks by their numbers whether these handlers can run them. Most in a row have one handler, whose name is
/// looked up once.
fn can_be_run(places: &[Place], handlers: &Handlers) -> impl FnMut(u32) -> bool {
    let mut seen: Option<(*const str, bool)> = None;
    move |number| {
        let Some(record) = &places[number as usize].record else { return false };
        let handler = &record.definition.handler;
        match seen {
            Some((name, can)) if std::ptr::eq(name, Arc::as_ptr(handler)) => can,
            _ => seen.insert((Arc::as_ptr(handler), handlers.has(handler))).1,
        }
    }
}

impl Kept {
    fn edit(&mut self, edit: &Edit) -> EditOutcome {
        match edit {
            Edit::Insert(record) => {
                let number = self.number(record.id());
                if self.places[number as usize].record.is_some() {
                    return EditOutcome::Conflict;
                }
                self.set(number, record.clone());
            }
            Edit::Replace(record) => {
                let Some(number) = self.numbers.get(record.id()).copied() else {
                    return EditOutcome::NotFound;
                };
                let Some(old) = &self.places[number as usize].record else { return EditOutcome::NotFound };
                if old.schedule.version + 1 != record.schedule.version {
                    return EditOutcome::Conflict;
                }
                self.set(number, record.clone());
            }
            Edit::Delete(id) => {
                let Some(number) = self.numbers.get(id).copied() else { return EditOutcome::NotFound };
                if self.places[number as usize].record.take().is_none() {
                    return EditOutcome::NotFound;
                }
                self.agenda.put(number, None);
                self.abandon(number);
                self.free_if_unused(number);
            }
        }
        EditOutcome::Done
    }

    fn set(&mut self, number: u32, mut record: TaskRecord) {
        record.key = StoreKey(number.into());
        self.agenda.put(number, record.due_at());
        self.places[number as usize].record = Some(record);
    }

    /// Runs of a deleted task that go on end as usual; what waits for a place among them never gets one.
    fn abandon(&mut self, number: u32) {
        for Open { run, entry } in std::mem::take(&mut self.places[number as usize].open) {
            match self.history.at(entry, run) {
                Some(queued) if queued.status == RunStatus::Queued => {
                    queued.status = RunStatus::Cancelled;
                    queued.error = Some("its task was deleted while it waited".to_owned());
                }
                _ => drop(self.orphans.insert(run, entry)),
            }
        }
    }

    fn claim(&mut self, claim: &Claim) -> ClaimOutcome {
        let Some(number) = self.find_task(claim.key, &claim.definition) else { return ClaimOutcome::Lost };
        match &self.places[number as usize].record {
            Some(record) if record.schedule.version + 1 == claim.schedule.version => {}
            _ => return ClaimOutcome::Lost,
        }
        for decision in &claim.decisions {
            self.note(number, claim.entry(decision));
        }
        let removed = self.change(number, |record| {
            record.schedule = claim.schedule;
            record.waiting.clone_from(&claim.waiting);
        });
        ClaimOutcome::Won { removed }
    }

    fn finish(&mut self, finish: &Finish) -> FinishOutcome {
        let mut outcome = FinishOutcome { retried: false, makes_room: false, removed: false };
        let Finish { key, run, .. } = finish;
        let task = self.find_task(*key, &finish.definition);
        let closed = task.and_then(|number| Some((number, self.close(number, *run)?)));
        // A run of a task that was deleted meanwhile is counted nowhere.
        let entry = closed.map(|(_, entry)| entry).or_else(|| self.orphans.remove(run));
        if let Some(entry) = entry.and_then(|entry| self.history.at(entry, *run)) {
            finish.end.write(entry);
        }
        let Some((number, _)) = closed else {
            // Asked again, as the answer was lost: the retry is there.
            let is_open = |retry: &Retry, number: u32| {
                self.places[number as usize].open.iter().any(|open| open.run == retry.run)
            };
            outcome.retried = finish.retry.zip(task).is_some_and(|(retry, number)| is_open(&retry, number));
            return outcome;
        };
        if let Some(retry) = &finish.retry {
            self.note(number, finish.entry(retry));
            self.change(number, |record| record.schedule = record.schedule.with_run_retried());
            outcome.retried = true;
        } else {
            outcome.removed = self.change(number, |record| {
                record.schedule = record.schedule.with_run_ended();
                outcome.makes_room = !record.waiting.is_empty();
            });
        }
        outcome
    }

    /// Notes an entry as it stands now.
    fn note(&mut self, number: u32, run: RunRecord) {
        let (id, is_final) = (run.id, run.status.is_final());
        let known = self.close(number, id);
        let entry = match known.and_then(|entry| Some((entry, self.history.at(entry, id)?))) {
            Some((entry, known)) => {
                *known = run;
                entry
            }
            None => {
                let (entry, loser) = self.history.add(number, run);
                if let Some(loser) = loser {
                    self.free_if_unused(loser);
                }
                entry
            }
        };
        if !is_final {
            self.places[number as usize].open.push(Open { run: id, entry });
        }
    }

    /// Where the entry of an open run stands, which is open no longer.
    fn close(&mut self, number: u32, run: RunId) -> Option<u32> {
        let open = &mut self.places[number as usize].open;
        let at = open.iter().position(|open| open.run == run)?;
        Some(open.swap_remove(at).entry)
    }

    /// Changes a task and removes it where that was the last of it: then it answers true.
    fn change(&mut self, number: u32, change: impl FnOnce(&mut TaskRecord)) -> bool {
        let Some(record) = &mut self.places[number as usize].record else { return false };
        let before = record.due_at();
        change(record);
        let over = record.is_over();
        let after = record.due_at().filter(|_| !over);
        if before != after {
            self.agenda.put(number, after);
        }
        if over {
            self.places[number as usize].record = None;
            self.free_if_unused(number);
        }
        over
    }

    fn find(&self, filter: &RunFilter) -> Vec<RunRecord> {
        match &filter.task {
            None => self.history.find(filter, None),
            Some(task) => {
                let number = self.numbers.get(task).copied();
                number.map(|number| self.history.find(filter, Some(number))).unwrap_or_default()
            }
        }
    }

    /// The number of a task that is there.
    fn find_task(&self, key: StoreKey, definition: &Arc<TaskDefinition>) -> Option<u32> {
        let by_key = u32::try_from(key.0).ok().filter(|number| {
            let record = self.places.get(*number as usize).and_then(|place| place.record.as_ref());
            record.is_some_and(|record| Arc::ptr_eq(&record.definition, definition))
        });
        by_key.or_else(|| self.numbers.get(&definition.id).copied())
    }

    /// The number of this id; a new one where it has none.
    fn number(&mut self, id: &TaskId) -> u32 {
        if let Some(number) = self.numbers.get(id) {
            return *number;
        }
        let place = Place { id: id.clone(), record: None, open: SmallVec::new() };
        let number = match self.free.pop() {
            Some(number) => {
                self.places[number as usize] = place;
                number
            }
            None => {
                self.places.push(place);
                (self.places.len() - 1) as u32
            }
        };
        self.numbers.insert(id.clone(), number);
        number
    }

    /// Gives back the number of a task that is gone, its history too.
    fn free_if_unused(&mut self, number: u32) {
        let place = &self.places[number as usize];
        if place.record.is_none() && self.history.is_empty(number) && self.numbers.remove(&place.id).is_some()
        {
            self.free.push(number);
        }
    }
}
