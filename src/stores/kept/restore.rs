//! What a store needs besides that writes down what is kept here: to look at what a call has changed, and to put back what
//! others have written.

use super::Kept;
use crate::stores::{NodeRecord, Prune};
use crate::task::{NodeId, RunId, RunRecord, Schedule, TaskId, TaskRecord, Waiting};

impl Kept {
    /// Puts a task where one of its id stands, or anew.
    pub(in crate::stores) fn put_task(&mut self, record: TaskRecord) {
        let number = self.number(record.id());
        self.set(number, record);
    }

    /// Writes where a task's schedule stands; nothing, where there is no such task.
    pub(in crate::stores) fn put_schedule(&mut self, id: &TaskId, schedule: Schedule, waiting: Vec<Waiting>) {
        let Some(number) = self.numbers.get(id).copied() else { return };
        let Some(record) = &mut self.places[number as usize].record else { return };
        record.schedule = schedule;
        record.waiting = waiting;
        self.agenda.put(number, record.due_at());
    }

    /// Takes a task out. What becomes of its runs is said of each of them.
    pub(in crate::stores) fn drop_task(&mut self, id: &TaskId) {
        let Some(number) = self.numbers.get(id).copied() else { return };
        self.places[number as usize].record = None;
        self.agenda.put(number, None);
        self.free_if_unused(number);
    }

    /// Puts an entry where it stands already (`known`), or at the end of the history; answers where. `is_orphan`: its task was
    /// deleted while it went on.
    pub(in crate::stores) fn put_run(&mut self, run: RunRecord, is_orphan: bool, known: Option<u32>) -> u32 {
        let number = self.number(&run.task);
        let (id, is_final) = (run.id, run.status.is_final());
        self.close(number, id);
        self.orphans.remove(&id);
        let at = match known {
            Some(at) => {
                *self.history.entry_mut(at) = run;
                at
            }
            None => self.history.add(number, run).0,
        };
        if is_orphan {
            self.orphans.insert(id, at);
        } else if !is_final {
            self.places[number as usize].open.push(at);
        }
        at
    }

    /// Removes an entry that is over.
    pub(in crate::stores) fn drop_run(&mut self, at: u32) {
        let number = self.history.remove(at);
        self.free_if_unused(number);
    }

    /// Where the entry of a task's run stands.
    pub(in crate::stores) fn find_run(&self, task: &TaskId, run: RunId) -> Option<u32> {
        self.history.find_in_task(*self.numbers.get(task)?, run)
    }

    /// The entry that stands there.
    pub(in crate::stores) fn run(&self, at: u32) -> &RunRecord {
        self.history.entry(at)
    }

    /// Whether the task of a run was deleted while it went on.
    pub(in crate::stores) fn is_orphan(&self, run: RunId) -> bool {
        self.orphans.contains_key(&run)
    }

    /// All runs that go on and whose tasks were deleted.
    pub(in crate::stores) fn orphans(&self) -> Vec<(TaskId, RunId)> {
        self.orphans.iter().map(|(run, at)| (self.run(*at).task.clone(), *run)).collect()
    }

    /// The runs of a task that are not over.
    pub(in crate::stores) fn open_runs(&self, task: &TaskId) -> Vec<RunId> {
        let number = self.numbers.get(task);
        let open = number.map(|number| self.places[*number as usize].open.as_slice()).unwrap_or_default();
        open.iter().map(|at| self.run(*at).id).collect()
    }

    /// The entries of a task, the oldest first: where they stand.
    pub(in crate::stores) fn runs_of(&self, task: &TaskId) -> Vec<u32> {
        let number = self.numbers.get(task);
        let mut runs = number.map(|number| self.history.newest_of(*number)).unwrap_or_default();
        runs.reverse();
        runs
    }

    /// Whether a run is to be cancelled.
    pub(in crate::stores) fn is_cancelled(&self, run: RunId) -> bool {
        self.cancelled.contains(&run)
    }

    /// Says whether a run is to be cancelled.
    pub(in crate::stores) fn put_cancelled(&mut self, run: RunId, is_cancelled: bool) {
        if is_cancelled {
            self.cancelled.insert(run);
        } else {
            self.cancelled.remove(&run);
        }
    }

    /// The schedulers that are known.
    pub(in crate::stores) fn nodes(&self) -> Vec<NodeRecord> {
        self.leases.records()
    }

    pub(in crate::stores) fn put_node(&mut self, record: NodeRecord) {
        self.leases.put(record);
    }

    pub(in crate::stores) fn drop_node(&mut self, node: NodeId) {
        self.leases.drop(node);
    }

    /// Where the entries stand that may go, the oldest first.
    pub(in crate::stores) fn superfluous(&self, prune: &Prune) -> Vec<u32> {
        let may_go = |at: &u32| {
            let run = self.run(*at);
            run.status.is_final() && !self.is_orphan(run.id)
        };
        let mut found = Vec::new();
        if let Some(before) = prune.before {
            let oldest = self.history.oldest_first().filter(may_go);
            found.extend(oldest.filter(|at| self.run(*at).decided_at < before).take(prune.limit));
        }
        if let Some(most) = prune.a_task {
            for number in 0..self.places.len() as u32 {
                let left = prune.limit.saturating_sub(found.len());
                if left == 0 || self.history.count(number) <= most {
                    continue;
                }
                let newest = self.history.newest_of(number);
                found.extend(newest.into_iter().skip(most).rev().filter(may_go).take(left));
            }
            found.sort_unstable();
            found.dedup();
        }
        found
    }
}
