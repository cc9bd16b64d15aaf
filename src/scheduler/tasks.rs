//! Tasks from a user's hand: added, looked at, run, removed.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rustc_hash::FxHashMap;

use super::machine::{Input, plan_by_hand};
use super::snapshot::{TaskFilter, TaskSnapshot};
use super::{Scheduler, Shared, State};
use crate::Error;
use crate::events::{Event, EventMask};
use crate::stores::{Claim, ClaimOutcome, Edit, EditOutcome, Query, RunFilter, Store, StoreError};
use crate::task::{RunId, RunRecord, RunStatus, Task, TaskId, TaskRecord};

impl Scheduler {
    /// A task as it is now.
    ///
    /// # Errors
    /// [`Error::TaskNotFound`], [`Error::Ambiguous`], [`Error::Store`].
    pub async fn get_task(&self, id: impl Into<TaskId>) -> Result<TaskSnapshot, Error> {
        let id = id.into();
        let is_asked = |task: &Task| task.id.as_ref() == Some(&id) && self.asks(&task.store);
        self.shared.started_or_not().await;
        if let Some(pending) = self.shared.pending_tasks(is_asked).pop() {
            return Ok(pending);
        }
        let (alias, _, record) = self.find(id).await?;
        Ok(TaskSnapshot::new(alias, &record, &self.shared.handlers()))
    }

    /// The tasks that a filter asks for, as they are now.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn tasks(&self, filter: TaskFilter) -> Result<Vec<TaskSnapshot>, Error> {
        let handlers = self.shared.handlers();
        let stores = self.asked_stores().await?;
        let mut tasks = self.shared.pending_tasks(|task| self.asks(&task.store));
        for (alias, store) in stores {
            let records = store.query(Query::All).await.map_err(|source| failed(&alias, source))?.tasks;
            let snapshot = |record| TaskSnapshot::new(alias.clone(), record, &handlers);
            tasks.extend(records.iter().map(snapshot));
        }
        Ok(filter.choose(tasks))
    }

    /// Runs a task now, beside its schedule, which stays as it is; a paused task, too.
    ///
    /// # Errors
    /// [`Error::MaxInstances`]: as many runs as it may have are going on. [`Error::HandlerNotFound`], [`Error::NotRunning`],
    /// [`Error::TaskNotFound`], [`Error::Ambiguous`], [`Error::Store`].
    pub async fn run_task(&self, id: impl Into<TaskId>) -> Result<RunId, Error> {
        let id = id.into();
        self.shared.require_running()?;
        loop {
            let (alias, store, record) = self.find(id.clone()).await?;
            let handler = &record.definition.handler;
            if !self.shared.handlers().has(handler) {
                return Err(Error::HandlerNotFound { id, handler: handler.to_string() });
            }
            let now = self.shared.clock().now();
            let run_id = self.shared.run_id_by_hand();
            let claim = plan_by_hand(&record, now, run_id).map_err(|reason| {
                let event = Event::new(EventMask::TASK_MAX_INSTANCES, now).alias(&alias).task(&id);
                self.shared.emit(&event.error(&*reason));
                Error::MaxInstances { id: id.clone(), reason }
            })?;
            let claiming = ClaimingByHand::begin(self, &alias, run_id);
            let claimed = self.shared.claim(&*store, &claim).await;
            if let ClaimOutcome::Won { .. } = claimed.map_err(|source| failed(&alias, source))? {
                claiming.won(claim);
                return Ok(run_id);
            }
        }
    }

    /// Removes a task. Its history stays, and runs of it that are going on end as usual.
    ///
    /// # Errors
    /// [`Error::TaskNotFound`], [`Error::Ambiguous`], [`Error::Store`].
    pub async fn delete_task(&self, id: impl Into<TaskId>) -> Result<(), Error> {
        let id = id.into();
        self.shared.started_or_not().await;
        if self.shared.forget_pending(|task| task.id.as_ref() == Some(&id) && self.asks(&task.store)) > 0 {
            return Ok(());
        }
        let (alias, store, _) = self.find(id.clone()).await?;
        let put = self.shared.put(&alias, &*store, &[Edit::Delete(id.clone())]).await;
        let outcome = put.map_err(|source| failed(&alias, source))?;
        if outcome == [EditOutcome::NotFound] {
            return Err(Error::TaskNotFound { id });
        }
        let now = self.shared.clock().now();
        self.shared.emit(&Event::new(EventMask::TASK_REMOVED, now).alias(&alias).task(&id));
        Ok(())
    }

    /// When a task will run, the next `n` times at most; none while it is paused. It changes nothing.
    ///
    /// # Errors
    /// [`Error::TaskNotFound`], [`Error::Ambiguous`], [`Error::Store`].
    pub async fn preview(&self, id: impl Into<TaskId>, n: usize) -> Result<Vec<DateTime<Utc>>, Error> {
        let TaskSnapshot { next_run_time, trigger, .. } = self.get_task(id).await?;
        let coming = std::iter::successors(next_run_time, |instant| trigger.next_after(*instant));
        Ok(coming.take(n).collect())
    }

    /// The history, newest first: runs, and occurrences that did not become one, with the reason.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn runs(&self, filter: RunFilter) -> Result<Vec<RunRecord>, Error> {
        let mut runs = Vec::new();
        let stores = self.asked_stores().await?;
        // Whether a claimed run has started is known here alone: a filter by status comes after that.
        let asked = match filter.statuses.is_empty() {
            true => filter.clone(),
            false => RunFilter { statuses: Vec::new(), limit: None, ..filter.clone() },
        };
        for (alias, store) in &stores {
            runs.extend(store.runs(&asked).await.map_err(|source| failed(alias, source))?);
        }
        {
            let live = self.shared.live();
            let started: FxHashMap<_, _> =
                live.iter().filter_map(|run| Some((run.id(), run.live().started_at()?))).collect();
            for run in runs.iter_mut().filter(|run| !run.status.is_final()) {
                if let Some(started_at) = started.get(&run.id) {
                    run.status = RunStatus::Running;
                    run.started_at = Some(*started_at);
                }
            }
        }
        runs.retain(|run| filter.matches(run));
        if stores.len() > 1 {
            runs.sort_by_key(|run| std::cmp::Reverse(run.decided_at));
        }
        runs.truncate(filter.limit.unwrap_or(usize::MAX));
        Ok(runs)
    }

    /// One entry of the history.
    ///
    /// # Errors
    /// [`Error::RunNotFound`], [`Error::Store`].
    pub async fn run(&self, id: RunId) -> Result<RunRecord, Error> {
        self.runs(RunFilter::run(id)).await?.pop().ok_or_else(|| Error::RunNotFound { id: id.to_string() })
    }

    /// Tells a run to stop, and aborts it 2 s later if it goes on. One that has ended, or waits for a place, stays as it is.
    /// A run of another scheduler on the store is told by that one, as soon as it hears of it.
    ///
    /// # Errors
    /// [`Error::NotRunning`], [`Error::RunNotFound`], [`Error::Store`].
    pub async fn cancel_run(&self, id: RunId) -> Result<(), Error> {
        self.shared.require_running()?;
        let run = self.run(id).await?;
        if !run.is_open() || run.node.is_none_or(|node| node == self.shared.node_id()) {
            self.tell(Input::Cancel(id));
            return Ok(());
        }
        for (alias, store) in self.asked_stores().await? {
            if store.cancel(id).await.map_err(|source| failed(&alias, source))? {
                break;
            }
        }
        Ok(())
    }

    /// Whether it asks the store of this alias.
    pub(super) fn asks(&self, store: &str) -> bool {
        self.only.as_ref().is_none_or(|only| **only == *store)
    }

    /// The stores to ask.
    pub(super) async fn asked_stores(&self) -> Result<BTreeMap<Arc<str>, Arc<dyn Store>>, Error> {
        self.shared.require_own_tasks()?;
        self.shared.started_or_not().await;
        match &self.only {
            None => Ok(self.shared.stores()),
            Some(_) if self.shared.stores().is_empty() => Ok(BTreeMap::new()),
            Some(alias) => Ok(BTreeMap::from([(alias.clone(), self.shared.known_store(alias)?)])),
        }
    }

    /// The store that has a task, and the task.
    pub(super) async fn find(&self, id: TaskId) -> Result<(Arc<str>, Arc<dyn Store>, TaskRecord), Error> {
        let mut found = Vec::new();
        for (alias, store) in self.asked_stores().await? {
            let loaded =
                store.load(std::slice::from_ref(&id)).await.map_err(|source| failed(&alias, source))?;
            if let Some(record) = loaded.into_iter().flatten().next() {
                found.push((alias, store, record));
            }
        }
        match found.len() {
            0 => Err(Error::TaskNotFound { id }),
            1 => Ok(found.remove(0)),
            _ => {
                let stores = found.iter().map(|(alias, ..)| alias.to_string()).collect();
                Err(Error::Ambiguous { id, stores })
            }
        }
    }
}

/// A claim of a user that the driver has not heard of: until then the run must not look like one that nobody knows.
struct ClaimingByHand<'a> {
    scheduler: &'a Scheduler,
    store: &'a Arc<str>,
    run: RunId,
    is_won: bool,
}

impl<'a> ClaimingByHand<'a> {
    fn begin(scheduler: &'a Scheduler, store: &'a Arc<str>, run: RunId) -> Self {
        scheduler.tell(Input::ClaimingByHand(run));
        Self { scheduler, store, run, is_won: false }
    }

    fn won(mut self, claim: Claim) {
        self.is_won = true;
        self.scheduler.tell(Input::ClaimedByHand(self.store.clone(), Box::new(claim)));
    }
}

impl Drop for ClaimingByHand<'_> {
    fn drop(&mut self) {
        if !self.is_won {
            self.scheduler.tell(Input::NotClaimedByHand(self.store.clone(), self.run));
        }
    }
}

impl Shared {
    /// Returns when no start is under way: until then tasks neither wait for it nor are in their stores.
    pub(super) async fn started_or_not(&self) {
        if self.state() == State::Stopped && self.pending().is_none() {
            drop(self.parts.lock().await);
        }
    }

    /// How many tasks wait for the start.
    pub(super) fn count_pending(&self) -> usize {
        self.pending().as_ref().map_or(0, Vec::len)
    }

    /// Forgets tasks that wait for the start; answers how many.
    pub(super) fn forget_pending(&self, unwanted: impl Fn(&Task) -> bool) -> usize {
        let mut pending = self.pending();
        let Some(pending) = &mut *pending else { return 0 };
        let before = pending.len();
        pending.retain(|task| !unwanted(task));
        before - pending.len()
    }

    fn pending_tasks(&self, wanted: impl Fn(&Task) -> bool) -> Vec<TaskSnapshot> {
        let setup = self.setup();
        let pending = self.pending();
        let wanted = pending.iter().flatten().filter(|task| wanted(task));
        wanted
            .filter_map(|task| {
                let record = task.record(false, &setup.task_defaults, setup.clock.now(), &setup.zone).ok()?;
                Some(TaskSnapshot::pending(task.store.clone(), &record))
            })
            .collect()
    }

    pub(super) fn known_store(&self, alias: &str) -> Result<Arc<dyn Store>, Error> {
        self.store(alias).ok_or_else(|| Error::StoreNotFound {
            alias: alias.to_owned(),
            known: self.stores().keys().map(ToString::to_string).collect(),
        })
    }

    pub(super) fn known_executor(&self, alias: &str) -> Result<(), Error> {
        if self.executor(alias).is_some() {
            return Ok(());
        }
        let known = self.executors().keys().map(ToString::to_string).collect();
        Err(Error::ExecutorNotFound { alias: alias.to_owned(), known })
    }
}

pub(super) fn failed(alias: &Arc<str>, source: StoreError) -> Error {
    Error::Store { store: alias.clone(), source }
}
