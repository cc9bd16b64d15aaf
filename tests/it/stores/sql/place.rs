//! Where a test keeps what it keeps: nobody else's.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use asyncz::sqlx::sqlite::SqliteConnectOptions;
use asyncz::sqlx::{self, ConnectOptions, Connection, Executor, Row};
use asyncz::stores::SqlStore;

/// A file of its own, or tables of its own on a server.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) prefix: String,
    file: Option<PathBuf>,
}

/// Unlike that of every other test that runs or ran on the same servers.
fn unique() -> String {
    static PLACES: AtomicU64 = AtomicU64::new(0);
    let number = PLACES.fetch_add(1, Ordering::Relaxed);
    let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros();
    format!("t{:x}_{:x}_{number}_", std::process::id(), since & 0xff_ffff)
}

/// The url of a server.
fn server(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run the tests by tests/servers -- COMMAND"))
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        let prefix = unique();
        let file = std::env::temp_dir().join(format!("asyncz-{prefix}.db"));
        Self { url: format!("sqlite://{}", file.display()), prefix, file: Some(file) }
    }

    pub(crate) fn postgres() -> Self {
        Self { url: server("ASYNCZ_TEST_POSTGRES"), prefix: unique(), file: None }
    }

    pub(crate) fn mysql() -> Self {
        Self { url: server("ASYNCZ_TEST_MYSQL"), prefix: unique(), file: None }
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.file.is_some()
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.url.starts_with("postgres")
    }

    /// A store that goes by the clock of the test.
    pub(crate) fn store(&self) -> SqlStore {
        SqlStore::new(&self.url).table_prefix(&self.prefix).server_clock(false)
    }

    /// Which simulations are played here. A disk is written for each of their steps, so that they are few: SQLite's, which
    /// has no network between, are the most. `ASYNCZ_STORE_SEEDS=200` asks for so many.
    pub(crate) fn seeds(&self) -> Vec<u64> {
        if let Ok(count) = std::env::var("ASYNCZ_STORE_SEEDS") {
            return (0..count.parse().expect("ASYNCZ_STORE_SEEDS is a number")).collect();
        }
        if self.is_sqlite() { vec![1, 2, 4, 5, 6] } else { vec![1, 4] }
    }

    /// Runs SQL, with `{}` for the prefix of the tables; answers the first number that it finds, where it finds one.
    pub(crate) async fn sql(&self, sql: &str) -> Option<i64> {
        let sql = &*sql.replace("{}", &self.prefix);
        if self.is_sqlite() {
            let file: SqliteConnectOptions = self.url.parse().unwrap();
            let mut connection = file.create_if_missing(true).connect().await.unwrap();
            first(connection.fetch_all(sql).await.unwrap())
        } else if self.is_postgres() {
            let mut connection = sqlx::PgConnection::connect(&self.url).await.unwrap();
            first(connection.fetch_all(sql).await.unwrap())
        } else {
            let mut connection = sqlx::MySqlConnection::connect(&self.url).await.unwrap();
            first(connection.fetch_all(sql).await.unwrap())
        }
    }
}

fn first<R: Row>(rows: Vec<R>) -> Option<i64>
where
    usize: sqlx::ColumnIndex<R>,
    i64: for<'r> sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    rows.first().and_then(|row| row.try_get(0).ok())
}

impl Drop for Place {
    fn drop(&mut self) {
        // What stands on a server goes with it.
        let Some(file) = &self.file else { return };
        for end in ["", "-wal", "-shm"] {
            _ = std::fs::remove_file(format!("{}{end}", file.display()));
        }
    }
}
