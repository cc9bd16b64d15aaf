//! One run on its way through an executor.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::panics::{catching, catching_future};
use crate::task::{BlockingCall, BoxFuture, Call, Ended, Outcome, Report, Run, RunId};

/// A run to execute: an [`Executor`](super::Executor) calls [`run`](Job::run) or, for a handler that
/// [blocks](Job::is_blocking), [`run_blocking`](Job::run_blocking). A job that is dropped instead reports that.
#[derive(Debug)]
pub struct Job {
    run: Run,
    /// How it ended, once it has.
    ended: Option<Ended>,
}

impl Job {
    pub(crate) fn new(run: Run) -> Self {
        Self { run, ended: None }
    }

    /// The id of the run.
    pub fn run_id(&self) -> RunId {
        self.run.id()
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
        let rest = poll_fn(|context| Poll::Ready(job.take().and_then(|job| job.begin(context)))).await;
        if let Some(rest) = rest {
            rest.await;
        }
    }

    /// Runs the handler until it waits for something; then answers what is left of the run.
    ///
    /// Most handlers that wait for nothing end here, and cost no task of the runtime.
    pub(crate) fn begin(mut self, context: &mut Context<'_>) -> Option<BoxFuture<()>> {
        self.note_start();
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
        match begun {
            Ok(ended) => {
                self.ended = Some(ended);
                None
            }
            Err(future) => Some(Box::pin(self.go_on(future))),
        }
    }

    /// Runs what is left of an async handler.
    async fn go_on(mut self, handler: BoxFuture<Outcome>) {
        self.ended = Some(tokio::select! {
            biased;
            outcome = catching_future(handler) => ended(outcome),
            () = self.run.live().aborted() => {
                Ended::Aborted("aborted: it went on after it was told to stop".to_owned())
            }
            () = self.timed_out() => Ended::Returned(Err(self.timeout_in_words())),
        });
    }

    /// Runs a handler that blocks, on this thread. One that is async is refused: it needs a runtime.
    pub fn run_blocking(mut self) {
        self.note_start();
        self.ended = Some(match self.run.call() {
            None => unknown_handler(),
            Some(Call::Blocking(handler)) => self.run_here(handler),
            Some(Call::Async(_)) => Ended::Refused("an async handler was run as a blocking one".to_owned()),
        });
    }

    /// Reports the run as not executed, and why.
    pub fn refuse(mut self, reason: impl Into<String>) {
        self.ended = Some(Ended::Refused(reason.into()));
    }

    /// Calls a handler that blocks. It can't be aborted, so that its time is looked at when it returns.
    fn run_here(&self, handler: &Arc<BlockingCall>) -> Ended {
        let outcome = catching(|| handler(&self.run));
        match self.run.live().deadline() {
            Some(deadline) if deadline < self.run.surroundings().clock.now() => {
                Ended::Returned(Err(self.timeout_in_words()))
            }
            _ => ended(outcome),
        }
    }

    /// Returns when the run has taken longer than it may.
    async fn timed_out(&self) {
        let Some(deadline) = self.run.live().deadline() else { return std::future::pending().await };
        let clock = &self.run.surroundings().clock;
        while clock.now() < deadline {
            clock.sleep_until(deadline).await;
        }
    }

    fn timeout_in_words(&self) -> String {
        let timeout = self.run.definition().rules.timeout.unwrap_or_default();
        format!("timed out: it took longer than {timeout:?}")
    }

    fn note_start(&self) {
        let timeout = self.run.definition().rules.timeout;
        self.run.live().note_start(self.run.surroundings().clock.now(), timeout);
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let (run, live) = (&self.run, self.run.live());
        let clock = &run.surroundings().clock;
        let report = Report {
            run: run.id(),
            ticket: run.ticket(),
            started_at: live.started_at(),
            finished_at: clock.now(),
            ended: self.ended.take().unwrap_or_else(|| Ended::Aborted("dropped by its executor".to_owned())),
        };
        if let Some(reports) = run.surroundings().reports.upgrade() {
            reports.report(report, clock.busy());
        }
        live.busy.end();
    }
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
