//! Our stores keep what every store promises.

use std::time::Duration;

use asyncz::testing::store_conformance;
use asyncz::{Clock, MemoryStore, SystemClock};

/// A lease, as in stores that outlive the process.
const LEASE: Duration = Duration::from_secs(30);

/// An hour ahead of everybody else's.
fn other_time() -> chrono::DateTime<chrono::Utc> {
    SystemClock.now() + chrono::TimeDelta::hours(1)
}

store_conformance!(memory, MemoryStore::new());
store_conformance!(memory_with_leases, MemoryStore::new().leased(LEASE));
store_conformance!(memory_with_a_clock, MemoryStore::new().leased(LEASE).with_clock(other_time));
