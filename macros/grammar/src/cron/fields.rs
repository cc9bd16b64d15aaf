//! Cron fields: Asyncz's form, a text for each part of the time.

use super::unit::Unit;
use super::{Days, NthWeekdays, Pattern, Weekdays};
use crate::SyntaxError;

const YEAR: Unit = Unit::FIELDS[0];
const MONTH: Unit = Unit::FIELDS[1];
const DAY: Unit = Unit::FIELDS[2];
const WEEK: Unit = Unit::FIELDS[3];
const DAY_OF_WEEK: Unit = Unit::FIELDS[4];
const HOUR: Unit = Unit::FIELDS[5];
const MINUTE: Unit = Unit::FIELDS[6];
const SECOND: Unit = Unit::FIELDS[7];

/// The names of the fields, from the greatest to the least.
pub const FIELD_NAMES: [&str; 8] =
    ["year", "month", "day", "week", "day_of_week", "hour", "minute", "second"];

/// What stands in the fields that are not given but are below a given one. Week and weekday have no least value.
const MINIMA: [&str; 8] = ["1970", "1", "1", "*", "*", "0", "0", "0"];

/// The text of each field, in the order of [`FIELD_NAMES`]; `None` where it is not given.
pub type Fields<'a> = [Option<&'a str>; 8];

/// Reads cron fields; all that are given must match.
///
/// A field is a comma list of `*`, `*/n`, `a`, `a/n`, `a-b` and `a-b/n`; months and weekdays (0 is Monday) have
/// names; `day` may also be `last`, `last fri` and `1st mon` to `5th sun`; `week` is the ISO week. Fields below the
/// lowest given one take their least value, the others are `*`.
///
/// ```
/// use asyncz_grammar::cron::{parse_expression, parse_fields};
/// let nine = parse_fields(&[None, None, None, None, Some("mon-fri"), Some("9"), None, None])?;
/// assert_eq!(nine, parse_expression("0 9 * * mon-fri")?);
/// # Ok::<(), asyncz_grammar::SyntaxError>(())
/// ```
///
/// # Errors
///
/// When no field is given, or one can't be read.
pub fn parse_fields(fields: &Fields<'_>) -> Result<Pattern, SyntaxError> {
    let Some(lowest) = fields.iter().rposition(Option::is_some) else {
        let names = FIELD_NAMES.join(", ");
        return Err(SyntaxError::new(format!("no field is given: write at least one of {names}")));
    };
    let filled_in = |place: usize| match fields[place] {
        Some(text) => text,
        None if place > lowest => MINIMA[place],
        None => "*",
    };
    let [year, month, day, week, day_of_week, hour, minute, second] = std::array::from_fn(filled_in);
    let (hours, plain_hour) = HOUR.set(hour)?;
    let (minutes, plain_minute) = MINUTE.set(minute)?;
    let (seconds, plain_second) = SECOND.set(second)?;
    Ok(Pattern {
        seconds,
        minutes,
        hours: hours as u32,
        days: days(day)?,
        months: MONTH.set(month)?.0 as u16,
        weekdays: Weekdays { plain: DAY_OF_WEEK.set(day_of_week)?.0 as u8, nth: NthWeekdays::default() },
        weeks: if week == "*" { u64::MAX } else { WEEK.set(week)?.0 },
        years: YEAR.years(year)?,
        either_day: false,
        named: plain_hour && plain_minute && plain_second,
    })
}

fn days(list: &str) -> Result<Days, SyntaxError> {
    let mut days = Days::default();
    DAY.items(list, |item| {
        let mut words = item.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some(word), None, None) if word.eq_ignore_ascii_case("last") => days.before_last |= 1,
            (Some(word), Some(weekday), None) => days.nth.insert(
                ordinal(word).ok_or_else(|| wrong_pair(item))?,
                DAY_OF_WEEK.value(weekday, item).map_err(|_| wrong_pair(item))?,
            ),
            _ => days.plain |= DAY.span(item)?.bits() as u32,
        }
        Ok(())
    })?;
    Ok(days)
}

fn ordinal(word: &str) -> Option<u32> {
    ["1st", "2nd", "3rd", "4th", "5th", "last"]
        .iter()
        .position(|known| known.eq_ignore_ascii_case(word))
        .map(|place| place as u32)
}

fn wrong_pair(item: &str) -> SyntaxError {
    DAY.error(item, "write `last`, `last fri`, or `1st mon` to `5th sun`")
}
