//! Tasks in MongoDB.

mod changes;
mod claims;
mod database;
mod documents;
mod finishes;
mod history;
mod nodes;
#[cfg(feature = "testing")]
mod plans;
mod schema;
mod sessions;
mod settings;
mod step;
mod tasks;

use std::hash::RandomState;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use mongodb::Client;
use mongodb::bson::{Document, doc};

use self::database::Database;
use self::settings::Settings;
use self::step::{is_transient, let_pass};
use super::crypt::Keys;
use super::definitions::Definitions;
use super::hearing::Hearing;
use super::users::Users;
use super::{
    Beat, ChangeListener, Changes, Claim, ClaimOutcome, Edit, EditOutcome, Finish, FinishOutcome, Found,
    NextDue, Prune, Query, Renewal, RunFilter, Store, StoreError,
};
use crate::task::{Handlers, NodeId, RunId, RunRecord, TaskId, TaskRecord};

/// Keeps tasks and their history in MongoDB, version 6.0 and later, for any number of processes.
///
/// It needs transactions, and so a replica set, be it of one member: `mongod --replSet rs0`, and `rs.initiate()` once in
/// `mongosh`. An address with `mongodb+srv://` needs the feature `tls`.
///
/// It makes its collections and indexes itself: the tasks in the one that [`collection`](Self::collection) says, and beside it,
/// with its name before theirs, `.runs` (the history), `.nodes`, `.changes`, `.sessions` and `.version`.
///
/// ```no_run
/// use asyncz::{AsynczConfig, MongoStore};
///
/// let store = MongoStore::new("mongodb://localhost/?replicaSet=rs0").database("app");
/// let config = AsynczConfig::new().store("default", store);
/// # let _ = config;
/// ```
///
/// A decision is on the disks of a majority of the members before anything runs (`w: "majority"`, `j: true`), and is made from
/// what a majority has, whatever the client or the url says. The server's clock decides what is due and which lease has
/// lapsed. Changes are told at once (change streams). Where the primary goes away, everything waits until there is another one, and
/// goes on where it stood.
///
/// A server that knows its users wants one in the url, with the role `readWrite` on the store's database.
///
/// A process that dies in the middle of a transaction leaves the tasks locked that it has touched. The others leave them out,
/// and free them when the process was not heard of for a lease.
#[derive(Debug)]
pub struct MongoStore {
    settings: Settings,
    open: Open,
    /// By the ids of tasks, which anybody may choose.
    definitions: Definitions<TaskId, Document, RandomState>,
    hearing: Hearing,
    users: Users,
    /// Up to which time of the history was looked for tasks that have too many entries, in milliseconds.
    looked_at: Mutex<i64>,
}

/// The database, where it is open.
type Open = Arc<tokio::sync::Mutex<Option<Arc<Database>>>>;

/// So often a step is tried that others were in the way of.
const TRIES: usize = 20;

impl MongoStore {
    /// A store at this address: `mongodb://user@host/?replicaSet=rs0`. Nothing is opened before it is used.
    pub fn new(url: impl Into<String>) -> Self {
        Self::with(Settings::of_url(url.into()))
    }

    /// A store that the program's own client is connected with. It is not shut down with the store.
    pub fn with_client(client: Client) -> Self {
        Self::with(Settings::of_client(client))
    }

    fn with(settings: Settings) -> Self {
        Self {
            settings,
            open: Open::default(),
            definitions: Definitions::default(),
            hearing: Hearing::default(),
            users: Users::default(),
            looked_at: Mutex::default(),
        }
    }

    /// The database. Default: `asyncz`, whatever the url says.
    #[must_use]
    pub fn database(mut self, database: impl Into<String>) -> Self {
        self.settings.database = database.into();
        self
    }

    /// The collection of the tasks. Default: `tasks`.
    ///
    /// Stores of different collections know nothing of each other.
    #[must_use]
    pub fn collection(mut self, collection: impl Into<String>) -> Self {
        self.settings.collection = collection.into();
        self
    }

    /// How long the runs of a scheduler that is not heard of any more are believed to go on. Default: 30 s.
    ///
    /// A shorter one has what a dead process leaves taken over sooner, and a process that only stands still for so long
    /// loses its runs.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.settings.lease = lease;
        self
    }

    /// Whether the server's clock decides what is due and what has lapsed. Default: true. Without it the clocks of the
    /// schedulers do: for tests with a clock of their own.
    #[must_use]
    pub fn server_clock(mut self, server_clock: bool) -> Self {
        self.settings.server_clock = server_clock;
        self
    }

    /// The keys that what tasks say and answer is encrypted with, in the place of those in `ASYNCZ_STORE_ENCRYPTION_KEY`
    /// (feature `encryption`). Default: those; and without any it is written as it is.
    ///
    /// A key is a text of at least 32 characters, such as 32 random bytes in base64. The first one encrypts and all decrypt: a new
    /// one goes first, once every program has it. What is encrypted and what is not, and how a key is replaced, says
    /// `docs/guarantees.md`.
    #[must_use]
    pub fn encryption_keys<T: Into<String>>(mut self, keys: impl IntoIterator<Item = T>) -> Self {
        self.settings.keys = Keys::told(keys);
        self
    }

    /// The database, opened and with its collections.
    async fn opened(&self) -> Result<Arc<Database>, StoreError> {
        let mut open = self.open.lock().await;
        if let Some(database) = &*open {
            return Ok(database.clone());
        }
        let database = Database::open(&self.settings).await?;
        Ok(open.insert(Arc::new(database)).clone())
    }

    /// Does something, again where others were in the way.
    async fn attempt<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        what: &str,
        work: impl Fn(Arc<Database>) -> F,
    ) -> Result<T, StoreError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let done = match self.opened().await {
                Ok(database) => work(database).await,
                Err(error) => Err(error),
            };
            match done {
                Err(error) if tries < TRIES && is_transient(&error) => let_pass(tries).await,
                Err(error) => return Err(self.failure(what, error)),
                Ok(done) => return Ok(done),
            }
        }
    }

    fn failure(&self, what: &str, error: StoreError) -> StoreError {
        // What has no cause says it all itself.
        match std::error::Error::source(&error) {
            Some(_) => StoreError::new(format!("{} can't {what}", self.settings.place())).with_source(error),
            None => error,
        }
    }
}

#[async_trait]
impl Store for MongoStore {
    async fn start(&self) -> Result<(), StoreError> {
        self.users.enter();
        self.attempt("be opened", |_| async { Ok(()) }).await
    }

    async fn shutdown(&self) -> Result<(), StoreError> {
        if !self.users.leave() {
            return Ok(());
        }
        self.hearing.stop();
        let open = self.open.lock().await.take();
        if let Some(database) = open {
            database.close().await;
        }
        Ok(())
    }

    async fn now(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.attempt("tell the time", |database| async move { database.time().await }).await
    }

    fn lease(&self) -> Option<Duration> {
        Some(self.settings.lease)
    }

    async fn put(&self, edits: &[Edit]) -> Result<Vec<EditOutcome>, StoreError> {
        if edits.is_empty() {
            return Ok(Vec::new());
        }
        self.attempt("change tasks", |database| async move { self.try_put(&database, edits).await }).await
    }

    async fn load(&self, ids: &[TaskId]) -> Result<Vec<Option<TaskRecord>>, StoreError> {
        self.attempt("read tasks", |database| async move { self.try_load(&database, ids).await }).await
    }

    async fn query(&self, query: Query) -> Result<Found, StoreError> {
        let query = &query;
        self.attempt("find tasks", |database| async move { self.try_query(&database, query).await }).await
    }

    async fn claim(&self, by: NodeId, claims: &[Claim]) -> Result<Vec<ClaimOutcome>, StoreError> {
        if claims.is_empty() {
            return Ok(Vec::new());
        }
        self.attempt("write a claim", |database| async move { self.try_claim(&database, by, claims).await })
            .await
    }

    async fn finish(&self, by: NodeId, ends: &[Finish]) -> Result<Vec<FinishOutcome>, StoreError> {
        if ends.is_empty() {
            return Ok(Vec::new());
        }
        self.attempt("write the end of a run", |database| async move {
            self.try_finish(&database, by, ends).await
        })
        .await
    }

    async fn renew(&self, beat: &Beat) -> Result<Renewal, StoreError> {
        self.hearing.hear_on(|| self.ear());
        self.attempt("renew a lease", |database| async move { self.try_renew(&database, beat).await }).await
    }

    async fn next_due(&self, by: NodeId, handlers: &Handlers) -> Result<NextDue, StoreError> {
        self.attempt("tell what is due", |database| async move {
            self.try_next_due(&database, by, handlers).await
        })
        .await
    }

    async fn cancel(&self, run: RunId) -> Result<bool, StoreError> {
        self.attempt("cancel a run", |database| async move { self.try_cancel(&database, run).await }).await
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
        self.attempt("read the history", |database| async move { self.try_runs(&database, filter).await })
            .await
    }

    fn changes(&self, listener: ChangeListener) -> Changes {
        self.hearing.listen(listener, || self.ear())
    }

    async fn prune(&self, prune: &Prune) -> Result<usize, StoreError> {
        self.attempt("prune the history", |database| async move { self.try_prune(&database, prune).await })
            .await
    }

    async fn count(&self) -> Result<usize, StoreError> {
        let count =
            |database: Arc<Database>| async move { Ok(database.tasks.count_documents(doc! {}).await?) };
        let count = self.attempt("count tasks", count).await?;
        Ok(usize::try_from(count).unwrap_or_default())
    }
}
