//! A cron in plain words.

use asyncz_grammar::cron::{Days, NthWeekdays, Pattern, Years};

use super::DayMatch;
use crate::triggers::describe::{list, month, ordinal, set, weekday};

/// More times than these are not listed one by one.
const MOST_TIMES: u32 = 6;

/// "at 09:00 on Monday to Friday in July".
pub(super) fn pattern(pattern: &Pattern, day_match: DayMatch) -> String {
    let either = pattern.either_day && day_match == DayMatch::Any;
    let times = times(pattern);
    let every_day = if times.is_some() { " every day" } else { "" };
    let days = match (days(pattern.days), weekdays(pattern)) {
        (None, None) => every_day.to_owned(),
        // All days are in one of the fields, and thus in either.
        (None, _) | (_, None) if either => every_day.to_owned(),
        (Some(one), None) | (None, Some(one)) => format!(" on {one}"),
        (Some(days), Some(weekdays)) if either => format!(" on {days} or on {weekdays}"),
        (Some(days), Some(weekdays)) => format!(" on {days} when that is {weekdays}"),
    };
    let months = match pattern.months {
        0b1_1111_1111_1110 => String::new(),
        months => format!(" in {}", set(months.into(), month)),
    };
    let weeks = match pattern.weeks {
        u64::MAX => String::new(),
        weeks => format!(" in ISO week {}", set(weeks, |week| week.to_string())),
    };
    let years =
        if pattern.years == Years::ALL { String::new() } else { format!(" in {}", years(pattern.years)) };
    times.unwrap_or_else(|| periods(pattern)) + &days + &months + &weeks + &years
}

/// "at 09:00 and 17:30", where the times are named and few.
fn times(pattern: &Pattern) -> Option<String> {
    let Pattern { seconds, minutes, hours, .. } = *pattern;
    let count = seconds.count_ones() * minutes.count_ones() * hours.count_ones();
    if !pattern.named || count > MOST_TIMES {
        return None;
    }
    let of = |bits: u64| (0..60).filter(move |n| bits >> n & 1 == 1);
    let mut times = Vec::new();
    for hour in of(hours.into()) {
        for minute in of(minutes) {
            for second in of(seconds) {
                let second = if seconds == 1 { String::new() } else { format!(":{second:02}") };
                times.push(format!("{hour:02}:{minute:02}{second}"));
            }
        }
    }
    Some(format!("at {}", list(&times)))
}

/// "every 5 minutes in hour 9 to 17".
fn periods(pattern: &Pattern) -> String {
    let Pattern { seconds, minutes, hours, .. } = *pattern;
    let hours = u64::from(hours);
    let number = |n: u32| n.to_string();
    if seconds == 1 && minutes == 1 {
        return match every(hours, 24, "hour") {
            Some(every) => every,
            None => format!("at {}", set(hours, |hour| format!("{hour:02}:00"))),
        };
    }
    let mut words = Vec::new();
    if seconds != 1 {
        words.push(
            every(seconds, 60, "second").unwrap_or_else(|| format!("at second {}", set(seconds, number))),
        );
    }
    match every(minutes, 60, "minute") {
        Some(_) if minutes.count_ones() == 60 && every(seconds, 60, "second").is_some() => {}
        Some(every) if seconds == 1 => words.push(every),
        Some(every) => words.push(format!("of {every}")),
        None => {
            words.push(format!("{} minute {}", if seconds == 1 { "at" } else { "of" }, set(minutes, number)))
        }
    }
    match every(hours, 24, "hour") {
        Some(_) if hours.count_ones() == 24 && every(minutes, 60, "minute").is_some() => {}
        Some(every) => words.push(format!("of {every}")),
        None => words.push(format!("in hour {}", set(hours, number))),
    }
    words.join(" ")
}

/// "every second", "every 5 seconds", where it is as long from the last value to the first as between the others.
fn every(bits: u64, length: u32, unit: &str) -> Option<String> {
    let second = (bits & !1).trailing_zeros();
    let expected = (0..length).step_by(second.max(1) as usize).fold(0_u64, |bits, n| bits | 1 << n);
    match second {
        1 if bits == expected => Some(format!("every {unit}")),
        2.. if second < length && length.is_multiple_of(second) && bits == expected => {
            Some(format!("every {second} {unit}s"))
        }
        _ => None,
    }
}

/// "the 1st, the 15th and the last day of the month".
fn days(days: Days) -> Option<String> {
    if days.plain == u32::MAX - 1 {
        return None;
    }
    let mut items = Vec::new();
    if days.plain != 0 {
        items.push(set(days.plain.into(), |day| format!("the {}", ordinal(day))));
    }
    items.extend(bits(days.nearest_workday).map(|day| match day {
        0 => "the last workday".to_owned(),
        day => format!("the workday nearest to the {}", ordinal(day)),
    }));
    nth(days.nth, &mut items);
    items.extend(bits(days.before_last).map(|day| match day {
        0 => "the last day".to_owned(),
        1 => "the day before the last".to_owned(),
        day => format!("{day} days before the last"),
    }));
    Some(format!("{} of the month", list(&items)))
}

/// "Monday to Friday and the 1st Saturday of the month".
fn weekdays(pattern: &Pattern) -> Option<String> {
    let weekdays = pattern.weekdays;
    if weekdays.plain == 0x7f {
        return None;
    }
    let mut items = Vec::new();
    if weekdays.plain != 0 {
        items.push(set(weekdays.plain.into(), weekday));
    }
    let plain = items.len();
    nth(weekdays.nth, &mut items);
    Some(list(&items) + if items.len() > plain { " of the month" } else { "" })
}

fn nth(nth: NthWeekdays, items: &mut Vec<String>) {
    for n in 0..=NthWeekdays::LAST {
        let which = if n == NthWeekdays::LAST { "last".to_owned() } else { ordinal(n + 1) };
        items.extend(bits(nth.of(n).into()).map(|day| format!("the {which} {}", weekday(day))));
    }
}

/// "2026 to 2030 and from 2040 on".
fn years(years: Years) -> String {
    // A set keeps the years that a search reaches: one that holds to its end goes on.
    const LAST: i32 = 2225;
    let mut items = Vec::new();
    let mut year = 1970;
    while year <= LAST {
        let run = (year..=LAST).take_while(|year| years.contains(*year)).count() as i32;
        match run {
            0 => {}
            1 => items.push(year.to_string()),
            2 => items.extend([year.to_string(), (year + 1).to_string()]),
            _ if year + run > LAST => items.push(format!("{year} and later")),
            _ => items.push(format!("{year} to {}", year + run - 1)),
        }
        year += run.max(1);
    }
    if items.is_empty() { "a year after 2225".to_owned() } else { list(&items) }
}

fn bits(bits: u32) -> impl Iterator<Item = u32> {
    (0..32).filter(move |n| bits >> n & 1 == 1)
}
