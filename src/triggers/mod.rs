//! When: triggers are pure sets of instants.
//!
//! | trigger | its instants |
//! |---|---|
//! | [`DateTrigger`] | one |
//! | [`IntervalTrigger`] | every so much elapsed time |
//! | [`CronTrigger`] | when the wall clock matches a cron expression or cron fields |
//! | [`CalendarIntervalTrigger`] | the same wall-clock time every n days, weeks, months or years |
//! | [`AndTrigger`], [`OrTrigger`] | those that all, or any, of its members have |
//! | [`ShutdownTrigger`] | none: it runs when the scheduler stops |
//!
//! Each has a JSON form, `{"type": "cron", …}`, whose members have the names of the builder's methods.

mod calendar_interval;
mod combine;
mod cron;
mod date;
mod describe;
mod digest;
mod interval;
pub mod jitter;
mod json;
mod limits;
mod moment;
mod shutdown;

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, NaiveTime, TimeDelta, Timelike, Utc};

use crate::Error;
use crate::zone::Zone;

pub use calendar_interval::{CalendarIntervalBuilder, CalendarIntervalTrigger};
pub use combine::{AndTrigger, OrTrigger};
pub use cron::{CronFields, CronTrigger, DayMatch, Dst, FieldValue};
pub use date::DateTrigger;
pub(crate) use digest::Digest;
pub use interval::{IntervalBuilder, IntervalTrigger};
pub use shutdown::ShutdownTrigger;

/// A set of instants; says *when* a task runs.
///
/// A trigger is a pure function: it reads no clock and keeps no state. Its instants are strictly increasing, none
/// comes twice, and a search in a set with nothing left ends with `None` within a bound.
///
/// Your own triggers can be stored like ours:
///
/// ```
/// use asyncz::{Trigger, Zone, typetag};
/// use chrono::{DateTime, Utc};
///
/// /// Every second number of seconds since 1970.
/// #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
/// struct Even {}
///
/// #[typetag::serde(name = "even")]
/// impl Trigger for Even {
///     fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
///         DateTime::from_timestamp((after.timestamp().div_euclid(2) + 1) * 2, 0)
///     }
///
///     fn anchored(&self, _: DateTime<Utc>, _: &Zone) -> Box<dyn Trigger> {
///         Box::new(self.clone())
///     }
/// }
///
/// let stored = serde_json::to_string(&Even {} as &dyn Trigger)?;
/// assert_eq!(stored, r#"{"type":"even"}"#);
/// let read: Box<dyn Trigger> = serde_json::from_str(&stored)?;
/// assert_eq!(read.next_after(DateTime::UNIX_EPOCH), DateTime::from_timestamp(2, 0));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[typetag::serde(tag = "type")]
pub trait Trigger: fmt::Debug + Send + Sync {
    /// The least instant of the set strictly after `after`; `None` when there is none.
    fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>>;

    /// The first instant for a task added at `now`: the least one at or after `now`, unless a trigger says otherwise.
    fn first(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.next_after(just_before(now))
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

    /// What tells the trigger from others, on every machine and in every version, where that can be had for less than
    /// writing its JSON form and digesting that: each task that is added needs it.
    #[doc(hidden)]
    fn fingerprint(&self) -> Option<u64> {
        None
    }

    /// `next_after` as part of a greater search, which may take only so many more leaps. Those that search by leaps
    /// themselves count theirs down, so that nested ones don't multiply; all others are computed and have no use for it.
    #[doc(hidden)]
    fn search(&self, after: DateTime<Utc>, leaps: &mut u32) -> Option<DateTime<Utc>> {
        let _ = leaps;
        self.next_after(after)
    }
}

impl fmt::Display for dyn Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}

impl<T: Trigger + 'static> From<T> for Box<dyn Trigger> {
    fn from(trigger: T) -> Self {
        Box::new(trigger)
    }
}

/// From where a search strictly after an instant includes `at`.
fn just_before(at: DateTime<Utc>) -> DateTime<Utc> {
    at.checked_sub_signed(TimeDelta::nanoseconds(1)).unwrap_or(at)
}

/// The instant that lies so many seconds after 1970, told that `near` is not later. Most answers are on the same day
/// or in the same year as the question, and chrono counts on from a date faster than it makes one.
#[inline]
fn instant(seconds: i64, near: DateTime<Utc>) -> Option<DateTime<Utc>> {
    const DAY: i64 = 86_400;
    // `DateTime` would add the zone's offset to what it is asked for, even in UTC.
    let naive = near.naive_utc();
    let time = i64::from(naive.num_seconds_from_midnight()) + (seconds - near.timestamp());
    let (date, time) = if (0..DAY).contains(&time) {
        (naive.date(), time)
    } else {
        (naive.date().checked_add_days(chrono::Days::new(u64::try_from(time / DAY).ok()?))?, time % DAY)
    };
    Some(date.and_time(NaiveTime::from_num_seconds_from_midnight_opt(time as u32, 0)?).and_utc())
}

fn invalid(message: impl Into<String>) -> Error {
    Error::InvalidTrigger { message: message.into() }
}
