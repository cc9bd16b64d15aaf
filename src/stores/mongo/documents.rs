//! Tasks and entries of the history as documents, and back. Times are microseconds since 1970, in UTC.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use mongodb::bson::{self, DateTime as Date, Document, RawDocumentBuf, doc, rawdoc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::stores::crypt::Seal;
use crate::stores::{Finish, StoreError, envelope};
use crate::task::{
    Count, NodeId, Occurrence, RunId, RunRecord, RunStatus, Schedule, StoreKey, TaskDefinition, TaskId,
    TaskRecord, Waiting,
};

/// Stands in `due_at` where something is to be decided at once: the first instant of the year 1, which is before all others.
const AT_ONCE: i64 = -62_135_596_800_000_000;

pub(super) fn micros(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros()
}

pub(super) fn instant(micros: i64) -> Result<DateTime<Utc>, String> {
    DateTime::from_timestamp_micros(micros)
        .ok_or_else(|| format!("{micros} microseconds since 1970 are no time"))
}

fn maybe_instant(micros: Option<i64>) -> Result<Option<DateTime<Utc>>, String> {
    micros.map(instant).transpose()
}

/// What stands in `due_at`: see [`TaskRecord::due_at`].
pub(super) fn due_at(schedule: &Schedule, waits: bool, max_instances: u32) -> Option<i64> {
    let lets_in = waits && schedule.has_room(max_instances);
    if lets_in { Some(AT_ONCE) } else { schedule.next_run_time.map(micros) }
}

/// What `due_at` says.
pub(super) fn due(micros: i64) -> Result<DateTime<Utc>, String> {
    if micros == AT_ONCE { Ok(DateTime::<Utc>::MIN_UTC) } else { instant(micros) }
}

fn small(number: i64) -> Result<u32, String> {
    u32::try_from(number).map_err(|_| format!("{number} is out of bounds"))
}

/// As an error of the store.
pub(super) fn unreadable(reason: String) -> StoreError {
    StoreError::new(format!("what is stored can't be read: {reason}"))
}

fn as_document(what: &impl Serialize) -> Result<RawDocumentBuf, StoreError> {
    bson::serialize_to_raw_document_buf(what)
        .map_err(|error| StoreError::new("it can't be written as a document").with_source(error))
}

/// A document as one of ours, or why it is none.
pub(super) fn read<T: DeserializeOwned>(document: &RawDocumentBuf) -> Result<T, String> {
    bson::deserialize_from_slice(document.as_bytes()).map_err(|error| error.to_string())
}

/// Where a task's schedule stands, as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredSchedule {
    version: i64,
    generation: i64,
    running: i64,
    next_run_time: Option<i64>,
    watermark: Option<i64>,
    paused: bool,
    ended: bool,
}

impl From<&Schedule> for StoredSchedule {
    fn from(schedule: &Schedule) -> Self {
        Self {
            version: schedule.version.cast_signed(),
            generation: schedule.generation.into(),
            running: schedule.running.into(),
            next_run_time: schedule.next_run_time.map(micros),
            watermark: schedule.watermark.map(micros),
            paused: schedule.paused,
            ended: schedule.ended,
        }
    }
}

impl StoredSchedule {
    pub(super) fn read(&self) -> Result<Schedule, String> {
        Ok(Schedule {
            version: self.version.cast_unsigned(),
            generation: small(self.generation)?,
            running: small(self.running)?,
            next_run_time: maybe_instant(self.next_run_time)?,
            watermark: maybe_instant(self.watermark)?,
            paused: self.paused,
            ended: self.ended,
        })
    }
}

/// A task as it is read; its definition may be known already.
#[derive(Debug, Deserialize)]
pub(super) struct TaskDocument {
    #[serde(rename = "_id")]
    pub(super) id: String,
    /// Another number after each change of the definition.
    pub(super) edited: i64,
    schedule: StoredSchedule,
    waiting: Option<String>,
    #[serde(default)]
    pub(super) envelope: Option<String>,
    max_instances: i64,
}

/// What is read of a task but for its definition.
pub(super) fn without_definition() -> Document {
    doc! { "_id": 1, "edited": 1, "schedule": 1, "waiting": 1, "max_instances": 1 }
}

impl TaskDocument {
    /// The whole of it, or why it can't be read.
    pub(super) fn record(&self, definition: Arc<TaskDefinition>) -> Result<TaskRecord, String> {
        let (schedule, waiting) = (self.schedule.read()?, self.waiting()?);
        Ok(TaskRecord { definition, schedule, waiting, key: StoreKey::default() })
    }

    pub(super) fn schedule(&self) -> Result<Schedule, String> {
        self.schedule.read()
    }

    pub(super) fn max_instances(&self) -> u32 {
        u32::try_from(self.max_instances).unwrap_or(u32::MAX)
    }

    /// What waits for a place among its runs.
    pub(super) fn waiting(&self) -> Result<Vec<Waiting>, String> {
        let Some(text) = &self.waiting else { return Ok(Vec::new()) };
        let waiting = serde_json::from_str(text);
        waiting.map_err(|error| format!("what waits can't be read: {error}"))
    }
}

/// `None`: nothing waits.
fn waiting_text(waiting: &[Waiting]) -> Result<Option<String>, StoreError> {
    if waiting.is_empty() {
        return Ok(None);
    }
    let text = serde_json::to_string(waiting)
        .map_err(|error| StoreError::new("what waits can't be written as JSON").with_source(error))?;
    Ok(Some(text))
}

/// What changes of a task with each claim and end.
pub(super) fn set_schedule(
    schedule: &Schedule,
    waiting: &[Waiting],
    max_instances: u32,
) -> Result<RawDocumentBuf, StoreError> {
    #[derive(Serialize)]
    struct Changed {
        schedule: StoredSchedule,
        waiting: Option<String>,
        due_at: Option<i64>,
    }
    as_document(&Changed {
        schedule: schedule.into(),
        waiting: waiting_text(waiting)?,
        due_at: due_at(schedule, !waiting.is_empty(), max_instances),
    })
}

/// A task as its owner writes it; `edited`: the number of the edit.
pub(super) fn task_document(
    task: &TaskRecord,
    edited: i64,
    seal: &Seal,
) -> Result<RawDocumentBuf, StoreError> {
    #[derive(Serialize)]
    struct Written<'a> {
        _id: &'a str,
        handler: &'a str,
        envelope: String,
        edited: i64,
        max_instances: i64,
        schedule: StoredSchedule,
        waiting: Option<String>,
        due_at: Option<i64>,
    }
    let max_instances = task.definition.rules.max_instances;
    as_document(&Written {
        _id: task.id().as_str(),
        handler: &task.definition.handler,
        envelope: envelope::write(&task.definition, seal)?,
        edited,
        max_instances: max_instances.into(),
        schedule: (&task.schedule).into(),
        waiting: waiting_text(&task.waiting)?,
        due_at: due_at(&task.schedule, !task.waiting.is_empty(), max_instances),
    })
}

/// What a run's entry holds as long as it is not over, in `open`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Open {
    /// It waits for a place among its task's runs.
    Waits,
    /// It has one.
    Runs,
    /// It goes on, and its task is gone.
    Orphan,
}

impl Open {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Waits => "waits",
            Self::Runs => "runs",
            Self::Orphan => "orphan",
        }
    }

    pub(super) fn of(status: RunStatus) -> Option<Self> {
        match status {
            RunStatus::Queued => Some(Self::Waits),
            status if status.is_final() => None,
            _ => Some(Self::Runs),
        }
    }
}

/// An entry of the history as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EntryDocument {
    #[serde(rename = "_id", skip_serializing)]
    id: String,
    task: String,
    open: Option<Open>,
    due: i64,
    generation: i64,
    attempt: i64,
    is_catch_up: bool,
    by_hand: bool,
    occurrences: i64,
    /// It stands for more occurrences than were counted.
    more: bool,
    status: String,
    node: Option<String>,
    /// A user wants it to be cancelled.
    #[serde(default)]
    cancel: Option<bool>,
    starts_at: Option<i64>,
    decided_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    value: Option<String>,
    error: Option<String>,
}

impl From<RunRecord> for EntryDocument {
    fn from(entry: RunRecord) -> Self {
        let Occurrence { due, generation, attempt, is_catch_up, by_hand } = entry.occurrence;
        Self {
            id: entry.id.to_string(),
            task: entry.task.to_string(),
            open: Open::of(entry.status),
            due: micros(due),
            generation: generation.into(),
            attempt: attempt.into(),
            is_catch_up,
            by_hand,
            occurrences: entry.occurrences.at_least.into(),
            more: entry.occurrences.more,
            status: entry.status.as_str().to_owned(),
            node: entry.node.map(|node| node.to_string()),
            cancel: None,
            starts_at: entry.starts_at.map(micros),
            decided_at: micros(entry.decided_at),
            started_at: entry.started_at.map(micros),
            finished_at: entry.finished_at.map(micros),
            // What a run has returned stands in its end.
            value: None,
            error: entry.error,
        }
    }
}

impl EntryDocument {
    pub(super) fn record(self, seal: &Seal) -> Result<RunRecord, String> {
        let value: Option<Value> =
            self.value.as_deref().map(serde_json::from_str).transpose().map_err(text)?;
        let mut run = RunRecord {
            id: run_id(&self.id)?,
            task: TaskId::from(self.task),
            occurrence: Occurrence {
                due: instant(self.due)?,
                generation: small(self.generation)?,
                attempt: small(self.attempt)?,
                is_catch_up: self.is_catch_up,
                by_hand: self.by_hand,
            },
            occurrences: Count { at_least: small(self.occurrences)?, more: self.more },
            status: serde_json::from_value(Value::from(self.status)).map_err(text)?,
            node: self.node.as_deref().map(node_id).transpose()?,
            starts_at: maybe_instant(self.starts_at)?,
            decided_at: instant(self.decided_at)?,
            started_at: maybe_instant(self.started_at)?,
            finished_at: maybe_instant(self.finished_at)?,
            value,
            error: self.error,
        };
        seal.open_run(&mut run);
        Ok(run)
    }
}

fn text(error: serde_json::Error) -> String {
    error.to_string()
}

pub(super) fn run_id(text: &str) -> Result<RunId, String> {
    text.parse().map_err(|_| format!("`{text}` is no id of a run"))
}

pub(super) fn node_id(text: &str) -> Result<NodeId, String> {
    let number = u64::from_str_radix(text, 16);
    number.map(NodeId::from).map_err(|_| format!("`{text}` is no id of a scheduler"))
}

/// When an entry was made, which gives its place in the history: the store's time to the millisecond. Of entries of the same
/// millisecond the greater run id is the newer.
pub(super) enum Made {
    At(DateTime<Utc>),
    /// By the server's clock: what is told is by a scheduler's own.
    Now,
}

/// The statement that writes an entry, in the place of the one of the same run where there is one.
pub(super) fn write_entry(entry: RunRecord, made: Made) -> Result<RawDocumentBuf, StoreError> {
    let entry = EntryDocument::from(entry);
    let set = as_document(&entry)?;
    let id = entry.id.as_str();
    Ok(match made {
        Made::At(at) => {
            let made = Date::from_millis(at.timestamp_millis());
            rawdoc! {
                "q": { "_id": id },
                "u": { "$set": set, "$setOnInsert": { "made_at": made } },
                "upsert": true,
            }
        }
        Made::Now => rawdoc! {
            "q": { "_id": id },
            "u": { "$set": set, "$currentDate": { "made_at": true } },
            "upsert": true,
        },
    })
}

/// The document of an entry whose run has none yet.
pub(super) fn new_entry(entry: RunRecord) -> Result<RawDocumentBuf, StoreError> {
    let made = Date::from_millis(entry.decided_at.timestamp_millis());
    let entry = EntryDocument::from(entry);
    let mut document = as_document(&entry)?;
    document.append(bson::raw::cstr!("_id"), entry.id);
    document.append(bson::raw::cstr!("made_at"), made);
    Ok(document)
}

/// A document takes 16 MB: so much of it may be a result, and so much an error.
const LARGEST_VALUE: usize = 12_000_000;
const LARGEST_ERROR: usize = 2_000_000;

/// A result and an error as an entry can hold them: what is too large says so, as the end of its run would never be written.
fn within_bounds(finish: &Finish, seal: &Seal) -> Result<(Option<String>, Option<String>), StoreError> {
    let (run, end) = (finish.run, &finish.end);
    let value = end.value.as_ref().map(|value| seal.close_value(run, value)).transpose()?;
    let value = value.map(|value| value.to_string());
    if let Some(bytes) = value.as_ref().map(String::len).filter(|bytes| *bytes > LARGEST_VALUE) {
        let why = format!("its result is not kept: it has {bytes} bytes, and MongoDB keeps {LARGEST_VALUE}");
        return Ok((None, Some(seal.close_error(run, why)?)));
    }
    let error = end.error.as_ref().map(|error| {
        let cut = (0..=LARGEST_ERROR.min(error.len())).rev().find(|cut| error.is_char_boundary(*cut));
        seal.close_error(run, error[..cut.unwrap_or_default()].to_owned())
    });
    Ok((value, error.transpose()?))
}

/// What the end of a run sets in its entry.
pub(super) fn set_end(finish: &Finish, seal: &Seal) -> Result<RawDocumentBuf, StoreError> {
    #[derive(Serialize)]
    struct Ended {
        open: Option<Open>,
        cancel: Option<bool>,
        status: &'static str,
        started_at: Option<i64>,
        finished_at: i64,
        value: Option<String>,
        error: Option<String>,
    }
    let end = &finish.end;
    let (value, error) = within_bounds(finish, seal)?;
    as_document(&Ended {
        open: None,
        cancel: None,
        status: end.status.as_str(),
        started_at: end.started_at.map(micros),
        finished_at: micros(end.finished_at),
        value,
        error,
    })
}

/// What a loss sets in a run's entry, which keeps what it says of the time before.
pub(super) fn set_loss(by: NodeId, at: DateTime<Utc>, reason: Option<&str>) -> RawDocumentBuf {
    let mut set = rawdoc! {
        "open": null,
        "cancel": null,
        "status": RunStatus::Lost.as_str(),
        "node": by.to_string(),
        "finished_at": micros(at),
    };
    match reason {
        Some(reason) => set.append(bson::raw::cstr!("error"), reason),
        None => set.append(bson::raw::cstr!("error"), bson::RawBson::Null),
    }
    set
}
