//! SQLite: one connection writes, others read beside it.

use std::str::FromStr;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{Arguments, Sqlite, Transaction};

use super::batch::{Batch, Cell, Values};
use super::dialect::{Kind, Slot, Text};

/// So long a writer waits for another process's.
const BUSY: Duration = Duration::from_secs(5);

/// Connections to a file.
#[derive(Clone, Debug)]
pub(super) struct Pools {
    /// One: SQLite has one writer at a time, and here it waits without blocking a thread.
    write: SqlitePool,
    pub(super) read: SqlitePool,
}

impl Pools {
    pub(super) fn open(url: &str, max_connections: u32) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // With less, a power cut could take back what was decided.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY)
            // Pages that many claims change are written to the file once for all of them. In KiB where negative.
            .pragma("wal_autocheckpoint", "10000")
            .pragma("cache_size", "-32768")
            // What a statement would have to take back is not written to a file.
            .pragma("temp_store", "memory")
            // Rows come from a thread of the driver's, which is not to wait after each few.
            .row_buffer_size(1_000)
            .statement_cache_capacity(500);
        let pool =
            || SqlitePoolOptions::new().test_before_acquire(false).max_lifetime(None).idle_timeout(None);
        Ok(Self {
            write: pool().max_connections(1).connect_lazy_with(options.clone()),
            read: pool().max_connections(max_connections.max(1)).connect_lazy_with(options),
        })
    }

    /// Takes the only right to write at once: a transaction that reads first could not write where another has written
    /// meanwhile.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.write.begin_with("BEGIN IMMEDIATE").await
    }

    pub(super) async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

pub(super) fn arguments(
    text: &Text,
    values: Values<'_>,
    batch: Option<&Batch<'_>>,
) -> SqliteArguments<'static> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(text.slots.len(), 0);
    for slot in &text.slots {
        let (cell, kind) = match slot {
            Slot::Value(at) => (values.get(*at).map(|(_, cell)| cell), Kind::Text),
            Slot::Cell(at, kind) => (batch.and_then(|batch| batch.cells.get(*at)), *kind),
            Slot::Column(_) | Slot::Json => continue,
        };
        let added = match (cell.unwrap_or(&Cell::Null), kind) {
            (Cell::Int(number), _) => arguments.add(*number),
            (Cell::Text(text), _) => arguments.add(text.clone().into_owned()),
            (Cell::Null, Kind::Int) => arguments.add(None::<i64>),
            (Cell::Null, Kind::Text) => arguments.add(None::<String>),
        };
        added.expect("numbers and text can be given to SQLite");
    }
    arguments
}

/// Another process writes, and has done so for long.
pub(super) fn is_transient(code: &str) -> bool {
    // The lower byte is the primary code: 5 is SQLITE_BUSY, 6 SQLITE_LOCKED.
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6))
}
