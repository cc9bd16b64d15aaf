//! A store under test, and what a scheduler would ask of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use crate::clock::RealDeadline;
use crate::stores::{
    Beat, Claim, ClaimOutcome, Decision, Edit, EditOutcome, Finish, FinishOutcome, Found, Node, Query,
    Renewal, Retry, RunEnd, Then,
};
use crate::{
    Clock, Count, DateTrigger, Handlers, NodeId, Occurrence, Overlap, Recover, Rules, RunFilter, RunId,
    RunRecord, RunStatus, Schedule, Store, StoreKey, SystemClock, TaskDefinition, TaskId, TaskRecord,
    Waiting,
};

/// The handler of the cases' tasks.
pub(super) const HANDLER: &str = "conformance::handler";

/// A lease that no case outlives.
pub(super) const LONG: Duration = Duration::from_secs(60);

/// A lease that a case waits for to lapse. A slow database must answer some questions meanwhile.
pub(super) const SHORT: Duration = Duration::from_millis(1_500);

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct Tested {
    pub(super) store: Arc<dyn Store>,
    pub(super) limit: Duration,
}

impl Tested {
    /// The time that counts for the store, to the millisecond.
    pub(super) async fn now(&self) -> DateTime<Utc> {
        self.store
            .now()
            .await
            .expect("it tells its time")
            .unwrap_or_else(|| SystemClock.now())
            .trunc_subsecs(3)
    }

    /// A scheduler whose lease no case outlives.
    pub(super) async fn node(&self) -> NodeId {
        let node = node();
        self.beat(&node, LONG).await;
        node.id
    }

    /// Renews a scheduler's lease; it asks for all runs that have lapsed.
    pub(super) async fn beat(&self, node: &Node, lease: Duration) -> Renewal {
        let beat = Beat { lease, ..self.question(node).await };
        self.store.renew(&beat).await.expect("it renews")
    }

    /// What a scheduler says that lives, to be changed.
    pub(super) async fn question(&self, node: &Node) -> Beat {
        let (node, now) = (node.clone(), self.now().await);
        Beat { node, lease: LONG, now, skew: None, handlers: handlers([HANDLER]), limit: 1_000 }
    }

    /// Adds new tasks.
    pub(super) async fn add(&self, tasks: impl IntoIterator<Item = TaskRecord>) {
        let edits: Vec<_> = tasks.into_iter().map(Edit::Insert).collect();
        let outcomes = self.edit(&edits).await;
        assert!(
            outcomes.iter().all(|outcome| *outcome == EditOutcome::Done),
            "new tasks are added: {outcomes:?}"
        );
    }

    /// Adds a task that is due, and reads it.
    pub(super) async fn add_due(&self, id: &str) -> TaskRecord {
        let due = self.now().await - TimeDelta::seconds(10);
        self.add([task(id, due)]).await;
        self.task(id).await
    }

    pub(super) async fn edit(&self, edits: &[Edit]) -> Vec<EditOutcome> {
        let outcomes = self.store.put(edits).await.expect("it edits");
        assert_eq!(outcomes.len(), edits.len(), "each edit has its outcome");
        outcomes
    }

    pub(super) async fn delete(&self, id: &str) {
        assert_eq!(self.edit(&[Edit::Delete(id.into())]).await, [EditOutcome::Done], "`{id}` is deleted");
    }

    /// A task that is there.
    pub(super) async fn task(&self, id: &str) -> TaskRecord {
        self.find(id).await.unwrap_or_else(|| panic!("the task `{id}` is not there"))
    }

    pub(super) async fn find(&self, id: &str) -> Option<TaskRecord> {
        self.load(&[TaskId::from(id)]).await.pop().flatten()
    }

    pub(super) async fn load(&self, ids: &[TaskId]) -> Vec<Option<TaskRecord>> {
        let found = self.store.load(ids).await.expect("it loads");
        assert_eq!(found.len(), ids.len(), "each id has its answer");
        found
    }

    pub(super) async fn query(&self, query: Query) -> Found {
        let found = self.store.query(query).await.expect("it finds");
        assert!(found.unreadable.is_empty(), "all can be read: {:?}", found.unreadable);
        found
    }

    /// The ids of what is due for the cases' handler.
    pub(super) async fn due(&self) -> Vec<TaskId> {
        let now = self.now().await;
        ids(&self.query(Query::Due { now, limit: 1_000, handlers: handlers([HANDLER]) }).await.tasks)
    }

    pub(super) async fn claim(&self, by: NodeId, claims: &[Claim]) -> Vec<ClaimOutcome> {
        let outcomes = self.store.claim(by, claims).await.expect("it claims");
        assert_eq!(outcomes.len(), claims.len(), "each claim has its outcome");
        outcomes
    }

    /// Writes a claim that must be won.
    pub(super) async fn win(&self, by: NodeId, claim: &Claim) {
        let outcomes = self.claim(by, std::slice::from_ref(claim)).await;
        assert_eq!(outcomes, [WON], "a claim from the last version is won");
    }

    /// Claims a run of a task as it is now; answers the claim.
    pub(super) async fn run_of(&self, by: NodeId, id: &str) -> Claim {
        let claim = claim(&self.task(id).await, &[RunStatus::Claimed], self.now().await);
        self.win(by, &claim).await;
        claim
    }

    pub(super) async fn finish(&self, by: NodeId, ends: &[Finish]) -> Vec<FinishOutcome> {
        let outcomes = self.store.finish(by, ends).await.expect("it writes ends");
        assert_eq!(outcomes.len(), ends.len(), "each end has its outcome");
        outcomes
    }

    pub(super) async fn finish_one(&self, by: NodeId, end: &Finish) -> FinishOutcome {
        self.finish(by, std::slice::from_ref(end)).await.remove(0)
    }

    pub(super) async fn runs(&self, filter: RunFilter) -> Vec<RunRecord> {
        self.store.runs(&filter).await.expect("it reads its history")
    }

    /// The history of a task, newest first.
    pub(super) async fn runs_of(&self, id: &str) -> Vec<RunRecord> {
        self.runs(RunFilter::new().task(id)).await
    }

    /// An entry that is there once.
    pub(super) async fn run(&self, run: RunId) -> RunRecord {
        let mut found = self.runs(RunFilter::run(run)).await;
        assert_eq!(found.len(), 1, "the history has one entry of each run: {found:?}");
        found.remove(0)
    }

    /// What a store has of a task, to be compared with what it has later.
    pub(super) async fn state(&self, id: &str) -> String {
        let (task, runs) = (self.find(id).await, self.runs_of(id).await);
        let task = task.map(|task| serde_json::to_string(&task).expect("a record is JSON"));
        format!("{task:?} {runs:?}")
    }

    /// Looks until it is so.
    pub(super) async fn until(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let mut is_over = std::pin::pin!(RealDeadline::after(self.limit / 2).passed());
        while !is_so().await {
            tokio::select! {
                () = &mut is_over => panic!("waited in vain until {what}"),
                () = RealDeadline::after(Duration::from_millis(20)).passed() => {}
            }
        }
    }
}

pub(super) const WON: ClaimOutcome = ClaimOutcome::Won { removed: false };

/// A new scheduler.
pub(super) fn node() -> Node {
    Node {
        id: NodeId::new(RunId::boot()),
        identity: "conformance".into(),
        host: "localhost".into(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").into(),
        release: 0,
        started_at: SystemClock.now().trunc_subsecs(3),
    }
}

/// An id that no other run has; later ones are greater.
pub(super) fn new_run() -> RunId {
    static BOOT: LazyLock<u64> = LazyLock::new(RunId::boot);
    static RUNS: AtomicU64 = AtomicU64::new(0);
    RunId::new(*BOOT, RUNS.fetch_add(1, Ordering::Relaxed))
}

pub(super) fn handlers<const N: usize>(names: [&'static str; N]) -> Handlers {
    names.into_iter().collect()
}

pub(super) fn ids(tasks: &[TaskRecord]) -> Vec<TaskId> {
    tasks.iter().map(|task| task.id().clone()).collect()
}

/// A task whose next occurrence is due then.
pub(super) fn task(id: &str, due: DateTime<Utc>) -> TaskRecord {
    let definition = TaskDefinition {
        id: id.into(),
        handler: HANDLER.into(),
        name: HANDLER.into(),
        trigger: Arc::new(DateTrigger::at(due)),
        trigger_digest: 1,
        args: None,
        executor: "default".into(),
        rules: rules().into(),
        release: 0,
    };
    let schedule = Schedule { version: 1_000, ..Schedule::new(Some(due), false) };
    TaskRecord { definition: Arc::new(definition), schedule, waiting: Vec::new(), key: StoreKey::default() }
}

fn rules() -> Rules {
    Rules {
        coalesce: true,
        max_instances: 1,
        misfire_grace_time: None,
        max_catch_up: 1_000,
        jitter: Duration::ZERO,
        overlap: Overlap::QueueAll,
        queue_limit: 1_000,
        retries: 3,
        retry_backoff: Duration::from_secs(1),
        timeout: None,
        recover: Recover::Rerun,
    }
}

/// The task with another definition.
pub(super) fn defined(mut task: TaskRecord, define: impl FnOnce(&mut TaskDefinition)) -> TaskRecord {
    let mut definition = (*task.definition).clone();
    define(&mut definition);
    task.definition = Arc::new(definition);
    task
}

/// Decides a task's next occurrences, a second apart, as it was read. Then it is due in an hour.
pub(super) fn claim(task: &TaskRecord, decisions: &[RunStatus], now: DateTime<Utc>) -> Claim {
    let first = task.schedule.next_run_time.unwrap_or(now);
    let due = |number: usize| first + TimeDelta::seconds(number as i64);
    let mut schedule = task.schedule;
    schedule.version += 1;
    schedule.watermark = Some(due(decisions.len().saturating_sub(1)));
    schedule.next_run_time = Some(now + TimeDelta::hours(1));
    let mut claim = Claim {
        key: task.key,
        definition: task.definition.clone(),
        schedule,
        waiting: task.waiting.clone(),
        decided_at: now,
        decisions: decisions
            .iter()
            .enumerate()
            .map(|(number, status)| decision(due(number), *status))
            .collect(),
        taken_from: None,
    };
    let has = |status| claim.decisions.iter().filter(move |decision| decision.status == status);
    claim.schedule.running += has(RunStatus::Claimed).count() as u32;
    let waiting: Vec<_> = has(RunStatus::Queued).map(waiting_of).collect();
    claim.waiting.extend(waiting);
    claim
}

pub(super) fn decision(due: DateTime<Utc>, status: RunStatus) -> Decision {
    Decision {
        run: new_run(),
        occurrence: Occurrence { due, generation: 0, attempt: 1, is_catch_up: false, by_hand: false },
        occurrences: Count::ONE,
        status,
        starts_at: None,
        reason: (status != RunStatus::Claimed).then(|| format!("it is {status}")),
    }
}

pub(super) fn waiting_of(decision: &Decision) -> Waiting {
    Waiting { run: decision.run, occurrence: decision.occurrence, starts_at: decision.starts_at }
}

/// The end of the first run of a claim.
pub(super) fn end(claim: &Claim, status: RunStatus, then: Then) -> Finish {
    end_of(claim, &claim.decisions[0], status, then)
}

pub(super) fn end_of(claim: &Claim, decision: &Decision, status: RunStatus, then: Then) -> Finish {
    let started_at = claim.decided_at + TimeDelta::milliseconds(5);
    let end = RunEnd {
        status,
        started_at: Some(started_at),
        finished_at: started_at + TimeDelta::milliseconds(20),
        value: (status == RunStatus::Succeeded).then(|| "done".into()),
        error: (status != RunStatus::Succeeded).then(|| format!("it has {status}")),
    };
    let (key, definition) = (claim.key, claim.definition.clone());
    Finish { key, definition, run: decision.run, occurrence: decision.occurrence, end, then }
}

/// The next attempt at the first run of a claim.
pub(super) fn retry(claim: &Claim) -> Retry {
    let mut occurrence = claim.decisions[0].occurrence;
    occurrence.attempt += 1;
    Retry { run: new_run(), occurrence, starts_at: Some(claim.decided_at + TimeDelta::seconds(1)) }
}
