//! What lies between a scheduler and its store: each question and each answer takes its time, and may be lost.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::ledger::{By, Ledger, Who};
use crate::stores::{
    Beat, Claim, ClaimOutcome, Edit, EditOutcome, Finish, FinishOutcome, Found, NextDue, Query, Renewal,
    RunFilter, Store, StoreError,
};
use crate::task::{BoxFuture, Handlers, NodeId, RunId, RunRecord, TaskId, TaskRecord};

/// What all wires share. Only one future is polled at a time, so there is one verdict and one place to stop at.
#[derive(Debug)]
pub(super) struct Line(Mutex<State>);

#[derive(Debug)]
struct State {
    ledger: Ledger,
    /// What becomes of the question or answer that waits next.
    verdict: Option<Result<(), &'static str>>,
    /// The future that was polled waits here.
    stopped_at: Option<Stop>,
    /// The store itself is at work.
    is_inside: bool,
    /// What was changed, since somebody last looked.
    has_changed: bool,
}

/// Where a question stands still until the simulation lets it go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// On its way to the store.
    Question(&'static str),
    /// The store has done it; the answer is on its way back.
    Answer(&'static str),
}

/// How far a future has come.
pub(super) enum Progress<T> {
    Done(T),
    Stopped(Stop),
    /// It waits for its scheduler.
    Waits,
}

impl Line {
    pub(super) fn new(ledger: Ledger) -> Arc<Self> {
        let state = State { ledger, verdict: None, stopped_at: None, is_inside: false, has_changed: false };
        Arc::new(Self(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn with_ledger<T>(&self, look: impl FnOnce(&mut Ledger) -> T) -> T {
        look(&mut self.state().ledger)
    }

    /// Whether tasks have changed since this was asked last.
    pub(super) fn take_changed(&self) -> bool {
        std::mem::take(&mut self.state().has_changed)
    }

    /// Lets a future go on from where it stopped, with a verdict about what waits there.
    pub(super) fn go_on<T>(
        &self,
        future: &mut BoxFuture<T>,
        verdict: Option<Result<(), &'static str>>,
    ) -> Progress<T> {
        self.state().verdict = verdict;
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            if let Poll::Ready(done) = Pin::new(&mut *future).poll(&mut Context::from_waker(&waker)) {
                return Progress::Done(done);
            }
            let mut state = self.state();
            if let Some(stop) = state.stopped_at.take() {
                return Progress::Stopped(stop);
            }
            if !state.is_inside {
                return Progress::Waits;
            }
            drop(state);
            // The store needs real time.
            thread::park();
        }
    }

    async fn stop(&self, stop: Stop) -> Result<(), StoreError> {
        std::future::poll_fn(|_| {
            let mut state = self.state();
            match state.verdict.take() {
                Some(verdict) => Poll::Ready(verdict.map_err(StoreError::new)),
                None => {
                    state.stopped_at = Some(stop);
                    Poll::Pending
                }
            }
        })
        .await
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A store as one scheduler sees it.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) store: Arc<dyn Store>,
    pub(super) line: Arc<Line>,
    pub(super) who: Who,
}

impl Wire {
    /// Brings a question to the store, and the answer back. What the store did is entered in the ledger in the same
    /// moment.
    async fn ask<T>(
        &self,
        what: &'static str,
        done: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.line.stop(Stop::Question(what)).await?;
        self.line.state().is_inside = true;
        let done = done.await;
        {
            let mut state = self.line.state();
            state.is_inside = false;
            if let Err(error) = &done {
                state.ledger.failed(error);
            }
        }
        self.line.stop(Stop::Answer(what)).await?;
        done
    }

    fn enter<T>(&self, enter: impl FnOnce(&mut Ledger) -> T) {
        enter(&mut self.line.state().ledger);
    }

    fn by(&self, node: NodeId) -> By {
        By { who: self.who, node }
    }

    /// How tasks stand now.
    async fn tasks(&self, ids: Vec<TaskId>) -> Result<Vec<Option<TaskRecord>>, StoreError> {
        self.store.load(&ids).await
    }

    /// The entries of a claim's decisions, as they stand now.
    async fn entries(&self, claims: &[Claim]) -> Result<Vec<Option<RunRecord>>, StoreError> {
        let mut entries = Vec::new();
        for claim in claims {
            for decision in &claim.decisions {
                let filter = RunFilter::run(decision.run).task(&claim.definition.id).limit(1);
                entries.push(self.store.runs(&filter).await?.pop());
            }
        }
        Ok(entries)
    }
}

#[async_trait]
impl Store for Wire {
    async fn start(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn shutdown(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn now(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.store.now().await
    }

    fn lease(&self) -> Option<Duration> {
        self.store.lease()
    }

    /// So few that more is due at times than is asked for at once.
    fn batch(&self) -> usize {
        3
    }

    async fn put(&self, edits: &[Edit]) -> Result<Vec<EditOutcome>, StoreError> {
        let put = async {
            let outcomes = self.store.put(edits).await?;
            let ids = edits.iter().map(|edit| match edit {
                Edit::Insert(record) | Edit::Replace(record) => record.id().clone(),
                Edit::Delete(id) => id.clone(),
            });
            let after = self.tasks(ids.collect()).await?;
            self.line.state().has_changed = true;
            self.enter(|ledger| ledger.edited(edits, &outcomes, &after));
            Ok(outcomes)
        };
        self.ask("put", put).await
    }

    async fn load(&self, ids: &[TaskId]) -> Result<Vec<Option<TaskRecord>>, StoreError> {
        self.ask("load", self.store.load(ids)).await
    }

    async fn query(&self, query: Query) -> Result<Found, StoreError> {
        let ask = async {
            let found = self.store.query(query.clone()).await?;
            if let Query::Due { now, limit, .. } = query {
                self.enter(|ledger| ledger.found_due(found.now.unwrap_or(now), limit, &found.tasks));
            }
            Ok(found)
        };
        self.ask("query", ask).await
    }

    async fn claim(&self, by: NodeId, claims: &[Claim]) -> Result<Vec<ClaimOutcome>, StoreError> {
        let claim = async {
            let outcomes = self.store.claim(by, claims).await?;
            let ids = claims.iter().map(|claim| claim.definition.id.clone());
            let after = self.tasks(ids.collect()).await?;
            let entries = self.entries(claims).await?;
            self.line.state().has_changed = true;
            self.enter(|ledger| ledger.claimed(self.by(by), claims, &outcomes, &after, &entries));
            Ok(outcomes)
        };
        self.ask("claim", claim).await
    }

    async fn finish(&self, by: NodeId, ends: &[Finish]) -> Result<Vec<FinishOutcome>, StoreError> {
        let finish = async {
            let outcomes = self.store.finish(by, ends).await?;
            let after = self.tasks(ends.iter().map(|end| end.definition.id.clone()).collect()).await?;
            let mut entries = Vec::new();
            for end in ends {
                let filter = RunFilter::run(end.run).task(&end.definition.id).limit(1);
                entries.push(self.store.runs(&filter).await?.pop());
            }
            self.line.state().has_changed = true;
            self.enter(|ledger| ledger.finished(self.by(by), ends, &outcomes, &after, &entries));
            Ok(outcomes)
        };
        self.ask("finish", finish).await
    }

    async fn renew(&self, beat: &Beat) -> Result<Renewal, StoreError> {
        let ask = async {
            let renewal = self.store.renew(beat).await?;
            self.enter(|ledger| ledger.renewed(beat, &renewal));
            Ok(renewal)
        };
        self.ask("renew", ask).await
    }

    async fn next_due(&self, by: NodeId, handlers: &Handlers) -> Result<NextDue, StoreError> {
        let ask = async {
            let due = self.store.next_due(by, handlers).await?;
            self.enter(|ledger| ledger.found_next_due(due.at));
            Ok(due)
        };
        self.ask("next_due", ask).await
    }

    async fn cancel(&self, run: RunId) -> Result<bool, StoreError> {
        let cancel = async {
            let is_open = self.store.cancel(run).await?;
            self.line.state().has_changed = true;
            Ok(is_open)
        };
        self.ask("cancel", cancel).await
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
        self.ask("runs", self.store.runs(filter)).await
    }
}
