//! The scheduler as a whole, on the clock of tests: no test here sleeps.

mod blocking;
mod bulk;
mod events;
mod firing;
mod handlers;
mod info;
mod life;
mod many;
mod orphans;
mod outages;
mod overlap;
mod parts;
mod results;
mod retries;
mod runtime;
mod scope;
mod sharing;
mod startup;
mod tasks;
mod timeline;
mod transfer;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use asyncz::testing::TestClock;
use asyncz::{AsynczConfig, RunFilter, RunStatus, Scheduler, TaskContext};

pub(crate) const NOON: &str = "2026-11-23T12:00:00Z";

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A configuration with the clock of tests at noon and without the tasks that other tests declare.
pub(crate) fn at_noon() -> (TestClock, AsynczConfig) {
    let clock = TestClock::at(NOON);
    (clock.clone(), AsynczConfig::new().clock(clock).without_registry())
}

/// A started scheduler at noon.
pub(crate) async fn started() -> (TestClock, Scheduler) {
    let (clock, config) = at_noon();
    let scheduler = config.scheduler();
    scheduler.start().await.expect("nothing is wrong");
    (clock, scheduler)
}

/// What a handler notes, for the test to see.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub(crate) fn add(&self, note: impl Into<String>) {
        self.0.lock().expect("no test panics here").push(note.into());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().expect("no test panics here").clone()
    }
}

/// Seconds after noon.
pub(crate) fn after_noon(instant: chrono::DateTime<chrono::Utc>) -> i64 {
    (instant - chrono::DateTime::parse_from_rfc3339(NOON).expect("noon is a time").to_utc()).num_seconds()
}

/// The history of a task, oldest first: its status and how many seconds after noon it was due.
pub(crate) async fn history(scheduler: &Scheduler, task: &str) -> Vec<(RunStatus, i64)> {
    let runs = scheduler.runs(RunFilter::new().task(task)).await.expect("memory does not fail");
    runs.into_iter().rev().map(|run| (run.status, after_noon(run.scheduled_at()))).collect()
}

pub(crate) async fn nothing() {}

/// Works for a minute and a half by the scheduler's clock.
pub(crate) async fn ninety_seconds(ctx: TaskContext) {
    ctx.sleep(seconds(90)).await;
}
