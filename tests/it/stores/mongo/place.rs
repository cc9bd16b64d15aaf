//! Where a test keeps what it keeps: nobody else's.

use std::sync::atomic::{AtomicU64, Ordering};

use asyncz::MongoStore;
use asyncz::mongodb::bson::Document;
use asyncz::mongodb::{Client, Collection, Database};

/// Collections of its own.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) collection: String,
}

pub(crate) const DATABASE: &str = "asyncz_tests";

impl Place {
    pub(crate) fn new() -> Self {
        let url = std::env::var("ASYNCZ_TEST_MONGODB")
            .expect("ASYNCZ_TEST_MONGODB is not set: run the tests by tests/servers -- COMMAND");
        Self::at(url)
    }

    pub(crate) fn at(url: String) -> Self {
        static PLACES: AtomicU64 = AtomicU64::new(0);
        // Unlike those of every other test that runs or ran on the same server.
        let number = PLACES.fetch_add(1, Ordering::Relaxed);
        let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros();
        let collection = format!("t{:x}_{:x}_{number}", std::process::id(), since & 0xff_ffff);
        Self { url, collection }
    }

    /// A store that goes by the server's clock.
    pub(crate) fn store(&self) -> MongoStore {
        self.store_at(&self.url)
    }

    pub(crate) fn store_at(&self, url: &str) -> MongoStore {
        MongoStore::new(url).database(DATABASE).collection(&self.collection)
    }

    /// A store that goes by the clock of the test.
    pub(crate) fn told(&self) -> MongoStore {
        self.store().server_clock(false)
    }

    /// What stands in the database, as it stands there: `tasks`, or what comes after it.
    pub(crate) async fn collection(&self, what: &str) -> Collection<Document> {
        let name =
            if what == "tasks" { self.collection.clone() } else { format!("{}.{what}", self.collection) };
        self.database().await.collection(&name)
    }

    pub(crate) async fn database(&self) -> Database {
        Client::with_uri_str(&self.url).await.unwrap().database(DATABASE)
    }
}
