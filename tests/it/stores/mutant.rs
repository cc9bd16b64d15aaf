//! A store that breaks one promise.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use asyncz::chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use asyncz::stores::{
    Beat, ChangeListener, Changes, Claim, ClaimOutcome, Edit, EditOutcome, Finish, FinishOutcome, Found,
    NextDue, Prune, Query, Renewal, Then,
};
use asyncz::{
    Clock, DateTrigger, Handlers, MemoryStore, NodeId, RunFilter, RunId, RunRecord, RunStatus, Store,
    StoreError, SystemClock, TaskDefinition, TaskId, TaskRecord, async_trait,
};

use super::broken::Broken;

/// Keeps all promises but one. It removes old entries, as a store does that outlives the process.
#[derive(Debug)]
pub(super) struct Mutant {
    store: MemoryStore,
    broken: Broken,
    starts: AtomicUsize,
    shutdowns: Arc<AtomicUsize>,
    /// Entries that nobody sees: removed, or not written yet.
    hidden: Mutex<BTreeSet<RunId>>,
    finished: Mutex<BTreeSet<RunId>>,
    is_finishing: AtomicBool,
    alive: Mutex<BTreeSet<NodeId>>,
    cancelled: Mutex<Vec<RunId>>,
}

const LEASE: Duration = Duration::from_secs(30);

impl Mutant {
    pub(super) fn new(broken: Broken) -> Self {
        let store = match broken {
            // Without leases nobody's has lapsed.
            Broken::ClaimsNeedALease => MemoryStore::new(),
            _ => MemoryStore::new().leased(LEASE),
        };
        Self {
            store,
            broken,
            starts: AtomicUsize::default(),
            shutdowns: Arc::default(),
            hidden: Mutex::default(),
            finished: Mutex::default(),
            is_finishing: AtomicBool::default(),
            alive: Mutex::default(),
            cancelled: Mutex::default(),
        }
    }

    fn breaks(&self, broken: Broken) -> bool {
        self.broken == broken
    }

    fn told_time(&self) -> Option<DateTime<Utc>> {
        self.breaks(Broken::TheClockDecides).then(|| SystemClock.now())
    }

    async fn all(&self) -> Vec<TaskRecord> {
        self.store.query(Query::All).await.unwrap().tasks
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

    async fn claim_one(&self, by: NodeId, mut claim: Claim) -> ClaimOutcome {
        let id = claim.definition.id.clone();
        let known = self.known(&id).await;
        match (self.broken, &known) {
            (Broken::ClaimsAreSwaps, Some(known)) => claim.schedule.version = known.schedule.version + 1,
            (Broken::ClaimsWriteAll, _) => claim.decisions.truncate(1),
            (Broken::ClaimsNeedTheTask, None) => {
                let mut record = record_after(&claim);
                record.schedule.version = claim.schedule.version - 1;
                self.store.put(&[Edit::Insert(record)]).await.unwrap();
            }
            (Broken::KeysAreHints, _) => {
                let other = self.all().await.into_iter().find(|task| task.key == claim.key);
                claim.definition = other.map_or(claim.definition, |other| other.definition);
            }
            (Broken::RunsHaveOneEntry, Some(known)) => {
                for decision in &mut claim.decisions {
                    if known.waiting.iter().any(|waiting| waiting.run == decision.run) {
                        decision.run = another(decision.run);
                    }
                }
            }
            (Broken::ByHandIsBeside, _) if claim.decisions.iter().any(|d| d.occurrence.by_hand) => {
                claim.schedule.next_run_time = None;
            }
            (Broken::DecisionsNeedNoLease, _) if !self.alive.lock().unwrap().contains(&by) => {
                return ClaimOutcome::Lapsed;
            }
            (Broken::TakeoversAreSwaps, Some(known)) if claim.taken_from.is_some() => {
                claim.schedule.version = known.schedule.version + 1;
            }
            (Broken::OnlyLapsedAreTaken, _) => claim.taken_from = None,
            _ => {}
        }
        let is_half = self.breaks(Broken::ClaimsAreOneStep);
        if is_half {
            self.hidden.lock().unwrap().extend(claim.decisions.iter().map(|decision| decision.run));
        }
        let mut outcome = self.store.claim(by, std::slice::from_ref(&claim)).await.unwrap()[0];
        if is_half {
            pause().await;
            self.hidden.lock().unwrap().clear();
        }
        if let (Broken::WhatIsOverGoes, ClaimOutcome::Won { removed }) = (self.broken, &mut outcome)
            && *removed
        {
            *removed = false;
            self.store.put(&[Edit::Insert(record_after(&claim))]).await.unwrap();
        }
        outcome
    }

    async fn finish_one(&self, mut by: NodeId, mut end: Finish) -> FinishOutcome {
        let id = end.definition.id.clone();
        let run = self.store.runs(&RunFilter::run(end.run)).await.unwrap().pop();
        let is_again = !self.finished.lock().unwrap().insert(end.run);
        let retried = matches!(end.then, Then::Retry(_));
        match self.broken {
            Broken::RetriesAreWritten => end.then = Then::Over,
            Broken::EndsAreFenced => by = run.and_then(|run| run.node).unwrap_or(by),
            Broken::OrphansEnd if self.known(&id).await.is_none() => return FinishOutcome::default(),
            Broken::LateEndsAreWritten if !self.alive.lock().unwrap().contains(&by) => {
                return FinishOutcome { refused: true, ..FinishOutcome::default() };
            }
            Broken::EndsAtOnceAreWritten => {
                if self.is_finishing.swap(true, Ordering::SeqCst) {
                    return FinishOutcome::default();
                }
                pause().await;
                self.is_finishing.store(false, Ordering::SeqCst);
            }
            _ => {}
        }
        let mut outcome = self.store.finish(by, std::slice::from_ref(&end)).await.unwrap()[0];
        match self.broken {
            Broken::EndsAreWrittenOnce if is_again => self.change(&id, |_| ()).await,
            Broken::EndsAnswerAgain if is_again => outcome.retried = false,
            Broken::RetriesAreWritten => outcome.retried = retried,
            Broken::HandedOnIsFirst => self.change(&id, |task| task.waiting.reverse()).await,
            Broken::RoomIsTold => outcome.makes_room = false,
            Broken::WhatIsOverGoes if outcome.removed => outcome.removed = false,
            _ => {}
        }
        outcome
    }

    async fn edit_one(&self, mut edit: Edit) -> EditOutcome {
        match (self.broken, &mut edit) {
            (Broken::EditsAreSwaps, Edit::Replace(record)) => {
                if let Some(known) = self.known(record.id()).await {
                    record.schedule.version = known.schedule.version + 1;
                }
            }
            (Broken::IdsAreTakenOnce, Edit::Insert(record)) => {
                self.store.put(&[Edit::Delete(record.id().clone())]).await.unwrap();
            }
            (Broken::DeletionKeepsHistory, Edit::Delete(id)) => {
                let runs = self.store.runs(&RunFilter::new().task(&*id)).await.unwrap();
                self.hidden.lock().unwrap().extend(runs.iter().map(|run| run.id));
            }
            _ => {}
        }
        self.store.put(&[edit]).await.unwrap()[0]
    }

    /// A task as it is given away.
    fn given(&self, mut task: TaskRecord) -> TaskRecord {
        let mut definition = TaskDefinition::clone(&task.definition);
        match self.broken {
            Broken::TriggersAreKept => {
                definition.trigger = std::sync::Arc::new(DateTrigger::at(DateTime::UNIX_EPOCH))
            }
            Broken::FieldsAreKept => std::sync::Arc::make_mut(&mut definition.rules).jitter = Duration::ZERO,
            Broken::RunsAreCounted => task.schedule.running = 0,
            _ => return task,
        }
        task.definition = definition.into();
        task
    }

    /// An entry as it is given away; it is of a task that is there, or not.
    fn given_run(&self, run: &mut RunRecord, has_task: bool) {
        match self.broken {
            Broken::LossesKeepTheEntry if run.status == RunStatus::Lost => run.starts_at = None,
            Broken::OrphansAreClosed if run.status == RunStatus::Lost && !has_task => {
                run.status = RunStatus::Claimed
            }
            Broken::LongResultsAreKept => {
                if let Some(serde_json::Value::String(text)) = &mut run.value {
                    text.truncate(65_535);
                }
            }
            Broken::TimesAreKept => run.finished_at = run.finished_at.map(|at| at.trunc_subsecs(3)),
            _ => {}
        }
    }
}

/// Long enough for somebody to look.
async fn pause() {
    SystemClock.sleep_until(SystemClock.now() + TimeDelta::milliseconds(2)).await;
}

/// A task as it is after a claim.
fn record_after(claim: &Claim) -> TaskRecord {
    let (definition, waiting) = (claim.definition.clone(), claim.waiting.clone());
    TaskRecord { definition, schedule: claim.schedule, waiting, key: claim.key }
}

/// The id of no run.
fn another(run: RunId) -> RunId {
    run.to_string().chars().rev().collect::<String>().parse().unwrap()
}

#[async_trait]
impl Store for Mutant {
    async fn start(&self) -> Result<(), StoreError> {
        self.starts.fetch_add(1, Ordering::SeqCst);
        self.store.start().await
    }

    async fn shutdown(&self) -> Result<(), StoreError> {
        self.shutdowns.fetch_add(1, Ordering::SeqCst);
        self.store.shutdown().await
    }

    async fn now(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        Ok(self.told_time())
    }

    fn lease(&self) -> Option<Duration> {
        Some(LEASE)
    }

    async fn put(&self, edits: &[Edit]) -> Result<Vec<EditOutcome>, StoreError> {
        let mut outcomes = Vec::new();
        for edit in edits {
            outcomes.push(self.edit_one(edit.clone()).await);
        }
        if self.breaks(Broken::EditsAnswerInOrder) {
            outcomes.reverse();
        }
        Ok(outcomes)
    }

    async fn load(&self, ids: &[TaskId]) -> Result<Vec<Option<TaskRecord>>, StoreError> {
        if self.breaks(Broken::RestartsKeepAll) && self.starts.load(Ordering::SeqCst) > 1 {
            return Ok(vec![None; ids.len()]);
        }
        let ids: Vec<_> = match self.breaks(Broken::IdsAreExact) {
            true => ids.iter().map(|id| TaskId::from(id.as_str().to_lowercase())).collect(),
            false => ids.to_vec(),
        };
        let found = self.store.load(&ids).await?;
        Ok(found.into_iter().map(|task| Some(self.given(task?))).collect())
    }

    async fn query(&self, mut query: Query) -> Result<Found, StoreError> {
        let asked = query.clone();
        if let (Broken::OthersTasksDontCount, Query::Due { handlers, .. }) = (self.broken, &mut query) {
            *handlers = self.all().await.iter().map(|task| task.definition.handler.clone()).collect();
        }
        let mut found = self.store.query(query).await?;
        if self.breaks(Broken::ClaimsAreSwaps) {
            // So that others read the same.
            pause().await;
        }
        found.now = self.told_time();
        found.tasks = found.tasks.into_iter().map(|task| self.given(task)).collect();
        match (self.broken, asked) {
            (Broken::EarliestComesFirst, Query::Due { .. }) | (Broken::AllComeInOrder, Query::All) => {
                found.tasks.reverse();
            }
            (Broken::RoomIsDue, Query::Due { now, .. }) => {
                found.tasks.retain(|task| task.schedule.next_run_time.is_some_and(|due| due <= now));
            }
            (Broken::OthersTasksDontCount, Query::Due { handlers, .. }) => {
                found.tasks.retain(|task| handlers.has(&task.definition.handler));
            }
            _ => {}
        }
        Ok(found)
    }

    async fn claim(&self, by: NodeId, claims: &[Claim]) -> Result<Vec<ClaimOutcome>, StoreError> {
        let mut outcomes = Vec::new();
        for claim in claims {
            outcomes.push(self.claim_one(by, claim.clone()).await);
        }
        if self.breaks(Broken::ClaimsAnswerInOrder) {
            outcomes.sort_by_key(|outcome| *outcome == ClaimOutcome::Lost);
        }
        Ok(outcomes)
    }

    async fn finish(&self, by: NodeId, ends: &[Finish]) -> Result<Vec<FinishOutcome>, StoreError> {
        let mut outcomes = Vec::new();
        for end in ends {
            outcomes.push(self.finish_one(by, end.clone()).await);
        }
        if self.breaks(Broken::EndsAnswerInOrder) {
            outcomes.reverse();
        }
        Ok(outcomes)
    }

    async fn renew(&self, beat: &Beat) -> Result<Renewal, StoreError> {
        let mut beat = beat.clone();
        match (beat.lease.is_zero(), self.alive.lock().unwrap()) {
            (true, mut alive) => _ = alive.remove(&beat.node.id),
            (false, mut alive) => _ = alive.insert(beat.node.id),
        }
        match self.broken {
            Broken::LeavingIsAtOnce if beat.lease.is_zero() => beat.lease = LEASE,
            Broken::NodesAreKept => beat.skew = None,
            Broken::OnlyWhatIsAskedLapses => {
                beat.limit = usize::MAX;
                beat.handlers = self.all().await.iter().map(|task| task.definition.handler.clone()).collect();
            }
            _ => {}
        }
        let mut renewal = self.store.renew(&beat).await?;
        renewal.now = self.told_time();
        match self.broken {
            Broken::LapsedAreFound => renewal.lapsed.clear(),
            Broken::NextLapseIsTold => renewal.next_lapse = None,
            Broken::LapsesAreTold => renewal.had_lapsed = false,
            _ => {}
        }
        Ok(renewal)
    }

    async fn next_due(&self, by: NodeId, handlers: &Handlers) -> Result<NextDue, StoreError> {
        let mut due = self.store.next_due(by, handlers).await?;
        due.now = self.told_time();
        due.at = due.at.filter(|_| !self.breaks(Broken::NextDueIsKnown));
        if self.breaks(Broken::CancellationsEnd) {
            due.cancelled.clone_from(&self.cancelled.lock().unwrap());
        }
        Ok(due)
    }

    async fn cancel(&self, run: RunId) -> Result<bool, StoreError> {
        if self.breaks(Broken::CancellationsAreNoted) {
            return Ok(true);
        }
        let is_open = self.store.cancel(run).await?;
        self.cancelled.lock().unwrap().extend(is_open.then_some(run));
        Ok(is_open)
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
        let mut filter = filter.clone();
        if self.breaks(Broken::StatusIsAsked) {
            filter.statuses.truncate(1);
        }
        let limit = filter.limit.take().unwrap_or(usize::MAX);
        let mut runs = self.store.runs(&filter).await?;
        runs.retain(|run| !self.hidden.lock().unwrap().contains(&run.id));
        let tasks: BTreeSet<_> = self.all().await.iter().map(|task| task.id().clone()).collect();
        runs.iter_mut().for_each(|run| self.given_run(run, tasks.contains(&run.task)));
        if self.breaks(Broken::NewestComesFirst) {
            runs.reverse();
        }
        runs.truncate(limit);
        Ok(runs)
    }

    fn changes(&self, listener: ChangeListener) -> Changes {
        match self.broken {
            Broken::ChangesAreTold => Changes::Told,
            Broken::ChangesAreAskedOften => Changes::Ask(Duration::from_secs(2)),
            Broken::TheLastCloses => {
                let (shutdowns, before) = (self.shutdowns.clone(), self.shutdowns.load(Ordering::SeqCst));
                let is_open = move || shutdowns.load(Ordering::SeqCst) == before;
                self.store.changes(ChangeListener::new(move || is_open() && listener.tell()))
            }
            _ => self.store.changes(listener),
        }
    }

    async fn prune(&self, prune: &Prune) -> Result<usize, StoreError> {
        let (mut old, mut newer) = (Vec::new(), std::collections::BTreeMap::new());
        for run in self.runs(&RunFilter::new()).await? {
            let newer: &mut usize = newer.entry(run.task.clone()).or_default();
            let is_old = prune.before.is_some_and(|before| run.decided_at < before)
                || prune.a_task.is_some_and(|most| *newer >= most);
            *newer += 1;
            if is_old && (run.status.is_final() || self.breaks(Broken::PruningKeepsOpen)) {
                old.push(run.id);
            }
        }
        if !self.breaks(Broken::PruningIsBounded) {
            old.truncate(prune.limit);
        }
        if self.breaks(Broken::PruningKeepsTheWatermark) && !old.is_empty() {
            for task in self.all().await {
                self.change(task.id(), |task| task.schedule.watermark = None).await;
            }
        }
        let removed = old.len();
        self.hidden.lock().unwrap().extend(old);
        Ok(removed)
    }

    async fn count(&self) -> Result<usize, StoreError> {
        let counted = self.store.count().await?;
        Ok(if self.breaks(Broken::AllAreCounted) { counted.min(5) } else { counted })
    }
}
