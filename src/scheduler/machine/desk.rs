//! Where one store's cycle stands.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::lease::Lease;
use crate::clock::after;
use crate::stores::Finish;

/// What a store offers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms {
    /// How long a lease lasts; `None`: it gives none.
    pub(crate) lease: Option<Duration>,
    /// How often it is to be asked what others have changed; `None`: it tells.
    pub(crate) ask_every: Option<Duration>,
    /// How many due tasks one question asks for.
    pub(crate) batch: usize,
}

/// One store's cycle, and the ends of its runs.
#[derive(Debug, Default)]
pub(super) struct Desk {
    cycle: Cycle,
    pub(super) lease: Lease,
    /// How far the store's clock is ahead of ours; `None`: it has none, or has not told yet.
    pub(super) skew: Option<TimeDelta>,
    /// How many due tasks one question asks for.
    pub(super) batch: usize,
    ask_every: Option<Duration>,
    ask_at: Option<DateTime<Utc>>,
    /// When old entries are removed next.
    prune_at: Option<DateTime<Utc>>,
    /// Runs of others are being taken over.
    pub(super) is_taking_over: bool,
    /// When the store is asked which runs are ours: others may have taken them over, or we don't know of them.
    check_at: Option<DateTime<Utc>>,
    is_checking: bool,
    /// The lease had lapsed, and which runs are still ours is not known yet.
    had_lapsed: bool,
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

/// What the start of runs of one store depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct StartTerms {
    pub(super) may_start: bool,
    skew: Option<TimeDelta>,
}

impl StartTerms {
    /// When it is that time by the store's clock, by ours.
    pub(super) fn our_time(self, at: DateTime<Utc>) -> DateTime<Utc> {
        our_time(self.skew, at)
    }
}

fn our_time(skew: Option<TimeDelta>, at: DateTime<Utc>) -> DateTime<Utc> {
    skew.and_then(|skew| at.checked_sub_signed(skew)).unwrap_or(at)
}

impl Default for Cycle {
    fn default() -> Self {
        Self::Resting(None)
    }
}

/// How often old entries are removed.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

impl Desk {
    pub(super) fn new(terms: Terms, now: DateTime<Utc>) -> Self {
        Self {
            lease: Lease::new(terms.lease, now),
            batch: terms.batch.max(1),
            ask_every: terms.ask_every,
            ask_at: terms.ask_every.map(|time| after(now, time)),
            prune_at: terms.lease.map(|_| after(now, PRUNE_EVERY)),
            ..Self::default()
        }
    }

    /// Whether what it keeps outlives this process, so that others may take over what is handed back.
    pub(super) fn is_durable(&self) -> bool {
        self.lease.length().is_some()
    }

    /// Notes the store's clock, as it was a moment ago.
    pub(super) fn note_time(&mut self, told: Option<DateTime<Utc>>, now: DateTime<Utc>) {
        if let Some(told) = told {
            self.skew = Some(told - now);
        }
    }

    /// The time by the store's clock.
    pub(super) fn time(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.skew.and_then(|skew| now.checked_add_signed(skew)).unwrap_or(now)
    }

    /// When it is that time by the store's clock, by ours.
    pub(super) fn our_time(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        our_time(self.skew, at)
    }

    /// What the start of a run that was won depends on: looked up once for all that were won together.
    pub(super) fn start_terms(&self) -> StartTerms {
        StartTerms { may_start: self.may_start(), skew: self.skew }
    }

    /// Whether it is time to ask what others have changed.
    pub(super) fn start_asking(&mut self, now: DateTime<Utc>) -> bool {
        let due = self.ask_at.is_some_and(|at| at <= now);
        if due {
            self.ask_at = self.ask_every.map(|time| after(now, time));
        }
        due && !self.is_in_cycle()
    }

    /// Whether it is time to remove old entries.
    pub(super) fn start_pruning(&mut self, now: DateTime<Utc>) -> bool {
        let due = self.prune_at.is_some_and(|at| at <= now);
        if due {
            self.prune_at = Some(after(now, PRUNE_EVERY));
        }
        due
    }

    /// There are more to remove.
    pub(super) fn prune_soon(&mut self, now: DateTime<Utc>) {
        self.prune_at = Some(after(now, Duration::from_secs(1)));
    }

    /// Whether a run that was won is ours for sure, so that it may start.
    pub(super) fn may_start(&self) -> bool {
        self.lease.is_held() && !self.had_lapsed
    }

    /// The lease had lapsed: others may have taken our runs over.
    pub(super) fn note_lapse(&mut self, now: DateTime<Utc>) {
        self.had_lapsed = true;
        self.doubt(now);
    }

    /// What the store has of our runs may be something else than what we know.
    pub(super) fn doubt(&mut self, check_at: DateTime<Utc>) {
        self.check_at = Some(self.check_at.map_or(check_at, |at| at.min(check_at)));
    }

    /// Whether it is time to ask which runs are ours. Until the answer nothing else is claimed or ended, so that the answer
    /// is about what was known when it was asked.
    pub(super) fn start_checking(&mut self, now: DateTime<Utc>) -> bool {
        let due = self.check_timeout().is_some_and(|at| at <= now);
        if due {
            self.check_at = None;
            self.is_checking = true;
            self.cycle = Cycle::Asking;
        }
        due
    }

    /// It was asked which runs are ours; where that failed, it is asked again then.
    pub(super) fn has_checked(&mut self, again: Option<DateTime<Utc>>) {
        self.is_checking = false;
        match again {
            None => self.had_lapsed = false,
            Some(again) => {
                self.doubt(again);
                self.break_cycle(again);
            }
        }
    }

    fn check_timeout(&self) -> Option<DateTime<Utc>> {
        let is_free = !self.is_in_cycle() && !self.is_taking_over && !self.is_finishing && !self.is_leaving;
        self.check_at.filter(|_| is_free && self.lease.is_held())
    }

    /// Begins to take runs over; answers whether it may.
    pub(super) fn start_taking_over(&mut self) -> bool {
        let is_free = !self.is_taking_over && !self.is_checking && !self.is_leaving;
        self.is_taking_over |= is_free;
        is_free
    }

    /// Begins a cycle where something is due and can be claimed; answers whether it did.
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
        self.check_at = self.check_at.map(|at| at.min(now));
        // The lease may have been held for any time.
        if self.lease.length().is_some() {
            self.lease.lose(now);
        }
        self.ask_at = self.ask_every.map(|time| after(now, time));
        self.prune_at = self.prune_at.map(|_| after(now, PRUNE_EVERY));
        if let Cycle::Resting(Some(until)) = &mut self.cycle {
            *until = now.min(*until);
        }
    }

    /// Begins nothing new from here on. Ends that wait for a store that failed are written now or never.
    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
        self.finish_after = None;
    }

    /// When the next cycle begins.
    pub(super) fn timeout(&self) -> Option<DateTime<Utc>> {
        match self.cycle {
            // Without a lease nothing can be claimed.
            Cycle::Resting(until) if !self.is_leaving && self.lease.is_held() => until,
            Cycle::Asking | Cycle::Resting(_) => None,
        }
    }

    /// When there is something else to ask.
    pub(super) fn other_timeout(&self) -> Option<DateTime<Utc>> {
        let asks = self.ask_at.filter(|_| !self.is_leaving);
        let others = [self.finish_after, self.lease.timeout(), asks, self.prune_at, self.check_timeout()];
        others.into_iter().flatten().min()
    }

    pub(super) fn is_in_cycle(&self) -> bool {
        self.cycle == Cycle::Asking
    }

    /// The ends to write, where there are some and none are being written.
    pub(super) fn start_finishing(&mut self) -> Option<Vec<Finish>> {
        if self.is_finishing || self.is_checking || self.ends.is_empty() || self.finish_after.is_some() {
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
        !self.is_in_cycle() && !self.is_taking_over && !self.is_finishing && self.ends.is_empty()
    }
}
