//! Cron fields: a builder with a method for each part of the time.

use std::time::Duration;

use asyncz_grammar::cron::parse_fields;
use chrono::{DateTime, Utc};

use super::written::Written;
use super::{CronTrigger, DayMatch, Dst};
use crate::Error;
use crate::triggers::limits::{self, Limits};
use crate::triggers::moment::Moment;
use crate::zone::Zone;

/// The texts of the fields, in the order of [`asyncz_grammar::cron::FIELD_NAMES`].
pub(super) type Texts = [Option<Box<str>>; 8];

/// Cron fields, as Asyncz and APScheduler have them; see [`CronTrigger::fields`].
///
/// A field takes a text or a whole number: a comma list of `*`, `*/n`, `a`, `a/n`, `a-b` and `a-b/n`. Fields below
/// the lowest given one take their least value, the others are `*`; all must match.
#[derive(Clone, Debug, Default)]
pub struct CronFields {
    pub(super) texts: Texts,
    pub(super) limits: Limits,
    pub(super) zone: Option<Zone>,
    pub(super) dst: Dst,
}

/// What a cron field takes: a text, or a whole number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldValue(Box<str>);

impl From<&str> for FieldValue {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for FieldValue {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

macro_rules! from_whole_numbers {
    ($($number:ty)*) => {$(
        impl From<$number> for FieldValue {
            fn from(number: $number) -> Self {
                Self(number.to_string().into())
            }
        }
    )*};
}

from_whole_numbers!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);

impl CronFields {
    /// 1970 to 9999; `*/n` counts from 1970.
    #[must_use]
    pub fn year(self, value: impl Into<FieldValue>) -> Self {
        self.set(0, value.into())
    }

    /// 1 to 12, or jan to dec.
    #[must_use]
    pub fn month(self, value: impl Into<FieldValue>) -> Self {
        self.set(1, value.into())
    }

    /// 1 to 31, `last`, `last fri`, `1st mon` to `5th sun`.
    #[must_use]
    pub fn day(self, value: impl Into<FieldValue>) -> Self {
        self.set(2, value.into())
    }

    /// The ISO week, 1 to 53.
    #[must_use]
    pub fn week(self, value: impl Into<FieldValue>) -> Self {
        self.set(3, value.into())
    }

    /// 0 (Monday) to 6, or mon to sun.
    #[must_use]
    pub fn day_of_week(self, value: impl Into<FieldValue>) -> Self {
        self.set(4, value.into())
    }

    /// 0 to 23.
    #[must_use]
    pub fn hour(self, value: impl Into<FieldValue>) -> Self {
        self.set(5, value.into())
    }

    /// 0 to 59.
    #[must_use]
    pub fn minute(self, value: impl Into<FieldValue>) -> Self {
        self.set(6, value.into())
    }

    /// 0 to 59.
    #[must_use]
    pub fn second(self, value: impl Into<FieldValue>) -> Self {
        self.set(7, value.into())
    }

    /// See [`CronTrigger::timezone`].
    #[must_use]
    pub fn timezone(self, zone: impl Into<Zone>) -> Self {
        Self { zone: Some(zone.into()), ..self }
    }

    /// See [`CronTrigger::start_at`].
    #[must_use]
    pub fn start_at(mut self, at: DateTime<Utc>) -> Self {
        self.limits.start = Some(Moment::new(at));
        self
    }

    /// See [`CronTrigger::end_at`].
    #[must_use]
    pub fn end_at(mut self, at: DateTime<Utc>) -> Self {
        self.limits.end = Some(Moment::new(at));
        self
    }

    /// See [`CronTrigger::jitter`].
    #[must_use]
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.limits.jitter = limits::cut(jitter);
        self
    }

    /// See [`CronTrigger::dst`].
    #[must_use]
    pub fn dst(self, dst: Dst) -> Self {
        Self { dst, ..self }
    }

    /// The trigger.
    ///
    /// # Errors
    ///
    /// When no field is given, one can't be read, or the end is before the start.
    pub fn build(self) -> Result<CronTrigger, Error> {
        let texts = self.texts.each_ref().map(|text| text.as_deref());
        let pattern = parse_fields(&texts).map_err(super::syntax)?;
        let written = Written::fields(self.texts, &pattern);
        CronTrigger::checked(written, DayMatch::All, self.limits, self.zone, self.dst)
    }

    pub(super) fn set(mut self, place: usize, value: FieldValue) -> Self {
        self.texts[place] = Some(value.0);
        self
    }
}
