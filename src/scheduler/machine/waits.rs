//! What waits for its time: runs that start later, aborts, and stores that are asked again.

use chrono::{DateTime, TimeDelta, Utc};

use super::{ABORT_GRACE, Action, Machine};
use crate::clock::after;
use crate::task::{Occurrence, RunId, TaskDefinition, Ticket};

/// A clock that goes back by less is only kept in order.
const STEP: TimeDelta = TimeDelta::seconds(1);

impl Machine {
    /// Notes the time. Where the clock was set back, what waits for some time waits no longer for that: a store that failed
    /// is not asked again hours later.
    pub(super) fn notice(&mut self, now: DateTime<Utc>) {
        let Some(before) = self.heard_at.replace(now) else { return };
        let back = before - now;
        if back <= STEP {
            return;
        }
        for desk in self.desks.values_mut() {
            desk.wait_no_longer(now);
        }
        let delayed = std::mem::take(&mut self.delayed).into_iter();
        self.delayed = delayed.map(|((at, run), dispatch)| ((at - back, run), dispatch)).collect();
        let latest = after(now, ABORT_GRACE);
        let aborts = std::mem::take(&mut self.aborts).into_iter();
        self.aborts = aborts.map(|(at, run, ticket)| (at.min(latest), run, ticket)).collect();
        self.begins_at = self.begins_at.map(|begin| begin - back);
    }

    /// Aborts the runs that were told to stop and go on.
    pub(super) fn abort_due(&mut self, now: DateTime<Utc>) {
        if self.aborts.is_empty() {
            return;
        }
        let later = self.aborts.split_off(&(now, RunId::LAST, Ticket::LAST));
        let due = std::mem::replace(&mut self.aborts, later).into_iter();
        let going_on: Vec<_> = due
            .filter(|(_, run, ticket)| self.running.contains(*ticket, *run))
            .map(|(_, _, ticket)| ticket)
            .collect();
        if !going_on.is_empty() {
            self.actions.push_back(Action::Abort(going_on));
        }
    }
}

/// When a run starts: when it was due, and as much later as its task's jitter says; a retry when it is told to.
pub(super) fn start_of(
    occurrence: &Occurrence,
    starts_at: Option<DateTime<Utc>>,
    definition: &TaskDefinition,
) -> DateTime<Utc> {
    let jitter = definition.rules.jitter;
    if let Some(starts_at) = starts_at {
        return starts_at;
    }
    if occurrence.by_hand || occurrence.attempt > 1 || jitter.is_zero() {
        return occurrence.due;
    }
    let (id, end) = (definition.id.as_str(), definition.trigger.end());
    after(occurrence.due, crate::triggers::jitter::delay(id, occurrence.due, jitter, end))
}
