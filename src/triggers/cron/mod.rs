//! When the wall clock matches.

mod describe;
mod expression;
mod fields;
mod plan;
mod written;

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use asyncz_grammar::SyntaxError;
use asyncz_grammar::cron::FIELD_NAMES;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::json::{self, Member};
use super::limits::{self, Limits};
use super::moment::Moment;
use super::{AndTrigger, Trigger, instant, invalid, just_before};
use crate::Error;
use crate::zone::{Policy, Zone};
use plan::Plan;
use written::{Source, Written};

pub use fields::{CronFields, FieldValue};

/// When the wall clock matches a cron expression or cron fields.
///
/// **Expressions** are what people write in crontabs: five fields (minute, hour, day, month, weekday), six with the
/// second first, seven with the year last, or `@yearly @annually @monthly @weekly @daily @midnight @hourly`. Weekdays
/// 0 and 7 are Sunday. As in crontab(5), a day matches that is in either of two restricted day fields
/// ([`CronTrigger::day_match`]). Days may be `L` (the last), `L-n`, `nW` (the workday nearest to it) and `LW`,
/// weekdays `fri#2` and `friL`; `?` is `*`. **Fields**, from [`CronTrigger::fields`], are those of Asyncz.
///
/// The search ends with the local year 2200. What becomes of times that the zone leaves out or repeats tells [`Dst`].
///
/// ```
/// use asyncz::{CronTrigger, Trigger, Zone};
/// let zone: Zone = "Europe/Berlin".parse()?;
/// let trigger = CronTrigger::new("0 9 * * mon-fri")?.timezone(zone);
/// assert_eq!(trigger.next_after("2026-11-22T00:00:00Z".parse()?), Some("2026-11-23T08:00:00Z".parse()?));
/// assert_eq!(trigger.describe(), "at 09:00 on Monday to Friday, Europe/Berlin");
/// let same = CronTrigger::fields().day_of_week("mon-fri").hour(9).timezone(zone).build()?;
/// assert_eq!(same.describe(), trigger.describe());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Form")]
pub struct CronTrigger {
    written: Arc<Written>,
    /// Few crons have any.
    limits: Option<Box<Limits>>,
    zone: Option<Zone>,
    dst: Dst,
    day_match: DayMatch,
}

/// What becomes of wall-clock times that a zone leaves out or repeats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dst {
    /// When second, minute and hour are all plain values or lists of them (no `*`, `/`, `-`), each named time comes
    /// once on each local day: from a gap it moves to the first instant after it, if that is still the same day; of
    /// a repeated hour the first pass counts. Otherwise the trigger is periodic, and taken literally.
    #[default]
    Smart,
    /// Each instant at which the wall clock matches: none in a gap, two in a repeated hour.
    Literal,
}

/// Which days match when both day fields of an expression are restricted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DayMatch {
    /// Those in either field, as in crontab(5).
    #[default]
    Any,
    /// Those in both.
    All,
}

impl CronTrigger {
    /// Reads a cron expression.
    ///
    /// # Errors
    ///
    /// When it can't be read; the message quotes the wrong item and says what to write instead.
    pub fn new(expression: &str) -> Result<Self, Error> {
        let written = Written::expression(expression).map_err(syntax)?;
        Self::checked(written, DayMatch::Any, Limits::default(), None, Dst::Smart)
    }

    /// Begins with no field given: `CronTrigger::fields().day("last fri").hour(18).build()?`.
    pub fn fields() -> CronFields {
        CronFields::default()
    }

    /// The zone of the wall clock. Default: the scheduler's, and UTC until the trigger is anchored.
    #[must_use]
    pub fn timezone(self, zone: impl Into<Zone>) -> Self {
        Self { zone: Some(zone.into()), ..self }
    }

    /// No instant is earlier.
    #[must_use]
    pub fn start_at(mut self, at: DateTime<Utc>) -> Self {
        self.limits_mut().start = Some(Moment::new(at));
        self
    }

    /// No instant is later. Before the start: there is no instant at all.
    #[must_use]
    pub fn end_at(mut self, at: DateTime<Utc>) -> Self {
        self.limits_mut().end = Some(Moment::new(at));
        self
    }

    /// Runs start up to this much later, in whole milliseconds; see [`Trigger::jitter`].
    #[must_use]
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.limits_mut().jitter = limits::cut(jitter);
        self
    }

    /// What becomes of times that the zone leaves out or repeats. Default: [`Dst::Smart`].
    #[must_use]
    pub fn dst(self, dst: Dst) -> Self {
        Self { dst, ..self }
    }

    /// Which days match when both day fields of an expression are restricted. Default: [`DayMatch::Any`]. It changes
    /// nothing for fields, which must all match.
    #[must_use]
    pub fn day_match(mut self, day_match: DayMatch) -> Self {
        if let Source::Expression(_) = &self.written.source
            && self.day_match != day_match
            && let Some(pattern) = self.written.pattern()
        {
            let plan = Plan::new(&pattern, pattern.either_day && day_match == DayMatch::Any);
            self.written = Arc::new(Written { plan, ..(*self.written).clone() });
            self.day_match = day_match;
        }
        self
    }

    fn checked(
        written: Arc<Written>,
        day_match: DayMatch,
        limits: Limits,
        zone: Option<Zone>,
        dst: Dst,
    ) -> Result<Self, Error> {
        limits.check(zone)?;
        let limits = (limits != Limits::default()).then(|| Box::new(limits));
        Ok(Self { written, limits, zone, dst, day_match })
    }

    fn limits_mut(&mut self) -> &mut Limits {
        self.limits.get_or_insert_default()
    }
}

#[typetag::serde(name = "cron")]
impl Trigger for CronTrigger {
    fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let zone = self.zone.unwrap_or_default();
        let start = self.limits.as_ref().and_then(|limits| limits.start(zone));
        let after = start.map_or(after, |start| after.max(just_before(start)));
        let plan = &self.written.plan;
        let policy = if plan.named && self.dst == Dst::Smart { Policy::Named } else { Policy::Literal };
        let next = zone.next(after.timestamp(), policy, |from| plan.next(from))?;
        let next = instant(next, after)?;
        self.end().is_none_or(|end| next <= end).then_some(next)
    }

    fn anchored(&self, _: DateTime<Utc>, zone: &Zone) -> Box<dyn Trigger> {
        let zone = self.zone.unwrap_or(*zone);
        let limits = self.limits.as_ref().map(|limits| Box::new(limits.anchored(zone)));
        if limits.as_ref().is_some_and(|limits| limits.is_empty(zone)) {
            return AndTrigger::nothing();
        }
        Box::new(Self { zone: Some(zone), limits, ..self.clone() })
    }

    fn describe(&self) -> String {
        let pattern = self.written.pattern();
        let words = pattern.map(|pattern| describe::pattern(&pattern, self.day_match)).unwrap_or_default();
        let limits = self.limits.as_ref().map(|limits| limits.describe()).unwrap_or_default();
        let zone = self.zone.map(|zone| format!(", {zone}")).unwrap_or_default();
        words + &limits + &zone
    }

    fn jitter(&self) -> Duration {
        self.limits.as_ref().map_or(Duration::ZERO, |limits| limits.jitter)
    }

    fn end(&self) -> Option<DateTime<Utc>> {
        self.limits.as_ref()?.end(self.zone.unwrap_or_default())
    }

    fn fingerprint(&self) -> Option<u64> {
        let mut digest = self.written.digest.filter(|_| self.limits.is_none())?;
        digest.add_zone(self.zone);
        digest.add(&[self.dst as u8, self.day_match as u8]);
        Some(digest.value())
    }
}

impl FromStr for CronTrigger {
    type Err = Error;

    fn from_str(expression: &str) -> Result<Self, Error> {
        Self::new(expression)
    }
}

impl TryFrom<&str> for CronTrigger {
    type Error = Error;

    fn try_from(expression: &str) -> Result<Self, Error> {
        Self::new(expression)
    }
}

fn syntax(error: SyntaxError) -> Error {
    invalid(error.to_string())
}

/// The JSON form.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Form {
    #[serde(skip_serializing_if = "Option::is_none")]
    expression: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    day_match: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_at: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_at: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    jitter: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst: Member,
}

impl TryFrom<Form> for CronTrigger {
    type Error = Error;

    fn try_from(form: Form) -> Result<Self, Error> {
        let limits = json::limits(&form.start_at, &form.end_at, &form.jitter)?;
        let zone = json::zone(&form.timezone)?;
        limits.check(zone)?;
        let dst = match json::text("dst", &form.dst)?.as_deref() {
            None | Some("smart") => Dst::Smart,
            Some("literal") => Dst::Literal,
            Some(other) => return Err(invalid(format!("dst `{other}`: write `smart` or `literal`"))),
        };
        let day_match = match json::text("day_match", &form.day_match)?.as_deref() {
            None => None,
            Some("any") => Some(DayMatch::Any),
            Some("all") => Some(DayMatch::All),
            Some(other) => return Err(invalid(format!("day_match `{other}`: write `any` or `all`"))),
        };
        match (json::text("expression", &form.expression)?, form.fields) {
            (Some(text), None) => {
                let written =
                    Written::expression(&text).map_err(|error| invalid(format!("expression: {error}")))?;
                let trigger = Self::checked(written, DayMatch::Any, limits, zone, dst)?;
                Ok(trigger.day_match(day_match.unwrap_or_default()))
            }
            (None, Some(_)) if day_match.is_some() => {
                Err(invalid("day_match belongs to an expression: leave it out, as all fields must match"))
            }
            (None, Some(Value::Object(members))) => {
                CronFields { limits, zone, dst, ..read_fields(members)? }.build().map_err(within_fields)
            }
            (None, Some(other)) => {
                Err(invalid(format!("fields `{other}`: write them as {{\"hour\": 9, \"minute\": 30}}")))
            }
            (Some(_), Some(_)) => Err(invalid("expression and fields are both given: write one of them")),
            (None, None) => Err(invalid("neither expression nor fields is given: write one of them")),
        }
    }
}

fn read_fields(members: Map<String, Value>) -> Result<CronFields, Error> {
    let mut fields = CronFields::default();
    for (name, value) in members {
        let place = FIELD_NAMES.iter().position(|known| *known == name).ok_or_else(|| {
            invalid(format!("fields: there is no field `{name}`: write one of {}", FIELD_NAMES.join(", ")))
        })?;
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
            other => {
                return Err(invalid(format!(
                    "fields: {name} `{other}`: write a text in quotes or a whole number"
                )));
            }
        };
        fields = fields.set(place, text.into());
    }
    Ok(fields)
}

fn within_fields(error: Error) -> Error {
    match error {
        Error::InvalidTrigger { message } => invalid(format!("fields: {message}")),
        other => other,
    }
}

impl Serialize for CronTrigger {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Form::from(self).serialize(serializer)
    }
}

impl From<&CronTrigger> for Form {
    fn from(trigger: &CronTrigger) -> Self {
        let limits = trigger.limits.as_deref().cloned().unwrap_or_default();
        let (expression, fields) = match &trigger.written.source {
            Source::Expression(text) => (Some(Value::from(&**text)), None),
            Source::Fields(texts) => {
                let given = FIELD_NAMES
                    .iter()
                    .zip(&**texts)
                    .filter_map(|(name, text)| Some((*name, text.as_deref()?)));
                let members: Map<_, _> =
                    given.map(|(name, text)| (name.to_owned(), Value::from(text))).collect();
                (None, Some(Value::Object(members)))
            }
        };
        Self {
            day_match: (trigger.day_match == DayMatch::All && expression.is_some()).then(|| "all".into()),
            expression,
            fields,
            timezone: json::write_zone(trigger.zone),
            start_at: json::write_time(limits.start),
            end_at: json::write_time(limits.end),
            jitter: json::write_jitter(limits.jitter),
            dst: (trigger.dst == Dst::Literal).then(|| "literal".into()),
        }
    }
}
