//! Decides, then does.

mod config;

pub use config::SchedulerConfig;
