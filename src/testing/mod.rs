//! For tests: a clock that moves only when it is told to, a store that fails on command, schedulers from a seed, and the
//! promises of an executor and of a store as suites.

mod clock;
mod conformance;
#[doc(hidden)]
pub mod executor_cases;
mod faulty_store;
mod simulation;
#[doc(hidden)]
pub mod store_cases;
mod store_conformance;

pub use clock::TestClock;
#[doc(inline)]
pub use conformance::executor_conformance;
pub use faulty_store::{Fault, FaultyStore, StoreCall};
pub use simulation::{Invariant, Simulation, SimulationError, SimulationReport};
#[doc(inline)]
pub use store_conformance::store_conformance;
