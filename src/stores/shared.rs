//! One store for several schedulers of a process.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{
    Claim, ClaimOutcome, Edit, EditOutcome, Finish, FinishOutcome, Query, RunFilter, Store, StoreError,
};
use crate::task::{Handlers, RunRecord, TaskId, TaskRecord};

#[async_trait]
impl<S: Store + ?Sized> Store for Arc<S> {
    async fn start(&self) -> Result<(), StoreError> {
        (**self).start().await
    }

    async fn shutdown(&self) -> Result<(), StoreError> {
        (**self).shutdown().await
    }

    async fn put(&self, edits: &[Edit]) -> Result<Vec<EditOutcome>, StoreError> {
        (**self).put(edits).await
    }

    async fn load(&self, ids: &[TaskId]) -> Result<Vec<Option<TaskRecord>>, StoreError> {
        (**self).load(ids).await
    }

    async fn query(&self, query: Query) -> Result<Vec<TaskRecord>, StoreError> {
        (**self).query(query).await
    }

    async fn claim(&self, claims: &[Claim]) -> Result<Vec<ClaimOutcome>, StoreError> {
        (**self).claim(claims).await
    }

    async fn finish(&self, ends: &[Finish]) -> Result<Vec<FinishOutcome>, StoreError> {
        (**self).finish(ends).await
    }

    async fn next_due(&self, handlers: &Handlers) -> Result<Option<DateTime<Utc>>, StoreError> {
        (**self).next_due(handlers).await
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
        (**self).runs(filter).await
    }

    async fn count(&self) -> Result<usize, StoreError> {
        (**self).count().await
    }

    fn type_name(&self) -> &'static str {
        (**self).type_name()
    }
}
