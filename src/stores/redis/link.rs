//! The connection to the server, or to the cluster: opened when it is needed, and again when it is lost.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, RedisError, ServerErrorKind, Value, cmd};

use super::scripts::Script;
use super::settings::{Servers, Settings};
use super::words::Words;
use crate::stores::StoreError;

/// To open a connection takes no longer.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Who waits for an answer no longer than this may have lost the connection without a word. Schedulers give up earlier.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);
/// So often a cluster is asked again that says that it has moved.
const MOVES: usize = 5;

/// Its clones share one connection.
#[derive(Clone)]
enum Wire {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Wire {
    async fn send(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        let answer = match self {
            Self::One(wire) => wire.req_packed_command(command).await?,
            Self::Cluster(wire) => wire.req_packed_command(command).await?,
        };
        answer.extract_error()
    }
}

/// See the [module](self).
#[derive(Default)]
pub(super) struct Link {
    open: Mutex<Opened>,
    opening: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Opened {
    wire: Option<Wire>,
    /// How often it was opened.
    times: u64,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("is_open", &self.opened().wire.is_some()).finish_non_exhaustive()
    }
}

/// What has gone wrong with a call.
pub(super) enum Failure {
    /// The server, or the way to it.
    Redis(RedisError),
    /// What was told of the server, or what it says of itself.
    Refused(StoreError),
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        Self::Redis(error)
    }
}

/// A call under way. Dropped before its answer has come, as by who has lost patience with a connection that is gone without
/// a word, it leaves the connection to nobody else.
struct Call<'a> {
    link: &'a Link,
    opened: u64,
    is_answered: bool,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.link.forget(self.opened);
        }
    }
}

impl Link {
    fn opened(&self) -> MutexGuard<'_, Opened> {
        // Nothing here panics half-way through a change.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the connection that was opened then.
    fn forget(&self, times: u64) {
        let mut opened = self.opened();
        if opened.times == times {
            opened.wire = None;
        }
    }

    pub(super) fn close(&self) {
        self.opened().wire = None;
    }

    /// The connection, and the how many-th it is.
    async fn wire(&self, settings: &Settings) -> Result<(Wire, u64), Failure> {
        let known = || {
            let opened = self.opened();
            Some((opened.wire.clone()?, opened.times))
        };
        if let Some(known) = known() {
            return Ok(known);
        }
        let _opening = self.opening.lock().await;
        if let Some(known) = known() {
            return Ok(known);
        }
        let mut wire = connect(settings).await?;
        check(&mut wire, settings).await?;
        let mut opened = self.opened();
        opened.times += 1;
        opened.wire = Some(wire.clone());
        Ok((wire, opened.times))
    }

    /// Opens the connection, if it is not open.
    pub(super) async fn open(&self, settings: &Settings) -> Result<(), Failure> {
        self.wire(settings).await.map(drop)
    }

    /// Runs a script. What only reads is asked again where a connection was lost meanwhile; of what writes, nobody knows
    /// whether it was done.
    pub(super) async fn run(
        &self,
        settings: &Settings,
        script: &Script,
        words: Words,
    ) -> Result<Value, Failure> {
        let words = words.into_bytes();
        let call = |name: &str, script: &str| {
            let mut call = cmd(name);
            call.arg(script).arg(2).arg(settings.root()).arg(settings.run_times()).arg(&words);
            call
        };
        match self.ask(settings, &call("EVALSHA", script.hash()), script.reads).await {
            Err(Failure::Redis(error)) if is(&error, ServerErrorKind::NoScript) => {
                self.ask(settings, &call("EVAL", script.text()), script.reads).await
            }
            answer => answer,
        }
    }

    /// Asks a command; again where it `reads` and the connection was lost.
    pub(super) async fn ask(
        &self,
        settings: &Settings,
        command: &Cmd,
        reads: bool,
    ) -> Result<Value, Failure> {
        match self.ask_once(settings, command).await {
            Err(Failure::Redis(error)) if reads && error.is_connection_dropped() => {
                self.ask_once(settings, command).await
            }
            answer => answer,
        }
    }

    async fn ask_once(&self, settings: &Settings, command: &Cmd) -> Result<Value, Failure> {
        let (mut wire, opened) = self.wire(settings).await?;
        let mut call = Call { link: self, opened, is_answered: false };
        let mut answer = wire.send(command).await;
        for _ in 0..MOVES {
            // Nothing is done by one that has not what it was asked for.
            match &answer {
                Err(error) if is(error, ServerErrorKind::Moved) => answer = wire.send(command).await,
                _ => break,
            }
        }
        // After another error the next call may find another server behind the same name.
        call.is_answered = match &answer {
            Ok(_) => true,
            Err(error) => is(error, ServerErrorKind::NoScript) || is(error, ServerErrorKind::ResponseError),
        };
        Ok(answer?)
    }
}

fn is(error: &RedisError, kind: ServerErrorKind) -> bool {
    error.kind() == ErrorKind::Server(kind)
}

async fn connect(settings: &Settings) -> Result<Wire, Failure> {
    let connecting = async {
        Ok(match settings.servers().map_err(Failure::Refused)? {
            Servers::One(server) => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(PATIENCE))
                    .set_response_timeout(Some(LONGEST_ANSWER));
                let client = Client::open(*server)?;
                Wire::One(client.get_multiplexed_async_connection_with_config(&config).await?)
            }
            Servers::Cluster(servers) => {
                let client = ClusterClient::builder(servers)
                    .connection_timeout(PATIENCE)
                    .response_timeout(LONGEST_ANSWER)
                    .overall_response_timeout(Some(LONGEST_ANSWER))
                    // It can't know whether what was lost was done.
                    .retries(0)
                    .build()?;
                Wire::Cluster(client.get_async_connection().await?)
            }
        })
    };
    match tokio::time::timeout(2 * PATIENCE, connecting).await {
        Ok(connected) => connected,
        Err(_) => Err(Failure::Refused(StoreError::new(format!(
            "{} does not answer: it could not be connected to within {:?}",
            settings.place(),
            2 * PATIENCE
        )))),
    }
}

/// The first version that has all that the scripts ask of it.
const OLDEST: (u32, u32) = (6, 2);

/// Refuses servers that are too old, and those that throw keys away when their memory is full.
async fn check(wire: &mut Wire, settings: &Settings) -> Result<(), Failure> {
    let info = cmd("INFO");
    let told = match wire {
        Wire::One(_) => wire.send(&info).await,
        Wire::Cluster(cluster) => {
            // Each of them may have the store's slot some day.
            let all = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
            cluster.route_command(info, all).await.and_then(Value::extract_error)
        }
    };
    let told = match told {
        Err(error) if is(&error, ServerErrorKind::NoPerm) => {
            let place = settings.place();
            tracing::warn!(
                "{place} does not let us ask for INFO: see to it that it is Redis 6.2 or later and that its \
                 maxmemory-policy is noeviction"
            );
            return Ok(());
        }
        told => told?,
    };
    let mut texts = Vec::new();
    collect(&told, &mut texts);
    for text in texts {
        check_server(&text, settings).map_err(Failure::Refused)?;
    }
    Ok(())
}

/// All texts in an answer: one of each server, however they come.
fn collect(answer: &Value, texts: &mut Vec<String>) {
    match answer {
        Value::BulkString(text) => texts.push(String::from_utf8_lossy(text).into_owned()),
        Value::VerbatimString { text, .. } => texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Map(pairs) => pairs.iter().for_each(|(_, item)| collect(item, texts)),
        _ => {}
    }
}

/// What a server tells of itself, a line for each field.
fn check_server(info: &str, settings: &Settings) -> Result<(), StoreError> {
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let place = settings.place();
    if let Some(version) = field("redis_version") {
        let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
        let version_read = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        if version_read < OLDEST {
            return Err(StoreError::new(format!(
                "{place} is Redis {version}, which is too old: RedisStore needs version 6.2 or later"
            )));
        }
    }
    match field("maxmemory_policy") {
        Some(policy) if policy == "noeviction" || policy.starts_with("volatile-") => Ok(()),
        Some(policy) => Err(StoreError::new(format!(
            "{place} throws tasks away when its memory is full: its maxmemory-policy is `{policy}`. Set it to `noeviction` \
             (CONFIG SET maxmemory-policy noeviction), or use a server of its own for tasks"
        ))),
        None => {
            tracing::warn!("{place} does not tell its maxmemory-policy: see to it that it is noeviction");
            Ok(())
        }
    }
}
