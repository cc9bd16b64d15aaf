//! All tasks at once.

use super::Scheduler;
use super::tasks::failed;
use crate::Error;
use crate::events::{Event, EventMask};
use crate::stores::{Edit, EditOutcome, Query};

impl Scheduler {
    /// Removes all tasks of a store, by its alias, or with `None` of all stores (of the one of
    /// [`in_store`](Self::in_store)); answers how many they were. Those that wait for the start are among them.
    ///
    /// Their history stays, and runs that are going on come to their end. Listeners are told
    /// [`ALL_TASKS_REMOVED`](EventMask::ALL_TASKS_REMOVED) and of no task by itself. Tasks that somebody adds meanwhile may
    /// stay.
    ///
    /// ```no_run
    /// # async fn example(scheduler: asyncz::Scheduler) -> Result<(), asyncz::Error> {
    /// scheduler.remove_all_tasks("mongo").await?;
    /// scheduler.remove_all_tasks(None).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// Dropping the future removes the tasks of a store or does not.
    ///
    /// # Errors
    /// [`Error::StoreNotFound`], [`Error::Store`]: then the tasks of other stores may be removed all the same.
    pub async fn remove_all_tasks<'a>(&self, store: impl Into<Option<&'a str>>) -> Result<usize, Error> {
        let asked = match store.into() {
            Some(alias) => self.in_store(alias),
            None => self.clone(),
        };
        let stores = asked.asked_stores().await?;
        let mut removed = self.shared.forget_pending(|task| asked.asks(&task.store));
        for (alias, store) in stores {
            let tasks = store.query(Query::All).await.map_err(|source| failed(&alias, source))?.tasks;
            let edits: Vec<_> = tasks.iter().map(|task| Edit::Delete(task.id().clone())).collect();
            let put = self.shared.put(&alias, &*store, &edits).await;
            let outcomes = put.map_err(|source| failed(&alias, source))?;
            removed += outcomes.iter().filter(|outcome| **outcome == EditOutcome::Done).count();
        }
        let event = Event::new(EventMask::ALL_TASKS_REMOVED, self.shared.clock().now());
        self.shared.emit(&Event { alias: asked.only, ..event });
        Ok(removed)
    }
}
