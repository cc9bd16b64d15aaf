//! The evaluator: which wall-clock time comes next.
//!
//! A plan is a handful of bit sets, so that "the least matching value from here on" is a mask and a count of trailing
//! zeros. Which days of a month match is one such set, made afresh for each month that is looked at: with it the
//! week, the n-th Friday and the nearest workday are no special cases but a few more bits. Nothing here knows of
//! zones: [`Zone::next`](crate::zone::Zone) walks real time and asks [`Plan::next`] for wall-clock times.

use asyncz_grammar::cron::{Days, NthWeekdays, Pattern, Years};
use asyncz_grammar::date::days_since_1970;

/// The last year that is searched.
const LAST_YEAR: u32 = 2200;
const DAY: i64 = 86_400;
const ALL_DAYS: u32 = !1;
const ALL_MONTHS: u16 = 0b1_1111_1111_1110;
const ALL_WEEKDAYS: u8 = 0x7f;
const END: i64 = days_since_1970(LAST_YEAR as i32 + 1, 1, 1) as i64 * DAY;

/// A [`Pattern`] made small: what only few crons say stands apart.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    seconds: u64,
    minutes: u64,
    hours: u32,
    days: u32,
    months: u16,
    weekdays: u8,
    either_day: bool,
    pub(super) named: bool,
    /// Days are told apart by their weekday alone, if at all: true of most crons, which need no calendar then.
    weekly: bool,
    rare: Option<Box<Rare>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Rare {
    days: Days,
    nth_weekdays: NthWeekdays,
    weeks: u64,
    years: Years,
}

impl Plan {
    pub(super) fn new(pattern: &Pattern, either_day: bool) -> Self {
        let Pattern { seconds, minutes, hours, months, days, weekdays, weeks, years, named, .. } = *pattern;
        let rare = Rare { days: Days { plain: 0, ..days }, nth_weekdays: weekdays.nth, weeks, years };
        let usual = Rare {
            days: Days::default(),
            nth_weekdays: NthWeekdays::default(),
            weeks: u64::MAX,
            years: Years::ALL,
        };
        let is_rare = rare != usual;
        Self {
            seconds,
            minutes,
            hours,
            days: days.plain,
            months,
            weekdays: weekdays.plain,
            either_day,
            named,
            weekly: !is_rare && days.plain == ALL_DAYS && months == ALL_MONTHS && !either_day,
            rare: is_rare.then(|| Box::new(rare)),
        }
    }

    /// The least matching wall-clock time at or after `from`, in seconds since 1970 on that clock, before 2201.
    #[inline]
    pub(super) fn next(&self, from: i64) -> Option<i64> {
        let from = from.max(0);
        if from >= END {
            return None;
        }
        let (today, now) = ((from / DAY) as u32, (from % DAY) as u32);
        let (day, time) = if self.weekly { self.weekly(today, now)? } else { self.by_calendar(today, now)? };
        Some(i64::from(day) * DAY + i64::from(time))
    }

    fn weekly(&self, today: u32, now: u32) -> Option<(u32, u32)> {
        // Bit n is the weekday n days from now, for two weeks; 1970-01-01 was a Thursday.
        let ahead = (u32::from(self.weekdays) * 0x4081) >> ((today + 3) % 7);
        if ahead & 1 == 1
            && let Some(time) = self.time(now)
        {
            return Some((today, time));
        }
        let day = today + (ahead & !1).trailing_zeros();
        (i64::from(day) * DAY < END).then(|| (day, self.first_time()))
    }

    #[inline(never)] // It would cost the weekly ones a stack frame.
    fn by_calendar(&self, today: u32, now: u32) -> Option<(u32, u32)> {
        let (mut year, mut month, day) = date(today);
        let mut days = if self.months >> month & 1 == 1 { self.days_of(year, month) } else { 0 };
        if days >> day & 1 == 1
            && let Some(time) = self.time(now)
        {
            return Some((today, time));
        }
        days &= u32::MAX.checked_shl(day + 1).unwrap_or(0);
        loop {
            if let Some(day) = least(u64::from(days)) {
                return Some((
                    days_since_1970(year as i32, month as i32, day as i32) as u32,
                    self.first_time(),
                ));
            }
            (year, month) = match least(u64::from(self.months) & u64::MAX << (month + 1)) {
                Some(later) => (year, later),
                None => (year + 1, self.months.trailing_zeros()),
            };
            if year > LAST_YEAR {
                return None;
            }
            days = self.days_of(year, month);
        }
    }

    fn first_time(&self) -> u32 {
        (self.hours.trailing_zeros() * 60 + self.minutes.trailing_zeros()) * 60
            + self.seconds.trailing_zeros()
    }

    /// The least matching second of a day at or after `from`.
    fn time(&self, from: u32) -> Option<u32> {
        let (hour, minute, second) = (from / 3600, from / 60 % 60, from % 60);
        if self.hours >> hour & 1 == 1 {
            if self.minutes >> minute & 1 == 1
                && let Some(second) = least(self.seconds & u64::MAX << second)
            {
                return Some((hour * 60 + minute) * 60 + second);
            }
            if let Some(minute) = least(self.minutes & u64::MAX << (minute + 1)) {
                return Some((hour * 60 + minute) * 60 + self.seconds.trailing_zeros());
            }
        }
        let hour = least(u64::from(self.hours) & u64::MAX << (hour + 1))?;
        Some((hour * 60 + self.minutes.trailing_zeros()) * 60 + self.seconds.trailing_zeros())
    }

    /// The days of a month that match, day `n` in bit `n`.
    fn days_of(&self, year: u32, month: u32) -> u32 {
        let length = length(year, month);
        let all = u32::MAX >> (31 - length) & ALL_DAYS;
        if self.rare.is_none() && self.weekdays == ALL_WEEKDAYS && !self.either_day {
            return self.days & all;
        }
        let first = days_since_1970(year as i32, month as i32, 1) as u32;
        let month = Month { first, weekday: (first + 3) % 7, length };
        let weekdays = month.weekdays(self.weekdays);
        let Some(rare) = &self.rare else {
            return self.choose(self.days, weekdays) & all;
        };
        if !rare.years.contains(year as i32) {
            return 0;
        }
        let days = self.days | month.special_days(rare.days);
        self.choose(days, weekdays | month.nth(rare.nth_weekdays)) & month.weeks(rare.weeks) & all
    }

    fn choose(&self, days: u32, weekdays: u32) -> u32 {
        if self.either_day { days | weekdays } else { days & weekdays }
    }
}

/// A month, for sets of its days: day `n` is bit `n`.
struct Month {
    first: u32,
    /// Of the 1st; Monday is 0.
    weekday: u32,
    length: u32,
}

impl Month {
    /// All days that are one of these weekdays (bit 0 is Monday): seven bits, turned until the first is the 1st's
    /// weekday, and repeated five times.
    fn weekdays(&self, weekdays: u8) -> u32 {
        let week = u64::from(weekdays) << 7 | u64::from(weekdays);
        let turned = week >> self.weekday & 0x7f;
        (turned << 1 | turned << 8 | turned << 15 | turned << 22 | turned << 29) as u32
    }

    fn nth(&self, nth: NthWeekdays) -> u32 {
        if nth.bits == 0 {
            return 0;
        }
        let within = |n: u32, from: u32| self.weekdays(nth.of(n)) & (0x7f_u64 << from) as u32;
        (0..5).fold(within(NthWeekdays::LAST, self.length - 6), |days, n| days | within(n, 7 * n + 1))
    }

    fn special_days(&self, special: Days) -> u32 {
        // Bit n stands for the day n before the last: turned round, it is n before bit 31.
        let mut days = special.before_last.reverse_bits() >> (31 - self.length);
        let mut workdays = special.nearest_workday;
        while let Some(day) = least(u64::from(workdays)) {
            workdays &= workdays - 1;
            days |= 1 << self.nearest_workday(if day == 0 { self.length } else { day });
        }
        days | self.nth(special.nth)
    }

    /// The workday nearest to a day, in the same month; 0 where the month lacks the day.
    fn nearest_workday(&self, day: u32) -> u32 {
        match (self.weekday + day - 1) % 7 {
            _ if day > self.length => 0,
            5 if day > 1 => day - 1,
            5 => day + 2,
            6 if day < self.length => day + 1,
            6 => day - 2,
            _ => day,
        }
    }

    /// The days in these ISO weeks. A week has the number of its Thursday's year (ISO 8601).
    fn weeks(&self, weeks: u64) -> u32 {
        if weeks == u64::MAX {
            return u32::MAX;
        }
        // Bit 7 is the 1st here, as the week of the 1st may begin before it.
        let mut days = 0_u64;
        let mut monday = 8 - self.weekday;
        while monday <= self.length + 7 {
            let thursday = self.first + monday + 3 - 8;
            let new_year = days_since_1970(date(thursday).0 as i32, 1, 1) as u32;
            days |= (weeks >> ((thursday - new_year) / 7 + 1) & 1) * (0x7f << (monday - 1));
            monday += 7;
        }
        (days >> 6) as u32
    }
}

/// 30 or 31 by turns, the turn changing in August.
fn length(year: u32, month: u32) -> u32 {
    if month == 2 { 28 + u32::from(is_leap(year)) } else { 30 | (month ^ month >> 3) }
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn least(bits: u64) -> Option<u32> {
    (bits != 0).then(|| bits.trailing_zeros())
}

/// Year, month and day from days since 1970.
fn date(days: u32) -> (u32, u32, u32) {
    // As in `days_since_1970`, years begin in March. In such a year of n days the month is (5 n + 2) / 153; in a
    // quadrennium of 1,461 days, a century of 36,524 and a cycle of 146,097 the last day is the odd one.
    let days = days + 719_468;
    let (cycle, of_cycle) = (days / 146_097, days % 146_097);
    let year = (of_cycle - of_cycle / 1460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (cycle * 400 + year + u32::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Datelike, NaiveDate};

    #[test]
    fn dates_and_months_are_those_of_the_calendar() {
        for days in 0..days_since_1970(LAST_YEAR as i32 + 1, 1, 1) {
            let known = NaiveDate::from_epoch_days(days).expect("in chrono's range");
            let (year, month, day) = date(days as u32);
            assert_eq!((year as i32, month, day), (known.year(), known.month(), known.day()));
            let first = days as u32 + 1 - day;
            let month = Month { first, weekday: (first + 3) % 7, length: length(year, month) };
            assert_eq!(month.weekdays(1 << known.weekday().num_days_from_monday()) >> day & 1, 1, "{known}");
            assert_eq!(month.weeks(1 << known.iso_week().week()) >> day & 1, 1, "{known}");
            assert_eq!(month.length, u32::from(known.num_days_in_month()), "{known}");
        }
    }
}
