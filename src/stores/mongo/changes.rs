//! How a scheduler hears of what others have changed: by a change stream of documents that say so, each for a minute.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, RawDocumentBuf, doc, rawdoc};
use mongodb::change_stream::event::ChangeStreamEvent;
use tokio::task::JoinHandle;

use super::database::Database;
use super::step::Step;
use super::{MongoStore, Open};
use crate::stores::{ChangeListener, Changes, StoreError};
use crate::task::RunId;

/// How often a scheduler looks itself while it hears nothing.
const ASK: Duration = Duration::from_secs(1);

/// The server answers each second that it has nothing to tell. One that does not is not there any more, whatever the network
/// says.
const SILENCE: Duration = Duration::from_secs(10);

/// Who listens here.
#[derive(Debug)]
pub(super) struct Listening {
    /// Tells what this store has changed from what others have.
    name: String,
    listeners: Mutex<Vec<ChangeListener>>,
}

/// Hears what the database tells, until it is dropped.
#[derive(Debug)]
struct Ear(JoinHandle<()>);

impl Drop for Ear {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Debug, Default)]
pub(super) struct Hearing {
    listening: Arc<Listening>,
    ear: Mutex<Option<Ear>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing here panics half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Listening {
    fn default() -> Self {
        Self { name: format!("{:016x}", RunId::boot()), listeners: Mutex::default() }
    }
}

impl Listening {
    /// Tells all that listen here of what `teller` has changed. A single one knows what it has done itself.
    fn tell(&self, teller: Option<&str>) {
        let mut listeners = lock(&self.listeners);
        if teller != Some(&*self.name) || listeners.len() > 1 {
            listeners.retain(ChangeListener::tell);
        }
    }
}

impl Hearing {
    pub(super) fn stop(&self) {
        drop(lock(&self.ear).take());
        lock(&self.listening.listeners).clear();
    }

    /// The statement that says that something has changed. The time is the server's, which forgets it by its own clock.
    fn statement(&self) -> RawDocumentBuf {
        rawdoc! {
            "q": { "_id": ObjectId::new() },
            "u": { "$set": { "by": self.listening.name.as_str() }, "$currentDate": { "at": true } },
            "upsert": true,
        }
    }
}

impl MongoStore {
    /// Tells others that something has changed, when the step is done.
    pub(super) async fn tell_in(&self, step: &mut Step<'_>) -> Result<(), StoreError> {
        let database = step.database;
        step.write(&database.names.changes, vec![self.hearing.statement()]).await.map(drop)
    }

    /// Tells others that something has changed.
    pub(super) async fn tell(&self, database: &Database) -> Result<(), StoreError> {
        let update = doc! { "$set": { "by": &self.hearing.listening.name }, "$currentDate": { "at": true } };
        database.changes.update_one(doc! { "_id": ObjectId::new() }, update).upsert(true).await?;
        Ok(())
    }

    /// Has the listener told of changes.
    pub(super) fn listen(&self, listener: ChangeListener) -> Changes {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return Changes::Ask(ASK) };
        lock(&self.hearing.listening.listeners).push(listener);
        let mut ear = lock(&self.hearing.ear);
        if ear.as_ref().is_none_or(|ear| ear.0.is_finished()) {
            *ear = Some(Ear(runtime.spawn(hear(self.open.clone(), self.hearing.listening.clone()))));
        }
        Changes::Told
    }
}

/// Hears what the database tells, until it is aborted. While nothing can be heard it tells before each try to, each second unless
/// a try takes longer: who is told too often asks in vain, and nothing worse.
async fn hear(open: Open, listening: Arc<Listening>) {
    let mut pause = tokio::time::interval(ASK);
    loop {
        pause.tick().await;
        listening.tell(None);
        let database = open.lock().await.clone();
        let heard = async { hear_once(&*database.ok_or_else(closed)?, &listening).await };
        if let Err(error) = heard.await {
            tracing::debug!(%error, "MongoDB can't be listened to; it is asked each second meanwhile");
        }
    }
}

fn closed() -> StoreError {
    StoreError::new("it is not open")
}

async fn hear_once(database: &Database, listening: &Listening) -> Result<(), StoreError> {
    let told = [doc! { "$match": { "operationType": "insert" } }];
    let watch = database.changes.watch().pipeline(told).max_await_time(ASK);
    let mut stream = in_time(watch.into_future()).await?;
    // What was told before it listened.
    listening.tell(None);
    while stream.is_alive() {
        let heard: Option<ChangeStreamEvent<Document>> = in_time(stream.next_if_any()).await?;
        if let Some(heard) = heard {
            let teller = heard.full_document.as_ref().and_then(|told| told.get_str("by").ok());
            listening.tell(teller);
        }
    }
    Ok(())
}

async fn in_time<T>(answer: impl Future<Output = Result<T, mongodb::error::Error>>) -> Result<T, StoreError> {
    match tokio::time::timeout(SILENCE, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(StoreError::new("it says nothing")),
    }
}
