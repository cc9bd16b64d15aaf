//! A run while it goes on: what can be known of it, and done to it.

use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Notify;

use crate::clock::Busy;

/// Shared by the run's job, its handler and the scheduler. Small, as there is one for each run.
#[derive(Debug)]
pub(crate) struct Live {
    /// The clock of tests stands still until the run has ended or sleeps.
    pub(crate) busy: Busy,
    /// Microseconds since 1970; 0: not started; [`NEVER`]: it never will be.
    start: AtomicI64,
    /// The same; 0: none. Until the start below 0: how many microseconds the run may take. It is here, as whoever starts
    /// runs would look into each task's definition for it, far away in memory.
    deadline: AtomicI64,
    stage: AtomicU8,
    stage_changed: Notify,
}

/// The start of a run that waited too long.
const NEVER: i64 = i64::MIN;

/// The handler should stop.
const CANCELLED: u8 = 1;
/// The handler is dropped at its next await.
const ABORTED: u8 = 2;

impl Live {
    pub(crate) fn new(busy: Busy, timeout: Option<Duration>) -> Self {
        let micros = timeout.map_or(0, |timeout| i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX));
        Self {
            busy,
            start: AtomicI64::new(0),
            deadline: AtomicI64::new(-micros),
            stage: AtomicU8::new(0),
            stage_changed: Notify::new(),
        }
    }

    /// Answers whether the handler may start.
    pub(crate) fn note_start(&self, at: DateTime<Utc>) -> bool {
        let at = at.timestamp_micros();
        let most = self.deadline.load(Ordering::Acquire);
        if most < 0 {
            self.deadline.store(at.saturating_sub(most), Ordering::Release);
        }
        self.start.compare_exchange(0, at, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Lets a run that has not started never start; answers whether it came to that.
    pub(crate) fn abort_unstarted(&self) -> bool {
        let barred = self.start.compare_exchange(0, NEVER, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if barred {
            self.abort();
        }
        barred
    }

    /// When the run will have taken too long.
    pub(crate) fn deadline(&self) -> Option<DateTime<Utc>> {
        match self.deadline.load(Ordering::Acquire) {
            ..=0 => None,
            micros => DateTime::from_timestamp_micros(micros).or(Some(DateTime::<Utc>::MAX_UTC)),
        }
    }

    pub(crate) fn started_at(&self) -> Option<DateTime<Utc>> {
        match self.start.load(Ordering::Acquire) {
            0 | NEVER => None,
            micros => DateTime::from_timestamp_micros(micros),
        }
    }

    pub(crate) fn cancel(&self) {
        self.come_to(CANCELLED);
    }

    pub(crate) fn abort(&self) {
        // Its job waits for just this, so it is at work from here on, asleep or not.
        self.busy.wake_up();
        self.come_to(ABORTED);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.stage.load(Ordering::Acquire) >= CANCELLED
    }

    #[cfg(feature = "process")]
    pub(crate) fn is_aborted(&self) -> bool {
        self.stage.load(Ordering::Acquire) >= ABORTED
    }

    /// Returns when the handler should stop.
    pub(crate) async fn cancelled(&self) {
        self.reached(CANCELLED).await;
    }

    /// Returns when the handler is to be dropped.
    pub(crate) async fn aborted(&self) {
        self.reached(ABORTED).await;
    }

    fn come_to(&self, stage: u8) {
        self.stage.fetch_max(stage, Ordering::AcqRel);
        self.stage_changed.notify_waiters();
    }

    async fn reached(&self, stage: u8) {
        loop {
            let mut changed = std::pin::pin!(self.stage_changed.notified());
            // Before the stage is read, so that no change falls in between.
            changed.as_mut().enable();
            if self.stage.load(Ordering::Acquire) >= stage {
                return;
            }
            changed.await;
        }
    }
}
