//! What the handles of a scheduler, its driver and its runs share.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustc_hash::FxHashMap;
use tokio::sync::watch;

use super::State;
use super::info::{Health, Session};
use super::life::Life;
use super::lines::ABOVE_DEBUG;
use super::lock::Locks;
use super::machine::{Machine, RunCounts, Terms};
use super::mailbox::Mailbox;
use super::parts::Leaving;
use super::setup::Setup;
use crate::Error;
use crate::clock::Clock;
use crate::events::{Bus, Event, EventMask};
use crate::executors::Executor;
use crate::stores::{
    Beat, ChangeListener, Changes, Claim, ClaimOutcome, Edit, EditOutcome, Node, Store, StoreError,
};
use crate::task::{Handler, Handlers, NodeId, Rules, Run, RunId, Task, TaskRecord, Ticket};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) setup: Mutex<Setup>,
    pub(super) bus: Arc<Bus>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) life: Life,
    /// Tasks that wait for the start; `None` while running: a task goes straight to its store.
    pending: Mutex<Option<Vec<Task>>>,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) health: Health,
    /// Held while stores and executors come or go, at start and shutdown, too.
    pub(super) parts: tokio::sync::Mutex<()>,
    pub(super) leaving: Leaving,
    pub(super) locks: Locks,
    session: Mutex<Option<Session>>,
    stores: RwLock<BTreeMap<Arc<str>, Arc<dyn Store>>>,
    executors: RwLock<BTreeMap<Arc<str>, Arc<dyn Executor>>>,
    handlers: RwLock<Known>,
    /// The runs going on here.
    live: Mutex<LiveRuns>,
    state: AtomicU8,
    boot: u64,
    /// What this start of the scheduler is called in stores.
    node: AtomicU64,
    /// The last start that has come to its end.
    ended: AtomicU64,
    runs_by_hand: AtomicU64,
    /// It is the configuration of a worker process: its handlers run for a scheduler elsewhere, and this one never does.
    pub(super) works_for_another: AtomicBool,
}

/// The handlers of this program.
#[derive(Debug, Default)]
struct Known {
    by_name: FxHashMap<Arc<str>, Handler>,
    names: Handlers,
    /// Those of the tasks that came last.
    rules: VecDeque<Arc<Rules>>,
}

/// So many different rules are kept to be shared: few programs have more, and each new task is compared with them.
const KINDS_OF_RULES: usize = 8;

/// The runs going on here, at the places that their tickets name.
#[derive(Debug, Default)]
pub(super) struct LiveRuns(Vec<Option<Run>>);

impl LiveRuns {
    pub(super) fn insert(&mut self, ticket: Ticket, run: Run) {
        if self.0.len() <= ticket.index() {
            self.0.resize(ticket.index() + 1, None);
        }
        self.0[ticket.index()] = Some(run);
    }

    pub(super) fn get(&self, ticket: Ticket) -> Option<&Run> {
        self.0.get(ticket.index())?.as_ref()
    }

    /// Takes out a run, unless another has its ticket already.
    pub(super) fn remove(&mut self, ticket: Ticket, run: RunId) -> Option<Run> {
        self.0.get_mut(ticket.index())?.take_if(|known| known.id() == run)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Run> {
        self.0.iter().flatten()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Tells the driver that tasks of a store have changed, when it is dropped.
struct Changing<'a> {
    shared: &'a Shared,
    store: &'a Arc<str>,
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.shared.changed(self.store);
    }
}

/// How far the driver has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Something may still be claimed.
    pub(super) deciding: bool,
    pub(super) quiet: bool,
    pub(super) running: usize,
    pub(super) counts: RunCounts,
    pub(super) next_wakeup: Option<DateTime<Utc>>,
}

impl Shared {
    pub(super) fn new() -> Arc<Self> {
        Self::named(RunId::boot())
    }

    /// `boot` tells its runs by hand from those of all other schedulers.
    pub(super) fn named(boot: u64) -> Arc<Self> {
        Arc::new(Self {
            setup: Mutex::new(Setup::default()),
            bus: Arc::new(Bus::new()),
            mailbox: Arc::default(),
            life: Life::default(),
            pending: Mutex::new(Some(Vec::new())),
            progress: watch::Sender::default(),
            health: Health::default(),
            parts: tokio::sync::Mutex::default(),
            leaving: Leaving::default(),
            locks: Locks::default(),
            session: Mutex::default(),
            stores: RwLock::default(),
            executors: RwLock::default(),
            handlers: RwLock::default(),
            live: Mutex::default(),
            state: AtomicU8::new(State::Stopped as u8),
            boot,
            node: AtomicU64::new(boot),
            ended: AtomicU64::new(boot),
            runs_by_hand: AtomicU64::new(0),
            works_for_another: AtomicBool::new(false),
        })
    }

    pub(super) fn setup(&self) -> MutexGuard<'_, Setup> {
        self.setup.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn pending(&self) -> MutexGuard<'_, Option<Vec<Task>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        self.setup().clock.clone()
    }

    pub(super) fn identity(&self) -> Arc<str> {
        let given = self.setup().identity.clone();
        given.unwrap_or_else(|| format!("asyncz-{:012x}", self.boot & 0xffff_ffff_ffff).into())
    }

    /// The time since the start; `None` while stopped.
    pub(super) fn session(&self) -> Option<Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_session(&self, session: Option<Session>) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = session;
    }

    /// A name for the start that begins now; answers it.
    pub(super) fn name_start(&self) -> u64 {
        let boot = RunId::boot();
        self.node.store(boot, Ordering::Release);
        boot
    }

    /// Ends the start.
    pub(super) fn end_start(&self) {
        self.ended.store(self.node.load(Ordering::Acquire), Ordering::Release);
        self.state.store(State::Stopped as u8, Ordering::Release);
    }

    /// Whether the start of this name goes on, or is only just beginning: what has gone once never comes back, so that
    /// whoever is told so may forget it.
    fn goes_on(&self, start: NodeId) -> bool {
        self.node_id() == start && NodeId::new(self.ended.load(Ordering::Acquire)) != start
    }

    /// What this start of the scheduler is called in stores.
    pub(super) fn node_id(&self) -> NodeId {
        NodeId::new(self.node.load(Ordering::Acquire))
    }

    /// The scheduler as stores know it.
    pub(super) fn node(&self) -> Node {
        let now = self.clock().now();
        Node {
            id: self.node_id(),
            identity: self.identity(),
            host: host(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").into(),
            release: self.setup().release,
            started_at: self.session().map_or(now, |session| session.since),
        }
    }

    /// Writes the claim of a user, of whatever runs it is. Where the lease has lapsed, as it has at first, it is renewed.
    pub(super) async fn claim(&self, store: &dyn Store, claim: &Claim) -> Result<ClaimOutcome, StoreError> {
        let by = self.node_id();
        let mut outcomes = store.claim(by, std::slice::from_ref(claim)).await?;
        if outcomes == [ClaimOutcome::Lapsed]
            && let Some(lease) = store.lease()
        {
            self.beat(store, lease).await?;
            outcomes = store.claim(by, std::slice::from_ref(claim)).await?;
        }
        outcomes.pop().ok_or_else(|| StoreError::new("it did not answer a claim"))
    }

    /// Renews the lease in a store, beside the driver; with none, what is left there is let go of.
    pub(super) async fn beat(&self, store: &dyn Store, lease: Duration) -> Result<(), StoreError> {
        let (node, now, handlers) = (self.node(), self.clock().now(), Handlers::default());
        store.renew(&Beat { node, lease, now, skew: None, handlers, limit: 0 }).await.map(drop)
    }

    /// How a store is to be dealt with; from here on it tells of changes.
    pub(super) fn terms(self: &Arc<Self>, alias: &Arc<str>, store: &dyn Store) -> Terms {
        let (shared, alias) = (Arc::downgrade(self), alias.clone());
        let node = self.node_id();
        let listener = ChangeListener::new(move || {
            let shared = shared.upgrade().filter(|shared| shared.goes_on(node));
            if let Some(shared) = &shared {
                shared.changed(&alias);
            }
            shared.is_some()
        });
        let ask_every = match store.changes(listener) {
            // A word can be lost on its way. Where no other process is there to give one, nothing can be.
            Changes::Told => store.lease(),
            Changes::Ask(time) => Some(time),
        };
        Terms { lease: store.lease(), ask_every, batch: store.batch() }
    }

    /// An id for a run that is not the machine's.
    pub(super) fn run_id_by_hand(&self) -> RunId {
        RunId::new(self.boot, self.runs_by_hand.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            0 => State::Stopped,
            1 => State::Running,
            _ => State::Paused,
        }
    }

    pub(super) fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
    }

    /// Lets the executors and handlers of a start be found, and no store yet.
    pub(super) fn install(
        &self,
        executors: BTreeMap<Arc<str>, Arc<dyn Executor>>,
        handlers: impl IntoIterator<Item = Handler>,
    ) {
        self.stores.write().unwrap_or_else(PoisonError::into_inner).clear();
        *self.executors.write().unwrap_or_else(PoisonError::into_inner) = executors;
        for handler in handlers {
            self.add_handler(handler);
        }
    }

    /// Lets a handler be found; answers whether one of its names is new: tasks may have waited for it.
    pub(super) fn add_handler(&self, mut handler: Handler) -> bool {
        let mut known = self.handlers.write().unwrap_or_else(PoisonError::into_inner);
        let was = handler.was.iter().copied().map(Arc::from);
        let is_new = was.fold(false, |new, name| known.names.add(name) | new);
        // Mostly it is known, as thousands of tasks have one handler.
        if let Some(place) = known.by_name.get_mut(&handler.name) {
            handler.name = place.name.clone();
            *place = handler;
            return is_new;
        }
        known.names.add(handler.name.clone());
        known.by_name.insert(handler.name.clone(), handler);
        true
    }

    /// The handlers of this program.
    pub(super) fn handlers(&self) -> Handlers {
        self.handlers.read().unwrap_or_else(PoisonError::into_inner).names.clone()
    }

    /// Lets a task share with all others what they have in common: the text of its handler's name, by whose place in memory
    /// the handler is found then, and its rules.
    pub(super) fn share_parts(&self, record: &mut TaskRecord) {
        let Some(definition) = Arc::get_mut(&mut record.definition) else { return };
        let mut known = self.handlers.write().unwrap_or_else(PoisonError::into_inner);
        if let Some((name, _)) = known.by_name.get_key_value(&definition.handler) {
            if definition.name == definition.handler {
                definition.name = name.clone();
            }
            definition.handler = name.clone();
        }
        match known.rules.iter().find(|rules| **rules == definition.rules) {
            Some(rules) => definition.rules = rules.clone(),
            None => {
                known.rules.truncate(KINDS_OF_RULES - 1);
                known.rules.push_front(definition.rules.clone());
            }
        }
    }

    pub(super) fn stores(&self) -> BTreeMap<Arc<str>, Arc<dyn Store>> {
        self.stores.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn store(&self, alias: &str) -> Option<Arc<dyn Store>> {
        self.stores.read().unwrap_or_else(PoisonError::into_inner).get(alias).cloned()
    }

    /// A store as the driver knows it: one that is being removed, too.
    pub(super) fn store_of_driver(&self, alias: &str) -> Option<Arc<dyn Store>> {
        self.store(alias).or_else(|| self.leaving.store(alias))
    }

    pub(super) fn insert_store(&self, alias: Arc<str>, store: Arc<dyn Store>) {
        self.stores.write().unwrap_or_else(PoisonError::into_inner).insert(alias, store);
    }

    pub(super) fn forget_store(&self, alias: &str) {
        self.stores.write().unwrap_or_else(PoisonError::into_inner).remove(alias);
    }

    pub(super) fn insert_executor(&self, alias: Arc<str>, executor: Arc<dyn Executor>) {
        self.executors.write().unwrap_or_else(PoisonError::into_inner).insert(alias, executor);
    }

    pub(super) fn forget_executor(&self, alias: &str) {
        self.executors.write().unwrap_or_else(PoisonError::into_inner).remove(alias);
    }

    pub(super) fn executor(&self, alias: &str) -> Option<Arc<dyn Executor>> {
        self.executors.read().unwrap_or_else(PoisonError::into_inner).get(alias).cloned()
    }

    pub(super) fn executors(&self) -> BTreeMap<Arc<str>, Arc<dyn Executor>> {
        self.executors.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The handler of this name, or the one that once had it.
    pub(super) fn handler(&self, name: &str) -> Option<Handler> {
        let Known { by_name, .. } = &*self.handlers.read().unwrap_or_else(PoisonError::into_inner);
        by_name.get(name).or_else(|| by_name.values().find(|handler| handler.answers_to(name))).cloned()
    }

    pub(super) fn live(&self) -> MutexGuard<'_, LiveRuns> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many handlers are running, by their executors.
    pub(super) fn running_by_executor(&self) -> BTreeMap<Arc<str>, usize> {
        let mut running = BTreeMap::new();
        for run in self.live().iter().filter(|run| run.live().started_at().is_some()) {
            *running.entry(run.definition().executor.clone()).or_default() += 1;
        }
        running
    }

    /// Tells the driver that tasks of a store have changed.
    pub(super) fn changed(&self, store: &Arc<str>) {
        self.mailbox.changed(store, self.clock().busy());
    }

    /// Writes edits to a store. The driver looks at them whatever becomes of the answer: the store may have done what it
    /// could not tell, and who asked may wait no longer.
    pub(super) async fn put(
        &self,
        alias: &Arc<str>,
        store: &dyn Store,
        edits: &[Edit],
    ) -> Result<Vec<EditOutcome>, StoreError> {
        let _changing = Changing { shared: self, store: alias };
        store.put(edits).await
    }

    /// The version of a task that is added: unlike those of all others that had its id, so that nothing that was planned
    /// from one of them is written to it.
    pub(super) fn first_version(&self) -> u64 {
        // Numbers in order, each turned into one that tells nothing of it (SplitMix64): those of two schedulers lie apart.
        let number = self.runs_by_hand.fetch_add(1, Ordering::Relaxed);
        let mut mixed = self.boot.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) >> 16
    }

    pub(super) fn emit(&self, event: &Event) {
        if event.kind == EventMask::STORE_ERROR
            && let Some(store) = &event.alias
        {
            self.health.note_failure(store, event.error.as_deref());
        }
        if self.heard_events().contains(event.kind) {
            self.log(event);
        }
        if self.bus.wants(event.kind) {
            self.bus.emit(event, &*self.clock());
        }
    }

    /// The kinds of events that a listener or the log wants.
    pub(super) fn heard_events(&self) -> EventMask {
        match self.logs_runs() {
            true => EventMask::all(),
            false => ABOVE_DEBUG.union(self.bus.wanted()),
        }
    }

    pub(super) fn note_progress(&self, machine: &Machine) {
        let now = Progress {
            deciding: machine.is_deciding(),
            quiet: machine.is_quiet(),
            running: machine.running(),
            counts: machine.counts(),
            next_wakeup: machine.poll_timeout(),
        };
        if !now.deciding {
            self.locks.release_at_end();
        }
        self.progress.send_if_modified(|before| std::mem::replace(before, now) != now);
    }

    /// An error unless the scheduler is running, paused or not.
    pub(super) fn require_running(&self) -> Result<(), Error> {
        match self.state() {
            State::Stopped => Err(Error::NotRunning),
            State::Running | State::Paused => Ok(()),
        }
    }
}

impl Shared {
    /// An error in a worker process, which has no tasks.
    pub(super) fn require_own_tasks(&self) -> Result<(), Error> {
        match self.works_for_another.load(Ordering::Acquire) {
            true => Err(Error::NotRunning),
            false => Ok(()),
        }
    }
}

/// The name of this host.
fn host() -> Arc<str> {
    static HOST: LazyLock<Arc<str>> = LazyLock::new(|| {
        let known = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let told =
            known.or_else(|| std::env::var("HOSTNAME").or_else(|_| std::env::var("COMPUTERNAME")).ok());
        told.as_deref().map_or("unknown", str::trim).into()
    });
    HOST.clone()
}
