//! One binary for what the crate promises through its public door.

mod lifespan;
