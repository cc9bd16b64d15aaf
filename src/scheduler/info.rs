//! What a scheduler tells of itself.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use tokio::runtime::Handle;

use super::machine::RunCounts;
use super::shared::Shared;
use super::{Scheduler, State};
use crate::Zone;
use crate::executors::Executor;
use crate::stores::{NodeRecord, Store, StoreError};
use crate::task::{BoxFuture, in_words};

/// A scheduler at one moment, as [`Scheduler::info`] tells it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SchedulerInfo {
    /// Its name among all schedulers: [`AsynczConfig::identity`](crate::AsynczConfig::identity), or one made up.
    pub identity: Arc<str>,
    /// Whether it decides.
    pub state: State,
    /// When it started, by its clock; `None` while it is stopped.
    pub started_at: Option<DateTime<Utc>>,
    /// How long ago that was; as JSON in seconds.
    #[serde(serialize_with = "in_seconds")]
    pub uptime: Option<Duration>,
    /// The zone of triggers that name none.
    pub timezone: Zone,
    /// The version of the time zone database whose rules are in force, such as `2026f`.
    pub zone_rules: &'static str,
    /// Its stores, in the order of their aliases.
    pub stores: Vec<StoreInfo>,
    /// Its executors, in the order of their aliases.
    pub executors: Vec<ExecutorInfo>,
    /// How many tasks its stores have, as far as they [tell](StoreInfo::tasks), and those that wait for its start.
    pub tasks: usize,
    /// How many runs are going on here.
    pub running: usize,
    /// What became of occurrences since its start; after its end until the next one.
    pub counts: RunCounts,
    /// When it looks again by itself whether something is due; `None`: nothing is.
    pub next_wakeup: Option<DateTime<Utc>>,
}

/// A store of a scheduler.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StoreInfo {
    /// The name that tasks know it by.
    pub alias: Arc<str>,
    /// What it is: the name of its type.
    pub kind: String,
    /// How many tasks it has. A store in memory tells at once; one that takes time is asked and tells next time, what it
    /// said last until then. `None`: it has not said yet, or the scheduler is stopped.
    pub tasks: Option<usize>,
    /// Why it did not answer when it was last asked; `None` where it did.
    pub error: Option<String>,
    /// The schedulers that share it, this one among them, as it knew them when it was last told that this one lives. None
    /// where it keeps what it has in this process.
    pub nodes: Vec<NodeRecord>,
    /// Another process holds its lock and schedules it: see `AsynczConfig::lock_path`.
    pub stands_by: bool,
}

/// An executor of a scheduler.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ExecutorInfo {
    /// The name that tasks know it by.
    pub alias: Arc<str>,
    /// What it is: the name of its type.
    pub kind: String,
    /// How many handlers it is running.
    pub running: usize,
    /// How many runs wait in it for a free place.
    pub queued: usize,
    /// How many handlers it runs at once at most; `None`: as many as there are.
    pub workers: Option<usize>,
}

impl Scheduler {
    /// What the scheduler is and how it stands. It waits for nothing; stores that take time are asked in the background.
    ///
    /// ```
    /// use asyncz::{AsynczConfig, State};
    ///
    /// let scheduler = AsynczConfig::new().identity("mailer-1").scheduler();
    /// let info = scheduler.info();
    /// assert_eq!((&*info.identity, info.state), ("mailer-1", State::Stopped));
    /// ```
    pub fn info(&self) -> SchedulerInfo {
        let shared = &self.shared;
        let session = shared.session();
        let now = shared.clock().now();
        let progress = *shared.progress.borrow();
        let running = shared.running_by_executor();
        let stores = store_infos(shared, session.as_ref());
        let started_at = session.map(|session| session.since);
        let timezone = shared.setup().zone;
        SchedulerInfo {
            identity: shared.identity(),
            state: shared.state(),
            started_at,
            uptime: started_at.map(|since| (now - since).to_std().unwrap_or_default()),
            timezone,
            zone_rules: Zone::rules_version(),
            tasks: stores.iter().filter_map(|store| store.tasks).sum::<usize>() + shared.count_pending(),
            stores,
            executors: executor_infos(shared, &running),
            running: running.values().sum(),
            counts: progress.counts,
            next_wakeup: progress.next_wakeup.filter(|_| started_at.is_some()),
        }
    }
}

fn store_infos(shared: &Arc<Shared>, session: Option<&Session>) -> Vec<StoreInfo> {
    let stores = if session.is_some() { shared.stores() } else { shared.setup().stores.clone() };
    let info = |(alias, store): (Arc<str>, Arc<dyn Store>)| {
        if let Some(session) = session {
            shared.health.ask(shared, &alias, &store, &session.stores);
        }
        let Standing { tasks, error, nodes, .. } =
            shared.health.of(&alias).filter(|_| session.is_some()).unwrap_or_default();
        let stands_by = shared.locks.stands_by(&alias);
        StoreInfo { kind: short(store.type_name()), alias, tasks, error, nodes, stands_by }
    };
    stores.into_iter().map(info).collect()
}

fn executor_infos(shared: &Shared, running: &BTreeMap<Arc<str>, usize>) -> Vec<ExecutorInfo> {
    let executors =
        if shared.state() == State::Stopped { shared.setup().executors.clone() } else { shared.executors() };
    let info = |(alias, executor): (Arc<str>, Arc<dyn Executor>)| ExecutorInfo {
        kind: short(executor.type_name()),
        running: running.get(&alias).copied().unwrap_or_default(),
        queued: executor.queued(),
        workers: executor.workers(),
        alias,
    };
    executors.into_iter().map(info).collect()
}

/// `asyncz::stores::memory::MemoryStore` as `MemoryStore`.
fn short(type_name: &str) -> String {
    let (path, parameters) = type_name.split_at(type_name.find('<').unwrap_or(type_name.len()));
    format!("{}{parameters}", path.rsplit("::").next().unwrap_or(path))
}

fn in_seconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_secs_f64()).serialize(serializer)
}

/// A scheduler's time from one start to its shutdown.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) since: DateTime<Utc>,
    /// The runtime of handlers.
    pub(super) handlers: Handle,
    /// The runtime of stores.
    pub(super) stores: Handle,
}

/// How the stores stand.
#[derive(Debug, Default)]
pub(super) struct Health {
    standings: Mutex<BTreeMap<Arc<str>, Standing>>,
    /// Some store has failed: only then is it worth a look that one has answered.
    has_failures: AtomicBool,
}

#[derive(Clone, Debug, Default)]
struct Standing {
    tasks: Option<usize>,
    error: Option<String>,
    nodes: Vec<NodeRecord>,
    /// Its clock is not ours.
    is_skewed: bool,
    /// It is being asked for the number of its tasks.
    is_asked: bool,
}

impl Health {
    /// Notes that a store has failed.
    pub(super) fn note_failure(&self, alias: &Arc<str>, error: Option<&str>) {
        self.standings().entry(alias.clone()).or_default().error = error.map(str::to_owned);
        self.has_failures.store(true, Ordering::Release);
    }

    /// Notes whether a store's clock is far from ours; answers whether that is news, and bad ones.
    pub(super) fn note_skew(&self, alias: &Arc<str>, is_skewed: bool) -> bool {
        let was_skewed =
            std::mem::replace(&mut self.standings().entry(alias.clone()).or_default().is_skewed, is_skewed);
        is_skewed && !was_skewed
    }

    /// Notes who shares a store.
    pub(super) fn note_nodes(&self, alias: &Arc<str>, nodes: &[NodeRecord]) {
        self.standings().entry(alias.clone()).or_default().nodes = nodes.to_vec();
    }

    /// Notes that a store has answered.
    pub(super) fn note_answer(&self, alias: &Arc<str>) {
        if !self.has_failures.load(Ordering::Acquire) {
            return;
        }
        let mut standings = self.standings();
        if let Some(standing) = standings.get_mut(alias) {
            standing.error = None;
        }
        let has_failures = standings.values().any(|standing| standing.error.is_some());
        self.has_failures.store(has_failures, Ordering::Release);
    }

    /// Forgets a store, as another may get its name.
    pub(super) fn forget(&self, alias: &str) {
        self.standings().remove(alias);
    }

    pub(super) fn clear(&self) {
        self.standings().clear();
    }

    fn of(&self, alias: &str) -> Option<Standing> {
        self.standings().get(alias).cloned()
    }

    fn standings(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Standing>> {
        self.standings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks a store how many tasks it has. Where it takes time it answers in the background, to one question at a time.
    fn ask(&self, shared: &Arc<Shared>, alias: &Arc<str>, store: &Arc<dyn Store>, runtime: &Handle) {
        let was_asked =
            std::mem::replace(&mut self.standings().entry(alias.clone()).or_default().is_asked, true);
        if was_asked {
            return;
        }
        let store = store.clone();
        let mut count: BoxFuture<_> = Box::pin(async move { store.count().await });
        let _entered = runtime.enter();
        match Pin::new(&mut count).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(counted) => self.note_count(alias, counted),
            Poll::Pending => {
                let (shared, alias) = (shared.clone(), alias.clone());
                // It ends with the runtime at the latest, and catches panics.
                drop(runtime.spawn(async move { shared.health.note_count(&alias, count.await) }));
            }
        }
    }

    fn note_count(&self, alias: &Arc<str>, counted: Result<usize, StoreError>) {
        match counted {
            Ok(tasks) => {
                self.note_answer(alias);
                if let Some(standing) = self.standings().get_mut(alias) {
                    standing.tasks = Some(tasks);
                }
            }
            Err(error) => self.note_failure(alias, Some(&in_words(&error))),
        }
        if let Some(standing) = self.standings().get_mut(alias) {
            standing.is_asked = false;
        }
    }
}
