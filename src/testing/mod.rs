//! For tests: a clock that moves only when it is told to, and the promises of an executor as a suite.

mod clock;
mod conformance;
#[doc(hidden)]
pub mod executor_cases;

pub use clock::TestClock;
#[doc(inline)]
pub use conformance::executor_conformance;
