//! One store for several schedulers of a process.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{
    Beat, ChangeListener, Changes, Claim, ClaimOutcome, Edit, EditOutcome, Finish, FinishOutcome, Found,
    NextDue, Prune, Query, Renewal, RunFilter, Store, StoreError,
};
use crate::task::{Handlers, NodeId, RunId, RunRecord, TaskId, TaskRecord};

#[async_trait]
impl<S: Store + ?Sized> Store for Arc<S> {
    async fn start(&self) -> Result<(), StoreError> {
        (**self).start().await
    }

    async fn shutdown(&self) -> Result<(), StoreError> {
        (**self).shutdown().await
    }

    async fn now(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        (**self).now().await
    }

    fn lease(&self) -> Option<Duration> {
        (**self).lease()
    }

    fn batch(&self) -> usize {
        (**self).batch()
    }

    async fn put(&self, edits: &[Edit]) -> Result<Vec<EditOutcome>, StoreError> {
        (**self).put(edits).await
    }

    async fn load(&self, ids: &[TaskId]) -> Result<Vec<Option<TaskRecord>>, StoreError> {
        (**self).load(ids).await
    }

    async fn query(&self, query: Query) -> Result<Found, StoreError> {
        (**self).query(query).await
    }

    async fn claim(&self, by: NodeId, claims: &[Claim]) -> Result<Vec<ClaimOutcome>, StoreError> {
        (**self).claim(by, claims).await
    }

    async fn finish(&self, by: NodeId, ends: &[Finish]) -> Result<Vec<FinishOutcome>, StoreError> {
        (**self).finish(by, ends).await
    }

    async fn renew(&self, beat: &Beat) -> Result<Renewal, StoreError> {
        (**self).renew(beat).await
    }

    async fn next_due(&self, by: NodeId, handlers: &Handlers) -> Result<NextDue, StoreError> {
        (**self).next_due(by, handlers).await
    }

    async fn cancel(&self, run: RunId) -> Result<bool, StoreError> {
        (**self).cancel(run).await
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
        (**self).runs(filter).await
    }

    fn changes(&self, listener: ChangeListener) -> Changes {
        (**self).changes(listener)
    }

    async fn prune(&self, prune: &Prune) -> Result<usize, StoreError> {
        (**self).prune(prune).await
    }

    async fn count(&self) -> Result<usize, StoreError> {
        (**self).count().await
    }

    #[cfg(feature = "_sql")]
    fn as_sql(&self) -> Option<&super::SqlStore> {
        (**self).as_sql()
    }

    fn type_name(&self) -> &'static str {
        (**self).type_name()
    }
}
