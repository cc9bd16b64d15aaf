//! Tasks in a database: SQLite, PostgreSQL, MySQL or MariaDB.

mod batch;
mod changes;
mod claims;
mod completion;
mod database;
mod dialect;
mod finishes;
mod history;
mod marks;
#[cfg(feature = "mysql")]
mod mysql;
mod nodes;
#[cfg(feature = "testing")]
mod plans;
#[cfg(feature = "postgres")]
mod postgres;
mod rows;
mod schema;
mod settings;
#[cfg(feature = "sqlite")]
mod sqlite;
mod tasks;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rustc_hash::FxBuildHasher;

pub use self::completion::OwnTransaction;

use self::database::{Database, Pool, Step};
use self::settings::Settings;
use super::crypt::Keys;
use super::definitions::Definitions;
#[cfg(feature = "postgres")]
use super::hearing::Hearing;
use super::users::Users;
use super::{
    Beat, ChangeListener, Changes, Claim, ClaimOutcome, Edit, EditOutcome, Finish, FinishOutcome, Found,
    NextDue, Prune, Query, Renewal, RunFilter, Store, StoreError,
};
use crate::task::{Handlers, NodeId, RunId, RunRecord, TaskId, TaskRecord};

/// Keeps tasks and their history in a database, for any number of processes.
///
/// Which one its url says, and each needs its feature: `sqlite://tasks.db` (feature `sqlite`), `postgres://user@host/db`
/// (`postgres`; version 13 and later) and `mysql://user@host/db` or `mariadb://…` (`mysql`; MySQL 8 and MariaDB 10.6, and
/// later). TLS to a server needs the feature `tls`.
///
/// It makes its tables itself, and brings those of an older version up to date; see [`migrations`](Self::migrations) for a
/// database where only its owner may.
///
/// ```no_run
/// use asyncz::{AsynczConfig, SqlStore};
///
/// let store = SqlStore::new("sqlite://tasks.db").table_prefix("app_");
/// let config = AsynczConfig::new().store("default", store);
/// # let _ = config;
/// ```
///
/// **SQLite**: the file belongs to one host, as its locks don't work over a network. A decision is on the disk before
/// anything runs (WAL, `synchronous=FULL`). It has no clock of its own: it goes by those of the processes.
///
/// **PostgreSQL**: its clock decides what is due and which lease has lapsed. Changes are told at once (`LISTEN`); behind a
/// pooler that keeps that back, it is asked each second.
///
/// **MySQL and MariaDB**: their clock decides, too. They tell nobody of changes: they are asked each second.
#[derive(Debug)]
pub struct SqlStore {
    settings: Settings,
    open: tokio::sync::Mutex<Option<Arc<Database>>>,
    /// By the numbers of tasks and of their edits.
    definitions: Definitions<i64, i64, FxBuildHasher>,
    #[cfg(feature = "postgres")]
    hearing: Hearing,
    users: Users,
    /// Up to which entry of the history was looked for tasks that have too many.
    looked_at: Mutex<i64>,
}

/// So often a step is tried that others were in the way of.
const TRIES: usize = 10;

impl SqlStore {
    /// A store in the database of this url. Nothing is opened before it is used.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            settings: Settings::new(url.into()),
            open: tokio::sync::Mutex::default(),
            definitions: Definitions::default(),
            #[cfg(feature = "postgres")]
            hearing: Hearing::default(),
            users: Users::default(),
            looked_at: Mutex::default(),
        }
    }

    /// What the names of its tables begin with: small letters, digits and underscores. Default: `asyncz_`.
    ///
    /// Stores of different prefixes in one database know nothing of each other.
    #[must_use]
    pub fn table_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.prefix = prefix.into();
        self
    }

    /// The schema of PostgreSQL that its tables stand in; it is made where it is not there. Default: none is said, and the
    /// `search_path` decides.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.settings.schema = Some(schema.into());
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

    /// How many connections it opens at most. Default: 5, of which one writes in SQLite; PostgreSQL has one more to listen.
    #[must_use]
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.settings.max_connections = connections.max(1);
        self
    }

    /// Whether the clock of the database's server decides what is due and what has lapsed. Default: true. Without it the
    /// clocks of the schedulers do, as with SQLite: for tests with a clock of their own.
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

    /// The SQL that makes its tables, for a database where programs may not.
    ///
    /// # Errors
    ///
    /// Where the url or a name is none.
    pub fn migrations(&self) -> Result<String, StoreError> {
        Ok(self.settings.writer()?.all_migrations())
    }

    /// The database, opened and up to date.
    async fn database(&self) -> Result<Arc<Database>, StoreError> {
        let mut open = self.open.lock().await;
        if let Some(database) = &*open {
            return Ok(database.clone());
        }
        let writer = self.settings.writer()?;
        let seal = self.settings.keys.seal()?;
        Pool::check(writer.dialect, &self.settings.url).await?;
        let pool = Pool::new(writer.dialect, &self.settings.url, self.settings.max_connections)?;
        let database = Database { writer, pool, seal };
        schema::migrate(&database, &self.settings).await?;
        marks::check_key(&database).await?;
        Ok(open.insert(Arc::new(database)).clone())
    }

    /// Does something, again where others were in the way.
    async fn attempt<T, E: Into<StoreError>, F: Future<Output = Result<T, E>>>(
        &self,
        what: &str,
        work: impl Fn(Arc<Database>) -> F,
    ) -> Result<T, StoreError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let done = match self.database().await {
                Ok(database) => work(database).await.map_err(Into::into),
                Err(error) => Err(error),
            };
            match done {
                Err(error) if tries < TRIES && is_transient(&error) => tokio::task::yield_now().await,
                Err(error) => return Err(self.failure(what, error)),
                Ok(done) => return Ok(done),
            }
        }
    }

    fn failure(&self, what: &str, error: StoreError) -> StoreError {
        match cause(&error) {
            Some(_) => StoreError::new(format!("{} can't {what}", self.settings.place())).with_source(error),
            None => error,
        }
    }

    /// The database's clock; `None`: it has none that counts.
    async fn time(&self, database: &Database) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
        if !database.writer.has_clock() {
            return Ok(None);
        }
        let rows = database.read(CLOCK, &[]).await?;
        rows.first().map(|row| rows::instant(row.number(0)?)).transpose()
    }

    /// As [`time`](Self::time), in a step.
    async fn time_in(&self, step: &mut Step<'_>) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
        if !step.writer.has_clock() {
            return Ok(None);
        }
        let rows = step.fetch(CLOCK, &[]).await?;
        rows.first().map(|row| rows::instant(row.number(0)?)).transpose()
    }
}

const CLOCK: &str = "SELECT {now}";

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::new("the database answers with an error").with_source(error)
    }
}

fn cause(error: &StoreError) -> Option<&sqlx::Error> {
    std::error::Error::source(error).and_then(|source| source.downcast_ref())
}

fn is_transient(error: &StoreError) -> bool {
    cause(error).is_some_and(database::is_transient)
}

#[async_trait]
impl Store for SqlStore {
    fn as_sql(&self) -> Option<&SqlStore> {
        Some(self)
    }

    async fn start(&self) -> Result<(), StoreError> {
        self.users.enter();
        self.attempt("be opened", |_| async { Ok::<_, StoreError>(()) }).await
    }

    async fn shutdown(&self) -> Result<(), StoreError> {
        if !self.users.leave() {
            return Ok(());
        }
        #[cfg(feature = "postgres")]
        self.hearing.stop();
        let open = self.open.lock().await.take();
        if let Some(database) = open {
            database.pool.close().await;
        }
        Ok(())
    }

    async fn now(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.attempt("tell the time", |database| async move { self.time(&database).await }).await
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
        if ids.is_empty() {
            return Ok(Vec::new());
        }
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
        #[cfg(feature = "postgres")]
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
        self.listen(listener)
    }

    async fn prune(&self, prune: &Prune) -> Result<usize, StoreError> {
        self.attempt("prune the history", |database| async move { self.try_prune(&database, prune).await })
            .await
    }

    async fn count(&self) -> Result<usize, StoreError> {
        let count = |database: Arc<Database>| async move {
            let rows = database.read("SELECT COUNT(*) FROM {tasks} WHERE deleted = 0", &[]).await?;
            rows.first().map(|row| row.number(0)).transpose()
        };
        let count = self.attempt("count tasks", count).await?.unwrap_or_default();
        Ok(usize::try_from(count).unwrap_or_default())
    }
}
