//! A task scheduler for axum and tokio.

mod error;
mod lifespan;
mod scheduler;
mod task;
pub mod triggers;
mod zone;

pub use async_trait::async_trait;
pub use chrono_tz;
pub use typetag;

pub use error::Error;
pub use lifespan::Lifespan;
#[cfg(feature = "axum")]
pub use lifespan::{ServeExt, WithScheduler};
pub use scheduler::{SchedulerConfig, Settings};
pub use task::TaskId;
pub use triggers::{
    AndTrigger, CalendarIntervalTrigger, CronTrigger, DateTrigger, DayMatch, Dst, IntervalTrigger, OrTrigger,
    ShutdownTrigger, Trigger,
};
pub use zone::{LocalTime, Zone};
