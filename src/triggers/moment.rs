//! A time as a trigger keeps it: an instant, or a naive time that waits for its zone.

use chrono::{DateTime, Datelike, NaiveDateTime, SubsecRound, Timelike, Utc};

use asyncz_grammar::date::{self, Time};

use crate::zone::Zone;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Instant(DateTime<Utc>),
    /// Read in the trigger's zone, or else in the one given to `anchored`.
    Naive(NaiveDateTime),
}

/// 9999-12-31T23:59:59.999Z in milliseconds: later instants can't be written in RFC 3339.
const LAST_WRITABLE: i64 = 253_402_300_799_999;
/// 0000-01-01T00:00:00Z.
const FIRST_WRITABLE: i64 = -62_167_219_200_000;

impl Moment {
    /// The door for instants: cut to milliseconds, and to the years 0 to 9999, so that each can be stored.
    pub(super) fn new(at: DateTime<Utc>) -> Self {
        let millis = at.timestamp_millis().clamp(FIRST_WRITABLE, LAST_WRITABLE);
        Self::Instant(DateTime::from_timestamp_millis(millis).unwrap_or_else(|| at.trunc_subsecs(3)))
    }

    /// Whether an instant passes the door as it is, but for its fractions.
    pub(super) fn is_writable(at: DateTime<Utc>) -> bool {
        (FIRST_WRITABLE..=LAST_WRITABLE).contains(&at.timestamp_millis())
    }

    pub(super) fn parse(text: &str) -> Result<Self, asyncz_grammar::SyntaxError> {
        let at = |millis| DateTime::from_timestamp_millis(millis).unwrap_or_default();
        Ok(match date::parse(text)? {
            Time::Instant { millis } => Self::new(at(millis)),
            Time::Local { millis } => Self::Naive(at(millis).naive_utc()),
        })
    }

    pub(super) fn instant(self, zone: Zone) -> DateTime<Utc> {
        match self {
            Self::Instant(at) => at,
            Self::Naive(local) => zone.resolve(local),
        }
    }

    pub(super) fn anchored(self, zone: Zone) -> Self {
        Self::new(self.instant(zone))
    }

    /// As [`Moment::parse`] reads it.
    pub(super) fn write(self) -> String {
        let (naive, mark) = match self {
            Self::Instant(at) => (at.naive_utc(), "Z"),
            Self::Naive(local) => (local, ""),
        };
        let (date, time) = (naive.date(), naive.time());
        let mut text = String::with_capacity("2026-11-22T09:00:00.000Z".len());
        // By hand: chrono's formats take ten times as long, and each task that is added has its trigger written.
        let mut number = |mark: &str, value: u32, digits: u32| {
            text.push_str(mark);
            let digit = |place| char::from(b'0' + (value / 10_u32.pow(place) % 10) as u8);
            text.extend((0..digits).rev().map(digit));
        };
        // Only years from 0 to 9999 pass the door.
        number("", date.year().unsigned_abs(), 4);
        number("-", date.month(), 2);
        number("-", date.day(), 2);
        number("T", time.hour(), 2);
        number(":", time.minute(), 2);
        number(":", time.second(), 2);
        let millis = time.nanosecond() / 1_000_000;
        if millis > 0 {
            number(".", millis, 3);
        }
        text.push_str(mark);
        text
    }

    /// For people: without the `T`.
    pub(super) fn describe(self) -> String {
        self.write().replacen('T', " ", 1).replacen('Z', " UTC", 1)
    }
}
