//! Expressions that come as schedules of the `cron` crate.

use cron::{Schedule, TimeUnitSpec};

use super::written::Written;
use super::{CronTrigger, DayMatch, Dst};
use crate::triggers::limits::Limits;

/// For those who have a schedule of the `cron` crate already. Its sets are kept, its weekdays (1 to 7 for Sunday to
/// Saturday) and its rule that both day fields must match included; a year left open stays open beyond 2100.
impl From<Schedule> for CronTrigger {
    fn from(schedule: Schedule) -> Self {
        let written = Written::expression(&in_our_words(&schedule))
            .expect("lists of values in range are an expression: tests/it/triggers/schedule.rs tries them");
        Self::checked(written, DayMatch::Any, Limits::default(), None, Dst::Smart)
            .expect("a trigger without limits has no end before its start")
            .day_match(DayMatch::All)
    }
}

/// Seven fields of ours for the sets of a schedule.
fn in_our_words(schedule: &Schedule) -> String {
    let periodic = periodic(schedule.source());
    let weekdays: Vec<_> = schedule.days_of_week().iter().map(|day| day - 1).collect();
    let weekdays = if schedule.days_of_week().is_all() { "*".to_owned() } else { join(&weekdays) };
    format!(
        "{} {} {} {} {} {weekdays} {}",
        list(schedule.seconds(), periodic[0]),
        list(schedule.minutes(), periodic[1]),
        list(schedule.hours(), periodic[2]),
        list(schedule.days_of_month(), false),
        list(schedule.months(), false),
        list(schedule.years(), false),
    )
}

fn list(unit: &impl TimeUnitSpec, periodic: bool) -> String {
    if unit.is_all() {
        return "*".to_owned();
    }
    let values: Vec<_> = unit.iter().collect();
    match values[..] {
        // Smart DST looks at the text: what was written with `-` or `/` must not turn into plain values.
        [only] if periodic => format!("{only}-{only}"),
        [first, ref rest @ ..] if periodic => format!("{first}-{first},{}", join(rest)),
        _ => join(&values),
    }
}

fn join(values: &[u32]) -> String {
    values.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

/// Whether second, minute and hour were written with `*`, `/` or `-`. Where the source's fields can't be told apart
/// (that grammar needs no blanks between them) all of them count as periodic if any part does.
fn periodic(source: &str) -> [bool; 3] {
    let mut text = source.trim().to_owned();
    for sign in [",", "-", "/"] {
        text = text.split(sign).map(str::trim).collect::<Vec<_>>().join(sign);
    }
    let is_periodic = |text: &str| text.contains(['*', '/', '-']);
    let fields: Vec<_> = text.split_whitespace().collect();
    match fields[..] {
        [second, minute, hour, _, _, _] | [second, minute, hour, _, _, _, _] => {
            [second, minute, hour].map(is_periodic)
        }
        _ => [is_periodic(&text); 3],
    }
}
