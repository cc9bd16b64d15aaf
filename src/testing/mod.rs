//! For tests: a clock that moves only when it is told to.

mod clock;

pub use clock::TestClock;
