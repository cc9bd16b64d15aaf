//! Builders and JSON forms: the same names, the same meaning.

use std::time::Duration;

use asyncz::{
    AndTrigger, CalendarIntervalTrigger, CronTrigger, DateTrigger, DayMatch, Dst, IntervalTrigger, OrTrigger,
    ShutdownTrigger, Trigger, Zone, typetag,
};
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};

use super::{at, read};

fn berlin() -> Zone {
    "Europe/Berlin".parse().expect("a zone")
}

/// The builder's trigger is stored as this, and this reads back as it.
fn same(trigger: impl Into<Box<dyn Trigger>>, form: Value, words: &str) {
    let trigger = trigger.into();
    assert_eq!(serde_json::to_value(&*trigger).expect("it serialises"), form);
    let read = read(form).expect("a valid form");
    assert_eq!(format!("{read:?}"), format!("{trigger:?}"));
    assert_eq!(trigger.describe(), words);
}

#[test]
fn dates() {
    same(DateTrigger::now(), json!({"type": "date"}), "once, as soon as it is added");
    same(
        DateTrigger::at(at("2026-12-24T17:00:00.250Z")),
        json!({"type": "date", "run_at": "2026-12-24T17:00:00.250Z"}),
        "once, at 2026-12-24 17:00:00.250 UTC",
    );
    let naive = read(json!({"type": "date", "run_at": "2026-12-24T18:00:00", "timezone": "Europe/Berlin"}));
    assert_eq!(naive.expect("valid").describe(), "once, at 2026-12-24 18:00:00, Europe/Berlin");
}

#[test]
fn intervals() {
    same(
        IntervalTrigger::every(Duration::from_millis(5_400_500)),
        json!({"type": "interval", "hours": 1, "minutes": 30, "milliseconds": 500}),
        "every 1 hour 30 minutes 500 milliseconds",
    );
    let (start, end) = (at("2026-01-01T00:00:00Z"), at("2026-12-31T00:00:00Z"));
    let built = IntervalTrigger::builder()
        .weeks(1)
        .days(2)
        .hours(3)
        .minutes(4)
        .seconds(5)
        .milliseconds(6)
        .start_at(start)
        .end_at(end)
        .jitter(Duration::from_millis(1500))
        .timezone(berlin())
        .build()
        .expect("valid");
    let jitter = built.clone().jitter(Duration::from_secs(2)).start_at(start).end_at(end).timezone(berlin());
    assert_eq!(Trigger::jitter(&jitter), Duration::from_secs(2));
    same(
        built,
        json!({
            "type": "interval", "weeks": 1, "days": 2, "hours": 3, "minutes": 4, "seconds": 5, "milliseconds": 6,
            "start_at": "2026-01-01T00:00:00Z", "end_at": "2026-12-31T00:00:00Z", "timezone": "Europe/Berlin",
            "jitter": 1.5,
        }),
        "every 1 week 2 days 3 hours 4 minutes 5 seconds 6 milliseconds, \
         from 2026-01-01 00:00:00 UTC, until 2026-12-31 00:00:00 UTC",
    );
    same(
        IntervalTrigger::every(Duration::from_secs(1)),
        json!({"type": "interval", "seconds": 1}),
        "every second",
    );
}

#[test]
fn crons() {
    same(
        CronTrigger::new("0 0 13 * fri")
            .expect("valid")
            .timezone(berlin())
            .day_match(DayMatch::All)
            .dst(Dst::Literal)
            .jitter(Duration::from_secs(30))
            .start_at(at("2026-01-01T00:00:00Z"))
            .end_at(at("2027-01-01T00:00:00Z")),
        json!({
            "type": "cron", "expression": "0 0 13 * fri", "day_match": "all", "timezone": "Europe/Berlin",
            "dst": "literal", "jitter": 30, "start_at": "2026-01-01T00:00:00Z", "end_at": "2027-01-01T00:00:00Z",
        }),
        "at 00:00 on the 13th of the month when that is Friday, from 2026-01-01 00:00:00 UTC, \
         until 2027-01-01 00:00:00 UTC, Europe/Berlin",
    );
    same(
        CronTrigger::fields()
            .year("2026-2030")
            .month("jan,jul")
            .day("1st mon, last")
            .week("1-26")
            .day_of_week("mon-fri")
            .hour(9)
            .minute("*/30")
            .second(0)
            .timezone(berlin())
            .dst(Dst::Literal)
            .jitter(Duration::from_secs(30))
            .start_at(at("2026-01-01T00:00:00Z"))
            .end_at(at("2031-01-01T00:00:00Z"))
            .build()
            .expect("valid"),
        json!({
            "type": "cron", "timezone": "Europe/Berlin", "dst": "literal", "jitter": 30,
            "start_at": "2026-01-01T00:00:00Z", "end_at": "2031-01-01T00:00:00Z",
            "fields": {
                "year": "2026-2030", "month": "jan,jul", "day": "1st mon, last", "week": "1-26",
                "day_of_week": "mon-fri", "hour": "9", "minute": "*/30", "second": "0",
            },
        }),
        "every 30 minutes in hour 9 on the 1st Monday and the last day of the month when that is Monday to Friday \
         in January and July in ISO week 1 to 26 in 2026 to 2030, from 2026-01-01 00:00:00 UTC, \
         until 2031-01-01 00:00:00 UTC, Europe/Berlin",
    );
    assert_eq!("@daily".parse::<CronTrigger>().expect("valid").describe(), "at 00:00 every day");
}

#[test]
fn crons_in_plain_words() {
    for (expression, words) in [
        ("* * * * * *", "every second"),
        ("* * * * *", "every minute"),
        ("*/5 * * * *", "every 5 minutes"),
        ("*/10 * * * * *", "every 10 seconds"),
        ("*/10 5 * * * *", "every 10 seconds of minute 5 of every hour"),
        ("@hourly", "every hour"),
        ("0 */6 * * *", "every 6 hours"),
        ("*/25 * * * *", "at minute 0, 25 and 50 of every hour"),
        ("*/30 0,23 * * *", "every 30 minutes in hour 0 and 23"),
        ("0 0 1-31 * mon", "at 00:00 every day"),
        ("0 0 1 * 0-6", "at 00:00 every day"),
        ("* * 1 * 0-6", "every minute"),
        ("0 9-17 * * *", "at 09:00 to 17:00"),
        ("30 * * * *", "at minute 30 of every hour"),
        ("0,30 9 * * *", "at 09:00 and 09:30 every day"),
        ("30 0,12 9 * * *", "at 09:00:30 and 09:12:30 every day"),
        ("0 9 * * mon-fri", "at 09:00 on Monday to Friday"),
        ("0 9 1,15 * *", "at 09:00 on the 1st and the 15th of the month"),
        (
            "0 9 L-3,15W * *",
            "at 09:00 on the workday nearest to the 15th and 3 days before the last of the month",
        ),
        ("0 9 LW * *", "at 09:00 on the last workday of the month"),
        ("0 9 * * fri#2,friL", "at 09:00 on the 2nd Friday and the last Friday of the month"),
        ("0 9 13 * fri", "at 09:00 on the 13th of the month or on Friday"),
        ("0 0 12 1 7 * 2027", "at 12:00 on the 1st of the month in July in 2027"),
        ("0 0 12 1 7 * 2027-9999", "at 12:00 on the 1st of the month in July in 2027 and later"),
        ("0 0 12 1 7 * 9999", "at 12:00 on the 1st of the month in July in a year after 2225"),
    ] {
        assert_eq!(CronTrigger::new(expression).expect("valid").describe(), words, "{expression}");
    }
}

#[test]
fn calendar_intervals() {
    let date = |text: &str| text.parse::<NaiveDate>().expect("a date");
    same(
        CalendarIntervalTrigger::builder()
            .years(1)
            .months(2)
            .weeks(3)
            .days(4)
            .hour(5)
            .minute(6)
            .second(7)
            .start_date(date("2026-01-31"))
            .end_date(date("2040-01-31"))
            .timezone(berlin())
            .build()
            .expect("valid"),
        json!({
            "type": "calendar_interval", "years": 1, "months": 2, "weeks": 3, "days": 4, "hour": 5, "minute": 6,
            "second": 7, "start_date": "2026-01-31", "end_date": "2040-01-31", "timezone": "Europe/Berlin",
        }),
        "every 1 year, 2 months, 3 weeks and 4 days at 05:06:07, from 2026-01-31, until 2040-01-31, Europe/Berlin",
    );
    let monthly = CalendarIntervalTrigger::builder().months(1).build().expect("valid");
    same(monthly, json!({"type": "calendar_interval", "months": 1}), "every month at 00:00");
}

#[test]
fn combinations_and_shutdown() {
    let cron = || CronTrigger::new("0 9 * * *").expect("valid");
    let both = AndTrigger::new([cron(), cron()]).expect("members");
    let either =
        OrTrigger::new([Box::new(both) as Box<dyn Trigger>, ShutdownTrigger.into()]).expect("members");
    assert!(either.at_shutdown());
    let nine = json!({"type": "cron", "expression": "0 9 * * *"});
    same(
        either,
        json!({"type": "or", "triggers": [{"type": "and", "triggers": [nine, nine]}, {"type": "shutdown"}]}),
        "(at 09:00 every day, and also at 09:00 every day), or when the scheduler stops",
    );
    same(ShutdownTrigger, json!({"type": "shutdown"}), "when the scheduler stops");
}

#[test]
fn a_combination_has_its_members_jitter_and_end() {
    let until = |text: &str| IntervalTrigger::every(Duration::from_secs(1)).end_at(at(text));
    let (early, late) = ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
    let members = || [until(early), until(late).jitter(Duration::from_secs(3))];
    let (and, or) =
        (AndTrigger::new(members()).expect("members"), OrTrigger::new(members()).expect("members"));
    assert_eq!((and.end(), or.end()), (Some(at(early)), Some(at(late))));
    assert_eq!((and.jitter(), or.jitter()), (Duration::from_secs(3), Duration::from_secs(3)));
    let open = IntervalTrigger::every(Duration::from_secs(1));
    assert_eq!(OrTrigger::new([until(early), open]).expect("members").end(), None);
}

/// What a user of the crate writes.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct EveryFullMoon {
    since: DateTime<Utc>,
}

#[typetag::serde(name = "full_moon")]
impl Trigger for EveryFullMoon {
    fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // A synodic month, roughly.
        IntervalTrigger::every(Duration::from_secs(2_551_443)).start_at(self.since).next_after(after)
    }

    fn anchored(&self, _: DateTime<Utc>, _: &Zone) -> Box<dyn Trigger> {
        Box::new(self.clone())
    }
}

#[test]
fn a_users_trigger_is_stored_and_combined_like_ours() {
    let moon = EveryFullMoon { since: at("2026-01-03T10:03:00Z") };
    let full_moon = json!({"type": "full_moon", "since": "2026-01-03T10:03:00Z"});
    assert_eq!(serde_json::to_value(&moon as &dyn Trigger).expect("it serialises"), full_moon);
    let noon = json!({"type": "cron", "expression": "0 12 * * *"});
    let either = read(json!({"type": "or", "triggers": [full_moon, noon]})).expect("valid");
    assert_eq!(either.next_after(at("2026-01-03T00:00:00Z")), Some(at("2026-01-03T10:03:00Z")));
    assert_eq!(either.next_after(at("2026-01-03T10:03:00Z")), Some(at("2026-01-03T12:00:00Z")));
    assert!(either.describe().contains("EveryFullMoon"));
}

#[test]
fn what_can_not_be_stored_is_cut_to_what_can() {
    let never = IntervalTrigger::every(Duration::from_secs(60)).end_at(DateTime::<Utc>::MAX_UTC);
    let form = serde_json::to_value(&never as &dyn Trigger).expect("it serialises");
    assert_eq!(form["end_at"], "9999-12-31T23:59:59.999Z");
    assert!(read(form).is_ok());
    // An interval so long that its first instant has no date is empty, and still reads back.
    let now = at("2026-01-01T00:00:00Z");
    let long = IntervalTrigger::builder().weeks(1_000_000).build().expect("valid").anchored(now, &Zone::UTC);
    assert_eq!(long.first(now), None);
    let form = serde_json::to_value(&*long).expect("it serialises");
    assert_eq!(read(form).expect("valid").first(now), None);
}

#[test]
fn limits_that_turn_out_to_exclude_each_other_leave_an_empty_set() {
    let now = at("2026-01-01T00:00:00Z");
    let empty =
        CronTrigger::new("* * * * *").expect("valid").start_at(at("2026-02-01T00:00:00Z")).end_at(now);
    assert_eq!(empty.next_after(now), None);
    let anchored = empty.anchored(now, &Zone::UTC);
    let form = serde_json::to_value(&*anchored).expect("it serialises");
    assert_eq!(read(form).expect("valid").first(now), None);
}

#[test]
fn triggers_are_small() {
    assert!(size_of::<CronTrigger>() <= 80, "{}", size_of::<CronTrigger>());
    assert!(size_of::<IntervalTrigger>() <= 64, "{}", size_of::<IntervalTrigger>());
    assert!(size_of::<DateTrigger>() <= 24, "{}", size_of::<DateTrigger>());
}
