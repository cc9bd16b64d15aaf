//! Durations and dates; cron texts are tried through the triggers, in `tests/it/triggers`.

use std::time::Duration;

use asyncz_grammar::date::{self, Time};
use asyncz_grammar::{cron, duration};

fn refused<T: std::fmt::Debug>(result: Result<T, asyncz_grammar::SyntaxError>) -> String {
    result.expect_err("this is to be refused").to_string()
}

#[test]
fn durations_are_sums_of_whole_numbers_with_units() {
    for (text, millis) in [
        ("0s", 0),
        ("250ms", 250),
        ("90s", 90_000),
        ("2m", 120_000),
        ("1h30m", 5_400_000),
        ("1d", 86_400_000),
        ("2w3d4h5m6s7ms", 1_483_506_007),
        ("1m1m", 120_000),
        (" 5m ", 300_000),
        ("007s", 7_000),
    ] {
        assert_eq!(duration::parse(text), Ok(Duration::from_millis(millis)), "{text}");
    }
}

#[test]
fn other_durations_are_refused_with_advice() {
    let advice = "write whole numbers with a unit (ms, s, m, h, d or w), such as `90s` or `1h30m`";
    for text in ["", " ", "90", "s", "1.5h", "-1s", "+1s", "1 h", "1H", "1mo", "1y", "h1", "1s2", "٣s", "1é"]
    {
        assert_eq!(refused(duration::parse(text)), format!("duration `{text}`: {advice}"));
    }
    for text in ["18446744073709551616ms", "99999999999999999999999s", "1844674407370955161s999999999ms1w"] {
        assert!(refused(duration::parse(text)).contains("is too long"), "{text}");
    }
}

#[test]
fn times_are_rfc_3339_or_naive() {
    let instant = |millis| Ok(Time::Instant { millis });
    for (text, time) in [
        ("1970-01-01T00:00:00Z", instant(0)),
        ("1970-01-01t00:00:00z", instant(0)),
        ("1970-01-01 00:00:00-00:00", instant(0)),
        ("1970-01-01T05:30:00+05:30", instant(0)),
        ("1969-12-31T23:59:59.9999999Z", instant(-1)),
        ("2026-11-22T09:00:00.25Z", instant(1_795_338_000_250)),
        ("2000-02-29T00:00:00Z", instant(951_782_400_000)),
        ("9999-12-31T23:59:59.999Z", instant(253_402_300_799_999)),
        ("2026-11-22T09:00:00", Ok(Time::Local { millis: 1_795_338_000_000 })),
        ("0000-01-01T00:00:00", Ok(Time::Local { millis: -62_167_219_200_000 })),
    ] {
        assert_eq!(date::parse(text), time, "{text}");
    }
}

#[test]
fn times_that_do_not_exist_are_refused() {
    for (text, what) in [
        ("2026-02-29T00:00:00Z", "day 29: write 1 to 28"),
        ("1900-02-29T00:00:00Z", "day 29: write 1 to 28"),
        ("2026-13-01T00:00:00Z", "month 13: write 1 to 12"),
        ("2026-01-01T24:00:00Z", "hour 24: write 0 to 23"),
        ("2026-01-01T00:60:00Z", "minute 60: write 0 to 59"),
        ("2016-12-31T23:59:60Z", "second 60: write 0 to 59"),
        ("2026-01-01T00:00:00+24:00", "offset hour 24: write 0 to 23"),
    ] {
        assert_eq!(refused(date::parse(text)), format!("time `{text}`: {what}"));
    }
    for text in [
        "",
        "soon",
        "2026-01-01",
        "09:00:00",
        "2026-1-1T00:00:00Z",
        "2026-01-01T00:00Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00+0100",
        "2026-01-01T00:00:00ZZ",
        "2026-01-01T00:00:00Z ",
        "+2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00é",
        "２026-01-01T00:00:00Z",
        "2026-01-01T00:00:00+01",
    ] {
        assert!(refused(date::parse(text)).contains("write `2026-11-22T09:00:00+01:00`"), "{text}");
    }
}

#[test]
fn days_count_from_1970() {
    let days = |text| date::parse_day(text).map(date::Day::days_since_1970);
    assert_eq!(days("1970-01-01"), Ok(0));
    assert_eq!(days("1969-12-31"), Ok(-1));
    assert_eq!(days("2000-03-01"), Ok(11_017));
    assert_eq!(days("0000-03-01"), Ok(-719_468));
    assert!(refused(days("2026-11-31")).contains("write 1 to 30"));
    assert!(refused(days("2026-11-22T00:00:00")).contains("write `2026-11-22`"));
}

#[test]
fn sets_have_a_bit_for_each_value() {
    let pattern = cron::parse_expression("5,10-12 */8 1-31/10 jan,dec sun,1#2,5L").expect("valid");
    assert_eq!(pattern.minutes, 1 << 5 | 1 << 10 | 1 << 11 | 1 << 12);
    assert_eq!(pattern.hours, 1 | 1 << 8 | 1 << 16);
    assert_eq!(pattern.days.plain, 1 << 1 | 1 << 11 | 1 << 21 | 1 << 31);
    assert_eq!(pattern.months, 1 << 1 | 1 << 12);
    assert_eq!(
        (pattern.weekdays.plain, pattern.weekdays.nth.of(1), pattern.weekdays.nth.of(5)),
        (1 << 6, 1, 1 << 4)
    );
    assert_eq!((pattern.either_day, pattern.named), (true, false));
    let years = cron::parse_expression("0 0 0 1 1 * 1970,2200-9999/100").expect("valid").years;
    let kept: Vec<_> = (1900..9999).filter(|year| years.contains(*year)).collect();
    assert_eq!(kept, [1970, 2200]);
}

#[test]
fn a_sunday_begins_a_week_as_0_and_ends_it_as_7() {
    let days =
        |weekday: &str| cron::parse_expression(&format!("0 0 * * {weekday}")).expect(weekday).weekdays.plain;
    let (mon, tue, fri, sat, sun) = (1, 1 << 1, 1 << 4, 1 << 5, 1 << 6);
    assert_eq!((days("0"), days("7"), days("SUN")), (sun, sun, sun));
    assert_eq!(
        (days("fri-sun"), days("5-7"), days("5-0")),
        (fri | sat | sun, fri | sat | sun, fri | sat | sun)
    );
    assert_eq!(
        (days("sun-tue"), days("0-2"), days("7-2")),
        (sun | mon | tue, sun | mon | tue, sun | mon | tue)
    );
    assert_eq!((days("sat-sun"), days("0-7"), days("*")), (sat | sun, 0x7f, 0x7f));
    assert_eq!(
        (days("*/2"), days("*/7"), days("mon/3")),
        (sun | tue | 1 << 3 | sat, sun, mon | 1 << 3 | sun)
    );
}
