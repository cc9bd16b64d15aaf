//! Which days match: every day of six years against the words of the contract, said once more without a single bit.

use asyncz::{AndTrigger, CronTrigger, DayMatch, IntervalTrigger, Trigger};
use chrono::{Datelike, NaiveDate, NaiveTime, TimeDelta};

use super::random::join;
use super::{Random, at, instants};

enum Days {
    Any,
    Plain(Vec<i64>),
    BeforeLast(i64),
    NearestWorkday(i64),
    LastWorkday,
}

/// 0 and 7 are Sunday.
enum Weekdays {
    Any,
    Plain(Vec<i64>),
    Nth(i64, i64),
    Last(i64),
}

fn last_of_month(date: NaiveDate) -> i64 {
    date.num_days_in_month().into()
}

impl Days {
    fn random(random: &mut Random) -> Self {
        match random.number(0, 6) {
            0 => Self::BeforeLast(random.number(0, 30)),
            1 | 2 => Self::NearestWorkday(random.number(1, 31)),
            3 => Self::LastWorkday,
            4 | 5 => Self::Plain(random.values(1, 31)),
            _ => Self::Any,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Any => "*".to_owned(),
            Self::Plain(days) => join(days),
            Self::BeforeLast(0) => "L".to_owned(),
            Self::BeforeLast(n) => format!("L-{n}"),
            Self::NearestWorkday(n) => format!("{n}W"),
            Self::LastWorkday => "LW".to_owned(),
        }
    }

    fn has(&self, date: NaiveDate) -> bool {
        let day = i64::from(date.day());
        match self {
            Self::Any => true,
            Self::Plain(days) => days.contains(&day),
            Self::BeforeLast(n) => day == last_of_month(date) - n,
            Self::NearestWorkday(n) => *n <= last_of_month(date) && nearest_workday(date, *n) == day,
            Self::LastWorkday => nearest_workday(date, last_of_month(date)) == day,
        }
    }
}

/// Of all workdays of the month the one that is nearest; Friday and Monday are never equally near.
fn nearest_workday(date: NaiveDate, to: i64) -> i64 {
    let month = date.with_day(1).expect("a 1st").iter_days().take(last_of_month(date) as usize);
    let workdays =
        month.filter(|day| day.weekday().num_days_from_monday() < 5).map(|day| i64::from(day.day()));
    workdays.min_by_key(|day| (day - to).abs()).expect("every month has workdays")
}

impl Weekdays {
    fn random(random: &mut Random) -> Self {
        match random.number(0, 6) {
            0 | 1 => Self::Nth(random.number(0, 7), random.number(1, 5)),
            2 => Self::Last(random.number(0, 7)),
            3 => Self::Plain((0..7).collect()),
            4 | 5 => Self::Plain(random.values(0, 7)),
            _ => Self::Any,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Any => "?".to_owned(),
            Self::Plain(days) => join(days),
            Self::Nth(day, n) => format!("{day}#{n}"),
            Self::Last(day) => format!("{day}L"),
        }
    }

    fn has(&self, date: NaiveDate) -> bool {
        let is = |day: &i64| day % 7 == i64::from(date.weekday().num_days_from_sunday());
        match self {
            Self::Any => true,
            Self::Plain(days) => days.iter().any(is),
            Self::Nth(day, n) => is(day) && (i64::from(date.day()) - 1) / 7 + 1 == *n,
            Self::Last(day) => is(day) && i64::from(date.day()) + 7 > last_of_month(date),
        }
    }
}

#[test]
fn expressions_match_the_days_they_name() {
    for seed in 0..250 {
        let mut random = Random(seed);
        let (days, weekdays) = (Days::random(&mut random), Weekdays::random(&mut random));
        let months = if random.one_in(2) { (1..=12).collect() } else { random.values(1, 12) };
        let all = random.one_in(3);
        let expression = format!("0 9 {} {} {}", days.text(), join(&months), weekdays.text());
        let trigger = CronTrigger::new(&expression).expect("valid").day_match(if all {
            DayMatch::All
        } else {
            DayMatch::Any
        });

        let either = !all && !matches!(days, Days::Any) && !matches!(weekdays, Weekdays::Any);
        let matches = |date: &NaiveDate| {
            let (day, weekday) = (days.has(*date), weekdays.has(*date));
            months.contains(&date.month().into()) && if either { day || weekday } else { day && weekday }
        };
        let (from, to) = (at("2024-01-01T00:00:00Z"), at("2030-01-01T00:00:00Z"));
        let nine = NaiveTime::from_hms_opt(9, 0, 0).expect("a time");
        let dates = from.date_naive().iter_days().take_while(|date| *date < to.date_naive());
        let expected: Vec<_> = dates.filter(matches).map(|date| date.and_time(nine).and_utc()).collect();
        assert_eq!(
            instants(&trigger, from, to),
            expected,
            "{expression}, {}",
            if all { "all" } else { "any" }
        );
    }
}

#[test]
fn iso_weeks_are_those_of_the_calendar() {
    let trigger = CronTrigger::fields().week("1,9-11,52,53").build().expect("valid");
    let (from, to) = (at("2018-12-31T12:00:00Z"), at("2033-01-01T00:00:00Z"));
    let dates = from.date_naive().iter_days().skip(1).take_while(|date| *date < to.date_naive());
    let expected: Vec<_> = dates
        .filter(|date| [1, 9, 10, 11, 52, 53].contains(&date.iso_week().week()))
        .map(|date| date.and_time(NaiveTime::MIN).and_utc())
        .collect();
    assert_eq!(instants(&trigger, from, to), expected);
}

#[test]
fn the_search_ends_with_the_year_2200() {
    let end = at("2201-01-01T00:00:00Z");
    for expression in ["* * * * * *", "59 59 23 * * wed", "59 59 23 L 12 *", "59 59 23 31W 12 *"] {
        let trigger = CronTrigger::new(expression).expect("valid");
        let last = end - TimeDelta::seconds(1);
        assert_eq!(trigger.next_after(last - TimeDelta::seconds(1)), Some(last), "{expression}");
        assert_eq!(trigger.next_after(last), None, "{expression}");
    }
    for expression in ["0 0 0 * * *", "0 0 0 * * wed", "0 0 0 1 * *"] {
        let trigger = CronTrigger::new(expression).expect("valid");
        assert_eq!(trigger.next_after(end - TimeDelta::hours(12)), None, "{expression}");
    }
}

#[test]
fn an_and_gives_up_after_ten_thousand_leaps() {
    let grid = |seconds, start| {
        IntervalTrigger::builder().seconds(seconds).start_at(at(start)).build().expect("valid")
    };
    let now = "2026-01-01T00:00:00Z";
    // Two grids whose steps differ by a second meet again after as many steps as one has seconds, in two leaps each.
    let meeting_after = |steps| AndTrigger::new([grid(steps, now), grid(steps + 1, now)]).expect("members");
    let next = meeting_after(4900).next_after(at(now));
    assert_eq!(next, Some(at(now) + TimeDelta::seconds(4900 * 4901)));
    assert_eq!(meeting_after(5100).next_after(at(now)), None);
    // Within another one they share its leaps, and so can't multiply them.
    let nested = AndTrigger::new([meeting_after(5100), meeting_after(5101)]).expect("members");
    assert_eq!(nested.next_after(at(now)), None);
}
