//! How a scheduler hears of what others have changed: the scripts tell it on a channel.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_core::Stream;
use redis::aio::{PubSub, PubSubStream};
use redis::{Client, Msg, RedisError};

use super::RedisStore;
use super::link::PATIENCE;
use super::settings::{Servers, Settings};
use crate::stores::{ChangeListener, Changes};
use crate::task::RunId;

/// How often a server that can't be listened to is asked.
const ASK: Duration = Duration::from_secs(1);
/// How often it is tried whether the connection is still there.
const TRY: Duration = Duration::from_secs(10);

/// Who listens here.
#[derive(Debug)]
pub(super) struct Listening {
    /// Tells what this store has changed from what others have.
    pub(super) name: String,
    listeners: Mutex<Vec<ChangeListener>>,
    /// Hears what the server tells.
    ear: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing here panics half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Listening {
    fn default() -> Self {
        Self { name: format!("{:016x}", RunId::boot()), listeners: Mutex::default(), ear: Mutex::default() }
    }
}

impl Listening {
    /// Tells all that listen here of what `teller` has changed. A single one knows what it has done itself.
    fn tell(&self, teller: Option<&[u8]>) {
        let mut listeners = lock(&self.listeners);
        if teller != Some(self.name.as_bytes()) || listeners.len() > 1 {
            listeners.retain(ChangeListener::tell);
        }
    }

    pub(super) fn stop(&self) {
        if let Some(ear) = lock(&self.ear).take() {
            ear.abort();
        }
        lock(&self.listeners).clear();
    }
}

impl RedisStore {
    /// Has the listener told of changes.
    pub(super) fn listen(&self, listener: ChangeListener) -> Changes {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return Changes::Ask(ASK) };
        lock(&self.listening.listeners).push(listener);
        let mut ear = lock(&self.listening.ear);
        if ear.as_ref().is_none_or(tokio::task::JoinHandle::is_finished) {
            let (settings, listening) = (self.settings.clone(), self.listening.clone());
            *ear = Some(runtime.spawn(hear(settings, listening)));
        }
        Changes::Told
    }
}

/// Hears what the server tells, until it is aborted. While nothing can be heard it tells before each try to, each second unless
/// a try takes longer: who is told too often asks in vain, and nothing worse.
async fn hear(settings: Settings, listening: Arc<Listening>) {
    let mut pause = tokio::time::interval(ASK);
    loop {
        pause.tick().await;
        listening.tell(None);
        if let Err(error) = hear_once(&settings, &listening).await {
            tracing::debug!(%error, "Redis can't be listened to; it is asked each second meanwhile");
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn hear_once(settings: &Settings, listening: &Listening) -> Result<(), Failure> {
    let mut connection = connect(settings).await?;
    tokio::time::timeout(PATIENCE, connection.subscribe(settings.channel())).await??;
    // What was told before it listened.
    listening.tell(None);
    let (mut sink, mut told) = connection.split();
    let mut tries = tokio::time::interval(TRY);
    loop {
        tokio::select! {
            heard = next(&mut told) => match heard {
                Some(heard) => listening.tell(Some(heard.get_payload_bytes())),
                // The connection was lost, and what was told meanwhile with it.
                None => return Ok(()),
            },
            _ = tries.tick() => {
                tokio::time::timeout(PATIENCE, sink.ping::<redis::Value>()).await??;
            }
        }
    }
}

async fn next(told: &mut PubSubStream) -> Option<Msg> {
    std::future::poll_fn(|context| Pin::new(&mut *told).poll_next(context)).await
}

/// A connection that listens. In a cluster any node tells what was told at another, as a rule.
async fn connect(settings: &Settings) -> Result<PubSub, Failure> {
    let servers = match settings.servers()? {
        Servers::One(server) => vec![*server],
        Servers::Cluster(servers) => servers,
    };
    let mut failure = None;
    for server in servers {
        let connecting = async { Client::open(server)?.get_async_pubsub().await };
        match tokio::time::timeout(PATIENCE, connecting).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => failure = Some(error),
            Err(_) => failure = Some(RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))),
        }
    }
    Err(failure.map_or_else(|| "there is no server".into(), Into::into))
}
