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
const DAY: u64 = 86_400;
const ALL_DAYS: u32 = !1;
const ALL_MONTHS: u16 = 0b1_1111_1111_1110;
const ALL_WEEKDAYS: u8 = 0x7f;
const END: i64 = days_since_1970(LAST_YEAR as i32 + 1, 1, 1) as i64 * DAY as i64;

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
        if self.weekly { self.weekly(from as u64) } else { self.by_calendar(from as u64) }
    }

    #[inline]
    fn weekly(&self, from: u64) -> Option<i64> {
        let today = (from / DAY) as u32;
        // Bit n is the weekday n days from now, for two weeks; 1970-01-01 was a Thursday.
        let ahead = (u32::from(self.weekdays) * 0x4081) >> ((today + 3) % 7);
        if ahead & 1 == 1
            && let Some(time) = self.later_today(from)
        {
            return Some(time);
        }
        let time = self.first_time(today + (ahead & !1).trailing_zeros());
        (time < END).then_some(time)
    }

    #[inline(never)] // It would cost the weekly ones a stack frame.
    fn by_calendar(&self, from: u64) -> Option<i64> {
        let today = (from / DAY) as u32;
        let (mut year, mut month, day) = date(today);
        let mut days = if self.months >> month & 1 == 1 { self.days_of(year, month) } else { 0 };
        if days >> day & 1 == 1
            && let Some(time) = self.later_today(from)
        {
            return Some(time);
        }
        days &= (u64::MAX << (day + 1)) as u32;
        loop {
            if let Some(day) = least(u64::from(days)) {
                return Some(self.first_time(days_since_1970(year as i32, month as i32, day as i32) as u32));
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

    /// The first matching second of a day that matches.
    fn first_time(&self, day: u32) -> i64 {
        i64::from(day) * DAY as i64 + i64::from(self.hours.trailing_zeros()) * 3600 + self.first_of_hour()
    }

    fn first_of_hour(&self) -> i64 {
        i64::from(self.minutes.trailing_zeros() * 60 + self.seconds.trailing_zeros())
    }

    /// The least matching second at or after `from` on the same day, which matches.
    ///
    /// The finest part that can change does, and the rest of `from` is kept: to put the answer together from its
    /// parts would take twice as long.
    #[inline]
    fn later_today(&self, from: u64) -> Option<i64> {
        let (hour, minute, second) = (from / 3600 % 24, from / 60 % 60, from % 60);
        if self.hours >> hour & 1 == 1 {
            if self.minutes >> minute & 1 == 1
                && let Some(later) = least(self.seconds & u64::MAX << second)
            {
                return Some((from - second) as i64 + i64::from(later));
            }
            if let Some(later) = least(self.minutes & u64::MAX << (minute + 1)) {
                let later = i64::from(later * 60 + self.seconds.trailing_zeros());
                return Some((from - from % 3600) as i64 + later);
            }
        }
        let later = least(u64::from(self.hours) & u64::MAX << (hour + 1))?;
        Some((from - from % DAY) as i64 + i64::from(later) * 3600 + self.first_of_hour())
    }

    /// The days of a month that match, day `n` in bit `n`.
    fn days_of(&self, year: u32, month: u32) -> u32 {
        let month = Month { year, month, length: length(year, month) };
        let weekdays = month.weekdays(self.weekdays);
        let days = match &self.rare {
            None => self.choose(self.days, weekdays),
            Some(rare) if !rare.years.contains(year as i32) => 0,
            Some(rare) => {
                let days = self.days | month.special_days(rare.days);
                self.choose(days, weekdays | month.nth(rare.nth_weekdays)) & month.weeks(rare.weeks)
            }
        };
        days & (u32::MAX >> (31 - month.length)) & ALL_DAYS
    }

    fn choose(&self, days: u32, weekdays: u32) -> u32 {
        if self.either_day { days | weekdays } else { days & weekdays }
    }
}

/// A month, for sets of its days: day `n` is bit `n`.
struct Month {
    year: u32,
    month: u32,
    length: u32,
}

impl Month {
    /// In days since 1970.
    fn day(&self, day: u32) -> u32 {
        days_since_1970(self.year as i32, self.month as i32, day as i32) as u32
    }

    /// Monday is 0; 1970-01-01 was a Thursday.
    fn weekday(&self, day: u32) -> u32 {
        (self.day(day) + 3) % 7
    }

    /// All days that are one of these weekdays (bit 0 is Monday): seven bits, turned until the first is the 1st's
    /// weekday, and repeated five times.
    fn weekdays(&self, weekdays: u8) -> u32 {
        // Most crons don't mind, and need not wait for the weekday of the 1st.
        if weekdays == ALL_WEEKDAYS {
            return ALL_DAYS;
        }
        let week = u64::from(weekdays) << 7 | u64::from(weekdays);
        let turned = week >> self.weekday(1) & 0x7f;
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
        match self.weekday(day) {
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
        let first = self.day(1);
        let mut monday = 8 - self.weekday(1);
        while monday <= self.length + 7 {
            let thursday = first + monday + 3 - 8;
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
    // As in `days_since_1970`, years begin in March. Counted in quarters of a day, a century has 146,097 and a year
    // 1,461; the last quarter of each day (`| 3`) is in the year the day belongs to. From March on the month is
    // (2141 n + 197,913) / 65,536 of the n-th day, and the remainder by 2141 the day: a division saved, and a third
    // of the time (Neri and Schneider, "Euclidean affine functions", 2021).
    let quarters = 4 * (days + 719_468) + 3;
    let (century, of_century) = (quarters / 146_097, (quarters % 146_097) | 3);
    let (year, of_year) = (of_century / 1461, of_century % 1461 / 4);
    let months = 2141 * of_year + 197_913;
    let (month, day) = (months >> 16, (months & 0xffff) / 2141 + 1);
    let next_year = u32::from(of_year >= 306); // from January
    (century * 100 + year + next_year, month - 12 * next_year, day)
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
            let month = Month { year, month, length: length(year, month) };
            assert_eq!(month.weekdays(1 << known.weekday().num_days_from_monday()) >> day & 1, 1, "{known}");
            assert_eq!(month.weeks(1 << known.iso_week().week()) >> day & 1, 1, "{known}");
            assert_eq!(month.length, u32::from(known.num_days_in_month()), "{known}");
        }
    }
}
