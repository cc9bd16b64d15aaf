//! Completion in one transaction with what the handler has written itself.

use std::fmt;

use super::batch::Values;
use super::database::Answer;
use super::dialect::{Dialect, Text};
use super::rows;
use super::{SqlStore, StoreError};
use crate::task::TaskContext;

/// A transaction of a handler's own, in the database of its task's store: `&mut transaction`.
pub struct OwnTransaction<'a>(Connection<'a>);

enum Connection<'a> {
    #[cfg(feature = "sqlite")]
    Sqlite(&'a mut sqlx::SqliteConnection),
    #[cfg(feature = "postgres")]
    Postgres(&'a mut sqlx::PgConnection),
    #[cfg(feature = "mysql")]
    MySql(&'a mut sqlx::MySqlConnection),
}

#[cfg(feature = "sqlite")]
impl<'a> From<&'a mut sqlx::Transaction<'_, sqlx::Sqlite>> for OwnTransaction<'a> {
    fn from(transaction: &'a mut sqlx::Transaction<'_, sqlx::Sqlite>) -> Self {
        Self(Connection::Sqlite(transaction))
    }
}

#[cfg(feature = "postgres")]
impl<'a> From<&'a mut sqlx::Transaction<'_, sqlx::Postgres>> for OwnTransaction<'a> {
    fn from(transaction: &'a mut sqlx::Transaction<'_, sqlx::Postgres>) -> Self {
        Self(Connection::Postgres(transaction))
    }
}

#[cfg(feature = "mysql")]
impl<'a> From<&'a mut sqlx::Transaction<'_, sqlx::MySql>> for OwnTransaction<'a> {
    fn from(transaction: &'a mut sqlx::Transaction<'_, sqlx::MySql>) -> Self {
        Self(Connection::MySql(transaction))
    }
}

impl OwnTransaction<'_> {
    fn dialect(&self) -> Dialect {
        match self.0 {
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(_) => Dialect::Sqlite,
            #[cfg(feature = "postgres")]
            Connection::Postgres(_) => Dialect::Postgres,
            #[cfg(feature = "mysql")]
            Connection::MySql(_) => Dialect::MySql,
        }
    }

    fn run<'a>(&'a mut self, text: &'a Text, values: Values<'a>) -> Answer<'a, u64> {
        Box::pin(async move {
            match &mut self.0 {
                #[cfg(feature = "sqlite")]
                Connection::Sqlite(connection) => {
                    let query = sqlx::query_with(&text.sql, super::sqlite::arguments(text, values, None));
                    Ok(query.execute(&mut **connection).await?.rows_affected())
                }
                #[cfg(feature = "postgres")]
                Connection::Postgres(connection) => {
                    let query = sqlx::query_with(&text.sql, super::postgres::arguments(text, values, None));
                    Ok(query.execute(&mut **connection).await?.rows_affected())
                }
                #[cfg(feature = "mysql")]
                Connection::MySql(connection) => {
                    let query = sqlx::query_with(&text.sql, super::mysql::arguments(text, values, None));
                    Ok(query.execute(&mut **connection).await?.rows_affected())
                }
            }
        })
    }
}

impl fmt::Debug for OwnTransaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnTransaction").field(&self.dialect()).finish()
    }
}

/// A claim that takes the run over was planned from what stands there before: it is lost.
const RAISE: &str = "UPDATE {tasks} SET version = version + 1 WHERE task_key = (SELECT r.place FROM {runs} AS r \
     WHERE r.id = :run AND r.node = :node)";
const COMPLETE: &str = "UPDATE {runs} SET status = 'succeeded', started_at = :started, finished_at = :finished \
     WHERE id = :run AND node = :node AND place IS NOT NULL AND status IN ('claimed', 'running')";

impl SqlStore {
    /// Completes a run in a transaction of its handler's: see [`TaskContext::complete_in`].
    pub(crate) async fn complete_in(
        &self,
        run: &TaskContext,
        mut transaction: OwnTransaction<'_>,
    ) -> Result<(), StoreError> {
        let writer = self.settings.writer()?;
        if writer.dialect != transaction.dialect() {
            return Err(StoreError::new(format!(
                "a transaction of {:?} can't complete a run in {}",
                transaction.dialect(),
                self.settings.place()
            )));
        }
        let values = [
            ("run", run.run_id().to_string().into()),
            ("node", run.node_id().to_string().into()),
            ("started", rows::micros(run.started_at()).into()),
            ("finished", rows::micros(run.now()).into()),
        ];
        // The task before its run, as all do, so that nobody waits for each other.
        transaction.run(&writer.write(RAISE, &values, None), &values).await?;
        if transaction.run(&writer.write(COMPLETE, &values, None), &values).await? == 1 {
            return Ok(());
        }
        Err(StoreError::new(format!(
            "run {} of task `{}` is not this scheduler's any more: roll back what it has written",
            run.run_id(),
            run.task_id()
        )))
    }
}
