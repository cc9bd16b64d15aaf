//! The connections to one database, whichever it is.

use std::fmt;
use std::pin::Pin;

use sqlx::Row as _;

use super::batch::{Batch, Values};
use super::dialect::{Dialect, Text, Writer};
#[cfg(feature = "mysql")]
use super::mysql;
#[cfg(feature = "postgres")]
use super::postgres;
#[cfg(feature = "sqlite")]
use super::sqlite;
use crate::stores::crypt::Seal;

/// A database, and how it is spoken to.
#[derive(Clone, Debug)]
pub(super) struct Database {
    pub(super) writer: Writer,
    pub(super) pool: Pool,
    pub(super) seal: Seal,
}

#[derive(Clone, Debug)]
pub(super) enum Pool {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlite::Pools),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::PgPool),
    #[cfg(feature = "mysql")]
    MySql(sqlx::MySqlPool),
}

/// What is written together or not at all. Dropped, it is taken back.
pub(super) struct Step<'a> {
    pub(super) writer: &'a Writer,
    pub(super) seal: &'a Seal,
    transaction: Transaction,
}

enum Transaction {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
    #[cfg(feature = "mysql")]
    MySql(sqlx::Transaction<'static, sqlx::MySql>),
}

/// A row that was found.
pub(super) enum Row {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::sqlite::SqliteRow),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::postgres::PgRow),
    #[cfg(feature = "mysql")]
    MySql(sqlx::mysql::MySqlRow),
}

/// So long a free connection is waited for, or a server that can't be reached.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(super) const ACQUIRE: std::time::Duration = std::time::Duration::from_secs(5);

/// A database's answer, on its way. In a box: the compiler can't tell of the drivers' own that they may be sent to another
/// thread, whatever they borrow.
pub(super) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, sqlx::Error>> + Send + 'a>>;

/// Does the same with whichever database it is.
macro_rules! each {
    ($of:ident, $value:expr, $inner:ident, $module:ident => $do:expr) => {
        match $value {
            #[cfg(feature = "sqlite")]
            $of::Sqlite($inner) => {
                #[allow(unused_imports, reason = "not every use needs it")]
                use sqlite as $module;
                $do
            }
            #[cfg(feature = "postgres")]
            $of::Postgres($inner) => {
                #[allow(unused_imports, reason = "not every use needs it")]
                use postgres as $module;
                $do
            }
            #[cfg(feature = "mysql")]
            $of::MySql($inner) => {
                #[allow(unused_imports, reason = "not every use needs it")]
                use mysql as $module;
                $do
            }
        }
    };
}

impl Pool {
    /// What is wrong with the way to the database, if something is.
    pub(super) fn check<'a>(dialect: Dialect, url: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            match dialect {
                #[cfg(feature = "postgres")]
                Dialect::Postgres => postgres::check(url).await,
                #[cfg(feature = "mysql")]
                Dialect::MySql => mysql::check(url).await,
                // A file is there, or its first use says that it is not.
                _ => {
                    _ = url;
                    Ok(())
                }
            }
        })
    }

    /// Opens nothing yet: the first statement does.
    pub(super) fn new(dialect: Dialect, url: &str, max_connections: u32) -> Result<Self, sqlx::Error> {
        match dialect {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => sqlite::Pools::open(url, max_connections).map(Self::Sqlite),
            #[cfg(feature = "postgres")]
            Dialect::Postgres => postgres::open(url, max_connections).map(Self::Postgres),
            #[cfg(feature = "mysql")]
            Dialect::MySql => mysql::open(url, max_connections).map(Self::MySql),
            #[allow(unreachable_patterns, reason = "where all three are built in")]
            _ => Err(sqlx::Error::Configuration(format!("{dialect:?} is not built in").into())),
        }
    }

    pub(super) async fn close(&self) {
        each!(Self, self, pool, _driver => pool.close().await);
    }
}

impl Database {
    /// Reads without locking anything.
    pub(super) async fn read(&self, template: &str, values: Values<'_>) -> Result<Vec<Row>, sqlx::Error> {
        self.read_batch(template, values, None).await
    }

    /// As [`read`](Self::read), beside a batch.
    pub(super) async fn read_batch(
        &self,
        template: &str,
        values: Values<'_>,
        batch: Option<&Batch<'_>>,
    ) -> Result<Vec<Row>, sqlx::Error> {
        let text = self.writer.write(template, values, batch);
        self.read_text(&text, values, batch).await
    }

    fn read_text<'a>(
        &'a self,
        text: &'a Text,
        values: Values<'a>,
        batch: Option<&'a Batch<'a>>,
    ) -> Answer<'a, Vec<Row>> {
        Box::pin(async move {
            match &self.pool {
                #[cfg(feature = "sqlite")]
                Pool::Sqlite(pools) => {
                    let arguments = sqlite::arguments(text, values, batch);
                    let rows = sqlx::query_with(&text.sql, arguments).fetch_all(&pools.read).await?;
                    Ok(rows.into_iter().map(Row::Sqlite).collect())
                }
                #[cfg(feature = "postgres")]
                Pool::Postgres(pool) => {
                    let arguments = postgres::arguments(text, values, batch);
                    let rows = sqlx::query_with(&text.sql, arguments).fetch_all(pool).await?;
                    Ok(rows.into_iter().map(Row::Postgres).collect())
                }
                #[cfg(feature = "mysql")]
                Pool::MySql(pool) => {
                    let arguments = mysql::arguments(text, values, batch);
                    let rows = sqlx::query_with(&text.sql, arguments).fetch_all(pool).await?;
                    Ok(rows.into_iter().map(Row::MySql).collect())
                }
            }
        })
    }

    pub(super) fn begin(&self) -> Answer<'_, Step<'_>> {
        Box::pin(async move {
            let transaction = match &self.pool {
                #[cfg(feature = "sqlite")]
                Pool::Sqlite(pools) => Transaction::Sqlite(pools.begin().await?),
                #[cfg(feature = "postgres")]
                Pool::Postgres(pool) => Transaction::Postgres(postgres::begin(pool).await?),
                #[cfg(feature = "mysql")]
                Pool::MySql(pool) => Transaction::MySql(pool.begin().await?),
            };
            Ok(Step { writer: &self.writer, seal: &self.seal, transaction })
        })
    }
}

impl Step<'_> {
    pub(super) fn dialect(&self) -> Dialect {
        self.writer.dialect
    }

    /// The rows that a statement finds, or that it answers of those it has changed.
    pub(super) async fn fetch(
        &mut self,
        template: &str,
        values: Values<'_>,
    ) -> Result<Vec<Row>, sqlx::Error> {
        let text = self.writer.write(template, values, None);
        self.fetch_text(&text, values, None).await
    }

    /// As [`fetch`](Self::fetch), for each part of a batch that one statement takes.
    pub(super) async fn fetch_batch(
        &mut self,
        template: &str,
        values: Values<'_>,
        batch: Batch<'_>,
    ) -> Result<Vec<Row>, sqlx::Error> {
        let mut rows = Vec::new();
        for part in self.dialect().parts(template, batch).iter().filter(|part| !part.is_empty()) {
            let text = self.writer.write(template, values, Some(part));
            rows.extend(self.fetch_text(&text, values, Some(part)).await?);
        }
        Ok(rows)
    }

    /// How many rows a statement has changed.
    pub(super) async fn run(&mut self, template: &str, values: Values<'_>) -> Result<u64, sqlx::Error> {
        let text = self.writer.write(template, values, None);
        self.run_text(&text, values, None).await
    }

    /// As [`run`](Self::run), for each part of a batch that one statement takes.
    pub(super) async fn run_batch(
        &mut self,
        template: &str,
        values: Values<'_>,
        batch: Batch<'_>,
    ) -> Result<u64, sqlx::Error> {
        let mut changed = 0;
        for part in self.dialect().parts(template, batch).iter().filter(|part| !part.is_empty()) {
            let text = self.writer.write(template, values, Some(part));
            changed += self.run_text(&text, values, Some(part)).await?;
        }
        Ok(changed)
    }

    /// Changes the rows of a table that belong to those of a batch, and answers `returning` of each: columns that it leaves
    /// as they are.
    pub(super) async fn change(
        &mut self,
        table: &str,
        set: &str,
        on: &str,
        returning: &str,
        values: Values<'_>,
        batch: Batch<'_>,
    ) -> Result<Vec<Row>, sqlx::Error> {
        let update = self.writer.update(table, set, on, returning);
        if self.dialect() != Dialect::MySql {
            return self.fetch_batch(&update, values, batch).await;
        }
        // It can't answer what it has changed: the rows are locked first.
        let find = format!("SELECT {returning} FROM {{{table}}} AS t JOIN {{batch}} AS b ON {on} FOR UPDATE");
        let rows = self.fetch_batch(&find, values, batch.clone()).await?;
        if !rows.is_empty() {
            self.run_batch(&update, values, batch).await?;
        }
        Ok(rows)
    }

    fn fetch_text<'a>(
        &'a mut self,
        text: &'a Text,
        values: Values<'a>,
        batch: Option<&'a Batch<'a>>,
    ) -> Answer<'a, Vec<Row>> {
        Box::pin(async move {
            match &mut self.transaction {
                #[cfg(feature = "sqlite")]
                Transaction::Sqlite(transaction) => {
                    let query = sqlx::query_with(&text.sql, sqlite::arguments(text, values, batch));
                    Ok(query.fetch_all(&mut **transaction).await?.into_iter().map(Row::Sqlite).collect())
                }
                #[cfg(feature = "postgres")]
                Transaction::Postgres(transaction) => {
                    let query = sqlx::query_with(&text.sql, postgres::arguments(text, values, batch));
                    Ok(query.fetch_all(&mut **transaction).await?.into_iter().map(Row::Postgres).collect())
                }
                #[cfg(feature = "mysql")]
                Transaction::MySql(transaction) => {
                    let query = sqlx::query_with(&text.sql, mysql::arguments(text, values, batch));
                    Ok(query.fetch_all(&mut **transaction).await?.into_iter().map(Row::MySql).collect())
                }
            }
        })
    }

    fn run_text<'a>(
        &'a mut self,
        text: &'a Text,
        values: Values<'a>,
        batch: Option<&'a Batch<'a>>,
    ) -> Answer<'a, u64> {
        Box::pin(async move {
            each!(Transaction, &mut self.transaction, transaction, driver => {
                let query = sqlx::query_with(&text.sql, driver::arguments(text, values, batch));
                Ok(query.execute(&mut **transaction).await?.rows_affected())
            })
        })
    }

    /// Runs statements that are not prepared, several in one text.
    pub(super) fn run_script<'a>(&'a mut self, script: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            each!(Transaction, &mut self.transaction, transaction, _driver => {
                sqlx::Executor::execute(&mut **transaction, script).await.map(drop)
            })
        })
    }

    /// Takes back what was written.
    pub(super) async fn undo(self) -> Result<(), sqlx::Error> {
        each!(Transaction, self.transaction, transaction, _driver => transaction.rollback().await)
    }

    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        each!(Transaction, self.transaction, transaction, _driver => transaction.commit().await)
    }
}

impl Row {
    /// The number in a column; `None`: it is null.
    pub(super) fn int(&self, column: usize) -> Result<Option<i64>, sqlx::Error> {
        each!(Self, self, row, _driver => row.try_get_unchecked(column))
    }

    /// The text in a column; `None`: it is null.
    pub(super) fn text(&self, column: usize) -> Result<Option<String>, sqlx::Error> {
        each!(Self, self, row, _driver => row.try_get_unchecked(column))
    }

    /// The number in a column that is never null.
    pub(super) fn number(&self, column: usize) -> Result<i64, sqlx::Error> {
        self.int(column)?.ok_or_else(|| missing(column))
    }

    /// The text in a column that is never null.
    pub(super) fn string(&self, column: usize) -> Result<String, sqlx::Error> {
        self.text(column)?.ok_or_else(|| missing(column))
    }
}

fn missing(column: usize) -> sqlx::Error {
    sqlx::Error::Decode(format!("column {column} is null").into())
}

impl fmt::Debug for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").field("writer", self.writer).finish_non_exhaustive()
    }
}

/// Whether the same can be tried again at once: nothing was written.
pub(super) fn is_transient(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    #[cfg(feature = "mysql")]
    if let Some(error) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
        return mysql::is_transient(error.number());
    }
    #[cfg(feature = "postgres")]
    if let Some(error) = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
        return postgres::is_transient(error.code());
    }
    #[cfg(feature = "sqlite")]
    if let Some(error) = error.try_downcast_ref::<sqlx::sqlite::SqliteError>() {
        let code = sqlx::error::DatabaseError::code(error);
        return code.is_some_and(|code| sqlite::is_transient(&code));
    }
    false
}
