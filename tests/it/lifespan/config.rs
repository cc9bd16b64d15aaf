//! What may stand in for a configuration, and what one must write.

use std::{sync::Arc, time::Duration};

use asyncz::{Error, Lifespan, SchedulerConfig, async_trait};

use super::fake::Fake;

/// All that a scheduler of the user's own has to write.
struct Bare(super::fake::Log);

#[async_trait]
impl SchedulerConfig for Bare {
    async fn start(&self) -> Result<(), Error> {
        self.0.push("start");
        Ok(())
    }

    async fn shutdown(&self) -> Result<(), Error> {
        self.0.push("shutdown");
        Ok(())
    }
}

async fn live(config: impl SchedulerConfig) {
    Lifespan::start(config).await.expect("it starts").shutdown().await.expect("it stops");
}

#[tokio::test]
async fn start_and_shutdown_are_all_a_configuration_needs() {
    let (_, log) = Fake::new();
    let config = Bare(log.clone());

    assert_eq!(config.drain_timeout(), Duration::from_secs(25));
    live(config).await;

    assert_eq!(log.all(), ["start", "shutdown"]);
}

/// Each step once through the pointer, the drain timeout too.
async fn keeps_every_step(config: impl SchedulerConfig, log: super::fake::Log) {
    assert_eq!(config.drain_timeout(), Duration::from_secs(7));
    config.start().await.expect("it starts");
    config.stop_claiming().await;
    config.drain().await;
    config.cancel_runs().await;
    config.shutdown().await.expect("it stops");
    assert_eq!(log.all(), ["start", "stop_claiming", "drain", "cancel_runs", "shutdown"]);
}

#[tokio::test]
async fn a_box_an_arc_and_some_keep_every_step() {
    let fake = || {
        let (fake, log) = Fake::new();
        (fake.drain_timeout(Duration::from_secs(7)), log)
    };

    let (config, log) = fake();
    keeps_every_step(Box::new(config) as Box<dyn SchedulerConfig>, log).await;
    let (config, log) = fake();
    keeps_every_step(Arc::new(config) as Arc<dyn SchedulerConfig>, log).await;
    let (config, log) = fake();
    keeps_every_step(Some(config), log).await;
    let (config, log) = fake();
    keeps_every_step(Some(Box::new(Arc::new(config)) as Box<dyn SchedulerConfig>), log).await;
}

#[tokio::test]
async fn none_starts_nothing_and_has_nothing_to_shut_down() {
    let none = None::<Fake>;

    assert_eq!(none.drain_timeout(), Duration::from_secs(25));
    none.cancel_runs().await;
    live(none).await;
}
