//! Tasks as text: exported, and imported again, here or elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tasks::failed;
use super::{Scheduler, Shared};
use crate::Error;
use crate::error::StartProblem;
use crate::events::{Event, EventMask};
use crate::stores::{Edit, EditOutcome, Query, Store};
use crate::task::{Options, Schedule, TaskId, TaskRecord};

/// The form of exports; older ones stay readable.
const VERSION: u64 = 1;

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    v: u64,
    tasks: Vec<T>,
}

/// A task as it stands in an export.
#[derive(Serialize)]
struct Exported {
    store: Arc<str>,
    #[serde(flatten)]
    record: TaskRecord,
}

/// Tasks to be imported: what [`Scheduler::export_tasks`] gave, and what becomes of tasks that are there already.
#[must_use = "nothing is imported until this is given to `Scheduler::import_tasks`"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskImport {
    json: String,
    replace_existing: bool,
}

impl TaskImport {
    /// The tasks of an export.
    pub fn new(json: impl Into<String>) -> Self {
        Self { json: json.into(), replace_existing: false }
    }

    /// Whether tasks of the same id are replaced. Default: false, and [`Error::ConflictId`].
    pub fn replace_existing(mut self, replace: bool) -> Self {
        self.replace_existing = replace;
        self
    }
}

impl<T: Into<String>> From<T> for TaskImport {
    fn from(json: T) -> Self {
        Self::new(json)
    }
}

/// One task of an import, and the one in whose place it comes.
struct Entry {
    record: TaskRecord,
    known: Option<TaskRecord>,
}

type Entries = BTreeMap<Arc<str>, (Arc<dyn Store>, Vec<Entry>)>;

/// What became of an attempt to write an import.
enum Written {
    All,
    /// Somebody changed this task meanwhile; nothing is written.
    Lost(Arc<str>, TaskId),
}

impl Scheduler {
    /// All tasks as JSON that people can read: what they are and where their schedules stand, as stores keep them. With
    /// [`in_store`](Self::in_store), those of one store.
    ///
    /// Handlers are in it by their names alone, runs that are going on and the history not at all; nor are tasks whose
    /// trigger has nothing left. It changes nothing. Where tasks move to another store what they have done stays in the old
    /// one, and [`runs`](Self::runs) finds it as long as the scheduler has both.
    ///
    /// ```
    /// # use asyncz::{AsynczConfig, Error, MemoryStore, Task};
    /// # #[tokio::main] async fn main() -> Result<(), Error> {
    /// # async fn clean_up() {}
    /// # let scheduler = AsynczConfig::new().without_registry().scheduler();
    /// # scheduler.start().await?;
    /// # scheduler.add_task(Task::from_fn("clean_up", clean_up).cron("@daily")).await?;
    /// # scheduler.add_store("new", MemoryStore::new()).await?;
    /// // From one store to another.
    /// let tasks = scheduler.in_store("default").export_tasks().await?;
    /// scheduler.in_store("new").import_tasks(tasks).await?;
    /// scheduler.remove_all_tasks("default").await?;
    /// # assert_eq!(scheduler.info().tasks, 1);
    /// # Ok(()) }
    /// ```
    ///
    /// Dropping the future is harmless.
    ///
    /// # Errors
    /// [`Error::NotRunning`], [`Error::StoreNotFound`], [`Error::Store`].
    pub async fn export_tasks(&self) -> Result<String, Error> {
        self.shared.require_running()?;
        let mut tasks = Vec::new();
        for (alias, store) in self.asked_stores().await? {
            let records = store.query(Query::All).await.map_err(|source| failed(&alias, source))?.tasks;
            let kept = records.into_iter().filter(has_more);
            tasks.extend(kept.map(|record| Exported { store: alias.clone(), record }));
        }
        serde_json::to_string_pretty(&Envelope { v: VERSION, tasks })
            .map_err(|error| refused(format!("a task can't be written as JSON: {error}")))
    }

    /// Adds the tasks of an export, all of them or none; answers how many they were. Each goes to the store that it came
    /// from, or all to the one of [`in_store`](Self::in_store).
    ///
    /// They keep their `next_run_time`, pause and watermark: what has fallen due since meets the rules for late
    /// occurrences. A task that [replaces](TaskImport::replace_existing) one keeps that one's runs and history, and what
    /// was decided since the export is not decided again.
    ///
    /// Where a store fails half-way, or somebody else takes an id meanwhile, what was written is taken back; a run of it
    /// may have started by then.
    ///
    /// # Errors
    /// [`Error::Import`] tells everything that is wrong with the tasks: a handler that is not in this program, wrong
    /// arguments, stores and executors that are not there, text that is no export. [`Error::ConflictId`]: an id is taken.
    /// [`Error::NotRunning`], [`Error::StoreNotFound`], [`Error::Store`].
    ///
    /// # Cancel safety
    /// Dropped half-way, it may leave some of the tasks added and others not.
    pub async fn import_tasks(&self, tasks: impl Into<TaskImport>) -> Result<usize, Error> {
        let TaskImport { json, replace_existing } = tasks.into();
        self.shared.require_running()?;
        loop {
            let entries = self.entries(&json, replace_existing).await?;
            match write(&self.shared, &entries).await? {
                Written::All => return Ok(self.tell_imported(&entries)),
                Written::Lost(..) if replace_existing => {}
                Written::Lost(store, id) => return Err(Error::ConflictId { id, store: store.to_string() }),
            }
        }
    }

    /// The tasks of an import, checked, each with the one that has its id.
    async fn entries(&self, json: &str, replace_existing: bool) -> Result<Entries, Error> {
        let mut imported: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for Exported { store, record } in self.checked(json)? {
            imported.entry(store).or_default().push(record);
        }
        let mut entries = Entries::new();
        for (alias, records) in imported {
            let store = self.shared.known_store(&alias)?;
            let ids: Vec<_> = records.iter().map(|record| record.id().clone()).collect();
            let known = store.load(&ids).await.map_err(|source| failed(&alias, source))?;
            if let Some(taken) = known.iter().flatten().next().filter(|_| !replace_existing) {
                return Err(Error::ConflictId { id: taken.id().clone(), store: alias.to_string() });
            }
            let entry = |(record, known): (TaskRecord, Option<TaskRecord>)| {
                let mut record = in_its_place(record, known.as_ref());
                if known.is_none() {
                    record.schedule.version = self.shared.first_version();
                }
                Entry { record, known }
            };
            let of_store = records.into_iter().zip(known).map(entry).collect();
            entries.insert(alias, (store, of_store));
        }
        Ok(entries)
    }

    /// The tasks of an export, or all that is wrong with them.
    fn checked(&self, json: &str) -> Result<Vec<Exported>, Error> {
        let Envelope { v, tasks } = serde_json::from_str::<Envelope<Value>>(json)
            .map_err(|error| refused(format!("this is no export of tasks: {error}")))?;
        if v != VERSION {
            return Err(refused(format!("this export is of version {v}, and asyncz knows {VERSION}")));
        }
        let mut problems = Vec::new();
        let mut seen = BTreeSet::new();
        let mut checked = Vec::new();
        for (place, task) in tasks.into_iter().enumerate() {
            let label = match task["definition"]["id"].as_str() {
                Some(id) => format!("`{id}`"),
                None => format!("{} of the list", place + 1),
            };
            match Exported::read(task) {
                Err(wrong) => problems.push(StartProblem::new(label, wrong)),
                Ok(mut task) => {
                    task.store = self.only.clone().unwrap_or(task.store);
                    let mut wrong = self.mistakes(&task);
                    if !seen.insert((task.store.clone(), task.record.id().clone())) {
                        wrong.push(format!("it stands there twice for store `{}`", task.store));
                    }
                    problems.extend(wrong.into_iter().map(|wrong| StartProblem::new(label.clone(), wrong)));
                    checked.push(task);
                }
            }
        }
        checked.retain(|task| has_more(&task.record));
        if problems.is_empty() { Ok(checked) } else { Err(Error::Import { problems }) }
    }

    /// What is wrong with a task of an export.
    fn mistakes(&self, Exported { store, record }: &Exported) -> Vec<String> {
        let definition = &*record.definition;
        let mut wrong = Vec::new();
        match self.shared.handler(&definition.handler) {
            None => wrong.push(format!("its handler `{}` is not in this program", definition.handler)),
            Some(handler) => wrong.extend(handler.check_args(definition.args()).err().map(|e| e.to_string())),
        }
        wrong.extend(self.shared.known_store(store).err().map(|error| error.to_string()));
        wrong.extend(self.shared.known_executor(&definition.executor).err().map(|error| error.to_string()));
        wrong.extend(Options::default().change(&definition.rules).err());
        wrong
    }

    /// Tells what was imported; answers how many tasks.
    fn tell_imported(&self, entries: &Entries) -> usize {
        let now = self.shared.clock().now();
        for (alias, (_, entries)) in entries {
            for Entry { record, known } in entries {
                let kind = if known.is_some() { EventMask::TASK_MODIFIED } else { EventMask::TASK_ADDED };
                self.shared.emit(&Event::new(kind, now).alias(alias).task(record.id()));
            }
        }
        entries.values().map(|(_, entries)| entries.len()).sum()
    }
}

impl Exported {
    /// By hand: reading a flattened record, serde would not tell where in it something is wrong.
    fn read(mut task: Value) -> Result<Self, String> {
        let store = task.as_object_mut().and_then(|task| task.remove("store"));
        let store =
            store.as_ref().and_then(Value::as_str).ok_or("store: the alias of its store is missing")?;
        let record = serde_path_to_error::deserialize(task).map_err(|error| error.to_string())?;
        Ok(Self { store: store.into(), record })
    }
}

/// Whether a task will ever run again.
fn has_more(record: &TaskRecord) -> bool {
    !record.schedule.ended || !record.waiting.is_empty()
}

fn refused(message: String) -> Error {
    Error::Import { problems: vec![StartProblem::configuration(message)] }
}

/// An imported task as it comes in the place of `known`, whose runs go on.
fn in_its_place(imported: TaskRecord, known: Option<&TaskRecord>) -> TaskRecord {
    let Some(known) = known else {
        // Whoever runs what the export counted reports it elsewhere.
        let schedule = Schedule { running: 0, ..imported.schedule };
        return TaskRecord { schedule, ..imported };
    };
    let is_same = imported.definition.trigger_digest == known.definition.trigger_digest;
    let mut schedule = Schedule {
        version: known.schedule.version + 1,
        running: known.schedule.running,
        ..imported.schedule
    };
    if is_same {
        schedule.generation = known.schedule.generation;
        schedule.watermark = known.schedule.watermark.max(imported.schedule.watermark);
        let next = schedule.undecided(imported.schedule.next_run_time, &*imported.definition.trigger);
        schedule.ended |= next.is_none() && imported.schedule.next_run_time.is_some();
        schedule.next_run_time = next;
    } else {
        schedule.generation = known.schedule.generation.max(imported.schedule.generation) + 1;
    }
    TaskRecord { definition: imported.definition, schedule, waiting: known.waiting.clone(), key: known.key }
}

/// Writes all entries. Where one can't be written, those before it are taken back.
async fn write(shared: &Shared, entries: &Entries) -> Result<Written, Error> {
    let mut done: Vec<(&Arc<str>, &Arc<dyn Store>, &Entry)> = Vec::new();
    let mut lost = Ok(Written::All);
    for (alias, (store, entries)) in entries {
        let edit = |entry: &Entry| match &entry.known {
            None => Edit::Insert(entry.record.clone()),
            Some(_) => Edit::Replace(entry.record.clone()),
        };
        let edits: Vec<_> = entries.iter().map(edit).collect();
        match shared.put(alias, &**store, &edits).await {
            Err(source) => lost = Err(failed(alias, source)),
            Ok(outcomes) => {
                for (entry, outcome) in entries.iter().zip(outcomes) {
                    match outcome {
                        EditOutcome::Done => done.push((alias, store, entry)),
                        EditOutcome::Conflict | EditOutcome::NotFound => {
                            lost = Ok(Written::Lost(alias.clone(), entry.record.id().clone()));
                        }
                    }
                }
            }
        }
        if !matches!(lost, Ok(Written::All)) {
            break;
        }
    }
    if !matches!(lost, Ok(Written::All)) {
        for (alias, store, entry) in done {
            take_back(shared, alias, &**store, entry).await.map_err(|source| failed(alias, source))?;
        }
    }
    lost
}

/// Puts things as they were before an entry was written.
async fn take_back(
    shared: &Shared,
    alias: &Arc<str>,
    store: &dyn Store,
    entry: &Entry,
) -> Result<(), crate::StoreError> {
    let id = entry.record.id();
    let Some(known) = &entry.known else {
        return shared.put(alias, store, &[Edit::Delete(id.clone())]).await.map(drop);
    };
    loop {
        let Some(now) = store.load(std::slice::from_ref(id)).await?.pop().flatten() else { return Ok(()) };
        let schedule =
            Schedule { version: now.schedule.version + 1, running: now.schedule.running, ..known.schedule };
        let before =
            TaskRecord { definition: known.definition.clone(), schedule, waiting: now.waiting, key: now.key };
        if shared.put(alias, store, &[Edit::Replace(before)]).await? != [EditOutcome::Conflict] {
            return Ok(());
        }
    }
}
