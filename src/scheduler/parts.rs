//! Stores and executors that come and go, while the scheduler runs, too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tracing::Level;

use super::guarded::guarded;
use super::machine::Input;
use super::shared::Shared;
use super::startup::tell_of_orphans;
use super::tasks::failed;
use super::{Scheduler, State};
use crate::Error;
use crate::events::{Event, EventMask};
use crate::executors::Executor;
use crate::log::{Line, Target};
use crate::panics::catching;
use crate::stores::Store;
use crate::task::Handlers;

/// Stores that were removed and whose last runs go on: only the driver knows them.
#[derive(Debug, Default)]
pub(super) struct Leaving(Mutex<BTreeMap<Arc<str>, LeavingStore>>);

#[derive(Debug)]
struct LeavingStore {
    store: Arc<dyn Store>,
    /// Told or dropped when the driver needs the store no more.
    left: Option<oneshot::Sender<()>>,
}

impl Leaving {
    pub(super) fn store(&self, alias: &str) -> Option<Arc<dyn Store>> {
        self.stores().get(alias).map(|leaving| leaving.store.clone())
    }

    /// The driver needs the store no more.
    pub(super) fn has_left(&self, alias: &str) {
        if let Some(leaving) = self.stores().get_mut(alias) {
            leaving.left = None;
        }
    }

    /// There is no driver any more.
    pub(super) fn all_have_left(&self) {
        self.stores().values_mut().for_each(|leaving| leaving.left = None);
    }

    fn stores(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, LeavingStore>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scheduler {
    /// Adds a store, by an alias that tasks name. While running it is started, and its tasks are scheduled from now on;
    /// else that comes with the start.
    ///
    /// Tasks of the configuration are put in their stores at a start, and nowhere else. Until the first start the alias
    /// `default` is free: ours takes it where nobody has.
    ///
    /// # Errors
    /// [`Error::AliasTaken`]; [`Error::Store`]: it does not start, and is not added; [`Error::Lock`] and
    /// [`Error::ImproperlyConfigured`] where the scheduler has a lock path.
    ///
    /// # Cancel safety
    /// Dropped before its end it adds nothing; a store that was starting is dropped.
    pub async fn add_store(&self, alias: impl Into<Arc<str>>, store: impl Store) -> Result<(), Error> {
        let (alias, store): (Arc<str>, Arc<dyn Store>) = (alias.into(), Arc::new(store));
        let shared = &self.shared;
        let _alone = shared.parts.lock().await;
        let is_leaving = shared.leaving.store(&alias).is_some();
        if is_leaving || shared.setup().stores.contains_key(&alias) {
            return Err(Error::AliasTaken { kind: "a store", alias: alias.to_string() });
        }
        if shared.session().is_some() {
            let locked = shared.lock_added_store(&alias)?;
            let ours = guarded(store.clone(), shared.setup().store_timeout);
            if let Err(error) = open_added(&*ours, &alias, shared.handlers()).await {
                // That it did not open is told; that it did not close, either, says nothing more.
                drop(ours.shutdown().await);
                return Err(error);
            }
            let terms = shared.terms(&alias, &*ours);
            shared.insert_store(alias.clone(), ours);
            shared.emit(&Event::new(EventMask::STORE_ADDED, shared.clock().now()).alias(&alias));
            locked.keep();
            self.tell(Input::StoreAdded(alias.clone(), terms));
        }
        shared.setup().stores.insert(alias, store);
        Ok(())
    }

    /// Removes a store. Its tasks are no longer scheduled and no longer found; it keeps them, so that they go on where
    /// they stood when it is added again, here or elsewhere.
    ///
    /// From the call on nothing is claimed in it. Runs that are going on come to their end and are recorded, and this
    /// waits for them; those that jitter or a retry holds back are cancelled. Then the store is shut down, and
    /// [`STORE_REMOVED`](EventMask::STORE_REMOVED) is told. Called by a handler of the store's own, it would wait for
    /// itself.
    ///
    /// The store `default` can be removed like any other: tasks that name no store are refused until another has its
    /// name, and at the next start an empty one in memory takes it, as always where nobody has.
    ///
    /// # Errors
    /// [`Error::StoreNotFound`]; [`Error::Store`]: it did not close well, but is removed.
    ///
    /// # Cancel safety
    /// Once polled, the removal comes to its end whether somebody waits for it or not.
    pub async fn remove_store(&self, alias: impl AsRef<str>) -> Result<(), Error> {
        let shared = &self.shared;
        let alone = shared.parts.lock().await;
        let (removed, known) = {
            let mut setup = shared.setup();
            let removed = setup.stores.remove_entry(alias.as_ref());
            (removed, setup.stores.keys().map(ToString::to_string).collect())
        };
        let Some((alias, store)) = removed else {
            return Err(Error::StoreNotFound { alias: alias.as_ref().to_owned(), known });
        };
        let session = shared.session();
        let store = shared.store(&alias).unwrap_or(store);
        let left = shared.let_store_go(alias.clone(), store.clone());
        let Some(session) = session else {
            shared.leaving.stores().remove(&alias);
            shared.emit(&Event::new(EventMask::STORE_REMOVED, shared.clock().now()).alias(&alias));
            return Ok(());
        };
        self.tell(Input::StoreRemoved(alias.clone()));
        drop(alone);
        let removal = session.stores.spawn(close(shared.clone(), alias, store, left));
        // It can't panic; where its runtime has gone, so has the application.
        removal.await.unwrap_or(Ok(()))
    }

    /// Adds an executor, by an alias that tasks name; while running it is started.
    ///
    /// Until the first start the alias `default` is free: ours takes it where nobody has.
    ///
    /// # Errors
    /// [`Error::AliasTaken`].
    ///
    /// # Cancel safety
    /// Dropped before it was polled to its end it adds nothing.
    pub async fn add_executor(
        &self,
        alias: impl Into<Arc<str>>,
        executor: impl Executor,
    ) -> Result<(), Error> {
        let (alias, executor): (Arc<str>, Arc<dyn Executor>) = (alias.into(), Arc::new(executor));
        let shared = &self.shared;
        let _alone = shared.parts.lock().await;
        if shared.setup().executors.contains_key(&alias) {
            return Err(Error::AliasTaken { kind: "an executor", alias: alias.to_string() });
        }
        if let Some(session) = shared.session() {
            executor.start(&session.handlers);
            shared.insert_executor(alias.clone(), executor.clone());
            shared.emit(&Event::new(EventMask::EXECUTOR_ADDED, shared.clock().now()).alias(&alias));
        }
        shared.setup().executors.insert(alias, executor);
        Ok(())
    }

    /// Removes an executor. It takes no more runs from the call on; those that it has, waiting ones too, come to their
    /// end, and this waits for them. Then it is shut down, and [`EXECUTOR_REMOVED`](EventMask::EXECUTOR_REMOVED) is told.
    /// Called by a handler that runs in it, it would wait for itself.
    ///
    /// Tasks that name it stay as they are, on their schedule: until another executor has its name, each of their runs
    /// fails with an error that says so, and is tried again as often as the task says. Nothing can be added or changed to
    /// name it. That holds for `default`, too; at the next start ours takes that name where nobody has.
    ///
    /// # Errors
    /// [`Error::ExecutorNotFound`].
    ///
    /// # Cancel safety
    /// Once polled, the removal comes to its end whether somebody waits for it or not.
    pub async fn remove_executor(&self, alias: impl AsRef<str>) -> Result<(), Error> {
        let shared = &self.shared;
        let alone = shared.parts.lock().await;
        let (removed, known) = {
            let mut setup = shared.setup();
            let removed = setup.executors.remove_entry(alias.as_ref());
            (removed, setup.executors.keys().map(ToString::to_string).collect())
        };
        let Some((alias, executor)) = removed else {
            return Err(Error::ExecutorNotFound { alias: alias.as_ref().to_owned(), known });
        };
        shared.forget_executor(&alias);
        let Some(session) = shared.session() else {
            shared.emit(&Event::new(EventMask::EXECUTOR_REMOVED, shared.clock().now()).alias(&alias));
            return Ok(());
        };
        drop(alone);
        // It can't panic; where its runtime has gone, so has the application.
        _ = session.stores.spawn(drain(shared.clone(), alias, executor)).await;
        Ok(())
    }
}

async fn open_added(store: &dyn Store, alias: &Arc<str>, handlers: Handlers) -> Result<(), Error> {
    store.start().await.map_err(|source| failed(alias, source))?;
    tell_of_orphans(store, alias, handlers).await
}

/// Closes a store when the driver needs it no more.
async fn close(
    shared: Arc<Shared>,
    alias: Arc<str>,
    store: Arc<dyn Store>,
    left: oneshot::Receiver<()>,
) -> Result<(), Error> {
    // Whether it is told or dropped.
    _ = left.await;
    shared.leave(&alias, &*store).await;
    let closed = store.shutdown().await;
    shared.locks.release(&alias);
    shared.leaving.stores().remove(&alias);
    shared.health.forget(&alias);
    shared.emit(&Event::new(EventMask::STORE_REMOVED, shared.clock().now()).alias(&alias));
    closed.map_err(|source| failed(&alias, source))
}

/// Shuts an executor down when the runs that it was given have ended.
async fn drain(shared: Arc<Shared>, alias: Arc<str>, executor: Arc<dyn Executor>) {
    // Runs are among the living before their executor is looked up, so that none is overlooked. Another executor may
    // have the alias soon: its runs are not waited for.
    let mut runs: Vec<_> = {
        let live = shared.live();
        let of_executor = live.iter().filter(|run| run.definition().executor == alias);
        of_executor.map(|run| (run.ticket(), run.id())).collect()
    };
    let mut progress = shared.progress.subscribe();
    let drained = progress.wait_for(|_| {
        let live = shared.live();
        runs.retain(|(ticket, run)| live.get(*ticket).is_some_and(|live| live.id() == *run));
        runs.is_empty() || shared.state() == State::Stopped
    });
    // The sender lives in `shared`.
    drop(drained.await);
    if let Err(panic) = catching(|| executor.shutdown()) {
        let message = format!("the executor {panic}");
        shared.log_line(Level::ERROR, Target::Executor(&alias), &message, Line::default());
    }
    shared.emit(&Event::new(EventMask::EXECUTOR_REMOVED, shared.clock().now()).alias(&alias));
}

impl Shared {
    /// Takes a store out of those that tasks are looked for in; what is returned tells when it is needed no more.
    fn let_store_go(&self, alias: Arc<str>, store: Arc<dyn Store>) -> oneshot::Receiver<()> {
        let (tell, left) = oneshot::channel();
        // In this order, so that the driver finds it all the while.
        self.leaving.stores().insert(alias.clone(), LeavingStore { store, left: Some(tell) });
        self.forget_store(&alias);
        left
    }
}
