//! `SchedulerConfig` and the application.

use std::sync::{Arc, OnceLock};

use asyncz::{
    AsyncExecutor, AsynczConfig, Error, Lifespan, MemoryStore, SchedulerConfig, Settings, State,
    TaskDefaults, ThreadPoolExecutor, task,
};

use super::runs;
use crate::scheduler::{at_noon, seconds};

mod tasks {
    use super::task;

    #[task(every = "1m", id = "collect", executor = "threadpool")]
    pub(super) fn collect_market_data() {}

    #[task(every = "1m", id = "switched off", enabled = false)]
    pub(super) async fn switched_off() {}
}

/// `get_scheduler_config()`, its store in memory.
fn with_the_parts_of_the_manual(config: AsynczConfig) -> AsynczConfig {
    config
        .store("default", MemoryStore::new())
        .executor("default", AsyncExecutor::new())
        .executor("threadpool", ThreadPoolExecutor::new(20))
        .task_defaults(TaskDefaults::new().coalesce(false).max_instances(4))
        .timezone("UTC")
        .task(tasks::collect_market_data::task())
        .task(tasks::switched_off::task())
}

#[tokio::test]
async fn the_scheduler_lives_as_long_as_the_application() {
    let (clock, config) = at_noon();
    let config = with_the_parts_of_the_manual(config);
    let scheduler = config.scheduler();

    let lifespan = Lifespan::start(config).await.unwrap();
    clock.advance(seconds(60)).await;
    assert_eq!(runs(&scheduler, "collect").await, 1);
    let rules = scheduler.get_task("collect").await.unwrap().rules;
    assert_eq!((rules.coalesce, rules.max_instances), (false, 4));

    lifespan.shutdown().await.unwrap();
    assert_eq!(scheduler.state(), State::Stopped);
}

/// `is_enabled=False`
#[tokio::test]
async fn a_task_that_is_not_enabled_is_passed_over() {
    let (_clock, config) = at_noon();
    let config = with_the_parts_of_the_manual(config);
    let scheduler = config.scheduler();
    let lifespan = Lifespan::start(config).await.unwrap();
    assert!(matches!(scheduler.get_task("switched off").await, Err(Error::TaskNotFound { .. })));
    lifespan.shutdown().await.unwrap();
}

/// `@lru_cache def get_scheduler_config()`, which the lifespan and the application both call.
#[tokio::test]
async fn a_lifespan_of_ones_own_starts_the_configuration_that_is_plugged_in() {
    static CONFIG: OnceLock<Arc<AsynczConfig>> = OnceLock::new();
    let get_scheduler_config = || CONFIG.get_or_init(|| Arc::new(at_noon().1)).clone();
    let scheduler = get_scheduler_config().scheduler();

    // The application's start, and within it the lifespan's.
    let plugged_in = Lifespan::start(get_scheduler_config()).await.unwrap();
    get_scheduler_config().start().await.unwrap();
    get_scheduler_config().shutdown().await.unwrap();
    assert_eq!(scheduler.state(), State::Running);

    plugged_in.shutdown().await.unwrap();
    assert_eq!(scheduler.state(), State::Stopped);
}

/// `class CustomSettings`, with `scheduler_config` as a property.
#[tokio::test]
async fn settings_name_the_configuration() {
    struct CustomSettings {
        enable_scheduler: bool,
    }
    impl Settings for CustomSettings {
        fn scheduler_config(&self) -> Option<Box<dyn SchedulerConfig>> {
            Some(Box::new(with_the_parts_of_the_manual(at_noon().1).expect_tasks(usize::MAX)))
        }

        fn enable_scheduler(&self) -> bool {
            self.enable_scheduler
        }
    }

    // It is the one that is named: no other wants so many tasks.
    let error = Lifespan::start_with_settings(&CustomSettings { enable_scheduler: true }).await.unwrap_err();
    assert!(error.to_string().contains("expect_tasks"), "{error}");
    let lifespan = Lifespan::start_with_settings(&CustomSettings { enable_scheduler: false }).await.unwrap();
    lifespan.shutdown().await.unwrap();
}

/// `register_tasks`: what is wrong with a task is told by the start, and nothing runs.
#[tokio::test]
async fn a_task_that_can_not_be_added_fails_the_start() {
    let (_clock, config) = at_noon();
    let config = config.task(tasks::collect_market_data::task());
    let scheduler = config.scheduler();

    let error = Lifespan::start(config).await.unwrap_err();

    assert!(error.to_string().contains("there is no executor `threadpool`"), "{error}");
    assert_eq!(scheduler.state(), State::Stopped);
}
