//! What a handler does about its hold on its run.

use std::sync::Arc;

use super::shared::Shared;
use super::tasks::failed;
use crate::Error;
use crate::stores::{RunFilter, Store};
use crate::task::TaskContext;

impl TaskContext {
    /// Says now that the run goes on, and hears whether it is still this scheduler's.
    ///
    /// The scheduler says so by itself, for all of its runs, each quarter of the lease: a handler need not. It is for one that is
    /// about to do what must not be done twice, after work in which its process may have been stopped for longer than the
    /// lease.
    ///
    /// # Errors
    /// [`Error::RunLost`]: another scheduler has taken the run over, so stop. [`Error::Store`]: the store does not answer.
    ///
    /// # Cancel safety
    /// Dropped before its end it changes nothing, or the lease is renewed.
    pub async fn heartbeat(&self) -> Result<(), Error> {
        let shared = self.scheduler().shared;
        let Some((alias, store)) = self.own_store(&shared).await? else { return self.lost() };
        let Some(lease) = store.lease() else { return Ok(()) };
        shared.beat(&*store, lease).await.map_err(|source| failed(&alias, source))?;
        // After the lease was renewed: from here on nobody takes it over.
        match self.own_store(&shared).await? {
            Some(_) => Ok(()),
            None => self.lost(),
        }
    }

    /// Completes the run in a transaction of the handler's, so that what the handler writes and that the run has succeeded are
    /// committed together or not at all: whatever happens, the effects are there once. The transaction is one of the database
    /// in which the task is kept.
    ///
    /// Commit soon, as the task can't be changed meanwhile. What the handler does after the commit changes nothing any more of how
    /// the run has ended; its place among its task's runs is free when the handler returns.
    ///
    /// ```no_run
    /// # use asyncz::{Provide, TaskContext};
    /// # #[cfg(feature = "postgres")]
    /// async fn pay(
    ///     Provide(pool): Provide<asyncz::sqlx::PgPool>,
    ///     ctx: TaskContext,
    /// ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    ///     let mut transaction = pool.begin().await?;
    ///     asyncz::sqlx::query("UPDATE accounts SET paid = paid + 1").execute(&mut *transaction).await?;
    ///     ctx.complete_in(&mut transaction).await?;
    ///     Ok(transaction.commit().await?)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::RunLost`]: another scheduler has taken the run over; roll back. [`Error::Store`]: the task is not kept in that
    /// kind of database, or it does not answer.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not have been written: roll back.
    #[cfg(feature = "_sql")]
    pub async fn complete_in<'a>(
        &self,
        transaction: impl Into<crate::stores::OwnTransaction<'a>> + Send,
    ) -> Result<(), Error> {
        let transaction = transaction.into();
        let shared = self.scheduler().shared;
        let Some((alias, store)) = self.own_store(&shared).await? else { return self.lost() };
        let no_database = || crate::StoreError::new("the task is not kept in a database");
        let sql = store.as_sql().ok_or_else(no_database).map_err(|source| failed(&alias, source))?;
        sql.complete_in(self, transaction).await.map_err(|source| failed(&alias, source))
    }

    /// The store in which this run is its scheduler's; `None`: it is so no more.
    async fn own_store(&self, shared: &Shared) -> Result<Option<(Arc<str>, Arc<dyn Store>)>, Error> {
        let filter = RunFilter::run(self.run_id()).task(self.task_id());
        for (alias, store) in shared.stores() {
            let runs = store.runs(&filter).await.map_err(|source| failed(&alias, source))?;
            if runs.iter().any(|run| run.is_open() && run.node == Some(self.node_id())) {
                return Ok(Some((alias, store)));
            }
        }
        Ok(None)
    }

    fn lost(&self) -> Result<(), Error> {
        Err(Error::RunLost { id: self.run_id(), task: self.task_id().clone() })
    }
}
