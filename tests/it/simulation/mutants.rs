//! Stores that break one promise each: the simulation must find every one of them out, or it proves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use std::time::Duration;

use asyncz::stores::{
    Beat, Claim, ClaimOutcome, Edit, EditOutcome, Finish, FinishOutcome, Found, LapsedRun, NextDue, Query,
    Renewal, Then,
};
use asyncz::testing::Invariant::{self, *};
use asyncz::testing::Simulation;
use asyncz::{
    Handlers, MemoryStore, NodeId, RunFilter, RunId, RunRecord, Store, StoreError, TaskId, TaskRecord,
    async_trait,
};

/// A promise to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// A claim is won only from the version that it was planned from.
    ClaimIsSwap,
    /// A claim writes its runs with the schedule.
    ClaimWritesRuns,
    /// A claim writes all of its runs.
    ClaimIsOneStep,
    /// A claim is lost where the task is gone.
    ClaimNeedsTask,
    /// A claim that is written is won.
    WrittenIsWon,
    /// Each claim is answered.
    AllClaimsAnswered,
    /// The end of a run counts it down.
    FinishCountsDown,
    /// The end of a run counts it down once, however often it is told.
    FinishCountsOnce,
    /// The end of a run is written.
    FinishWritesEnd,
    /// The end of a run writes the run that tries it again.
    FinishWritesRetry,
    /// A finish that is asked again says the same.
    FinishAnswersAgain,
    /// Paused tasks are not due.
    PausedIsNotDue,
    /// All due tasks are found.
    DueIsFound,
    /// It says when the next task is due.
    NextDueIsKnown,
    /// An edit is done only from the version that it was planned from.
    EditIsSwap,
    /// An edit that is done is kept.
    EditIsKept,
    /// A deleted task is gone.
    DeletedIsGone,
    /// An id is taken once.
    IdIsTakenOnce,
    /// Runs are claimed only with a lease.
    ClaimNeedsLease,
    /// Runs are taken over only where their scheduler's lease has lapsed.
    OnlyLapsedAreTaken,
    /// The end of a run is written by the scheduler that has it.
    EndsAreFenced,
    /// All runs of lapsed schedulers are found.
    LapsedAreFound,
    /// What is handed on waits for a place.
    HandedOnWaits,
    /// None; but it takes a runtime.
    None,
}

/// A store that breaks one promise.
#[derive(Debug)]
pub(super) struct Mutant {
    store: MemoryStore,
    broken: Broken,
    calls: AtomicUsize,
    /// What was found by run, to tell what is asked again.
    finished: Mutex<BTreeSet<RunId>>,
    /// Who has said last that it lives.
    last: Mutex<Option<NodeId>>,
}

impl Mutant {
    pub(super) fn new(broken: Broken) -> Self {
        let store = match broken {
            Broken::ClaimNeedsLease
            | Broken::OnlyLapsedAreTaken
            | Broken::EndsAreFenced
            | Broken::LapsedAreFound
            | Broken::HandedOnWaits => MemoryStore::new().leased(Duration::from_secs(30)),
            _ => MemoryStore::new(),
        };
        Self { store, broken, calls: AtomicUsize::new(0), finished: Mutex::default(), last: Mutex::default() }
    }

    fn every(&self, calls: usize) -> bool {
        self.calls.fetch_add(1, Ordering::Relaxed) % calls == calls - 1
    }

    async fn known(&self, id: &TaskId) -> Option<TaskRecord> {
        self.store.load(std::slice::from_ref(id)).await.unwrap().pop().flatten()
    }

    async fn change(&self, id: &TaskId, change: impl FnOnce(&mut TaskRecord)) {
        let Some(mut record) = self.known(id).await else { return };
        record.schedule.version += 1;
        change(&mut record);
        self.store.put(&[Edit::Replace(record)]).await.unwrap();
    }

    async fn claim_one(&self, mut by: NodeId, mut claim: Claim) -> ClaimOutcome {
        let known = self.known(&claim.definition.id).await;
        match self.broken {
            Broken::ClaimIsSwap => {
                if let Some(known) = &known {
                    claim.schedule.version = known.schedule.version + 1;
                }
            }
            Broken::ClaimWritesRuns => claim.decisions.clear(),
            Broken::ClaimIsOneStep => claim.decisions.truncate(1),
            // Whoever has claimed last is alive for sure.
            Broken::ClaimNeedsLease => by = self.last.lock().unwrap().unwrap_or(by),
            Broken::OnlyLapsedAreTaken => claim.taken_from = None,
            Broken::ClaimNeedsTask if known.is_none() => return ClaimOutcome::Won { removed: false },
            _ => {}
        }
        let outcome = self.store.claim(by, &[claim]).await.unwrap()[0];
        if self.broken == Broken::WrittenIsWon && self.every(10) { ClaimOutcome::Lost } else { outcome }
    }

    async fn finish_one(&self, mut by: NodeId, mut end: Finish) -> FinishOutcome {
        let retried = matches!(end.then, Then::Retry(_));
        let (id, run) = (end.definition.id.clone(), end.run);
        let is_again = !self.finished.lock().unwrap().insert(run);
        match self.broken {
            Broken::FinishWritesEnd if self.every(5) => {
                return FinishOutcome { retried, ..FinishOutcome::default() };
            }
            Broken::FinishWritesRetry if retried => end.then = Then::Over,
            Broken::HandedOnWaits if matches!(end.then, Then::HandOn(_)) => end.then = Then::Over,
            Broken::EndsAreFenced => {
                let known = self.store.runs(&RunFilter::new().task(&id)).await.unwrap();
                let has = known.iter().find(|known| known.id == run).and_then(|known| known.node);
                by = has.unwrap_or(by);
            }
            _ => {}
        }
        let mut outcome = self.store.finish(by, &[end]).await.unwrap()[0];
        match self.broken {
            Broken::FinishCountsDown if !retried => {
                self.change(&id, |task| task.schedule.running += 1).await;
            }
            Broken::FinishCountsOnce if is_again => {
                self.change(&id, |task| {
                    task.schedule.running = task.schedule.running.saturating_sub(1);
                })
                .await;
            }
            Broken::FinishWritesRetry if retried => outcome.retried = true,
            Broken::FinishAnswersAgain if is_again => outcome.retried = false,
            _ => {}
        }
        outcome
    }

    async fn edit_one(&self, mut edit: Edit) -> EditOutcome {
        match (self.broken, &mut edit) {
            (Broken::EditIsSwap, Edit::Replace(record)) => {
                if let Some(known) = self.known(record.id()).await {
                    record.schedule.version = known.schedule.version + 1;
                }
            }
            (Broken::EditIsKept, Edit::Replace(record)) if record.schedule.paused => {
                return EditOutcome::Done;
            }
            (Broken::DeletedIsGone, Edit::Delete(_)) => return EditOutcome::Done,
            (Broken::IdIsTakenOnce, Edit::Insert(record)) => {
                self.store.put(&[Edit::Delete(record.id().clone())]).await.unwrap();
            }
            _ => {}
        }
        self.store.put(&[edit]).await.unwrap()[0]
    }
}

#[async_trait]
impl Store for Mutant {
    async fn start(&self) -> Result<(), StoreError> {
        self.store.start().await
    }

    async fn shutdown(&self) -> Result<(), StoreError> {
        self.store.shutdown().await
    }

    async fn put(&self, edits: &[Edit]) -> Result<Vec<EditOutcome>, StoreError> {
        let mut outcomes = Vec::new();
        for edit in edits {
            outcomes.push(self.edit_one(edit.clone()).await);
        }
        Ok(outcomes)
    }

    async fn load(&self, ids: &[TaskId]) -> Result<Vec<Option<TaskRecord>>, StoreError> {
        self.store.load(ids).await
    }

    fn lease(&self) -> Option<Duration> {
        self.store.lease()
    }

    async fn query(&self, query: Query) -> Result<Found, StoreError> {
        let mut found = self.store.query(query.clone()).await?;
        if let Query::Due { .. } = query {
            match self.broken {
                Broken::PausedIsNotDue => {
                    let all = self.store.query(Query::All).await?.tasks;
                    found.tasks.extend(all.into_iter().filter(|task| task.schedule.paused));
                }
                Broken::DueIsFound => drop(found.tasks.pop()),
                Broken::None => drop(tokio::spawn(async {}).await),
                _ => {}
            }
        }
        Ok(found)
    }

    async fn claim(&self, by: NodeId, claims: &[Claim]) -> Result<Vec<ClaimOutcome>, StoreError> {
        let mut outcomes = Vec::new();
        for claim in claims {
            outcomes.push(self.claim_one(by, claim.clone()).await);
        }
        if self.broken == Broken::AllClaimsAnswered && outcomes.len() > 1 {
            outcomes.pop();
        }
        Ok(outcomes)
    }

    async fn finish(&self, by: NodeId, ends: &[Finish]) -> Result<Vec<FinishOutcome>, StoreError> {
        let mut outcomes = Vec::new();
        for end in ends {
            outcomes.push(self.finish_one(by, end.clone()).await);
        }
        Ok(outcomes)
    }

    async fn renew(&self, beat: &Beat) -> Result<Renewal, StoreError> {
        let mut renewal = self.store.renew(beat).await?;
        *self.last.lock().unwrap() = Some(beat.node.id);
        if self.broken == Broken::LapsedAreFound {
            renewal.lapsed.clear();
        }
        if self.broken == Broken::OnlyLapsedAreTaken {
            // Runs of others, whether they have lapsed or not.
            for run in self.store.runs(&RunFilter::new()).await?.into_iter().filter(RunRecord::is_open) {
                let task = self.known(&run.task).await.filter(|_| run.node != Some(beat.node.id));
                let leased_until = beat.now;
                renewal.lapsed.extend(task.map(|task| LapsedRun { task, run, leased_until }));
            }
        }
        Ok(renewal)
    }

    async fn next_due(&self, by: NodeId, handlers: &Handlers) -> Result<NextDue, StoreError> {
        let mut due = self.store.next_due(by, handlers).await?;
        due.at = due.at.filter(|_| self.broken != Broken::NextDueIsKnown);
        Ok(due)
    }

    async fn cancel(&self, run: RunId) -> Result<bool, StoreError> {
        self.store.cancel(run).await
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
        self.store.runs(filter).await
    }
}

/// Seeds within which a broken promise must show.
const SEEDS: u64 = 300;

/// The invariants that a mutant breaks in the first of these seeds, and how often.
fn found_out(broken: Broken, seeds: u64) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for seed in 0..seeds {
        let simulation = Simulation::new(seed).schedulers(3).minutes(10).store(Mutant::new(broken));
        if let Err(error) = simulation.run() {
            *found.entry(format!("{:?}", error.invariant)).or_default() += 1;
        }
    }
    found
}

#[track_caller]
fn is_found_out(broken: Broken, by: &[Invariant]) {
    let by_seed =
        |seed| Simulation::new(seed).schedulers(3).minutes(10).store(Mutant::new(broken)).run().err();
    let error = (0..SEEDS).find_map(by_seed).unwrap_or_else(|| panic!("{broken:?} was not found out"));
    assert!(by.contains(&error.invariant), "{broken:?}: {error}");
}

#[test]
fn a_store_that_breaks_one_promise_is_found_out() {
    is_found_out(Broken::ClaimIsSwap, &[OneDecision, NotWhilePaused, NoneForgotten, CompareAndSwap]);
    is_found_out(Broken::ClaimWritesRuns, &[OneStep]);
    is_found_out(Broken::ClaimIsOneStep, &[OneStep]);
    is_found_out(Broken::ClaimNeedsTask, &[NotAfterDeletion]);
    is_found_out(Broken::WrittenIsWon, &[OnlyStaleLose]);
    is_found_out(Broken::AllClaimsAnswered, &[AnswersAll]);
    is_found_out(Broken::FinishCountsDown, &[KeepsWhatItSaid]);
    is_found_out(Broken::FinishCountsOnce, &[KeepsWhatItSaid]);
    is_found_out(Broken::FinishWritesEnd, &[EndsAreKept]);
    is_found_out(Broken::FinishWritesRetry, &[KeepsWhatItSaid]);
    is_found_out(Broken::FinishAnswersAgain, &[AnswersAgain]);
    is_found_out(Broken::PausedIsNotDue, &[FindsWhatIsDue]);
    is_found_out(Broken::DueIsFound, &[FindsWhatIsDue]);
    is_found_out(Broken::NextDueIsKnown, &[FindsWhatIsDue]);
    is_found_out(Broken::EditIsSwap, &[CompareAndSwap, OneLife, Onward]);
    is_found_out(Broken::EditIsKept, &[KeepsWhatItSaid]);
    is_found_out(Broken::DeletedIsGone, &[KeepsWhatItSaid]);
    is_found_out(Broken::IdIsTakenOnce, &[KeepsWhatItSaid]);
    is_found_out(Broken::ClaimNeedsLease, &[NeedsLease, OneStep]);
    is_found_out(Broken::OnlyLapsedAreTaken, &[NeedsLease, FindsWhatLapsed]);
    is_found_out(Broken::EndsAreFenced, &[Fenced]);
    is_found_out(Broken::LapsedAreFound, &[FindsWhatLapsed]);
    is_found_out(Broken::HandedOnWaits, &[KeepsWhatItSaid]);
}

/// The rules of firing bite by themselves, whatever a store says of its versions.
#[test]
fn claims_without_compare_and_swap_break_the_rules_of_firing() {
    let found = found_out(Broken::ClaimIsSwap, 300);
    let has = |invariant: &Invariant| found.contains_key(&format!("{invariant:?}"));
    assert!(has(&OneDecision), "OneDecision is not in {found:?}");
    // Each of these takes a rare chance.
    let rare = [NotWhilePaused, MaxInstances, NoneForgotten];
    assert!(rare.iter().any(has), "none of {rare:?} is in {found:?}");
}
