//! Decides, then does.

mod config;
mod settings;

pub use config::SchedulerConfig;
pub use settings::Settings;
pub(crate) use settings::chosen;
