//! A store that is started and shut down by somebody else.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::stores::{
    Beat, ChangeListener, Changes, Claim, ClaimOutcome, Edit, EditOutcome, Finish, FinishOutcome, Found,
    NextDue, Prune, Query, Renewal, RunFilter, Store, StoreError,
};
use crate::task::{Handlers, NodeId, RunId, RunRecord, TaskId, TaskRecord};

/// The schedulers of a case share a store that the case has started.
#[derive(Debug)]
pub(super) struct Opened(pub(super) Arc<dyn Store>);

#[async_trait]
impl Store for Opened {
    async fn start(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn shutdown(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn now(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.0.now().await
    }

    fn lease(&self) -> Option<Duration> {
        self.0.lease()
    }

    fn batch(&self) -> usize {
        self.0.batch()
    }

    async fn put(&self, edits: &[Edit]) -> Result<Vec<EditOutcome>, StoreError> {
        self.0.put(edits).await
    }

    async fn load(&self, ids: &[TaskId]) -> Result<Vec<Option<TaskRecord>>, StoreError> {
        self.0.load(ids).await
    }

    async fn query(&self, query: Query) -> Result<Found, StoreError> {
        self.0.query(query).await
    }

    async fn claim(&self, by: NodeId, claims: &[Claim]) -> Result<Vec<ClaimOutcome>, StoreError> {
        self.0.claim(by, claims).await
    }

    async fn finish(&self, by: NodeId, ends: &[Finish]) -> Result<Vec<FinishOutcome>, StoreError> {
        self.0.finish(by, ends).await
    }

    async fn renew(&self, beat: &Beat) -> Result<Renewal, StoreError> {
        self.0.renew(beat).await
    }

    async fn next_due(&self, by: NodeId, handlers: &Handlers) -> Result<NextDue, StoreError> {
        self.0.next_due(by, handlers).await
    }

    async fn cancel(&self, run: RunId) -> Result<bool, StoreError> {
        self.0.cancel(run).await
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
        self.0.runs(filter).await
    }

    fn changes(&self, listener: ChangeListener) -> Changes {
        self.0.changes(listener)
    }

    async fn prune(&self, prune: &Prune) -> Result<usize, StoreError> {
        self.0.prune(prune).await
    }

    async fn count(&self) -> Result<usize, StoreError> {
        self.0.count().await
    }

    fn type_name(&self) -> &'static str {
        self.0.type_name()
    }
}
