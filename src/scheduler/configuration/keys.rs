//! The keys that a configuration knows, and what each changes.

use std::collections::BTreeMap;

use asyncz_grammar::nearest;
use serde_json::Value;

use super::kinds::OwnKinds;
use super::layer::says_nothing;
use super::options::TypeOptions;
use super::values::{flag, name, optional, optional_time_above_0, recover, texts, time, whole_number, zone};
use super::{Change, Changes, Configuration, Entry, parts};
use crate::Zone;
use crate::scheduler::runtime::RunOn;
use crate::scheduler::setup::Setup;
use crate::task::TaskDefaults;

/// What a value changes, or what is allowed in its place.
type Read = fn(&Value) -> Result<Change, String>;

/// All keys but those of stores, executors and zones.
const KEYS: [(&str, Read); 22] = [
    ("drain_timeout", |value| change(time(value), |setup, time| setup.drain_timeout = time)),
    // Asked for elsewhere, before there is a scheduler.
    ("enable_scheduler", |value| change(flag(value), |_, _| {})),
    ("expect_tasks", |value| {
        change(whole_number(value, 0, u32::MAX.into()), |setup, tasks| setup.expect_tasks = tasks as usize)
    }),
    ("identity", |value| change(name(value), |setup, name| setup.identity = Some(name.into()))),
    ("isolated_event_loop", isolated_runtime),
    ("isolated_runtime", isolated_runtime),
    ("logger_name", |value| change(name(value), |setup, name| setup.logger_name = Some(name.into()))),
    ("keep_history_for", |value| {
        change(optional(value, time), |setup, time| setup.retention.keep_for = time)
    }),
    ("keep_runs_a_task", |value| {
        let read = optional(value, |value| whole_number(value, 0, u32::MAX.into()));
        change(read, |setup, runs| setup.retention.a_task = runs.map(|runs| runs as usize))
    }),
    ("lock_path", |value| {
        let path = name(value).and_then(|path| path.parse());
        change(path, |setup, path| setup.lock_path = Some(path))
    }),
    ("release", |value| change(whole_number(value, 0, u64::MAX), |setup, release| setup.release = release)),
    ("start_paused", |value| change(flag(value), |setup, paused| setup.start_paused = paused)),
    ("start_timeout", |value| change(optional(value, time), |setup, time| setup.start_timeout = time)),
    ("startup_delay", |value| change(time(value), |setup, time| setup.startup_delay = Some(time))),
    ("store_retry_interval", |value| change(time(value), |setup, time| setup.store_retry_interval = time)),
    ("store_timeout", |value| change(time(value), |setup, time| setup.store_timeout = time)),
    ("task_defaults.coalesce", |value| change_defaults(flag(value), TaskDefaults::coalesce)),
    ("task_defaults.max_instances", |value| {
        let read = whole_number(value, 1, u32::MAX.into());
        change_defaults(read, |defaults, most| {
            defaults.max_instances(u32::try_from(most).unwrap_or(u32::MAX))
        })
    }),
    ("task_defaults.misfire_grace_time", misfire_grace_time),
    ("task_defaults.mistrigger_grace_time", misfire_grace_time),
    ("task_defaults.recover", |value| change_defaults(recover(value), TaskDefaults::recover)),
    ("tasks", |value| change(texts(value), |setup, tasks| setup.only = Some(tasks))),
];

/// The zone of a scheduler, and the one of its tasks' triggers: they are one.
const ZONES: [&str; 2] = ["timezone", "task_defaults.timezone"];

/// What has further keys below it.
const TABLES: [&str; 3] = ["executors", "stores", "task_defaults"];

/// Two keys for one thing.
const SYNONYMS: [[&str; 2]; 2] = [
    ["task_defaults.misfire_grace_time", "task_defaults.mistrigger_grace_time"],
    ["isolated_runtime", "isolated_event_loop"],
];

/// Keys of Asyncz's that mean nothing here, and what is there in their place.
const REFUSED: [(&str, &str); 6] = [
    ("event_loop", "give a tokio runtime with `AsynczConfig::runtime`"),
    ("global_config", "write its keys themselves"),
    (
        "heartbeat_stale_after",
        "a store says how long a scheduler's runs are believed to go on without a word of it",
    ),
    (
        "loggers_class",
        "log lines come by the `tracing` crate: install a subscriber of it, such as `tracing_subscriber::fmt`, and choose \
         there what is shown and how",
    ),
    ("shape", "there is one form in which tasks are stored"),
    ("timeout", "write `asyncz.start_timeout` or `asyncz.drain_timeout`"),
];

/// Whether a key of ours may begin so.
pub(super) fn is_known_root(first: &str) -> bool {
    roots().any(|root| root == first)
}

fn roots() -> impl Iterator<Item = &'static str> {
    let single = KEYS.iter().map(|(key, _)| *key).chain(ZONES).filter(|key| !key.contains('.'));
    single.chain(TABLES)
}

/// The keys in a table.
fn below(table: &'static str) -> impl Iterator<Item = &'static str> {
    let all = KEYS.iter().map(|(key, _)| *key).chain(ZONES);
    all.filter_map(move |key| key.strip_prefix(table)?.strip_prefix('.'))
}

/// Reads all of a configuration.
pub(super) fn read(configuration: Configuration, kinds: &OwnKinds) -> Result<Changes, Vec<String>> {
    let Configuration { entries, problems } = configuration;
    let mut reading = Reading { problems, changes: Changes::default(), zones: Vec::new() };
    for synonyms in SYNONYMS {
        if let [Some(entry), Some(_)] = synonyms.map(|key| entries.get(key)) {
            let [first, second] = synonyms.map(|key| entry.source.key(key));
            reading.problems.push(format!("`{first}` and `{second}` are one: write one of them"));
        }
    }
    let mut of_parts: BTreeMap<String, BTreeMap<String, Entry>> = BTreeMap::new();
    for (key, entry) in entries {
        match part_of(&key) {
            Some((part, option)) => {
                let (part, option) = (part.to_owned(), option.to_owned());
                of_parts.entry(part).or_default().insert(option, entry);
            }
            None => reading.read(&key, &entry),
        }
    }
    for (part, given) in of_parts {
        let options = TypeOptions::new(part, given);
        match parts::read(options, kinds) {
            Ok(change) => reading.changes.0.push(change),
            Err(problems) => reading.problems.extend(problems),
        }
    }
    reading.end()
}

/// The store or executor that a key is about, and the key below it: `stores.default` and `type`. The latter is empty where a
/// value stands for the whole.
fn part_of(key: &str) -> Option<(&str, &str)> {
    let (table, rest) = key.split_once('.')?;
    if !matches!(table, "stores" | "executors") {
        return None;
    }
    match rest.find('.') {
        Some(dot) => Some((&key[..table.len() + 1 + dot], &rest[dot + 1..])),
        None => Some((key, "")),
    }
}

struct Reading {
    problems: Vec<String>,
    changes: Changes,
    zones: Vec<(String, Zone)>,
}

impl Reading {
    fn read(&mut self, key: &str, entry: &Entry) {
        if let Some((_, read)) = KEYS.iter().find(|(known, _)| *known == key) {
            match read(&entry.value) {
                Ok(change) => self.changes.0.push(change),
                Err(allowed) => self.problems.push(entry.wrong(key, &allowed)),
            }
        } else if ZONES.contains(&key) {
            match zone(&entry.value) {
                Ok(zone) => self.zones.push((entry.source.key(key), zone)),
                Err(allowed) => self.problems.push(entry.wrong(key, &allowed)),
            }
        } else if TABLES.contains(&key) {
            if !says_nothing(&entry.value) {
                let example = if key == "task_defaults" { "coalesce" } else { "default.type" };
                let below = entry.source.key(&format!("{key}.{example}"));
                self.problems.push(entry.wrong(key, &format!("write keys below it, such as `{below}`")));
            }
        } else if let Some((_, instead)) = REFUSED.iter().find(|(refused, _)| *refused == key) {
            let name = entry.source.key(key);
            self.problems.push(format!("{}there is no key `{name}`: {instead}", entry.source.place()));
        } else {
            self.unknown(key, entry);
        }
    }

    fn unknown(&mut self, key: &str, entry: &Entry) {
        let lower = key.to_lowercase();
        let (root, rest) = lower.split_once('.').unwrap_or((&lower, ""));
        let table = if rest.is_empty() { None } else { nearest(root, TABLES) };
        let meant = match table {
            None => nearest(root, roots()).map(str::to_owned),
            // `tasks_default.coalesce`, `store.default.type`.
            Some(table) => match nearest(rest, below(table)) {
                Some(meant) => Some(format!("{table}.{meant}")),
                None => (table != root).then(|| format!("{table}.{rest}")),
            },
        };
        self.problems.push(entry.unknown(key, meant.as_deref(), || {
            let all: Vec<_> = match table {
                None => roots().map(|key| entry.source.key(key)).collect(),
                Some(table) => below(table).map(|key| entry.source.key(&format!("{table}.{key}"))).collect(),
            };
            format!("there are: {}", all.join(", "))
        }));
    }

    fn end(mut self) -> Result<Changes, Vec<String>> {
        match &self.zones[..] {
            [(first, zone), (second, other)] if zone != other => self.problems.push(format!(
                "`{first}` is {} and `{second}` is {}: they are one, write one of them",
                zone.name(),
                other.name()
            )),
            [(_, zone), ..] => {
                let zone = *zone;
                self.changes.add(move |setup| setup.zone = zone);
            }
            [] => {}
        }
        if self.problems.is_empty() { Ok(self.changes) } else { Err(self.problems) }
    }
}

fn change<T: Send + 'static>(read: Result<T, String>, set: fn(&mut Setup, T)) -> Result<Change, String> {
    let value = read?;
    Ok(Box::new(move |setup| set(setup, value)))
}

fn change_defaults<T: Send + 'static>(
    read: Result<T, String>,
    set: fn(TaskDefaults, T) -> TaskDefaults,
) -> Result<Change, String> {
    let value = read?;
    Ok(Box::new(move |setup| setup.task_defaults = set(setup.task_defaults.clone(), value)))
}

fn misfire_grace_time(value: &Value) -> Result<Change, String> {
    change_defaults(optional_time_above_0(value), |defaults, grace| defaults.misfire_grace_time(grace))
}

fn isolated_runtime(value: &Value) -> Result<Change, String> {
    change(flag(value), |setup, isolated| {
        setup.run_on = match (isolated, std::mem::take(&mut setup.run_on)) {
            (true, _) => RunOn::Own,
            (false, RunOn::Own) => RunOn::Callers,
            (false, given) => given,
        };
    })
}
