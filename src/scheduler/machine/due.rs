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
        Self::walk(trigger, (first, second), now, most, rules.max_catch_up)
            .unwrap_or_else(|| Self::find_from_the_end(trigger, first, now, most, rules.max_catch_up))
    }

    /// What is due, instant by instant; `None` where more than `counted` came before the `most` latest.
    ///
    /// A scheduler that is a little behind finds a few instants due of each task. Were they dear, it would never come after.
    fn walk(
        trigger: &dyn Trigger,
        (first, second): (DateTime<Utc>, Option<DateTime<Utc>>),
        now: DateTime<Utc>,
        most: usize,
        counted: u32,
    ) -> Option<Self> {
        let mut found = VecDeque::from([first]);
        let mut earlier: Option<Earlier> = None;
        let mut next = second;
        while let Some(instant) = next.filter(|instant| *instant <= now) {
            if found.len() == most
                && let Some(last) = found.pop_front()
            {
                let at_least = earlier.map_or(0, |earlier| earlier.count.at_least);
                if at_least == counted {
                    return None;
                }
                earlier = Some(Earlier { last, count: Count { at_least: at_least + 1, more: false } });
            }
            found.push_back(instant);
            next = trigger.next_after(instant);
        }
        let last = found.pop_back().unwrap_or(first);
        Some(Self { last, before: found.into(), earlier, next })
    }

    /// What is due where so much is that not all of it is counted.
    fn find_from_the_end(
        trigger: &dyn Trigger,
        first: DateTime<Utc>,
        now: DateTime<Utc>,
        most: usize,
        counted: u32,
    ) -> Self {
        let (mut before, next) = latest(trigger, first, now, most);
        let just_before = before[0] - TimeDelta::nanoseconds(1);
        let (earlier, _) = latest(trigger, first, just_before, 1);
        let earlier = Earlier { last: earlier[0], count: Count { at_least: counted, more: true } };
        let last = before.pop().unwrap_or(first);
        Self { last, before, earlier: Some(earlier), next }
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
