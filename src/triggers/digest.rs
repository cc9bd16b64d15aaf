//! Digests that are the same on every machine and in every version (FNV-1a, 64 bits).

use std::io;

use super::moment::Moment;
use crate::zone::Zone;

/// A digest of all that is written to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digest(u64);

impl Digest {
    pub(crate) fn of(bytes: &[u8]) -> u64 {
        let mut digest = Self::default();
        digest.add(bytes);
        digest.value()
    }

    pub(crate) fn value(&self) -> u64 {
        self.0
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        let add = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        self.0 = bytes.iter().fold(self.0, add);
    }

    pub(super) fn add_number(&mut self, number: i64) {
        self.add(&number.to_le_bytes());
    }

    pub(super) fn add_zone(&mut self, zone: Option<Zone>) {
        self.add(zone.map_or("", |zone| zone.name()).as_bytes());
        self.add(&[0]);
    }

    pub(super) fn add_moment(&mut self, moment: Option<Moment>) {
        let (kind, millis) = match moment {
            None => (0, 0),
            Some(Moment::Instant(at)) => (1, at.timestamp_millis()),
            Some(Moment::Naive(local)) => (2, local.and_utc().timestamp_millis()),
        };
        self.add(&[kind]);
        self.add_number(millis);
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl io::Write for Digest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
