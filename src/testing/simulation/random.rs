//! Chance from a seed.

use std::time::Duration;

use chrono::TimeDelta;

/// Numbers that follow from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is above 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in so many times.
    pub(super) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(super) fn choose<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// A duration of up to so many milliseconds.
    pub(super) fn millis(&mut self, most: u64) -> TimeDelta {
        TimeDelta::milliseconds(self.below(most + 1) as i64)
    }

    /// Any duration of whole seconds between the two.
    pub(super) fn seconds(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_secs(least + self.below(most - least + 1))
    }

    /// A step of up to so many seconds, back or forth.
    pub(super) fn either_way(&mut self, most: u64) -> TimeDelta {
        let step = self.millis(most * 1_000);
        if self.once_in(2) { step } else { -step }
    }
}
