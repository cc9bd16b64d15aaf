//! A configuration as an application's settings.

use asyncz::{Configuration, Lifespan, Settings};
use serde_json::json;

fn wrong() -> Configuration {
    json!({"asyncz": {"colour": "red"}}).into()
}

#[tokio::test]
async fn a_configuration_is_a_settings_type() {
    let settings = Configuration::from(json!({"asyncz": {"drain_timeout": 7, "tasks": ""}}));
    assert_eq!(settings.scheduler_config().unwrap().drain_timeout(), crate::scheduler::seconds(7));

    let lifespan = Lifespan::start_with_settings(&settings).await.unwrap();
    lifespan.shutdown().await.unwrap();
}

#[tokio::test]
async fn settings_that_are_wrong_do_not_start() {
    let error = Lifespan::start_with_settings(&wrong()).await.unwrap_err();
    assert!(error.to_string().contains("asyncz.colour"), "{error}");
}

#[tokio::test]
async fn the_scheduler_runs_unless_the_settings_say_otherwise() {
    assert!(Configuration::new().enable_scheduler());
    for key in ["asyncz.enable_scheduler", "enable_scheduler"] {
        let disabled = wrong().values([(key, "false")]);
        assert!(!disabled.enable_scheduler());
        // So that what is wrong with it harms nobody.
        Lifespan::start_with_settings(&disabled).await.unwrap().shutdown().await.unwrap();
        // The later layer is the stronger one.
        assert!(disabled.values([(key, true)]).enable_scheduler());
    }
    // What can't be read is told by the start.
    let unclear = Configuration::from([("asyncz.enable_scheduler", "perhaps")]);
    let error = Lifespan::start_with_settings(&unclear).await.unwrap_err();
    assert!(error.to_string().contains("asyncz.enable_scheduler `perhaps`: write true or false"), "{error}");
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn an_argument_is_stronger_than_the_settings() {
    use asyncz::ServeExt;
    use axum::Router;

    use crate::lifespan::{fake::soon, http::bind};

    let (listener, _) = bind().await;
    let server = axum::serve(listener, Router::<()>::new()).with_settings(&wrong());
    soon(server.enable_scheduler(false).shutdown_signal(async {}).into_future()).await.unwrap();
}
