//! A scheduler out of an application's settings.

use std::cell::RefCell;

use asyncz::{Error, Lifespan, SchedulerConfig, Settings};

use super::fake::{Fake, Log};

/// Not `Sync`, as settings may be.
struct AppSettings {
    enabled: bool,
    config: RefCell<Option<Fake>>,
}

impl AppSettings {
    fn new(enabled: bool) -> (Self, Log) {
        let (fake, log) = Fake::new();
        (Self { enabled, config: RefCell::new(Some(fake)) }, log)
    }

    fn unnamed() -> Self {
        Self { enabled: true, config: RefCell::new(None) }
    }
}

impl Settings for AppSettings {
    fn scheduler_config(&self) -> Option<Box<dyn SchedulerConfig>> {
        assert!(self.enabled, "asked for a scheduler that does not run");
        self.config.take().map(|config| Box::new(config) as _)
    }

    fn enable_scheduler(&self) -> bool {
        self.enabled
    }
}

#[tokio::test]
async fn settings_start_the_scheduler_they_name() {
    let (settings, log) = AppSettings::new(true);

    let lifespan = Lifespan::start_with_settings(&settings).await.expect("it starts");
    lifespan.shutdown().await.expect("it stops");

    assert_eq!(log.all(), ["start", "stop_claiming", "drain", "shutdown"]);
}

#[tokio::test]
async fn settings_that_disable_the_scheduler_start_nothing() {
    let (settings, log) = AppSettings::new(false);

    let lifespan = Lifespan::start_with_settings(&settings).await.expect("nothing can fail");
    lifespan.shutdown().await.expect("nothing can fail");

    assert!(log.all().is_empty());
}

#[tokio::test]
async fn settings_that_enable_no_scheduler_are_improperly_configured() {
    let settings: &dyn Settings = &AppSettings::unnamed();

    let error = Lifespan::start_with_settings(settings).await.expect_err("nothing to start");

    assert!(matches!(error, Error::ImproperlyConfigured(_)), "{error:?}");
    for word in ["scheduler_config", "AsynczConfig::new()", "enable_scheduler"] {
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[cfg(feature = "axum")]
mod served {
    use asyncz::{Error, ServeExt};
    use axum::Router;
    use tokio::net::TcpStream;

    use super::AppSettings;
    use crate::lifespan::{fake::soon, http::bind};

    #[tokio::test]
    async fn settings_plug_in_the_scheduler_they_name() {
        let (settings, log) = AppSettings::new(true);
        let (listener, _) = bind().await;

        let server =
            axum::serve(listener, Router::<()>::new()).with_settings(&settings).shutdown_signal(async {});

        soon(server.into_future()).await.expect("an orderly end");
        assert_eq!(log.all(), ["start", "stop_claiming", "drain", "shutdown"]);
    }

    #[tokio::test]
    async fn settings_that_disable_the_scheduler_serve_without_it() {
        let (settings, log) = AppSettings::new(false);
        let (listener, _) = bind().await;

        let server =
            axum::serve(listener, Router::<()>::new()).with_settings(&settings).shutdown_signal(async {});

        soon(server.into_future()).await.expect("an orderly end");
        assert!(log.all().is_empty());
    }

    #[tokio::test]
    async fn settings_that_enable_no_scheduler_serve_nothing() {
        let (listener, address) = bind().await;
        let server = axum::serve(listener, Router::<()>::new()).with_settings(&AppSettings::unnamed());

        let error = soon(server.into_future()).await.expect_err("nothing to start");

        assert!(matches!(error, Error::ImproperlyConfigured(_)), "{error:?}");
        TcpStream::connect(address).await.expect_err("the port is closed");
    }

    #[tokio::test]
    async fn settings_that_enable_no_scheduler_do_no_harm_where_it_is_disabled() {
        let (listener, _) = bind().await;

        let server = axum::serve(listener, Router::<()>::new())
            .with_settings(&AppSettings::unnamed())
            .enable_scheduler(false)
            .shutdown_signal(async {});

        soon(server.into_future()).await.expect("an orderly end");
    }
}
