//! Where one store's cycle stands.

use chrono::{DateTime, Utc};

use crate::stores::Finish;

/// One store's cycle, and the ends of its runs.
#[derive(Debug, Default)]
pub(super) struct Desk {
    cycle: Cycle,
    /// Somebody changed tasks while the cycle went round.
    changed: bool,
    /// The store was removed: nothing new begins.
    pub(super) is_leaving: bool,
    /// Ended runs to be written.
    pub(super) ends: Vec<Finish>,
    /// An empty list, for the next ends: it need not grow again.
    pub(super) spare: Vec<Finish>,
    pub(super) is_finishing: bool,
    /// The store failed: ends are not written before then.
    pub(super) finish_after: Option<DateTime<Utc>>,
    /// What is written now may have been written before, and what that has changed was never told.
    pub(super) finishes_again: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Cycle {
    /// A question is out.
    Asking,
    /// Nothing to do until then.
    Resting(Option<DateTime<Utc>>),
}

impl Default for Cycle {
    fn default() -> Self {
        Self::Resting(None)
    }
}

impl Desk {
    /// Begins a cycle where something is due; answers whether it did.
    pub(super) fn start_cycle(&mut self, now: DateTime<Utc>) -> bool {
        let due = self.timeout().is_some_and(|at| at <= now);
        if due {
            self.cycle = Cycle::Asking;
        }
        due
    }

    /// Begins to ask when the next task is due; answers whether it did. A cycle that goes round will ask anyway.
    pub(super) fn start_looking(&mut self) -> bool {
        if self.is_leaving {
            return false;
        }
        let resting = !self.is_in_cycle();
        match resting {
            true => self.cycle = Cycle::Asking,
            false => self.changed = true,
        }
        resting
    }

    /// Ends the cycle; answers whether somebody has changed tasks meanwhile.
    pub(super) fn end_cycle(&mut self, next_due: Option<DateTime<Utc>>) -> bool {
        self.cycle = Cycle::Resting(next_due);
        std::mem::take(&mut self.changed)
    }

    /// Gives the cycle up, to begin again at `again`.
    pub(super) fn break_cycle(&mut self, again: DateTime<Utc>) {
        self.end_cycle(Some(again));
    }

    /// Looks again at once, and writes what waits to be written.
    pub(super) fn wait_no_longer(&mut self, now: DateTime<Utc>) {
        self.finish_after = None;
        if let Cycle::Resting(Some(until)) = &mut self.cycle {
            *until = now.min(*until);
        }
    }

    /// Begins nothing new from here on. Ends that wait for a store that failed are written now or never.
    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
        self.finish_after = None;
    }

    pub(super) fn timeout(&self) -> Option<DateTime<Utc>> {
        match self.cycle {
            Cycle::Resting(until) if !self.is_leaving => until,
            Cycle::Asking | Cycle::Resting(_) => None,
        }
    }

    pub(super) fn is_in_cycle(&self) -> bool {
        self.cycle == Cycle::Asking
    }

    /// The ends to write, where there are some and none are being written.
    pub(super) fn start_finishing(&mut self) -> Option<Vec<Finish>> {
        if self.is_finishing || self.ends.is_empty() || self.finish_after.is_some() {
            return None;
        }
        self.is_finishing = true;
        Some(std::mem::replace(&mut self.ends, std::mem::take(&mut self.spare)))
    }

    /// The store failed to write ends: they are written again, before those that came since.
    pub(super) fn finish_again(&mut self, mut ends: Vec<Finish>, again: DateTime<Utc>) {
        ends.append(&mut self.ends);
        self.ends = ends;
        self.is_finishing = false;
        self.finish_after = Some(again);
        self.finishes_again = true;
    }

    pub(super) fn is_quiet(&self) -> bool {
        !self.is_in_cycle() && !self.is_finishing && self.ends.is_empty()
    }
}
