//! What a handler can know of its own run.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::handler::Call;
use super::id::{NodeId, RunId, TaskId, Ticket};
use super::live::Live;
use super::provided::Provided;
use super::record::{Occurrence, TaskDefinition};
use super::report::Reports;
use crate::Scheduler;
use crate::clock::Clock;

/// One execution of a task, as extractors see it.
#[derive(Clone, Debug)]
pub struct Run(Arc<Inner>);

/// What a handler can ask about its own run: when it was due, which attempt it is, whether it should stop.
#[derive(Clone, Debug)]
pub struct TaskContext(Arc<Inner>);

struct Inner {
    definition: Arc<TaskDefinition>,
    occurrence: Occurrence,
    run_id: RunId,
    ticket: Ticket,
    batch: Arc<Batch>,
    /// Which of the batch's handlers; `None`: it is not in this program.
    call: Option<u32>,
    live: Live,
}

/// What all runs of a scheduler share.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    pub(crate) provided: Arc<Provided>,
    pub(crate) scheduler: Scheduler,
    pub(crate) clock: Arc<dyn Clock>,
    /// What this start of the scheduler is called in stores.
    pub(crate) node: NodeId,
    /// Who hears how they end.
    pub(crate) reports: Weak<dyn Reports>,
}

/// What the runs that are dispatched together share.
///
/// They could all share one of these, and each its handler by an `Arc` of its own. But then the threads that start and
/// end runs would all write the same few counters, and wait for each other's caches at each of them: that doubled what a
/// run costs.
#[derive(Debug)]
pub(crate) struct Batch {
    surroundings: Surroundings,
    /// The handlers that occur in it.
    calls: Vec<Call>,
    /// Held for all of them together: to hold it for each would be a counter that all threads write, too.
    reports: Option<Arc<dyn Reports>>,
}

impl Batch {
    pub(crate) fn new(surroundings: Surroundings, calls: Vec<Call>) -> Self {
        let reports = surroundings.reports.upgrade();
        Self { surroundings, calls, reports }
    }
}

impl Run {
    /// `over`: a run that is over, whose place in memory this one takes unless somebody holds it still.
    pub(crate) fn new(
        definition: Arc<TaskDefinition>,
        occurrence: Occurrence,
        (run_id, ticket): (RunId, Ticket),
        batch: Arc<Batch>,
        call: Option<u32>,
        over: Option<Self>,
    ) -> Self {
        let live = Live::new(batch.surroundings.clock.busy(), definition.rules.timeout);
        let inner = Inner { definition, occurrence, run_id, ticket, batch, call, live };
        // Memory that one thread takes and another gives back costs more than all else here.
        if let Some(mut over) = over
            && let Some(place) = Arc::get_mut(&mut over.0)
        {
            *place = inner;
            return over;
        }
        Self(Arc::new(inner))
    }

    pub(crate) fn live(&self) -> &Live {
        &self.0.live
    }

    pub(crate) fn id(&self) -> RunId {
        self.0.run_id
    }

    pub(crate) fn ticket(&self) -> Ticket {
        self.0.ticket
    }

    pub(crate) fn occurrence(&self) -> Occurrence {
        self.0.occurrence
    }

    pub(crate) fn definition(&self) -> &TaskDefinition {
        &self.0.definition
    }

    pub(crate) fn surroundings(&self) -> &Surroundings {
        &self.0.batch.surroundings
    }

    /// Where it reports how it ended; `None`: nobody is there any more.
    pub(crate) fn reports(&self) -> Option<&dyn Reports> {
        self.0.batch.reports.as_deref()
    }

    /// What it calls; `None`: its handler is not in this program.
    pub(crate) fn call(&self) -> Option<&Call> {
        self.0.call.map(|call| &self.0.batch.calls[call as usize])
    }

    /// The run as the handler's [`TaskContext`].
    pub fn context(&self) -> TaskContext {
        TaskContext(self.0.clone())
    }

    /// The task's arguments; `Value::Null` where it has none.
    pub fn args(&self) -> &Value {
        self.0.definition.args()
    }

    /// What the application gave its tasks.
    pub fn provided(&self) -> &Provided {
        &self.surroundings().provided
    }
}

impl TaskContext {
    /// The task's id.
    pub fn task_id(&self) -> &TaskId {
        &self.0.definition.id
    }

    /// The task's name: its description, or else its handler.
    pub fn task_name(&self) -> &str {
        &self.0.definition.name
    }

    /// The id of this run.
    pub fn run_id(&self) -> RunId {
        self.0.run_id
    }

    /// Names the occurrence: the same for every attempt and on every node, so that it can serve as an idempotency key.
    pub fn occurrence_id(&self) -> String {
        self.0.occurrence.key(&self.0.definition.id, self.0.run_id)
    }

    /// When the run was due, without jitter.
    pub fn scheduled_at(&self) -> DateTime<Utc> {
        self.0.occurrence.due
    }

    /// When the handler was started.
    pub fn started_at(&self) -> DateTime<Utc> {
        self.0.live.started_at().unwrap_or(self.0.occurrence.due)
    }

    /// 1 for the first attempt.
    pub fn attempt(&self) -> u32 {
        self.0.occurrence.attempt
    }

    /// Whether the run makes up for time in which the scheduler did not decide: a deploy, an outage, a pause.
    pub fn is_catch_up(&self) -> bool {
        self.0.occurrence.is_catch_up
    }

    /// Waits until the run should stop: at the scheduler's shutdown, or when the run is cancelled. A handler that goes
    /// on is aborted soon after.
    ///
    /// Dropping the future is harmless.
    pub async fn cancelled(&self) {
        self.0.live.cancelled().await;
    }

    /// Whether the run should stop, because its `timeout` is over, too; for handlers that can't await.
    pub fn is_cancelled(&self) -> bool {
        let live = &self.0.live;
        live.is_cancelled() || live.deadline().is_some_and(|deadline| deadline <= self.now())
    }

    /// What stores call the scheduler that has this run, from its start to its end.
    pub fn node_id(&self) -> NodeId {
        self.0.batch.surroundings.node
    }

    /// The time by the scheduler's clock.
    pub fn now(&self) -> DateTime<Utc> {
        self.0.batch.surroundings.clock.now()
    }

    /// Waits for `duration` by the scheduler's clock, so that a test's clock moves it too.
    ///
    /// Dropping the future is harmless.
    pub async fn sleep(&self, duration: Duration) {
        let clock = &self.0.batch.surroundings.clock;
        let deadline = crate::clock::after(clock.now(), duration);
        while clock.now() < deadline {
            self.0.live.busy.asleep(clock.sleep_until(deadline)).await;
        }
    }

    /// The scheduler that runs this.
    pub fn scheduler(&self) -> Scheduler {
        self.0.batch.surroundings.scheduler.clone()
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("task", &self.definition.id)
            .field("run_id", &self.run_id)
            .field("occurrence", &self.occurrence)
            .field("started_at", &self.live.started_at())
            .finish_non_exhaustive()
    }
}
