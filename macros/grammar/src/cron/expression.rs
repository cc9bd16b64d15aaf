//! Cron expressions: what people write in crontabs.

use super::unit::Unit;
use super::{Days, NthWeekdays, Pattern, Weekdays};
use crate::SyntaxError;

const SECOND: Unit = Unit::EXPRESSION[0];
const MINUTE: Unit = Unit::EXPRESSION[1];
const HOUR: Unit = Unit::EXPRESSION[2];
const DAY: Unit = Unit::EXPRESSION[3];
const MONTH: Unit = Unit::EXPRESSION[4];
const WEEKDAY: Unit = Unit::EXPRESSION[5];
const YEAR: Unit = Unit::EXPRESSION[6];

/// The macros of crontab(5), in either case, and what they stand for.
const MACROS: [(&str, [&str; 7]); 7] = [
    ("@yearly", ["0", "0", "0", "1", "1", "*", "*"]),
    ("@annually", ["0", "0", "0", "1", "1", "*", "*"]),
    ("@monthly", ["0", "0", "0", "1", "*", "*", "*"]),
    ("@weekly", ["0", "0", "0", "*", "*", "0", "*"]),
    ("@daily", ["0", "0", "0", "*", "*", "*", "*"]),
    ("@midnight", ["0", "0", "0", "*", "*", "*", "*"]),
    ("@hourly", ["0", "0", "*", "*", "*", "*", "*"]),
];

/// Reads a cron expression.
///
/// Five fields (minute, hour, day, month, weekday), six with the second first, seven with the year last; or one of
/// `@yearly @annually @monthly @weekly @daily @midnight @hourly`. Weekday 0 and 7 are Sunday, 1 is Monday. Days may
/// be `L`, `L-n`, `nW` and `LW`, weekdays `fri#2` and `friL`; `?` is `*`. As in crontab(5), where both day fields
/// are restricted (neither begins with `*`, nor is `?`) a day matches that is in either of them.
///
/// ```
/// use asyncz_grammar::cron::parse_expression;
/// assert_eq!(parse_expression("@hourly")?, parse_expression("0 * * * *")?);
/// let error = parse_expression("0 9 * * fri-mon").unwrap_err();
/// assert_eq!(error.to_string(), "weekday `fri-mon`: the range runs backwards: write `fri-sun,mon`");
/// # Ok::<(), asyncz_grammar::SyntaxError>(())
/// ```
///
/// # Errors
///
/// When the expression is empty, has fewer than five fields or more than seven, or a field can't be read.
pub fn parse_expression(text: &str) -> Result<Pattern, SyntaxError> {
    let [second, minute, hour, day, month, weekday, year] = split(text)?;
    let (seconds, plain_second) = SECOND.set(second)?;
    let (minutes, plain_minute) = MINUTE.set(minute)?;
    let (hours, plain_hour) = HOUR.set(hour)?;
    Ok(Pattern {
        seconds,
        minutes,
        hours: hours as u32,
        days: days(day)?,
        months: MONTH.set(month)?.0 as u16,
        weekdays: weekdays(weekday)?,
        weeks: u64::MAX,
        years: YEAR.years(year)?,
        either_day: is_restricted(day) && is_restricted(weekday),
        named: plain_second && plain_minute && plain_hour,
    })
}

/// The seven fields, with those that are not given filled in.
fn split(text: &str) -> Result<[&str; 7], SyntaxError> {
    let mut parts = [""; 7];
    let mut count = 0;
    for part in text.split_whitespace() {
        if let Some(place) = parts.get_mut(count) {
            *place = part;
        }
        count += 1;
    }
    let [a, b, c, d, e, f, _] = parts;
    match count {
        1 if a.starts_with('@') => named_macro(a),
        5 => Ok(["0", a, b, c, d, e, "*"]),
        6 => Ok([a, b, c, d, e, f, "*"]),
        7 => Ok(parts),
        0 => Err(SyntaxError::new("the expression is empty: write five fields, such as `0 9 * * mon-fri`")),
        _ => Err(SyntaxError::new(format!(
            "expression `{text}` has {count} field{}: write 5 (minute hour day month weekday), 6 (second first) \
             or 7 fields (year last)",
            if count == 1 { "" } else { "s" }
        ))),
    }
}

fn named_macro(name: &str) -> Result<[&'static str; 7], SyntaxError> {
    MACROS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, fields)| *fields).ok_or_else(
        || {
            let known = MACROS.map(|(name, _)| name).join(" ");
            SyntaxError::new(format!("expression `{name}`: write one of {known}, or five fields"))
        },
    )
}

/// As crontab(5) has it: `*/2` is not restricted, so that `0 0 */2 * mon` is the Mondays on odd days.
fn is_restricted(field: &str) -> bool {
    !field.starts_with('*') && field != "?"
}

fn days(list: &str) -> Result<Days, SyntaxError> {
    let mut days = Days::default();
    DAY.items(list, |item| {
        if item.eq_ignore_ascii_case("l") {
            days.before_last |= 1;
        } else if item.eq_ignore_ascii_case("lw") {
            days.nearest_workday |= 1;
        } else if let Some(n) = item.strip_prefix(['l', 'L']).and_then(|rest| rest.strip_prefix('-')) {
            days.before_last |= 1 << number(n, 30).ok_or_else(|| DAY.error(item, "write `L-1` to `L-30`"))?;
        } else if let Some(n) = item.strip_suffix(['w', 'W']) {
            days.nearest_workday |=
                1 << number(n, 31).ok_or_else(|| DAY.error(item, "write `1W` to `31W` or `LW`"))?;
        } else {
            days.plain |= DAY.span(item)?.bits() as u32;
        }
        Ok(())
    })?;
    Ok(days)
}

fn weekdays(list: &str) -> Result<Weekdays, SyntaxError> {
    let mut weekdays = Weekdays::default();
    WEEKDAY.items(list, |item| {
        if let Some((day, n)) = item.split_once('#') {
            let n = number(n, 5).ok_or_else(|| WEEKDAY.error(item, "write `fri#1` to `fri#5`"))?;
            weekdays.nth.insert(n - 1, monday_first(WEEKDAY.value(day, item)?));
        } else if let Some(day) = item.strip_suffix(['l', 'L']) {
            if day.is_empty() {
                return Err(WEEKDAY.error(item, "write which weekday is to be the last, such as `friL`"));
            }
            weekdays.nth.insert(NthWeekdays::LAST, monday_first(WEEKDAY.value(day, item)?));
        } else {
            let from_sunday = WEEKDAY.span(item)?.bits() as u8;
            // Bits 1 to 7 are Monday to Sunday; bit 0 is Sunday again.
            weekdays.plain |= from_sunday >> 1 | (from_sunday & 1) << 6;
        }
        Ok(())
    })?;
    Ok(weekdays)
}

/// From 0 or 7 for Sunday to 0 for Monday.
fn monday_first(weekday: u32) -> u32 {
    (weekday + 6) % 7
}

/// A number from 1 to `max`.
fn number(text: &str, max: u32) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|n| digits && (1..=max).contains(n))
}
