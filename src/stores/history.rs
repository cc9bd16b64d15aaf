//! The history that a store keeps in memory.

use std::collections::{BTreeMap, HashMap, VecDeque};

use rustc_hash::FxHashMap;

use super::RunFilter;
use crate::task::{RunId, RunRecord, TaskId};

/// The newest entries of each task and of all, oldest first out.
#[derive(Debug)]
pub(super) struct History {
    a_task: usize,
    in_all: usize,
    next: u64,
    entries: BTreeMap<u64, RunRecord>,
    places: FxHashMap<RunId, u64>,
    of_task: HashMap<TaskId, VecDeque<u64>>,
}

impl History {
    /// A history of at most so many entries.
    pub(super) fn new(a_task: usize, in_all: usize) -> Self {
        Self {
            a_task,
            in_all,
            next: 0,
            entries: BTreeMap::new(),
            places: FxHashMap::default(),
            of_task: HashMap::new(),
        }
    }

    /// Adds an entry, or replaces the one of the same id.
    pub(super) fn put(&mut self, run: &RunRecord) {
        if let Some(place) = self.places.get(&run.id) {
            self.entries.insert(*place, run.clone());
            return;
        }
        let place = self.next;
        self.next += 1;
        self.places.insert(run.id, place);
        self.entries.insert(place, run.clone());
        let of_task = self.of_task.entry(run.task.clone()).or_default();
        of_task.push_back(place);
        let oldest = if of_task.len() > self.a_task {
            of_task.front().copied()
        } else if self.entries.len() > self.in_all {
            self.entries.first_key_value().map(|(place, _)| *place)
        } else {
            None
        };
        if let Some(place) = oldest {
            self.forget(place);
        }
    }

    /// The oldest entry of a task goes.
    fn forget(&mut self, place: u64) {
        let Some(run) = self.entries.remove(&place) else { return };
        self.places.remove(&run.id);
        if let Some(of_task) = self.of_task.get_mut(&run.task) {
            of_task.pop_front();
            if of_task.is_empty() {
                self.of_task.remove(&run.task);
            }
        }
    }

    /// The entries that a filter asks for, newest first.
    pub(super) fn find(&self, filter: &RunFilter) -> Vec<RunRecord> {
        let limit = filter.limit.unwrap_or(usize::MAX);
        let wanted = |run: &&RunRecord| filter.matches(run);
        match (&filter.id, &filter.task) {
            (Some(id), _) => self
                .places
                .get(id)
                .map(|place| &self.entries[place])
                .filter(wanted)
                .cloned()
                .into_iter()
                .collect(),
            (None, Some(task)) => {
                let places = self.of_task.get(task).into_iter().flatten().rev();
                places.map(|place| &self.entries[place]).filter(wanted).take(limit).cloned().collect()
            }
            (None, None) => self.entries.values().rev().filter(wanted).take(limit).cloned().collect(),
        }
    }
}
