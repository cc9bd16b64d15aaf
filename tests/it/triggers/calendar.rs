//! Calendar intervals against a walk from date to date.

use asyncz::{CalendarIntervalTrigger, Trigger, Zone};
use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};

use super::{Random, at, instants};

/// The date after another one, as the contract says it: years and months are added, and added again while the month
/// lacks the day, then weeks and days.
fn step(date: NaiveDate, months: i64, days: i64) -> NaiveDate {
    let mut index = i64::from(date.year()) * 12 + i64::from(date.month0());
    let moved = loop {
        if months == 0 {
            break date;
        }
        index += months;
        let (year, month) = (index / 12, index % 12 + 1);
        if let Some(date) = NaiveDate::from_ymd_opt(year as i32, month as u32, date.day()) {
            break date;
        }
    };
    moved + TimeDelta::days(days)
}

#[test]
fn each_date_is_made_from_the_one_before() {
    for seed in 0..400 {
        let mut random = Random(seed);
        let mut part = |most| if random.one_in(2) { 0 } else { random.number(0, most) };
        let (years, months, weeks, days) = (part(2), part(13), part(3), part(40));
        if years + months + weeks + days == 0 {
            continue;
        }
        let start =
            NaiveDate::from_ymd_opt(2019, 10, 1).expect("a date") + TimeDelta::days(random.number(0, 200));
        let trigger = CalendarIntervalTrigger::builder()
            .years(years as u32)
            .months(months as u32)
            .weeks(weeks as u32)
            .days(days as u32)
            .hour(9)
            .start_date(start)
            .build()
            .expect("valid");
        let dates = std::iter::successors(Some(start), |date| {
            Some(step(*date, years * 12 + months, weeks * 7 + days))
        });
        let until = at("2060-01-01T00:00:00Z");
        let nine = |date: NaiveDate| date.and_hms_opt(9, 0, 0).expect("a time").and_utc();
        let expected: Vec<_> = dates.map(nine).take_while(|at| *at < until).collect();
        assert_eq!(instants(&trigger, DateTime::UNIX_EPOCH, until), expected, "seed {seed}: {trigger:?}");
        for _ in 0..10 {
            let after = at("2019-01-01T00:00:00Z") + TimeDelta::seconds(random.number(0, 40 * 365 * 86_400));
            let next = trigger.next_after(after).filter(|at| *at < until);
            assert_eq!(
                next,
                expected.iter().copied().find(|at| *at > after),
                "seed {seed} after {after}: {trigger:?}"
            );
        }
    }
}

#[test]
fn the_search_ends_with_the_year_2200() {
    let last = |trigger: CalendarIntervalTrigger| {
        let after: DateTime<Utc> = at("2200-12-01T00:00:00Z");
        instants(&trigger, after, DateTime::<Utc>::MAX_UTC).pop()
    };
    let start = NaiveDate::from_ymd_opt(2199, 12, 31).expect("a date");
    let builder = || CalendarIntervalTrigger::builder().start_date(start);
    let new_years_eve = Some(at("2200-12-31T00:00:00Z"));
    assert_eq!(last(builder().days(1).build().expect("valid")), new_years_eve);
    assert_eq!(last(builder().months(1).build().expect("valid")), new_years_eve);
    assert_eq!(last(builder().years(1).build().expect("valid")), new_years_eve);
    // 31 December, 3 February, 8 March, … each a month and three days later.
    assert!(last(builder().months(1).days(3).build().expect("valid")) < new_years_eve);
    let late = CalendarIntervalTrigger::builder().days(1).start_date(start + TimeDelta::days(400));
    assert_eq!(late.build().expect("valid").next_after(at("2026-01-01T00:00:00Z")), None);
}

#[test]
fn a_start_long_past_leads_to_the_same_dates() {
    let old = NaiveDate::from_ymd_opt(1, 1, 31).expect("a date");
    let builder = CalendarIntervalTrigger::builder().months(1).days(1).start_date(old).timezone(Zone::UTC);
    let trigger = builder.build().expect("valid");
    let (from, until) = (at("2026-01-01T00:00:00Z"), at("2030-01-01T00:00:00Z"));
    let dates = std::iter::successors(Some(old), |date| Some(step(*date, 1, 1)));
    let dates = dates.map(|date| date.and_time(chrono::NaiveTime::MIN).and_utc());
    let expected: Vec<_> = dates.skip_while(|at| *at <= from).take_while(|at| *at < until).collect();
    assert_eq!(instants(&trigger, from, until), expected);
}
