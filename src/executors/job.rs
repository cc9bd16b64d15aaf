//! One run on its way through an executor.

use std::sync::{Arc, Weak};

use crate::clock::Busy;
use crate::panics::{catching, catching_future};
use crate::task::{BlockingCall, Call, Live, Occurrence, Outcome, Run, RunId, Surroundings, TaskDefinition};
use chrono::{DateTime, Utc};

/// A run to execute: an [`Executor`](super::Executor) calls [`run`](Job::run) or, for a handler that
/// [blocks](Job::is_blocking), [`run_blocking`](Job::run_blocking). A job that is dropped instead reports that.
#[derive(Debug)]
pub struct Job {
    call: Call,
    definition: Arc<TaskDefinition>,
    occurrence: Occurrence,
    run_id: RunId,
    surroundings: Arc<Surroundings>,
    live: Arc<Live>,
    reporter: Reporter,
}

/// How a run ended, for the scheduler that dispatched it.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) run: RunId,
    pub(crate) started_at: Option<DateTime<Utc>>,
    pub(crate) finished_at: DateTime<Utc>,
    pub(crate) ended: Ended,
}

/// The ways for a run to end.
#[derive(Debug)]
pub(crate) enum Ended {
    Returned(Outcome),
    Panicked(String),
    /// Dropped before it ended, with the reason.
    Aborted(String),
    /// Never started, with the reason.
    Refused(String),
}

/// Where reports go.
pub(crate) trait Reports: Send + Sync + std::fmt::Debug {
    fn report(&self, report: Report, busy: Busy);
}

#[derive(Debug)]
struct Reporter {
    run: RunId,
    live: Arc<Live>,
    surroundings: Arc<Surroundings>,
    to: Weak<dyn Reports>,
    ended: Option<Ended>,
}

impl Job {
    pub(crate) fn new(
        call: Call,
        definition: Arc<TaskDefinition>,
        occurrence: Occurrence,
        run_id: RunId,
        surroundings: Arc<Surroundings>,
        to: Weak<dyn Reports>,
    ) -> Self {
        let live = Arc::new(Live::new(surroundings.clock.busy()));
        let reporter =
            Reporter { run: run_id, live: live.clone(), surroundings: surroundings.clone(), to, ended: None };
        Self { call, definition, occurrence, run_id, surroundings, live, reporter }
    }

    pub(crate) fn live(&self) -> Arc<Live> {
        self.live.clone()
    }

    /// The id of the run.
    pub fn run_id(&self) -> RunId {
        self.run_id
    }

    /// Whether the handler is a `fn`, which holds its thread until it returns, and not an `async fn`.
    pub fn is_blocking(&self) -> bool {
        matches!(self.call, Call::Blocking(_))
    }

    /// Runs the handler to its end, or until the scheduler aborts it. A panic of the handler ends here.
    ///
    /// A handler that [blocks](Self::is_blocking) does so here, too. Dropping the future reports the run as aborted.
    pub async fn run(mut self) {
        let run = self.start();
        let ended = match &self.call {
            Call::Blocking(handler) => self.run_here(handler, &run),
            Call::Async(handler) => {
                let future = catching_future(async { handler(&run).await });
                tokio::select! {
                    biased;
                    outcome = future => ended(outcome),
                    () = self.live.aborted() => {
                        Ended::Aborted("aborted: it went on after it was told to stop".to_owned())
                    }
                    () = self.timed_out() => Ended::Returned(Err(self.timeout_in_words())),
                }
            }
        };
        self.reporter.ended = Some(ended);
    }

    /// Runs a handler that blocks, on this thread. One that is async is refused: it needs a runtime.
    pub fn run_blocking(mut self) {
        let run = self.start();
        self.reporter.ended = Some(match &self.call {
            Call::Blocking(handler) => self.run_here(handler, &run),
            Call::Async(_) => Ended::Refused("an async handler was run as a blocking one".to_owned()),
        });
    }

    /// Reports the run as not executed, and why.
    pub fn refuse(mut self, reason: impl Into<String>) {
        self.reporter.ended = Some(Ended::Refused(reason.into()));
    }

    /// Calls a handler that blocks. It can't be aborted, so that its time is looked at when it returns.
    fn run_here(&self, handler: &Arc<BlockingCall>, run: &Run) -> Ended {
        let outcome = catching(|| handler(run));
        match self.live.deadline() {
            Some(deadline) if deadline < self.surroundings.clock.now() => {
                Ended::Returned(Err(self.timeout_in_words()))
            }
            _ => ended(outcome),
        }
    }

    /// Returns when the run has taken longer than it may.
    async fn timed_out(&self) {
        let Some(deadline) = self.live.deadline() else { return std::future::pending().await };
        let clock = &self.surroundings.clock;
        while clock.now() < deadline {
            clock.sleep_until(deadline).await;
        }
    }

    fn timeout_in_words(&self) -> String {
        let timeout = self.definition.rules.timeout.unwrap_or_default();
        format!("timed out: it took longer than {timeout:?}")
    }

    fn start(&self) -> Run {
        let Self { definition, occurrence, run_id, surroundings, live, .. } = self;
        live.note_start(surroundings.clock.now(), definition.rules.timeout);
        Run::new(definition.clone(), *occurrence, *run_id, surroundings.clone(), live.clone())
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        let report = Report {
            run: self.run,
            started_at: self.live.started_at(),
            finished_at: self.surroundings.clock.now(),
            ended: self.ended.take().unwrap_or_else(|| Ended::Aborted("dropped by its executor".to_owned())),
        };
        if let Some(reports) = self.to.upgrade() {
            reports.report(report, self.surroundings.clock.busy());
        }
        self.live.busy.end();
    }
}

fn ended(outcome: Result<Outcome, String>) -> Ended {
    match outcome {
        Ok(outcome) => Ended::Returned(outcome),
        Err(panic) => Ended::Panicked(panic),
    }
}
