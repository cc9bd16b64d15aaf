//! The plug between a scheduler and an application's life.

use std::sync::Arc;

use async_trait::async_trait;

use crate::Error;

/// Starts a scheduler with an application and stops it with it.
///
/// [`AsynczConfig`](crate::AsynczConfig) is the built-in implementation; implement it yourself to plug in any other
/// scheduler.
#[async_trait]
pub trait SchedulerConfig: Send + Sync + 'static {
    /// Starts the scheduler. It runs before the first request is answered, and an error here ends the application.
    async fn start(&self) -> Result<(), Error>;

    /// Stops the scheduler. It runs on every way out of the application, and on a scheduler that never started it is `Ok`.
    async fn shutdown(&self) -> Result<(), Error>;
}

#[async_trait]
impl<C: SchedulerConfig + ?Sized> SchedulerConfig for Box<C> {
    async fn start(&self) -> Result<(), Error> {
        (**self).start().await
    }

    async fn shutdown(&self) -> Result<(), Error> {
        (**self).shutdown().await
    }
}

#[async_trait]
impl<C: SchedulerConfig + ?Sized> SchedulerConfig for Arc<C> {
    async fn start(&self) -> Result<(), Error> {
        (**self).start().await
    }

    async fn shutdown(&self) -> Result<(), Error> {
        (**self).shutdown().await
    }
}

/// `None` starts nothing.
#[async_trait]
impl<C: SchedulerConfig> SchedulerConfig for Option<C> {
    async fn start(&self) -> Result<(), Error> {
        match self {
            Some(config) => config.start().await,
            None => Ok(()),
        }
    }

    async fn shutdown(&self) -> Result<(), Error> {
        match self {
            Some(config) => config.shutdown().await,
            None => Ok(()),
        }
    }
}
