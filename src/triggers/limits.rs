//! What intervals and crons share: a start, an end and jitter.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::invalid;
use super::moment::Moment;
use crate::Error;
use crate::zone::Zone;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) start: Option<Moment>,
    /// Inclusive.
    pub(super) end: Option<Moment>,
    pub(super) jitter: Duration,
}

impl Limits {
    /// Refuses an end before the start, as far as both are known.
    pub(super) fn check(&self, zone: Option<Zone>) -> Result<(), Error> {
        let (Some(start), Some(end)) = (self.start, self.end) else {
            return Ok(());
        };
        let is_before = match (start, end, zone) {
            (start, end, Some(zone)) => end.instant(zone) < start.instant(zone),
            (Moment::Instant(start), Moment::Instant(end), None) => end < start,
            (Moment::Naive(start), Moment::Naive(end), None) => end < start,
            // Which is the earlier only the zone can tell.
            _ => false,
        };
        if is_before {
            return Err(invalid(format!(
                "end_at `{}` is before start_at `{}`: write a later one",
                end.write(),
                start.write()
            )));
        }
        Ok(())
    }

    pub(super) fn anchored(&self, zone: Zone) -> Self {
        let anchored = |moment: Option<Moment>| moment.map(|moment| moment.anchored(zone));
        Self { start: anchored(self.start), end: anchored(self.end), jitter: self.jitter }
    }

    pub(super) fn start(&self, zone: Zone) -> Option<DateTime<Utc>> {
        self.start.map(|start| start.instant(zone))
    }

    pub(super) fn end(&self, zone: Zone) -> Option<DateTime<Utc>> {
        self.end.map(|end| end.instant(zone))
    }

    /// Whether the end is known to be before the start: found when a zone makes them comparable.
    pub(super) fn is_empty(&self, zone: Zone) -> bool {
        self.start(zone).zip(self.end(zone)).is_some_and(|(start, end)| end < start)
    }

    /// ", from … until …".
    pub(super) fn describe(&self) -> String {
        let from = self.start.map(|start| format!(", from {}", start.describe()));
        let until = self.end.map(|end| format!(", until {}", end.describe()));
        from.unwrap_or_default() + &until.unwrap_or_default()
    }
}

/// Cuts a duration to milliseconds, and to what 64 bits hold.
pub(super) fn cut(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
