//! Tasks, their history and what is decided about them, in memory: what each call of a store means.

#[cfg(all(feature = "file", unix))]
mod restore;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::agenda::Agenda;
use super::history::History;
use super::leases::Leases;
use super::{
    Beat, Claim, ClaimOutcome, Edit, EditOutcome, Finish, FinishOutcome, LapsedRun, Query, Renewal,
    RunFilter, Then,
};
use crate::task::{
    Handlers, NodeId, RunId, RunRecord, RunStatus, StoreKey, TaskDefinition, TaskId, TaskRecord,
};

/// Each task stands at a number, which is its [`StoreKey`]: what a scheduler has read comes back with it, and nothing need be
/// looked for.
#[derive(Debug)]
pub(super) struct Kept {
    places: Vec<Place>,
    numbers: HashMap<TaskId, u32>,
    free: Vec<u32>,
    agenda: Agenda,
    history: History,
    /// Runs of deleted tasks that go on, and their entries.
    orphans: FxHashMap<RunId, u32>,
    leases: Leases,
    /// Runs that are to be cancelled.
    cancelled: BTreeSet<RunId>,
}

/// A task, or one that is gone while its history is not.
#[derive(Debug)]
struct Place {
    id: TaskId,
    record: Option<TaskRecord>,
    /// Where its entries that are not final stand in the history: they stay where they are.
    open: SmallVec<[u32; 2]>,
}

impl Kept {
    /// Nothing yet, and room for a history.
    pub(super) fn new(history: History) -> Self {
        Self {
            places: Vec::new(),
            numbers: HashMap::new(),
            free: Vec::new(),
            agenda: Agenda::default(),
            history,
            orphans: FxHashMap::default(),
            leases: Leases::default(),
            cancelled: BTreeSet::new(),
        }
    }

    /// A task by its id.
    pub(super) fn record(&self, id: &TaskId) -> Option<&TaskRecord> {
        self.places[*self.numbers.get(id)? as usize].record.as_ref()
    }

    /// How many tasks there are.
    pub(super) fn count(&self) -> usize {
        self.places.iter().filter(|place| place.record.is_some()).count()
    }

    /// The tasks that a query asks for, at its time.
    pub(super) fn query(&mut self, query: &Query) -> Vec<TaskRecord> {
        match query {
            Query::Due { now, limit, handlers } => {
                let Self { places, agenda, .. } = self;
                let due = agenda.due(*now, *limit, can_be_run(places, handlers));
                let mut tasks = Vec::with_capacity(due.len());
                tasks.extend(due.into_iter().filter_map(|number| places[number as usize].record.clone()));
                tasks
            }
            Query::Orphans { handlers, limit } => {
                let tasks = self.places.iter().filter_map(|place| place.record.as_ref());
                let orphans = tasks.filter(|task| !handlers.has(&task.definition.handler));
                orphans.take(*limit).cloned().collect()
            }
            Query::All => {
                let mut tasks: Vec<_> = self.places.iter().filter_map(|place| place.record.clone()).collect();
                tasks.sort_by(|a, b| a.id().cmp(b.id()));
                tasks
            }
        }
    }

    /// When the first task is due that these handlers can run.
    pub(super) fn next_due(&mut self, handlers: &Handlers) -> Option<DateTime<Utc>> {
        let Self { places, agenda, .. } = self;
        agenda.first(can_be_run(places, handlers))
    }

    /// Notes that a run is to be cancelled; `false`: it does not go on.
    pub(super) fn cancel(&mut self, run: RunId) -> bool {
        let is_open = self.find(&RunFilter::run(run)).iter().any(RunRecord::is_open);
        if is_open {
            self.cancelled.insert(run);
        }
        is_open
    }

    pub(super) fn edit(&mut self, edit: &Edit) -> EditOutcome {
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
        for at in std::mem::take(&mut self.places[number as usize].open) {
            let entry = self.history.entry_mut(at);
            if entry.status == RunStatus::Queued {
                entry.status = RunStatus::Cancelled;
                entry.error = Some("its task was deleted while it waited".to_owned());
            } else {
                self.orphans.insert(entry.id, at);
            }
        }
    }

    /// Claims at this time by the store's clock; `leased`: by one whose lease is held.
    pub(super) fn claim(
        &mut self,
        by: NodeId,
        claim: &Claim,
        now: DateTime<Utc>,
        leased: bool,
    ) -> ClaimOutcome {
        if leased && claim.claims_runs() && !self.leases.is_held(by, now) {
            return ClaimOutcome::Lapsed;
        }
        if claim.taken_from.is_some_and(|node| self.leases.is_held(node, now)) {
            return ClaimOutcome::Lost;
        }
        let Some(number) = self.find_task(claim.key, &claim.definition) else { return ClaimOutcome::Lost };
        match &self.places[number as usize].record {
            Some(record) if record.schedule.version + 1 == claim.schedule.version => {}
            _ => return ClaimOutcome::Lost,
        }
        for decision in &claim.decisions {
            match decision.status {
                RunStatus::Lost => {
                    self.cancelled.remove(&decision.run);
                    let entry = self.close(number, decision.run);
                    if let Some(entry) = entry.and_then(|entry| self.history.at(entry, decision.run)) {
                        claim.write_loss(by, decision, entry);
                    }
                }
                _ => self.note(number, claim.entry(by, decision)),
            }
        }
        let removed = self.change(number, |record| {
            record.schedule = claim.schedule;
            record.waiting.clone_from(&claim.waiting);
        });
        ClaimOutcome::Won { removed }
    }

    pub(super) fn finish(&mut self, by: NodeId, finish: &Finish) -> FinishOutcome {
        let Finish { key, run, .. } = finish;
        let task = self.find_task(*key, &finish.definition);
        let place = task.and_then(|number| self.open_entry(number, *run));
        // A run of a task that was deleted meanwhile is counted nowhere, and nobody tries it again.
        let entry = place.or_else(|| self.orphans.get(run).copied());
        let Some(entry) = entry.and_then(|entry| self.history.at(entry, *run)) else {
            return self.finish_again(by, finish, task);
        };
        if entry.node != Some(by) {
            return FinishOutcome { refused: true, ..FinishOutcome::default() };
        }
        self.cancelled.remove(run);
        let Some(number) = task.filter(|_| place.is_some()) else {
            finish.end.write(entry);
            self.orphans.remove(run);
            return FinishOutcome::default();
        };
        finish.end.write(entry);
        self.close(number, *run);
        if let Some((retry, status)) = finish.next() {
            self.note(number, finish.entry(by, &retry, status));
        }
        let mut outcome =
            FinishOutcome { retried: matches!(finish.then, Then::Retry(_)), ..Default::default() };
        outcome.removed = self.change(number, |record| {
            if let Then::HandOn(retry) = finish.then {
                record.waiting.insert(0, retry.waiting());
            }
            record.schedule = match outcome.retried {
                true => record.schedule.with_run_retried(),
                false => record.schedule.with_run_ended(),
            };
            outcome.makes_room = !outcome.retried && !record.waiting.is_empty();
        });
        outcome
    }

    /// A run that is over already: the answer was lost and it is asked again, or somebody else has closed it.
    fn finish_again(&self, by: NodeId, finish: &Finish, task: Option<u32>) -> FinishOutcome {
        let known = self.find(&RunFilter::run(finish.run).task(&finish.definition.id)).pop();
        let refused = known.is_some_and(|known| known.node != Some(by));
        let retried = match (finish.then, task) {
            (Then::Retry(retry), Some(number)) => self.open_entry(number, retry.run).is_some(),
            _ => false,
        };
        FinishOutcome { refused, retried, ..FinishOutcome::default() }
    }

    /// Renews a lease at this time by the store's clock.
    pub(super) fn renew(&mut self, beat: &Beat, now: DateTime<Utc>) -> Renewal {
        let me = beat.node.id;
        let had_lapsed = self.leases.beat(beat, now);
        let mut others = BTreeSet::new();
        let mut lapsed = Vec::new();
        for place in &self.places {
            for run in place.open.iter().map(|at| self.history.entry(*at)).filter(|run| run.is_open()) {
                let Some(node) = run.node.filter(|node| *node != me) else { continue };
                others.insert(node);
                if let Some(leased_until) = self.leases.lapsed_at(node, now)
                    && let Some(task) = &place.record
                    && beat.handlers.has(&task.definition.handler)
                {
                    lapsed.push(LapsedRun { task: task.clone(), run: run.clone(), leased_until });
                }
            }
        }
        lapsed.truncate(beat.limit);
        self.close_orphans(me, now);
        let next_lapse = self.leases.next_lapse(&others, now);
        others.insert(me);
        self.leases.forget(&others, now);
        Renewal { now: None, had_lapsed, lapsed, next_lapse, nodes: self.leases.records() }
    }

    /// Closes the runs of deleted tasks whose schedulers have lapsed.
    fn close_orphans(&mut self, by: NodeId, now: DateTime<Utc>) {
        let Self { orphans, history, leases, cancelled, .. } = self;
        orphans.retain(|run, entry| {
            let Some(entry) = history.at(*entry, *run) else { return false };
            let has_lapsed = entry.node.is_some_and(|node| leases.lapsed_at(node, now).is_some());
            if has_lapsed {
                cancelled.remove(run);
                entry.status = RunStatus::Lost;
                entry.node = Some(by);
                entry.finished_at = Some(now);
                entry.error = Some("its task was deleted, and its scheduler is gone".to_owned());
            }
            !has_lapsed
        });
    }

    /// The runs of a scheduler that are to be cancelled.
    pub(super) fn cancelled_of(&self, by: NodeId) -> Vec<RunId> {
        let is_of = |run: &&RunId| {
            self.find(&RunFilter::run(**run)).iter().any(|entry| entry.is_open() && entry.node == Some(by))
        };
        self.cancelled.iter().filter(is_of).copied().collect()
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
            self.places[number as usize].open.push(entry);
        }
    }

    /// Where the entry of an open run stands, which is open no longer.
    fn close(&mut self, number: u32, run: RunId) -> Option<u32> {
        let entry = self.open_entry(number, run)?;
        self.places[number as usize].open.retain(|open| *open != entry);
        Some(entry)
    }

    /// Where the entry of an open run stands.
    fn open_entry(&self, number: u32, run: RunId) -> Option<u32> {
        let open = &self.places[number as usize].open;
        open.iter().copied().find(|entry| self.history.entry(*entry).id == run)
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

    /// The entries of the history that a filter asks for, newest first.
    pub(super) fn find(&self, filter: &RunFilter) -> Vec<RunRecord> {
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
        let Self { places, numbers, free, .. } = self;
        *numbers.entry(id.clone()).or_insert_with(|| {
            let place = Place { id: id.clone(), record: None, open: SmallVec::new() };
            match free.pop() {
                Some(number) => {
                    places[number as usize] = place;
                    number
                }
                None => {
                    places.push(place);
                    (places.len() - 1) as u32
                }
            }
        })
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
