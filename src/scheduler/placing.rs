//! Tasks on their way into a store, many in one call: new ones, and those that take the place of others.

use std::sync::Arc;

use super::shared::Shared;
use super::tasks::failed;
use crate::Error;
use crate::events::EventMask;
use crate::stores::{Edit, EditOutcome, Store};
use crate::task::{Schedule, TaskDefinition, TaskRecord};

/// Tasks for a store.
pub(super) struct Placements {
    pub(super) alias: Arc<str>,
    store: Arc<dyn Store>,
    new: Vec<Edit>,
    /// Those that may take the places of tasks of their ids.
    replacing: Vec<TaskRecord>,
    /// They leave alone what a newer release of the program has declared.
    pub(super) yield_to_newer: bool,
}

/// A task that is in its store.
pub(super) struct Placed {
    pub(super) store: Arc<str>,
    pub(super) task: Arc<TaskDefinition>,
    /// What listeners are told: it was added, or is in the place of another.
    pub(super) kind: EventMask,
}

impl Placements {
    pub(super) fn new(alias: Arc<str>, store: Arc<dyn Store>) -> Self {
        Self { alias, store, new: Vec::new(), replacing: Vec::new(), yield_to_newer: false }
    }

    pub(super) fn push(&mut self, record: TaskRecord, replace: bool) {
        if replace {
            self.replacing.push(record);
        } else {
            self.new.push(Edit::Insert(record));
        }
    }
}

impl Shared {
    /// Puts tasks into a store: first those that must be new; where none of their ids is taken, those that may take the place of
    /// others. One that does and has the other's trigger keeps its place in time, its pause and its history.
    ///
    /// `placed` tells what is done, before an error, too.
    pub(super) async fn place(&self, tasks: Placements, placed: &mut Vec<Placed>) -> Result<(), Error> {
        let Placements { alias, store, new, mut replacing, yield_to_newer } = tasks;
        let (alias, store) = (&alias, &*store);
        if !new.is_empty() {
            let outcomes = self.put(alias, store, &new).await.map_err(|source| failed(alias, source))?;
            let mut taken = None;
            for (edit, outcome) in new.into_iter().zip(outcomes) {
                let Edit::Insert(record) = edit else { continue };
                match outcome {
                    EditOutcome::Done => placed.push(Placed::new(alias, record, EventMask::TASK_ADDED)),
                    _ => taken = taken.or(Some(record)),
                }
            }
            if let Some(taken) = taken {
                return Err(Error::ConflictId { id: taken.id().clone(), store: alias.to_string() });
            }
        }
        // Again where another scheduler was quicker.
        while !replacing.is_empty() {
            replacing = self.replace(alias, store, replacing, yield_to_newer, placed).await?;
        }
        Ok(())
    }

    /// Puts tasks in the place of those of their ids, or adds them where there are none; answers which are still to be placed, as
    /// somebody else has changed what was there.
    async fn replace(
        &self,
        alias: &Arc<str>,
        store: &dyn Store,
        tasks: Vec<TaskRecord>,
        yield_to_newer: bool,
        placed: &mut Vec<Placed>,
    ) -> Result<Vec<TaskRecord>, Error> {
        let ids: Vec<_> = tasks.iter().map(|record| record.id().clone()).collect();
        let known = store.load(&ids).await.map_err(|source| failed(alias, source))?;
        let mut pairs: Vec<_> = tasks.into_iter().zip(known).collect();
        // As claims do: two who lock several tasks lock them in one order.
        pairs.sort_by_key(|(_, known)| known.as_ref().map_or(u64::MAX, |known| known.key.0));
        let (mut edits, mut replacing) = (Vec::with_capacity(ids.len()), Vec::with_capacity(ids.len()));
        for (record, known) in pairs {
            let (edit, kind) = match known {
                None => (Edit::Insert(record.clone()), EventMask::TASK_ADDED),
                Some(known) if yield_to_newer && known.definition.release > record.definition.release => {
                    tell_of_newer(alias, &known, &record);
                    continue;
                }
                // Where nothing has changed, too: what is written again is encrypted by the newest key.
                Some(known) => (Edit::Replace(replacement(&known, &record)), EventMask::TASK_MODIFIED),
            };
            edits.push(edit);
            replacing.push((record, kind));
        }
        if edits.is_empty() {
            return Ok(Vec::new());
        }
        let outcomes = self.put(alias, store, &edits).await.map_err(|source| failed(alias, source))?;
        let mut left = Vec::new();
        for ((record, kind), outcome) in replacing.into_iter().zip(outcomes) {
            match outcome {
                EditOutcome::Done => placed.push(Placed::new(alias, record, kind)),
                EditOutcome::Conflict | EditOutcome::NotFound => left.push(record),
            }
        }
        Ok(left)
    }
}

impl Placed {
    fn new(store: &Arc<str>, record: TaskRecord, kind: EventMask) -> Self {
        Self { store: store.clone(), task: record.definition, kind }
    }
}

/// A newer release of the program has declared a task: it stays as that one says.
fn tell_of_newer(alias: &Arc<str>, known: &TaskRecord, ours: &TaskRecord) {
    tracing::warn!(
        target: "asyncz.scheduler",
        store = &**alias,
        task = tracing::field::display(known.id()),
        theirs = known.definition.release,
        ours = ours.definition.release,
        "the task stays as a newer release of the program has declared it"
    );
}

/// `new` in the place of `known`: where the trigger is the same, so is its place in time.
fn replacement(known: &TaskRecord, new: &TaskRecord) -> TaskRecord {
    let version = known.schedule.version + 1;
    let (waiting, key) = (known.waiting.clone(), known.key);
    if known.definition.trigger_digest != new.definition.trigger_digest {
        let (generation, running) = (known.schedule.generation + 1, known.schedule.running);
        let schedule = Schedule { version, generation, running, ..new.schedule };
        return TaskRecord { definition: new.definition.clone(), schedule, waiting, key };
    }
    let mut definition = (*new.definition).clone();
    // What was left open in the trigger was fixed when the task was first added.
    definition.trigger = known.definition.trigger.clone();
    let schedule = Schedule { version, ..known.schedule };
    TaskRecord { definition: Arc::new(definition), schedule, waiting, key }
}
