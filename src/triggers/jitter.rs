//! How much later than its instant an occurrence starts: derived, not drawn, so that every node and every restart
//! comes to the same delay.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// The delay of a task's occurrence: whole milliseconds from 0 to `jitter`, never past `end`.
///
/// A pure function, the same on every platform and in every version of this crate: FNV-1a (64 bits, offset basis
/// `0xcbf29ce484222325`, prime `0x100000001b3`) over the task's id in UTF-8, one byte `0xff` (which UTF-8 never has)
/// and `due` in milliseconds since 1970 as eight bytes, least first; its result mixed by the last step of
/// SplitMix64; that 64-bit fraction of the number of possible delays, rounded down.
///
/// Where `end` leaves less room than `jitter`, the delay spreads over that room.
pub fn delay(task: &str, due: DateTime<Utc>, jitter: Duration, end: Option<DateTime<Utc>>) -> Duration {
    let room = end.map_or(i64::MAX, |end| (end - due).num_milliseconds().max(0));
    let most = jitter.as_millis().min(room as u128) as u64;
    let bytes = task.bytes().chain([0xff]).chain(due.timestamp_millis().to_le_bytes());
    let hash = bytes
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    Duration::from_millis(((u128::from(mix(hash)) * (u128::from(most) + 1)) >> 64) as u64)
}

/// Neighbouring instants differ in few bits, and FNV carries them upwards only; this spreads them over all 64.
fn mix(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
