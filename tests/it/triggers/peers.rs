//! The same questions to the `cron` and `croner` crates, where their rules are ours; and where they aren't, that
//! they still aren't, with the reason for ours.

use std::str::FromStr;

use asyncz::{CronTrigger, DayMatch, Trigger, chrono_tz::Tz};
use chrono::{DateTime, TimeDelta, Utc};
use cron::Schedule;
use croner::Cron;

use super::random::join;
use super::{Random, at};

const ROUNDS: u64 = 150;

fn moment(random: &mut Random) -> DateTime<Utc> {
    at("2026-01-01T00:00:00Z") + TimeDelta::seconds(random.number(0, 3 * 366 * 86_400))
}

fn ours(expression: &str, zone: Tz) -> CronTrigger {
    CronTrigger::new(expression).unwrap_or_else(|error| panic!("{expression}: {error}")).timezone(zone)
}

/// The weekdays of the `cron` crate, 1 (Sunday) to 7, and the same days in ours.
fn weekdays(random: &mut Random) -> (String, String) {
    let days = random.values(1, 7);
    (join(&days), join(&days.iter().map(|day| day - 1).collect::<Vec<_>>()))
}

#[test]
fn far_from_changes_of_the_clock_cron_agrees() {
    for seed in 0..ROUNDS {
        let mut random = Random(seed);
        let (theirs, same) = if random.one_in(2) { weekdays(&mut random) } else { ("*".into(), "*".into()) };
        let mut list =
            |from, to| if random.one_in(2) { "*".to_owned() } else { join(&random.values(from, to)) };
        let rest = format!("{} {} {} {} {}", list(0, 59), list(0, 59), list(0, 23), list(1, 28), list(1, 12));
        let theirs = Schedule::from_str(&format!("{rest} {theirs} 2026-2035")).expect("a valid schedule");
        // Theirs is the AND of the days.
        let expression = format!("{rest} {same} 2026-2035");
        let ours = ours(&expression, Tz::UTC).day_match(DayMatch::All);
        for _ in 0..10 {
            let after = moment(&mut random);
            assert_eq!(ours.next_after(after), theirs.after(&after).next(), "{expression} after {after}");
        }
    }
}

#[test]
fn in_utc_croner_agrees_on_days_and_their_special_forms() {
    for seed in 0..ROUNDS {
        let mut random = Random(seed);
        let day = match random.number(0, 4) {
            0 => "L".to_owned(),
            1 => format!("{}W", random.number(1, 28)),
            2 => join(&random.values(1, 28)),
            _ => "*".to_owned(),
        };
        let weekday = match random.number(0, 4) {
            0 => format!("{}#{}", random.number(0, 6), random.number(1, 4)),
            1 => format!("{}L", random.pick(&["MON", "FRI", "SUN"])),
            2 => join(&random.values(0, 6)),
            _ => "*".to_owned(),
        };
        let hour = join(&random.values(0, 23));
        let expression = format!("{} {hour} {day} * {weekday}", random.number(0, 59));
        let theirs = Cron::from_str(&expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
        let ours = ours(&expression, Tz::UTC);
        for _ in 0..5 {
            let after = moment(&mut random);
            let expected = theirs.find_next_occurrence(&after, false).ok();
            assert_eq!(ours.next_after(after), expected, "{expression} after {after}");
        }
    }
}

#[test]
fn around_changes_of_the_clock_croner_agrees_on_named_and_periodic_times() {
    let zones = [Tz::Europe__Berlin, Tz::America__New_York, Tz::Australia__Lord_Howe, Tz::Asia__Tokyo];
    let changes = [
        "2026-03-08T07:00:00Z",
        "2026-03-29T01:00:00Z",
        "2026-10-25T01:00:00Z",
        "2026-11-01T06:00:00Z",
        "2026-04-04T15:00:00Z",
        "2026-10-03T15:30:00Z",
    ]
    .map(at);
    for seed in 0..ROUNDS {
        let mut random = Random(seed);
        let expression = match random.number(0, 2) {
            0 => format!("{} {} * * *", random.number(0, 59), random.number(0, 4)),
            1 => format!("*/{} * * * *", random.number(5, 30)),
            _ => format!("{} * * * *", random.number(0, 59)),
        };
        let (zone, change) = (*random.pick(&zones), *random.pick(&changes));
        let theirs = Cron::from_str(&expression).expect("a valid pattern");
        let ours = ours(&expression, zone);
        for _ in 0..6 {
            let after = change + TimeDelta::seconds(random.number(-6 * 3600, 6 * 3600));
            let expected = theirs.find_next_occurrence(&after.with_timezone(&zone), false).ok();
            let expected = expected.map(|at| at.with_timezone(&Utc));
            assert_eq!(ours.next_after(after), expected, "{expression} in {zone} after {after}");
        }
    }
}

#[test]
fn cron_differs() {
    let accepts = |text: &str| Schedule::from_str(text).is_ok();
    // Sunday is 0 and 7 in every crontab; theirs is 1 to 7 from Sunday on, so that `1-5` misses Friday.
    assert!(!accepts("0 0 0 * * 0"));
    let theirs =
        Schedule::from_str("0 0 0 * * 1-5").expect("valid").after(&at("2026-01-01T12:00:00Z")).next();
    assert_eq!(theirs, Some(at("2026-01-04T00:00:00Z")), "1 January is a Thursday, the 4th a Sunday");
    // A week may end on Sunday; months may have open steps; the last day is what people ask for most.
    for (text, same) in [("0 0 0 * * fri-sun", "fri-sun"), ("0 0 0 * jan/3 *", "jan/3"), ("0 0 0 L * *", "L")]
    {
        assert!(!accepts(text) && CronTrigger::new(text).is_ok(), "{same}");
    }
    // Five fields are what a crontab has.
    assert!(!accepts("0 9 * * *") && CronTrigger::new("0 9 * * *").is_ok());
    // A step beyond its range is a mistake: it can only ever give one value.
    assert!(accepts("0 4-6/3 * * * *") && CronTrigger::new("0 4-6/3 * * * *").is_err());
    // Asked inside a repeated hour it answers with the past.
    let after = at("2026-11-01T06:05:00Z");
    let schedule = Schedule::from_str("0 */20 * * * *").expect("valid");
    let theirs =
        schedule.after(&after.with_timezone(&Tz::America__New_York)).next().map(|at| at.with_timezone(&Utc));
    assert!(theirs < Some(after));
    let ours = ours("*/20 * * * *", Tz::America__New_York).next_after(after);
    assert_eq!(ours, Some(at("2026-11-01T06:20:00Z")));
}

#[test]
fn croner_differs() {
    let next = |text: &str, after| Cron::from_str(text).ok()?.find_next_occurrence(&at(after), false).ok();
    // An open step, `a/n`, is what crontabs have; a `?` may stand for any `*`.
    for text in ["5/20 0 * * *", "0 0 * * mon/2", "? 0 * * *"] {
        assert!(Cron::from_str(text).is_err() && CronTrigger::new(text).is_ok(), "{text}");
    }
    // As in crontab(5), a day field that begins with `*` is not restricted: Mondays on odd days.
    let ours = CronTrigger::new("0 0 */2 * mon").expect("valid");
    assert_eq!(ours.next_after(at("2026-01-02T12:00:00Z")), Some(at("2026-01-05T00:00:00Z")));
    assert_eq!(next("0 0 */2 * mon", "2026-01-02T12:00:00Z"), Some(at("2026-01-03T00:00:00Z")));
    // Where nothing can come the answer is None, at once; theirs is an error, after a search of 5,000 years.
    assert_eq!(CronTrigger::new("0 0 30 2 *").expect("valid").next_after(at("2026-01-01T00:00:00Z")), None);
    // A Sunday that ends a range is 7, written 0 as well.
    assert!(Cron::from_str("0 0 * * 5-0").is_err() && CronTrigger::new("0 0 * * 5-0").is_ok());
}
