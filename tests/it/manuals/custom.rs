//! A scheduler of one's own.

use std::sync::Arc;

use asyncz::{
    AsynczConfig, DebugExecutor, Error, Executor, Lifespan, Scheduler, SchedulerConfig, State, async_trait,
};

use super::{check_status, runs};
use crate::scheduler::{at_noon, seconds};

/// `class MyCustomScheduler(BaseScheduler)`: what is ours, and around it what is one's own.
struct MyCustomScheduler {
    scheduler: Scheduler,
}

impl MyCustomScheduler {
    fn new(config: AsynczConfig) -> Self {
        Self { scheduler: config.executor("default", Self::create_default_executor()).scheduler() }
    }

    fn create_default_executor() -> impl Executor {
        DebugExecutor::new()
    }

    fn wakeup(&self) {
        self.scheduler.wakeup();
    }
}

#[async_trait]
impl SchedulerConfig for MyCustomScheduler {
    async fn start(&self) -> Result<(), Error> {
        self.scheduler.start().await
    }

    async fn shutdown(&self) -> Result<(), Error> {
        self.scheduler.stop().await
    }
}

#[tokio::test]
async fn a_custom_scheduler_starts_wakes_up_and_shuts_down() {
    let (clock, config) = at_noon();
    let mine = Arc::new(MyCustomScheduler::new(config));
    let lifespan = Lifespan::start(mine.clone()).await.unwrap();
    mine.scheduler.add_task(check_status::task().id("status").every(seconds(60))).await.unwrap();
    // At any time, and as often as one likes: the clock decides what is due.
    mine.wakeup();
    clock.advance(seconds(60)).await;
    mine.wakeup();
    clock.settle().await;

    assert_eq!(runs(&mine.scheduler, "status").await, 1);
    lifespan.shutdown().await.unwrap();
    assert_eq!(mine.scheduler.state(), State::Stopped);
}

#[tokio::test]
async fn the_default_executor_may_be_another() {
    let (_clock, config) = at_noon();
    let mine = MyCustomScheduler::new(config);
    assert_eq!(mine.scheduler.info().executors[0].kind, "DebugExecutor");
}
