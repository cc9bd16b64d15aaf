//! Tasks: changed by their owners, and found.

use std::collections::HashMap;

use super::RedisStore;
use super::answers::{self, Answer};
use super::parts::parts;
use super::records::{self, Rest, TaskText};
use super::scripts::{DUE, LOAD, ORPHANS, PUT, READ};
use super::words::Words;
use crate::stores::crypt::Seal;
use crate::stores::{Edit, EditOutcome, Found, Query, StoreError, Unreadable, envelope};
use crate::task::{Handlers, RunId, TaskId, TaskRecord};

/// So many tasks are read at a time.
const PAGE: usize = 200;
/// So many are given at most that are due.
const MOST_DUE: usize = 500;
/// What stands on the entry of a run that waited for a place among a deleted task's.
const DELETED: &str = "its task was deleted while it waited";
/// What an edit weighs beside its definition.
const EDIT: usize = 15;

impl RedisStore {
    pub(super) async fn try_put(&self, edits: &[Edit]) -> Result<Vec<EditOutcome>, StoreError> {
        // Unlike every other number of an edit, whoever makes it.
        let mut edited = RunId::boot() >> 1;
        let mut outcomes = Vec::with_capacity(edits.len());
        let weight = |edit: &Edit| match edit {
            Edit::Insert(task) | Edit::Replace(task) => EDIT + 2 * task.waiting.len(),
            Edit::Delete(_) => EDIT,
        };
        let seal = self.seal()?;
        for part in parts(edits, weight, |_| None) {
            let mut words = Words::new();
            let reason = DELETED.len();
            words.text(self.hearing.name()).written(format_args!(" - - {reason} {DELETED}"));
            let mut written = Vec::with_capacity(part.len());
            for edit in part {
                edited += 1;
                push_edit(&mut words, edit, edited, &seal)?;
                written.push(match edit {
                    Edit::Insert(task) | Edit::Replace(task) => Some((task, edited)),
                    Edit::Delete(_) => None,
                });
            }
            let mut answer = Answer::new(self.run("change tasks", &PUT, words).await?)?;
            for letter in answer.text()?.chars() {
                outcomes.push(match letter {
                    'd' => EditOutcome::Done,
                    'c' => EditOutcome::Conflict,
                    _ => EditOutcome::NotFound,
                });
            }
            for (key, written) in answer.list()?.texts()?.iter().zip(written) {
                if let (Some((task, edited)), Ok(key)) = (written, records::hexadecimal(key)) {
                    self.definitions.keep(key.cast_signed(), edited.cast_signed(), task.definition.clone());
                }
            }
        }
        Ok(outcomes)
    }

    pub(super) async fn try_load(&self, ids: &[TaskId]) -> Result<Vec<Option<TaskRecord>>, StoreError> {
        let mut found = HashMap::new();
        for part in ids.chunks(PAGE) {
            let mut words = Words::new();
            part.iter().for_each(|id| _ = words.text(id.as_str()));
            let mut answer = Answer::new(self.run("read tasks", &LOAD, words).await?)?;
            let mut tasks = Vec::with_capacity(part.len());
            while answer.len() > 0 {
                if let (Some(key), Some(task)) = (answer.maybe_text()?, answer.maybe_text()?) {
                    tasks.push((key, task));
                }
            }
            let records = self.records(tasks).await?;
            found.extend(records.tasks.into_iter().map(|task| (task.id().clone(), task)));
        }
        // The same id may be asked for twice.
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    pub(super) async fn try_query(&self, query: &Query) -> Result<Found, StoreError> {
        let (script, limit, handlers, told) = match query {
            Query::Due { now, limit, handlers } => (&DUE, *limit, handlers, *now),
            Query::Orphans { handlers, limit } => (&ORPHANS, *limit, handlers, chrono::DateTime::UNIX_EPOCH),
            Query::All => return self.all().await,
        };
        let mut words = Words::new();
        words.text(&self.told(told)).number(limit.min(MOST_DUE));
        self.push_unreadable(&mut words);
        push_handlers(&mut words, handlers);
        let mut answer = Answer::new(self.run("find tasks", script, words).await?)?;
        let now = self.server_time(&answer.text()?)?;
        let found = self.records(pairs(answer)?).await?;
        Ok(Found { now, ..found })
    }

    /// All tasks, in the order of ids.
    async fn all(&self) -> Result<Found, StoreError> {
        let mut found = Found { now: self.time().await?, ..Found::default() };
        let (mut cursor, mut seen) = ("0".to_owned(), HashMap::new());
        loop {
            let mut page = redis::cmd("HSCAN");
            page.arg(self.settings.root()).arg(&cursor).arg("COUNT").arg(PAGE);
            let mut answer = Answer::new(self.ask("read tasks", &page).await?)?;
            cursor = answer.text()?;
            // A task may come twice, when the server makes room for more meanwhile.
            let mut tasks = pairs(answer.list()?)?;
            tasks.retain(|(key, _)| seen.insert(key.clone(), ()).is_none());
            let records = self.records(tasks).await?;
            found.tasks.extend(records.tasks);
            found.unreadable.extend(records.unreadable);
            if cursor == "0" {
                break;
            }
        }
        found.tasks.sort_unstable_by(|a, b| a.id().cmp(b.id()));
        Ok(found)
    }

    /// What stands there as records, in its order, the definitions from memory or else from the server.
    pub(super) async fn records(&self, tasks: Vec<(String, String)>) -> Result<Found, StoreError> {
        // Definitions are taken now: what is read meanwhile may push them out of memory.
        let with_definition = |(key, text): (String, String)| {
            let task = TaskText::new(&key, text);
            let known = task.as_ref().ok().and_then(|task| self.definition_of(task));
            (task, known, key)
        };
        let tasks: Vec<_> = tasks.into_iter().map(with_definition).collect();
        let unknown: Vec<_> = tasks.iter().filter(|task| task.1.is_none()).map(|(.., key)| key).collect();
        let mut read = HashMap::new();
        for part in unknown.chunks(PAGE) {
            let mut words = Words::new();
            part.iter().for_each(|key| _ = words.text(key));
            let mut answer = Answer::new(self.run("read tasks", &READ, words).await?)?;
            for key in part {
                // Read again as a whole, as it may have changed in between.
                if let (Some(task), Some(definition)) = (answer.maybe_text()?, answer.maybe_text()?) {
                    read.insert((*key).clone(), (TaskText::new(key, task), definition));
                }
            }
        }
        let mut found = Found::default();
        for (task, known, key) in &tasks {
            if let (Ok(task), Some(definition)) = (task, known) {
                match task.record(definition.clone()) {
                    Ok(record) => found.tasks.push(record),
                    Err(reason) => self.push_unread(&mut found, task, definition.id.clone(), reason),
                }
            } else if let Some((task, definition)) = read.get(key) {
                self.push_read(&mut found, key, task, definition)?;
            }
            // Else it was deleted in between.
        }
        Ok(found)
    }

    fn definition_of(&self, task: &TaskText) -> Option<std::sync::Arc<crate::task::TaskDefinition>> {
        self.definitions.find(&task.key.cast_signed(), task.edited.cast_signed())
    }

    /// A task that was read with its definition.
    fn push_read(
        &self,
        found: &mut Found,
        key: &str,
        task: &Result<TaskText, String>,
        definition: &str,
    ) -> Result<(), StoreError> {
        let seal = self.seal()?;
        let (id, envelope) = match records::read_definition(definition) {
            Ok((id, envelope)) => (id, Ok(envelope)),
            // It is known by its key alone.
            Err(reason) => (TaskId::from(key), Err(reason)),
        };
        let task = match task {
            Ok(task) => task,
            Err(reason) => {
                let key = records::hexadecimal(key).map_err(StoreError::new)?;
                if self.definitions.set_aside(key.cast_signed(), 0) {
                    found.unreadable.push(Unreadable { id, reason: reason.clone() });
                }
                return Ok(());
            }
        };
        let definition = envelope.and_then(|envelope| envelope::read(envelope, &id, &seal));
        if let Ok(definition) = &definition {
            let (key, edited) = (task.key.cast_signed(), task.edited.cast_signed());
            self.definitions.keep(key, edited, definition.clone());
        }
        match definition.and_then(|definition| task.record(definition)) {
            Ok(record) => found.tasks.push(record),
            Err(reason) => self.push_unread(found, task, id, reason),
        }
        Ok(())
    }

    fn push_unread(&self, found: &mut Found, task: &TaskText, id: TaskId, reason: String) {
        if self.definitions.set_aside(task.key.cast_signed(), task.edited.cast_signed()) {
            found.unreadable.push(Unreadable { id, reason });
        }
    }

    /// Records that can't be read: keys and edits, which are not given as long as they are as they were.
    pub(super) fn push_unreadable(&self, words: &mut Words) {
        let unreadable = self.definitions.unreadable();
        words.number(2 * unreadable.len());
        for (key, edited) in unreadable {
            words.written(format_args!("{:012x}", key.cast_unsigned()));
            words.written(format_args!("{:016x}", edited.cast_unsigned()));
        }
    }

    pub(super) async fn try_count(&self) -> Result<usize, StoreError> {
        let mut count = redis::cmd("HLEN");
        count.arg(self.settings.root());
        answers::number(self.ask("count tasks", &count).await?)
    }
}

pub(super) fn push_handlers(words: &mut Words, handlers: &Handlers) {
    let names: Vec<_> = handlers.names().collect();
    words.list(&names);
}

/// Keys and tasks that stand one after the other.
fn pairs(mut answer: Answer) -> Result<Vec<(String, String)>, StoreError> {
    let mut pairs = Vec::with_capacity(answer.len() / 2);
    while answer.len() > 0 {
        pairs.push((answer.text()?, answer.text()?));
    }
    Ok(pairs)
}

/// See `scripts/put.lua`.
fn push_edit(words: &mut Words, edit: &Edit, edited: u64, seal: &Seal) -> Result<(), StoreError> {
    let (kind, task) = match edit {
        Edit::Delete(id) => {
            words.text("d").text(id.as_str());
            return Ok(());
        }
        Edit::Insert(task) => ("i", task),
        Edit::Replace(task) => ("r", task),
    };
    let (definition, schedule) = (&task.definition, &task.schedule);
    let max_instances = definition.rules.max_instances;
    let envelope = envelope::write(definition, seal)?;
    words.text(kind).text(task.id().as_str());
    words.written(format_args!("{} ", schedule.version.wrapping_sub(1)));
    words.written(format_args!("{edited:016x}")).written(format_args!("{max_instances:08x}"));
    words.text(&definition.handler).text(&records::definition_text(edited, task.id(), &envelope));
    words.written(format_args!("{}", Rest(schedule, &task.waiting)));
    words.text(&records::score(schedule, !task.waiting.is_empty(), max_instances));
    Ok(())
}
