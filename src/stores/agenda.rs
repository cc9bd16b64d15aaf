//! Which tasks of a store in memory are due, and when.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};

/// Tasks by the instant at which they are due, known by their numbers.
///
/// Tasks that are due at the same instant, as most are in practice, stand in one queue. A task that moves leaves its old
/// entry behind, which is stale then and is dropped when its time comes or when half of all are: looking for it in its
/// queue would cost more than everything else here.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    /// By microseconds since 1970: compared at once, where a date and a time take three times as long.
    queues: BTreeMap<i64, VecDeque<Entry>>,
    /// By the task's number.
    tasks: Vec<Task>,
    entries: usize,
    stale: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    task: u32,
    move_number: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Task {
    /// Only the entry of its last move is not stale.
    moves: u32,
    is_in: bool,
}

/// Fewer stale entries than this are no reason to look through all.
const FEW: usize = 1_000;

impl Agenda {
    /// Puts the task where it belongs now; `None`: nowhere.
    pub(super) fn put(&mut self, task: u32, due: Option<DateTime<Utc>>) {
        if self.tasks.len() <= task as usize {
            self.tasks.resize(task as usize + 1, Task::default());
        }
        let entry = &mut self.tasks[task as usize];
        if std::mem::replace(&mut entry.is_in, due.is_some()) {
            self.stale += 1;
        }
        entry.moves = entry.moves.wrapping_add(1);
        if let Some(due) = due {
            self.queues
                .entry(due.timestamp_micros())
                .or_default()
                .push_back(Entry { task, move_number: entry.moves });
            self.entries += 1;
        }
        if self.stale > FEW && self.stale > self.entries / 2 {
            self.sweep();
        }
    }

    /// The tasks that are due at `now` and wanted, the earliest first, at most `limit`.
    pub(super) fn due(
        &mut self,
        now: DateTime<Utc>,
        limit: usize,
        mut is_wanted: impl FnMut(u32) -> bool,
    ) -> Vec<u32> {
        self.drop_stale();
        let entries = self.queues.range(..=now.timestamp_micros()).flat_map(|(_, queue)| queue);
        let fresh = entries.filter(|entry| is_fresh(&self.tasks, **entry));
        let mut due = Vec::with_capacity(limit.min(self.entries));
        due.extend(fresh.map(|entry| entry.task).filter(|task| is_wanted(*task)).take(limit));
        due
    }

    /// When the first of the wanted tasks is due.
    pub(super) fn first(&mut self, mut is_wanted: impl FnMut(u32) -> bool) -> Option<DateTime<Utc>> {
        self.drop_stale();
        let mut entries =
            self.queues.iter().flat_map(|(due, queue)| queue.iter().map(move |entry| (due, entry)));
        let first = entries.find(|(_, entry)| is_fresh(&self.tasks, **entry) && is_wanted(entry.task));
        first.and_then(|(due, _)| DateTime::from_timestamp_micros(*due))
    }

    /// Drops the stale entries before the first fresh one.
    fn drop_stale(&mut self) {
        while let Some(mut first) = self.queues.first_entry() {
            while let Some(entry) = first.get().front() {
                if is_fresh(&self.tasks, *entry) {
                    return;
                }
                first.get_mut().pop_front();
                self.entries -= 1;
                self.stale -= 1;
            }
            first.remove();
        }
    }

    /// Drops all stale entries.
    fn sweep(&mut self) {
        let Self { queues, tasks, .. } = self;
        queues.retain(|_, queue| {
            queue.retain(|entry| is_fresh(tasks, *entry));
            !queue.is_empty()
        });
        self.entries = queues.values().map(VecDeque::len).sum();
        self.stale = 0;
    }
}

fn is_fresh(tasks: &[Task], entry: Entry) -> bool {
    let task = tasks[entry.task as usize];
    task.is_in && task.moves == entry.move_number
}
