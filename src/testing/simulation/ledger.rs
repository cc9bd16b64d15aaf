//! What every store must have, by what it was asked and what it said: kept beside the store, and compared with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

use chrono::{DateTime, TimeDelta, Utc};

use super::check::{Check, check_completeness, check_time, has_entry, is_of_life, must, same};
use super::invariant::Invariant;
use super::trace::OfDay;
use crate::stores::{
    Claim, ClaimOutcome, Decision, Edit, EditOutcome, Finish, FinishOutcome, Retry, StoreError,
};
use crate::task::{Occurrence, Overlap, RunId, RunRecord, RunStatus, TaskId, TaskRecord, in_words};

/// A scheduler from one start to its end: its number, and which start it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Who {
    pub(super) scheduler: usize,
    pub(super) start: u32,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.scheduler, self.start)
    }
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Ledger {
    tasks: BTreeMap<TaskId, Entered>,
    runs: BTreeMap<RunId, Run>,
    /// The lives of tasks so far: an id that was deleted and added again is another task.
    lives: u64,
    violation: Option<(Invariant, String)>,
    /// The true time.
    now: DateTime<Utc>,
    /// What the store was last asked and said, in words.
    pub(super) said: String,
    pub(super) counts: Counts,
}

/// What was counted in the store.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) decisions: u64,
    pub(super) runs: u64,
    pub(super) won: u64,
    pub(super) lost: u64,
    pub(super) edits: u64,
}

/// A task as it must be.
#[derive(Debug)]
struct Entered {
    life: u64,
    record: TaskRecord,
    /// The last occurrence that is decided, by generation.
    decided: BTreeMap<u32, DateTime<Utc>>,
    /// Its runs that go on.
    running: BTreeSet<RunId>,
    /// Since when what waits for a place has one, by the true time.
    has_room_since: Option<DateTime<Utc>>,
    /// The true time.
    written_at: DateTime<Utc>,
}

#[derive(Debug)]
struct Run {
    task: TaskId,
    life: u64,
    occurrence: Occurrence,
    status: RunStatus,
    /// Who won it.
    of: Who,
    was_started: bool,
}

impl Ledger {
    /// The first invariant that was broken, and how.
    pub(super) fn take_violation(&mut self) -> Option<(Invariant, String)> {
        self.violation.take()
    }

    fn say(&mut self, what: fmt::Arguments<'_>) {
        let separator = if self.said.is_empty() { "" } else { ", " };
        // Writing to a string can't fail.
        _ = write!(self.said, "{separator}{what}");
    }

    fn note(&mut self, check: Check) {
        if let Err(violation) = check {
            self.violation.get_or_insert(violation);
        }
    }

    /// The store failed by itself.
    pub(super) fn failed(&mut self, error: &StoreError) {
        self.note(Err((Invariant::StoreWorks, in_words(error))));
    }

    /// Decisions were to be written.
    pub(super) fn claimed(
        &mut self,
        who: Who,
        claims: &[Claim],
        outcomes: &[ClaimOutcome],
        after: &[Option<TaskRecord>],
        entries: &[Option<RunRecord>],
    ) {
        let mut checks = must(claims.len() == outcomes.len(), Invariant::AnswersAll, String::new);
        self.said.clear();
        for (claim, outcome) in claims.iter().zip(outcomes) {
            self.say(format_args!("{}/{} {outcome:?}", claim.definition.id, claim.schedule.version));
            for Decision { occurrence, status, .. } in &claim.decisions {
                self.say(format_args!(" {} {status}", OfDay(occurrence.due)));
            }
        }
        for (claim, outcome) in claims.iter().zip(outcomes) {
            checks = checks.and_then(|()| match outcome {
                ClaimOutcome::Won { removed } => self.won(who, claim, *removed),
                ClaimOutcome::Lost => self.lost(claim),
            });
        }
        let mut entries = entries.iter();
        for (claim, outcome) in claims.iter().zip(outcomes) {
            for decision in &claim.decisions {
                let entry = entries.next().and_then(Option::as_ref);
                if *outcome != ClaimOutcome::Lost {
                    checks = checks.and_then(|()| has_entry(claim, decision, entry));
                }
            }
        }
        let ids = claims.iter().map(|claim| &claim.definition.id);
        let checks = checks.and_then(|()| self.compare(ids, after));
        self.note(checks);
    }

    fn lost(&mut self, claim: &Claim) -> Check {
        self.counts.lost += 1;
        let known = self.tasks.get(&claim.definition.id);
        let is_from_last =
            known.is_some_and(|known| known.record.schedule.version + 1 == claim.schedule.version);
        must(!is_from_last, Invariant::OnlyStaleLose, || {
            format!("a claim of {} from its last version was lost", claim.definition.id)
        })
    }

    fn won(&mut self, who: Who, claim: &Claim, removed: bool) -> Check {
        self.counts.won += 1;
        let id = &claim.definition.id;
        let Self { tasks, runs, counts, .. } = self;
        let Some(task) = tasks.get_mut(id) else {
            return Err((Invariant::NotAfterDeletion, format!("{id} was deleted before the claim was won")));
        };
        let before = task.record.schedule;
        for decision in &claim.decisions {
            let Decision { run, occurrence, status, reason, .. } = decision;
            let waited = task.record.waiting.iter().any(|waiting| waiting.run == *run);
            counts.decisions += u64::from(!waited);
            counts.runs += u64::from(*status == RunStatus::Claimed);
            must(occurrence.by_hand || !before.paused, Invariant::NotWhilePaused, || {
                format!("{id} due {} was decided while it was paused", occurrence.due)
            })?;
            must(*status == RunStatus::Claimed || reason.is_some(), Invariant::Reasons, || {
                format!("{id} due {} is {status} without a reason", occurrence.due)
            })?;
            let known = runs.get(run);
            let goes_on = waited && known.is_some_and(|known| known.status == RunStatus::Queued);
            let is_new = !waited && known.is_none();
            must(goes_on || is_new, Invariant::OneDecision, || {
                format!("the run of {id} due {} was decided again, as {status}", occurrence.due)
            })?;
            if is_new && !occurrence.by_hand {
                let last = task.decided.insert(occurrence.generation, occurrence.due);
                must(last.is_none_or(|last| last < occurrence.due), Invariant::OneDecision, || {
                    format!(
                        "{id} due {} was decided again, as {status}: all was up to {last:?}",
                        occurrence.due
                    )
                })?;
            }
            let life = task.life;
            let entry = Run {
                task: id.clone(),
                life,
                occurrence: *occurrence,
                status: *status,
                of: who,
                was_started: false,
            };
            runs.insert(*run, entry);
            if *status == RunStatus::Claimed {
                task.running.insert(*run);
            }
        }
        must(claim.definition.name == task.record.definition.name, Invariant::OneLife, || {
            format!("{id} was claimed as it was before it was deleted and added again")
        })?;
        let running = task.running.len() as u32;
        let rules = &task.record.definition.rules;
        let starts = running > before.running;
        let by_hand = claim.decisions.iter().any(|decision| decision.occurrence.by_hand);
        let may_be_more = rules.overlap == Overlap::Allow && !by_hand;
        must(!starts || may_be_more || running <= rules.max_instances, Invariant::MaxInstances, || {
            format!("{running} runs of {id} go on, max_instances is {}", rules.max_instances)
        })?;
        check_completeness(claim, &task.record)?;
        must(claim.schedule.version == before.version + 1, Invariant::CompareAndSwap, || {
            format!(
                "{id} was claimed from version {} at version {}",
                claim.schedule.version - 1,
                before.version
            )
        })?;
        must(claim.schedule.running == running, Invariant::CountsRuns, || {
            format!("{running} runs of {id} go on, its schedule says {}", claim.schedule.running)
        })?;
        task.record.schedule = claim.schedule;
        task.record.waiting.clone_from(&claim.waiting);
        check_time(&task.record, &task.decided, &before)?;
        self.removed_as_over(id, removed)
    }

    /// A task goes with the last that it had to do, and not before.
    fn removed_as_over(&mut self, id: &TaskId, removed: bool) -> Check {
        let is_over = self.tasks.get(id).is_some_and(|task| task.record.is_over());
        if is_over {
            self.tasks.remove(id);
        }
        must(is_over == removed, Invariant::KeepsWhatItSaid, || {
            format!("{id}: over {is_over}, and removed {removed}")
        })
    }

    /// Ends were to be written.
    pub(super) fn finished(
        &mut self,
        who: Who,
        ends: &[Finish],
        outcomes: &[FinishOutcome],
        after: &[Option<TaskRecord>],
        entries: &[Option<RunRecord>],
    ) {
        let mut checks = must(ends.len() == outcomes.len(), Invariant::AnswersAll, String::new);
        self.said.clear();
        for (Finish { definition, occurrence, end, .. }, outcome) in ends.iter().zip(outcomes) {
            let (id, due, retried) = (&definition.id, OfDay(occurrence.due), outcome.retried);
            self.say(format_args!("{id} {due} {} retried: {retried}", end.status));
        }
        for ((end, outcome), entry) in ends.iter().zip(outcomes).zip(entries) {
            checks = checks.and_then(|()| self.ended(who, end, *outcome, entry.as_ref()));
        }
        let checks = checks.and_then(|()| self.compare(ends.iter().map(|end| &end.definition.id), after));
        self.note(checks);
    }

    fn ended(
        &mut self,
        who: Who,
        finish: &Finish,
        outcome: FinishOutcome,
        entry: Option<&RunRecord>,
    ) -> Check {
        let (id, run) = (&finish.definition.id, finish.run);
        let Some(known) = self.runs.get_mut(&run) else {
            return Err((Invariant::ClaimedFirst, format!("a run of {id} has ended that nobody has won")));
        };
        must(entry.is_some_and(|entry| entry.status == finish.end.status), Invariant::EndsAreKept, || {
            format!("a run of {id} ended as {}, its entry says {entry:?}", finish.end.status)
        })?;
        let is_first = !known.status.is_final();
        known.status = finish.end.status;
        let life = known.life;
        let task = self.tasks.get_mut(id).filter(|task| task.life == life);
        let retry = finish.retry.filter(|_| task.is_some());
        match retry {
            Some(_) if !is_first => {
                must(outcome.retried, Invariant::AnswersAgain, || {
                    format!("the retry of a run of {id} is written, but was denied when asked again")
                })?;
            }
            retry => must(outcome.retried == retry.is_some(), Invariant::KeepsWhatItSaid, || {
                format!("retry of a run of {id}: asked for {}, got {}", retry.is_some(), outcome.retried)
            })?,
        }
        let Some(task) = task.filter(|_| is_first) else { return Ok(()) };
        task.running.remove(&run);
        task.record.schedule.version += 1;
        if let Some(Retry { run: retry, occurrence }) = retry {
            self.counts.runs += 1;
            task.running.insert(retry);
            let entry = Run {
                task: id.clone(),
                life,
                occurrence,
                status: RunStatus::Claimed,
                of: who,
                was_started: false,
            };
            self.runs.insert(retry, entry);
            return Ok(());
        }
        task.record.schedule.running -= 1;
        let makes_room = !task.record.waiting.is_empty();
        must(makes_room == outcome.makes_room, Invariant::KeepsWhatItSaid, || {
            format!("the end of a run of {id} makes room for one that waits: {makes_room}")
        })?;
        self.removed_as_over(id, outcome.removed)
    }

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

    /// Compares what the store has with what it must have.
    fn compare<'a>(&mut self, ids: impl Iterator<Item = &'a TaskId>, after: &[Option<TaskRecord>]) -> Check {
        for (id, after) in ids.zip(after) {
            let known = self.tasks.get_mut(id).map(|task| {
                let has_room = task.record.due_at() == Some(DateTime::<Utc>::MIN_UTC);
                task.written_at = self.now;
                task.has_room_since = has_room.then(|| task.has_room_since.unwrap_or(self.now));
                &*task
            });
            match (known, after) {
                (None, None) => {}
                (Some(known), Some(after)) => same(after, &known.record)?,
                (known, _) => {
                    let there = if known.is_some() { "there" } else { "gone" };
                    return Err((Invariant::KeepsWhatItSaid, format!("{id} must be {there}")));
                }
            }
        }
        Ok(())
    }

    /// A scheduler starts to execute a run.
    pub(super) fn started(&mut self, who: Who, id: RunId) {
        let check = match self.runs.get_mut(&id) {
            Some(run) if run.of == who && run.status == RunStatus::Claimed => {
                let is_first = !std::mem::replace(&mut run.was_started, true);
                must(is_first, Invariant::ClaimedFirst, || {
                    format!("a run of {} due {} was started twice", run.task, run.occurrence.due)
                })
            }
            run => Err((Invariant::ClaimedFirst, format!("{who:?} started what it had not won: {run:?}"))),
        };
        self.note(check);
    }

    /// The runs that this scheduler has started and whose end is not in the store, in words.
    pub(super) fn unended(&self, who: Who) -> Vec<String> {
        let unended = self.runs.values().filter(|run| run.of == who && run.was_started);
        let unended = unended.filter(|run| !run.status.is_final());
        unended.map(|run| format!("{} due {}", run.task, run.occurrence.due)).collect()
    }

    /// Whether the end of a run is written.
    pub(super) fn has_ended(&self, run: RunId) -> bool {
        self.runs.get(&run).is_none_or(|run| run.status.is_final())
    }

    /// Runs that were won and that nobody will execute any more: of schedulers that died, or whose answer was lost.
    pub(super) fn stranded(&self) -> u64 {
        self.runs.values().filter(|run| run.status == RunStatus::Claimed).count() as u64
    }

    /// A task that should have been decided, `late` ago, by a clock that says `clock`.
    pub(super) fn overdue(&self, clock: DateTime<Utc>, late: TimeDelta) -> Option<String> {
        let is_overdue = |task: &&Entered| match task.has_room_since {
            Some(since) => since <= self.now - late,
            None => task.record.due_at().is_some_and(|due| due <= clock - late),
        };
        let overdue = self.tasks.values().find(is_overdue)?;
        Some(format!("{} is due since {:?}", overdue.record.id(), overdue.record.schedule.next_run_time))
    }

    /// A task that is due for so long, by a clock that says `clock`, and that nobody has touched meanwhile.
    pub(super) fn forgotten(&self, clock: DateTime<Utc>, long: TimeDelta) -> Option<String> {
        let is_forgotten = |task: &&Entered| {
            task.written_at <= self.now - long && task.record.due_at().is_some_and(|due| due <= clock - long)
        };
        let task = self.tasks.values().find(is_forgotten)?;
        Some(format!("{} is due since {:?}", task.record.id(), task.record.due_at()))
    }

    /// The time is now.
    pub(super) fn set_time(&mut self, now: DateTime<Utc>) {
        self.now = now;
    }
}
