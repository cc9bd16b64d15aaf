//! Every change of the clock from 1970 to 2040 in eleven zones, against a reference that knows no search: it looks at
//! every minute (or second) for periodic triggers, and at every named time of every local day for named ones.

use std::collections::BTreeSet;

use asyncz::{CalendarIntervalTrigger, CronTrigger, Dst, Trigger, Zone};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::random::join;
use super::{Random, ZONES, instants, law, second};

const HOUR: i64 = 3600;

/// Times of day as plain lists, and days of the week (0 is Monday).
struct Times {
    hours: Vec<i64>,
    minutes: Vec<i64>,
    seconds: Vec<i64>,
    weekdays: Vec<i64>,
}

impl Times {
    fn random(random: &mut Random) -> Self {
        let every = |length| (0..length).collect::<Vec<_>>();
        Self {
            // Nearly all changes are in these hours, or at midnight.
            hours: if random.one_in(4) { random.values(22, 23) } else { random.values(0, 4) },
            minutes: random.values(0, 59),
            seconds: if random.one_in(3) { random.values(0, 59) } else { vec![0] },
            weekdays: if random.one_in(3) { random.values(0, 6) } else { every(7) },
        }
    }

    fn trigger(&self, zone: Zone) -> CronTrigger {
        CronTrigger::fields()
            .hour(join(&self.hours))
            .minute(join(&self.minutes))
            .second(join(&self.seconds))
            .day_of_week(join(&self.weekdays))
            .timezone(zone)
            .build()
            .expect("lists in range")
    }

    fn has_day(&self, date: NaiveDate) -> bool {
        self.weekdays.contains(&i64::from(date.weekday().num_days_from_monday()))
    }

    fn matches(&self, local: NaiveDateTime) -> bool {
        self.hours.contains(&local.hour().into())
            && self.minutes.contains(&local.minute().into())
            && self.seconds.contains(&local.second().into())
            && self.has_day(local.date())
    }

    fn of_day(&self, date: NaiveDate) -> Vec<NaiveDateTime> {
        let mut times = Vec::new();
        for hour in &self.hours {
            for minute in &self.minutes {
                let seconds = self.seconds.iter().map(|second| hour * HOUR + minute * 60 + second);
                times
                    .extend(seconds.map(|second| date.and_time(NaiveTime::MIN) + TimeDelta::seconds(second)));
            }
        }
        if self.has_day(date) { times } else { Vec::new() }
    }
}

fn offset(law: &TimeZone, at: i64) -> i64 {
    law.to_offset(Timestamp::from_second(at).expect("in range")).seconds().into()
}

fn local(law: &TimeZone, at: i64) -> NaiveDateTime {
    second(at + offset(law, at)).naive_utc()
}

/// The instants at which offsets change.
fn changes(law: &TimeZone) -> Vec<i64> {
    law.following(Timestamp::UNIX_EPOCH)
        .map(|change| change.timestamp().as_second())
        .take_while(|at| *at < 2_208_988_800)
        .filter(|at| local(law, *at) - local(law, *at - 1) != TimeDelta::seconds(1))
        .collect()
}

/// What "smart" makes of a named time: the first instant that shows it, or the end of the gap it lies in if that is
/// the same day. `changes` are all that are near.
fn named(law: &TimeZone, changes: &[i64], wanted: NaiveDateTime) -> Option<i64> {
    // Whatever shows the time does so at one of the offsets in force around the changes.
    let offsets: BTreeSet<_> =
        changes.iter().flat_map(|at| [at - 1, *at]).map(|at| offset(law, at)).collect();
    // The greatest offset is the earliest instant.
    let candidates = offsets.iter().rev().map(|offset| wanted.and_utc().timestamp() - offset);
    let shown = candidates.into_iter().find(|at| local(law, *at) == wanted);
    shown.or_else(|| {
        let in_gap = |at: &&i64| local(law, **at - 1) < wanted && wanted < local(law, **at);
        changes.iter().find(in_gap).copied().filter(|at| local(law, *at).date() == wanted.date())
    })
}

#[test]
fn periodic_triggers_fire_at_each_matching_instant() {
    each_change(|Case { name, law, change, .. }, random| {
        let times = Times { seconds: vec![0], ..Times::random(random) };
        let trigger = times.trigger(name.parse().expect("a zone")).dst(Dst::Literal);
        let (from, to) = (change - 3 * HOUR, change + 4 * HOUR);
        let expected: Vec<_> = (from / 60 + 1..to / 60).map(|minute| minute * 60).collect();
        let expected: Vec<_> =
            expected.into_iter().filter(|at| times.matches(local(law, *at))).map(second).collect();
        assert_eq!(
            instants(&trigger, second(from), second(to)),
            expected,
            "{name}, change at {}",
            second(change)
        );
        asked_anywhere(&trigger, &expected, from, to, random);
    });
}

#[test]
fn seconds_are_right_up_to_the_change_and_from_it_on() {
    each_change(|Case { name, law, change, .. }, random| {
        let times =
            Times { hours: (0..24).collect(), minutes: vec![0, 1, 29, 30, 59], ..Times::random(random) };
        let trigger = times.trigger(name.parse().expect("a zone")).dst(Dst::Literal);
        let (from, to) = (change - 90, change + 90);
        let expected =
            (from + 1..to).filter(|at| times.matches(local(law, *at))).map(second).collect::<Vec<_>>();
        assert_eq!(
            instants(&trigger, second(from), second(to)),
            expected,
            "{name}, change at {}",
            second(change)
        );
    });
}

#[test]
fn named_times_come_once_on_each_local_day() {
    each_change(|Case { name, law, change, near }, random| {
        let times = Times::random(random);
        let trigger = times.trigger(name.parse().expect("a zone"));
        let (from, to) = (change - 26 * HOUR, change + 26 * HOUR);
        let days = local(law, change).date() - TimeDelta::days(3);
        let all = days.iter_days().take(7).flat_map(|date| times.of_day(date));
        let expected: BTreeSet<_> = all.filter_map(|wanted| named(law, near, wanted)).collect();
        let expected: Vec<_> =
            expected.into_iter().filter(|at| (from + 1..to).contains(at)).map(second).collect();
        assert_eq!(
            instants(&trigger, second(from), second(to)),
            expected,
            "{name}, change at {}",
            second(change)
        );
        asked_anywhere(&trigger, &expected, from, to, random);
    });
}

#[test]
fn calendar_intervals_resolve_like_named_times() {
    each_change(|Case { name, law, change, near }, random| {
        let times = Times { seconds: vec![0], ..Times::random(random) };
        let (hour, minute) = (times.hours[0] as u32, times.minutes[0] as u32);
        let start = local(law, change).date() - TimeDelta::days(3);
        let trigger = CalendarIntervalTrigger::builder()
            .days(1)
            .start_date(start)
            .hour(hour)
            .minute(minute)
            .timezone(name.parse::<Zone>().expect("a zone"))
            .build()
            .expect("a valid interval");
        let (from, to) = (change - 26 * HOUR, change + 26 * HOUR);
        let time = NaiveTime::from_hms_opt(hour, minute, 0).expect("a time");
        let all = start.iter_days().take(7).filter_map(|date| named(law, near, date.and_time(time)));
        let expected: Vec<_> = all.filter(|at| (from + 1..to).contains(at)).map(second).collect();
        assert_eq!(
            instants(&trigger, second(from), second(to)),
            expected,
            "{name}, change at {}",
            second(change)
        );
    });
}

/// Asked from any instant, the answer is the same as on the way from the beginning.
fn asked_anywhere(
    trigger: &dyn Trigger,
    expected: &[DateTime<Utc>],
    from: i64,
    to: i64,
    random: &mut Random,
) {
    for _ in 0..8 {
        let after = second(random.number(from, to - 1)) + TimeDelta::milliseconds(random.number(0, 1) * 500);
        let next = trigger.next_after(after).filter(|at| *at < second(to));
        assert_eq!(next, expected.iter().copied().find(|at| *at > after), "{trigger:?} after {after}");
    }
}

/// A change of a zone's offset.
struct Case<'a> {
    name: &'a str,
    law: &'a TimeZone,
    change: i64,
    /// It, and those within four days of it.
    near: &'a [i64],
}

fn each_change(check: impl Fn(Case<'_>, &mut Random)) {
    for name in ZONES {
        let law = law(name);
        let changes = changes(&law);
        assert!(changes.len() > 20, "{name} has changes");
        for change in &changes {
            let near: Vec<_> = changes.iter().copied().filter(|at| (at - change).abs() < 96 * HOUR).collect();
            check(Case { name, law: &law, change: *change, near: &near }, &mut Random(*change as u64));
        }
    }
}
