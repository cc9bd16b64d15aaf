//! When: triggers are pure sets of instants.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::zone::Zone;

/// A set of instants; says *when* a task runs.
///
/// A trigger is a pure function: it reads no clock and keeps no state. Its instants are strictly increasing, none
/// comes twice, and a search in a set with nothing left ends with `None` within a bound.
#[typetag::serde(tag = "type")]
pub trait Trigger: fmt::Debug + Send + Sync {
    /// The least instant of the set strictly after `after`; `None` when there is none.
    fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>>;

    /// The first instant for a task added at `now`: the least one at or after `now`, unless a trigger says otherwise.
    fn first(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.next_after(now - chrono::TimeDelta::nanoseconds(1))
    }

    /// The trigger with what it leaves open (zone, start) fixed at `now`. One that leaves nothing open returns a clone.
    fn anchored(&self, now: DateTime<Utc>, zone: &Zone) -> Box<dyn Trigger>;

    /// The set in plain words: "at 09:00 on Monday to Friday, Europe/Berlin".
    fn describe(&self) -> String {
        format!("{self:?}")
    }

    /// Up to this much later than each instant a run starts; see [`Task::jitter`](crate::Task::jitter). Default: zero.
    fn jitter(&self) -> Duration {
        Duration::ZERO
    }

    /// The last instant that may be in the set, where the trigger has one. Jitter never passes it.
    fn end(&self) -> Option<DateTime<Utc>> {
        None
    }

    /// Whether the task runs when the scheduler stops.
    fn at_shutdown(&self) -> bool {
        false
    }
}

impl fmt::Display for dyn Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}
