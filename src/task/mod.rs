//! What: tasks and what they are made of.

mod id;

pub use id::TaskId;
