//! Jitter is derived, not drawn.

use std::time::Duration;

use asyncz::triggers::jitter::delay;
use chrono::TimeDelta;

use super::at;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn the_same_task_and_instant_wait_the_same_in_every_version() {
    let due = at("2026-11-22T09:00:00Z");
    let delays = ["digest", "collect", "", "täglich"].map(|task| delay(task, due, MINUTE, None).as_millis());
    assert_eq!(delays, [35722, 10521, 39338, 32576]);
}

#[test]
fn delays_spread_evenly_from_zero_to_the_jitter() {
    let due = at("2026-11-22T09:00:00Z");
    let mut seen = [0; 11];
    for n in 0..11_000 {
        let delay = delay("digest", due + TimeDelta::minutes(n), Duration::from_millis(10), None);
        seen[delay.as_millis() as usize] += 1;
    }
    assert!(seen.iter().all(|count| (900..1100).contains(count)), "{seen:?}");
}

#[test]
fn no_delay_passes_the_end() {
    let due = at("2026-11-22T09:00:00Z");
    let end = due + TimeDelta::milliseconds(20);
    let delays: Vec<_> =
        (0..500).map(|n| delay(&n.to_string(), due, MINUTE, Some(end)).as_millis()).collect();
    assert_eq!((delays.iter().min(), delays.iter().max()), (Some(&0), Some(&20)));
    assert_eq!(delay("digest", due, MINUTE, Some(due)), Duration::ZERO);
    assert_eq!(delay("digest", due, MINUTE, Some(due - TimeDelta::days(1))), Duration::ZERO);
}

#[test]
fn no_jitter_is_no_delay_and_the_greatest_is_no_trouble() {
    let due = at("2026-11-22T09:00:00Z");
    assert_eq!(delay("digest", due, Duration::ZERO, None), Duration::ZERO);
    delay("digest", due, Duration::MAX, None);
}
