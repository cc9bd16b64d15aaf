// What no input may do, for the fuzz targets and for the test that replays their corpora.

use asyncz::{CronTrigger, Trigger, Zone};
use chrono::{DateTime, Utc};

/// A cron expression, read, asked and described.
pub(crate) fn expression(text: &str) {
    if let Ok(trigger) = CronTrigger::new(text) {
        ask(&trigger);
    }
}

/// Cron fields, a line each, in the order of the fields; an empty line is a field not given.
pub(crate) fn fields(text: &str) {
    let names = ["year", "month", "day", "week", "day_of_week", "hour", "minute", "second"];
    let given = names.iter().zip(text.lines()).filter(|(_, text)| !text.is_empty());
    let members: serde_json::Map<_, _> =
        given.map(|(name, text)| ((*name).to_owned(), text.into())).collect();
    trigger(&serde_json::json!({"type": "cron", "fields": members}).to_string());
}

/// A duration, a date, and a zone name.
pub(crate) fn duration(text: &str) {
    let _ = asyncz_grammar::duration::parse(text);
    let _ = asyncz_grammar::date::parse_day(text);
    if let Ok(time) = asyncz_grammar::date::parse(text) {
        // What reads as a time is a trigger's, and is written as it was read.
        let form = serde_json::json!({"type": "date", "run_at": text});
        let read: Box<dyn Trigger> =
            serde_json::from_value(form).unwrap_or_else(|error| panic!("{time:?}: {error}"));
        ask(&*read);
    }
    assert_eq!(asyncz_grammar::zone::check(text).is_ok(), text.parse::<Zone>().is_ok());
}

/// Any trigger's JSON form.
pub(crate) fn trigger(json: &str) {
    let Ok(trigger) = serde_json::from_str::<Box<dyn Trigger>>(json) else {
        return;
    };
    ask(&*trigger);
    let zone: Zone = "America/New_York".parse().expect("a zone");
    let now = DateTime::from_timestamp_nanos(1_795_392_000_123_456_789);
    let anchored = trigger.anchored(now, &zone);
    ask(&*anchored);
    let stored = serde_json::to_string(&*anchored).expect("triggers serialise");
    let again: Box<dyn Trigger> =
        serde_json::from_str(&stored).unwrap_or_else(|error| panic!("{stored}: {error}"));
    assert_eq!(again.next_after(now), anchored.next_after(now), "{stored}");
    assert_eq!(serde_json::to_string(&*again).expect("triggers serialise"), stored);
}

/// The answers are later than the questions, and come at once.
fn ask(trigger: &dyn Trigger) {
    assert!(!trigger.describe().is_empty());
    let questions = [i64::MIN, -62_200_000_000, 0, 1_743_296_400, 1_795_392_000, 7_289_000_000, i64::MAX];
    for seconds in questions {
        let after = DateTime::<Utc>::from_timestamp(seconds, 0).unwrap_or(match seconds {
            ..0 => DateTime::<Utc>::MIN_UTC,
            _ => DateTime::<Utc>::MAX_UTC,
        });
        trigger.first(after);
        let mut at = after;
        for _ in 0..3 {
            let Some(next) = trigger.next_after(at) else { break };
            assert!(next > at, "{trigger:?}: {next} after {at}");
            at = next;
        }
    }
}
