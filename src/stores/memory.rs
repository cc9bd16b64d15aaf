//! A store in this process's memory.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::history::History;
use super::kept::Kept;
use super::{
    Beat, ChangeListener, Changes, Claim, ClaimOutcome, Edit, EditOutcome, Finish, FinishOutcome, Found,
    NextDue, Query, Renewal, RunFilter, Store, StoreError, Then,
};
use crate::task::{Handlers, NodeId, RunId, RunRecord, TaskId, TaskRecord};

/// Keeps tasks in memory: fast, and gone with the process.
///
/// Its history has the newest 100 entries of each task and 100,000 in all; the entries of a removed task stay until newer
/// ones take their place. What it keeps outlives a scheduler's shutdown and start.
///
/// Several schedulers of a process may share one (`Arc<MemoryStore>` is a store). As they come to their end together there
/// are no leases, unless [`leased`](Self::leased) says so.
#[derive(Debug)]
pub struct MemoryStore {
    kept: Mutex<Kept>,
    lease: Option<Duration>,
    clock: Option<StoreClock>,
    listeners: Mutex<Vec<ChangeListener>>,
}

/// A clock of the store's own.
struct StoreClock(Box<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl fmt::Debug for StoreClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreClock")
    }
}

const ENTRIES_A_TASK: usize = 100;
const ENTRIES_IN_ALL: usize = 100_000;
/// See [`Store::batch`]: with 1,000 a run of a herd of 100,000 takes a tenth less processor time than with 200.
const BATCH: usize = 1_000;

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::keeping(ENTRIES_A_TASK, ENTRIES_IN_ALL)
    }

    /// An empty store whose history has so many entries of each task, and so many in all.
    pub(crate) fn keeping(a_task: usize, in_all: usize) -> Self {
        Self {
            kept: Mutex::new(Kept::new(History::new(a_task, in_all))),
            lease: None,
            clock: None,
            listeners: Mutex::default(),
        }
    }

    /// With leases as in a store that outlives the process: what a scheduler has that is not heard of for so long is taken
    /// over by the others. For tests that see one die, which is as in a store of many processes then.
    #[must_use]
    pub fn leased(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// With a clock of its own, for tests with schedulers whose clocks go otherwise.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        self.clock = Some(StoreClock(Box::new(clock)));
        self
    }

    /// The store's time; `told`: the caller's.
    fn time(&self, told: DateTime<Utc>) -> DateTime<Utc> {
        self.own_time().unwrap_or(told)
    }

    fn own_time(&self) -> Option<DateTime<Utc>> {
        self.clock.as_ref().map(|StoreClock(clock)| clock())
    }

    /// Tells the schedulers that share the store. A single one knows what it does.
    fn tell(&self) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        if listeners.len() > 1 {
            listeners.retain(ChangeListener::tell);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing below panics half-way through a change.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn start(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn shutdown(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn now(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        Ok(self.own_time())
    }

    fn lease(&self) -> Option<Duration> {
        self.lease
    }

    fn batch(&self) -> usize {
        BATCH
    }

    async fn put(&self, edits: &[Edit]) -> Result<Vec<EditOutcome>, StoreError> {
        let outcomes = {
            let mut kept = self.kept();
            edits.iter().map(|edit| kept.edit(edit)).collect()
        };
        self.tell();
        Ok(outcomes)
    }

    async fn load(&self, ids: &[TaskId]) -> Result<Vec<Option<TaskRecord>>, StoreError> {
        let kept = self.kept();
        Ok(ids.iter().map(|id| kept.record(id).cloned()).collect())
    }

    async fn query(&self, query: Query) -> Result<Found, StoreError> {
        let query = match query {
            Query::Due { now, limit, handlers } => Query::Due { now: self.time(now), limit, handlers },
            other => other,
        };
        let tasks = self.kept().query(&query);
        Ok(Found { tasks, now: self.own_time(), ..Found::default() })
    }

    async fn claim(&self, by: NodeId, claims: &[Claim]) -> Result<Vec<ClaimOutcome>, StoreError> {
        let mut kept = self.kept();
        let (leased, mut outcomes) = (self.lease.is_some(), Vec::with_capacity(claims.len()));
        for claim in claims {
            outcomes.push(kept.claim(by, claim, self.time(claim.decided_at), leased));
        }
        Ok(outcomes)
    }

    async fn finish(&self, by: NodeId, ends: &[Finish]) -> Result<Vec<FinishOutcome>, StoreError> {
        let outcomes = {
            let mut kept = self.kept();
            ends.iter().map(|end| kept.finish(by, end)).collect()
        };
        if ends.iter().any(|end| matches!(end.then, Then::HandOn(_))) {
            self.tell();
        }
        Ok(outcomes)
    }

    async fn renew(&self, beat: &Beat) -> Result<Renewal, StoreError> {
        let now = self.time(beat.now);
        Ok(Renewal { now: self.own_time(), ..self.kept().renew(beat, now) })
    }

    async fn next_due(&self, by: NodeId, handlers: &Handlers) -> Result<NextDue, StoreError> {
        let mut kept = self.kept();
        Ok(NextDue { at: kept.next_due(handlers), now: self.own_time(), cancelled: kept.cancelled_of(by) })
    }

    async fn cancel(&self, run: RunId) -> Result<bool, StoreError> {
        let is_open = self.kept().cancel(run);
        self.tell();
        Ok(is_open)
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
        Ok(self.kept().find(filter))
    }

    fn changes(&self, listener: ChangeListener) -> Changes {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
        Changes::Told
    }

    async fn count(&self) -> Result<usize, StoreError> {
        Ok(self.kept().count())
    }
}
