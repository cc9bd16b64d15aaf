//! Configurations as maps of keys to values, out of code, files and the environment.

mod keys;
mod kinds;
mod layer;
#[cfg(feature = "mongodb")]
mod mongo;
mod options;
mod parts;
#[cfg(feature = "redis")]
mod redis;
mod secrets;
mod setup;
#[cfg(feature = "config")]
mod sources;
#[cfg(feature = "_sql")]
mod sql;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

pub use options::TypeOptions;

pub(super) use kinds::OwnKinds;

use super::setup::Setup;
use crate::{AsynczConfig, SchedulerConfig, Settings};

/// A scheduler's configuration as a map of keys to values: what [`AsynczConfig::configuration`] and
/// [`Scheduler::setup`](crate::Scheduler::setup) take.
///
/// It is made of whatever serialises as a map: a `BTreeMap`, a `serde_json::Value`, a struct; an array of pairs is one, too.
/// Keys are dotted or nested, or both, and each begins with `asyncz`; others belong to the application and are passed
/// over. Each value may be written as a text.
///
/// ```
/// use asyncz::AsynczConfig;
///
/// # #[tokio::main] async fn main() -> Result<(), asyncz::Error> {
/// let config = AsynczConfig::new().configuration([
///     ("asyncz.stores.default.type", "memory"),
///     ("asyncz.executors.default.class", "asyncz.executors.asyncio:AsyncIOExecutor"),
///     ("asyncz.executors.pool.type", "threadpool"),
///     ("asyncz.executors.pool.max_workers", "20"),
///     ("asyncz.task_defaults.coalesce", "false"),
///     ("asyncz.task_defaults.max_instances", "4"),
///     ("asyncz.timezone", "Europe/Berlin"),
/// ]);
/// let info = config.scheduler().info();
/// assert_eq!(info.timezone.name(), "Europe/Berlin");
/// assert_eq!(info.executors[1].workers, Some(20));
/// # Ok(()) }
/// ```
///
/// # Keys
///
/// | key, behind `asyncz.` | value | see |
/// |---|---|---|
/// | `timezone`, `task_defaults.timezone` | a zone's name; the two are one | [`AsynczConfig::timezone`] |
/// | `stores.<alias>.type`, `executors.<alias>.type` | a type of the tables below, or [one of your own](AsynczConfig::register_store_type) | [`AsynczConfig::store`] |
/// | `stores.<alias>.class`, `executors.<alias>.class` | the same in Asyncz's words: `asyncz.executors.pool:ThreadPoolExecutor` | |
/// | `stores.<alias>.…`, `executors.<alias>.…` | the type's options | |
/// | `task_defaults.coalesce` | `true` or `false` | [`TaskDefaults`](crate::TaskDefaults) |
/// | `task_defaults.max_instances` | a whole number from 1 up | |
/// | `task_defaults.misfire_grace_time`, or Asyncz's spelling `mistrigger_grace_time` | a time, or `none` | |
/// | `task_defaults.recover` | `rerun` or `abandon` | |
/// | `tasks` | handlers' names: an array, or one text with commas | [`AsynczConfig::tasks`] |
/// | `expect_tasks` | a whole number | [`AsynczConfig::expect_tasks`] |
/// | `start_paused` | `true` or `false` | [`AsynczConfig::start_paused`] |
/// | `startup_delay`, `drain_timeout`, `store_retry_interval`, `store_timeout` | a time | [`AsynczConfig::startup_delay`] … |
/// | `start_timeout`, `keep_history_for` | a time, or `none` | [`AsynczConfig::start_timeout`] … |
/// | `keep_runs_a_task` | a whole number, or `none` | [`AsynczConfig::keep_runs_a_task`] |
/// | `release` | a whole number | [`AsynczConfig::release`] |
/// | `identity`, `logger_name` | a text | [`AsynczConfig::identity`] … |
/// | `lock_path` | a path, with feature `lock` | [`AsynczConfig::lock_path`] |
/// | `isolated_runtime`, or Asyncz's `isolated_event_loop` | `true` or `false` | [`AsynczConfig::isolated_runtime`] |
/// | `enable_scheduler` | `true` or `false` | [below](#settings) |
///
/// A time is a number of seconds, such as `2` or `0.5`, or a text such as `30s` or `1h30m`.
///
/// | executor type | | options |
/// |---|---|---|
/// | `asyncio`, `tokio` | [`AsyncExecutor`](crate::AsyncExecutor) | |
/// | `pool`, `threadpool` | [`ThreadPoolExecutor`](crate::ThreadPoolExecutor) | `max_workers`: 10 unless said |
/// | `processpool` | `ProcessPoolExecutor`, with feature `process` | `max_workers`: 10 unless said |
/// | `debug` | [`DebugExecutor`](crate::DebugExecutor) | |
///
/// | store type | | options |
/// |---|---|---|
/// | `memory` | [`MemoryStore`](crate::MemoryStore) | |
/// | `file`, with its feature, on Unix | `FileStore` | `directory`; `lease` |
/// | `sqlite`, `postgres` or `postgresql`, `mysql` or `mariadb`, each with its feature; `sql` or `sqlalchemy`: whichever the url says | `SqlStore` | `url`; `table_prefix`, `schema`, `lease`, `max_connections`, `server_clock` |
/// | `redis`, with its feature | `RedisStore` | `url`, or `host` and `port`: `localhost` and 6379 unless said; `database` or `db`, `username`, `password`, `prefix`, `tasks_key`, `run_times_key`, `lease`, `server_clock` |
/// | `mongodb`, `mongo`, with feature `mongodb` | `MongoStore` | `url`: `mongodb://localhost:27017` unless said; `database`, `collection`, `lease`, `server_clock` |
///
/// # Layers
///
/// With feature `config`, files in TOML, YAML and JSON and the environment's variables are layers of one configuration: see
/// [`file`](Self::file) and [`environment`](Self::environment). Of a key that several layers give the last one holds. A
/// layer that gives a store or an executor another type replaces it, options and all.
///
/// # Mistakes
///
/// A key that nobody knows is an error that names it and the one most like it; a wrong value one that says what is
/// allowed. All of them are told at once, each with the file or variable it comes from. Nothing that may be a secret is
/// shown: no address, no value of a key such as `url` or `password`.
///
/// # Settings
///
/// A configuration is a [`Settings`], too: `with_settings(&configuration)` runs the scheduler that it describes, unless
/// `asyncz.enable_scheduler` is false. What says whether the scheduler runs, the strongest first:
/// `.enable_scheduler(false)` in the code, a [`Settings`] type of the application's own, the environment, the files in
/// the reverse order of their layers; unless anybody says so, it runs. It is Esmerald's order (an argument, the settings
/// module, the global settings), but for the last one: Esmerald's `enable_scheduler` is false by default.
///
/// An application whose handlers take state has settings of its own, and asks the configuration:
///
/// ```
/// use asyncz::{AsynczConfig, Configuration, SchedulerConfig, Settings};
///
/// struct AppSettings {
///     configuration: Configuration,
///     greeting: String,
/// }
///
/// impl Settings for AppSettings {
///     fn scheduler_config(&self) -> Option<Box<dyn SchedulerConfig>> {
///         let config = AsynczConfig::new().configuration(self.configuration.clone());
///         Some(Box::new(config.state(self.greeting.clone())))
///     }
///
///     fn enable_scheduler(&self) -> bool {
///         self.configuration.enable_scheduler()
///     }
/// }
/// ```
#[derive(Clone, Default)]
pub struct Configuration {
    /// By their keys behind `asyncz.`, dotted.
    entries: BTreeMap<String, Entry>,
    problems: Vec<String>,
}

/// What was given for a key.
#[derive(Clone)]
struct Entry {
    value: Value,
    source: Source,
}

/// Where an entry comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Code,
    #[cfg_attr(not(feature = "config"), expect(dead_code, reason = "no files are read"))]
    File(Arc<str>),
    #[cfg_attr(not(feature = "config"), expect(dead_code, reason = "no variables are read"))]
    Environment,
}

impl Source {
    /// A key in the words of whoever wrote it there.
    fn key(&self, key: &str) -> String {
        match self {
            Self::Code | Self::File(_) => format!("asyncz.{key}"),
            Self::Environment => format!("ASYNCZ__{}", key.to_uppercase().replace('.', "__")),
        }
    }

    /// Where it is written, to stand before a problem.
    fn place(&self) -> String {
        match self {
            Self::Code | Self::Environment => String::new(),
            Self::File(path) => format!("{path}: "),
        }
    }
}

impl Entry {
    /// That its value can't be: names the key, and the value unless it may be a secret.
    fn wrong(&self, key: &str, allowed: &str) -> String {
        let (place, name) = (self.source.place(), self.source.key(key));
        match secrets::may_be_shown(key, &self.value) {
            true => {
                let value = self.value.as_str().map_or_else(|| self.value.to_string(), str::to_owned);
                format!("{place}{name} `{value}`: {allowed}")
            }
            false => format!("{place}{name}: {allowed}"),
        }
    }

    /// That there is no such key, and which was meant.
    fn unknown(&self, key: &str, meant: Option<&str>, known: impl FnOnce() -> String) -> String {
        let (place, name) = (self.source.place(), self.source.key(key));
        match meant {
            Some(meant) => {
                format!("{place}there is no key `{name}`: did you mean `{}`?", self.source.key(meant))
            }
            None => format!("{place}there is no key `{name}`; {}", known()),
        }
    }
}

impl Configuration {
    /// An empty one: everything is as by default.
    pub fn new() -> Self {
        Self::default()
    }

    /// A further layer: what it says holds over what was said before.
    #[must_use]
    pub fn values(mut self, values: impl Serialize) -> Self {
        match serde_json::to_value(values) {
            Ok(values) => self.add_layer(values, &Source::Code),
            Err(error) => self.problems.push(format!("the configuration can't be read: {error}")),
        }
        self
    }

    /// Whether the scheduler is to run: `asyncz.enable_scheduler`. Default: true.
    pub fn enable_scheduler(&self) -> bool {
        // A wrong value is told when the scheduler starts, and so it is to start.
        self.entries.get("enable_scheduler").is_none_or(|entry| values::flag(&entry.value).unwrap_or(true))
    }

    /// The changes that it makes to a setup, or everything that is wrong with it.
    pub(super) fn changes(self, kinds: &OwnKinds) -> Result<Changes, Vec<String>> {
        keys::read(self, kinds)
    }
}

impl<T: Serialize> From<T> for Configuration {
    fn from(values: T) -> Self {
        Self::new().values(values)
    }
}

/// Its keys; values may be secrets.
impl fmt::Debug for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configuration")
            .field("keys", &self.entries.keys())
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}

impl Settings for Configuration {
    fn scheduler_config(&self) -> Option<Box<dyn SchedulerConfig>> {
        Some(Box::new(AsynczConfig::new().configuration(self.clone())))
    }

    fn enable_scheduler(&self) -> bool {
        self.enable_scheduler()
    }
}

/// What a configuration changes, once all of it is known to be right.
#[derive(Default)]
pub(super) struct Changes(Vec<Change>);

type Change = Box<dyn FnOnce(&mut Setup) + Send>;

impl Changes {
    fn add(&mut self, change: impl FnOnce(&mut Setup) + Send + 'static) {
        self.0.push(Box::new(change));
    }

    pub(super) fn make(self, setup: &mut Setup) {
        self.0.into_iter().for_each(|change| change(setup));
    }
}
