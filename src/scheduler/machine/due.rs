//! Which occurrences of a task are due.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};

use crate::Trigger;
use crate::task::{Count, Rules};

/// What is due of a task, in order, and what comes then.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// The latest occurrence.
    pub(super) last: DateTime<Utc>,
    /// Others to decide one by one, the earliest first.
    pub(super) before: Vec<DateTime<Utc>>,
    /// Those that came before them, all together.
    pub(super) earlier: Option<Earlier>,
    /// The first instant that is not due.
    pub(super) next: Option<DateTime<Utc>>,
}

/// Occurrences that are decided together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Earlier {
    /// The latest of them.
    pub(super) last: DateTime<Utc>,
    pub(super) count: Count,
}

impl Due {
    /// What is due at `now`, from `first` on, which is due. Never more work than the rules' `max_catch_up` asks for,
    /// however long nobody has decided.
    pub(super) fn find(
        trigger: &dyn Trigger,
        first: DateTime<Utc>,
        now: DateTime<Utc>,
        rules: &Rules,
    ) -> Self {
        let second = trigger.next_after(first);
        match second {
            Some(second) if second <= now => {}
            _ => return Self { last: first, before: Vec::new(), earlier: None, next: second },
        }
        let most = if rules.coalesce { 1 } else { rules.max_catch_up as usize };
        let (mut before, next) = latest(trigger, first, now, most);
        let earlier = count_before(trigger, first, before[0], rules.max_catch_up);
        let last = before.pop().unwrap_or(first);
        Self { last, before, earlier, next }
    }
}

/// The `most` latest instants in `first..=now`, and the one after `now`.
///
/// They are found by probing back from `now`, twice as far each time, so that a task of every second that slept for a year
/// costs 1,000 steps and not 31 million.
fn latest(
    trigger: &dyn Trigger,
    first: DateTime<Utc>,
    now: DateTime<Utc>,
    most: usize,
) -> (Vec<DateTime<Utc>>, Option<DateTime<Utc>>) {
    let mut reach = TimeDelta::seconds(1);
    loop {
        // `first` need not be an instant of the trigger: a user can set it. So it is taken as it is.
        let (mut found, start) = match now.checked_sub_signed(reach) {
            Some(probe) if probe > first => (VecDeque::new(), probe),
            _ => (VecDeque::from([first]), first),
        };
        let mut next = trigger.next_after(start);
        while let Some(instant) = next.filter(|instant| *instant <= now) {
            if found.len() == most {
                found.pop_front();
            }
            found.push_back(instant);
            next = trigger.next_after(instant);
        }
        if found.len() == most || start == first {
            return (found.into(), next);
        }
        reach = reach * 2;
    }
}

/// How many instants lie in `first..end`, counted up to `most`.
fn count_before(
    trigger: &dyn Trigger,
    first: DateTime<Utc>,
    end: DateTime<Utc>,
    most: u32,
) -> Option<Earlier> {
    let mut instant = first;
    let mut at_least = 0;
    while instant < end {
        if at_least == most {
            return Some(Earlier {
                last: last_before(trigger, first, end),
                count: Count { at_least, more: true },
            });
        }
        at_least += 1;
        match trigger.next_after(instant) {
            Some(next) if next < end => instant = next,
            _ => return Some(Earlier { last: instant, count: Count { at_least, more: false } }),
        }
    }
    None
}

/// The latest instant in `first..end`.
fn last_before(trigger: &dyn Trigger, first: DateTime<Utc>, end: DateTime<Utc>) -> DateTime<Utc> {
    let just_before = end - TimeDelta::nanoseconds(1);
    let (found, _) = latest(trigger, first, just_before, 1);
    found[0]
}
