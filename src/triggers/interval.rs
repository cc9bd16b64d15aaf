//! Every so much elapsed time.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::json::{self, Member};
use super::limits::{self, Limits};
use super::moment::Moment;
use super::{AndTrigger, Digest, Trigger, describe, invalid};
use crate::Error;
use crate::zone::Zone;

/// Every so much elapsed time from its start on.
///
/// A change to or from summer time never bends it: a day has 24 hours. (For the same time on the wall each day see
/// [`CalendarIntervalTrigger`](crate::CalendarIntervalTrigger).) Without a start it begins one interval after the
/// task is added; with a start in the past it keeps to that start's grid. Until it is
/// [`anchored`](Trigger::anchored), a trigger without a start counts from 1970-01-01T00:00:00Z.
///
/// ```
/// use asyncz::{IntervalTrigger, Trigger, Zone};
/// use std::time::Duration;
/// let trigger = IntervalTrigger::every(Duration::from_secs(90));
/// let trigger = trigger.anchored("2026-01-01T00:00:00Z".parse()?, &Zone::UTC);
/// assert_eq!(trigger.first("2026-01-01T00:00:00Z".parse()?), Some("2026-01-01T00:01:30Z".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
pub struct IntervalTrigger {
    /// In milliseconds, above 0.
    period: i64,
    limits: Limits,
    zone: Option<Zone>,
}

impl IntervalTrigger {
    /// Every so much time, in whole milliseconds.
    ///
    /// # Panics
    ///
    /// When the duration is below 1 ms or above 292 million years. Durations that aren't known when the program is
    /// written go through [`IntervalTrigger::builder`], which gives an error instead.
    pub fn every(period: Duration) -> Self {
        match Self::checked(period, Limits::default(), None) {
            Ok(trigger) => trigger,
            Err(error) => panic!("{error}"),
        }
    }

    /// Sums up parts: `IntervalTrigger::builder().hours(1).minutes(30).build()?`.
    pub fn builder() -> IntervalBuilder {
        IntervalBuilder::default()
    }

    /// The first instant, and where the grid is counted from.
    #[must_use]
    pub fn start_at(mut self, at: DateTime<Utc>) -> Self {
        self.limits.start = Some(Moment::new(at));
        self
    }

    /// No instant is later. Before the start: there is no instant at all.
    #[must_use]
    pub fn end_at(mut self, at: DateTime<Utc>) -> Self {
        self.limits.end = Some(Moment::new(at));
        self
    }

    /// Runs start up to this much later, in whole milliseconds; see [`Trigger::jitter`].
    #[must_use]
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.limits.jitter = limits::cut(jitter);
        self
    }

    /// The zone in which naive times of the JSON form are read.
    #[must_use]
    pub fn timezone(mut self, zone: impl Into<Zone>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    fn checked(period: Duration, limits: Limits, zone: Option<Zone>) -> Result<Self, Error> {
        let period = i64::try_from(period.as_millis()).map_err(|_| {
            invalid(format!("interval `{period:?}` is too long: write less than 292 million years"))
        })?;
        if period == 0 {
            return Err(invalid("the interval is zero: write 1 ms or more, in at least one of its parts"));
        }
        limits.check(zone)?;
        Ok(Self { period, limits, zone })
    }

    fn start_millis(&self) -> i64 {
        self.limits.start(self.zone.unwrap_or_default()).map_or(0, |start| start.timestamp_millis())
    }
}

#[typetag::serde(name = "interval")]
impl Trigger for IntervalTrigger {
    fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let elapsed = after.timestamp_millis().checked_sub(self.start_millis())?;
        let periods = if elapsed < 0 { 0 } else { elapsed / self.period + 1 };
        let millis = periods.checked_mul(self.period)?.checked_add(self.start_millis())?;
        let next = DateTime::from_timestamp_millis(millis)?;
        self.end().is_none_or(|end| next <= end).then_some(next)
    }

    fn anchored(&self, now: DateTime<Utc>, zone: &Zone) -> Box<dyn Trigger> {
        let zone = self.zone.unwrap_or(*zone);
        let mut limits = self.limits.anchored(zone);
        if limits.start.is_none() {
            let start =
                now.timestamp_millis().checked_add(self.period).and_then(DateTime::from_timestamp_millis);
            match start.filter(|start| Moment::is_writable(*start)) {
                Some(start) => limits.start = Some(Moment::new(start)),
                None => return AndTrigger::nothing(),
            }
        }
        if limits.is_empty(zone) {
            return AndTrigger::nothing();
        }
        Box::new(Self { period: self.period, limits, zone: self.zone })
    }

    fn describe(&self) -> String {
        format!("every {}{}", describe::duration(self.period.unsigned_abs()), self.limits.describe())
    }

    fn jitter(&self) -> Duration {
        self.limits.jitter
    }

    fn end(&self) -> Option<DateTime<Utc>> {
        self.limits.end(self.zone.unwrap_or_default())
    }

    fn fingerprint(&self) -> Option<u64> {
        let mut digest = Digest::default();
        digest.add(b"interval");
        digest.add_number(self.period);
        digest.add_moment(self.limits.start);
        digest.add_moment(self.limits.end);
        digest.add_number(i64::try_from(self.limits.jitter.as_millis()).ok()?);
        digest.add_zone(self.zone);
        Some(digest.value())
    }
}

/// Parts of an interval, to be summed up; see [`IntervalTrigger::builder`].
#[derive(Clone, Debug, Default)]
pub struct IntervalBuilder {
    /// In the order of `PARTS`.
    parts: [u64; 6],
    limits: Limits,
    zone: Option<Zone>,
}

/// The parts and their milliseconds.
const PARTS: [(&str, u64); 6] = [
    ("weeks", 604_800_000),
    ("days", 86_400_000),
    ("hours", 3_600_000),
    ("minutes", 60_000),
    ("seconds", 1_000),
    ("milliseconds", 1),
];

impl IntervalBuilder {
    /// Weeks of 7 days.
    #[must_use]
    pub fn weeks(self, weeks: u64) -> Self {
        self.part(0, weeks)
    }

    /// Days of 24 hours.
    #[must_use]
    pub fn days(self, days: u64) -> Self {
        self.part(1, days)
    }

    /// Hours.
    #[must_use]
    pub fn hours(self, hours: u64) -> Self {
        self.part(2, hours)
    }

    /// Minutes.
    #[must_use]
    pub fn minutes(self, minutes: u64) -> Self {
        self.part(3, minutes)
    }

    /// Seconds.
    #[must_use]
    pub fn seconds(self, seconds: u64) -> Self {
        self.part(4, seconds)
    }

    /// Milliseconds.
    #[must_use]
    pub fn milliseconds(self, milliseconds: u64) -> Self {
        self.part(5, milliseconds)
    }

    /// See [`IntervalTrigger::start_at`].
    #[must_use]
    pub fn start_at(mut self, at: DateTime<Utc>) -> Self {
        self.limits.start = Some(Moment::new(at));
        self
    }

    /// See [`IntervalTrigger::end_at`].
    #[must_use]
    pub fn end_at(mut self, at: DateTime<Utc>) -> Self {
        self.limits.end = Some(Moment::new(at));
        self
    }

    /// See [`IntervalTrigger::jitter`].
    #[must_use]
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.limits.jitter = limits::cut(jitter);
        self
    }

    /// See [`IntervalTrigger::timezone`].
    #[must_use]
    pub fn timezone(mut self, zone: impl Into<Zone>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// The trigger.
    ///
    /// # Errors
    ///
    /// When the parts are all zero, one is too large, or the end is before the start.
    pub fn build(self) -> Result<IntervalTrigger, Error> {
        let mut sum = 0_u64;
        for ((name, millis), count) in PARTS.iter().zip(self.parts) {
            let too_large =
                || invalid(format!("{name} `{count}` is too large: write less than 292 million years"));
            let part = count.checked_mul(*millis).filter(|part| *part <= i64::MAX as u64);
            sum = part.and_then(|part| sum.checked_add(part)).ok_or_else(too_large)?;
        }
        IntervalTrigger::checked(Duration::from_millis(sum), self.limits, self.zone)
    }

    fn part(mut self, index: usize, count: u64) -> Self {
        self.parts[index] = count;
        self
    }
}

/// The JSON form.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Form {
    #[serde(skip_serializing_if = "Option::is_none")]
    weeks: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    days: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    hours: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    minutes: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    milliseconds: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_at: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_at: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    jitter: Member,
}

impl TryFrom<Form> for IntervalTrigger {
    type Error = Error;

    fn try_from(form: Form) -> Result<Self, Error> {
        let members =
            [&form.weeks, &form.days, &form.hours, &form.minutes, &form.seconds, &form.milliseconds];
        let mut parts = [0; 6];
        for (index, member) in members.into_iter().enumerate() {
            parts[index] = json::whole(PARTS[index].0, member, u64::MAX)?;
        }
        let limits = json::limits(&form.start_at, &form.end_at, &form.jitter)?;
        IntervalBuilder { parts, limits, zone: json::zone(&form.timezone)? }.build()
    }
}

impl From<IntervalTrigger> for Form {
    fn from(trigger: IntervalTrigger) -> Self {
        let mut rest = trigger.period.unsigned_abs();
        let [weeks, days, hours, minutes, seconds, milliseconds] = PARTS.map(|(_, millis)| {
            let count = rest / millis;
            rest %= millis;
            json::write_whole(count)
        });
        Self {
            weeks,
            days,
            hours,
            minutes,
            seconds,
            milliseconds,
            start_at: json::write_time(trigger.limits.start),
            end_at: json::write_time(trigger.limits.end),
            timezone: json::write_zone(trigger.zone),
            jitter: json::write_jitter(trigger.limits.jitter),
        }
    }
}
