//! The database as the store uses it: where its collections are, and how what is written there lasts.

use std::time::Duration;

use chrono::{DateTime, Utc};
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::{
    Acknowledgment, DatabaseOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern,
};
use mongodb::{Client, Collection, Cursor};

use super::documents::{instant, micros, unreadable};
use super::schema;
use super::sessions::Sessions;
use super::settings::Settings;
use crate::stores::StoreError;
use crate::stores::crypt::Seal;

#[derive(Debug)]
pub(super) struct Database {
    pub(super) names: Names,
    pub(super) all: mongodb::Database,
    /// The tasks that there are.
    pub(super) tasks: Collection<RawDocumentBuf>,
    /// The history.
    pub(super) runs: Collection<RawDocumentBuf>,
    /// The schedulers that share the store.
    pub(super) nodes: Collection<Document>,
    /// That something has changed: for a minute.
    pub(super) changes: Collection<Document>,
    /// The sessions of each store.
    pub(super) known_sessions: Collection<Document>,
    pub(super) clock: Clock,
    pub(super) lease: Duration,
    pub(super) sessions: Sessions,
    pub(super) seal: Seal,
    pub(super) client: Client,
    is_own: bool,
}

/// What the collections are called.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) tasks: String,
    pub(super) runs: String,
    pub(super) nodes: String,
    pub(super) changes: String,
    pub(super) sessions: String,
    pub(super) version: String,
}

impl Names {
    fn of(tasks: &str) -> Self {
        let beside = |what: &str| format!("{tasks}.{what}");
        Self {
            tasks: tasks.to_owned(),
            runs: beside("runs"),
            nodes: beside("nodes"),
            changes: beside("changes"),
            sessions: beside("sessions"),
            version: beside("version"),
        }
    }
}

/// Acknowledged by a majority of the members, each of which has it on its disk.
pub(super) fn durably() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build()
}

pub(super) fn primary() -> SelectionCriteria {
    SelectionCriteria::ReadPreference(ReadPreference::Primary)
}

impl Database {
    /// Connects, and sees that all is there that is needed.
    pub(super) async fn open(settings: &Settings) -> Result<Self, StoreError> {
        let seal = settings.keys.seal()?;
        let (client, is_own) = settings.client().await?;
        // Whatever a client of the program's own goes by.
        let options = DatabaseOptions::builder()
            .read_concern(ReadConcern::majority())
            .write_concern(durably())
            .selection_criteria(primary())
            .build();
        let all = client.database_with_options(&settings.database, options);
        let names = Names::of(&settings.collection);
        let database = Self {
            tasks: all.collection(&names.tasks),
            runs: all.collection(&names.runs),
            nodes: all.collection(&names.nodes),
            changes: all.collection(&names.changes),
            known_sessions: all.collection(&names.sessions),
            clock: if settings.server_clock { Clock::Server } else { Clock::Told },
            lease: settings.lease,
            sessions: Sessions::default(),
            seal,
            names,
            all,
            client,
            is_own,
        };
        match database.prepare(settings).await {
            Ok(()) => Ok(database),
            Err(error) => Err(schema::explain(error, settings)),
        }
    }

    async fn prepare(&self, settings: &Settings) -> Result<(), StoreError> {
        schema::check_server(&self.hello().await?, settings)?;
        schema::make(self).await?;
        schema::check_key(self).await
    }

    pub(super) async fn close(&self) {
        self.drop_sessions().await;
        if self.is_own {
            self.client.clone().shutdown().immediate(true).await;
        }
    }

    async fn hello(&self) -> Result<Document, StoreError> {
        Ok(self.all.run_command(doc! { "hello": 1 }).selection_criteria(primary()).await?)
    }

    /// The server's clock; `None`: it does not count.
    pub(super) async fn time(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        if self.clock == Clock::Told {
            return Ok(None);
        }
        let told = self.hello().await?;
        let time = told.get_datetime("localTime").map_err(|error| unreadable(error.to_string()))?;
        instant(time.timestamp_millis() * 1_000).map(Some).map_err(unreadable)
    }
}

/// Who says what time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    Server,
    /// Whoever calls.
    Told,
}

impl Clock {
    /// The time as an expression, in microseconds; `told`: by the caller's clock.
    pub(super) fn now(self, told: DateTime<Utc>) -> Bson {
        match self {
            Self::Server => doc! { "$multiply": [{ "$toLong": "$$NOW" }, 1_000_i64] }.into(),
            Self::Told => micros(told).into(),
        }
    }
}

/// All that a cursor gives.
pub(super) async fn all<T>(mut cursor: Cursor<T>) -> Result<Vec<RawDocumentBuf>, StoreError> {
    let mut found = Vec::new();
    while cursor.advance().await? {
        found.push(cursor.current().to_owned());
    }
    Ok(found)
}
