//! Cron texts: the fields of Asyncz and the expressions of crontabs, both read into one [`Pattern`] of bit sets.

mod expression;
mod fields;
mod unit;

pub use expression::parse_expression;
pub use fields::{FIELD_NAMES, Fields, parse_fields};

/// Which values of each part of a wall-clock time match. In every set bit `n` stands for the value `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// 0 to 59.
    pub seconds: u64,
    /// 0 to 59.
    pub minutes: u64,
    /// 0 to 23.
    pub hours: u32,
    /// 1 to 12.
    pub months: u16,
    /// Days of the month.
    pub days: Days,
    /// Days of the week.
    pub weekdays: Weekdays,
    /// ISO weeks, 1 to 53.
    pub weeks: u64,
    /// Years.
    pub years: Years,
    /// Whether a day matches that is in `days` or in `weekdays`; otherwise it must be in both.
    pub either_day: bool,
    /// Whether second, minute and hour are all plain values or lists of them: the times are named one by one, and
    /// "smart" DST gives each of them once a day. With `*`, `/` or `-` they are periodic.
    pub named: bool,
}

/// A set of days of the month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Days {
    /// Days 1 to 31, in their bits.
    pub plain: u32,
    /// Bit `n`: the day `n` days before the last one; bit 0 is the last day.
    pub before_last: u32,
    /// Bit `n`: the working day (Monday to Friday) nearest to day `n`, in the same month; bit 0 is the last one.
    pub nearest_workday: u32,
    /// The n-th of a weekday.
    pub nth: NthWeekdays,
}

/// A set of days of the week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weekdays {
    /// Bit 0 is Monday, bit 6 Sunday.
    pub plain: u8,
    /// Only the n-th of a weekday in its month.
    pub nth: NthWeekdays,
}

/// A set of "first Monday" to "fifth Sunday" and "last Monday" to "last Sunday" of a month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NthWeekdays {
    /// Bit `7 n + weekday` (Monday is 0); `n` is 0 for the first to 4 for the fifth, and 5 for the last.
    pub bits: u64,
}

impl NthWeekdays {
    /// The `n` that stands for the last one.
    pub const LAST: u32 = 5;

    fn insert(&mut self, n: u32, weekday: u32) {
        self.bits |= 1 << (7 * n + weekday);
    }

    /// The weekdays (bit 0 is Monday) whose `n`-th is in the set.
    pub fn of(self, n: u32) -> u8 {
        (self.bits >> (7 * n)) as u8 & 0x7f
    }
}

/// A set of years. Years from 1970 to 9999 may be written; those that no search reaches (above 2225) are not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Years {
    words: [u64; 4],
}

impl Years {
    /// Every year.
    pub const ALL: Self = Self { words: [u64::MAX; 4] };
    pub(crate) const NONE: Self = Self { words: [0; 4] };
    const FIRST: u32 = 1970;

    /// Whether the year is in the set; years before 1970 are in none.
    pub fn contains(&self, year: i32) -> bool {
        let index = i64::from(year) - i64::from(Self::FIRST);
        (0..256).contains(&index) && self.words[index as usize / 64] >> (index % 64) & 1 == 1
    }

    fn insert(&mut self, from: u32, to: u32, step: u32) {
        for year in (from..=to.min(Self::FIRST + 255)).step_by(step as usize) {
            let index = year - Self::FIRST;
            self.words[index as usize / 64] |= 1 << (index % 64);
        }
    }
}
