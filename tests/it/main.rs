//! Everything that is tested through the public door, in one binary.

#![allow(clippy::unwrap_used, reason = "a test that unwraps too much fails, as it should")]

mod configuration;
mod executors;
mod guide;
mod lifespan;
#[cfg(all(feature = "lock", unix))]
mod lock;
mod logging;
mod macros;
mod manuals;
mod scheduler;
mod simulation;
mod stores;
mod tidy;
mod triggers;
