//! A store that goes wrong when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use asyncz::stores::{Claim, ClaimOutcome, Edit, EditOutcome, Finish, FinishOutcome, Query};
use asyncz::{
    Handlers, MemoryStore, RunFilter, RunRecord, Store, StoreError, TaskId, TaskRecord, async_trait,
};
use chrono::{DateTime, Utc};
use tokio::sync::watch;

/// A store in memory; its clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faulty(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    memory: MemoryStore,
    hangs_at_start: AtomicBool,
    is_down: AtomicBool,
    refuses_edits: AtomicBool,
    /// Claims are answered while it is false.
    holds_claims: watch::Sender<bool>,
    /// Claims that wait for an answer.
    held_claims: AtomicUsize,
    shutdowns: AtomicUsize,
}

impl Faulty {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Its start never comes to an end.
    pub(crate) fn hang_at_start(&self, hangs: bool) {
        self.0.hangs_at_start.store(hangs, Ordering::SeqCst);
    }

    /// It answers every question with an error.
    pub(crate) fn go_down(&self, is_down: bool) {
        self.0.is_down.store(is_down, Ordering::SeqCst);
    }

    /// It can be read, but takes no edits.
    pub(crate) fn refuse_edits(&self, refuses: bool) {
        self.0.refuses_edits.store(refuses, Ordering::SeqCst);
    }

    /// It does not answer claims until it is told to.
    pub(crate) fn hold_claims(&self, holds: bool) {
        self.0.holds_claims.send_replace(holds);
    }

    /// How many claims wait for an answer.
    pub(crate) fn held_claims(&self) -> usize {
        self.0.held_claims.load(Ordering::SeqCst)
    }

    /// How often it was shut down.
    pub(crate) fn shutdowns(&self) -> usize {
        self.0.shutdowns.load(Ordering::SeqCst)
    }

    fn memory(&self) -> Result<&MemoryStore, StoreError> {
        match self.0.is_down.load(Ordering::SeqCst) {
            true => Err(StoreError::new("connection refused")),
            false => Ok(&self.0.memory),
        }
    }
}

#[async_trait]
impl Store for Faulty {
    async fn start(&self) -> Result<(), StoreError> {
        if self.0.hangs_at_start.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.memory().map(drop)
    }

    async fn shutdown(&self) -> Result<(), StoreError> {
        self.0.shutdowns.fetch_add(1, Ordering::SeqCst);
        self.memory().map(drop)
    }

    async fn put(&self, edits: &[Edit]) -> Result<Vec<EditOutcome>, StoreError> {
        if self.0.refuses_edits.load(Ordering::SeqCst) {
            return Err(StoreError::new("the disk is full"));
        }
        self.memory()?.put(edits).await
    }

    async fn load(&self, ids: &[TaskId]) -> Result<Vec<Option<TaskRecord>>, StoreError> {
        self.memory()?.load(ids).await
    }

    async fn query(&self, query: Query) -> Result<Vec<TaskRecord>, StoreError> {
        self.memory()?.query(query).await
    }

    async fn claim(&self, claims: &[Claim]) -> Result<Vec<ClaimOutcome>, StoreError> {
        self.0.held_claims.fetch_add(1, Ordering::SeqCst);
        let mut holds = self.0.holds_claims.subscribe();
        drop(holds.wait_for(|holds| !holds).await);
        self.0.held_claims.fetch_sub(1, Ordering::SeqCst);
        self.memory()?.claim(claims).await
    }

    async fn finish(&self, ends: &[Finish]) -> Result<Vec<FinishOutcome>, StoreError> {
        self.memory()?.finish(ends).await
    }

    async fn next_due(&self, handlers: &Handlers) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.memory()?.next_due(handlers).await
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
        self.memory()?.runs(filter).await
    }
}
