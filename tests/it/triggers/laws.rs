//! What holds for every trigger.

use asyncz::{AndTrigger, OrTrigger, Trigger, Zone};
use chrono::{DateTime, TimeDelta, Utc};

use super::{Random, instants, read};

const SEEDS: u64 = 1500;

fn each_trigger(check: impl Fn(&(dyn Trigger + 'static), DateTime<Utc>, &mut Random)) {
    for seed in 0..SEEDS {
        let mut random = Random(seed);
        let json = random.trigger();
        let trigger = read(json.clone()).unwrap_or_else(|error| panic!("seed {seed}: {json}: {error}"));
        let now = moment(&mut random);
        check(&*trigger.anchored(now, &Zone::UTC), now, &mut random);
    }
}

/// Some millisecond between 2024 and 2030.
fn moment(random: &mut Random) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(random.number(1_704_067_200_000, 1_893_456_000_000)).expect("in range")
}

#[test]
fn instants_strictly_increase_and_lie_after_what_was_asked() {
    each_trigger(|trigger, now, _| {
        let mut after = now;
        for _ in 0..12 {
            let Some(next) = trigger.next_after(after) else { break };
            assert!(next > after, "{trigger:?}: {next} after {after}");
            after = next;
        }
    });
}

#[test]
fn the_way_there_makes_no_difference() {
    each_trigger(|trigger, now, random| {
        let Some(next) = trigger.next_after(now) else { return };
        // Every instant from `now` up to the next one leads to it, and so does asking twice.
        let between = (next - now).num_milliseconds();
        for _ in 0..4 {
            let after = now + TimeDelta::milliseconds(random.number(0, (between - 1).max(0)));
            assert_eq!(trigger.next_after(after), Some(next), "{trigger:?} after {after}, {now}");
        }
        let just_before = next - TimeDelta::nanoseconds(1);
        assert_eq!(trigger.next_after(just_before), Some(next), "{trigger:?} just before");
    });
}

#[test]
fn first_includes_now() {
    each_trigger(|trigger, now, _| {
        if let Some(next) = trigger.next_after(now) {
            assert_eq!(trigger.first(next), Some(next), "{trigger:?}");
        }
    });
}

#[test]
fn no_instant_is_after_the_end() {
    each_trigger(|trigger, _, _| {
        if let Some(end) = trigger.end() {
            assert_eq!(trigger.next_after(end), None, "{trigger:?}");
        }
    });
}

#[test]
fn anchoring_twice_is_anchoring_once() {
    each_trigger(|trigger, now, random| {
        let berlin = "Europe/Berlin".parse().expect("a zone");
        let again = trigger.anchored(moment(random), &berlin);
        assert_eq!(again.next_after(now), trigger.next_after(now), "{trigger:?}");
    });
}

#[test]
fn what_is_stored_reads_back_the_same() {
    each_trigger(|trigger, now, _| {
        let stored = serde_json::to_value(trigger).expect("triggers serialise");
        let read = read(stored.clone()).unwrap_or_else(|error| panic!("{stored}: {error}"));
        assert_eq!(serde_json::to_value(&*read).expect("triggers serialise"), stored);
        assert_eq!(read.next_after(now), trigger.next_after(now), "{stored}");
        assert_eq!((read.jitter(), read.end()), (trigger.jitter(), trigger.end()), "{stored}");
    });
}

#[test]
fn every_trigger_can_be_described() {
    each_trigger(|trigger, _, _| {
        let words = trigger.describe();
        let plain =
            !words.is_empty() && !words.contains("  ") && !words.contains('{') && words.trim() == words;
        assert!(plain, "{trigger:?}: `{words}`");
        assert_eq!(words, trigger.to_string());
    });
}

#[test]
fn or_is_the_union_and_and_the_intersection() {
    for seed in 0..400 {
        let mut random = Random(seed);
        let (one, other) = (random.simple_trigger(), random.simple_trigger());
        let now = moment(&mut random);
        let anchored = |json| read(json).expect("a valid trigger").anchored(now, &Zone::UTC);
        let members = || [anchored(one.clone()), anchored(other.clone())];
        let (union, both) =
            (OrTrigger::new(members()).expect("members"), AndTrigger::new(members()).expect("members"));
        let [one, other] = members();

        let until = now + TimeDelta::hours(6);
        let (these, those) = (instants(&*one, now, until), instants(&*other, now, until));
        let mut all = [&these[..], &those[..]].concat();
        all.sort_unstable();
        all.dedup();
        let common: Vec<_> = these.iter().filter(|at| those.contains(at)).copied().collect();

        assert_eq!(instants(&union, now, until), all, "seed {seed}");
        // A member may be so dense, and the other so rare, that the search gives up before they meet.
        if common.len() < 10_000 && all.len() < 10_000 {
            assert_eq!(instants(&both, now, until), common, "seed {seed}");
        }
    }
}
