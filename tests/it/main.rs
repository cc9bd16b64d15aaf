//! Everything that is tested through the public door, in one binary.

mod lifespan;
mod triggers;
