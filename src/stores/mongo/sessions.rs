//! The sessions in which a store has its transactions.
//!
//! What a process has touched that dies in the middle of a transaction is locked for as long as the server believes in it,
//! which is a minute. So each store tells what its sessions are called, and until when it is to be heard of again; the others
//! close those of one that is not. What a store has left open itself, as its connection was cut or nobody waited for it any
//! more, it closes before it begins anything else.

use std::sync::{Mutex, MutexGuard, PoisonError};

use mongodb::ClientSession;
use mongodb::bson::{Bson, DateTime, Document, doc};
use serde::Deserialize;

use super::database::Database;
use crate::stores::StoreError;
use crate::task::RunId;

#[derive(Debug)]
pub(super) struct Sessions {
    /// What the store is called.
    store: String,
    idle: Mutex<Vec<ClientSession>>,
    /// In which a transaction of ours may be open that nobody goes on with.
    strays: Mutex<Vec<Document>>,
    names: Mutex<Vec<Document>>,
}

/// So many sessions are known by name. They come back, so that there are no more than were ever used at once.
const KNOWN: usize = 64;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing here panics half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            store: format!("{:016x}", RunId::boot()),
            idle: Mutex::default(),
            strays: Mutex::default(),
            names: Mutex::default(),
        }
    }
}

impl Sessions {
    pub(super) fn give_back(&self, session: ClientSession) {
        lock(&self.idle).push(session);
    }

    /// Notes that a session goes in which a transaction may be open.
    pub(super) fn lose(&self, session: &ClientSession) {
        lock(&self.strays).push(session.id().clone());
    }

    /// Notes a session; answers whether its name is new.
    fn note(&self, name: &Document) -> bool {
        let mut names = lock(&self.names);
        if names.contains(name) {
            return false;
        }
        if names.len() >= KNOWN {
            names.remove(0);
        }
        names.push(name.clone());
        true
    }
}

/// A store, as the others know it.
#[derive(Debug, Deserialize)]
struct Known {
    #[serde(rename = "_id")]
    store: String,
    sessions: Vec<Document>,
    /// By the server's clock.
    until: DateTime,
}

impl Database {
    /// A session that the others know by name.
    pub(super) async fn session(&self) -> Result<ClientSession, StoreError> {
        if let Some(session) = lock(&self.sessions.idle).pop() {
            return Ok(session);
        }
        let session = self.client.start_session().await?;
        if self.sessions.note(session.id()) {
            self.keep_sessions().await?;
        }
        Ok(session)
    }

    /// Tells the others what the sessions are called, and that they are in use for as long as a lease takes from now on.
    pub(super) async fn keep_sessions(&self) -> Result<(), StoreError> {
        let names = lock(&self.sessions.names).clone();
        if names.is_empty() {
            return Ok(());
        }
        let lease = i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX);
        let set = doc! { "sessions": { "$literal": names }, "until": { "$add": ["$$NOW", lease] } };
        let which = doc! { "_id": &self.sessions.store };
        self.known_sessions.update_one(which, vec![doc! { "$set": set }]).upsert(true).await?;
        Ok(())
    }

    /// Gives up the transactions that were left open here: what they have touched is locked until then.
    pub(super) async fn close_strays(&self) -> Result<(), StoreError> {
        let strays = std::mem::take(&mut *lock(&self.sessions.strays));
        if strays.is_empty() {
            return Ok(());
        }
        let closed = self.all.run_command(doc! { "killSessions": strays.clone() }).await;
        if closed.is_err() {
            lock(&self.sessions.strays).extend(strays);
        }
        closed?;
        Ok(())
    }

    /// Closes the sessions of stores that are not heard of any more, and so gives up what they have left open. One that lives
    /// after all does again what it was about to do.
    pub(super) async fn close_sessions(&self) {
        // Without it the server gives them up itself, later.
        if let Err(error) = self.try_close_sessions().await {
            tracing::debug!(%error, "the transactions of a process that is gone can't be closed");
        }
    }

    async fn try_close_sessions(&self) -> Result<(), StoreError> {
        let gone = doc! { "$expr": { "$lte": ["$until", "$$NOW"] }, "_id": { "$ne": &self.sessions.store } };
        let mut gone = self.known_sessions.clone_with_type::<Known>().find(gone).await?;
        while gone.advance().await? {
            let Known { store, sessions, until } = gone.deserialize_current()?;
            if !sessions.is_empty() {
                self.all.run_command(doc! { "killSessions": sessions }).await?;
            }
            self.known_sessions.delete_one(doc! { "_id": store, "until": Bson::DateTime(until) }).await?;
        }
        Ok(())
    }

    /// Lets go of all sessions, none of which is in use any more.
    pub(super) async fn drop_sessions(&self) {
        drop(std::mem::take(&mut *lock(&self.sessions.idle)));
        // Or else the others find it when its time is over.
        _ = self.known_sessions.delete_one(doc! { "_id": &self.sessions.store }).await;
    }
}
