#![cfg_attr(any(doc, doctest), doc = include_str!("guide/pages.md"))]
#![cfg_attr(all(feature = "axum", feature = "macros"), doc = include_str!("../README.md"))]
#![cfg_attr(not(all(feature = "axum", feature = "macros")), doc = "Scheduled tasks for axum and tokio.")]
//!
//! # Where to look
//!
//! | for | see |
//! |---|---|
//! | everything, page by page | [The guide] |
//! | the attribute and its options | [`task`] |
//! | configuring and starting | [`AsynczConfig`], [`Configuration`], [`ServeExt`], [`Lifespan`] |
//! | using a scheduler | [`Scheduler`] |
//! | programs without a runtime | [`blocking`] |
//! | tasks without the attribute | [`Task`] |
//! | saying when | [`triggers`] |
//! | arguments of handlers | [`FromTask`] |
//! | stores and executors of your own | [`stores`], [`executors`] |
//! | being told what happens | [`events`] |
//! | tests | [`testing`] |
//!
//! # Features
//!
//! `axum` and `macros` are on unless turned off; `config` reads configurations out of files and the environment; `lock`
//! lets one of several processes schedule; `process` runs handlers in processes of their own (`ProcessPoolExecutor`);
//! `sqlite`, `postgres` and `mysql` keep tasks in a database (`SqlStore`), `redis` in Redis (`RedisStore`), `mongodb` in MongoDB
//! (`MongoStore`), and `tls` encrypts the way there; `file` keeps them in a directory (`FileStore`), and `encryption` encrypts
//! what is kept in any of these;
//! `testing` is for your dev-dependencies.

mod clock;
mod error;
pub mod events;
pub mod executors;
#[cfg(any(doc, doctest))]
pub mod guide;
mod lifespan;
mod log;
mod panics;
mod scheduler;
pub mod stores;
mod task;
#[cfg(feature = "testing")]
pub mod testing;
pub mod triggers;
mod zone;

pub use async_trait::async_trait;
#[cfg(feature = "macros")]
pub use asyncz_macros::task;
pub use chrono;
pub use chrono_tz;
#[doc(hidden)]
pub use inventory;
#[cfg(feature = "mongodb")]
pub use mongodb;
#[cfg(feature = "redis")]
pub use redis;
#[cfg(feature = "_sql")]
pub use sqlx;
pub use typetag;

pub use scheduler::blocking;

pub use clock::{Busy, Clock, SystemClock};
pub use error::{Error, StartProblem};
pub use events::{Event, EventMask, EventStream, ListenerId};
pub use executors::{AsyncExecutor, DebugExecutor, Executor, Job, ThreadPoolExecutor};
#[cfg(feature = "process")]
pub use executors::{ProcessPoolExecutor, Worker};
pub use lifespan::Lifespan;
#[cfg(feature = "axum")]
pub use lifespan::{ServeExt, WithScheduler};
pub use scheduler::{
    AsynczConfig, Configuration, ExecutorInfo, RunCounts, Scheduler, SchedulerConfig, SchedulerInfo, Scope,
    Settings, Shutdown, State, StoreInfo, TaskFilter, TaskHandle, TaskImport, TaskSnapshot, TaskSort,
    TaskState, TaskUpdate, TimelineEntry, TypeOptions,
};
#[cfg(all(feature = "file", unix))]
pub use stores::FileStore;
#[cfg(feature = "mongodb")]
pub use stores::MongoStore;
#[cfg(feature = "redis")]
pub use stores::RedisStore;
#[cfg(feature = "_sql")]
pub use stores::SqlStore;
pub use stores::{MemoryStore, RunFilter, Store, StoreError};
pub use task::{
    Args, Count, FromTask, Handlers, Missing, NodeId, Occurrence, Overlap, Provide, Provided, Recover,
    Rejection, Rules, Run, RunId, RunRecord, RunStatus, Schedule, StoreKey, Task, TaskContext, TaskDefaults,
    TaskDefinition, TaskFn, TaskId, TaskRecord, TaskResult, Typed, Waiting,
};
pub use triggers::{
    AndTrigger, CalendarIntervalBuilder, CalendarIntervalTrigger, CronFields, CronTrigger, DateTrigger,
    DayMatch, Dst, FieldValue, IntervalBuilder, IntervalTrigger, OrTrigger, ShutdownTrigger, Trigger,
};
pub use zone::{LocalTime, Zone};

/// The common part, for `use asyncz::prelude::*`.
pub mod prelude {
    #[cfg(feature = "axum")]
    pub use crate::ServeExt;
    #[cfg(feature = "macros")]
    pub use crate::task;
    pub use crate::{
        Args, AsynczConfig, CronTrigger, DateTrigger, EventMask, IntervalTrigger, Provide, RunFilter,
        Scheduler, SchedulerConfig, Shutdown, Task, TaskContext, TaskFilter, Trigger,
    };
}

/// What the `#[task]` macro writes; not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::task::{
        Function, Overlap, Recover, Returned, TaskEntry, Unkept, argument, async_task, blocking_task, outcome,
    };
}
