//! What has happened, in a few words for each step.

use std::collections::VecDeque;
use std::fmt::{self, Write};

use chrono::{DateTime, Utc};

/// The last steps, and a digest of all.
#[derive(Debug)]
pub(super) struct Trace {
    digest: u64,
    tail: VecDeque<String>,
}

/// So many steps are kept for the error.
const TAIL: usize = 60;

/// The time of the day.
pub(super) struct OfDay(pub(super) DateTime<Utc>);

impl fmt::Display for OfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.timestamp_millis().rem_euclid(86_400_000);
        let (seconds, minutes) = (millis / 1_000, millis / 60_000);
        write!(f, "{:02}:{:02}:{:02}.{:03}", minutes / 60, minutes % 60, seconds % 60, millis % 1_000)
    }
}

impl Trace {
    pub(super) fn new() -> Self {
        Self { digest: 0xcbf2_9ce4_8422_2325, tail: VecDeque::with_capacity(TAIL) }
    }

    pub(super) fn note(&mut self, step: u64, now: DateTime<Utc>, what: fmt::Arguments<'_>) {
        let mut line = match self.tail.len() {
            TAIL => self.tail.pop_front().unwrap_or_default(),
            _ => String::new(),
        };
        line.clear();
        // Writing to a string can't fail.
        _ = write!(line, "{step:>6} {} {what}", OfDay(now));
        for eight in line.as_bytes().chunks(8) {
            let word = eight.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte));
            self.digest = (self.digest ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        }
        self.tail.push_back(line);
    }

    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    pub(super) fn into_tail(self) -> Vec<String> {
        self.tail.into()
    }
}
