//! One scheduler of a simulation, from start to start.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use super::ledger::Who;
use crate::clock::Clock;
use crate::scheduler::{Heard, Simulated};
use crate::task::{BoxFuture, RunId, Ticket};

/// A host: its clock, and the scheduler on it, where one is up.
pub(super) struct Node {
    pub(super) who: Who,
    pub(super) clock: Arc<SkewedClock>,
    pub(super) up: Option<Up>,
}

/// A scheduler that lives.
pub(super) struct Up {
    pub(super) scheduler: Simulated,
    /// What has not come to its end: questions to the store, and wishes of users.
    pub(super) pending: BTreeMap<u64, Pending>,
    pub(super) running: BTreeMap<Ticket, Running>,
    /// Runs that have ended, and when; the ends of the earlier ones are known to be written.
    pub(super) reported: Vec<(DateTime<Utc>, RunId)>,
    /// When it will wake up.
    pub(super) wakes_at: Option<DateTime<Utc>>,
    /// The last that happened to it.
    pub(super) undisturbed_since: DateTime<Utc>,
    /// Word of a change is on its way.
    pub(super) has_news: bool,
    pub(super) is_stopping: bool,
}

pub(super) struct Running {
    pub(super) run: RunId,
    pub(super) started_at: DateTime<Utc>,
    /// It does not stop when it is told to.
    pub(super) is_deaf: bool,
}

pub(super) enum Pending {
    Question(BoxFuture<Heard>),
    Wish { wish: BoxFuture<Result<(), crate::Error>>, waits: bool },
}

/// A clock that goes right but shows another time.
#[derive(Debug)]
pub(super) struct SkewedClock {
    time: Arc<Time>,
    skew: Mutex<TimeDelta>,
}

/// The true time.
#[derive(Debug)]
pub(super) struct Time(Mutex<DateTime<Utc>>);

impl Time {
    pub(super) fn new(now: DateTime<Utc>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(now)))
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, now: DateTime<Utc>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

impl SkewedClock {
    pub(super) fn new(time: Arc<Time>, skew: TimeDelta) -> Arc<Self> {
        Arc::new(Self { time, skew: Mutex::new(skew) })
    }

    pub(super) fn step(&self, by: TimeDelta) {
        let mut skew = self.skew.lock().unwrap_or_else(PoisonError::into_inner);
        *skew += by;
    }
}

impl Clock for SkewedClock {
    fn now(&self) -> DateTime<Utc> {
        self.time.now() + *self.skew.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never: nobody sleeps in a simulation.
    fn sleep_until(&self, _: DateTime<Utc>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(pending())
    }
}
