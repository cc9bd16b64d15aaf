//! What a scheduler is made of, before it starts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::configuration::OwnKinds;
use super::guarded::guarded;
use super::lock::LockPath;
use super::machine::Retention;
use super::runtime::RunOn;
use crate::Zone;
use crate::clock::{Clock, SystemClock};
use crate::executors::{AsyncExecutor, Executor};
use crate::stores::{MemoryStore, Store};
use crate::task::{Provided, Task, TaskDefaults};

/// Everything that [`AsynczConfig`](crate::AsynczConfig) sets.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) zone: Zone,
    pub(super) stores: BTreeMap<Arc<str>, Arc<dyn Store>>,
    pub(super) executors: BTreeMap<Arc<str>, Arc<dyn Executor>>,
    pub(super) task_defaults: TaskDefaults,
    pub(super) provided: Provided,
    /// Tasks given by hand.
    pub(super) tasks: Vec<Task>,
    /// Whether tasks declared by `#[task]` are found.
    pub(super) registry: bool,
    /// Only these handlers of the registry.
    pub(super) only: Option<Vec<String>>,
    pub(super) expect_tasks: usize,
    pub(super) start_paused: bool,
    pub(super) drain_timeout: Duration,
    pub(super) store_retry_interval: Duration,
    /// How long a call of a store may take.
    pub(super) store_timeout: Duration,
    pub(super) retention: Retention,
    /// Which release of the program this is.
    pub(super) release: u64,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) run_on: RunOn,
    /// What its log lines carry.
    pub(super) logger_name: Option<Arc<str>>,
    /// `None`: one made up.
    pub(super) identity: Option<Arc<str>>,
    /// `None`: [as long as is usual](Self::startup_delay).
    pub(super) startup_delay: Option<Duration>,
    /// Where the stores' lock files are; `None`: they have none.
    pub(super) lock_path: Option<LockPath>,
    pub(super) start_timeout: Option<Duration>,
    /// Types of stores and executors that a configuration can name beside ours.
    pub(super) own_kinds: OwnKinds,
    /// What was wrong in the configuration; told at start.
    pub(super) mistakes: Vec<String>,
}

impl Setup {
    /// The stores as the scheduler uses them.
    pub(super) fn guarded_stores(&self) -> BTreeMap<Arc<str>, Arc<dyn Store>> {
        let stores = self.stores.iter();
        stores.map(|(alias, store)| (alias.clone(), guarded(store.clone(), self.store_timeout))).collect()
    }

    /// Gives a store and an executor of ours the name `default` where nobody has it.
    pub(super) fn fill_in_defaults(&mut self) {
        self.stores.entry("default".into()).or_insert_with(|| Arc::new(MemoryStore::new()));
        self.executors.entry("default".into()).or_insert_with(|| Arc::new(AsyncExecutor::new()));
    }

    /// How long after its start the scheduler decides nothing. Where several processes start together, the one that gets a
    /// lock a moment earlier need not be the one that stays.
    pub(super) fn startup_delay(&self) -> Duration {
        let usual = if self.lock_path.is_some() { DELAY_WITH_LOCKS } else { Duration::ZERO };
        self.startup_delay.unwrap_or(usual)
    }

    /// What is wrong with the lock path, once it is known how many stores there are.
    pub(super) fn lock_mistake(&self) -> Option<String> {
        let path = self.lock_path.as_ref().filter(|path| !path.names_the_store() && self.stores.len() > 1)?;
        let stores: Vec<_> = self.stores.keys().map(|alias| &**alias).collect();
        Some(format!(
            "lock_path `{}`: there are several stores ({}), and each needs a lock of its own: write `{{store}}` in the path",
            path.written(),
            stores.join(", ")
        ))
    }
}

/// Kubernetes kills after 30 s: what is left is for cancelling and aborting.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(25);
/// As in Asyncz.
const DELAY_WITH_LOCKS: Duration = Duration::from_secs(1);
const STORE_RETRY_INTERVAL: Duration = Duration::from_secs(10);
/// Less than a lease lasts: a question that hangs must not cost it.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);
const RETENTION: Retention =
    Retention { keep_for: Some(Duration::from_secs(7 * 24 * 3_600)), a_task: Some(10_000) };

impl Default for Setup {
    fn default() -> Self {
        Self {
            zone: Zone::default(),
            stores: BTreeMap::new(),
            executors: BTreeMap::new(),
            task_defaults: TaskDefaults::default(),
            provided: Provided::default(),
            tasks: Vec::new(),
            registry: true,
            only: None,
            expect_tasks: 0,
            start_paused: false,
            drain_timeout: DRAIN_TIMEOUT,
            store_retry_interval: STORE_RETRY_INTERVAL,
            store_timeout: STORE_TIMEOUT,
            retention: RETENTION,
            release: 0,
            clock: Arc::new(SystemClock),
            run_on: RunOn::default(),
            logger_name: None,
            identity: None,
            startup_delay: None,
            lock_path: None,
            start_timeout: None,
            own_kinds: OwnKinds::default(),
            mistakes: Vec::new(),
        }
    }
}
