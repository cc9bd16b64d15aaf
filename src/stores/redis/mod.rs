//! Tasks in Redis, or in a cluster of it.

mod answers;
mod changes;
mod claims;
mod finishes;
mod history;
mod link;
mod mark;
mod nodes;
mod parts;
mod records;
mod scripts;
mod settings;
mod tasks;
mod words;

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use redis::{Cmd, Value};
use rustc_hash::FxBuildHasher;

use self::link::{Failure, Link};
use self::scripts::{Script, TIME};
use self::settings::Settings;
use self::words::Words;
use super::crypt::{Keys, Seal};
use super::definitions::Definitions;
use super::hearing::Hearing;
use super::users::Users;
use super::{
    Beat, ChangeListener, Changes, Claim, ClaimOutcome, Edit, EditOutcome, Finish, FinishOutcome, Found,
    NextDue, Prune, Query, Renewal, RunFilter, Store, StoreError,
};
use crate::task::{Handlers, NodeId, RunId, RunRecord, TaskId, TaskRecord};

/// Keeps tasks and their history in Redis, version 6.2 and later, or in Redis Cluster, for any number of processes.
///
/// ```no_run
/// use asyncz::{AsynczConfig, RedisStore};
///
/// let store = RedisStore::new("redis://localhost").database(1).prefix("app");
/// let config = AsynczConfig::new().store("default", store);
/// # let _ = config;
/// ```
///
/// The url is `redis://[user[:password]@]host[:port][/database]`, `rediss://…` with TLS (feature `tls`), `unix:///path`, and
/// for a cluster `redis+cluster://[user[:password]@]host:port,host:port,…` with some of its nodes.
///
/// Each promise of a store is one script at the server, which does all of it or nothing. The server's clock decides what is
/// due and which lease has lapsed, and changes are told at once (`PUBLISH`). All keys begin with the prefix in braces, and so
/// stand in one slot of a cluster: stores of different prefixes share its nodes.
///
/// **What Redis keeps depends on its settings.** With `appendonly yes` and `appendfsync always` a decision is on the disk
/// before anything runs; with `everysec` a power cut loses the last second of decisions, which are then made again; without
/// an append-only file all since the last snapshot is gone. Replicas follow later, so that a failover may lose the last
/// decisions whatever the settings. A server that throws keys away when its memory is full (`maxmemory-policy` other than
/// `noeviction` or `volatile-…`) is refused.
#[derive(Debug)]
pub struct RedisStore {
    settings: Settings,
    link: Link,
    /// By the numbers of tasks and of their edits.
    definitions: Definitions<i64, i64, FxBuildHasher>,
    hearing: Hearing,
    users: Users,
    seal: OnceLock<Seal>,
}

impl RedisStore {
    /// A store at the server of this url. Nothing is opened before it is used.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            settings: Settings::new(url.into()),
            link: Link::default(),
            definitions: Definitions::default(),
            hearing: Hearing::default(),
            users: Users::default(),
            seal: OnceLock::new(),
        }
    }

    /// A store at the server of this host and port; Redis's own port is 6379.
    pub fn at(host: impl AsRef<str>, port: u16) -> Self {
        let host = host.as_ref();
        let is_v6 = host.contains(':') && !host.starts_with('[');
        Self::new(if is_v6 { format!("redis://[{host}]:{port}") } else { format!("redis://{host}:{port}") })
    }

    /// Which of the server's databases. Default: what the url says, or 0. A cluster has only 0.
    #[must_use]
    pub fn database(mut self, database: u32) -> Self {
        self.settings.database = Some(database.into());
        self
    }

    /// Whose password it is. Default: what the url says, or the server's default user.
    #[must_use]
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.settings.username = Some(username.into());
        self
    }

    /// The password. Default: what the url says. It is never shown.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.settings.password = Some(password.into());
        self
    }

    /// What its keys begin with: `{prefix}:`. Default: `asyncz`. 1 to 200 characters without blanks and braces.
    ///
    /// Stores of different prefixes know nothing of each other.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.prefix = prefix.into();
        self
    }

    /// What follows the prefix in the key of the tasks, and in all other keys. Default: `tasks`.
    #[must_use]
    pub fn tasks_key(mut self, key: impl Into<String>) -> Self {
        self.settings.tasks_key = key.into();
        self
    }

    /// What follows the key of the tasks in those of due times. Default: `run_times`.
    #[must_use]
    pub fn run_times_key(mut self, key: impl Into<String>) -> Self {
        self.settings.run_times_key = key.into();
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
    /// (feature `encryption`): see [`SqlStore`](crate::SqlStore::encryption_keys).
    #[must_use]
    pub fn encryption_keys<T: Into<String>>(mut self, keys: impl IntoIterator<Item = T>) -> Self {
        self.settings.keys = Keys::told(keys);
        self
    }

    /// What seals and opens its texts.
    fn seal(&self) -> Result<Seal, StoreError> {
        if let Some(seal) = self.seal.get() {
            return Ok(seal.clone());
        }
        let seal = self.settings.keys.seal()?;
        Ok(self.seal.get_or_init(|| seal).clone())
    }

    /// Runs a script.
    async fn run(&self, what: &str, script: &Script, words: Words) -> Result<Value, StoreError> {
        let answer = self.link.run(&self.settings, script, words).await;
        answer.map_err(|failure| self.failure(what, failure))
    }

    /// Asks a command that only reads.
    async fn ask(&self, what: &str, command: &Cmd) -> Result<Value, StoreError> {
        let answer = self.link.ask(&self.settings, command, true).await;
        answer.map_err(|failure| self.failure(what, failure))
    }

    fn failure(&self, what: &str, failure: Failure) -> StoreError {
        match failure {
            Failure::Redis(error) => {
                StoreError::new(format!("{} can't {what}", self.settings.place())).with_source(error)
            }
            Failure::Refused(error) => error,
        }
    }

    /// The caller's time as scripts are told it: nothing where the server's counts.
    fn told(&self, now: DateTime<Utc>) -> String {
        if self.settings.server_clock { String::new() } else { now.timestamp_micros().to_string() }
    }

    /// The time that a script has answered; `None`: it does not count.
    fn server_time(&self, answer: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.settings.server_clock.then(|| nodes::instant(answer)).transpose()
    }

    async fn time(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        if !self.settings.server_clock {
            return Ok(None);
        }
        let answer = self.run("tell the time", &TIME, Words::new()).await?;
        self.server_time(&answers::text(answer)?)
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn start(&self) -> Result<(), StoreError> {
        self.users.enter();
        let opened = self.link.open(&self.settings).await;
        opened.map_err(|failure| self.failure("be opened", failure))?;
        self.check_key().await
    }

    async fn shutdown(&self) -> Result<(), StoreError> {
        if !self.users.leave() {
            return Ok(());
        }
        self.hearing.stop();
        self.link.close();
        Ok(())
    }

    async fn now(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.time().await
    }

    fn lease(&self) -> Option<Duration> {
        Some(self.settings.lease)
    }

    async fn put(&self, edits: &[Edit]) -> Result<Vec<EditOutcome>, StoreError> {
        self.try_put(edits).await
    }

    async fn load(&self, ids: &[TaskId]) -> Result<Vec<Option<TaskRecord>>, StoreError> {
        self.try_load(ids).await
    }

    async fn query(&self, query: Query) -> Result<Found, StoreError> {
        self.try_query(&query).await
    }

    async fn claim(&self, by: NodeId, claims: &[Claim]) -> Result<Vec<ClaimOutcome>, StoreError> {
        self.try_claim(by, claims).await
    }

    async fn finish(&self, by: NodeId, ends: &[Finish]) -> Result<Vec<FinishOutcome>, StoreError> {
        self.try_finish(by, ends).await
    }

    async fn renew(&self, beat: &Beat) -> Result<Renewal, StoreError> {
        self.hearing.hear_on(|| self.ear());
        self.try_renew(beat).await
    }

    async fn next_due(&self, by: NodeId, handlers: &Handlers) -> Result<NextDue, StoreError> {
        self.try_next_due(by, handlers).await
    }

    async fn cancel(&self, run: RunId) -> Result<bool, StoreError> {
        self.try_cancel(run).await
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
        self.try_runs(filter).await
    }

    fn changes(&self, listener: ChangeListener) -> Changes {
        self.hearing.listen(listener, || self.ear())
    }

    async fn prune(&self, prune: &Prune) -> Result<usize, StoreError> {
        self.try_prune(prune).await
    }

    async fn count(&self) -> Result<usize, StoreError> {
        self.try_count().await
    }
}
