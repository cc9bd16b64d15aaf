//! MySQL and MariaDB.

use std::fmt::Write;
use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;
use sqlx::mysql::{MySqlArguments, MySqlConnectOptions, MySqlPool, MySqlPoolOptions};
use sqlx::{Arguments, ConnectOptions, Connection, Executor};

use super::batch::{Batch, Cell, Values};
use super::database::ACQUIRE;
use super::dialect::{Kind, Slot, Text, json_key};

fn options(url: &str) -> Result<MySqlConnectOptions, sqlx::Error> {
    // What a batch is compared with is compared byte by byte, as in the tables.
    let options = MySqlConnectOptions::from_str(&url.replacen("mariadb:", "mysql:", 1))?;
    Ok(options.collation("utf8mb4_bin").statement_cache_capacity(200))
}

/// Connects once, so that what is wrong is told at once: a pool tries again and again, and then says that it has.
pub(super) async fn check(url: &str) -> Result<(), sqlx::Error> {
    options(url)?.connect().await?.close().await
}

pub(super) fn open(url: &str, max_connections: u32) -> Result<MySqlPool, sqlx::Error> {
    let pool = MySqlPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE)
        .test_before_acquire(false);
    Ok(pool
        .after_connect(|connection, _| {
            Box::pin(async move {
                // With REPEATABLE READ gaps between rows are locked, too, and schedulers would wait for each other's.
                connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await.map(drop)
            })
        })
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > STALE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options(url)?))
}

/// A connection that was idle for so long is asked first whether it is still there.
const STALE: Duration = Duration::from_secs(1);

pub(super) fn arguments(text: &Text, values: Values<'_>, batch: Option<&Batch<'_>>) -> MySqlArguments {
    let mut arguments = MySqlArguments::default();
    for slot in &text.slots {
        let added = match slot {
            Slot::Value(at) => match &values[*at].1 {
                Cell::Int(number) => arguments.add(*number),
                Cell::Text(text) => arguments.add(text.as_ref()),
                Cell::Null => arguments.add(None::<i64>),
            },
            Slot::Cell(at, kind) => match (batch.and_then(|batch| batch.cells.get(*at)), kind) {
                (Some(Cell::Int(number)), _) => arguments.add(*number),
                (Some(Cell::Text(text)), _) => arguments.add(text.as_ref()),
                (Some(Cell::Null) | None, Kind::Int) => arguments.add(None::<i64>),
                (Some(Cell::Null) | None, Kind::Text) => arguments.add(None::<String>),
            },
            Slot::Json => arguments.add(batch.map(json).unwrap_or_default()),
            Slot::Column(_) => continue,
        };
        added.expect("numbers and text can be given to MySQL");
    }
    arguments
}

/// A batch as an array of objects. What is null is left out, as MariaDB and MySQL differ in how they read a null.
fn json(batch: &Batch<'_>) -> String {
    let mut text = String::with_capacity(batch.cells.len() * 24);
    text.push('[');
    for row in batch.cells.chunks(batch.columns.len()) {
        text.push_str(if text.len() > 1 { ",{" } else { "{" });
        let mut comma = "";
        for (at, cell) in row.iter().enumerate() {
            let key = json_key(at);
            let written = match cell {
                Cell::Null => continue,
                Cell::Int(number) => write!(text, "{comma}\"{key}\":{number}"),
                Cell::Text(value) => write!(text, "{comma}\"{key}\":{}", Value::from(value.as_ref())),
            };
            written.expect("a string takes all that is written");
            comma = ",";
        }
        text.push('}');
    }
    text.push(']');
    text
}

/// Deadlocks, waits for locks that took too long, and rows that changed since they were read. Also a key that was taken
/// meanwhile: then it is found the next time.
pub(super) fn is_transient(number: u16) -> bool {
    matches!(number, 1213 | 1205 | 1020 | 1062)
}
