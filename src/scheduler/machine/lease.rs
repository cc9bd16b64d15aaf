//! That this scheduler lives, as a store knows it.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::clock::after;

/// The lease that one store gives: runs that are claimed there are ours only as long as it is held.
///
/// All times are by our own clock: a store's clock decides when a lease lapses, and ours only when not to trust it any more,
/// which is earlier.
#[derive(Debug, Default)]
pub(super) struct Lease {
    /// `None`: the store gives none, as what it keeps goes with the process.
    length: Option<Duration>,
    held_until: Option<DateTime<Utc>>,
    /// When the store is told next that we live.
    beat_at: Option<DateTime<Utc>>,
    is_beating: bool,
}

impl Lease {
    pub(super) fn new(length: Option<Duration>, now: DateTime<Utc>) -> Self {
        Self { length, beat_at: length.map(|_| now), ..Self::default() }
    }

    pub(super) fn length(&self) -> Option<Duration> {
        self.length
    }

    /// Whether what we have won is ours, as far as we know.
    pub(super) fn is_held(&self) -> bool {
        self.length.is_none() || self.held_until.is_some()
    }

    /// Looks whether it has lapsed, and begins to renew it where it is time; answers how long it is to be.
    pub(super) fn start_beating(&mut self, now: DateTime<Utc>) -> Option<Duration> {
        let length = self.length?;
        if self.held_until.is_some_and(|until| until <= now) {
            self.lose(now);
        }
        if self.is_beating || self.beat_at.is_none_or(|at| at > now) {
            return None;
        }
        self.is_beating = true;
        Some(length)
    }

    /// It was renewed by a question that was asked then.
    pub(super) fn renewed(&mut self, asked_at: DateTime<Utc>, now: DateTime<Utc>) {
        let Some(length) = self.length else { return };
        self.is_beating = false;
        // By the time that the question took the store may have counted from earlier on than we know.
        self.held_until = Some(after(asked_at, length - margin(length)));
        self.beat_at = Some(after(now, length / 4));
    }

    /// The store did not answer.
    pub(super) fn failed(&mut self, retry_interval: Duration, now: DateTime<Utc>) {
        self.is_beating = false;
        self.beat_at = self.length.map(|length| after(now, retry_interval.min(length / 4)));
    }

    /// It has lapsed, or the store says so.
    pub(super) fn lose(&mut self, now: DateTime<Utc>) {
        self.held_until = None;
        self.beat_soon(now);
    }

    /// Renews it no later than then.
    pub(super) fn beat_soon(&mut self, at: DateTime<Utc>) {
        if self.length.is_some() {
            self.beat_at = Some(self.beat_at.map_or(at, |beat| beat.min(at)));
        }
    }

    pub(super) fn timeout(&self) -> Option<DateTime<Utc>> {
        let beat = self.beat_at.filter(|_| !self.is_beating);
        [beat, self.held_until].into_iter().flatten().min()
    }
}

/// Clocks don't go equally fast.
fn margin(length: Duration) -> Duration {
    (length / 10).min(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(30);

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn it_is_renewed_at_a_quarter_and_trusted_for_less_than_its_length() {
        let mut lease = Lease::new(Some(LENGTH), at(0));
        assert_eq!((lease.is_held(), lease.start_beating(at(0))), (false, Some(LENGTH)));
        assert_eq!(lease.start_beating(at(0)), None, "one question at a time");
        lease.renewed(at(0), at(1));
        assert!(lease.is_held());
        assert_eq!(lease.timeout(), Some(at(1) + chrono::TimeDelta::milliseconds(7_500)));
        assert_eq!(lease.start_beating(at(10)), Some(LENGTH));
        assert_eq!(lease.timeout(), Some(at(29)));
        assert_eq!(lease.start_beating(at(29)), None);
        assert!(!lease.is_held());
    }

    #[test]
    fn without_a_lease_nothing_is_renewed() {
        let mut lease = Lease::new(None, at(0));
        assert_eq!((lease.is_held(), lease.start_beating(at(100)), lease.timeout()), (true, None, None));
    }
}
