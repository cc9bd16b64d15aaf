//! The handler that all have: one clock read and three atomic operations.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

const SECOND: u64 = 1_000_000_000;

/// 32 slots for each power of two of microseconds: read to 3 %.
const SLOTS: usize = 1_024;

/// Microseconds of lateness, by slot.
static LATE: [AtomicU64; SLOTS] = [const { AtomicU64::new(0) }; SLOTS];
static COUNT: AtomicU64 = AtomicU64::new(0);
static LATEST: AtomicU64 = AtomicU64::new(0);

/// Notes a fire that was due at a whole second. One later than a second counts as early in the next: it shows as a fire too few.
#[inline]
pub fn fire() {
    let now = now_ns();
    note(now, now % SECOND);
}

/// Notes a fire that was due then, in nanoseconds since 1970.
#[inline]
pub fn fire_due_at(due: u64) {
    let now = now_ns();
    note(now, now.saturating_sub(due));
}

#[inline]
fn note(now: u64, late: u64) {
    LATE[slot(late / 1_000)].fetch_add(1, Relaxed);
    COUNT.fetch_add(1, Relaxed);
    LATEST.fetch_max(now, Relaxed);
}

/// Nanoseconds since 1970.
#[inline]
pub fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    since.as_secs() * SECOND + u64::from(since.subsec_nanos())
}

pub(crate) fn latest_ns() -> u64 {
    LATEST.load(Relaxed)
}

fn slot(us: u64) -> usize {
    let power = us.max(1).ilog2().saturating_sub(5);
    (((power as usize) << 5) + (us >> power) as usize).min(SLOTS - 1)
}

/// The least microseconds of a slot.
fn least(slot: usize) -> u64 {
    let power = (slot >> 5).saturating_sub(1);
    ((slot - (power << 5)) as u64) << power
}

/// What has been noted.
pub struct Fired {
    pub count: u64,
    late: Vec<u64>,
}

impl Fired {
    pub fn so_far() -> Self {
        Self { count: COUNT.load(Relaxed), late: LATE.iter().map(|slot| slot.load(Relaxed)).collect() }
    }

    pub fn since(self, before: &Self) -> Self {
        let late = self.late.iter().zip(&before.late).map(|(now, before)| now - before).collect();
        Self { count: self.count - before.count, late }
    }

    /// This part of all is no later.
    pub fn late_ms(&self, part: f64) -> f64 {
        let wanted = (self.count as f64 * part).ceil() as u64;
        let mut so_far = 0;
        let found = self.late.iter().position(|fires| {
            so_far += fires;
            so_far >= wanted
        });
        least(found.unwrap_or(SLOTS - 1)) as f64 / 1_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_holds_what_is_at_most_a_thirtieth_more() {
        for us in (0..100).chain([1_000, 12_345, 999_999, 30_000_000]) {
            let least = least(slot(us));
            assert!(least <= us && us - least <= us / 30, "{us} in the slot of {least}");
        }
    }
}
