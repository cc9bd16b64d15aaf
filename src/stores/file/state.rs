//! What a directory keeps, in memory; how it changes, and how changes are written down.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::files::HistoryFile;
use super::names::name_of;
use crate::stores::crypt::Seal;
use crate::stores::history::History;
use crate::stores::kept::Kept;
use crate::stores::{NodeRecord, StoreError, Unreadable, envelope};
use crate::task::{NodeId, RunId, RunRecord, Schedule, TaskId, TaskRecord, Waiting};

/// A part of a step, as it stands in the journal. Whoever writes one that is there already changes nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    /// A task, as in its file.
    Task(Value),
    /// Where a task's schedule stands.
    Schedule {
        id: TaskId,
        schedule: Schedule,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        waiting: Vec<Waiting>,
    },
    /// A task that is not there any more.
    Gone(TaskId),
    /// An entry of the history.
    Run(Entry),
    /// Entries that were removed from a task's history.
    Pruned { task: TaskId, runs: Vec<RunId> },
    /// A scheduler.
    Node(NodeRecord),
    /// Schedulers that are not known any more.
    Left(Vec<NodeId>),
    /// The check text of the key: see [`Seal::check`].
    Key(String),
}

impl Change {
    /// The task whose files are to say so.
    pub(super) fn task(&self) -> Option<TaskId> {
        match self {
            Self::Task(file) => Some(id_in(file)),
            Self::Schedule { id, .. } | Self::Gone(id) => Some(id.clone()),
            Self::Run(entry) => Some(entry.run.task.clone()),
            Self::Pruned { task, .. } => Some(task.clone()),
            Self::Node(_) | Self::Left(_) | Self::Key(_) => None,
        }
    }
}

/// An entry of the history, as it is written: what is secret of it is sealed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Its place in the history.
    n: u64,
    /// Its task was deleted while it went on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    orphan: bool,
    /// It is to be cancelled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    cancel: bool,
    #[serde(flatten)]
    pub(super) run: RunRecord,
}

/// A task's file.
#[derive(Serialize, Deserialize)]
struct TaskFile {
    definition: Value,
    schedule: Schedule,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    waiting: Vec<Waiting>,
}

/// A task that can't be read. It is kept as it is, and its name is taken.
#[derive(Debug)]
pub(super) struct Aside {
    what: Unreadable,
    is_told: bool,
    /// What stands in its file, where that is JSON: others may read it, and change its schedule.
    pub(super) file: Option<Value>,
}

/// Where an entry stands: in the history, and in memory.
#[derive(Clone, Copy, Debug)]
struct Place {
    n: u64,
    at: u32,
}

/// What the journal says otherwise than the other files.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    pub(super) tasks: BTreeSet<TaskId>,
    /// Those of which the journal has all: a file that is not on the disk yet can be made of it.
    whole: BTreeSet<TaskId>,
    /// By their tasks.
    pub(super) runs: BTreeMap<TaskId, BTreeSet<RunId>>,
    pub(super) pruned: BTreeMap<TaskId, Vec<RunId>>,
}

impl Dirty {
    /// The tasks whose files are to be written.
    pub(super) fn files(&self) -> BTreeSet<TaskId> {
        self.tasks.iter().chain(self.runs.keys()).chain(self.pruned.keys()).cloned().collect()
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct State {
    pub(super) kept: Kept,
    pub(super) seal: Seal,
    places: FxHashMap<RunId, Place>,
    /// The place that the next entry gets.
    next: u64,
    /// By the names of their files.
    pub(super) aside: BTreeMap<String, Aside>,
    pub(super) dirty: Dirty,
    /// By the names of the tasks' files.
    pub(super) histories: BTreeMap<String, HistoryFile>,
    /// See [`Change::Key`].
    pub(super) key: Option<String>,
    /// Some of it stands in the journal before alone, as a power cut may have taken the files.
    pub(super) is_restored: bool,
}

/// What a call may have changed.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// Tasks that were edited: their definitions, too.
    pub(super) tasks: BTreeSet<TaskId>,
    pub(super) schedules: BTreeSet<TaskId>,
    pub(super) runs: Vec<(TaskId, RunId)>,
}

impl State {
    pub(super) fn new(seal: Seal) -> Self {
        Self {
            // What is old is pruned.
            kept: Kept::new(History::new(usize::MAX, usize::MAX)),
            seal,
            places: FxHashMap::default(),
            next: 0,
            aside: BTreeMap::new(),
            dirty: Dirty::default(),
            histories: BTreeMap::new(),
            key: None,
            is_restored: false,
        }
    }

    /// The changes that a call has made, to be written down.
    pub(super) fn changes(&mut self, touched: Touched) -> Result<Vec<Change>, StoreError> {
        let mut changes = Vec::new();
        let Touched { tasks, schedules, runs } = touched;
        for id in tasks.union(&schedules) {
            let is_whole = tasks.contains(id) || !self.dirty.whole.contains(id);
            changes.push(match self.kept.record(id) {
                None => Change::Gone(id.clone()),
                Some(record) if is_whole => Change::Task(self.file_of(record)?),
                Some(TaskRecord { schedule, waiting, .. }) => {
                    Change::Schedule { id: id.clone(), schedule: *schedule, waiting: waiting.clone() }
                }
            });
        }
        for (task, run) in runs {
            if let Some(entry) = self.entry(&task, run)? {
                changes.push(Change::Run(entry));
            }
        }
        changes.iter().for_each(|change| self.mark(change));
        Ok(changes)
    }

    /// What is to stand in a task's file.
    pub(super) fn file_of(&self, record: &TaskRecord) -> Result<Value, StoreError> {
        let no_json = |error| {
            StoreError::new(format!("task `{}` can't be written as JSON", record.id())).with_source(error)
        };
        let definition = envelope::write(&record.definition, &self.seal)?;
        let definition = serde_json::from_str(&definition).map_err(no_json)?;
        let file = TaskFile { definition, schedule: record.schedule, waiting: record.waiting.clone() };
        serde_json::to_value(file).map_err(no_json)
    }

    /// An entry of the history as it is written; `None`: it is not there.
    pub(super) fn entry(&mut self, task: &TaskId, run: RunId) -> Result<Option<Entry>, StoreError> {
        let place = match self.places.get(&run) {
            Some(place) => *place,
            None => {
                let Some(at) = self.kept.find_run(task, run) else { return Ok(None) };
                let place = Place { n: self.next, at };
                self.next += 1;
                self.places.insert(run, place);
                place
            }
        };
        let mut record = self.kept.run(place.at).clone();
        if let Some(value) = &record.value {
            record.value = Some(self.seal.close_value(run, value)?.into_owned());
        }
        record.error = record.error.map(|error| self.seal.close_error(run, error)).transpose()?;
        let (orphan, cancel) = (self.kept.is_orphan(run), self.kept.is_cancelled(run));
        Ok(Some(Entry { n: place.n, orphan, cancel, run: record }))
    }

    /// All entries of a task as they are written, the oldest first.
    pub(super) fn entries_of(&mut self, task: &TaskId) -> Result<Vec<Entry>, StoreError> {
        let runs: Vec<RunId> = self.kept.runs_of(task).into_iter().map(|at| self.kept.run(at).id).collect();
        runs.into_iter().filter_map(|run| self.entry(task, run).transpose()).collect()
    }

    /// Removes entries of the history; answers how it is written.
    pub(super) fn prune(&mut self, places: &[u32]) -> Vec<Change> {
        let mut pruned: BTreeMap<TaskId, Vec<RunId>> = BTreeMap::new();
        for run in places.iter().map(|at| self.kept.run(*at)) {
            pruned.entry(run.task.clone()).or_default().push(run.id);
        }
        let changes: Vec<_> = pruned.into_iter().map(|(task, runs)| Change::Pruned { task, runs }).collect();
        changes.iter().for_each(|change| self.apply(change.clone()));
        changes
    }

    /// Notes what the other files say otherwise from now on.
    fn mark(&mut self, change: &Change) {
        match change {
            Change::Task(file) => {
                let id = id_in(file);
                self.dirty.whole.insert(id.clone());
                self.dirty.tasks.insert(id);
            }
            Change::Schedule { id, .. } | Change::Gone(id) => drop(self.dirty.tasks.insert(id.clone())),
            Change::Run(entry) => {
                self.dirty.runs.entry(entry.run.task.clone()).or_default().insert(entry.run.id);
            }
            Change::Pruned { task, runs } => {
                self.dirty.pruned.entry(task.clone()).or_default().extend(runs);
            }
            Change::Node(_) | Change::Left(_) | Change::Key(_) => {}
        }
    }

    /// Does what was written down.
    pub(super) fn apply(&mut self, change: Change) {
        self.mark(&change);
        match change {
            Change::Task(file) => {
                let id = id_in(&file);
                self.put_task(name_of(&id), file);
            }
            Change::Schedule { id, schedule, waiting } => match self.aside.get_mut(&name_of(&id)) {
                None => self.kept.put_schedule(&id, schedule, waiting),
                Some(Aside { file, .. }) => {
                    if let Some(file) = file {
                        (file["schedule"], file["waiting"]) = (json(&schedule), json(&waiting));
                    }
                }
            },
            Change::Gone(id) => {
                self.aside.remove(&name_of(&id));
                self.kept.drop_task(&id);
            }
            Change::Run(entry) => self.put_run(entry),
            Change::Pruned { runs, .. } => {
                for place in runs.iter().filter_map(|run| self.places.remove(run)) {
                    self.kept.drop_run(place.at);
                }
            }
            Change::Node(record) => self.kept.put_node(record),
            Change::Left(nodes) => nodes.into_iter().for_each(|node| self.kept.drop_node(node)),
            Change::Key(key) => self.key = Some(key),
        }
    }

    /// Takes over what the files say of the history, and what the journal before and the one of now say of all. Some files may
    /// be newer than these, so that the history is in order only when all is read.
    pub(super) fn restore(&mut self, entries: Vec<Entry>, before: Vec<Vec<Change>>, now: Vec<Vec<Change>>) {
        let mut entries: FxHashMap<RunId, Entry> =
            entries.into_iter().map(|entry| (entry.run.id, entry)).collect();
        self.is_restored = !before.is_empty();
        for steps in [before, now] {
            self.dirty.whole.clear();
            for change in steps.into_iter().flatten() {
                self.mark(&change);
                match change {
                    Change::Run(entry) => drop(entries.insert(entry.run.id, entry)),
                    Change::Pruned { runs, .. } => runs.iter().for_each(|run| drop(entries.remove(run))),
                    other => self.apply(other),
                }
            }
        }
        let mut entries: Vec<Entry> = entries.into_values().collect();
        entries.sort_by_key(|entry| entry.n);
        entries.into_iter().for_each(|entry| self.put_run(entry));
    }

    /// Takes a task over as it is in its file, or sets it aside.
    pub(super) fn put_task(&mut self, name: String, file: Value) {
        match self.read(&name, &file) {
            Ok(record) => {
                self.aside.remove(&name);
                self.kept.put_task(record);
            }
            Err(reason) => {
                let id = Some(id_in(&file)).filter(|id| !id.as_str().is_empty());
                if let Some(id) = id.as_ref().filter(|id| name_of(id) == name) {
                    self.kept.drop_task(id);
                }
                self.set_aside(name, id, reason, Some(file));
            }
        }
    }

    /// Sets a task aside that can't be read.
    pub(super) fn set_aside(
        &mut self,
        name: String,
        id: Option<TaskId>,
        reason: String,
        file: Option<Value>,
    ) {
        let what = Unreadable { id: id.unwrap_or_else(|| name.as_str().into()), reason };
        self.aside.insert(name, Aside { what, is_told: false, file });
    }

    fn read(&self, name: &str, file: &Value) -> Result<TaskRecord, String> {
        let id = id_in(file);
        let TaskFile { definition, schedule, waiting } =
            TaskFile::deserialize(file).map_err(|error| format!("its file is none of a task: {error}"))?;
        let definition = envelope::read(&definition.to_string(), &id, &self.seal)?;
        match name_of(&id) {
            right if right == name => {
                Ok(TaskRecord { definition, schedule, waiting, key: Default::default() })
            }
            right => {
                Err(format!("its file is `{name}.json`, and that of task `{id}` would be `{right}.json`"))
            }
        }
    }

    fn put_run(&mut self, entry: Entry) {
        let Entry { n, orphan, cancel, mut run } = entry;
        self.seal.open_run(&mut run);
        let id = run.id;
        let at = self.kept.put_run(run, orphan, self.places.get(&id).map(|place| place.at));
        self.kept.put_cancelled(id, cancel);
        self.places.insert(id, Place { n, at });
        self.next = self.next.max(n + 1);
    }

    /// What is set aside and was not told yet.
    pub(super) fn untold(&mut self) -> Vec<Unreadable> {
        let untold = self.aside.values_mut().filter(|aside| !aside.is_told);
        let tell = |aside: &mut Aside| {
            aside.is_told = true;
            aside.what.clone()
        };
        untold.map(tell).collect()
    }
}

/// Whose file it is; no id, where it does not say so.
fn id_in(file: &Value) -> TaskId {
    file["definition"]["id"].as_str().unwrap_or_default().into()
}

/// What is always JSON.
fn json<T: Serialize>(of: &T) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}
