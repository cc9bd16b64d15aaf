//! The same wall-clock time every n days, weeks, months or years.

use std::sync::Arc;

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::json::{self, Member};
use super::{AndTrigger, Trigger, describe, invalid};
use crate::Error;
use crate::zone::{Policy, Zone};

/// The same wall-clock time every n days, weeks, months or years, from a date on.
///
/// Each date is made from the one before: years and months are added, and added again while the month lacks the day
/// (31 January and 1 month is 31 March), then weeks and days. A time in a gap moves to the gap's end, in a repeated
/// hour the first pass counts; a date that the zone leaves out is passed over, and the count goes on from it. The
/// search ends with the local year 2200.
///
/// Without a start date it begins on the local date of the day on which it is added; until it is
/// [`anchored`](Trigger::anchored), on 1970-01-01.
///
/// ```
/// use asyncz::{CalendarIntervalTrigger, Trigger, Zone};
/// let zone: Zone = "Europe/Berlin".parse()?;
/// let trigger = CalendarIntervalTrigger::builder().months(1).hour(9).timezone(zone).build()?;
/// let trigger = trigger.anchored("2026-01-31T12:00:00Z".parse()?, &Zone::UTC);
/// assert_eq!(trigger.first("2026-01-31T12:00:00Z".parse()?), Some("2026-03-31T07:00:00Z".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
pub struct CalendarIntervalTrigger {
    parts: CalendarIntervalBuilder,
    /// Every 64th date from the start on, where months and days mix and no formula leads to the date wanted.
    milestones: Option<Arc<[NaiveDate]>>,
}

/// Parts of a calendar interval; see [`CalendarIntervalTrigger::builder`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CalendarIntervalBuilder {
    years: u32,
    months: u32,
    weeks: u32,
    days: u32,
    hour: u32,
    minute: u32,
    second: u32,
    start_date: Option<NaiveDate>,
    end_date: Option<NaiveDate>,
    zone: Option<Zone>,
}

const DAY: i64 = 86_400;
const LAST_YEAR: i32 = 2200;
const STRIDE: usize = 64;

impl CalendarIntervalTrigger {
    /// Begins with nothing given: `CalendarIntervalTrigger::builder().weeks(2).hour(9).build()?`.
    pub fn builder() -> CalendarIntervalBuilder {
        CalendarIntervalBuilder::default()
    }

    fn new(parts: CalendarIntervalBuilder) -> Self {
        let mut trigger = Self { parts, milestones: None };
        if trigger.months() > 0 && trigger.days() > 0 {
            let dates = std::iter::successors(Some(trigger.start()), |date| trigger.step(*date));
            trigger.milestones = Some(dates.step_by(STRIDE).collect());
        }
        trigger
    }

    fn zone(&self) -> Zone {
        self.parts.zone.unwrap_or_default()
    }

    fn start(&self) -> NaiveDate {
        self.parts.start_date.unwrap_or_default()
    }

    /// The months of a step, its years included.
    fn months(&self) -> u64 {
        u64::from(self.parts.years) * 12 + u64::from(self.parts.months)
    }

    /// The days of a step, its weeks included.
    fn days(&self) -> u64 {
        u64::from(self.parts.weeks) * 7 + u64::from(self.parts.days)
    }

    /// The date that follows another one of the set.
    fn step(&self, date: NaiveDate) -> Option<NaiveDate> {
        let date = if self.months() > 0 { self.add_months(date, 1)? } else { date };
        date.checked_add_days(Days::new(self.days())).filter(|date| date.year() <= LAST_YEAR)
    }

    /// Adds the months of `steps` steps, and those of one more while the month lacks the day.
    fn add_months(&self, date: NaiveDate, steps: u64) -> Option<NaiveDate> {
        let from = i64::from(date.year()) * 12 + i64::from(date.month0());
        let mut month = from.checked_add_unsigned(self.months().checked_mul(steps)?)?;
        loop {
            let year = i32::try_from(month.div_euclid(12)).ok().filter(|year| *year <= LAST_YEAR)?;
            let date = NaiveDate::from_ymd_opt(year, month.rem_euclid(12) as u32 + 1, date.day());
            if date.is_some() {
                return date;
            }
            month = month.checked_add_unsigned(self.months())?;
        }
    }

    /// The least date of the set at or after another.
    fn date_from(&self, wanted: NaiveDate) -> Option<NaiveDate> {
        let start = self.start();
        if wanted <= start {
            return (start.year() <= LAST_YEAR).then_some(start);
        }
        if self.months() == 0 {
            let elapsed = (wanted - start).num_days().unsigned_abs();
            let days = elapsed.div_ceil(self.days()).checked_mul(self.days())?;
            return start.checked_add_days(Days::new(days)).filter(|date| date.year() <= LAST_YEAR);
        }
        let mut date = match &self.milestones {
            Some(milestones) => milestones[milestones.partition_point(|date| *date <= wanted) - 1],
            // The day of the month never changes, so that any number of steps can be taken at once.
            None => {
                let months =
                    (wanted.year() - start.year()) * 12 + wanted.month() as i32 - start.month() as i32;
                self.add_months(start, u64::try_from(months).unwrap_or(0) / self.months())?
            }
        };
        while date < wanted {
            date = self.step(date)?;
        }
        Some(date)
    }
}

#[typetag::serde(name = "calendar_interval")]
impl Trigger for CalendarIntervalTrigger {
    fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let CalendarIntervalBuilder { hour, minute, second, end_date, .. } = self.parts;
        let time = i64::from((hour * 60 + minute) * 60 + second);
        let next_local = |local: i64| {
            let days = (local - time).div_euclid(DAY) + i64::from((local - time).rem_euclid(DAY) > 0);
            let wanted = DateTime::from_timestamp(days.checked_mul(DAY)?, 0)?.date_naive();
            let date = self.date_from(wanted).filter(|date| end_date.is_none_or(|end| *date <= end))?;
            Some(date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp() + time)
        };
        let next = self.zone().next(after.timestamp(), Policy::Named, next_local)?;
        DateTime::from_timestamp(next, 0)
    }

    fn anchored(&self, now: DateTime<Utc>, zone: &Zone) -> Box<dyn Trigger> {
        let zone = self.parts.zone.unwrap_or(*zone);
        let start_date = self.parts.start_date.unwrap_or_else(|| zone.local(now).date());
        // An end before a start that nobody gave, or a start that RFC 3339 can't write.
        if self.parts.end_date.is_some_and(|end| end < start_date) || !(0..=9999).contains(&start_date.year())
        {
            return AndTrigger::nothing();
        }
        let parts =
            CalendarIntervalBuilder { start_date: Some(start_date), zone: Some(zone), ..self.parts.clone() };
        Box::new(Self::new(parts))
    }

    fn describe(&self) -> String {
        let CalendarIntervalBuilder { years, months, weeks, days, hour, minute, second, .. } = self.parts;
        let units = [(years, "year"), (months, "month"), (weeks, "week"), (days, "day")];
        let given: Vec<_> = units.into_iter().filter(|(count, _)| *count > 0).collect();
        let every = match given[..] {
            [(1, name)] => name.to_owned(),
            _ => describe::list(
                &given.iter().map(|(n, name)| describe::counted((*n).into(), name)).collect::<Vec<_>>(),
            ),
        };
        let seconds = if second > 0 { format!(":{second:02}") } else { String::new() };
        let from = self.parts.start_date.map(|date| format!(", from {date}")).unwrap_or_default();
        let until = self.parts.end_date.map(|date| format!(", until {date}")).unwrap_or_default();
        let zone = self.parts.zone.map(|zone| format!(", {zone}")).unwrap_or_default();
        format!("every {every} at {hour:02}:{minute:02}{seconds}{from}{until}{zone}")
    }

    fn end(&self) -> Option<DateTime<Utc>> {
        let CalendarIntervalBuilder { hour, minute, second, end_date, .. } = self.parts;
        Some(self.zone().resolve(end_date?.and_hms_opt(hour, minute, second)?))
    }
}

impl CalendarIntervalBuilder {
    /// Years of a step.
    #[must_use]
    pub fn years(self, years: u32) -> Self {
        Self { years, ..self }
    }

    /// Months of a step.
    #[must_use]
    pub fn months(self, months: u32) -> Self {
        Self { months, ..self }
    }

    /// Weeks of a step.
    #[must_use]
    pub fn weeks(self, weeks: u32) -> Self {
        Self { weeks, ..self }
    }

    /// Days of a step.
    #[must_use]
    pub fn days(self, days: u32) -> Self {
        Self { days, ..self }
    }

    /// The hour on the wall, 0 to 23. Default: 0.
    #[must_use]
    pub fn hour(self, hour: u32) -> Self {
        Self { hour, ..self }
    }

    /// The minute on the wall, 0 to 59. Default: 0.
    #[must_use]
    pub fn minute(self, minute: u32) -> Self {
        Self { minute, ..self }
    }

    /// The second on the wall, 0 to 59. Default: 0.
    #[must_use]
    pub fn second(self, second: u32) -> Self {
        Self { second, ..self }
    }

    /// The first date, from which the steps count. Default: the local date on which the task is added.
    #[must_use]
    pub fn start_date(self, date: NaiveDate) -> Self {
        Self { start_date: Some(date), ..self }
    }

    /// The last date that may be in the set.
    #[must_use]
    pub fn end_date(self, date: NaiveDate) -> Self {
        Self { end_date: Some(date), ..self }
    }

    /// The zone of the wall clock. Default: the scheduler's.
    #[must_use]
    pub fn timezone(self, zone: impl Into<Zone>) -> Self {
        Self { zone: Some(zone.into()), ..self }
    }

    /// The trigger.
    ///
    /// # Errors
    ///
    /// When years, months, weeks and days are all zero, a part of the time doesn't exist, a date lies outside the
    /// years 0 to 9999, or the end is before the start.
    pub fn build(self) -> Result<CalendarIntervalTrigger, Error> {
        if self.years == 0 && self.months == 0 && self.weeks == 0 && self.days == 0 {
            return Err(invalid("the interval is zero: write 1 or more years, months, weeks or days"));
        }
        for (name, value, max) in
            [("hour", self.hour, 23), ("minute", self.minute, 59), ("second", self.second, 59)]
        {
            if value > max {
                return Err(invalid(format!("{name} `{value}`: write 0 to {max}")));
            }
        }
        for (name, date) in [("start_date", self.start_date), ("end_date", self.end_date)] {
            if let Some(date) = date.filter(|date| !(0..=9999).contains(&date.year())) {
                return Err(invalid(format!("{name} `{date}`: write a date from 0000-01-01 to 9999-12-31")));
            }
        }
        if let (Some(start), Some(end)) = (self.start_date, self.end_date)
            && end < start
        {
            return Err(invalid(format!(
                "end_date `{end}` is before start_date `{start}`: write a later one"
            )));
        }
        Ok(CalendarIntervalTrigger::new(self))
    }
}

/// The JSON form.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Form {
    #[serde(skip_serializing_if = "Option::is_none")]
    years: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    months: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    weeks: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    days: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    hour: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    minute: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    second: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_date: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_date: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Member,
}

impl TryFrom<Form> for CalendarIntervalTrigger {
    type Error = Error;

    fn try_from(form: Form) -> Result<Self, Error> {
        let whole =
            |name: &str, member: &Member, max: u32| json::whole(name, member, max.into()).map(|n| n as u32);
        let parts = CalendarIntervalBuilder {
            years: whole("years", &form.years, u32::MAX)?,
            months: whole("months", &form.months, u32::MAX)?,
            weeks: whole("weeks", &form.weeks, u32::MAX)?,
            days: whole("days", &form.days, u32::MAX)?,
            hour: whole("hour", &form.hour, 23)?,
            minute: whole("minute", &form.minute, 59)?,
            second: whole("second", &form.second, 59)?,
            start_date: json::date("start_date", &form.start_date)?,
            end_date: json::date("end_date", &form.end_date)?,
            zone: json::zone(&form.timezone)?,
        };
        parts.build()
    }
}

impl From<CalendarIntervalTrigger> for Form {
    fn from(CalendarIntervalTrigger { parts, .. }: CalendarIntervalTrigger) -> Self {
        let whole = |n: u32| json::write_whole(n.into());
        let date = |date: Option<NaiveDate>| date.map(|date| date.format("%Y-%m-%d").to_string().into());
        Self {
            years: whole(parts.years),
            months: whole(parts.months),
            weeks: whole(parts.weeks),
            days: whole(parts.days),
            hour: whole(parts.hour),
            minute: whole(parts.minute),
            second: whole(parts.second),
            start_date: date(parts.start_date),
            end_date: date(parts.end_date),
            timezone: json::write_zone(parts.zone),
        }
    }
}
