//! What is fired: tasks in turn, each due a second after its last time.

use std::sync::Arc;
use std::time::Duration;

use asyncz::stores::{Beat, Claim, ClaimOutcome, Decision, Edit, Finish, FinishOutcome, Node, RunEnd, Then};
use asyncz::{
    Clock, Count, Handlers, IntervalTrigger, NodeId, Occurrence, Overlap, Recover, Rules, RunId, RunStatus,
    Schedule, Store, StoreKey, SystemClock, TaskDefinition, TaskId, TaskRecord,
};
use chrono::{DateTime, TimeDelta, Utc};

use crate::Failure;

pub(crate) const HANDLER: &str = "bench::handler";

/// A task's next fire, with what the bare statements write of it. They need not make texts of ids.
pub(crate) struct Fire {
    pub(crate) at: usize,
    pub(crate) key: i64,
    pub(crate) run: RunId,
    pub(crate) run_text: String,
    pub(crate) node_text: Arc<str>,
    pub(crate) due: i64,
    pub(crate) next: i64,
    pub(crate) now: i64,
}

/// Fires of tasks in turn.
pub(crate) struct Fires {
    pub(crate) tasks: Vec<TaskRecord>,
    node: Arc<str>,
    next: usize,
    runs: u64,
}

impl Fires {
    /// The task that is fired next.
    pub(crate) fn first(&self) -> &TaskId {
        self.tasks[self.next].id()
    }

    pub(crate) fn next(&mut self, count: usize) -> Vec<Fire> {
        let now = SystemClock.now().timestamp_micros();
        (0..count).map(|_| self.fire(now)).collect()
    }

    fn fire(&mut self, now: i64) -> Fire {
        let at = self.next;
        self.next = (self.next + 1) % self.tasks.len();
        self.runs += 1;
        let task = &mut self.tasks[at];
        let due = task.schedule.next_run_time.expect("each is due");
        let next = due + TimeDelta::seconds(1);
        task.schedule.next_run_time = Some(next);
        let run_text = format!("{}{:016x}", self.node, self.runs);
        Fire {
            at,
            key: task.key.0.cast_signed(),
            run: run_text.parse().expect("32 digits name a run"),
            run_text,
            node_text: self.node.clone(),
            due: due.timestamp_micros(),
            next: next.timestamp_micros(),
            now,
        }
    }
}

/// A store, and a scheduler that has a lease there.
pub(crate) struct Ours {
    pub(crate) store: Arc<dyn Store>,
    node: Node,
    pub(crate) fires: Fires,
    fired: usize,
}

impl Ours {
    /// A store with so many tasks, and so many others behind each of them that are due tomorrow.
    pub(crate) async fn new(store: Arc<dyn Store>, tasks: usize, others: usize) -> Result<Self, Failure> {
        store.start().await?;
        let (yesterday, tomorrow) = (TimeDelta::days(-1), TimeDelta::days(1));
        let now = SystemClock.now();
        let records = (0..tasks).flat_map(|number| {
            let others = (0..others).map(move |other| task(tasks + number * others + other, now + tomorrow));
            std::iter::once(task(number, now + yesterday)).chain(others)
        });
        add(&*store, records).await?;
        let ids: Vec<_> = (0..tasks).map(id).collect();
        let tasks = store.load(&ids).await?.into_iter().flatten().collect();
        let node = node();
        let fires = Fires { tasks, node: node.id.to_string().into(), next: 0, runs: 0 };
        let ours = Self { store, node, fires, fired: 0 };
        ours.beat().await?;
        Ok(ours)
    }

    /// Holds the lease for as long as a bench takes.
    async fn beat(&self) -> Result<(), Failure> {
        let handlers = Handlers::from_iter([HANDLER]);
        let lease = Duration::from_secs(3_600);
        let now = SystemClock.now();
        let beat = Beat { node: self.node.clone(), lease, now, skew: None, handlers, limit: 1 };
        self.store.renew(&beat).await?;
        Ok(())
    }

    /// Claims, and ends what it has claimed.
    pub(crate) async fn fire(&mut self, count: usize) -> Result<(), Failure> {
        let fires = self.fires.next(count);
        let claims: Vec<_> = fires.iter().map(|fire| claim(&mut self.fires.tasks[fire.at], fire)).collect();
        let won = self.store.claim(self.node.id, &claims).await?;
        if won.iter().any(|outcome| *outcome != (ClaimOutcome::Won { removed: false })) {
            return Err(format!("claims were lost: {won:?}").into());
        }
        let ends: Vec<_> = claims.iter().map(end).collect();
        let ended = self.store.finish(self.node.id, &ends).await?;
        if ended.iter().any(|outcome| *outcome != FinishOutcome::default()) {
            return Err(format!("ends were refused: {ended:?}").into());
        }
        for fire in &fires {
            let schedule = &mut self.fires.tasks[fire.at].schedule;
            (schedule.version, schedule.running) = (schedule.version + 1, 0);
        }
        self.fired += count;
        Ok(())
    }

    /// All that was fired is in the history.
    pub(crate) async fn check(&self) -> Result<(), Failure> {
        let filter = asyncz::RunFilter::new().status(RunStatus::Succeeded).limit(self.fired + 1);
        let found = self.store.runs(&filter).await?.len();
        match found == self.fired {
            true => Ok(()),
            false => Err(format!("{} were fired, and the history has {found}", self.fired).into()),
        }
    }
}

fn id(number: usize) -> TaskId {
    format!("task-{number:07}").into()
}

fn node() -> Node {
    let since = std::time::UNIX_EPOCH.elapsed().expect("it is after 1970").as_nanos();
    Node {
        id: NodeId::from(since as u64),
        identity: "bench".into(),
        host: "localhost".into(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").into(),
        release: 0,
        started_at: SystemClock.now(),
    }
}

/// A task that is due then.
fn task(number: usize, due: DateTime<Utc>) -> TaskRecord {
    let rules = Rules {
        coalesce: true,
        max_instances: 1,
        misfire_grace_time: None,
        max_catch_up: 1_000,
        jitter: Duration::ZERO,
        overlap: Overlap::Skip,
        queue_limit: 1_000,
        retries: 0,
        retry_backoff: Duration::from_secs(1),
        timeout: None,
        recover: Recover::Rerun,
    };
    let definition = TaskDefinition {
        id: id(number),
        handler: HANDLER.into(),
        name: HANDLER.into(),
        trigger: Arc::new(IntervalTrigger::every(Duration::from_secs(1))),
        trigger_digest: 1,
        args: None,
        executor: "default".into(),
        rules: rules.into(),
        release: 0,
    };
    let schedule = Schedule {
        version: 1,
        generation: 0,
        running: 0,
        next_run_time: Some(due),
        watermark: None,
        paused: false,
        ended: false,
    };
    TaskRecord { definition: definition.into(), schedule, waiting: Vec::new(), key: StoreKey::default() }
}

/// Adds tasks, a thousand at a time.
async fn add(store: &dyn Store, tasks: impl Iterator<Item = TaskRecord>) -> Result<(), Failure> {
    let mut tasks = tasks.map(Edit::Insert);
    loop {
        let edits: Vec<_> = tasks.by_ref().take(1_000).collect();
        if edits.is_empty() {
            return Ok(());
        }
        store.put(&edits).await?;
    }
}

/// One run of a task, whose schedule goes on with it.
fn claim(task: &mut TaskRecord, fire: &Fire) -> Claim {
    let due = DateTime::from_timestamp_micros(fire.due).expect("it was a time before");
    task.schedule.version += 1;
    task.schedule.running = 1;
    task.schedule.watermark = Some(due);
    let decision = Decision {
        run: fire.run,
        occurrence: Occurrence { due, generation: 0, attempt: 1, is_catch_up: false, by_hand: false },
        occurrences: Count::ONE,
        status: RunStatus::Claimed,
        starts_at: None,
        reason: None,
    };
    Claim {
        key: task.key,
        definition: task.definition.clone(),
        schedule: task.schedule,
        waiting: Vec::new(),
        decided_at: DateTime::from_timestamp_micros(fire.now).expect("it is the time"),
        decisions: [decision].into_iter().collect(),
        taken_from: None,
    }
}

/// The end of a claim's run.
fn end(claim: &Claim) -> Finish {
    let end = RunEnd {
        status: RunStatus::Succeeded,
        started_at: Some(claim.decided_at),
        finished_at: claim.decided_at,
        value: None,
        error: None,
    };
    let decision = &claim.decisions[0];
    Finish {
        key: claim.key,
        definition: claim.definition.clone(),
        run: decision.run,
        occurrence: decision.occurrence,
        end,
        then: Then::Over,
    }
}
