//! Where a test keeps what it keeps: keys of its own.

use std::sync::atomic::{AtomicU64, Ordering};

use asyncz::RedisStore;
use asyncz::redis::{Client, Cmd, FromRedisValue};

#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) prefix: String,
}

impl Place {
    fn of(variable: &str) -> Self {
        static PLACES: AtomicU64 = AtomicU64::new(0);
        let number = PLACES.fetch_add(1, Ordering::Relaxed);
        let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros();
        let url = std::env::var(variable)
            .unwrap_or_else(|_| panic!("{variable} is not set: run the tests by tests/servers -- COMMAND"));
        Self { url, prefix: format!("t{:x}_{:x}_{number}", std::process::id(), since & 0xff_ffff) }
    }

    pub(crate) fn server() -> Self {
        Self::of("ASYNCZ_TEST_REDIS")
    }

    pub(crate) fn cluster() -> Self {
        Self::of("ASYNCZ_TEST_REDIS_CLUSTER")
    }

    /// A store that goes by the clock of the test.
    pub(crate) fn store(&self) -> RedisStore {
        self.timed_store().server_clock(false)
    }

    /// A store that goes by the server's clock.
    pub(crate) fn timed_store(&self) -> RedisStore {
        RedisStore::new(&self.url).prefix(&self.prefix)
    }

    /// One of the store's keys.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{{{}}}:tasks{name}", self.prefix)
    }

    /// Asks the server by hand.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        let client = Client::open(&*self.url).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        command.query_async(&mut connection).await.unwrap()
    }
}
