//! How a scheduler hears of what others have changed: the scripts tell it on a channel.

use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream;
use redis::aio::{PubSub, PubSubStream};
use redis::{Client, Msg, RedisError};

use super::RedisStore;
use super::link::PATIENCE;
use super::settings::{Servers, Settings};
use crate::stores::hearing::{Hear, Listeners, Silence};

/// How often it is tried whether the connection is still there.
const TRY: Duration = Duration::from_secs(10);

impl RedisStore {
    /// Hears of changes.
    pub(super) fn ear(&self) -> Hear {
        let settings = self.settings.clone();
        Box::new(move |listeners| {
            let settings = settings.clone();
            Box::pin(async move { hear(&settings, &listeners).await })
        })
    }
}

async fn hear(settings: &Settings, listeners: &Listeners) -> Result<(), Silence> {
    let mut connection = connect(settings).await?;
    tokio::time::timeout(PATIENCE, connection.subscribe(settings.channel())).await??;
    // What was told before it listened.
    listeners.tell(None);
    let (mut sink, mut told) = connection.split();
    let mut tries = tokio::time::interval(TRY);
    loop {
        tokio::select! {
            heard = next(&mut told) => match heard {
                Some(heard) => listeners.tell(Some(heard.get_payload_bytes())),
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
async fn connect(settings: &Settings) -> Result<PubSub, Silence> {
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
