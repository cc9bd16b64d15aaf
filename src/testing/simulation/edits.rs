//! What users change, and what stores find, as the ledger must have it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::check::{Check, check_time, is_of_life, must, same};
use super::invariant::Invariant;
use super::ledger::{Entered, Ledger};
use crate::stores::{Edit, EditOutcome};
use crate::task::{RunStatus, TaskRecord};

impl Ledger {
    /// Users have changed tasks.
    pub(super) fn edited(&mut self, edits: &[Edit], outcomes: &[EditOutcome], after: &[Option<TaskRecord>]) {
        let mut checks = must(edits.len() == outcomes.len(), Invariant::AnswersAll, String::new);
        self.said.clear();
        for (edit, outcome) in edits.iter().zip(outcomes) {
            match edit {
                Edit::Insert(task) => self.say(format_args!("insert {} {outcome:?}", task.id())),
                Edit::Replace(task) => {
                    let (id, version) = (task.id(), task.schedule.version);
                    self.say(format_args!("replace {id}/{version} {outcome:?}"));
                }
                Edit::Delete(id) => self.say(format_args!("delete {id} {outcome:?}")),
            }
        }
        let mut ids = Vec::new();
        for (edit, outcome) in edits.iter().zip(outcomes) {
            checks = checks.and_then(|()| self.edited_one(edit, *outcome));
            ids.push(match edit {
                Edit::Insert(record) | Edit::Replace(record) => record.id(),
                Edit::Delete(id) => id,
            });
        }
        let checks = checks.and_then(|()| self.compare(ids.into_iter(), after));
        self.note(checks);
    }

    fn edited_one(&mut self, edit: &Edit, outcome: EditOutcome) -> Check {
        let keeps = |holds: bool| {
            must(holds, Invariant::KeepsWhatItSaid, || format!("{outcome:?} is no answer to {edit:?}"))
        };
        let known = match edit {
            Edit::Insert(record) | Edit::Replace(record) => self.tasks.get_mut(record.id()),
            Edit::Delete(id) => self.tasks.get_mut(id),
        };
        let Some(known) = known else {
            return match edit {
                Edit::Insert(record) => {
                    keeps(outcome == EditOutcome::Done)?;
                    self.insert(record);
                    Ok(())
                }
                Edit::Replace(_) | Edit::Delete(_) => keeps(outcome == EditOutcome::NotFound),
            };
        };
        match edit {
            Edit::Insert(_) => keeps(outcome == EditOutcome::Conflict),
            Edit::Delete(id) => {
                keeps(outcome == EditOutcome::Done)?;
                self.counts.edits += 1;
                for waiting in &known.record.waiting {
                    if let Some(run) = self.runs.get_mut(&waiting.run) {
                        run.status = RunStatus::Cancelled;
                    }
                }
                self.tasks.remove(id);
                Ok(())
            }
            Edit::Replace(record) => {
                let before = known.record.schedule;
                if outcome == EditOutcome::Conflict {
                    return must(
                        before.version + 1 != record.schedule.version,
                        Invariant::OnlyStaleLose,
                        || format!("an edit of {} from its last version was refused", record.id()),
                    );
                }
                keeps(outcome == EditOutcome::Done)?;
                self.counts.edits += 1;
                must(is_of_life(record, &known.record), Invariant::OneLife, || {
                    format!("{} was edited as it was before it was deleted and added again", record.id())
                })?;
                must(before.version + 1 == record.schedule.version, Invariant::CompareAndSwap, || {
                    format!("{} was edited from a version that was not its last", record.id())
                })?;
                let key = known.record.key;
                known.record = TaskRecord { key, ..record.clone() };
                check_time(record, &known.decided, &before)
            }
        }
    }

    fn insert(&mut self, record: &TaskRecord) {
        self.lives += 1;
        self.counts.edits += 1;
        let entered = Entered {
            life: self.lives,
            record: record.clone(),
            decided: BTreeMap::new(),
            running: BTreeSet::new(),
            has_room_since: None,
            written_at: self.now,
        };
        self.tasks.insert(record.id().clone(), entered);
    }

    /// A store was asked what is due.
    pub(super) fn found_due(&mut self, now: DateTime<Utc>, limit: usize, found: &[TaskRecord]) {
        let is_due = |task: &TaskRecord| task.due_at().is_some_and(|due| due <= now);
        let due = self.tasks.values().filter(|task| is_due(&task.record)).count();
        let mut checks = must(found.len() == due.min(limit), Invariant::FindsWhatIsDue, || {
            format!("{due} tasks are due at {now}, the store found {}", found.len())
        });
        for task in found {
            checks = checks.and_then(|()| {
                let known = self.tasks.get(task.id());
                let known = known.ok_or_else(|| {
                    (Invariant::NotAfterDeletion, format!("{} is deleted, but was found", task.id()))
                })?;
                must(!task.schedule.paused && is_due(&known.record), Invariant::FindsWhatIsDue, || {
                    format!("{} is not due at {now}, but was found", task.id())
                })?;
                same(task, &known.record)
            });
        }
        self.note(checks);
    }

    /// A store was asked when something is due.
    pub(super) fn found_next_due(&mut self, found: Option<DateTime<Utc>>) {
        let due = self.tasks.values().filter_map(|task| task.record.due_at()).min();
        self.note(must(due == found, Invariant::FindsWhatIsDue, || {
            format!("the next task is due at {due:?}, the store says {found:?}")
        }));
    }
}
