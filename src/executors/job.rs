//! One run on its way through an executor.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use chrono::{DateTime, Utc};

use crate::log;
use crate::panics::catching;
use crate::task::{BlockingCall, BoxFuture, Call, Ended, Outcome, Report, Run, RunId};

/// A run to execute: an [`Executor`](super::Executor) calls [`run`](Job::run) or, for a handler that
/// [blocks](Job::is_blocking), [`run_blocking`](Job::run_blocking). A job that is dropped instead reports that.
#[derive(Debug)]
pub struct Job {
    run: Run,
    /// When the handler was started here.
    started_at: Option<DateTime<Utc>>,
    has_reported: bool,
}

impl Job {
    pub(crate) fn new(run: Run) -> Self {
        Self { run, started_at: None, has_reported: false }
    }

    /// The id of the run.
    pub fn run_id(&self) -> RunId {
        self.run.id()
    }

    /// The time, by the scheduler's clock.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.run.surroundings().clock.now()
    }

    /// Whether the handler is a `fn`, which holds its thread until it returns, and not an `async fn`.
    pub fn is_blocking(&self) -> bool {
        matches!(self.run.call(), Some(Call::Blocking(_)))
    }

    /// Runs the handler to its end, or until the scheduler aborts it. A panic of the handler ends here.
    ///
    /// A handler that [blocks](Self::is_blocking) does so here, too. Dropping the future reports the run as aborted.
    pub async fn run(self) {
        let mut job = Some(self);
        let begin = |job: Self, context: &mut Context<'_>| {
            let now = job.now();
            job.begin(now, context).0
        };
        let rest = poll_fn(|context| Poll::Ready(job.take().and_then(|job| begin(job, context)))).await;
        if let Some(rest) = rest {
            rest.await;
        }
    }

    /// Runs the handler until it waits for something; then answers what is left of the run.
    ///
    /// Handlers that wait for nothing end here, and cost no task of the runtime. Whoever runs one after the other reads the
    /// clock once for each: `now` is what the last one has answered.
    pub(crate) fn begin(
        mut self,
        now: DateTime<Utc>,
        context: &mut Context<'_>,
    ) -> (Option<Rest>, DateTime<Utc>) {
        if !self.note_start(now) {
            self.end(Ended::before_start(), now);
            return (None, now);
        }
        let span = log::span_of(&self.run);
        let inside = span.enter();
        let begun = match self.run.call() {
            None => Ok(unknown_handler()),
            Some(Call::Blocking(handler)) => Ok(self.run_here(handler)),
            Some(Call::Async(handler)) => {
                let first_poll = catching(|| {
                    let mut future = handler(&self.run);
                    match future.as_mut().poll(context) {
                        Poll::Ready(outcome) => Ok(outcome),
                        Poll::Pending => Err(future),
                    }
                });
                match first_poll {
                    Ok(Ok(outcome)) => Ok(Ended::Returned(outcome)),
                    Ok(Err(future)) => Err(future),
                    Err(panic) => Ok(Ended::Panicked(panic)),
                }
            }
        };
        drop(inside);
        let now = self.now();
        match begun {
            Ok(ended) => {
                self.end(ended, now);
                (None, now)
            }
            Err(handler) => (
                Some(Rest { handler: Some(log::within(span, handler)), overdue: None, job: Some(self) }),
                now,
            ),
        }
    }

    /// Runs a handler that blocks, on this thread. One that is async is refused: it needs a runtime.
    pub fn run_blocking(mut self) {
        let now = self.now();
        if !self.note_start(now) {
            return self.end(Ended::before_start(), now);
        }
        let ended = log::span_of(&self.run).in_scope(|| match self.run.call() {
            None => unknown_handler(),
            Some(Call::Blocking(handler)) => self.run_here(handler),
            Some(Call::Async(_)) => Ended::Refused("an async handler was run as a blocking one".to_owned()),
        });
        let now = self.now();
        self.end(ended, now);
    }

    /// Reports the run as not executed, and why.
    pub fn refuse(self, reason: impl Into<String>) {
        let now = self.now();
        self.end(Ended::Refused(reason.into()), now);
    }

    fn end(mut self, ended: Ended, finished_at: DateTime<Utc>) {
        self.report(ended, finished_at);
    }

    /// Reports, once.
    fn report(&mut self, ended: Ended, finished_at: DateTime<Utc>) {
        if std::mem::replace(&mut self.has_reported, true) {
            return;
        }
        let run = &self.run;
        let started_at = self.started_at.or_else(|| run.live().started_at());
        if let Some(reports) = run.reports() {
            let report = Report { run: run.id(), ticket: run.ticket(), started_at, finished_at, ended };
            reports.report(report, run.surroundings().clock.busy());
        }
        run.live().busy.end();
    }

    /// Calls a handler that blocks. It can't be aborted, so that its time is looked at when it returns.
    fn run_here(&self, handler: &Arc<BlockingCall>) -> Ended {
        let outcome = catching(|| handler(&self.run));
        match self.run.live().deadline() {
            Some(deadline) if deadline < self.now() => Ended::Returned(Err(timeout_in_words(&self.run))),
            _ => ended(outcome),
        }
    }

    /// Answers whether the handler may start.
    fn note_start(&mut self, now: DateTime<Utc>) -> bool {
        let may_start = self.run.live().note_start(now);
        self.started_at = may_start.then_some(now);
        may_start
    }
}

/// For an executor whose handlers run elsewhere: it says when the run begins, and how it ended.
#[cfg(feature = "process")]
impl Job {
    /// What is to be run.
    pub(crate) fn what(&self) -> &Run {
        &self.run
    }

    /// The handler starts now, and with it the time that the run may take; answers whether it may start.
    pub(crate) fn begin_elsewhere(&self) -> bool {
        self.run.live().note_start(self.now())
    }

    /// Returns when the run must be over: it was aborted, or has taken longer than it may.
    pub(crate) async fn overdue(&self) -> Ended {
        overdue(&self.run).await
    }

    /// Reports how the run ended.
    pub(crate) fn end_elsewhere(self, ended: Ended) {
        let now = self.now();
        self.end(ended, now);
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if !self.has_reported {
            let now = self.now();
            self.report(Ended::Aborted("dropped by its executor".to_owned()), now);
        }
    }
}

/// What is left of a run whose handler waits for something. Small, as it is moved to the runtime.
pub(crate) struct Rest {
    handler: Option<BoxFuture<Outcome>>,
    /// Made when the handler waits a second time: many don't.
    overdue: Option<BoxFuture<Ended>>,
    job: Option<Job>,
}

impl Future for Rest {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { handler, overdue, job } = &mut *self;
        let (Some(waiting), Some(run)) = (handler, job.as_ref().map(|job| &job.run)) else {
            return Poll::Ready(());
        };
        let ended = match catching(|| waiting.as_mut().poll(context)) {
            Ok(Poll::Ready(outcome)) => Ended::Returned(outcome),
            Err(panic) => Ended::Panicked(panic),
            Ok(Poll::Pending) => {
                let overdue = overdue.get_or_insert_with(|| {
                    let run = run.clone();
                    Box::pin(async move { self::overdue(&run).await })
                });
                std::task::ready!(overdue.as_mut().poll(context))
            }
        };
        // What the handler holds is let go before anybody hears that it has ended.
        self.handler = None;
        self.overdue = None;
        if let Some(job) = self.job.take() {
            let now = job.now();
            job.end(ended, now);
        }
        Poll::Ready(())
    }
}

/// Returns when a run must be over: it was aborted, or has taken longer than it may.
async fn overdue(run: &Run) -> Ended {
    tokio::select! {
        biased;
        () = run.live().aborted() => {
            Ended::Aborted("aborted: it went on after it was told to stop".to_owned())
        }
        () = timed_out(run) => Ended::Returned(Err(timeout_in_words(run))),
    }
}

/// Returns when a run has taken longer than it may.
async fn timed_out(run: &Run) {
    let Some(deadline) = run.live().deadline() else { return std::future::pending().await };
    let clock = &run.surroundings().clock;
    while clock.now() < deadline {
        clock.sleep_until(deadline).await;
    }
}

fn timeout_in_words(run: &Run) -> String {
    let timeout = run.definition().rules.timeout.unwrap_or_default();
    format!("timed out: it took longer than {timeout:?}")
}

fn unknown_handler() -> Ended {
    Ended::Refused("its handler is not in this program".to_owned())
}

fn ended(outcome: Result<Outcome, String>) -> Ended {
    match outcome {
        Ok(outcome) => Ended::Returned(outcome),
        Err(panic) => Ended::Panicked(panic),
    }
}
