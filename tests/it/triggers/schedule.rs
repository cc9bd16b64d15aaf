//! `From<cron::Schedule> for CronTrigger`: the sets of a schedule, with its weekdays and its AND.

use std::str::FromStr;

use asyncz::{CronTrigger, Trigger, Zone};
use chrono::{TimeDelta, Utc};
use cron::Schedule;

use super::{Random, at, instants, read};

fn schedule(text: &str) -> Schedule {
    Schedule::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn weekdays_one_to_seven_are_sunday_to_saturday() {
    let trigger = CronTrigger::from(schedule("0 0 9 * * 2-6"));
    assert_eq!(trigger.describe(), "at 09:00 on Monday to Friday");
    let trigger = CronTrigger::from(schedule("0 0 9 * * 1"));
    assert_eq!(trigger.describe(), "at 09:00 on Sunday");
}

#[test]
fn both_day_fields_must_match() {
    let trigger = CronTrigger::from(schedule("0 0 0 13 * Fri"));
    let friday_13th = trigger.next_after(at("2026-01-01T00:00:00Z"));
    assert_eq!(friday_13th, Some(at("2026-02-13T00:00:00Z")));
}

#[test]
fn a_schedule_and_its_trigger_have_the_same_instants() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let field = |random: &mut Random, from, to| loop {
            // The crate refuses some of our forms; `cron_differs` in `peers` lists them.
            let field = random.field(from, to);
            if Schedule::from_str(&format!("{field} * * * * *")).is_ok() || from > 0 {
                break field;
            }
        };
        let text = format!(
            "{} {} {} {} {} {} 2025-2035",
            field(&mut random, 0, 59),
            field(&mut random, 0, 59),
            random.field(0, 23),
            random.field(1, 28),
            random.field(1, 12),
            random.field(1, 7)
        );
        let Ok(theirs) = Schedule::from_str(&text) else { continue };
        let trigger = CronTrigger::from(theirs.clone()).timezone(Zone::UTC);
        let stored = serde_json::to_value(&trigger as &dyn Trigger).expect("it serialises");
        let trigger = read(stored).expect("what is stored can be read");
        for day in 0..5 {
            let after = at("2026-01-01T00:00:00Z") + TimeDelta::days(61 * day);
            let expected: Vec<_> = theirs.after(&after).take(5).collect();
            let mut got =
                instants(&*trigger, after, *expected.last().unwrap_or(&after) + TimeDelta::seconds(1));
            got.truncate(5);
            assert_eq!(got, expected, "{text} after {after}");
        }
    }
}

#[test]
fn what_was_written_with_a_step_or_range_stays_periodic() {
    let berlin: Zone = "Europe/Berlin".parse().expect("a zone");
    let fires_in_fold = |text: &str| {
        let trigger = CronTrigger::from(schedule(text)).timezone(berlin);
        instants(&trigger, at("2026-10-24T23:59:59Z"), at("2026-10-25T02:00:00Z")).len()
    };
    assert_eq!(fires_in_fold("0 30 2 * * *"), 1, "a named time comes once");
    assert_eq!(fires_in_fold("0 */30 2 * * *"), 4, "a step comes in both passes");
    assert_eq!(fires_in_fold("0 0, 30 1 - 2 * * *"), 4, "blanks are no matter");
    assert_eq!(fires_in_fold("@hourly"), 2, "nor is a macro");
    let none: Option<chrono::DateTime<Utc>> =
        CronTrigger::from(schedule("0 0 0 1 1 * 2020")).next_after(at("2026-01-01T00:00:00Z"));
    assert_eq!(none, None);
}
