//! Dates and times: RFC 3339, or "naive", without an offset, to be read in a zone.

use crate::SyntaxError;

/// A time as written, cut to milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// With an offset: milliseconds since 1970-01-01T00:00:00Z.
    Instant {
        /// Milliseconds since 1970-01-01T00:00:00Z.
        millis: i64,
    },
    /// Naive: what a clock on the wall shows, in milliseconds since it showed 1970-01-01T00:00:00.
    Local {
        /// Milliseconds on the wall since 1970-01-01T00:00:00.
        millis: i64,
    },
}

/// A date of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    /// 0 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

impl Day {
    /// Days since 1970-01-01.
    pub fn days_since_1970(self) -> i32 {
        days_since_1970(self.year.into(), self.month.into(), self.day.into())
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, for years from 0 on.
#[inline]
pub const fn days_since_1970(year: i32, month: i32, day: i32) -> i32 {
    // Years begin in March here, so that the leap day is the last of its year: the months before the n-th from
    // March have (153 n + 2) / 5 days together, and 719,468 days lie between 0000-03-01 and 1970-01-01.
    let early = (month <= 2) as i32;
    let year = year - early;
    let from_march = month + 12 * early - 3;
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
}

/// Reads a time: RFC 3339 (`2026-12-24T18:00:00+01:00`, `…Z`), or the same without an offset.
///
/// `T` and `Z` may be small, and a blank may stand for the `T`, as RFC 3339 allows. Digits behind the third of a
/// fraction are dropped. A leap second (`:60`) is an error: no clock that asyncz reads shows one.
///
/// ```
/// use asyncz_grammar::date::{self, Time};
/// assert_eq!(date::parse("1970-01-01T01:00:00.2509+01:00")?, Time::Instant { millis: 250 });
/// assert_eq!(date::parse("1970-01-01T01:00:00")?, Time::Local { millis: 3_600_000 });
/// # Ok::<(), asyncz_grammar::SyntaxError>(())
/// ```
///
/// # Errors
///
/// When the text has another form, or names a day, hour, minute, second or offset that doesn't exist.
pub fn parse(text: &str) -> Result<Time, SyntaxError> {
    let mut rest = Rest { text, bytes: text.as_bytes(), kind: "time" };
    let day = rest.day()?;
    rest.one_of(b"Tt ")?;
    let hour = rest.number(2, "hour", 0, 23)?;
    rest.one_of(b":")?;
    let minute = rest.number(2, "minute", 0, 59)?;
    rest.one_of(b":")?;
    let second = rest.number(2, "second", 0, 59)?;
    let mut millis = i64::from(day.days_since_1970()) * 86_400_000
        + i64::from((hour * 60 + minute) * 60 + second) * 1_000
        + rest.fraction()?;
    if rest.bytes.is_empty() {
        return Ok(Time::Local { millis });
    }
    millis -= rest.offset()? * 60_000;
    rest.end()?;
    Ok(Time::Instant { millis })
}

/// Reads a date: `2026-12-24`.
///
/// # Errors
///
/// When the text has another form, or names a day that doesn't exist.
pub fn parse_day(text: &str) -> Result<Day, SyntaxError> {
    let mut rest = Rest { text, bytes: text.as_bytes(), kind: "date" };
    let day = rest.day()?;
    rest.end()?;
    Ok(day)
}

/// What is still to be read of a text.
struct Rest<'a> {
    text: &'a str,
    bytes: &'a [u8],
    kind: &'static str,
}

impl Rest<'_> {
    fn day(&mut self) -> Result<Day, SyntaxError> {
        let year = self.number(4, "year", 0, 9999)?;
        self.one_of(b"-")?;
        let month = self.number(2, "month", 1, 12)?;
        self.one_of(b"-")?;
        let day = self.number(2, "day", 1, days_in_month(year, month))?;
        Ok(Day { year: year as u16, month: month as u8, day: day as u8 })
    }

    /// Reads exactly `digits` digits.
    fn number(&mut self, digits: usize, name: &str, min: u32, max: u32) -> Result<u32, SyntaxError> {
        let (head, tail) = self.bytes.split_at_checked(digits).ok_or_else(|| self.wrong_form())?;
        if !head.iter().all(u8::is_ascii_digit) {
            return Err(self.wrong_form());
        }
        let value = head.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        if value < min || value > max {
            let kind = self.kind;
            return Err(SyntaxError::new(format!(
                "{kind} `{}`: {name} {value}: write {min} to {max}",
                self.text
            )));
        }
        self.bytes = tail;
        Ok(value)
    }

    fn one_of(&mut self, allowed: &[u8]) -> Result<u8, SyntaxError> {
        match self.bytes.split_first() {
            Some((first, rest)) if allowed.contains(first) => {
                self.bytes = rest;
                Ok(*first)
            }
            _ => Err(self.wrong_form()),
        }
    }

    /// The milliseconds of a fraction of a second, where there is one.
    fn fraction(&mut self) -> Result<i64, SyntaxError> {
        let Some(digits) = self.bytes.strip_prefix(b".") else {
            return Ok(0);
        };
        let len = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if len == 0 {
            return Err(self.wrong_form());
        }
        let digit = |place: usize| if place < len { i64::from(digits[place] - b'0') } else { 0 };
        self.bytes = &digits[len..];
        Ok(digit(0) * 100 + digit(1) * 10 + digit(2))
    }

    /// The offset from UTC in minutes.
    fn offset(&mut self) -> Result<i64, SyntaxError> {
        let sign = match self.one_of(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Ok(0),
        };
        let hours = self.number(2, "offset hour", 0, 23)?;
        self.one_of(b":")?;
        let minutes = self.number(2, "offset minute", 0, 59)?;
        Ok(sign * i64::from(hours * 60 + minutes))
    }

    fn end(&self) -> Result<(), SyntaxError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(self.wrong_form()) }
    }

    fn wrong_form(&self) -> SyntaxError {
        let example = match self.kind {
            "time" => "`2026-11-22T09:00:00+01:00`, or `2026-11-22T09:00:00` in the trigger's zone",
            _ => "`2026-11-22`",
        };
        SyntaxError::new(format!("{} `{}`: write {example}", self.kind, self.text))
    }
}

fn days_in_month(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => 31,
    }
}
