//! PostgreSQL.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Arguments, ConnectOptions, Connection, Postgres, Transaction};

use super::batch::{Batch, Cell, Kind, Values};
use super::database::ACQUIRE;
use super::dialect::{Slot, Text};

pub(super) fn options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    Ok(PgConnectOptions::from_str(url)?.application_name("asyncz").statement_cache_capacity(200))
}

/// Connects once, so that what is wrong is told at once: a pool tries again and again, and then says that it has.
pub(super) async fn check(url: &str) -> Result<(), sqlx::Error> {
    options(url)?.connect().await?.close().await
}

pub(super) fn open(url: &str, max_connections: u32) -> Result<PgPool, sqlx::Error> {
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE)
        .test_before_acquire(false);
    Ok(pool
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

/// Begins what is written together. Where a table was small when a statement was first planned, its plan would read through
/// it for each batch, however much it grows.
pub(super) async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    pool.begin_with("BEGIN; SET LOCAL enable_seqscan = off").await
}

/// A connection that was idle for so long is asked first whether it is still there.
const STALE: Duration = Duration::from_secs(1);

pub(super) fn arguments(text: &Text, values: Values<'_>, batch: Option<&Batch<'_>>) -> PgArguments {
    let mut arguments = PgArguments::default();
    for slot in &text.slots {
        let added = match (slot, batch) {
            (Slot::Value(at), _) => match &values[*at].1 {
                Cell::Int(number) => arguments.add(*number),
                Cell::Text(text) => arguments.add(text.as_ref()),
                Cell::Null => arguments.add(None::<String>),
            },
            (Slot::Cell(at, kind), Some(batch)) => match (&batch.cells[*at], kind) {
                (Cell::Int(number), _) => arguments.add(*number),
                (Cell::Text(text), _) => arguments.add(text.as_ref()),
                (Cell::Null, Kind::Int) => arguments.add(None::<i64>),
                (Cell::Null, Kind::Text) => arguments.add(None::<String>),
            },
            (Slot::Column(at), Some(batch)) => {
                let cells = batch.cells.iter().skip(*at).step_by(batch.columns.len());
                match batch.columns[*at].1 {
                    Kind::Int => arguments.add(cells.map(Cell::number).collect::<Vec<_>>()),
                    Kind::Text => arguments.add(cells.map(string).collect::<Vec<_>>()),
                }
            }
            _ => continue,
        };
        added.expect("numbers and text can be given to PostgreSQL");
    }
    arguments
}

fn string<'a>(cell: &'a Cell<'_>) -> Option<&'a str> {
    match cell {
        Cell::Text(text) => Some(text),
        Cell::Null | Cell::Int(_) => None,
    }
}

/// Serialization failures, deadlocks, locks that could not be had; a server that is shutting down has done nothing.
pub(super) fn is_transient(code: &str) -> bool {
    matches!(code, "40001" | "40P01" | "55P03" | "57P01" | "57P02" | "57P03")
}
