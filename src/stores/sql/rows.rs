//! Tasks and entries of the history as rows, and back.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::batch::{Batch, Columns, Kind};
use super::database::Row;
use crate::stores::StoreError;
use crate::stores::crypt::Seal;
use crate::task::{
    Count, NodeId, Occurrence, RunId, RunRecord, RunStatus, Schedule, StoreKey, TaskDefinition, TaskRecord,
    Waiting,
};

/// Stands in `due_at` where something is to be decided at once: the first instant of the year 1, as not every database has
/// the earliest one of ours.
const AT_ONCE: i64 = -62_135_596_800_000_000;

pub(super) fn micros(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros()
}

pub(super) fn instant(micros: i64) -> Result<DateTime<Utc>, sqlx::Error> {
    DateTime::from_timestamp_micros(micros)
        .ok_or_else(|| unreadable(format!("{micros} microseconds since 1970 are no time")))
}

fn maybe_instant(micros: Option<i64>) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    micros.map(instant).transpose()
}

/// What stands in `due_at`.
pub(super) fn due_at(task: &TaskRecord) -> Option<i64> {
    due_column(&task.schedule, !task.waiting.is_empty(), task.definition.rules.max_instances)
}

/// As [`TaskRecord::due_at`], of a task whose definition was not read.
pub(super) fn due_column(schedule: &Schedule, waits: bool, max_instances: u32) -> Option<i64> {
    let lets_in = waits && schedule.has_room(max_instances);
    if lets_in { Some(AT_ONCE) } else { schedule.next_run_time.map(micros) }
}

/// What `due_at` says.
pub(super) fn due(micros: i64) -> Result<DateTime<Utc>, sqlx::Error> {
    if micros == AT_ONCE { Ok(DateTime::<Utc>::MIN_UTC) } else { instant(micros) }
}

pub(super) fn unreadable(reason: String) -> sqlx::Error {
    sqlx::Error::Decode(reason.into())
}

/// The columns of a task that change with each claim and finish.
pub(super) const SCHEDULE: Columns = &[
    ("b_key", Kind::Int),
    ("b_was", Kind::Int),
    ("b_version", Kind::Int),
    ("b_generation", Kind::Int),
    ("b_running", Kind::Int),
    ("b_next", Kind::Int),
    ("b_watermark", Kind::Int),
    ("b_paused", Kind::Int),
    ("b_ended", Kind::Int),
    ("b_waiting", Kind::Text),
    ("b_due", Kind::Int),
    ("b_deleted", Kind::Int),
    ("b_runs", Kind::Int),
];

/// Writes the columns of [`SCHEDULE`].
pub(super) const SET_SCHEDULE: &str = "version = b_version, generation = b_generation, running = b_running, \
     next_run_time = b_next, watermark = b_watermark, paused = b_paused, ended = b_ended, waiting = b_waiting, \
     due_at = b_due, deleted = b_deleted";

/// A row of [`SCHEDULE`]. `is_over`: the task is removed with it; `runs`: runs are claimed.
pub(super) fn push_schedule(
    batch: &mut Batch<'_>,
    task: &TaskRecord,
    was: u64,
    runs: bool,
) -> Result<(), StoreError> {
    let schedule = &task.schedule;
    batch.push([
        key(task.key).into(),
        was.cast_signed().into(),
        schedule.version.cast_signed().into(),
        schedule.generation.into(),
        schedule.running.into(),
        schedule.next_run_time.map(micros).into(),
        schedule.watermark.map(micros).into(),
        schedule.paused.into(),
        schedule.ended.into(),
        waiting_text(&task.waiting)?.into(),
        due_at(task).into(),
        task.is_over().into(),
        runs.into(),
    ]);
    Ok(())
}

pub(super) fn key(key: StoreKey) -> i64 {
    key.0.cast_signed()
}

pub(super) fn store_key(key: i64) -> StoreKey {
    StoreKey(key.cast_unsigned())
}

/// `None`: nothing waits.
pub(super) fn waiting_text(waiting: &[Waiting]) -> Result<Option<String>, StoreError> {
    if waiting.is_empty() {
        return Ok(None);
    }
    let text = serde_json::to_string(waiting);
    text.map(Some).map_err(|error| StoreError::new("what waits can't be written as JSON").with_source(error))
}

/// What is read of a task but for its definition.
pub(super) const TASK: &str = "t.task_key, t.edited, t.version, t.generation, t.running, t.next_run_time, \
     t.watermark, t.paused, t.ended, t.waiting";
/// How many columns these are.
pub(super) const TASK_COLUMNS: usize = 10;

/// A task but for its definition.
#[derive(Clone, Debug)]
pub(super) struct TaskRow {
    pub(super) key: i64,
    /// Another number after each change of the definition.
    pub(super) edited: i64,
    pub(super) schedule: Schedule,
    pub(super) waiting: Option<String>,
}

impl TaskRow {
    /// Reads the columns of [`TASK`], the first of which is the one of this number.
    pub(super) fn read(row: &Row, first: usize) -> Result<Self, sqlx::Error> {
        Ok(Self {
            key: row.number(first)?,
            edited: row.number(first + 1)?,
            schedule: Schedule {
                version: row.number(first + 2)?.cast_unsigned(),
                generation: small(row.number(first + 3)?)?,
                running: small(row.number(first + 4)?)?,
                next_run_time: maybe_instant(row.int(first + 5)?)?,
                watermark: maybe_instant(row.int(first + 6)?)?,
                paused: row.number(first + 7)? != 0,
                ended: row.number(first + 8)? != 0,
            },
            waiting: row.text(first + 9)?,
        })
    }

    /// The whole of it, or why it can't be read.
    pub(super) fn record(self, definition: Arc<TaskDefinition>) -> Result<TaskRecord, String> {
        let waiting = read_waiting(self.waiting.as_deref())?;
        Ok(TaskRecord { definition, schedule: self.schedule, waiting, key: store_key(self.key) })
    }
}

/// What waits for a place among a task's runs, or why it can't be read.
pub(super) fn read_waiting(text: Option<&str>) -> Result<Vec<Waiting>, String> {
    let waiting = text.map(serde_json::from_str).transpose();
    Ok(waiting.map_err(|error| format!("what waits can't be read: {error}"))?.unwrap_or_default())
}

fn small(number: i64) -> Result<u32, sqlx::Error> {
    u32::try_from(number).map_err(|_| unreadable(format!("{number} is out of bounds")))
}

/// The columns of an entry of the history.
pub(super) const ENTRY: Columns = &[
    ("b_id", Kind::Text),
    ("b_task", Kind::Int),
    ("b_place", Kind::Int),
    ("b_due", Kind::Int),
    ("b_generation", Kind::Int),
    ("b_attempt", Kind::Int),
    ("b_flags", Kind::Int),
    ("b_occurrences", Kind::Int),
    ("b_status", Kind::Text),
    ("b_node", Kind::Text),
    ("b_starts", Kind::Int),
    ("b_decided", Kind::Int),
    ("b_error", Kind::Text),
];

const LATE: i64 = 1;
const BY_HAND: i64 = 2;
const MORE: i64 = 4;

/// A row of [`ENTRY`].
pub(super) fn push_entry(batch: &mut Batch<'_>, task: StoreKey, entry: RunRecord) {
    let Occurrence { due, generation, attempt, is_catch_up, by_hand } = entry.occurrence;
    let flag = |is: bool, flag: i64| if is { flag } else { 0 };
    let flags = flag(is_catch_up, LATE) | flag(by_hand, BY_HAND) | flag(entry.occurrences.more, MORE);
    let task = key(task);
    batch.push([
        entry.id.to_string().into(),
        task.into(),
        (!entry.status.is_final()).then_some(task).into(),
        micros(due).into(),
        generation.into(),
        attempt.into(),
        flags.into(),
        entry.occurrences.at_least.into(),
        entry.status.as_str().into(),
        entry.node.map(|node| node.to_string()).into(),
        entry.starts_at.map(micros).into(),
        micros(entry.decided_at).into(),
        entry.error.map(clean).into(),
    ]);
}

/// Text without what no database keeps in one.
pub(super) fn clean(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// What is read of an entry, the task's id last.
pub(super) const RUN: &str = "r.id, r.due, r.generation, r.attempt, r.flags, r.occurrences, r.status, r.node, \
     r.starts_at, r.decided_at, r.started_at, r.finished_at, r.value, r.error, t.id";
/// How many columns these are.
pub(super) const RUN_COLUMNS: usize = 15;

/// Reads the columns of [`RUN`], the first of which is the one of this number.
pub(super) fn read_run(row: &Row, first: usize, seal: &Seal) -> Result<RunRecord, sqlx::Error> {
    let flags = row.number(first + 4)?;
    let value = row.text(first + 12)?;
    let value: Option<Value> = value.as_deref().map(serde_json::from_str).transpose().map_err(read_error)?;
    let mut run = RunRecord {
        id: run_id(&row.string(first)?)?,
        task: row.string(first + 14)?.into(),
        occurrence: Occurrence {
            due: instant(row.number(first + 1)?)?,
            generation: small(row.number(first + 2)?)?,
            attempt: small(row.number(first + 3)?)?,
            is_catch_up: flags & LATE != 0,
            by_hand: flags & BY_HAND != 0,
        },
        occurrences: Count { at_least: small(row.number(first + 5)?)?, more: flags & MORE != 0 },
        status: status(&row.string(first + 6)?)?,
        node: row.text(first + 7)?.as_deref().map(node_id).transpose()?,
        starts_at: maybe_instant(row.int(first + 8)?)?,
        decided_at: instant(row.number(first + 9)?)?,
        started_at: maybe_instant(row.int(first + 10)?)?,
        finished_at: maybe_instant(row.int(first + 11)?)?,
        value,
        error: row.text(first + 13)?,
    };
    seal.open_run(&mut run);
    Ok(run)
}

pub(super) fn read_error(error: serde_json::Error) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

pub(super) fn run_id(text: &str) -> Result<RunId, sqlx::Error> {
    text.parse().map_err(|_| unreadable(format!("`{text}` is no id of a run")))
}

pub(super) fn node_id(text: &str) -> Result<NodeId, sqlx::Error> {
    let number = u64::from_str_radix(text, 16);
    number.map(NodeId::from).map_err(|_| unreadable(format!("`{text}` is no id of a scheduler")))
}

pub(super) fn status(text: &str) -> Result<RunStatus, sqlx::Error> {
    serde_json::from_value(Value::from(text)).map_err(read_error)
}
