//! How runs ended: written once, and by the scheduler that has the run.

use std::collections::{BTreeMap, HashMap};

use super::SqlStore;
use super::batch::{Batch, Cell, Columns, Kind};
use super::claims::write_entries;
use super::database::{Database, Step};
use super::rows::{self, ENTRY, TASK, TASK_COLUMNS, TaskRow};
use super::tasks::{IDS, KEYS};
use crate::stores::crypt::Seal;
use crate::stores::{Finish, FinishOutcome, StoreError, Then};
use crate::task::{NodeId, RunId, RunStatus, Schedule};

/// What a run's entry is to say.
pub(super) const END: Columns = &[
    ("b_id", Kind::Text),
    ("b_status", Kind::Text),
    ("b_started", Kind::Int),
    ("b_finished", Kind::Int),
    ("b_value", Kind::Text),
    ("b_error", Kind::Text),
];

/// Writes the columns of [`END`].
pub(super) const SET_END: &str = "status = b_status, started_at = b_started, finished_at = b_finished, \
     value = b_value, error = b_error, place = NULL";

/// A task after ends of its runs.
pub(super) const AFTER: Columns = &[
    ("b_key", Kind::Int),
    ("b_version", Kind::Int),
    ("b_running", Kind::Int),
    ("b_waiting", Kind::Text),
    ("b_due", Kind::Int),
    ("b_deleted", Kind::Int),
];

/// Writes the columns of [`AFTER`].
pub(super) const SET_AFTER: &str = "version = b_version, running = b_running, waiting = b_waiting, due_at = b_due, \
     deleted = b_deleted";

/// An entry of the history as far as its end goes.
#[derive(Debug)]
struct Entry {
    /// `None`: it has ended; 0: its task is gone.
    place: Option<i64>,
    node: Option<String>,
    /// Its handler has committed that it is completed, or it is closed.
    has_ended: bool,
}

/// A task as far as the ends of its runs go.
#[derive(Debug)]
struct Place {
    schedule: Schedule,
    /// As JSON; `None`: nothing waits.
    waiting: Option<String>,
    max_instances: u32,
    is_changed: bool,
}

impl Place {
    fn is_over(&self) -> bool {
        self.schedule.is_over(self.waiting.is_some())
    }
}

/// What is to be written.
struct Ends<'a> {
    by: &'a str,
    seal: &'a Seal,
    entries: HashMap<RunId, Entry>,
    places: HashMap<i64, Place>,
    ends: Batch<'static>,
    /// Runs that had ended, and give up their places.
    closed: Batch<'static>,
    /// Runs that try those again.
    next: Batch<'static>,
}

impl SqlStore {
    pub(super) async fn try_finish(
        &self,
        database: &Database,
        by: NodeId,
        ends: &[Finish],
    ) -> Result<Vec<FinishOutcome>, StoreError> {
        let node = by.to_string();
        if finish_all(database, &node, by, ends).await? {
            let outcome = |end: &Finish| FinishOutcome {
                retried: matches!(end.then, Then::Retry(_)),
                ..FinishOutcome::default()
            };
            return Ok(ends.iter().map(outcome).collect());
        }
        let mut step = database.begin().await?;
        let mut all = Ends::read(&mut step, &node, ends).await?;
        let mut outcomes = Vec::with_capacity(ends.len());
        for end in ends {
            outcomes.push(match all.finish(by, end)? {
                Some(outcome) => outcome,
                None => all.again(&mut step, end).await?,
            });
        }
        all.write(&mut step).await?;
        if ends.iter().any(|end| matches!(end.then, Then::HandOn(_))) {
            self.tell(&mut step).await?;
        }
        step.commit().await?;
        for (end, outcome) in ends.iter().zip(&outcomes) {
            if outcome.removed {
                self.definitions.forget(&rows::key(end.key));
            }
        }
        Ok(outcomes)
    }
}

/// The end of a run that has a place among a task's.
const OURS: Columns = &[
    ("b_id", Kind::Text),
    ("b_status", Kind::Text),
    ("b_started", Kind::Int),
    ("b_finished", Kind::Int),
    ("b_value", Kind::Text),
    ("b_error", Kind::Text),
    ("b_key", Kind::Int),
];

/// How many runs of a task have ended, and how many of them are not tried again.
const COUNTS: Columns = &[("b_key", Kind::Int), ("b_ended", Kind::Int), ("b_over", Kind::Int)];

/// Writes ends of which nothing more follows, as of most: all the runs are the scheduler's, nothing waits for their places,
/// and no task is over with them. `false`: it is not so, and nothing is written.
async fn finish_all(
    database: &Database,
    node: &str,
    by: NodeId,
    ends: &[Finish],
) -> Result<bool, StoreError> {
    let (mut ours, mut counts, mut next) = (Batch::new(OURS), BTreeMap::new(), Batch::new(ENTRY));
    for finish in ends {
        let key = rows::key(finish.key);
        let (ended, over): &mut (i64, i64) = counts.entry(key).or_default();
        *ended += 1;
        match finish.then {
            Then::Over => *over += 1,
            Then::Retry(_) => {}
            Then::HandOn(_) => return Ok(false),
        }
        if let Some((retry, status)) = finish.next() {
            rows::push_entry(&mut next, finish.key, finish.entry(by, &retry, status));
        }
        let [id, status, started, finished, value, error] = end_of(finish, &database.seal)?;
        ours.push([id, status, started, finished, value, error, key.into()]);
    }
    let tasks = counts.len() as u64;
    let mut ended = Batch::new(COUNTS);
    for (key, (count, over)) in counts {
        ended.push([key.into(), count.into(), over.into()]);
    }
    let mut step = database.begin().await?;
    let count = step.writer.update(
        "tasks",
        "version = version + b_ended, running = running - b_over",
        "t.task_key = b_key AND t.deleted = 0 AND t.ended = 0 AND t.waiting IS NULL AND t.running >= b_over",
        "",
    );
    let end = step.writer.update(
        "runs",
        SET_END,
        "t.id = b_id AND t.place = b_key AND t.node = :node AND t.status IN ('claimed', 'running')",
        "",
    );
    let is_all = step.run_batch(&count, &[], ended).await? == tasks
        && step.run_batch(&end, &[("node", node.into())], ours).await? == ends.len() as u64;
    if !is_all {
        step.undo().await?;
        return Ok(false);
    }
    write_entries(&mut step, next).await?;
    step.commit().await?;
    Ok(true)
}

impl<'a> Ends<'a> {
    fn new(by: &'a str, seal: &'a Seal) -> Self {
        Self {
            by,
            seal,
            entries: HashMap::new(),
            places: HashMap::new(),
            ends: Batch::new(END),
            closed: Batch::new(IDS),
            next: Batch::new(ENTRY),
        }
    }

    /// Reads what the ends are about, and locks it: tasks before their runs, as a claim does.
    async fn read(step: &mut Step<'a>, by: &'a str, ends: &[Finish]) -> Result<Self, StoreError> {
        let mut all = Self::new(by, step.seal);
        let mut keys: Vec<i64> = ends.iter().map(|end| rows::key(end.key)).collect();
        loop {
            keys.sort_unstable();
            keys.dedup();
            all.read_places(step, &keys).await?;
            all.read_entries(step, ends).await?;
            // A key is a hint: where it is another's, the run says which task it is.
            let known = |key: &i64| *key == 0 || keys.contains(key);
            let others: Vec<i64> =
                all.entries.values().filter_map(|entry| entry.place).filter(|key| !known(key)).collect();
            if others.is_empty() {
                return Ok(all);
            }
            keys.extend(others);
        }
    }

    async fn read_places(&mut self, step: &mut Step<'_>, keys: &[i64]) -> Result<(), StoreError> {
        for row in step.fetch_batch(&find_tasks(), &[], Batch::of(KEYS, keys.iter().copied())).await? {
            let task = TaskRow::read(&row, 0)?;
            let max_instances = u32::try_from(row.number(TASK_COLUMNS)?).unwrap_or(u32::MAX);
            let place =
                Place { schedule: task.schedule, waiting: task.waiting, max_instances, is_changed: false };
            self.places.insert(task.key, place);
        }
        Ok(())
    }

    async fn read_entries(&mut self, step: &mut Step<'_>, ends: &[Finish]) -> Result<(), StoreError> {
        let mut ids: Vec<_> = ends.iter().map(|end| end.run).collect();
        ids.sort_unstable();
        ids.dedup();
        let ids = Batch::of(IDS, ids.iter().map(RunId::to_string));
        for row in step.fetch_batch(FIND_RUNS, &[], ids).await? {
            let entry = Entry {
                place: row.int(1)?,
                node: row.text(2)?,
                has_ended: rows::status(&row.string(3)?)?.is_final(),
            };
            self.entries.insert(rows::run_id(&row.string(0)?)?, entry);
        }
        Ok(())
    }

    /// `None`: the run has ended already.
    fn finish(&mut self, by: NodeId, finish: &Finish) -> Result<Option<FinishOutcome>, StoreError> {
        let Some(entry) = self.entries.get_mut(&finish.run) else { return Ok(None) };
        let Some(key) = entry.place else { return Ok(None) };
        if entry.node.as_deref() != Some(self.by) {
            return Ok(Some(FinishOutcome { refused: true, ..FinishOutcome::default() }));
        }
        entry.place = None;
        let was_completed = std::mem::replace(&mut entry.has_ended, true);
        if was_completed && finish.end.status != RunStatus::Succeeded {
            // What the handler has committed stands, whatever went wrong afterwards.
            self.closed.cells.push(finish.run.to_string().into());
        } else {
            self.ends.push(end_of(finish, self.seal)?);
        }
        let then = if was_completed { Then::Over } else { finish.then };
        // A run of a task that was deleted meanwhile is counted nowhere, and nobody tries it again.
        let Some(place) = self.places.get_mut(&key) else { return Ok(Some(FinishOutcome::default())) };
        if let Some((retry, status)) = finish.next().filter(|_| !was_completed) {
            rows::push_entry(&mut self.next, rows::store_key(key), finish.entry(by, &retry, status));
        }
        if let Then::HandOn(retry) = then {
            let mut waiting = rows::read_waiting(place.waiting.as_deref()).map_err(StoreError::new)?;
            waiting.insert(0, retry.waiting());
            place.waiting = rows::waiting_text(&waiting)?;
        }
        let retried = matches!(then, Then::Retry(_));
        let schedule = place.schedule;
        place.schedule = if retried { schedule.with_run_retried() } else { schedule.with_run_ended() };
        place.is_changed = true;
        Ok(Some(FinishOutcome {
            retried,
            removed: place.is_over(),
            makes_room: !retried && place.waiting.is_some(),
            ..FinishOutcome::default()
        }))
    }

    /// A run that is over already: the answer was lost and it is asked again, or somebody else has closed it.
    async fn again(&self, step: &mut Step<'_>, finish: &Finish) -> Result<FinishOutcome, StoreError> {
        let known = self.entries.get(&finish.run);
        let refused = known.is_some_and(|entry| entry.node.as_deref() != Some(self.by));
        let mut retried = false;
        if let Then::Retry(retry) = finish.then {
            let sql = "SELECT r.place FROM {runs} AS r WHERE r.id = :run";
            let found = step.fetch(sql, &[("run", retry.run.to_string().into())]).await?;
            let place = found.first().map(|row| row.int(0)).transpose()?.flatten();
            retried = place.is_some_and(|key| key != 0);
        }
        Ok(FinishOutcome { refused, retried, ..FinishOutcome::default() })
    }

    async fn write(self, step: &mut Step<'_>) -> Result<(), StoreError> {
        let end = step.writer.update("runs", SET_END, "t.id = b_id", "");
        step.run_batch(&end, &[], self.ends).await?;
        let close = step.writer.update("runs", "place = NULL", "t.id = b_id", "");
        step.run_batch(&close, &[], self.closed).await?;
        write_entries(step, self.next).await?;
        let mut changed: Vec<_> = self.places.into_iter().filter(|(_, place)| place.is_changed).collect();
        changed.sort_by_key(|(key, _)| *key);
        let mut after = Batch::new(AFTER);
        for (key, place) in changed {
            let is_over = place.is_over();
            let due = rows::due_column(&place.schedule, place.waiting.is_some(), place.max_instances);
            after.push([
                key.into(),
                place.schedule.version.cast_signed().into(),
                place.schedule.running.into(),
                place.waiting.into(),
                due.filter(|_| !is_over).into(),
                is_over.into(),
            ]);
        }
        let change = step.writer.update("tasks", SET_AFTER, "t.task_key = b_key", "");
        step.run_batch(&change, &[], after).await?;
        Ok(())
    }
}

/// Gives up the places of runs of lapsed schedulers that their handlers have committed as completed: nobody will say so again.
pub(super) async fn close_completed(step: &mut Step<'_>, node: &str, now: i64) -> Result<(), StoreError> {
    let values = [("node", node.into()), ("told", now.into())];
    let completed = step.fetch(COMPLETED, &values).await?;
    if completed.is_empty() {
        return Ok(());
    }
    let mut all = Ends::new(node, step.seal);
    let mut keys = completed.iter().map(|row| row.number(1)).collect::<Result<Vec<_>, _>>()?;
    keys.sort_unstable();
    keys.dedup();
    all.read_places(step, &keys).await?;
    for row in completed {
        all.closed.cells.push(row.string(0)?.into());
        if let Some(place) = all.places.get_mut(&row.number(1)?) {
            place.schedule = place.schedule.with_run_ended();
            place.is_changed = true;
        }
    }
    all.write(step).await
}

/// Runs that have ended and still have their places, of schedulers that have lapsed.
const COMPLETED: &str = "SELECT r.id, r.place FROM {runs} AS r {by_place} JOIN {nodes} AS n ON n.id = r.node \
     WHERE r.place IS NOT NULL AND r.status NOT IN ('queued', 'claimed', 'running') AND n.id <> :node \
     AND n.leased_until <= :told";

pub(super) fn find_tasks() -> String {
    format!(
        "SELECT {TASK}, t.max_instances FROM {{batch}} AS b JOIN {{tasks}} AS t ON t.task_key = b_key \
         WHERE t.deleted = 0 ORDER BY t.task_key {{lock}}"
    )
}

pub(super) const FIND_RUNS: &str = "SELECT r.id, r.place, r.node, r.status FROM {batch} AS b JOIN {runs} AS r ON r.id = b_id \
     ORDER BY r.seq {lock}";

fn end_of(finish: &Finish, seal: &Seal) -> Result<[Cell<'static>; END.len()], StoreError> {
    let end = &finish.end;
    let value = end.value.as_ref().map(|value| seal.close_value(finish.run, value)).transpose()?;
    let error = end.error.clone().map(|error| seal.close_error(finish.run, error)).transpose()?;
    Ok([
        finish.run.to_string().into(),
        end.status.as_str().into(),
        end.started_at.map(rows::micros).into(),
        rows::micros(end.finished_at).into(),
        value.map(|value| value.to_string()).into(),
        error.map(rows::clean).into(),
    ])
}
