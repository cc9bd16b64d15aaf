//! The calls of a store, on what a directory keeps: each says what it has changed.

use std::collections::BTreeMap;

use super::names::name_of;
use super::state::{Change, State, Touched};
use crate::stores::{
    Beat, Claim, ClaimOutcome, Edit, EditOutcome, Finish, FinishOutcome, Prune, Renewal, RunFilter,
    StoreError,
};
use crate::task::{NodeId, RunId};

/// What a call answers, and what is to be written down before it does.
pub(super) type Answered<T> = Result<(T, Vec<Change>), StoreError>;

impl State {
    pub(super) fn put(&mut self, edits: &[Edit]) -> Answered<Vec<EditOutcome>> {
        let mut touched = Touched::default();
        let mut outcomes = Vec::with_capacity(edits.len());
        for edit in edits {
            let (id, is_deletion) = match edit {
                Edit::Insert(record) | Edit::Replace(record) => (record.id(), false),
                Edit::Delete(id) => (id, true),
            };
            let open = if is_deletion { self.kept.open_runs(id) } else { Vec::new() };
            let is_aside = self.aside.contains_key(&name_of(id));
            let outcome = match is_aside {
                // What can't be read is nobody's to change, but it can be deleted.
                true if !is_deletion => EditOutcome::Conflict,
                true => {
                    self.aside.remove(&name_of(id));
                    EditOutcome::Done
                }
                false => self.kept.edit(edit),
            };
            if outcome == EditOutcome::Done {
                touched.tasks.insert(id.clone());
                touched.runs.extend(open.into_iter().map(|run| (id.clone(), run)));
            }
            outcomes.push(outcome);
        }
        Ok((outcomes, self.changes(touched)?))
    }

    pub(super) fn claim(&mut self, by: NodeId, claims: &[Claim]) -> Answered<Vec<ClaimOutcome>> {
        let mut touched = Touched::default();
        let mut outcomes = Vec::with_capacity(claims.len());
        for claim in claims {
            let outcome = self.kept.claim(by, claim, claim.decided_at, true);
            if matches!(outcome, ClaimOutcome::Won { .. }) {
                let id = &claim.definition.id;
                touched.schedules.insert(id.clone());
                touched.runs.extend(claim.decisions.iter().map(|decision| (id.clone(), decision.run)));
            }
            outcomes.push(outcome);
        }
        Ok((outcomes, self.changes(touched)?))
    }

    pub(super) fn finish(&mut self, by: NodeId, ends: &[Finish]) -> Answered<Vec<FinishOutcome>> {
        let mut touched = Touched::default();
        let mut outcomes = Vec::with_capacity(ends.len());
        for end in ends {
            let id = &end.definition.id;
            let version = self.kept.record(id).map(|record| record.schedule.version);
            let outcome = self.kept.finish(by, end);
            if version != self.kept.record(id).map(|record| record.schedule.version) {
                touched.schedules.insert(id.clone());
            }
            if !outcome.refused {
                touched.runs.push((id.clone(), end.run));
                touched.runs.extend(end.next().map(|(next, _)| (id.clone(), next.run)));
            }
            outcomes.push(outcome);
        }
        Ok((outcomes, self.changes(touched)?))
    }

    pub(super) fn renew(&mut self, beat: &Beat) -> Answered<Renewal> {
        let orphans = self.kept.orphans();
        let before: BTreeMap<NodeId, _> = self.nodes();
        let renewal = self.kept.renew(beat, beat.now);
        let after = self.nodes();
        let closed = orphans.into_iter().filter(|(_, run)| !self.kept.is_orphan(*run)).collect();
        let mut changes = self.changes(Touched { runs: closed, ..Touched::default() })?;
        let news = after.iter().filter(|(id, record)| before.get(id) != Some(record));
        changes.extend(news.map(|(_, record)| Change::Node(record.clone())));
        let left: Vec<NodeId> = before.into_keys().filter(|id| !after.contains_key(id)).collect();
        if !left.is_empty() {
            changes.push(Change::Left(left));
        }
        Ok((renewal, changes))
    }

    fn nodes(&self) -> BTreeMap<NodeId, crate::stores::NodeRecord> {
        self.kept.nodes().into_iter().map(|record| (record.node.id, record)).collect()
    }

    pub(super) fn cancel(&mut self, run: RunId) -> Answered<bool> {
        let is_open = self.kept.cancel(run);
        let task = self.kept.find(&RunFilter::run(run).limit(1)).pop().map(|entry| entry.task);
        let runs = task.filter(|_| is_open).map(|task| (task, run)).into_iter().collect();
        Ok((is_open, self.changes(Touched { runs, ..Touched::default() })?))
    }

    pub(super) fn remove_old(&mut self, prune: &Prune) -> Answered<usize> {
        let places = self.kept.superfluous(prune);
        let changes = self.prune(&places);
        Ok((places.len(), changes))
    }
}
