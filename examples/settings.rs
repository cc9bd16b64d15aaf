//! A scheduler out of a file and the environment.
//!
//! `cargo run --example settings --features config`, then with `ASYNCZ__EXECUTORS__POOL__MAX_WORKERS=7` before it, with
//! `ASYNCZ__TIMEZON=UTC`, which is a mistake, and with `ASYNCZ__ENABLE_SCHEDULER=false`.

#![expect(clippy::print_stdout, reason = "it tells what happens")]

use std::sync::Arc;

use asyncz::{
    AsynczConfig, Configuration, Error, Lifespan, Provide, Scheduler, SchedulerConfig, Settings, task,
};
use tokio::sync::Notify;

/// The application's settings.
struct AppSettings {
    configuration: Configuration,
    /// What handlers are given is no matter of configuration.
    has_counted: Arc<Notify>,
}

impl AppSettings {
    /// The file, and over it the environment.
    fn read() -> Self {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/settings.toml");
        let configuration =
            Configuration::new().file(file).optional_file("settings.local.toml").environment();
        Self { configuration, has_counted: Arc::default() }
    }
}

impl Settings for AppSettings {
    fn scheduler_config(&self) -> Option<Box<dyn SchedulerConfig>> {
        let config = AsynczConfig::new().configuration(self.configuration.clone());
        Some(Box::new(config.provide(self.has_counted.clone())))
    }

    fn enable_scheduler(&self) -> bool {
        self.configuration.enable_scheduler()
    }
}

#[task(every = "1s", executor = "pool")]
fn count(scheduler: Scheduler, Provide(has_counted): Provide<Arc<Notify>>) {
    let info = scheduler.info();
    let pool = info.executors.iter().find(|executor| &*executor.alias == "pool");
    println!(
        "{} threads in {}",
        pool.and_then(|pool| pool.workers).unwrap_or_default(),
        info.timezone.name()
    );
    has_counted.notify_one();
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let settings = AppSettings::read();
    // With axum: `axum::serve(listener, app).with_settings(&settings)`.
    match Lifespan::start_with_settings(&settings).await {
        Ok(lifespan) if settings.enable_scheduler() => {
            settings.has_counted.notified().await;
            lifespan.shutdown().await
        }
        Ok(lifespan) => {
            println!("The scheduler is not enabled.");
            lifespan.shutdown().await
        }
        Err(error) => {
            println!("{error}");
            Ok(())
        }
    }
}
