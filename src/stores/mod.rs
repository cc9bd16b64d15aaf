//! Claim: where tasks, their history and the decisions about them live.

mod agenda;
#[cfg(any(feature = "_database", all(feature = "file", unix)))]
mod crypt;
mod decision;
#[cfg(feature = "_database")]
mod definitions;
mod edit;
#[cfg(any(feature = "_sql", feature = "mongodb"))]
mod edit_groups;
#[cfg(any(feature = "_database", all(feature = "file", unix)))]
mod envelope;
mod error;
#[cfg(all(feature = "file", unix))]
mod file;
mod filter;
#[cfg(any(feature = "postgres", feature = "redis", feature = "mongodb"))]
mod hearing;
mod history;
mod kept;
mod leases;
mod memory;
#[cfg(feature = "mongodb")]
mod mongo;
mod nodes;
#[cfg(feature = "redis")]
mod redis;
mod shared;
#[cfg(feature = "_sql")]
mod sql;
#[cfg(any(feature = "_database", all(feature = "file", unix)))]
mod users;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::task::{Handlers, NodeId, RunId, RunRecord, TaskId, TaskRecord};

pub use decision::{Claim, ClaimOutcome, Decision, Finish, FinishOutcome, Retry, RunEnd, Then};
pub use edit::{Edit, EditOutcome};
pub use error::StoreError;
#[cfg(all(feature = "file", unix))]
pub use file::FileStore;
pub use filter::RunFilter;
pub use memory::MemoryStore;
#[cfg(feature = "mongodb")]
pub use mongo::MongoStore;
pub use nodes::{Beat, LapsedRun, Node, NodeRecord, Renewal};
#[cfg(feature = "redis")]
pub use redis::RedisStore;
#[cfg(feature = "_sql")]
pub use sql::{OwnTransaction, SqlStore};

/// Where tasks and their history live, shared by any number of schedulers.
///
/// The promises that every store keeps:
/// - **a claim is won once**: of any number of racing schedulers exactly one gets each occurrence. Every claim, finish
///   and edit adds one to the task's [`version`](crate::Schedule::version), and a claim that was planned from an older
///   version is [lost](ClaimOutcome::Lost);
/// - **a claim is one step**: its entries and the task's new schedule are written together or not at all;
/// - **an end is written once**, by the scheduler that has the run: one that was taken over is [refused](FinishOutcome::refused),
///   and a finish that is asked again, as its answer was lost, changes nothing and says again whether the run is tried again;
/// - **a lease is kept by renewing it**: runs of a scheduler that has let it lapse are taken over, and no others; one whose
///   lease has lapsed claims no runs until it has renewed it;
/// - **the store's clock decides** what is due and what has lapsed, where it has one;
/// - **only what can be run is found**: tasks of handlers that a scheduler lacks are not due for it;
/// - **calls are batched**: one call serves many tasks, and each outcome stands at its request's place;
/// - **changes are told** to the schedulers that have not made them;
/// - **a record that can't be read stops nobody**: its neighbours are served, it is told of, and it is kept.
///
/// With feature `testing`, `asyncz::testing::store_conformance!` holds a store of your own to them; `examples/custom_store.rs`
/// is one that passes.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Makes the store ready; called before all else, by each scheduler of the process that shares the store. It may be
    /// called again after [`shutdown`](Store::shutdown).
    async fn start(&self) -> Result<(), StoreError>;

    /// Lets go of what the store holds open, where all that have called [`start`](Store::start) have called this: once for each
    /// start, also for one that has failed. What is stored stays.
    async fn shutdown(&self) -> Result<(), StoreError>;

    /// The store's own clock. Default: it has none, and goes by the times that it is told.
    async fn now(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        Ok(None)
    }

    /// How long the runs of a scheduler are believed to go on after it was heard of last. Default: 30 s.
    ///
    /// `None`: what is kept here goes with the process, so that nobody is there to take over what a dead one had.
    fn lease(&self) -> Option<Duration> {
        Some(LEASE)
    }

    /// How many due tasks a scheduler asks for at a time: the first of a herd run while the next are being decided. Default: 200.
    /// One that answers at once had better say more: each batch wakes the workers.
    fn batch(&self) -> usize {
        BATCH
    }

    /// Adds, replaces and deletes tasks.
    async fn put(&self, edits: &[Edit]) -> Result<Vec<EditOutcome>, StoreError>;

    /// The tasks of these ids, in their order; `None` for one that is not there.
    async fn load(&self, ids: &[TaskId]) -> Result<Vec<Option<TaskRecord>>, StoreError>;

    /// The tasks that a query asks for.
    async fn query(&self, query: Query) -> Result<Found, StoreError>;

    /// Writes the decisions of a scheduler, each only where nobody has changed the task since it was read.
    async fn claim(&self, by: NodeId, claims: &[Claim]) -> Result<Vec<ClaimOutcome>, StoreError>;

    /// Writes how runs of a scheduler ended, and what comes then, each in one step. A task that
    /// [is over](TaskRecord::is_over) with its last run is removed.
    async fn finish(&self, by: NodeId, ends: &[Finish]) -> Result<Vec<FinishOutcome>, StoreError>;

    /// Renews a scheduler's lease, and answers what became of those of others.
    async fn renew(&self, beat: &Beat) -> Result<Renewal, StoreError>;

    /// When the first of all tasks that these handlers can run [is due](TaskRecord::due_at), and which of the scheduler's
    /// runs are [to be cancelled](Store::cancel).
    async fn next_due(&self, by: NodeId, handlers: &Handlers) -> Result<NextDue, StoreError>;

    /// Notes that a run is to be cancelled, for the scheduler that has it; `false`: no scheduler has it.
    async fn cancel(&self, run: RunId) -> Result<bool, StoreError>;

    /// The history, newest first.
    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError>;

    /// How a scheduler is to learn of what others have changed. Called once after each [`start`](Store::start) of a
    /// scheduler. Default: it asks each second.
    fn changes(&self, listener: ChangeListener) -> Changes {
        drop(listener);
        Changes::Ask(ASK)
    }

    /// Removes old entries of the history; answers how many. Default: none, as in a store that bounds its history itself.
    async fn prune(&self, prune: &Prune) -> Result<usize, StoreError> {
        _ = prune;
        Ok(0)
    }

    /// How many tasks there are. A store that can count without reading them does.
    async fn count(&self) -> Result<usize, StoreError> {
        self.query(Query::All).await.map(|found| found.tasks.len())
    }

    /// The database that it is in: see [`TaskContext::complete_in`](crate::TaskContext::complete_in).
    #[cfg(feature = "_sql")]
    #[doc(hidden)]
    fn as_sql(&self) -> Option<&SqlStore> {
        None
    }

    /// The name of its type, for people.
    fn type_name(&self) -> &'static str {
        std::any::type_name::<Self>()
    }
}

/// See [`Store::lease`].
pub(crate) const LEASE: Duration = Duration::from_secs(30);
/// See [`Store::batch`].
const BATCH: usize = 200;
/// See [`Store::changes`].
const ASK: Duration = Duration::from_secs(1);

/// What to look for among the tasks.
#[derive(Clone, Debug)]
pub enum Query {
    /// Tasks with something to decide ([`TaskRecord::due_at`]) that these handlers can run, the earliest first.
    Due {
        /// The time by the caller's clock; a store with a clock of its own goes by that.
        now: DateTime<Utc>,
        /// At most so many.
        limit: usize,
        /// Tasks of other handlers are another scheduler's to decide.
        handlers: Handlers,
    },
    /// Tasks that none of these handlers can run, at most `limit`.
    Orphans {
        /// The handlers that there are.
        handlers: Handlers,
        /// At most so many.
        limit: usize,
    },
    /// Every task, in the order of ids.
    All,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The tasks.
    pub tasks: Vec<TaskRecord>,
    /// When they were looked for, by the store's clock; `None`: it has none.
    pub now: Option<DateTime<Utc>>,
    /// Records that would be among them and can't be read: told once by each store, and kept.
    pub unreadable: Vec<Unreadable>,
}

impl From<Vec<TaskRecord>> for Found {
    fn from(tasks: Vec<TaskRecord>) -> Self {
        Self { tasks, now: None, unreadable: Vec::new() }
    }
}

/// A record that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The task's id.
    pub id: TaskId,
    /// Why it can't be read.
    pub reason: String,
}

/// What a scheduler has to do next in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NextDue {
    /// When the next task is due; `None`: none is.
    pub at: Option<DateTime<Utc>>,
    /// The store's clock; `None`: it has none.
    pub now: Option<DateTime<Utc>>,
    /// Runs of the scheduler that are to be cancelled.
    pub cancelled: Vec<RunId>,
}

impl From<Option<DateTime<Utc>>> for NextDue {
    fn from(at: Option<DateTime<Utc>>) -> Self {
        Self { at, ..Self::default() }
    }
}

/// Which entries of the history may go. Those of runs that go on or wait stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prune {
    /// Entries decided before then.
    pub before: Option<DateTime<Utc>>,
    /// Entries of a task that has so many newer ones.
    pub a_task: Option<usize>,
    /// At most so many at a time, so that nobody waits for long.
    pub limit: usize,
}

/// How a scheduler learns of what others have changed in its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// The store tells the [`ChangeListener`], at once. As a word can be lost, it is asked once a [lease](Store::lease) all the same.
    Told,
    /// It does not: it is to be asked this often.
    Ask(Duration),
}

/// Who is to be told that tasks, or runs to be cancelled, have changed.
#[derive(Clone)]
pub struct ChangeListener(std::sync::Arc<dyn Fn() -> bool + Send + Sync>);

impl ChangeListener {
    /// `tell` answers whether there still is somebody who hears it.
    pub fn new(tell: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(std::sync::Arc::new(tell))
    }

    /// Tells it, and waits for nothing; `false`: nobody hears it any more, and this can be dropped.
    pub fn tell(&self) -> bool {
        (self.0)()
    }
}

impl fmt::Debug for ChangeListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChangeListener")
    }
}
