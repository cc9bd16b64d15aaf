//! The order of ending: drain, deadline, cancel, abort.

use std::time::Duration;

use tokio::sync::watch;
use tracing::Level;

use super::driver::Driver;
use super::life::Shutdown;
use super::machine::{ABORT_GRACE, Input, plan_by_hand};
use super::{Scheduler, startup};
use crate::clock::RealDeadline;
use crate::events::{Event, EventMask};
use crate::log::{Line, Target};
use crate::stores::{ClaimOutcome, Query};
use crate::task::{Ended, Report, Run, TaskRecord, in_words};

/// How a scheduler is to end; a later one is harder.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(super) enum Ending {
    No,
    /// It goes on, but claims nothing.
    ClaimNothing,
    Wait,
    Within(Duration),
    Now,
}

impl From<Shutdown> for Ending {
    fn from(how: Shutdown) -> Self {
        match how {
            Shutdown::Wait => Self::Wait,
            Shutdown::Within(time) => Self::Within(time),
            Shutdown::Now => Self::Now,
        }
    }
}

impl Ending {
    /// How long runs may go on from now.
    fn limit(self) -> RealDeadline {
        match self {
            Self::Within(time) => RealDeadline::after(time),
            Self::Now => RealDeadline::after(Duration::ZERO),
            Self::No | Self::ClaimNothing | Self::Wait => RealDeadline::NEVER,
        }
    }
}

/// From the abort of a run to the verdict that it is lost: an async handler ends at its next await.
const ABORT: Duration = Duration::from_millis(200);
/// For a store to write the last ends.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// Ends the scheduler: nothing more is claimed, runs end or are ended, shutdown tasks run, stores close.
///
/// Time limits are of real time, whatever the scheduler's clock: they bound how long a process takes to exit.
pub(super) async fn end(driver: &mut Driver, how: Ending, ending: &mut watch::Receiver<Ending>) {
    if how != Ending::Now {
        // What was due before is decided: a task that was added a moment ago may be among it.
        driver.act();
    }
    driver.hear(Input::Stop);
    let mut limit = how.limit();
    drain(driver, &mut limit, ending).await;
    run_shutdown_tasks(driver).await;
    drain(driver, &mut limit, ending).await;
    let shared = driver.shared.clone();
    shared.leaving.all_have_left();
    {
        // Whoever comes or goes meanwhile is started or stopped as one of us, or not at all.
        let _alone = shared.parts.lock().await;
        startup::stop(&shared).await;
        driver.act();
        shared.end_start();
        shared.set_session(None);
        // Nobody hears what comes now, and a clock of tests must not wait for that.
        drop(shared.mailbox.take());
    }
    driver.emit(&Event::new(EventMask::SCHEDULER_SHUTDOWN, driver.shared.clock().now()));
    driver.shared.bus.close_streams();
    // Those who wait for progress look again.
    driver.shared.progress.send_modify(|_| {});
}

/// Waits for runs to end, and ends those that take too long.
async fn drain(driver: &mut Driver, limit: &mut RealDeadline, ending: &mut watch::Receiver<Ending>) {
    loop {
        tokio::select! {
            biased;
            is_quiet = quiet_by(driver, *limit) => match is_quiet {
                true => return,
                false => break,
            },
            // Somebody is in more of a hurry.
            Ok(()) = ending.changed() => *limit = ending.borrow_and_update().limit(),
        }
    }
    let runs: Vec<_> = driver.shared.live().iter().cloned().collect();
    // First, as a run that stops makes room for one that waits. A task of the shutdown has only begun to wait.
    end_waiting(driver, runs.iter().filter(|run| !run.definition().trigger.at_shutdown()));
    runs.iter().for_each(|run| run.live().cancel());
    if quiet_by(driver, RealDeadline::after(ABORT_GRACE)).await {
        return;
    }
    runs.iter().for_each(|run| run.live().abort());
    end_waiting(driver, runs.iter());
    if quiet_by(driver, RealDeadline::after(ABORT)).await {
        return;
    }
    let started = runs.iter().filter_map(|run| Some((run.id(), run.live().started_at()?))).collect();
    driver.hear(Input::GiveUp(started));
    driver.shared.live().clear();
    if !quiet_by(driver, RealDeadline::after(LAST_WRITES)).await {
        tracing::error!(target: "asyncz.stores", "a store did not take the last results; they are lost");
    }
}

/// Ends the runs that wait for a place in their executor: they would start only to be told to stop.
fn end_waiting<'a>(driver: &mut Driver, runs: impl Iterator<Item = &'a Run>) {
    let finished_at = driver.shared.clock().now();
    let waiting = runs.filter(|run| run.live().started_at().is_none() && run.live().abort_unstarted());
    let end = |run: &Run| {
        let ended = Ended::before_start();
        Report { run: run.id(), ticket: run.ticket(), started_at: None, finished_at, ended }
    };
    let reports: Vec<_> = waiting.map(end).collect();
    if !reports.is_empty() {
        driver.hear(Input::Ended(reports));
    }
}

/// Goes on until nothing is going on, at most until `limit`; answers whether it came to that.
async fn quiet_by(driver: &mut Driver, limit: RealDeadline) -> bool {
    let quiet = async {
        loop {
            driver.act();
            if driver.machine.is_quiet() {
                return;
            }
            driver.step().await;
        }
    };
    tokio::select! {
        biased;
        () = quiet => true,
        () = limit.passed() => false,
    }
}

/// Starts the tasks whose trigger is the shutdown.
async fn run_shutdown_tasks(driver: &mut Driver) {
    let shared = driver.shared.clone();
    for (alias, store) in shared.stores() {
        let tasks = match store.query(Query::All).await {
            Ok(found) => found.tasks,
            Err(error) => {
                let line = Line { error: Some(&in_words(&error)), ..Line::default() };
                shared.log_line(Level::ERROR, Target::Store(&alias), "no shutdown tasks to be had", line);
                continue;
            }
        };
        let now = shared.clock().now();
        let handlers = shared.handlers();
        let run_now = |task: &&TaskRecord| {
            let TaskRecord { definition, schedule, .. } = task;
            definition.trigger.at_shutdown() && !schedule.paused && handlers.has(&definition.handler)
        };
        for task in tasks.iter().filter(run_now) {
            let Ok(mut claim) = plan_by_hand(task, now, shared.run_id_by_hand()) else { continue };
            claim.decisions.iter_mut().for_each(|decision| decision.occurrence.by_hand = false);
            if let Ok(ClaimOutcome::Won { .. }) = shared.claim(&*store, &claim).await {
                driver.hear(Input::ClaimedByHand(alias.clone(), Box::new(claim)));
            }
        }
    }
}

impl Scheduler {
    /// Stops, each `start` having its `shutdown`: only the outermost acts. On a scheduler that never started, or has
    /// stopped, it is `Ok`.
    ///
    /// Nothing more is claimed; runs that are going on end as `how` says; tasks of the shutdown trigger run; stores and
    /// executors close; event streams end. A shutdown that is harder than one that is going on makes that one shorter.
    ///
    /// Dropping the future does not stop the stopping.
    ///
    /// # Errors
    /// None as yet.
    pub async fn shutdown(&self, how: Shutdown) -> Result<(), crate::Error> {
        self.shared.shutdown(how).await;
        Ok(())
    }

    /// As [`shutdown`](Self::shutdown)`(Shutdown::Wait)`.
    ///
    /// # Errors
    /// As `shutdown`.
    pub async fn stop(&self) -> Result<(), crate::Error> {
        self.shutdown(Shutdown::Wait).await
    }
}
