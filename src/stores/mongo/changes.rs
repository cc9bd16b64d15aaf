//! How a scheduler hears of what others have changed: by a change stream of documents that say so, each for a minute.

use std::time::Duration;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, RawDocumentBuf, doc, rawdoc};
use mongodb::change_stream::event::ChangeStreamEvent;

use super::MongoStore;
use super::database::Database;
use super::step::Step;
use crate::stores::hearing::{Hear, Listeners, Silence};
use crate::stores::{ASK, StoreError};

/// The server answers each second that it has nothing to tell. One that does not is not there any more, whatever the network
/// says.
const SILENCE: Duration = Duration::from_secs(10);

/// The statement that says that something has changed. The time is the server's, which forgets it by its own clock.
fn statement(by: &str) -> RawDocumentBuf {
    rawdoc! {
        "q": { "_id": ObjectId::new() },
        "u": { "$set": { "by": by }, "$currentDate": { "at": true } },
        "upsert": true,
    }
}

impl MongoStore {
    /// Tells others that something has changed, when the step is done.
    pub(super) async fn tell_in(&self, step: &mut Step<'_>) -> Result<(), StoreError> {
        let database = step.database;
        step.write(&database.names.changes, vec![statement(self.hearing.name())]).await.map(drop)
    }

    /// Tells others that something has changed.
    pub(super) async fn tell(&self, database: &Database) -> Result<(), StoreError> {
        let update = doc! { "$set": { "by": self.hearing.name() }, "$currentDate": { "at": true } };
        database.changes.update_one(doc! { "_id": ObjectId::new() }, update).upsert(true).await?;
        Ok(())
    }

    /// Hears of changes.
    pub(super) fn ear(&self) -> Hear {
        let open = self.open.clone();
        Box::new(move |listeners| {
            let open = open.clone();
            Box::pin(async move {
                let database = open.lock().await.clone();
                hear(&*database.ok_or("it is not open")?, &listeners).await
            })
        })
    }
}

async fn hear(database: &Database, listeners: &Listeners) -> Result<(), Silence> {
    let told = [doc! { "$match": { "operationType": "insert" } }];
    let watch = database.changes.watch().pipeline(told).max_await_time(ASK);
    let mut stream = in_time(watch.into_future()).await?;
    // What was told before it listened.
    listeners.tell(None);
    while stream.is_alive() {
        let heard: Option<ChangeStreamEvent<Document>> = in_time(stream.next_if_any()).await?;
        if let Some(heard) = heard {
            let teller = heard.full_document.as_ref().and_then(|told| told.get_str("by").ok());
            listeners.tell(teller.map(str::as_bytes));
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
