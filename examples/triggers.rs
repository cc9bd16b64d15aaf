//! Says when: `cargo run --example triggers -- "30 2 * * *" Europe/Berlin 2026-10-23T00:00:00Z 5`
//!
//! The first argument is a cron expression or the JSON form of any trigger (`'{"type": "interval", "hours": 36}'`);
//! then, if wanted, the zone, the instant from which to look, and how many instants. Where the zone's clock is put
//! forward or back on the way, it says so.
#![expect(clippy::print_stdout, reason = "an example tells what it finds")]

use std::error::Error;

use asyncz::{Clock, CronTrigger, LocalTime, SystemClock, Trigger, Zone};
use chrono::{DateTime, TimeDelta, Utc};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |place: usize| arguments.get(place).map(String::as_str);

    let text = argument(0).unwrap_or("30 2 * * *");
    let zone: Zone = argument(1).unwrap_or("Europe/Berlin").parse()?;
    let now: DateTime<Utc> = argument(2).map_or_else(|| Ok(SystemClock.now()), str::parse)?;
    let count: usize = argument(3).map_or(Ok(10), str::parse)?;

    let trigger: Box<dyn Trigger> = if text.trim_start().starts_with('{') {
        serde_json::from_str(text)?
    } else {
        CronTrigger::new(text)?.into()
    };
    let trigger = trigger.anchored(now, &zone);
    println!("{trigger}");
    println!("by the rules of tzdb {}, from {now}:\n", Zone::rules_version());

    let mut last = now;
    let instants = std::iter::successors(trigger.first(now), |at| trigger.next_after(*at));
    let mut found = 0;
    for at in instants.take(count) {
        if let Some(change) = change_of_clock(zone, last, at) {
            println!("    {change}");
        }
        println!("{}   {}{}", at.format("%F %T UTC"), zone.local(at).format("%a %F %T"), pass(zone, at));
        last = at;
        found += 1;
    }
    if found < count {
        println!("and no more");
    }
    Ok(())
}

/// Which of two passes an instant is in, where the clock shows its time twice.
fn pass(zone: Zone, at: DateTime<Utc>) -> &'static str {
    match zone.instants(zone.local(at)) {
        LocalTime::Twice(first, _) if first == at => "   the first time that the clock shows this",
        LocalTime::Twice(..) => "   the second time that the clock shows this",
        _ => "",
    }
}

/// The last change of the zone's clock between two instants, in words.
fn change_of_clock(zone: Zone, after: DateTime<Utc>, until: DateTime<Utc>) -> Option<String> {
    let offset = |at: DateTime<Utc>| zone.local(at) - at.naive_utc();
    // Hour by hour back from the second instant, for at most a year; then to the second by halving.
    let hours = (until - after).num_hours().min(366 * 24);
    let changed =
        (0..=hours).map(|hour| until - TimeDelta::hours(hour)).find(|at| offset(*at) != offset(until))?;
    let (mut before, mut from) = (changed, changed + TimeDelta::hours(1));
    while from - before > TimeDelta::seconds(1) {
        let middle = before + TimeDelta::seconds((from - before).num_seconds() / 2);
        if offset(middle) == offset(changed) { before = middle } else { from = middle }
    }
    let (shown, shows) = (zone.local(from) + offset(changed) - offset(from), zone.local(from));
    let way = if shown < shows {
        "forward, over what lies between"
    } else {
        "back, and what lies between comes twice"
    };
    Some(format!("at {shown} the clock is put to {shows}: {way}"))
}
