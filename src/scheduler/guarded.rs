//! A store as a scheduler uses it: each call has a time limit, and a panic is a failure like any other.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::clock::RealDeadline;
use crate::panics::catching_future;
use crate::stores::{
    Beat, ChangeListener, Changes, Claim, ClaimOutcome, Edit, EditOutcome, Finish, FinishOutcome, Found,
    NextDue, Prune, Query, Renewal, RunFilter, Store, StoreError,
};
use crate::task::{Handlers, NodeId, RunId, RunRecord, TaskId, TaskRecord};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Guarded {
    store: Arc<dyn Store>,
    limit: Duration,
}

/// The store, whose calls take no longer than `limit`; but for its start, which has a limit of its own.
pub(super) fn guarded(store: Arc<dyn Store>, limit: Duration) -> Arc<dyn Store> {
    Arc::new(Guarded { store, limit })
}

impl Guarded {
    /// Not through the [`Arc`], which is a store, too: each call would be another future in a box.
    fn store(&self) -> &dyn Store {
        &*self.store
    }

    async fn within<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        tokio::select! {
            biased;
            answer = caught(call) => answer,
            () = RealDeadline::after(self.limit).passed() => {
                let limit = self.limit;
                Err(StoreError::new(format!("no answer within {limit:?}; it may do what it was asked all the same")))
            }
        }
    }
}

/// A store's panic is a failure like any other.
async fn caught<T>(call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    catching_future(call).await.unwrap_or_else(|panic| Err(StoreError::new(format!("the store {panic}"))))
}

#[async_trait]
impl Store for Guarded {
    async fn start(&self) -> Result<(), StoreError> {
        caught(self.store().start()).await
    }

    async fn shutdown(&self) -> Result<(), StoreError> {
        self.within(self.store().shutdown()).await
    }

    async fn now(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.within(self.store().now()).await
    }

    fn lease(&self) -> Option<Duration> {
        self.store().lease()
    }

    fn batch(&self) -> usize {
        self.store().batch()
    }

    async fn put(&self, edits: &[Edit]) -> Result<Vec<EditOutcome>, StoreError> {
        self.within(self.store().put(edits)).await
    }

    async fn load(&self, ids: &[TaskId]) -> Result<Vec<Option<TaskRecord>>, StoreError> {
        self.within(self.store().load(ids)).await
    }

    async fn query(&self, query: Query) -> Result<Found, StoreError> {
        self.within(self.store().query(query)).await
    }

    async fn claim(&self, by: NodeId, claims: &[Claim]) -> Result<Vec<ClaimOutcome>, StoreError> {
        self.within(self.store().claim(by, claims)).await
    }

    async fn finish(&self, by: NodeId, ends: &[Finish]) -> Result<Vec<FinishOutcome>, StoreError> {
        self.within(self.store().finish(by, ends)).await
    }

    async fn renew(&self, beat: &Beat) -> Result<Renewal, StoreError> {
        self.within(self.store().renew(beat)).await
    }

    async fn next_due(&self, by: NodeId, handlers: &Handlers) -> Result<NextDue, StoreError> {
        self.within(self.store().next_due(by, handlers)).await
    }

    async fn cancel(&self, run: RunId) -> Result<bool, StoreError> {
        self.within(self.store().cancel(run)).await
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
        self.within(self.store().runs(filter)).await
    }

    fn changes(&self, listener: ChangeListener) -> Changes {
        self.store().changes(listener)
    }

    async fn prune(&self, prune: &Prune) -> Result<usize, StoreError> {
        self.within(self.store().prune(prune)).await
    }

    async fn count(&self) -> Result<usize, StoreError> {
        self.within(self.store().count()).await
    }

    #[cfg(feature = "_sql")]
    fn as_sql(&self) -> Option<&crate::SqlStore> {
        self.store().as_sql()
    }

    fn type_name(&self) -> &'static str {
        self.store().type_name()
    }
}
