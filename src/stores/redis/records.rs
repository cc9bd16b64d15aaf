//! Tasks and entries of the history as texts, and back. What the texts look like stands in `scripts/common.lua`.

use std::fmt::{self, Write};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::stores::crypt::Seal;
use crate::stores::{Finish, StoreError};
use crate::task::{
    Count, NodeId, Occurrence, RunId, RunRecord, RunStatus, Schedule, StoreKey, TaskDefinition, TaskId,
    TaskRecord, Waiting,
};

/// A task's key as the server has it.
pub(super) fn key_text(key: StoreKey) -> String {
    format!("{:012x}", key.0)
}

/// A time in milliseconds since 1970, with what is left of them behind a point: a score that is exact for a number of the
/// server's.
struct Millis(DateTime<Utc>);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.timestamp_micros();
        let (sign, micros) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
        match micros % 1_000 {
            0 => write!(f, "{sign}{}", micros / 1_000),
            rest => write!(f, "{sign}{}.{rest:03}", micros / 1_000),
        }
    }
}

/// A word that may be missing.
struct Maybe<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for Maybe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(word) => word.fmt(f),
            None => f.write_str("-"),
        }
    }
}

fn micros(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros()
}

/// Where the task stands among those of its handler; empty: it is not due.
pub(super) fn score(schedule: &Schedule, waits: bool, max_instances: u32) -> String {
    if waits && schedule.has_room(max_instances) {
        return "-inf".to_owned();
    }
    schedule.next_run_time.map(|next| Millis(next).to_string()).unwrap_or_default()
}

/// What a score says.
pub(super) fn due(score: &str) -> Result<Option<DateTime<Utc>>, String> {
    match score {
        "" => Ok(None),
        "-inf" => Ok(Some(DateTime::<Utc>::MIN_UTC)),
        score => {
            let millis: f64 = score.parse().map_err(|_| format!("`{score}` is no time"))?;
            instant((millis * 1_000.0).round() as i64).map(Some)
        }
    }
}

/// A schedule, and what waits, from the 31st place of the task on.
#[derive(Debug)]
pub(super) struct Rest<'a>(pub(super) &'a Schedule, pub(super) &'a [Waiting]);

impl fmt::Display for Rest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(schedule, waiting) = self;
        write!(f, "{} {} ", schedule.version, schedule.running)?;
        let flags = [(schedule.ended, 'e'), (schedule.paused, 'p'), (!waiting.is_empty(), 'w'), (true, '-')];
        let mut has_flags = false;
        for (is, flag) in flags {
            if is && !(flag == '-' && has_flags) {
                f.write_char(flag)?;
                has_flags = true;
            }
        }
        let (next, watermark) = (schedule.next_run_time.map(Millis), schedule.watermark.map(Millis));
        write!(f, " {} {} {}", schedule.generation, Maybe(next), Maybe(watermark))?;
        waiting.iter().try_for_each(|waiting| write!(f, "\n{}", Waits(waiting)))
    }
}

/// An occurrence that waits, in a line.
#[derive(Debug)]
pub(super) struct Waits<'a>(pub(super) &'a Waiting);

impl fmt::Display for Waits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string(self.0).map_err(|_| fmt::Error)?;
        write!(f, "{}{json}", self.0.run)
    }
}

/// A task but for its definition.
#[derive(Debug)]
pub(super) struct TaskText {
    pub(super) key: u64,
    /// Another number after each change of the definition.
    pub(super) edited: u64,
    text: String,
}

impl TaskText {
    pub(super) fn new(key: &str, text: String) -> Result<Self, String> {
        let key = hexadecimal(key)?;
        let edited = hexadecimal(text.get(6..22).ok_or("it is cut off")?)?;
        Ok(Self { key, edited, text })
    }

    /// The whole of it, or why it can't be read.
    pub(super) fn record(&self, definition: Arc<TaskDefinition>) -> Result<TaskRecord, String> {
        let rest = self.text.get(30..).ok_or("it is cut off")?;
        let mut lines = rest.split('\n');
        let mut words = Words(lines.next().unwrap_or_default());
        let (version, running) = (words.number()?, words.number()?);
        let flags = words.word()?;
        let schedule = Schedule {
            version,
            running,
            generation: words.number()?,
            next_run_time: words.maybe()?.map(due).transpose()?.flatten(),
            watermark: words.maybe()?.map(due).transpose()?.flatten(),
            paused: flags.contains('p'),
            ended: flags.contains('e'),
        };
        let waiting = lines.map(|line| {
            let json = line.get(32..).ok_or("what waits is cut off")?;
            serde_json::from_str(json).map_err(|error| format!("what waits can't be read: {error}"))
        });
        let waiting = waiting.collect::<Result<_, String>>()?;
        Ok(TaskRecord { definition, schedule, waiting, key: StoreKey(self.key) })
    }
}

/// The version of a task as it stands there; `None`: it can't be read.
pub(super) fn version(task: &str) -> Option<u64> {
    Words(task.get(30..)?).number().ok()
}

/// A definition with what tells it from others: its edit, and the task's id.
pub(super) fn definition_text(edited: u64, id: &TaskId, envelope: &str) -> String {
    format!("{edited:016x} {} {id}{envelope}", id.as_str().len())
}

/// The id of the task of a definition, and the envelope.
pub(super) fn read_definition(text: &str) -> Result<(TaskId, &str), String> {
    let mut words = Words(text);
    words.word()?;
    let id = words.counted()?.ok_or("it has no id")?;
    Ok((id.into(), words.0))
}

/// A text after its length.
struct Counted<'a>(&'a str);

impl fmt::Display for Counted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.len(), self.0)
    }
}

const LATE: u32 = 1;
const BY_HAND: u32 = 2;
const MORE: u32 = 4;

/// An entry from its 30th place on.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) task: &'a TaskId,
    pub(super) occurrence: &'a Occurrence,
    pub(super) occurrences: Count,
    pub(super) starts_at: Option<DateTime<Utc>>,
    pub(super) decided_at: DateTime<Utc>,
    pub(super) reason: Option<String>,
}

impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Occurrence { due, generation, attempt, is_catch_up, by_hand } = self.occurrence;
        let flag = |is: bool, flag: u32| if is { flag } else { 0 };
        let flags = flag(*is_catch_up, LATE) | flag(*by_hand, BY_HAND) | flag(self.occurrences.more, MORE);
        let (due, starts, decided) = (micros(*due), self.starts_at.map(micros), micros(self.decided_at));
        let (count, starts) = (self.occurrences.at_least, Maybe(starts));
        write!(f, "{due} {generation} {attempt} {flags} {count} {starts} {decided} ")?;
        write!(f, "{} {}", Counted(self.task.as_str()), Maybe(self.reason.as_deref().map(Counted)))
    }
}

/// How a run ended, behind its entry.
#[derive(Debug)]
pub(super) struct End<'a> {
    pub(super) started_at: Option<DateTime<Utc>>,
    pub(super) finished_at: Option<DateTime<Utc>>,
    pub(super) told: Told<'a>,
}

/// Where it stands what a run has returned, or what went wrong.
#[derive(Debug)]
pub(super) enum Told<'a> {
    Nowhere,
    /// Among the results, which are as long as they like.
    Apart,
    Here(&'a str),
}

impl fmt::Display for End<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (started, finished) = (self.started_at.map(micros), self.finished_at.map(micros));
        write!(f, " {} {} ", Maybe(started), Maybe(finished))?;
        match self.told {
            Told::Nowhere => f.write_char('-'),
            Told::Apart => f.write_char('r'),
            Told::Here(text) => Counted(text).fmt(f),
        }
    }
}

/// What a run has returned, and what went wrong; `None`: nothing is said.
pub(super) fn result_text(seal: &Seal, finish: &Finish) -> Result<Option<String>, StoreError> {
    let (value, error) = (finish.end.value.as_ref(), finish.end.error.clone());
    if value.is_none() && error.is_none() {
        return Ok(None);
    }
    let value = value.map(|value| seal.close_value(finish.run, value)).transpose()?;
    let value = value.map(|value| value.to_string());
    let error = error.map(|error| seal.close_error(finish.run, error)).transpose()?;
    let length = |text: &Option<String>| Maybe(text.as_ref().map(String::len)).to_string();
    let lengths = format!("{} {} ", length(&value), length(&error));
    Ok(Some(lengths + &value.unwrap_or_default() + &error.unwrap_or_default()))
}

/// The status as the first letter of an entry.
pub(super) fn letter(status: RunStatus) -> &'static str {
    LETTERS.iter().find(|(known, _)| *known == status).map_or("l", |(_, letter)| letter)
}

const LETTERS: [(RunStatus, &str); 10] = [
    (RunStatus::Queued, "q"),
    (RunStatus::Claimed, "c"),
    (RunStatus::Running, "r"),
    (RunStatus::Succeeded, "s"),
    (RunStatus::Failed, "f"),
    (RunStatus::Missed, "m"),
    (RunStatus::Skipped, "k"),
    (RunStatus::Coalesced, "o"),
    (RunStatus::Cancelled, "x"),
    (RunStatus::Lost, "l"),
];

/// An entry of the history, or why it can't be read. `result`: what stands apart of it.
pub(super) fn read_entry(
    run: &str,
    entry: &str,
    result: Option<&str>,
    seal: &Seal,
) -> Result<RunRecord, String> {
    let id: RunId = run.parse().map_err(|_| format!("`{run}` is no id of a run"))?;
    let (head, rest) = entry.split_at_checked(29).ok_or("it is cut off")?;
    let status = LETTERS.iter().find(|(_, letter)| head.starts_with(letter)).ok_or("it has no status")?.0;
    let node = head.get(1..17).filter(|node| !node.starts_with('-')).map(hexadecimal).transpose()?;
    let mut words = Words(rest);
    let (due, generation, attempt) = (instant(words.number()?)?, words.number()?, words.number()?);
    let flags: u32 = words.number()?;
    let occurrences = Count { at_least: words.number()?, more: flags & MORE != 0 };
    let starts_at = words.maybe_instant()?;
    let decided_at = instant(words.number()?)?;
    let task = words.counted()?.ok_or("it has no task")?;
    words.skip_blank();
    let reason = words.counted()?.map(str::to_owned);
    let mut read = RunRecord {
        id,
        task: task.into(),
        occurrence: Occurrence {
            due,
            generation,
            attempt,
            is_catch_up: flags & LATE != 0,
            by_hand: flags & BY_HAND != 0,
        },
        occurrences,
        status,
        node: node.map(NodeId::from),
        starts_at,
        decided_at,
        started_at: None,
        finished_at: None,
        value: None,
        error: reason,
    };
    words.skip_blank();
    if !words.0.is_empty() {
        read.started_at = words.maybe_instant()?;
        read.finished_at = words.maybe_instant()?;
        match words.0 {
            "r" => read_result(result.unwrap_or("- - "), &mut read)?,
            _ => read.error = words.counted()?.map(str::to_owned),
        }
    }
    seal.open_run(&mut read);
    Ok(read)
}

fn read_result(text: &str, read: &mut RunRecord) -> Result<(), String> {
    let mut words = Words(text);
    let lengths = [words.word()?, words.word()?];
    let mut take = |length: &str| -> Result<Option<&str>, String> {
        if length == "-" { Ok(None) } else { words.take(length).map(Some) }
    };
    let value = take(lengths[0])?.map(serde_json::from_str).transpose();
    read.value = value.map_err(|error| format!("its result can't be read: {error}"))?;
    read.error = take(lengths[1])?.map(str::to_owned);
    Ok(())
}

pub(super) fn hexadecimal(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text, 16).map_err(|_| format!("`{text}` is no number"))
}

/// The time that so many microseconds since 1970 are.
pub(super) fn instant(micros: i64) -> Result<DateTime<Utc>, String> {
    DateTime::from_timestamp_micros(micros)
        .ok_or_else(|| format!("{micros} microseconds since 1970 are no time"))
}

/// What is left of a text that is read word by word.
pub(super) struct Words<'a>(pub(super) &'a str);

impl<'a> Words<'a> {
    /// The next word, which a blank or the end follows.
    pub(super) fn word(&mut self) -> Result<&'a str, String> {
        let (word, rest) = self.0.split_once(' ').unwrap_or((self.0, ""));
        self.0 = rest;
        if word.is_empty() { Err("it is cut off".to_owned()) } else { Ok(word) }
    }

    /// `None`: it is missing.
    fn maybe(&mut self) -> Result<Option<&'a str>, String> {
        self.word().map(|word| (word != "-").then_some(word))
    }

    pub(super) fn number<T: std::str::FromStr>(&mut self) -> Result<T, String> {
        let word = self.word()?;
        word.parse().map_err(|_| format!("`{word}` is no number"))
    }

    fn maybe_instant(&mut self) -> Result<Option<DateTime<Utc>>, String> {
        let word = self.maybe()?;
        let micros = word.map(|word| word.parse().map_err(|_| format!("`{word}` is no time"))).transpose()?;
        micros.map(instant).transpose()
    }

    /// A text after its length; `None`: it is missing.
    fn counted(&mut self) -> Result<Option<&'a str>, String> {
        let Some(length) = self.maybe()? else { return Ok(None) };
        self.take(length).map(Some)
    }

    fn take(&mut self, length: &str) -> Result<&'a str, String> {
        let length = length.parse().map_err(|_| format!("`{length}` is no length"))?;
        let (text, rest) = self.0.split_at_checked(length).ok_or("it is cut off")?;
        self.0 = rest;
        Ok(text)
    }

    /// A text after its length ends where the length says.
    fn skip_blank(&mut self) {
        self.0 = self.0.strip_prefix(' ').unwrap_or(self.0);
    }
}
