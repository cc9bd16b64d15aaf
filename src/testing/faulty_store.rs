//! A store that goes wrong when it is told to.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use tokio::sync::watch;

use crate::stores::{
    Beat, ChangeListener, Changes, Claim, ClaimOutcome, Edit, EditOutcome, Finish, FinishOutcome, Found,
    MemoryStore, NextDue, Prune, Query, Renewal, RunFilter, Store, StoreError,
};
use crate::task::{Handlers, NodeId, RunId, RunRecord, TaskId, TaskRecord};

/// Wraps a store and fails on command, so that a test sees what becomes of tasks while their store is down, slow or
/// forgetful.
///
/// Its clones are one: give one to a scheduler and tell the other what to do. It does what the store in it does until it is
/// given a [`Fault`].
///
/// ```
/// use std::time::Duration;
/// use asyncz::testing::{Fault, FaultyStore, StoreCall, TestClock};
/// use asyncz::{AsynczConfig, RunFilter, Task};
///
/// async fn collect() {}
///
/// # #[tokio::main] async fn main() -> Result<(), asyncz::Error> {
/// let (clock, store) = (TestClock::at("2026-03-29T00:30:00Z"), FaultyStore::in_memory());
/// let config = AsynczConfig::new().clock(clock.clone()).store("default", store.clone()).without_registry();
/// let scheduler = config.task(Task::from_fn("collect", collect).every(Duration::from_secs(60))).scheduler();
/// scheduler.start().await?;
/// store.inject(Fault::error("connection refused").on(StoreCall::Claim).times(1));
/// clock.advance(Duration::from_secs(120)).await;
/// // The first claim failed, and was made again 10 s later.
/// assert_eq!(scheduler.runs(RunFilter::new()).await?.len(), 2);
/// assert_eq!(store.failures(), 1);
/// scheduler.stop().await
/// # }
/// ```
#[derive(Debug)]
pub struct FaultyStore<S = MemoryStore>(Arc<Inner<S>>);

#[derive(Debug)]
struct Inner<S> {
    store: S,
    state: Mutex<State>,
    /// How often it was healed.
    healed: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    faults: Vec<Fault>,
    calls: BTreeMap<StoreCall, usize>,
    failures: usize,
}

/// The calls of a [`Store`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StoreCall {
    /// [`Store::start`].
    Start,
    /// [`Store::shutdown`].
    Shutdown,
    /// [`Store::put`].
    Put,
    /// [`Store::load`].
    Load,
    /// [`Store::query`].
    Query,
    /// [`Store::claim`].
    Claim,
    /// [`Store::finish`].
    Finish,
    /// [`Store::next_due`].
    NextDue,
    /// [`Store::runs`].
    Runs,
    /// [`Store::count`].
    Count,
    /// [`Store::now`].
    Now,
    /// [`Store::renew`].
    Renew,
    /// [`Store::cancel`].
    Cancel,
    /// [`Store::prune`].
    Prune,
    /// A word to those who have asked for [`Store::changes`]: whatever goes wrong with it, it is lost.
    Changes,
}

/// What goes wrong, with which calls, and how often. On every call and until it is [healed](FaultyStore::heal), unless
/// narrowed.
#[must_use = "a fault does nothing until a store is given it"]
#[derive(Clone, Debug)]
pub struct Fault {
    kind: Kind,
    /// Of any kind where there are none.
    calls: Vec<StoreCall>,
    left: Option<usize>,
}

#[derive(Clone, Debug)]
enum Kind {
    Error(String),
    LostAnswer(String),
    Hang,
    Hold,
}

impl Fault {
    /// The store does nothing and answers with an error.
    pub fn error(message: impl Into<String>) -> Self {
        Self::of(Kind::Error(message.into()))
    }

    /// The store does what it was asked, and answers with an error: as where a connection breaks before the answer is
    /// back.
    pub fn lost_answer(message: impl Into<String>) -> Self {
        Self::of(Kind::LostAnswer(message.into()))
    }

    /// The store does nothing and never answers; [healing](FaultyStore::heal) does not help a call that hangs.
    pub fn hang() -> Self {
        Self::of(Kind::Hang)
    }

    /// The store does what it was asked only when it is [healed](FaultyStore::heal).
    pub fn hold() -> Self {
        Self::of(Kind::Hold)
    }

    fn of(kind: Kind) -> Self {
        Self { kind, calls: Vec::new(), left: None }
    }

    /// Only with calls of this kind; said again, with any of the kinds.
    pub fn on(mut self, call: StoreCall) -> Self {
        self.calls.push(call);
        self
    }

    /// Only with the next calls, so many.
    pub fn times(mut self, calls: usize) -> Self {
        self.left = Some(calls);
        self
    }

    fn meets(&self, call: StoreCall) -> bool {
        self.left != Some(0) && (self.calls.is_empty() || self.calls.contains(&call))
    }
}

impl FaultyStore {
    /// Around a new [`MemoryStore`].
    pub fn in_memory() -> Self {
        Self::new(MemoryStore::new())
    }
}

impl<S> Clone for FaultyStore<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl Default for FaultyStore {
    fn default() -> Self {
        Self::in_memory()
    }
}

impl<S: Store> FaultyStore<S> {
    /// Around a store. Faults begin with [`inject`](Self::inject).
    pub fn new(store: S) -> Self {
        Self(Arc::new(Inner { store, state: Mutex::default(), healed: watch::Sender::default() }))
    }

    /// The store inside, which has no faults.
    pub fn inner(&self) -> &S {
        &self.0.store
    }

    /// Goes wrong from now on. Where a call meets several faults, the one that was given first is its.
    pub fn inject(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Answers every call with an error until it is [healed](Self::heal).
    pub fn go_down(&self) {
        self.inject(Fault::error("connection refused"));
    }

    /// Forgets all faults.
    pub fn heal(&self) {
        self.state().faults.clear();
        self.0.healed.send_modify(|times| *times += 1);
    }

    /// How many calls of this kind there were.
    pub fn calls(&self, call: StoreCall) -> usize {
        self.state().calls.get(&call).copied().unwrap_or_default()
    }

    /// How many calls were answered with an error for a fault.
    pub fn failures(&self) -> usize {
        self.state().failures
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call, or what a fault makes of it.
    async fn call<T>(
        &self,
        call: StoreCall,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let mut healed = self.0.healed.subscribe();
        match self.next_fault(call) {
            None => answer.await,
            Some(Kind::Error(message)) => Err(StoreError::new(message)),
            Some(Kind::LostAnswer(message)) => {
                answer.await?;
                Err(StoreError::new(message))
            }
            Some(Kind::Hang) => pending().await,
            Some(Kind::Hold) => {
                // The sender lives as long as the store.
                _ = healed.changed().await;
                answer.await
            }
        }
    }

    fn next_fault(&self, call: StoreCall) -> Option<Kind> {
        let mut state = self.state();
        *state.calls.entry(call).or_default() += 1;
        let fault = state.faults.iter_mut().find(|fault| fault.meets(call))?;
        if let Some(left) = &mut fault.left {
            *left -= 1;
        }
        let kind = fault.kind.clone();
        state.failures += usize::from(matches!(kind, Kind::Error(_) | Kind::LostAnswer(_)));
        Some(kind)
    }
}

#[async_trait]
impl<S: Store> Store for FaultyStore<S> {
    async fn start(&self) -> Result<(), StoreError> {
        self.call(StoreCall::Start, self.0.store.start()).await
    }

    async fn shutdown(&self) -> Result<(), StoreError> {
        self.call(StoreCall::Shutdown, self.0.store.shutdown()).await
    }

    async fn now(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.call(StoreCall::Now, self.0.store.now()).await
    }

    fn lease(&self) -> Option<Duration> {
        self.0.store.lease()
    }

    fn batch(&self) -> usize {
        self.0.store.batch()
    }

    async fn put(&self, edits: &[Edit]) -> Result<Vec<EditOutcome>, StoreError> {
        self.call(StoreCall::Put, self.0.store.put(edits)).await
    }

    async fn load(&self, ids: &[TaskId]) -> Result<Vec<Option<TaskRecord>>, StoreError> {
        self.call(StoreCall::Load, self.0.store.load(ids)).await
    }

    async fn query(&self, query: Query) -> Result<Found, StoreError> {
        self.call(StoreCall::Query, self.0.store.query(query)).await
    }

    async fn claim(&self, by: NodeId, claims: &[Claim]) -> Result<Vec<ClaimOutcome>, StoreError> {
        self.call(StoreCall::Claim, self.0.store.claim(by, claims)).await
    }

    async fn finish(&self, by: NodeId, ends: &[Finish]) -> Result<Vec<FinishOutcome>, StoreError> {
        self.call(StoreCall::Finish, self.0.store.finish(by, ends)).await
    }

    async fn renew(&self, beat: &Beat) -> Result<Renewal, StoreError> {
        self.call(StoreCall::Renew, self.0.store.renew(beat)).await
    }

    async fn next_due(&self, by: NodeId, handlers: &Handlers) -> Result<NextDue, StoreError> {
        self.call(StoreCall::NextDue, self.0.store.next_due(by, handlers)).await
    }

    async fn cancel(&self, run: RunId) -> Result<bool, StoreError> {
        self.call(StoreCall::Cancel, self.0.store.cancel(run)).await
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
        self.call(StoreCall::Runs, self.0.store.runs(filter)).await
    }

    fn changes(&self, listener: ChangeListener) -> Changes {
        let inner = Arc::downgrade(&self.0);
        let tell = move || {
            let fault = inner.upgrade().and_then(|inner| Self(inner).next_fault(StoreCall::Changes));
            fault.is_some() || listener.tell()
        };
        // A store may tell at any time, and forgets whoever says that nobody hears it.
        match tell() {
            true => self.0.store.changes(ChangeListener::new(tell)),
            false => Changes::Told,
        }
    }

    async fn prune(&self, prune: &Prune) -> Result<usize, StoreError> {
        self.call(StoreCall::Prune, self.0.store.prune(prune)).await
    }

    async fn count(&self) -> Result<usize, StoreError> {
        self.call(StoreCall::Count, self.0.store.count()).await
    }

    #[cfg(feature = "_sql")]
    fn as_sql(&self) -> Option<&crate::stores::SqlStore> {
        self.0.store.as_sql()
    }

    fn type_name(&self) -> &'static str {
        "FaultyStore"
    }
}
